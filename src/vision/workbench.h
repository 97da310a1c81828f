// Memory of a device for one computation, steps that are no longer than its pace says, and single ops on whole arrays
// of rows: what is before and behind the blocks of an encoder, where a step for each op costs nothing that matters. One
// thread.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "device/device.h"
#include "models/weights.h"
#include "vision/pace.h"

namespace hearth::vision {

// On the device; valid until the bench is cleared.
struct Rows {
  float* data = nullptr;
  uint32_t rows = 0, width = 0;

  // The same memory as rows of another width.
  Rows as(uint32_t other_width) const {
    return {data, static_cast<uint32_t>(uint64_t{rows} * width / other_width), other_width};
  }
  Rows from(uint32_t row) const { return range(row, rows - row); }
  Rows range(uint32_t first, uint32_t count) const { return {data + size_t{first} * width, count, width}; }
};

// Most rows of a step.
inline constexpr uint32_t kStep_rows = 1024;

class Workbench {
 public:
  Workbench(device::Device& device, Pace pace) : device_(device), pace_(std::move(pace)) {}

  device::Device& device() { return device_; }
  uint64_t steps() const { return steps_; }  // so far
  // What was given may be given again; of more than `most` bytes all goes back to the device.
  void clear(uint64_t most);
  uint64_t bytes() const;                            // of device memory, that it holds
  uint64_t most_used() const { return most_used_; }  // of these, at once, since it was cleared

  // What was given within its life may be given again after that.
  class Scope {
   public:
    explicit Scope(Workbench& bench);
    ~Scope();
    Scope(const Scope&) = delete;

   private:
    Workbench& bench_;
    std::vector<size_t> used_;  // of the chunks
  };

  // Errors of all: kNoMemory, kDeviceLost.
  Result<std::byte*> memory(size_t bytes);
  Result<Rows> rows(uint32_t rows, uint32_t width);
  Result<Rows> put(std::span<const float> values, uint32_t width);
  Result<std::vector<float>> get(const Rows& rows);

  Result<Rows> linear(const Rows& in, const models::Linear& linear);
  // out += what the matrix makes of `in`.
  Status add_linear(const Rows& in, const models::Linear& linear, const Rows& out);
  // linear, activation, linear.
  Result<Rows> two(const Rows& in, const models::Linear& first, device::Activation activation,
                   const models::Linear& second);
  // Norm weights may be absent: `width` values are normalised all the same.
  Result<Rows> norm(const Rows& in, device::NormKind kind, const models::Norm& norm, float epsilon);

  // How many rows of so many operations each the next step has at most.
  uint32_t step_rows(double operations) const;
  // `part` for adjacent ranges of the rows, each of which may be a step.
  Status in_steps(uint32_t rows, double operations, const std::function<Status(uint32_t first, uint32_t rows)>& part);
  // One step, of so many operations in all.
  Status step(const device::Batch& batch, double operations, const std::function<void()>& ops);
  // One of rows that have no sequences, of operations that do not count.
  Status step(uint32_t rows, const std::function<void()>& ops) { return step(rows, 0, ops); }

 private:
  struct Chunk {
    device::Buffer buffer;
    size_t used = 0;
  };
  void write(const Rows& in, const device::Operand& operand);
  // `write` makes the operand of the rows from `first` on.
  using Write = std::function<void(uint32_t first, const device::Operand& operand)>;
  Status project(uint32_t width, const models::Linear& linear, const Rows& out, bool add, const Write& write);
  Status step(uint32_t rows, double operations, const std::function<void()>& ops);

  device::Device& device_;
  Pace pace_;
  uint64_t steps_ = 0, most_used_ = 0;
  std::vector<Chunk> chunks_;
};

}  // namespace hearth::vision
