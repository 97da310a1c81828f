#include "cuda/gpu_owner.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "driver/probe.h"

namespace hearth::cuda {
namespace {

std::string capability_text(uint32_t capability) {
  return fmt::format("{}.{}", capability / 10, capability % 10);
}

constexpr int kOldestCapability = 75;

struct Attributes {
  const driver::Cuda& cuda;
  CUdevice device;
  Status status;

  int operator()(CUdevice_attribute attribute) {
    int value = 0;
    if (status) status = driver::check(cuda.cuDeviceGetAttribute(&value, attribute, device), "asking what the GPU is");
    return value;
  }
};

}  // namespace

Status GpuGeneration::start() {
  ASSIGN_OR_RETURN(context_, driver::Context::retain(cuda_, ordinal_));
  const driver::CurrentContext current(context_);
  TRY(current.status());
  auto memory = context_.memory();
  if (!memory && memory.error().kind == ErrorKind::kDeviceLost) {  // broken by an earlier user in this process
    TRY(context_.reset());
    memory = context_.memory();
  }
  if (!memory) return memory.error();

  Attributes attribute{cuda_, context_.device(), {}};
  char name[256] = {};
  TRY(driver::check(cuda_.cuDeviceGetName(name, sizeof name - 1, context_.device()), "asking for the GPU's name"));
  Chip chip;
  chip.compute_capability = 10 * attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
                            attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  chip.multiprocessors = static_cast<uint32_t>(attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
  chip.shared_bytes_per_block = static_cast<uint32_t>(attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
  chip.shared_bytes_per_multiprocessor =
      static_cast<uint32_t>(attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR));
  chip.reserved_shared_bytes = static_cast<uint32_t>(attribute(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK));
  chip.l2_bytes = static_cast<uint32_t>(attribute(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE));
  const uint64_t clock_khz = static_cast<uint64_t>(attribute(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE));
  const uint64_t bus_bits = static_cast<uint64_t>(attribute(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH));
  TRY(attribute.status);
  if (chip.compute_capability < kOldestCapability)
    return caused(ErrorKind::kUnsupported, {"gpu-too-old-for-hearth",
                                            {{"gpu", name},
                                             {"capability", capability_text(chip.compute_capability)},
                                             {"needed", capability_text(kOldestCapability)}}});
  modules_.emplace(cuda_, context_, chip, embedded_images());
  facts_.name = fmt::format("GPU {} ({})", ordinal_,
                            std::string_view(name).starts_with("NVIDIA") ? name : fmt::format("NVIDIA {}", name));
  facts_.ordinal = ordinal_;
  facts_.id = driver::uuid_of(cuda_, context_.device());
  if (facts_.id.empty()) facts_.id = facts_.name;
  facts_.memory_bytes = memory->total_bytes;
  facts_.bandwidth_bytes_per_s = 2 * clock_khz * 1000 * (bus_bits / 8);  // double data rate
  return {};
}

GpuGeneration::~GpuGeneration() {
  if (!modules_) return;
  const driver::CurrentContext current(context_);
  modules_.reset();
}

Status GpuGeneration::lost() const {
  if (!is_lost_.load(std::memory_order_acquire)) return {};
  const std::lock_guard lock(mutex_);
  return *loss_;
}

void GpuGeneration::lose(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (loss_) return;
  loss_ = error;
  is_lost_.store(true, std::memory_order_release);
  log_info("{} is lost for all that is on it: {}", facts_.name, error.message);
}

GpuOwner& GpuOwner::of(const driver::Cuda& cuda, int ordinal) {
  static std::mutex mutex;
  static auto& owners = *new std::map<int, std::unique_ptr<GpuOwner>>;  // never ends: devices may be static too
  const std::lock_guard lock(mutex);
  std::unique_ptr<GpuOwner>& owner = owners[ordinal];
  if (owner == nullptr) owner.reset(new GpuOwner(cuda, ordinal));
  return *owner;
}

Result<std::unique_ptr<GpuOwner::Membership>> GpuOwner::join(const std::string& holder,
                                                             std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  std::shared_ptr<GpuGeneration> generation;
  {
    std::unique_lock lock(mutex_);
    while (true) {
      left_.wait(lock, [&] { return !starting_; });
      generation = current_.lock();
      if (generation == nullptr || generation->lost().ok()) break;
      generation.reset();
      if (left_.wait_until(lock, end) == std::cv_status::timeout && !current_.expired()) return still_held();
    }
    if (generation == nullptr) {
      ASSIGN_OR_RETURN(generation, begin(lock));
    }
  }
  return std::make_unique<Membership>(*this, std::move(generation), holder);
}

// Opening a context may take long, and meanwhile others want to know who holds what.
Result<std::shared_ptr<GpuGeneration>> GpuOwner::begin(std::unique_lock<std::mutex>& lock) {
  auto generation = std::make_shared<GpuGeneration>(cuda_, ordinal_, generations_ + 1);
  starting_ = true;
  lock.unlock();
  const Status started = generation->start();
  lock.lock();
  starting_ = false;
  left_.notify_all();
  TRY(started);
  ++generations_;
  current_ = generation;
  return generation;
}

Error GpuOwner::still_held() const {
  std::set<std::string> holders;
  for (const Holding& holding : holdings_) holders.insert(holding.holder);
  return error(ErrorKind::kDeviceLost,
               "GPU {} was lost, and cannot be made anew while {} still hold{} what is left of it", ordinal_,
               fmt::join(holders, " and "), holders.size() == 1 ? "s" : "");
}

std::vector<GpuOwner::Holding> GpuOwner::holdings() const {
  const std::lock_guard lock(mutex_);
  return {holdings_.begin(), holdings_.end()};
}

uint64_t GpuOwner::generations() const {
  const std::lock_guard lock(mutex_);
  return generations_;
}

std::chrono::nanoseconds GpuOwner::busy() const {
  const std::lock_guard lock(mutex_);
  return busy_;
}

GpuOwner::Membership::Membership(GpuOwner& owner, std::shared_ptr<GpuGeneration> generation, const std::string& holder)
    : owner_(owner), generation_(std::move(generation)) {
  const std::lock_guard lock(owner_.mutex_);
  holding_ = owner_.holdings_.insert(owner_.holdings_.end(), {holder, generation_->number(), 0});
}

GpuOwner::Membership::~Membership() {
  {
    const std::lock_guard lock(owner_.mutex_);
    owner_.holdings_.erase(holding_);
    generation_.reset();  // if it is the last, nobody may begin the next one before this has ended
  }
  owner_.left_.notify_all();
}

void GpuOwner::Membership::set_bytes(uint64_t bytes) {
  const std::lock_guard lock(owner_.mutex_);
  holding_->bytes = bytes;
}

void GpuOwner::Membership::computed(std::chrono::steady_clock::time_point begun,
                                    std::chrono::steady_clock::time_point ended) {
  const std::lock_guard lock(owner_.mutex_);
  if (ended <= owner_.busy_until_) return;
  owner_.busy_ += ended - std::max(begun, owner_.busy_until_);
  owner_.busy_until_ = ended;
}

}  // namespace hearth::cuda
