// Start, memory and the step of the CUDA device.
#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"
#include "cuda/attend_variant.h"
#include "cuda/device_impl.h"
#include "cuda/scratch.h"

namespace hearth::cuda {
namespace {

constexpr size_t kTableAddresses_bytes = size_t{1} << 30, kScratchAddresses_bytes = size_t{1} << 30;
// Other models on a card notice its loss within a step, or a second where they are idle.
constexpr std::chrono::seconds kPatience{30};

CUdeviceptr address_of(const std::byte* at) {
  return reinterpret_cast<CUdeviceptr>(at);
}

device::StepShape largest(const device::StepShape& a, const device::StepShape& b) {
  device::StepShape most = a;
  const auto take = [](uint32_t& to, uint32_t value) { to = std::max(to, value); };
  take(most.rows, b.rows);
  take(most.logit_rows, b.logit_rows);
  take(most.sequences, b.sequences);
  take(most.context, b.context);
  take(most.width, b.width);
  take(most.vocabulary, b.vocabulary);
  take(most.heads, b.heads);
  take(most.cache.kv_heads, b.cache.kv_heads);
  take(most.cache.key_dim, b.cache.key_dim);
  take(most.cache.value_dim, b.cache.value_dim);
  take(most.experts, b.experts);
  take(most.experts_used, b.experts_used);
  take(most.expert_feed_forward, b.expert_feed_forward);
  return most;
}

}  // namespace

bool has_kernels() {
  return !embedded_images().empty();
}

Result<std::unique_ptr<device::Device>> create_device(const CudaOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<CudaDevice> device, CudaDevice::create(options));
  return std::unique_ptr<device::Device>(std::move(device));
}

Result<std::unique_ptr<CudaDevice>> CudaDevice::create(const CudaOptions& options) {
  if (!has_kernels())
    return error(ErrorKind::kUnsupported, "this build has no CUDA kernels (nvcc was not found when hearth was built)");
  ASSIGN_OR_RETURN(const driver::Cuda* const cuda, driver::Cuda::open());
  ASSIGN_OR_RETURN(auto membership, GpuOwner::of(*cuda, options.ordinal).join(options.holder, kPatience));
  std::unique_ptr<CudaDevice> device(new CudaDevice(*cuda, options, std::move(membership)));
  TRY(device->in_context([&] { return device->start(); }));
  return device;
}

Status CudaDevice::start() {
  ASSIGN_OR_RETURN(stream_, driver::Stream::create(cuda_));
  ASSIGN_OR_RETURN(begun_, driver::Event::create(cuda_, true));
  ASSIGN_OR_RETURN(ended_, driver::Event::create(cuda_, true));
  ASSIGN_OR_RETURN(transfer_, Transfer::create(cuda_));
  TRY(find_functions());
  ASSIGN_OR_RETURN(table_memory_, driver::DeviceMemory::reserve(cuda_, context_.device(), kTableAddresses_bytes));
  ASSIGN_OR_RETURN(scratch_, driver::DeviceMemory::reserve(cuda_, context_.device(), kScratchAddresses_bytes));
  matmul_.emplace(modules_);

  facts_ = generation().facts();
  if (!table_memory_.is_virtual())
    log_info("{} manages no virtual memory: what is allocated on it cannot grow in its place", facts_.name);
  facts_.granularity_bytes = table_memory_.granule_bytes();
  sizing_ = CudaSizing(facts_.granularity_bytes);
  account();
  return {};
}

CudaDevice::~CudaDevice() {
  CHECK(buffers_.empty());  // they are freed through this object
  const driver::CurrentContext current(context_);
  if (current.status() && stream_) (void)cuda_.cuStreamSynchronize(stream_.get());
  graphs_.clear();
  matmul_.reset();
  tables_ = {};
  transfer_ = {};
  begun_ = {};
  ended_ = {};
  stream_ = {};
  scratch_ = {};
  table_memory_ = {};
}

void CudaDevice::account() {
  membership_->set_bytes(allocated_bytes());
}

void CudaDevice::fail(Status status) {
  if (failed_) failed_ = std::move(status);
}

Result<device::Buffer> CudaDevice::alloc(size_t bytes) {
  return in_context([&]() -> Result<device::Buffer> {
    const size_t unit = facts_.granularity_bytes, whole = round_up(std::max<size_t>(bytes, 1), unit);
    const uint64_t free = free_bytes();
    auto memory = driver::DeviceMemory::reserve(cuda_, context_.device(), whole, whole);
    Status grown = memory ? memory->grow(whole) : Status(memory.error());
    if (!grown) {
      if (grown.error().kind != ErrorKind::kNoMemory) return grown.error();
      Cause cause = grown.error().cause;
      cause.during =
          fmt::format("cannot allocate {} bytes on {} ({} free): {}", bytes, facts_.name, free, cause.during);
      return caused(ErrorKind::kNoMemory, std::move(cause));
    }
    const CUdeviceptr address = memory->address();
    {
      const std::lock_guard lock(memory_mutex_);
      buffers_.emplace(address, std::move(*memory));
    }
    account();
    return device::Buffer(this, reinterpret_cast<std::byte*>(address), whole);
  });
}

