// Memory of a device for one computation, and single ops on whole arrays of rows: what is before and behind the blocks
// of an encoder, where a step for each op costs nothing that matters. One thread.
#pragma once

#include <span>
#include <vector>

#include "device/device.h"
#include "models/weights.h"

namespace hearth::vision {

// On the device; valid until the bench is cleared.
struct Rows {
  float* data = nullptr;
  uint32_t rows = 0, width = 0;

  // The same memory as rows of another width.
  Rows as(uint32_t other_width) const {
    return {data, static_cast<uint32_t>(uint64_t{rows} * width / other_width), other_width};
  }
  Rows from(uint32_t row) const { return {data + size_t{row} * width, rows - row, width}; }
};

class Workbench {
 public:
  explicit Workbench(device::Device& device) : device_(device) {}

  device::Device& device() { return device_; }
  // What was given may be given again.
  void clear();
  uint64_t bytes() const;  // of device memory, that it holds

  // Errors of all: kNoMemory, kDeviceLost.
  Result<std::byte*> memory(size_t bytes);
  Result<Rows> rows(uint32_t rows, uint32_t width);
  Result<Rows> put(std::span<const float> values, uint32_t width);
  Result<std::vector<float>> get(const Rows& rows);

  Result<Rows> linear(const Rows& in, const models::Linear& linear);
  // linear, activation, linear.
  Result<Rows> two(const Rows& in, const models::Linear& first, device::Activation activation,
                   const models::Linear& second);
  // Norm weights may be absent: `width` values are normalised all the same.
  Result<Rows> norm(const Rows& in, device::NormKind kind, const models::Norm& norm, float epsilon);

  // An operand of these rows in the forms that the weight wants, for one product; as part of a step.
  Result<device::Operand> operand(uint32_t rows, uint32_t width, const device::Matrix& weight);
  // One step of so many rows that have no sequences.
  Status step(uint32_t rows, const std::function<void()>& ops);

 private:
  struct Chunk {
    device::Buffer buffer;
    size_t used = 0;
  };
  device::Device& device_;
  std::vector<Chunk> chunks_;
};

}  // namespace hearth::vision
