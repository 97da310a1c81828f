// A device that does every op in the plainest way: scalar loops, sums in double, weights decoded by
// quant::Format::decode, one row at a time. It is what other devices are compared with.
//
// Operands are float32; a cache page is float32, rounded through the cache type it stands for.
#pragma once

#include <memory>
#include <vector>

#include "device/device.h"

namespace hearth::test {

class ReferenceDevice final : public device::Device {
 public:
  // `memory_bytes` is what facts() tells; allocations beyond it fail.
  explicit ReferenceDevice(uint64_t memory_bytes = uint64_t{8} << 30) : memory_bytes_(memory_bytes) {}
  ~ReferenceDevice() override;

  device::Facts facts() const override { return {"reference", memory_bytes_}; }
  Result<device::Buffer> alloc(size_t bytes) override;
  uint64_t free_bytes() const override { return memory_bytes_ - allocated_bytes_; }
  uint64_t allocated_bytes() const override { return allocated_bytes_; }
  bool reads_host_memory() const override { return true; }
  Status upload(std::span<const std::byte> from, std::byte* to) override;
  Status download(const std::byte* from, std::span<std::byte> to) override;

  device::OperandForms operand_forms(const device::Matrix&) const override { return 1; }
  size_t operand_bytes(device::OperandForms, uint32_t width) const override { return width * sizeof(float); }
  size_t page_bytes(const device::CacheShape& shape) const override;
  Status supports(const device::CacheShape& shape) const override;
  void page_to_neutral(const device::CacheShape& shape, const std::byte* page, std::byte* neutral) const override;
  void page_from_neutral(const device::CacheShape& shape, const std::byte* neutral, std::byte* page) const override;
  uint64_t scratch_bytes(const device::StepShape&) const override { return 0; }
  Status reserve(const device::StepShape&) override { return {}; }

  void begin(const device::Batch& batch) override { batch_ = &batch; }
  void embed(const device::EmbedArgs& args) override;
  void norm(const device::NormArgs& args) override;
  void project(const device::Operand& in, uint32_t rows, std::span<const device::Projection> outs) override;
  void project_heads(const device::HeadProjection& args) override;
  void rotate_append(const device::RotateAppendArgs& args) override;
  void attention(const device::AttentionArgs& args) override;
  void mix(const device::MixArgs& args) override;
  void convolve(const device::ConvolveArgs& args) override;
  void scan(const device::ScanArgs& args) override;
  void activate(const device::ActivateArgs& args) override;
  void experts(const device::ExpertsArgs& args) override;
  void soft_cap(float* values, uint32_t rows, uint32_t width, float cap) override;
  void clamp(float* values, uint32_t rows, uint32_t width, float least, float most) override;
  uint32_t most_candidates() const override { return device::kMost_candidates; }
  void candidates(const device::CandidatesArgs& args) override;
  Status finish() override;

  // What a cached vector of this type gives back.
  static void round_through(device::CacheType type, std::span<float> values);

 private:
  void free(std::byte* data, size_t bytes) override;

  uint64_t memory_bytes_, allocated_bytes_ = 0;
  const device::Batch* batch_ = nullptr;
};

}  // namespace hearth::test
