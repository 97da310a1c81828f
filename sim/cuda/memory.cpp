#include "sim/cuda/memory.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"
#include "sim/cuda/handles.h"

namespace hearth::sim::cuda {
namespace {

constexpr std::uint64_t kSmall = 1 << 20;  // allocations below share granules
constexpr std::uint64_t kSmallUnit = 512;
constexpr std::uint64_t kAlignment = 256;  // what cuMemAlloc() promises

std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

exec::DeviceMask mask_of(int device) {
  return exec::DeviceMask{1} << device;
}

}  // namespace

std::uint64_t Memory::used_bytes(int device) const {
  const Accounts& accounts = accounts_[static_cast<std::size_t>(device)];
  return accounts.granules + round_up(accounts.small_bytes, kGranularity);
}

std::uint64_t Memory::growth(int device, std::size_t bytes) const {
  if (bytes >= kSmall) return round_up(bytes, kGranularity);
  const std::uint64_t small = accounts_[static_cast<std::size_t>(device)].small_bytes;
  return round_up(small + round_up(bytes, kSmallUnit), kGranularity) - round_up(small, kGranularity);
}

void Memory::account(int device, std::size_t bytes, bool add) {
  Accounts& accounts = accounts_[static_cast<std::size_t>(device)];
  const bool small = bytes < kSmall;
  const std::uint64_t cost = round_up(bytes, small ? kSmallUnit : kGranularity);
  std::uint64_t& sum = small ? accounts.small_bytes : accounts.granules;
  CHECK(add || sum >= cost);
  sum = add ? sum + cost : sum - cost;
}

void Memory::set_peer_access(int device, int peer, bool allowed) {
  exec::DeviceMask& mask = sees_[static_cast<std::size_t>(peer)];
  mask = allowed ? mask | mask_of(device) : mask & ~mask_of(device);
  for (const auto& [address, allocation] : allocations_) {
    if (allocation.device == peer) CHECK(global_.set_access(address, allocation.bytes, mask, mask));
  }
}

std::uint64_t Memory::allocate(int device, const Context* owner, std::size_t bytes) {
  const auto address = global_.allocate(bytes, kAlignment, sees_[static_cast<std::size_t>(device)], "cuMemAlloc");
  if (!address) return 0;
  allocations_[*address] = {bytes, device, owner};
  account(device, bytes, true);
  return *address;
}

std::optional<int> Memory::free(std::uint64_t address) {
  const auto found = allocations_.find(address);
  if (found == allocations_.end()) return std::nullopt;
  const int device = found->second.device;
  CHECK(global_.free(address));
  account(device, found->second.bytes, false);
  allocations_.erase(found);
  return device;
}

std::optional<Memory::Range> Memory::allocation_at(std::uint64_t address) const {
  auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return std::nullopt;
  --after;
  if (address - after->first >= after->second.bytes) return std::nullopt;
  return Range{after->first, after->second.bytes};
}

void* Memory::allocate_host(const Context* owner, std::size_t bytes) {
  // Pages of their own, which go when they are freed: a host access after that is a fault of the host.
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<std::uint64_t>(data);
  exec::Mapping mapping{address,           bytes,           exec::Backing::of_host(data, bytes), 0, exec::kAllDevices,
                        exec::kAllDevices, "cuMemHostAlloc"};
  CHECK(global_.map(std::move(mapping)));
  host_[address] = {bytes, false, owner};
  return data;
}

void Memory::drop_host(std::map<std::uint64_t, HostRange>::iterator range) {
  CHECK(global_.free(range->first));
  if (!range->second.registered) munmap(reinterpret_cast<void*>(range->first), range->second.bytes);
  host_.erase(range);
}

bool Memory::free_host(const void* address) {
  const auto found = host_.find(reinterpret_cast<std::uint64_t>(address));
  if (found == host_.end() || found->second.registered) return false;
  drop_host(found);
  return true;
}

CUresult Memory::register_host(const Context* owner, void* data, std::size_t bytes, bool read_only) {
  const auto address = reinterpret_cast<std::uint64_t>(data);
  const auto after = host_.lower_bound(address + bytes);
  if (after != host_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second.bytes > address) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  }
  exec::Mapping mapping{address,
                        bytes,
                        exec::Backing::of_host(data, bytes),
                        0,
                        exec::kAllDevices,
                        read_only ? 0 : exec::kAllDevices,
                        "cuMemHostRegister"};
  CHECK(global_.map(std::move(mapping)));
  host_[address] = {bytes, true, owner};
  return CUDA_SUCCESS;
}

