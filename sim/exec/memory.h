// The memory that kernels and copies see: one 64-bit address space for all devices and pinned host memory.
//
// Physical memory (Backing) is mapped at addresses, byte-exactly. Device addresses come from reserve(): they lie above
// every address a host program can have, and none is ever given out twice, so the use of freed memory is always found.
// Every byte remembers whether it was ever written. Not thread-safe: the driver's lock guards it, and nothing may be
// mapped or unmapped while a launch runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "sim/exec/fault.h"

namespace hearth::sim::exec {

using Address = std::uint64_t;
using DeviceMask = std::uint32_t;  // bit i: device i
inline constexpr DeviceMask kAllDevices = ~DeviceMask{0};

// Where reserve() begins: no x86-64 or AArch64 host pointer looks like this, with any size of page tables.
inline constexpr Address kDeviceBase = Address{1} << 56;

// Physical memory: bytes, and one bit for each that says whether it was written.
class Backing {
 public:
  // Memory of a device. Host memory is taken only when it is touched. kNoMemory.
  static Result<std::shared_ptr<Backing>> create(std::uint64_t bytes);
  // Pages of the host program, which writes them unseen: all bytes count as written. The caller keeps them alive.
  static std::shared_ptr<Backing> of_host(void* data, std::uint64_t bytes);
  ~Backing();
  Backing(const Backing&) = delete;
  Backing& operator=(const Backing&) = delete;

  std::byte* data() const { return data_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t* written() const { return written_; }  // bit i % 64 of word i / 64: byte i; nullptr: host memory

 private:
  Backing() = default;
  std::byte* data_ = nullptr;
  std::uint64_t* written_ = nullptr;
  std::uint64_t bytes_ = 0;
  bool owned_ = false;
};

// A stretch of addresses with memory behind it.
struct Mapping {
  Address base = 0;
  std::uint64_t bytes = 0;
  std::shared_ptr<Backing> backing;
  std::uint64_t offset = 0;           // of `base` in the backing
  DeviceMask readable = kAllDevices;  // whose kernels may read and write it
  DeviceMask writable = kAllDevices;
  std::string name;  // for messages: "cuMemAlloc", "global variable x"; may be empty

  std::byte* data() const { return backing->data() + offset; }
  bool contains(Address address, std::uint64_t size) const {
    return address - base <= bytes && size <= bytes - (address - base);
  }
};

class GlobalMemory {
 public:
  // Addresses for `bytes` bytes, aligned (a power of two) but to no higher power, never given out before, with a gap
  // before and behind. Nothing is mapped there yet. 0: the address space is used up.
  Address reserve(std::uint64_t bytes, std::uint64_t alignment);

  // Maps part of the backing. kUsage: beyond the backing, or something is mapped there already.
  Status map(Mapping mapping);
  // Maps new memory at reserved addresses in one step (cuMemAlloc, module variables).
  Result<Address> allocate(std::uint64_t bytes, std::uint64_t alignment, DeviceMask devices, std::string name);
  // Unmaps whole mappings (one or several that lie side by side); remembers them, so that a later use is called what
  // it is. kUsage: [address, address + bytes) is not exactly such a stretch.
  Status unmap(Address address, std::uint64_t bytes);
  Status free(Address base);  // the one mapping that begins here
  // Which devices may read and write the mappings in [address, address + bytes), which must be mapped throughout.
  Status set_access(Address address, std::uint64_t bytes, DeviceMask readable, DeviceMask writable);

  const Mapping* find(Address address) const;  // that contains the address; nullptr: none. Valid until the next change
  const std::map<Address, Mapping>& mappings() const { return mappings_; }

  // Copies from and to the host, and on the device; the whole stretch must be mapped (it may cross from one mapping to
  // the next). A fault has no kernel. read() returns bytes that were never written as they are (zero): whether that is
  // a mistake depends on what the program does with them, is_written() tells. copy() copies the marks as well.
  std::optional<Fault> read(Address from, std::span<std::byte> to) const;
  std::optional<Fault> write(Address to, std::span<const std::byte> from);
  std::optional<Fault> copy(Address to, Address from, std::uint64_t bytes);
  // `count` times the low `unit` (1, 2 or 4) bytes of value.
  std::optional<Fault> fill(Address to, std::uint64_t count, std::uint32_t value, std::uint32_t unit);
  bool is_written(Address address, std::uint64_t bytes) const;
  void mark_written(Address address, std::uint64_t bytes);

  // What an access outside of any mapping met, in words: "3 bytes past the end of the 1,000 bytes at 0x…(cuMemAlloc)",
  // "in memory at 0x… that was freed", "a null pointer and an offset of 8 bytes", "a host address …".
  std::string describe(Address address, std::uint64_t bytes) const;

 private:
  struct Piece {  // of a stretch of addresses, inside one mapping
    std::byte* data;
    std::uint64_t* written;     // of the backing
    std::uint64_t written_bit;  // of data's first byte
    std::uint64_t bytes;
  };
  // The pieces of a stretch, or the fault.
  std::optional<Fault> pieces(Address address, std::uint64_t bytes, bool write, std::vector<Piece>& out) const;

  struct Freed {
    Address base;
    std::uint64_t bytes;
    std::string name;
  };
  std::map<Address, Mapping> mappings_;  // by base
  std::deque<Freed> freed_;              // the last ones
  Address next_ = kDeviceBase;
};

// Bits [first, first + count) of an array of words.
bool all_bits(const std::uint64_t* words, std::uint64_t first, std::uint64_t count);
void set_bits(std::uint64_t* words, std::uint64_t first, std::uint64_t count);

}  // namespace hearth::sim::exec
