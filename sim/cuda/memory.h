// The process's address space: device memory, pinned host memory, and virtual memory management. Addresses are given
// once, so that one used after its memory is gone is always noticed.
//
// What memory costs follows hardware: allocations of 1 MiB and more take whole granules of 2 MiB; smaller ones share
// granules, each rounded up to 512 bytes. Physical memory of cuMemCreate() comes in granules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "driver/cuda_abi.h"
#include "sim/exec/memory.h"

namespace hearth::sim::cuda {

struct Context;

inline constexpr std::uint64_t kGranularity = 2 << 20;

class Memory {
 public:
  explicit Memory(int devices) : accounts_(static_cast<std::size_t>(devices)), sees_(accounts_.size()) {
    for (std::size_t i = 0; i < sees_.size(); ++i) sees_[i] = exec::DeviceMask{1} << i;
  }

  exec::GlobalMemory& global() { return global_; }
  // Whether kernels of `device` may use what cuMemAlloc() gives on `peer`, now and later.
  void set_peer_access(int device, int peer, bool allowed);

  std::uint64_t used_bytes(int device) const;
  std::uint64_t growth(int device, std::size_t bytes) const;  // of used_bytes() by an allocation of that size

  // Device memory. The caller has made sure that there is room on the device; 0: the host has none.
  std::uint64_t allocate(int device, const Context* owner, std::size_t bytes);
  // Memory of the device that is taken without an address here: module variables.
  void take(int device, std::size_t bytes) { account(device, bytes, true); }
  void give(int device, std::size_t bytes) { account(device, bytes, false); }
  std::optional<int> free(std::uint64_t address);  // the device it was on; nullopt: not the start of an allocation
  struct Range {
    std::uint64_t address = 0;
    std::size_t bytes = 0;
  };
  std::optional<Range> allocation_at(std::uint64_t address) const;

  // Pinned host memory. Null: no memory.
  void* allocate_host(const Context* owner, std::size_t bytes);
  bool free_host(const void* address);
  CUresult register_host(const Context* owner, void* address, std::size_t bytes, bool read_only);
  CUresult unregister_host(const void* address);
  bool is_pinned(std::uint64_t address, std::size_t bytes) const;

  // Virtual memory management, as the driver's functions of these names.
  CUresult reserve(std::uint64_t& address, std::size_t bytes, std::size_t alignment, std::uint64_t wanted);
  CUresult release_reservation(std::uint64_t address, std::size_t bytes);
  CUmemGenericAllocationHandle create(int device, std::size_t bytes);  // 0: the host has no memory
  std::optional<int> release(CUmemGenericAllocationHandle handle);     // the device; nullopt: not a handle
  CUresult map(std::uint64_t address, std::size_t bytes, std::size_t offset, CUmemGenericAllocationHandle handle);
  CUresult unmap(std::uint64_t address, std::size_t bytes);
  CUresult set_access(std::uint64_t address, std::size_t bytes, int device, CUmemAccess_flags flags);

  // For copies: all bytes lie in memory that some device may access (pinned host memory is such memory).
  bool exists(std::uint64_t address, std::size_t bytes) const;
  static bool is_device_address(std::uint64_t address) { return address >= exec::kDeviceBase; }
  std::optional<int> device_of(std::uint64_t address) const;

  // For reports of what was never freed.
  struct Holding {
    std::size_t device_count = 0, host_count = 0, registered_count = 0;
    std::uint64_t device_bytes = 0, host_bytes = 0, registered_bytes = 0;
  };
  Holding held_by(const Context* owner) const;
  void free_all_of(const Context* owner);
  struct VirtualHolding {
    std::size_t reservations = 0, mappings = 0, physical = 0;
    std::uint64_t reserved_bytes = 0, mapped_bytes = 0, physical_bytes = 0;
  };
  VirtualHolding virtual_holding() const;

 private:
  struct Allocation {
    std::size_t bytes = 0;
    int device = 0;
    const Context* owner = nullptr;
  };
  struct HostRange {
    std::size_t bytes = 0;
    bool registered = false;
    const Context* owner = nullptr;
  };
  struct Physical {
    std::size_t bytes = 0;
    int device = 0;
    int mappings = 0;
    bool released = false;  // by the program; the memory stays while it is mapped
    std::shared_ptr<exec::Backing> backing;
  };
  struct Mapped {
    std::size_t bytes = 0;
    std::shared_ptr<Physical> physical;
    exec::DeviceMask readable = 0, writable = 0;
  };
  using MappedRange = std::pair<std::map<std::uint64_t, Mapped>::iterator, std::map<std::uint64_t, Mapped>::iterator>;

  void account(int device, std::size_t bytes, bool add);
  void drop_host(std::map<std::uint64_t, HostRange>::iterator range);
  void forget_if_unused(const std::shared_ptr<Physical>& physical);
  // The mappings that make up [address, address + bytes) without gaps or cuts; nullopt: they do not.
  std::optional<MappedRange> whole_mappings(std::uint64_t address, std::size_t bytes);
  bool inside_reservation(std::uint64_t address, std::size_t bytes) const;

  struct Accounts {
    std::uint64_t granules = 0;     // bytes of large allocations and physical memory
    std::uint64_t small_bytes = 0;  // of small ones
  };
  exec::GlobalMemory global_;
  std::vector<Accounts> accounts_;
  std::vector<exec::DeviceMask> sees_;  // [device]: the devices whose kernels may use its cuMemAlloc() memory
  std::map<std::uint64_t, Allocation> allocations_;
  std::map<std::uint64_t, HostRange> host_;
  std::map<std::uint64_t, std::size_t> reservations_;
  std::map<CUmemGenericAllocationHandle, std::shared_ptr<Physical>> physical_;  // not released
  std::map<std::uint64_t, Mapped> mapped_;
};

}  // namespace hearth::sim::cuda
