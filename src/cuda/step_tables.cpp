#include "cuda/step_tables.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/checked.h"
#include "base/error.h"

namespace hearth::cuda {
namespace {

constexpr size_t kAlignment = 256;

uint64_t pages_of(const device::StepShape& most) {
  return std::max(1u, most.sequences) * std::max<uint64_t>(1, divide_up(most.context, device::kPage_tokens));
}

}  // namespace

// Byte offsets; the pages come last: most steps need few of them.
struct StepTablesBuffer::Layout {
  size_t tokens, positions, row_sequence, ends, places, logit_rows, sequences, pages, end;

  explicit Layout(const device::StepShape& most) {
    size_t at = kFrequencies * sizeof(float);
    const auto take = [&](uint64_t bytes) {
      const size_t from = at;
      at += round_up(bytes, kAlignment);
      return from;
    };
    const uint64_t rows = std::max(most.rows, 1u);
    tokens = take(rows * sizeof(int32_t));
    positions = take(rows * sizeof(uint32_t));
    row_sequence = take(rows * sizeof(uint32_t));
    ends = take(rows * sizeof(uint32_t));
    places = take(rows * sizeof(device::Place));
    logit_rows = take(rows * sizeof(uint32_t));
    sequences = take(rows * sizeof(StepSequence));
    pages = take(pages_of(most) * sizeof(int32_t));
    end = at;
  }
};

size_t StepTablesBuffer::bytes(const device::StepShape& most) {
  return Layout(most).end;
}

Status StepTablesBuffer::lay_out(const driver::Cuda& cuda, CUdeviceptr at, const device::StepShape& most) {
  const Layout layout(most);
  ASSIGN_OR_RETURN(host_, driver::PinnedMemory::alloc(cuda, layout.end));
  const auto address = [&]<class T>(size_t offset, T*& pointer) { pointer = reinterpret_cast<T*>(at + offset); };
  address(layout.tokens, tables_.tokens);
  address(layout.positions, tables_.positions);
  address(layout.row_sequence, tables_.row_sequence);
  address(layout.ends, tables_.ends);
  address(layout.places, tables_.places);
  address(layout.logit_rows, tables_.logit_rows);
  address(layout.sequences, tables_.sequences);
  address(layout.pages, tables_.pages);
  cuda_ = &cuda;
  at_ = at;
  most_ = most;
  return {};
}

Status StepTablesBuffer::upload(const device::Batch& batch, const driver::Stream& stream) {
  const Layout layout(most_);
  size_t page_count = 0;
  for (const device::BatchSequence& sequence : batch.sequences) page_count += sequence.pages.size();
  if (cuda_ == nullptr || batch.rows() > most_.rows || batch.sequences.size() > std::max(most_.rows, 1u) ||
      page_count > pages_of(most_))
    return error(ErrorKind::kUsage,
                 "a step of {} rows, {} sequences and {} pages is larger than what was reserved ({} rows, {} pages)",
                 batch.rows(), batch.sequences.size(), page_count, most_.rows, pages_of(most_));
  std::byte* host = host_.data();
  std::copy(batch.tokens.begin(), batch.tokens.end(), reinterpret_cast<int32_t*>(host + layout.tokens));
  std::copy(batch.logit_rows.begin(), batch.logit_rows.end(), reinterpret_cast<uint32_t*>(host + layout.logit_rows));
  auto* positions = reinterpret_cast<uint32_t*>(host + layout.positions);
  auto* row_sequence = reinterpret_cast<uint32_t*>(host + layout.row_sequence);
  auto* ends = reinterpret_cast<uint32_t*>(host + layout.ends);
  auto* places = reinterpret_cast<device::Place*>(host + layout.places);
  auto* sequences = reinterpret_cast<StepSequence*>(host + layout.sequences);
  auto* pages = reinterpret_cast<int32_t*>(host + layout.pages);
  uint32_t first_page = 0;
  for (uint32_t s = 0; s < batch.sequences.size(); ++s) {
    const device::BatchSequence& sequence = batch.sequences[s];
    sequences[s] = {sequence.first_row, sequence.rows, sequence.first_position, first_page};
    for (uint32_t i = 0; i < sequence.rows; ++i) {
      const uint32_t row = sequence.first_row + i, position = sequence.first_position + i;
      positions[row] = position;
      ends[row] = position + 1;
      places[row] = batch.places.empty() ? device::Place{position, position, position} : batch.places[row];
      row_sequence[row] = s;
    }
    std::copy(sequence.pages.begin(), sequence.pages.end(), pages + first_page);
    first_page += static_cast<uint32_t>(sequence.pages.size());
  }
  for (const device::AheadRows& ahead : batch.ahead) std::fill_n(ends + ahead.first_row, ahead.rows, ahead.end);
  const size_t end = layout.pages + page_count * sizeof(int32_t);
  return driver::check(
      cuda_->cuMemcpyHtoDAsync(at_ + layout.tokens, host + layout.tokens, end - layout.tokens, stream.get()),
      "copying the step's tables");
}

Result<const float*> StepTablesBuffer::frequencies(std::span<const float> values, const driver::Stream& stream) {
  const auto address = [&](const Kept& kept) { return reinterpret_cast<const float*>(at_) + kept.at; };
  for (const Kept& kept : kept_)
    if (std::equal(values.begin(), values.end(), kept.values.begin(), kept.values.end())) return address(kept);
  if (kept_values_ + values.size() > kFrequencies)
    return error(ErrorKind::kNoMemory, "no room for {} more rotary frequencies", values.size());
  // The start of host_ mirrors the tables, so the copy's source stays as it is.
  std::byte* host = host_.data() + kept_values_ * sizeof(float);
  std::memcpy(host, values.data(), values.size_bytes());
  TRY(driver::check(
      cuda_->cuMemcpyHtoDAsync(at_ + kept_values_ * sizeof(float), host, values.size_bytes(), stream.get()),
      "copying rotary frequencies"));
  kept_.push_back({{values.begin(), values.end()}, kept_values_});
  kept_values_ += values.size();
  return address(kept_.back());
}

void StepTablesBuffer::make_room() {
  if (kept_values_ < kFrequencies * 3 / 4) return;
  kept_.clear();
  kept_values_ = 0;
}

}  // namespace hearth::cuda