CUresult Memory::unregister_host(const void* address) {
  const auto found = host_.find(reinterpret_cast<std::uint64_t>(address));
  if (found == host_.end() || !found->second.registered) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  drop_host(found);
  return CUDA_SUCCESS;
}

bool Memory::is_pinned(std::uint64_t address, std::size_t bytes) const {
  auto after = host_.upper_bound(address);
  if (after == host_.begin()) return false;
  --after;
  const std::uint64_t offset = address - after->first;
  return offset < after->second.bytes && bytes <= after->second.bytes - offset;
}

CUresult Memory::reserve(std::uint64_t& address, std::size_t bytes, std::size_t alignment, std::uint64_t) {
  const bool power_of_two = (alignment & (alignment - 1)) == 0;
  if (bytes == 0 || bytes % kGranularity != 0 || !power_of_two) return CUDA_ERROR_INVALID_VALUE;
  address = global_.reserve(bytes, std::max<std::uint64_t>(alignment, kGranularity));
  if (address == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  reservations_[address] = bytes;
  return CUDA_SUCCESS;
}

CUresult Memory::release_reservation(std::uint64_t address, std::size_t bytes) {
  const auto found = reservations_.find(address);
  if (found == reservations_.end() || found->second != bytes) return CUDA_ERROR_INVALID_VALUE;
  const auto mapped = mapped_.lower_bound(address);
  if (mapped != mapped_.end() && mapped->first < address + bytes) return CUDA_ERROR_INVALID_VALUE;
  reservations_.erase(found);
  return CUDA_SUCCESS;
}

bool Memory::inside_reservation(std::uint64_t address, std::size_t bytes) const {
  auto after = reservations_.upper_bound(address);
  if (after == reservations_.begin()) return false;
  --after;
  const std::uint64_t offset = address - after->first;
  return offset < after->second && bytes <= after->second - offset;
}

CUmemGenericAllocationHandle Memory::create(int device, std::size_t bytes) {
  auto backing = exec::Backing::create(bytes);
  if (!backing) return 0;
  auto physical = std::make_shared<Physical>();
  physical->bytes = bytes;
  physical->device = device;
  physical->backing = std::move(*backing);
  account(device, bytes, true);
  const CUmemGenericAllocationHandle handle = next_handle();
  physical_[handle] = std::move(physical);
  return handle;
}

void Memory::forget_if_unused(const std::shared_ptr<Physical>& physical) {
  if (physical->released && physical->mappings == 0) account(physical->device, physical->bytes, false);
}

std::optional<int> Memory::release(CUmemGenericAllocationHandle handle) {
  const auto found = physical_.find(handle);
  if (found == physical_.end()) return std::nullopt;
  const std::shared_ptr<Physical> physical = found->second;
  physical_.erase(found);
  physical->released = true;
  forget_if_unused(physical);
  return physical->device;
}

CUresult Memory::map(std::uint64_t address, std::size_t bytes, std::size_t offset,
                     CUmemGenericAllocationHandle handle) {
  const auto found = physical_.find(handle);
  if (found == physical_.end()) return CUDA_ERROR_INVALID_VALUE;
  if (bytes == 0 || bytes % kGranularity != 0 || address % kGranularity != 0) return CUDA_ERROR_INVALID_VALUE;
  if (offset != 0) return CUDA_ERROR_INVALID_VALUE;  // "must be zero at the moment", says the reference
  const std::shared_ptr<Physical>& physical = found->second;
  if (bytes > physical->bytes || !inside_reservation(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
  exec::Mapping mapping{address, bytes, physical->backing, 0, 0, 0, "cuMemMap"};
  if (!global_.map(std::move(mapping))) return CUDA_ERROR_INVALID_VALUE;  // something is mapped there
  ++physical->mappings;
  mapped_[address] = {bytes, physical, 0, 0};
  return CUDA_SUCCESS;
}

std::optional<Memory::MappedRange> Memory::whole_mappings(std::uint64_t address, std::size_t bytes) {
  const auto first = mapped_.find(address);
  auto last = first;
  std::uint64_t at = address;
  while (last != mapped_.end() && last->first == at && at < address + bytes) at += (last++)->second.bytes;
  if (bytes == 0 || at != address + bytes) return std::nullopt;
  return MappedRange{first, last};
}

CUresult Memory::unmap(std::uint64_t address, std::size_t bytes) {
  const std::optional<MappedRange> range = whole_mappings(address, bytes);
  if (!range) return CUDA_ERROR_INVALID_VALUE;
  CHECK(global_.unmap(address, bytes));
  for (auto it = range->first; it != range->second; ++it) {
    --it->second.physical->mappings;
    forget_if_unused(it->second.physical);
  }
  mapped_.erase(range->first, range->second);
  return CUDA_SUCCESS;
}

CUresult Memory::set_access(std::uint64_t address, std::size_t bytes, int device, CUmemAccess_flags flags) {
  const bool known = flags == CU_MEM_ACCESS_FLAGS_PROT_NONE || flags == CU_MEM_ACCESS_FLAGS_PROT_READ ||
                     flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  const std::optional<MappedRange> range = whole_mappings(address, bytes);
  if (!known || !range) return CUDA_ERROR_INVALID_VALUE;
  for (auto it = range->first; it != range->second; ++it) {
    Mapped& mapped = it->second;
    // Another device reaches it only if the two can be peers, which unequal cards cannot.
    const bool peer = mapped.physical->device != device;
    if (peer && (sees_[static_cast<std::size_t>(mapped.physical->device)] & mask_of(device)) == 0) {
      return CUDA_ERROR_INVALID_DEVICE;
    }
    const bool read = flags != CU_MEM_ACCESS_FLAGS_PROT_NONE;
    const bool write = flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    mapped.readable = read ? mapped.readable | mask_of(device) : mapped.readable & ~mask_of(device);
    mapped.writable = write ? mapped.writable | mask_of(device) : mapped.writable & ~mask_of(device);
    CHECK(global_.set_access(it->first, mapped.bytes, mapped.readable, mapped.writable));
  }
  return CUDA_SUCCESS;
}

bool Memory::exists(std::uint64_t address, std::size_t bytes) const {
  std::uint64_t at = address;
  while (at - address < bytes) {
    const exec::Mapping* mapping = global_.find(at);
    if (mapping == nullptr || mapping->readable == 0) return false;
    at = mapping->base + mapping->bytes;
  }
  return true;
}

std::optional<int> Memory::device_of(std::uint64_t address) const {
  if (const auto range = allocation_at(address)) return allocations_.at(range->address).device;
  auto after = mapped_.upper_bound(address);
  if (after == mapped_.begin()) return std::nullopt;
  --after;
  if (address - after->first >= after->second.bytes) return std::nullopt;
  return after->second.physical->device;
}

Memory::Holding Memory::held_by(const Context* owner) const {
  Holding held;
  for (const auto& [address, allocation] : allocations_) {
    if (allocation.owner != owner) continue;
    ++held.device_count;
    held.device_bytes += allocation.bytes;
  }
  for (const auto& [address, range] : host_) {
    if (range.owner != owner) continue;
    ++(range.registered ? held.registered_count : held.host_count);
    (range.registered ? held.registered_bytes : held.host_bytes) += range.bytes;
  }
  return held;
}

void Memory::free_all_of(const Context* owner) {
  for (auto it = allocations_.begin(); it != allocations_.end();) {
    const auto next = std::next(it);
    if (it->second.owner == owner) (void)free(it->first);
    it = next;
  }
  for (auto it = host_.begin(); it != host_.end();) {
    const auto next = std::next(it);
    if (it->second.owner == owner) drop_host(it);
    it = next;
  }
}

Memory::VirtualHolding Memory::virtual_holding() const {
  VirtualHolding held;
  for (const auto& [address, bytes] : reservations_) {
    ++held.reservations;
    held.reserved_bytes += bytes;
  }
  for (const auto& [address, mapped] : mapped_) {
    ++held.mappings;
    held.mapped_bytes += mapped.bytes;
  }
  for (const auto& [handle, physical] : physical_) {
    ++held.physical;
    held.physical_bytes += physical->bytes;
  }
  return held;
}

}  // namespace hearth::sim::cuda