void CudaDevice::free(std::byte* data, size_t) {
  // Copies into it may still be under way.
  (void)in_context([&]() -> Status {
    TRY(transfer_.order(stream_));
    return stream_.synchronize();
  });
  {
    const driver::CurrentContext current(context_);
    const std::lock_guard lock(memory_mutex_);
    buffers_.erase(address_of(data));
  }
  account();
}

uint64_t CudaDevice::free_bytes() const {
  const auto memory = in_context([&] { return context_.memory(); });
  return memory ? memory->free_bytes : 0;
}

uint64_t CudaDevice::allocated_bytes() const {
  const std::lock_guard lock(memory_mutex_);
  uint64_t total = table_memory_.backed_bytes() + scratch_.backed_bytes();
  for (const auto& [address, memory] : buffers_) total += memory.backed_bytes();
  return total;
}

Status CudaDevice::prepare(const quant::Format& format) {
  if (matmul_->prepared(format)) return {};
  return in_context([&] { return matmul_->prepare(format); });
}

// With the weights come the kernels that multiply them: while a model is loaded there is time for a compiler.
Result<device::Matrix> CudaDevice::upload_matrix(const device::Matrix& host, uint32_t parts, std::byte* to) {
  TRY(prepare(*host.format));
  return Device::upload_matrix(host, parts, to);
}

Status CudaDevice::upload(std::span<const std::byte> from, std::byte* to) {
  return in_context([&] { return transfer_.upload(from, address_of(to)); });
}

Status CudaDevice::download(const std::byte* from, std::span<std::byte> to) {
  if (batch_ != nullptr) {
    downloads_.push_back({from, to});
    return {};
  }
  return in_context([&] { return transfer_.download(address_of(from), to, stream_); });
}

Status CudaDevice::reserve(const device::StepShape& most) {
  const Status status = in_context([&]() -> Status {
    TRY(stream_.synchronize());
    if (most.rows == 0) {
      reserved_ = {};
      tables_ = {};
      TRY(scratch_.shrink(0));
      return table_memory_.shrink(0);
    }
    const device::StepShape wanted = largest(reserved_, most);
    TRY(table_memory_.grow(StepTablesBuffer::bytes(wanted)));
    TRY(scratch_.grow(scratch_need(wanted)));
    TRY(tables_.lay_out(cuda_, table_memory_.address(), wanted));
    reserved_ = wanted;
    if (most.heads > 0 && most.cache.kv_heads > 0 && supports(most.cache))
      return prepare_attention(most.cache, most.heads / most.cache.kv_heads,
                               tensor_size(most.cache, most.heads / most.cache.kv_heads));
    return {};
  });
  account();
  return status;
}

void CudaDevice::begin(const device::Batch& batch) {
  batch_ = &batch;
  list_.clear();
  downloads_.clear();
  failed_ = {};
  fail(in_context([&]() -> Status {
    tables_.make_room();
    return tables_.upload(batch, stream_);
  }));
}

Status CudaDevice::finish() {
  Status status = std::move(failed_);
  failed_ = {};
  if (status) status = in_context([&] { return run_step(); });
  // What was queued before a failure still uses the step's memory.
  if (!status) (void)in_context([&] { return stream_.synchronize(); });
  batch_ = nullptr;
  return status;
}

Status CudaDevice::run_step() {
  TRY(transfer_.order(stream_));
  TRY(begun_.record(stream_));
  TRY(graphs_.run(list_, stream_));
  TRY(ended_.record(stream_));
  const auto start = std::chrono::steady_clock::now();
  const std::chrono::microseconds spin = short_waits_.spin();
  for (const Download& download : downloads_)
    TRY(transfer_.download(address_of(download.from), download.to, stream_, spin));
  TRY(stream_.synchronize(spin));
  short_waits_.took(std::chrono::steady_clock::now() - start);
  account_time();
  return {};
}

// The events tell how long, the host's clock when: two streams' times can so be laid beside each other.
void CudaDevice::account_time() {
  const auto now = std::chrono::steady_clock::now();
  const auto took_ms = driver::Event::elapsed_ms(begun_, ended_);
  if (!took_ms) return;
  const auto took = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<float, std::milli>(*took_ms));
  membership_->computed(now - took, now);
}

}  // namespace hearth::cuda
