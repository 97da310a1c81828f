// The CUDA device: ops record launches, finish() runs them.
#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cuda/attention_rows.h"
#include "cuda/cuda_device.h"
#include "cuda/gpu_owner.h"
#include "cuda/graphs.h"
#include "cuda/kernels/args.h"
#include "cuda/matmul.h"
#include "cuda/short_waits.h"
#include "cuda/sizing.h"
#include "cuda/step_tables.h"
#include "cuda/transfer.h"
#include "driver/handles.h"

namespace hearth::cuda {

class CudaDevice final : public device::Device {
 public:
  static Result<std::unique_ptr<CudaDevice>> create(const CudaOptions& options);
  ~CudaDevice() override;

  device::Facts facts() const override { return facts_; }
  device::Limits measure_limits() override;
  Result<device::Buffer> alloc(size_t bytes) override;
  uint64_t free_bytes() const override;
  uint64_t allocated_bytes() const override;
  bool reads_host_memory() const override { return false; }
  Result<device::Matrix> upload_matrix(const device::Matrix& host, uint32_t parts, std::byte* to) override;
  Status upload(std::span<const std::byte> from, std::byte* to) override;
  Status download(const std::byte* from, std::span<std::byte> to) override;

  device::OperandForms operand_forms(const device::Matrix& weight) const override {
    return sizing_.operand_forms(weight);
  }
  size_t operand_bytes(device::OperandForms forms, uint32_t width) const override {
    return sizing_.operand_bytes(forms, width);
  }
  size_t page_bytes(const device::CacheShape& shape) const override { return sizing_.page_bytes(shape); }
  Status supports(const device::CacheShape& shape) const override { return sizing_.supports(shape); }
  uint64_t scratch_bytes(const device::StepShape& most) const override { return sizing_.scratch_bytes(most); }
  uint32_t most_candidates() const override { return sizing_.most_candidates(); }
  void page_to_neutral(const device::CacheShape& shape, const std::byte* page, std::byte* neutral) const override;
  void page_from_neutral(const device::CacheShape& shape, const std::byte* neutral, std::byte* page) const override;
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
  void candidates(const device::CandidatesArgs& args) override;
  Status finish() override;

  const Graphs::Counts& graph_counts() const { return graphs_.counts(); }
  const ModulesView& modules() const { return modules_; }
  uint64_t generation_number() const { return generation().number(); }
  // What the last step launched.
  const LaunchList& launches() const { return list_; }

 private:
  // The kernels that ops launch; those of matrix products are Matmul's.
  struct Functions {
    CUfunction norm, activate, soft_cap, clamp, rotate, merge, route, group, head_slots, combine, candidates, total;
    std::unordered_map<uint32_t, CUfunction> embed;  // by format type
    // Null or missing as long as nobody wanted them:
    CUfunction convolve = nullptr, scan = nullptr, mix = nullptr;
    std::unordered_map<uint32_t, CUfunction> attend;         // by AttendVariant::key()
    std::array<std::array<CUfunction, 3>, 3> chunk, single;  // by cache type and kTensorSizes
  };
  struct Download {
    const std::byte* from;
    std::span<std::byte> to;
  };

  CudaDevice(const driver::Cuda& cuda, const CudaOptions& options, std::unique_ptr<GpuOwner::Membership> membership)
      : cuda_(cuda),
        options_(options),
        membership_(std::move(membership)),
        context_(generation().context()),
        modules_(generation().modules(), options.compiling),
        graphs_(cuda, options.graphs) {}
  Status start();
  Status find_functions();
  // Load kernels that only some models need, if they are not there yet.
  Status prepare(const quant::Format& format);
  Status prepare_recurrent();
  // `size`: of the tensor kernels, or 0.
  Status prepare_attention(const device::CacheShape& shape, uint32_t group, uint32_t size);
  void free(std::byte* data, size_t bytes) override;

  // Runs `work` with the context current. A sticky error makes the device Lost: from then on kDeviceLost at once.
  template <class Work>
  auto in_context(const Work& work) const -> decltype(work());
  GpuGeneration& generation() const { return membership_->generation(); }
  void account();            // tells the ledger what is held
  void fail(Status status);  // an op's failure, told by finish()

  Status run_step();
  void account_time();  // tells the ledger how long the step that has ended kept the card busy
  Result<device::Limits> measure();
  Result<double> seconds_of(const LaunchList& list);

  // Attention over the rows of one kind; see kernels/args.h.
  void attend(const device::AttentionArgs& args, AttentionRows which, RowRange range);
  void launch_all(const AttentionKernelArgs& kernel, const device::CacheShape& shape);
  void launch_single(const AttentionKernelArgs& kernel, const device::CacheShape& shape);
  void launch_chunks(const AttentionKernelArgs& kernel, const device::CacheShape& shape);
  void run_experts(const device::ExpertsArgs& args, uint32_t first_row, uint32_t rows);
  uint32_t rows() const { return batch_->rows(); }

  const driver::Cuda& cuda_;
  const CudaOptions options_;
  device::Facts facts_;
  CudaSizing sizing_;
  // Destroyed in reverse order, with the context current: see the destructor.
  std::unique_ptr<GpuOwner::Membership> membership_;
  const driver::Context& context_;
  ModulesView modules_;
  driver::Stream stream_;
  driver::Event begun_, ended_;  // of a step's kernels
  std::optional<Matmul> matmul_;
  Functions functions_{};
  Transfer transfer_;
  Graphs graphs_;
  ShortWaits short_waits_;
  StepTablesBuffer tables_;
  driver::DeviceMemory table_memory_, scratch_;
  device::StepShape reserved_;

  mutable std::mutex memory_mutex_;
  std::unordered_map<CUdeviceptr, driver::DeviceMemory> buffers_;

  // The step between begin() and finish().
  const device::Batch* batch_ = nullptr;
  LaunchList list_;
  std::vector<Download> downloads_;
  Status failed_;
};

template <class Work>
auto CudaDevice::in_context(const Work& work) const -> decltype(work()) {
  TRY(generation().lost());
  const driver::CurrentContext current(context_);
  TRY(current.status());
  auto result = work();
  if (!result.ok() && result.error().kind == ErrorKind::kDeviceLost) generation().lose(result.error());
  return result;
}

}  // namespace hearth::cuda
