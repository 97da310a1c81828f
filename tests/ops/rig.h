// A device with helpers to hand it inputs and read results, so that a case reads like a formula.
#pragma once

#include <cmath>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "device/device.h"
#include "support/support.h"

namespace hearth::test {

// The same numbers on every device.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  std::vector<float> normal(size_t n, float spread = 1, float mean = 0) {
    std::normal_distribution<float> distribution(mean, spread);
    std::vector<float> values(n);
    for (float& value : values) value = distribution(engine_);
    return values;
  }
  std::vector<float> uniform(size_t n, float least, float most) {
    std::uniform_real_distribution<float> distribution(least, most);
    std::vector<float> values(n);
    for (float& value : values) value = distribution(engine_);
    return values;
  }
  // `n` different numbers below `limit`, in random order.
  std::vector<int32_t> distinct(size_t n, int32_t limit) {
    std::vector<int32_t> all(static_cast<size_t>(limit));
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
    std::shuffle(all.begin(), all.end(), engine_);
    all.resize(n);
    return all;
  }

 private:
  std::mt19937_64 engine_;
};

class Rig {
 public:
  // Most rows of a batch in these tests.
  static constexpr uint32_t kRows = 300;

  // Uploads weights where the device cannot read them in host memory, or if `copies`.
  explicit Rig(device::Device& device, bool copies = false)
      : device_(device), copies_(copies || !device.reads_host_memory()) {
    EXPECT_TRUE(device.reserve(largest_step()).ok());
  }

  // No case has more of anything.
  static device::StepShape largest_step() {
    device::StepShape most;
    most.rows = most.logit_rows = most.sequences = kRows;
    most.context = most.width = most.vocabulary = 1 << 13;
    most.heads = 64;
    most.cache = {device::CacheType::kF32, 64, 512, 512};
    most.experts = 128;
    most.experts_used = 8;
    most.expert_feed_forward = 1 << 10;
    return most;
  }

  device::Device& device() { return device_; }

  float* floats(std::span<const float> values) {
    auto* at = reinterpret_cast<float*>(bytes(values.size() * sizeof(float)));
    EXPECT_TRUE(device::upload_floats(device_, values, at).ok());
    return at;
  }
  float* zeros(size_t n) { return floats(std::vector<float>(n)); }
  device::Vector vector(std::span<const float> values) {
    return {floats(values), static_cast<uint32_t>(values.size())};
  }
  std::byte* bytes(size_t n) {
    auto buffer = device_.alloc(std::max<size_t>(n, 1));
    EXPECT_TRUE(buffer.ok());
    buffers_.push_back(std::move(*buffer));
    return buffers_.back().data();
  }

  // A weight matrix, from host memory that is aligned as in a GGUF file (32 bytes) and ends where the
  // weights end, so that a sanitizer sees reads beyond it.
  // `parts`: as many matrices one above the other (Device::upload_matrix).
  device::Matrix matrix(const quant::Format& format, std::span<const float> values, uint32_t rows, uint32_t cols,
                        uint32_t parts = 1) {
    CHECK(values.size() == size_t{rows} * cols && cols % format.block_values == 0);
    const size_t size = rows * format.bytes(cols);
    void* memory = nullptr;
    CHECK(::posix_memalign(&memory, 64, 32 + size) == 0);
    host_.emplace_back(memory, std::free);
    uint8_t* at = static_cast<uint8_t*>(memory) + 32;
    format.encode(values.data(), values.size(), nullptr, at);
    device::Matrix matrix{&format, at, rows, cols};
    if (!copies_) return matrix;
    const auto uploaded = device_.upload_matrix(matrix, parts, bytes(device_.matrix_bytes(matrix)));
    CHECK(uploaded.ok());
    return *uploaded;
  }
  device::Matrix matrix(const char* format, std::span<const float> values, uint32_t rows, uint32_t cols,
                        uint32_t parts = 1) {
    return matrix(*quant::find_name(format), values, rows, cols, parts);
  }

  device::Operand operand(uint32_t width, uint32_t rows, device::OperandForms forms) {
    return {bytes(rows * device_.operand_bytes(forms, width)), width, forms};
  }
  // An operand that read() can read.
  device::Operand readable_operand(uint32_t width, uint32_t rows) {
    return operand(width, rows, device_.operand_forms(identity(width)));
  }

  // Runs `ops` as one step and waits.
  void step(const device::Batch& batch, const std::function<void()>& ops) {
    device_.begin(batch);
    ops();
    const Status status = device_.finish();
    EXPECT_TRUE(status.ok()) << status.error().message;
  }

  std::vector<float> download(const float* from, size_t n) {
    std::vector<float> values(n);
    EXPECT_TRUE(device::download_floats(device_, from, values).ok());
    return values;
  }
  // The values of an operand: its product with the identity. Inside a step.
  float* read(const device::Operand& operand, uint32_t rows) {
    float* out = zeros(size_t{rows} * operand.width);
    const device::Projection projection{identity(operand.width), {}, out, operand.width};
    device_.project(operand, rows, {&projection, 1});
    return out;
  }

 private:
  device::Matrix identity(uint32_t width) {
    std::vector<float> values(size_t{width} * width);
    for (uint32_t i = 0; i < width; ++i) values[size_t{i} * width + i] = 1;
    return matrix("F32", values, width, width);
  }

  device::Device& device_;
  bool copies_;
  std::vector<device::Buffer> buffers_;
  std::vector<std::unique_ptr<void, void (*)(void*)>> host_;
};

// A batch of one sequence, for ops that do not look at positions. The tokens live as long as the object.
struct PlainBatch {
  explicit PlainBatch(uint32_t rows) : tokens(rows), pages((rows + 31) / 32) {
    batch.tokens = tokens;
    batch.sequences = {{0, rows, 0, pages}};
  }
  PlainBatch(const PlainBatch&) = delete;

  std::vector<int32_t> tokens, pages;
  device::Batch batch;
};

}  // namespace hearth::test
