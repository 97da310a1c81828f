// JPEG by libjpeg-turbo. Errors come back by longjmp: what is between has no destructors.
// clang-format off: jpeglib.h needs what stands before it
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <csetjmp>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "image/exif.h"
#include "image/formats.h"

namespace hearth::image {
namespace {

constexpr int kMost_scans = 200;  // of a progressive picture: each may cost as much as the whole
constexpr int kExif_marker = JPEG_APP0 + 1;
constexpr unsigned kMost_marker_bytes = 0xffff;

struct Reading {
  jpeg_error_mgr errors;  // first: the library gives back its address
  jpeg_progress_mgr progress;
  jpeg_decompress_struct jpeg;
  std::jmp_buf jump;
  std::span<const std::byte> file;
  const Limits* limits;
  Status refused;
  Picture picture;
  std::vector<uint8_t> row;
  int orientation = 1;
  char message[JMSG_LENGTH_MAX] = "";
};

Reading& reading_of(j_common_ptr jpeg) {
  return *reinterpret_cast<Reading*>(jpeg->err);
}

[[noreturn]] void fail(j_common_ptr jpeg) {
  Reading& reading = reading_of(jpeg);
  if (reading.message[0] == 0) jpeg->err->format_message(jpeg, reading.message);
  std::longjmp(reading.jump, 1);
}

// Warnings mean damage that the library paints over; a missing end is refused.
void note(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  ++jpeg->err->num_warnings;
  if (jpeg->err->msg_code == JWRN_JPEG_EOF) fail(jpeg);
}

void silence(j_common_ptr) {}

void count_scans(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMost_scans) return;
  std::snprintf(reading_of(jpeg).message, JMSG_LENGTH_MAX, "more than %d scans", kMost_scans);
  fail(jpeg);
}

// Cyan, magenta, yellow, black; Adobe's files have them inverted.
void put_cmyk(const uint8_t* from, bool inverted, uint32_t width, uint8_t* to) {
  for (uint32_t x = 0; x < width; ++x, from += 4, to += 3) {
    const uint32_t black = inverted ? from[3] : 255u - from[3];
    for (int c = 0; c < 3; ++c) {
      const uint32_t colour = inverted ? from[c] : 255u - from[c];
      to[c] = static_cast<uint8_t>((colour * black + 127) / 255);
    }
  }
}

void read_exif(Reading& reading) {
  for (jpeg_saved_marker_ptr marker = reading.jpeg.marker_list; marker != nullptr; marker = marker->next)
    if (marker->marker == kExif_marker && marker->data_length >= 6 && std::memcmp(marker->data, "Exif\0", 6) == 0) {
      reading.orientation = exif_orientation(std::as_bytes(std::span(marker->data, marker->data_length)));
      return;
    }
}

void read_pixels(Reading& reading) {
  jpeg_decompress_struct& jpeg = reading.jpeg;
  const bool cmyk = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  jpeg.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&jpeg);
  reading.picture = blank(jpeg.output_width, jpeg.output_height);
  reading.row.resize(size_t{jpeg.output_width} * 4);
  while (jpeg.output_scanline < jpeg.output_height) {
    uint8_t* to = reading.picture.at(0, jpeg.output_scanline);
    uint8_t* row = cmyk ? reading.row.data() : to;
    jpeg_read_scanlines(&jpeg, &row, 1);
    if (cmyk) put_cmyk(row, jpeg.saw_Adobe_marker != 0, jpeg.output_width, to);
  }
  jpeg_finish_decompress(&jpeg);
}

bool read_all(Reading& reading) {
  if (setjmp(reading.jump) != 0) return false;
  jpeg_create_decompress(&reading.jpeg);
  reading.progress.progress_monitor = count_scans;
  reading.jpeg.progress = &reading.progress;
  jpeg_mem_src(&reading.jpeg, reinterpret_cast<const unsigned char*>(reading.file.data()), reading.file.size());
  jpeg_save_markers(&reading.jpeg, kExif_marker, kMost_marker_bytes);
  jpeg_read_header(&reading.jpeg, TRUE);
  reading.refused = check_size("JPEG", reading.jpeg.image_width, reading.jpeg.image_height, *reading.limits);
  if (!reading.refused) return false;
  read_exif(reading);
  read_pixels(reading);
  return true;
}

Result<Picture> decode_jpeg(std::span<const std::byte> file, const Limits& limits, int* orientation) {
  const auto reading = std::make_unique<Reading>();
  reading->file = file;
  reading->limits = &limits;
  reading->jpeg = {};
  reading->progress = {};
  reading->jpeg.err = jpeg_std_error(&reading->errors);
  reading->errors.error_exit = fail;
  reading->errors.emit_message = note;
  reading->errors.output_message = silence;
  const bool read = read_all(*reading);
  jpeg_destroy_decompress(&reading->jpeg);
  if (!read) {
    TRY(reading->refused);
    return error(ErrorKind::kInvalidData, "a broken JPEG picture: {}", reading->message);
  }
  *orientation = reading->orientation;
  return std::move(reading->picture);
}

}  // namespace

const Format kJpeg{"JPEG", [](std::span<const std::byte> file) { return starts_with(file, "\xff\xd8\xff"); },
                   decode_jpeg};

}  // namespace hearth::image
