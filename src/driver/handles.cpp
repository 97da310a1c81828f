#include "driver/handles.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include "base/check.h"
#include "base/checked.h"
#include "base/error.h"

namespace hearth::driver {

Context::Context(Context&& other) noexcept
    : cuda_(std::exchange(other.cuda_, nullptr)), device_(other.device_), raw_(other.raw_) {}

Context& Context::operator=(Context&& other) noexcept {
  std::swap(cuda_, other.cuda_);
  std::swap(device_, other.device_);
  std::swap(raw_, other.raw_);
  return *this;
}

Context::~Context() {
  if (cuda_ != nullptr) (void)cuda_->cuDevicePrimaryCtxRelease(device_);
}

Result<Context> Context::retain(const Cuda& cuda, int ordinal) {
  Context context;
  TRY(check(cuda.cuDeviceGet(&context.device_, ordinal), fmt::format("looking for GPU {}", ordinal)));
  // Only a wish: another user of the context in this process may have made it with other flags already.
  (void)cuda.cuDevicePrimaryCtxSetFlags(context.device_, CU_CTX_SCHED_BLOCKING_SYNC);
  TRY(check(cuda.cuDevicePrimaryCtxRetain(&context.raw_, context.device_),
            fmt::format("opening a context on GPU {}", ordinal)));
  context.cuda_ = &cuda;
  return context;
}

Status Context::reset() {
  TRY(check(cuda_->cuDevicePrimaryCtxReset(device_), "resetting the GPU's context"));
  // The handle died with the context; the reference of retain() did not.
  TRY(check(cuda_->cuDevicePrimaryCtxRetain(&raw_, device_), "opening the GPU's context again"));
  (void)cuda_->cuDevicePrimaryCtxRelease(device_);
  return check(cuda_->cuCtxSetCurrent(raw_), "entering the GPU's context again");
}

Result<Context::Memory> Context::memory() const {
  Memory memory{};
  TRY(check(cuda_->cuMemGetInfo(&memory.free_bytes, &memory.total_bytes), "asking for the GPU's free memory"));
  return memory;
}

Status Context::synchronize() const {
  return check(cuda_->cuCtxSynchronize(), "waiting for the GPU");
}

CurrentContext::CurrentContext(const Context& context) : cuda_(context.cuda()) {
  (void)cuda_.cuCtxGetCurrent(&before_);
  result_ = before_ == context.get() ? CUDA_SUCCESS : cuda_.cuCtxSetCurrent(context.get());
}

CurrentContext::~CurrentContext() {
  (void)cuda_.cuCtxSetCurrent(before_);
}

Result<Stream> Stream::create(const Cuda& cuda) {
  CUstream raw = nullptr;
  TRY(check(cuda.cuStreamCreate(&raw, CU_STREAM_NON_BLOCKING), "creating a stream"));
  return Stream(cuda, raw);
}

Status Stream::synchronize(std::chrono::microseconds spin) const {
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < spin) {
    ASSIGN_OR_RETURN(const bool ended, idle());
    if (ended) return {};
    std::this_thread::yield();  // whoever has work goes first
  }
  return check(cuda_->cuStreamSynchronize(raw_), "waiting for a stream");
}

Result<bool> Stream::idle() const {
  const CUresult result = cuda_->cuStreamQuery(raw_);
  if (result == CUDA_ERROR_NOT_READY) return false;
  TRY(check(result, "asking whether a stream is idle"));
  return true;
}

Status Stream::wait(const Event& event) const {
  return check(cuda_->cuStreamWaitEvent(raw_, event.get(), 0), "making a stream wait for an event");
}

Result<Event> Event::create(const Cuda& cuda, bool timing) {
  CUevent raw = nullptr;
  TRY(check(cuda.cuEventCreate(&raw, CU_EVENT_BLOCKING_SYNC | (timing ? 0 : CU_EVENT_DISABLE_TIMING)),
            "creating an event"));
  return Event(cuda, raw);
}

Status Event::record(const Stream& stream) const {
  return check(cuda_->cuEventRecord(raw_, stream.get()), "recording an event");
}

Status Event::synchronize() const {
  return check(cuda_->cuEventSynchronize(raw_), "waiting for an event");
}

Result<bool> Event::done() const {
  const CUresult result = cuda_->cuEventQuery(raw_);
  if (result == CUDA_ERROR_NOT_READY) return false;
  TRY(check(result, "asking whether an event has come"));
  return true;
}

