#include "gguf/row_encoder.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/error.h"

namespace hearth::gguf {
namespace {

constexpr uint64_t kWindow_bytes = 4 << 20;  // of encoded weights that are held before they are written
constexpr uint64_t kChunk_values = 1 << 15;  // that a thread takes at once, rounded to whole rows
constexpr float kMaxHalf = 65504.0f;

Status check(const RowEncoder::Rows& rows, const quant::Format& to, bool finite, bool fits_half) {
  if (!finite)
    return error(ErrorKind::kInvalidData, "{}: tensor '{}' holds values that are infinite or not a number", rows.file,
                 rows.tensor);
  if (!fits_half && to.name == std::string_view("F16"))
    return error(ErrorKind::kInvalidData, "{}: tensor '{}' holds values beyond F16's largest, {}; use BF16", rows.file,
                 rows.tensor, kMaxHalf);
  return {};
}

}  // namespace

Status RowEncoder::write(const Rows& all, const quant::Format& to, Writer& writer) {
  const uint64_t chunk_rows = std::max<uint64_t>(1, kChunk_values / all.columns);
  const uint64_t row_bytes = to.bytes(all.columns);
  const uint64_t window_rows = std::clamp<uint64_t>(kWindow_bytes / row_bytes / chunk_rows, 1, UINT32_MAX) * chunk_rows;
  encoded_.resize(std::min(window_rows, all.rows) * row_bytes);
  values_.resize(static_cast<size_t>(pool_.threads()));
  for (auto& values : values_) values.resize(chunk_rows * all.columns);

  for (uint64_t row = 0; row < all.rows; row += window_rows) {
    const uint64_t here = std::min(window_rows, all.rows - row);
    if (all.prepare) TRY(all.prepare(row, here));
    std::atomic<bool> finite = true, fits_half = true;
    pool_.for_each(static_cast<uint32_t>((here + chunk_rows - 1) / chunk_rows), [&](uint32_t chunk, int thread) {
      const uint64_t first = chunk * chunk_rows, count = std::min(chunk_rows, here - first);
      const std::span<float> values(values_[static_cast<size_t>(thread)].data(), count * all.columns);
      all.decode(row + first, count, values.data());
      float largest = 0;
      bool all_finite = true;
      for (const float value : values) {
        all_finite &= std::isfinite(value);
        largest = std::max(largest, std::fabs(value));
      }
      if (largest > kMaxHalf) fits_half = false;
      if (!all_finite) {
        finite = false;
        return;
      }
      to.encode(values.data(), values.size(), nullptr, encoded_.data() + first * row_bytes);
    });
    TRY(check(all, to, finite, fits_half));
    TRY(writer.write(std::as_bytes(std::span(encoded_).first(here * row_bytes))));
    if (all.done) TRY(all.done(here));
  }
  return {};
}

}  // namespace hearth::gguf
