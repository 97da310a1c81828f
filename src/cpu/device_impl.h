// The CPU device: splits ops into items for the thread pool and calls the kernels of one instruction set.
#pragma once

#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "base/host_owner.h"
#include "cpu/cpu_device.h"
#include "cpu/kernel_table.h"
#include "device/device.h"

namespace hearth::cpu {

class CpuDevice final : public device::Device {
 public:
  CpuDevice(std::shared_ptr<HostOwner::Member> host, const KernelTable& kernels)
      : host_(std::move(host)), kernels_(kernels) {}
  ~CpuDevice() override;

  device::Facts facts() const override;
  device::Limits measure_limits() override;
  Result<device::Buffer> alloc(size_t bytes) override;
  Status promise(uint64_t bytes) override;
  uint64_t free_bytes() const override;
  uint64_t allocated_bytes() const override { return allocated_bytes_; }
  bool reads_host_memory() const override { return true; }
  Status upload(std::span<const std::byte> from, std::byte* to) override;
  Result<device::Matrix> upload_matrix(const device::Matrix& host, uint32_t parts, std::byte* to) override;
  Status download(const std::byte* from, std::span<std::byte> to) override;
  device::OperandForms operand_forms(const device::Matrix& weight) const override;
  size_t operand_bytes(device::OperandForms forms, uint32_t width) const override {
    return operand_row_bytes(forms, width);
  }
  size_t page_bytes(const device::CacheShape& shape) const override;
  Status supports(const device::CacheShape& shape) const override;
  void page_to_neutral(const device::CacheShape& shape, const std::byte* page, std::byte* neutral) const override;
  void page_from_neutral(const device::CacheShape& shape, const std::byte* neutral, std::byte* page) const override;
  // What products of float weights with many rows pack, the size of one operand (in bfloats half as much again), is taken
  // when it is first needed: the host has no exact promise to keep.
  uint64_t scratch_bytes(const device::StepShape&) const override { return 0; }
  Status reserve(const device::StepShape& most) override;

  void begin(const device::Batch& batch) override;
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
  Status finish() override;

 private:
  void norm_part(const device::NormArgs& args, uint32_t row, const float* in, const float* weight, float* out) const;

  // One weight times chosen activation rows; pointers per activation row.
  struct Product {
    device::Matrix weight;
    device::Vector bias;
    bool add, bulk;
    uint32_t count;
    const QuantBlock* const* blocks;
    const float* const* floats;
    float* const* out;
    std::optional<size_t> packed = {};  // where its activations begin in packed_
  };
  struct PanelOf {
    const Product* product;
    uint32_t begin, end;  // rows of its weight
  };
  struct PackedRows {
    const Packing* packing;
    const float* const* rows;
    uint32_t count, cols, pieces;
    size_t at;  // in packed_, in floats
  };
  // cosine and sine of every row's position and pair: [row][dims / 2] each.
  struct RotationTable {
    const device::Rope* rope;
    std::vector<float> cosines, sines;
  };

  // A turn for a part of an upload; inside a step of this device's that has the turn already.
  class Slice {
   public:
    explicit Slice(const CpuDevice& device) : host_(device.batch_ == nullptr ? device.host_.get() : nullptr) {
      if (host_ != nullptr) host_->begin_slice();
    }
    ~Slice() {
      if (host_ != nullptr) host_->end_slice();
    }
    Slice(const Slice&) = delete;

   private:
    HostOwner::Member* const host_;
  };

  void free(std::byte* data, size_t bytes) override;
  void multiply(std::span<Product> products);
  void pack(std::span<Product> products);
  uint32_t bulk_panel_rows(uint32_t rows) const;
  float* packed_at(size_t at) const { return reinterpret_cast<float*>(packed_.data()) + at; }
  void multiply_panel(const Product& product, uint32_t begin, uint32_t end) const;
  // Completes a row of an operand whose float values are in `values` (which may be the operand's own).
  void write_operand(const device::Operand& operand, uint32_t row, const float* values) const;
  // Where to compute a row of an operand: its own float part, or this thread's scratch.
  float* operand_scratch(const device::Operand& operand, uint32_t row);
  const RotationTable& rotations(const device::Rope& rope);
  // Rows [first, first + rows) of the batch through their experts, and the three parts of that (cpu_experts.cpp).
  void run_experts(const device::ExpertsArgs& args, uint32_t first, uint32_t rows);
  struct ExpertStep;
  void reserve_experts(ExpertStep& step);
  void choose_experts(ExpertStep& step);
  void multiply_experts(ExpertStep& step);
  void activate_experts(ExpertStep& step);

  const std::shared_ptr<HostOwner::Member> host_;
  MemoryLedger::Promise promise_;
  std::atomic<uint64_t> allocated_bytes_ = 0;
  const KernelTable& kernels_;
  const device::Batch* batch_ = nullptr;  // null outside steps
  // Per row of the batch: its place in the sequence, and the sequence's in batch_->sequences; how far it sees.
  std::vector<uint32_t> positions_, sequence_of_row_, own_ends_, ends_;
  std::vector<RotationTable> rotations_;
  size_t rotations_used_ = 0;
  std::vector<Product> products_;
  std::vector<PanelOf> panels_;
  std::vector<PackedRows> packed_rows_;
  device::Buffer packed_;
  std::vector<const QuantBlock*> block_rows_;
  std::vector<const float*> float_rows_;
  std::vector<float*> out_rows_;
  std::vector<AttentionBlock> attention_blocks_;
  std::vector<float> attention_out_, expert_values_;
  std::vector<std::byte> expert_operands_;
};

}  // namespace hearth::cpu
