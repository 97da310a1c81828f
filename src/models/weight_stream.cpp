#include "models/weight_stream.h"

namespace hearth::models {
namespace {

// Enough to keep a disk busy while a tensor is copied, and little beside a model.
constexpr uintptr_t kAhead_bytes = 64 << 20;

}  // namespace

void WeightStream::bring_in(const gguf::Tensor& tensor) {
  const uintptr_t end = reinterpret_cast<uintptr_t>(tensor.data) + tensor.bytes;
  const bool goes_on = asked_ >= end && asked_ - end <= kAhead_bytes;
  if (!goes_on) asked_ = end;
  if (asked_ - end < kAhead_bytes / 2) {  // in large pieces, of which each is asked for once
    file_.read_ahead(reinterpret_cast<const uint8_t*>(asked_), kAhead_bytes);
    asked_ += kAhead_bytes;
  }
  file_.bring_in(tensor);
}

}  // namespace hearth::models