Result<float> Event::elapsed_ms(const Event& from, const Event& to) {
  float ms = 0;
  TRY(check(from.cuda_->cuEventElapsedTime(&ms, from.raw_, to.raw_), "measuring the time between events"));
  return ms;
}

Result<Module> Module::load(const Cuda& cuda, const void* image, LoadReport* report) {
  std::array<char, 8192> errors{}, infos{};
  const auto number = [](size_t value) { return reinterpret_cast<void*>(value); };
  CUjit_option options[] = {CU_JIT_WALL_TIME, CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                            CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {nullptr, errors.data(), number(errors.size() - 1), infos.data(), number(infos.size() - 1)};
  CUmodule raw = nullptr;
  const CUresult result = cuda.cuModuleLoadDataEx(&raw, image, std::size(options), options, values);
  std::string log = std::string(errors.data()) + infos.data();
  if (const Status status = check(result, "loading the GPU kernels"); !status) {
    while (!log.empty() && log.back() == '\n') log.pop_back();
    std::ranges::replace(log, '\n', ' ');
    if (log.empty()) return status.error();
    Cause cause = status.error().cause;
    cause.detail += fmt::format(" (its compiler says: {})", log);
    return caused(status.error().kind, std::move(cause));
  }
  if (report != nullptr) {
    std::memcpy(&report->compile_ms, &values[0], sizeof report->compile_ms);  // a float in the slot of a pointer
    report->log = std::move(log);
  }
  return Module(cuda, raw);
}

Result<CUfunction> Module::function(const std::string& name) const {
  CUfunction function = nullptr;
  TRY(check(cuda_->cuModuleGetFunction(&function, raw_, name.c_str()), fmt::format("looking up kernel {}", name)));
  return function;
}

Result<Module::Global> Module::global(const std::string& name) const {
  Global global{};
  TRY(check(cuda_->cuModuleGetGlobal(&global.address, &global.bytes, raw_, name.c_str()),
            fmt::format("looking up variable {} of the kernels", name)));
  return global;
}

Status GraphExec::launch(const Stream& stream) const {
  return check(cuda_->cuGraphLaunch(raw_, stream.get()), "launching a graph");
}

Result<Graph> Graph::create(const Cuda& cuda) {
  CUgraph raw = nullptr;
  TRY(check(cuda.cuGraphCreate(&raw, 0), "creating a graph"));
  return Graph(cuda, raw);
}

Result<CUgraphNode> Graph::add_kernel(const CUDA_KERNEL_NODE_PARAMS& kernel,
                                      std::span<const CUgraphNode> waits_for) const {
  CUgraphNode node = nullptr;
  TRY(check(cuda_->cuGraphAddKernelNode(&node, raw_, waits_for.data(), waits_for.size(), &kernel),
            "adding a kernel to a graph"));
  return node;
}

Result<GraphExec> Graph::instantiate() const {
  CUgraphExec executable = nullptr;
  TRY(check(cuda_->cuGraphInstantiate(&executable, raw_, 0), "making a graph ready to launch"));
  return GraphExec(*cuda_, executable);
}

PinnedMemory& PinnedMemory::operator=(PinnedMemory&& other) noexcept {
  std::swap(cuda_, other.cuda_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

PinnedMemory::~PinnedMemory() {
  if (cuda_ != nullptr) (void)cuda_->cuMemFreeHost(data_);
}

Result<PinnedMemory> PinnedMemory::alloc(const Cuda& cuda, size_t bytes) {
  PinnedMemory memory;
  TRY(check(cuda.cuMemHostAlloc(&memory.data_, bytes, CU_MEMHOSTALLOC_PORTABLE),
            fmt::format("the allocation of {} bytes of pinned host memory", bytes)));
  memory.cuda_ = &cuda;
  memory.bytes_ = bytes;
  return memory;
}

namespace {

// What allocations of this size and larger ones are multiples of, with today's drivers.
constexpr size_t kPlainUnit_bytes = 2 << 20;
constexpr const char* kGivingBack = "giving back GPU memory";

std::string allocating(size_t bytes) {
  return fmt::format("the allocation of {} bytes of GPU memory", bytes);
}

CUmemAllocationProp memory_of(CUdevice device) {
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
  return properties;
}

}  // namespace

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(cuda_, other.cuda_);
  std::swap(device_, other.device_);
  std::swap(virtual_, other.virtual_);
  std::swap(address_, other.address_);
  std::swap(granule_bytes_, other.granule_bytes_);
  std::swap(reserved_bytes_, other.reserved_bytes_);
  std::swap(backed_bytes_, other.backed_bytes_);
  std::swap(granules_, other.granules_);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (cuda_ == nullptr) return;
  while (!granules_.empty()) (void)drop_granule();
  (void)release();
  if (virtual_) (void)cuda_->cuMemAddressFree(address_, reserved_bytes_);
}

Result<DeviceMemory> DeviceMemory::reserve(const Cuda& cuda, CUdevice device, size_t bytes, size_t granule_bytes) {
  CHECK(bytes > 0 && granule_bytes > 0);
  int manages = 0;
  TRY(check(cuda.cuDeviceGetAttribute(&manages, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, device),
            "asking whether the GPU manages virtual memory"));
  size_t unit = kPlainUnit_bytes;
  if (manages != 0) {
    const CUmemAllocationProp properties = memory_of(device);
    TRY(check(cuda.cuMemGetAllocationGranularity(&unit, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
              "asking for the unit of GPU memory"));
  }
  if (unit == 0)
    return with_remedy(ErrorKind::kNoDevice, "the GPU driver gives no unit of memory", "reinstall the driver");
  DeviceMemory memory;
  memory.device_ = device;
  memory.virtual_ = manages != 0;
  memory.granule_bytes_ = round_up(granule_bytes, unit);
  memory.reserved_bytes_ = round_up(bytes, memory.granule_bytes_);
  if (memory.virtual_)
    TRY(check(cuda.cuMemAddressReserve(&memory.address_, memory.reserved_bytes_, 0, 0, 0),
              fmt::format("reserving {} bytes of GPU addresses", memory.reserved_bytes_)));
  memory.cuda_ = &cuda;  // from here on the destructor gives it back
  return memory;
}

Status DeviceMemory::grow(size_t bytes) {
  CHECK(bytes <= reserved_bytes_);
  if (bytes <= backed_bytes_) return {};
  return virtual_ ? map_up_to(bytes) : allocate(round_up(bytes, granule_bytes_));
}

Status DeviceMemory::shrink(size_t bytes) {
  if (!virtual_) return bytes == 0 ? release() : Status();
  while (!granules_.empty() && backed_bytes_ - granule_bytes_ >= bytes) TRY(drop_granule());
  return {};
}

Status DeviceMemory::map_up_to(size_t bytes) {
  const size_t before = backed_bytes_;
  Status status;
  while (status && backed_bytes_ < bytes) status = add_granule();
  if (status) {  // access for all at once: a call of its own for each would be slow
    const CUmemAccessDesc access{memory_of(device_).location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    status = check(cuda_->cuMemSetAccess(address_ + before, backed_bytes_ - before, &access, 1),
                   "making GPU memory accessible");
  }
  while (!status && backed_bytes_ > before) (void)drop_granule();
  return status;
}

Status DeviceMemory::add_granule() {
  const CUmemAllocationProp properties = memory_of(device_);
  CUmemGenericAllocationHandle granule = 0;
  TRY(check(cuda_->cuMemCreate(&granule, granule_bytes_, &properties, 0), allocating(granule_bytes_)));
  const CUresult mapped = cuda_->cuMemMap(address_ + backed_bytes_, granule_bytes_, 0, granule, 0);
  if (mapped != CUDA_SUCCESS) {
    (void)cuda_->cuMemRelease(granule);
    return check(mapped, fmt::format("mapping {} bytes of GPU memory", granule_bytes_));
  }
  granules_.push_back(granule);
  backed_bytes_ += granule_bytes_;
  return {};
}

Status DeviceMemory::drop_granule() {
  const CUmemGenericAllocationHandle granule = granules_.back();
  granules_.pop_back();  // whatever the driver answers: it would not answer otherwise the next time
  backed_bytes_ -= granule_bytes_;
  const CUresult unmapped = cuda_->cuMemUnmap(address_ + backed_bytes_, granule_bytes_);
  const CUresult released = cuda_->cuMemRelease(granule);
  return check(unmapped != CUDA_SUCCESS ? unmapped : released, kGivingBack);
}

Status DeviceMemory::allocate(size_t bytes) {
  CUdeviceptr fresh = 0;
  TRY(check(cuda_->cuMemAlloc(&fresh, bytes), allocating(bytes)));
  const Status released = release();
  address_ = fresh;
  backed_bytes_ = bytes;
  return released;
}

Status DeviceMemory::release() {
  if (virtual_ || backed_bytes_ == 0) return {};
  backed_bytes_ = 0;
  return check(cuda_->cuMemFree(std::exchange(address_, 0)), kGivingBack);
}

}  // namespace hearth::driver
