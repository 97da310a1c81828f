// PNG by libpng. Errors come back by longjmp: what is between has no destructors.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "base/error.h"
#include "image/exif.h"
#include "image/formats.h"

namespace hearth::image {
namespace {

constexpr uint32_t kMost_chunks = 1000;
constexpr size_t kMost_chunk_bytes = 8u << 20;  // of what is no pixels

struct Reading {
  std::span<const std::byte> file;
  size_t at = 0;
  const Limits* limits = nullptr;
  Picture picture;
  std::vector<png_bytep> rows;
  Status refused;
  char message[160] = "";
  int orientation = 1;
  png_structp png = nullptr;
  png_infop info = nullptr;

  ~Reading() {
    if (png != nullptr) png_destroy_read_struct(&png, &info, nullptr);
  }
};

void read_bytes(png_structp png, png_bytep to, size_t bytes) {
  auto* reading = static_cast<Reading*>(png_get_io_ptr(png));
  if (bytes > reading->file.size() - reading->at) png_error(png, "the file ends too early");
  std::memcpy(to, reading->file.data() + reading->at, bytes);
  reading->at += bytes;
}

void fail(png_structp png, png_const_charp message) {
  auto* reading = static_cast<Reading*>(png_get_error_ptr(png));
  std::strncpy(reading->message, message, sizeof reading->message - 1);
  std::longjmp(png_jmpbuf(png), 1);
}

void ignore(png_structp, png_const_charp) {}

// Whatever the file has becomes three bytes a pixel.
void ask_for_rgb(const Reading& reading) {
  png_structp png = reading.png;
  const int kind = png_get_color_type(png, reading.info);
  if (png_get_bit_depth(png, reading.info) == 16) png_set_strip_16(png);
  if (kind == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (kind == PNG_COLOR_TYPE_GRAY || kind == PNG_COLOR_TYPE_GRAY_ALPHA) {
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
  }
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, reading.info);
}

void begin(Reading& reading) {
  png_read_info(reading.png, reading.info);
  const uint32_t width = png_get_image_width(reading.png, reading.info);
  const uint32_t height = png_get_image_height(reading.png, reading.info);
  reading.refused = check_size("PNG", width, height, *reading.limits);
  if (!reading.refused) return;
  ask_for_rgb(reading);
  if (png_get_rowbytes(reading.png, reading.info) != size_t{width} * 3) png_error(reading.png, "an odd pixel format");
  reading.picture = blank(width, height);
  for (uint32_t y = 0; y < height; ++y) reading.rows.push_back(reading.picture.at(0, y));
}

// False: it ended in fail(), or was refused.
bool read_all(Reading& reading) {
  if (setjmp(png_jmpbuf(reading.png)) != 0) return false;
  begin(reading);
  if (!reading.refused) return false;
  png_read_image(reading.png, reading.rows.data());
  png_read_end(reading.png, reading.info);
  png_uint_32 bytes = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(reading.png, reading.info, &bytes, &exif) != 0 && exif != nullptr)
    reading.orientation = exif_orientation(std::as_bytes(std::span(exif, bytes)));
  return true;
}

Result<Picture> decode_png(std::span<const std::byte> file, const Limits& limits, int* orientation) {
  Reading reading;
  reading.file = file;
  reading.limits = &limits;
  reading.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reading, fail, ignore);
  if (reading.png != nullptr) reading.info = png_create_info_struct(reading.png);
  if (reading.info == nullptr) return error(ErrorKind::kNoMemory, "no memory to read a PNG picture");
  png_set_read_fn(reading.png, &reading, read_bytes);
  png_set_user_limits(reading.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_size() has better words
  png_set_chunk_cache_max(reading.png, kMost_chunks);
  png_set_chunk_malloc_max(reading.png, kMost_chunk_bytes);
  if (!read_all(reading)) {
    TRY(reading.refused);
    return error(ErrorKind::kInvalidData, "a broken PNG picture: {}", reading.message);
  }
  *orientation = reading.orientation;
  return std::move(reading.picture);
}

}  // namespace

const Format kPng{"PNG", [](std::span<const std::byte> file) { return starts_with(file, "\x89PNG\r\n\x1a\n"); },
                  decode_png};

}  // namespace hearth::image
