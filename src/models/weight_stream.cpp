#include "models/weight_stream.h"

#include <algorithm>

#include "models/sound.h"

namespace hearth::models {
namespace {

// Enough to keep a disk busy while a piece is copied, and little beside a model.
constexpr uint64_t kAhead_bytes = 64 << 20;
// Of a matrix at a time: little beside a model, and enough that starting all threads on it takes no time.
constexpr uint64_t kPiece_bytes = 16 << 20;

}  // namespace

void WeightStream::read_ahead(const gguf::Tensor& tensor, uint64_t end) {
  const bool goes_on = tensor.part == part_ && asked_ >= end && asked_ - end <= kAhead_bytes;
  if (!goes_on) asked_ = end;
  part_ = tensor.part;
  if (asked_ - end >= kAhead_bytes / 2) return;  // in large pieces, of which each is asked for once
  file_.read_ahead(tensor, asked_ - tensor.offset, kAhead_bytes);
  asked_ += kAhead_bytes;
}

Result<std::span<const std::byte>> WeightStream::read(const gguf::Tensor& tensor, uint64_t at, uint64_t bytes) {
  read_ahead(tensor, tensor.offset + at + bytes);
  if (buffer_.size() < bytes) buffer_.resize(bytes);
  const std::span<std::byte> piece = std::span(buffer_).first(bytes);
  TRY(file_.read(tensor, at, piece));
  return std::span<const std::byte>(piece);
}

Result<device::Matrix> WeightStream::upload(const gguf::Tensor& tensor, const device::Matrix& shape, uint32_t parts,
                                            device::Device& device, std::byte* to) {
  constexpr uint32_t kGroup = device::kUpload_rows;
  const uint64_t row_bytes = shape.row_bytes();
  const uint32_t part_rows = shape.rows / parts;
  const auto piece_rows = static_cast<uint32_t>(std::max<uint64_t>(1, kPiece_bytes / row_bytes / kGroup)) * kGroup;
  device::Matrix uploaded = shape;
  for (uint32_t row = 0, rows; row < shape.rows; row += rows) {
    rows = std::min(piece_rows, part_rows - row % part_rows);
    const uint64_t offset = row * row_bytes;
    ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, read(tensor, offset, rows * row_bytes));
    TRY(check_sound(file_, tensor, bytes));
    device::Matrix piece = shape;
    piece.rows = rows;
    piece.data = reinterpret_cast<const uint8_t*>(bytes.data());
    ASSIGN_OR_RETURN(const device::Matrix there, device.upload_matrix(piece, 1, to + offset));
    uploaded.interleaved = there.interleaved;
  }
  uploaded.data = reinterpret_cast<const uint8_t*>(to);
  return uploaded;
}

void WeightStream::bring_in(const gguf::Tensor& tensor) {
  read_ahead(tensor, tensor.offset + tensor.bytes);
  file_.bring_in(tensor);
}

}  // namespace hearth::models
