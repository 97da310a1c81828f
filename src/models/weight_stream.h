// A model's weights on their way from the disk to a device: read piece by piece, while the disk reads what lies behind
// them in the file, mostly the tensors that are used next.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "gguf/file.h"

namespace hearth::models {

class WeightStream {
 public:
  explicit WeightStream(const gguf::File& file) : file_(file) {}

  // These bytes of the tensor, good until the next call. Errors: those of gguf::File::read().
  Result<std::span<const std::byte>> read(const gguf::Tensor& tensor, uint64_t at, uint64_t bytes);
  // Copies the tensor, a matrix of this shape, or `parts` of equal rows one above the other (experts), to memory of a
  // device. Gives the matrix there.
  Result<device::Matrix> upload(const gguf::Tensor& tensor, const device::Matrix& shape, uint32_t parts,
                                device::Device& device, std::byte* to);
  // Its bytes come into memory, to be read in the mapped file.
  void bring_in(const gguf::Tensor& tensor);
  // What was read is not needed again: gives its memory back.
  void end() { buffer_ = {}; }

 private:
  void read_ahead(const gguf::Tensor& tensor, uint64_t end);

  const gguf::File& file_;
  std::vector<std::byte> buffer_;
  uint32_t part_ = 0;
  uint64_t asked_ = 0;  // up to here in part `part_` the disk was asked
};

}  // namespace hearth::models
