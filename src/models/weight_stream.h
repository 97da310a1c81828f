// A model's weights on their way from the disk: a tensor is brought in just before it is used and given back once there
// is a copy of it, while the disk reads what lies behind it in the file, mostly the tensors that are used next.
#pragma once

#include "gguf/file.h"

namespace hearth::models {

class WeightStream {
 public:
  explicit WeightStream(const gguf::File& file) : file_(file) {}

  void bring_in(const gguf::Tensor& tensor);
  void release(const gguf::Tensor& tensor) { file_.release(tensor); }

 private:
  const gguf::File& file_;
  uintptr_t asked_ = 0;  // up to here in memory the disk was asked
};

}  // namespace hearth::models
