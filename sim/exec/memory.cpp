#include "sim/exec/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace hearth::sim::exec {
namespace {

constexpr std::size_t kFreedToRemember = 4096;
constexpr std::uint64_t kGap = 4096;  // between two reservations
constexpr Address kDeviceEnd = Address{2} << 56;

void* take_pages(std::uint64_t bytes) {
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, /*fd=*/-1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

std::uint64_t written_bytes(std::uint64_t bytes) {
  return (bytes + 63) / 64 * 8;
}

// Calls word(index, mask) for every word that holds some of the bits [first, first + count), until it gives false.
template <class Word>
bool for_words(std::uint64_t first, std::uint64_t count, Word word) {
  while (count > 0) {
    const std::uint64_t shift = first % 64;
    const std::uint64_t here = std::min<std::uint64_t>(64 - shift, count);
    const std::uint64_t mask = (here == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << here) - 1) << shift;
    if (!word(first / 64, mask)) return false;
    first += here;
    count -= here;
  }
  return true;
}

void copy_bits(std::uint64_t* to, std::uint64_t to_first, const std::uint64_t* from, std::uint64_t from_first,
               std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    // Whole words at once where both sides allow it: almost always.
    if ((to_first + i) % 64 == 0 && (from_first + i) % 64 == 0 && count - i >= 64) {
      to[(to_first + i) / 64] = from[(from_first + i) / 64];
      i += 63;
      continue;
    }
    const std::uint64_t bit = from[(from_first + i) / 64] >> ((from_first + i) % 64) & 1;
    std::uint64_t& word = to[(to_first + i) / 64];
    const std::uint64_t mask = std::uint64_t{1} << ((to_first + i) % 64);
    word = bit ? word | mask : word & ~mask;
  }
}

std::string named(const std::string& name) {
  return name.empty() ? "" : " (" + name + ")";
}

}  // namespace

bool all_bits(const std::uint64_t* words, std::uint64_t first, std::uint64_t count) {
  return for_words(first, count, [&](std::uint64_t i, std::uint64_t mask) { return (words[i] & mask) == mask; });
}

void set_bits(std::uint64_t* words, std::uint64_t first, std::uint64_t count) {
  for_words(first, count, [&](std::uint64_t i, std::uint64_t mask) {
    words[i] |= mask;
    return true;
  });
}

Result<std::shared_ptr<Backing>> Backing::create(std::uint64_t bytes) {
  std::shared_ptr<Backing> backing(new Backing);
  backing->bytes_ = bytes;
  backing->owned_ = true;
  if (bytes == 0) return backing;
  backing->data_ = static_cast<std::byte*>(take_pages(bytes));
  if (backing->data_ != nullptr) backing->written_ = static_cast<std::uint64_t*>(take_pages(written_bytes(bytes)));
  if (backing->written_ == nullptr) {
    return error(ErrorKind::kNoMemory, "the host has no address space for {} bytes of simulated device memory", bytes);
  }
  return backing;
}

std::shared_ptr<Backing> Backing::of_host(void* data, std::uint64_t bytes) {
  std::shared_ptr<Backing> backing(new Backing);
  backing->data_ = static_cast<std::byte*>(data);
  backing->bytes_ = bytes;
  return backing;
}

Backing::~Backing() {
  if (!owned_) return;
  if (data_ != nullptr) munmap(data_, bytes_);
  if (written_ != nullptr) munmap(written_, written_bytes(bytes_));
}

Address GlobalMemory::reserve(std::uint64_t bytes, std::uint64_t alignment) {
  // An odd multiple of the alignment: a program that counts on more finds out.
  const Address odd = (next_ + alignment - 1) / alignment | 1;
  const Address base = odd * alignment;
  if (bytes > kDeviceEnd - base - kGap) return 0;
  next_ = base + bytes + kGap;
  return base;
}

Status GlobalMemory::map(Mapping mapping) {
  if (mapping.bytes == 0 || mapping.backing == nullptr || mapping.offset > mapping.backing->bytes() ||
      mapping.bytes > mapping.backing->bytes() - mapping.offset || mapping.base + mapping.bytes < mapping.base) {
    return error(ErrorKind::kUsage, "cannot map {} bytes at {:#x}: the memory is smaller", mapping.bytes, mapping.base);
  }
  const auto above = mappings_.lower_bound(mapping.base);
  const bool hits_above = above != mappings_.end() && above->first - mapping.base < mapping.bytes;
  const bool hits_below =
      above != mappings_.begin() && std::prev(above)->second.base + std::prev(above)->second.bytes > mapping.base;
  if (hits_above || hits_below) {
    return error(ErrorKind::kUsage, "cannot map {} bytes at {:#x}: there is memory already", mapping.bytes,
                 mapping.base);
  }
  const Address base = mapping.base;
  mappings_.emplace_hint(above, base, std::move(mapping));
  return {};
}

Result<Address> GlobalMemory::allocate(std::uint64_t bytes, std::uint64_t alignment, DeviceMask devices,
                                       std::string name) {
  const Address base = reserve(bytes, alignment);
  if (base == 0) return error(ErrorKind::kNoMemory, "the simulated address space is used up");
  ASSIGN_OR_RETURN(std::shared_ptr<Backing> backing, Backing::create(bytes));
  TRY(map(Mapping{base, bytes, std::move(backing), 0, devices, devices, std::move(name)}));
  return base;
}

Status GlobalMemory::unmap(Address address, std::uint64_t bytes) {
  const auto first = mappings_.find(address);
  auto end = first;
  Address reached = address;
  while (end != mappings_.end() && end->first == reached && reached - address < bytes) {
    reached += end->second.bytes;
    ++end;
  }
  if (end == first || reached - address != bytes) {
    return error(ErrorKind::kUsage, "{} bytes at {:#x} are not whole mappings", bytes, address);
  }
  for (auto it = first; it != end; ++it) {
    freed_.push_back(Freed{it->second.base, it->second.bytes, it->second.name});
    if (freed_.size() > kFreedToRemember) freed_.pop_front();
  }
  mappings_.erase(first, end);
  return {};
}

Status GlobalMemory::free(Address base) {
  const auto found = mappings_.find(base);
  if (found == mappings_.end()) return error(ErrorKind::kUsage, "no memory begins at {:#x}", base);
  return unmap(base, found->second.bytes);
}

Status GlobalMemory::set_access(Address address, std::uint64_t bytes, DeviceMask readable, DeviceMask writable) {
  std::vector<Piece> unused;
  if (pieces(address, bytes, /*write=*/false, unused)) {
    return error(ErrorKind::kUsage, "{} bytes at {:#x} are not mapped throughout", bytes, address);
  }
  for (auto it = std::prev(mappings_.upper_bound(address)); it != mappings_.end() && it->first < address + bytes;
       ++it) {
    it->second.readable = readable;
    it->second.writable = writable;
  }
  return {};
}

const Mapping* GlobalMemory::find(Address address) const {
  auto it = mappings_.upper_bound(address);
  if (it == mappings_.begin()) return nullptr;
  --it;
  return address - it->first < it->second.bytes ? &it->second : nullptr;
}

std::optional<Fault> GlobalMemory::pieces(Address address, std::uint64_t bytes, bool write,
                                          std::vector<Piece>& out) const {
  for (Address at = address; at - address < bytes;) {
    const Mapping* mapping = find(at);
    if (mapping == nullptr) {
      return Fault{FaultKind::kIllegalAddress,
                   describe(address, bytes),
                   address,
                   static_cast<std::uint32_t>(bytes),
                   write,
                   "",
                   0,
                   {},
                   {}};
    }
    const std::uint64_t within = at - mapping->base;
    const std::uint64_t here = std::min(mapping->bytes - within, bytes - (at - address));
    out.push_back({mapping->data() + within, mapping->backing->written(), mapping->offset + within, here});
    at += here;
  }
  return std::nullopt;
}

std::optional<Fault> GlobalMemory::read(Address from, std::span<std::byte> to) const {
  std::vector<Piece> parts;
  if (auto fault = pieces(from, to.size(), /*write=*/false, parts)) return fault;
  std::byte* out = to.data();
  for (const Piece& piece : parts) {
    std::memcpy(out, piece.data, piece.bytes);
    out += piece.bytes;
  }
  return std::nullopt;
}

std::optional<Fault> GlobalMemory::write(Address to, std::span<const std::byte> from) {
  std::vector<Piece> parts;
  if (auto fault = pieces(to, from.size(), /*write=*/true, parts)) return fault;
  const std::byte* in = from.data();
  for (const Piece& piece : parts) {
    std::memcpy(piece.data, in, piece.bytes);
    if (piece.written != nullptr) set_bits(piece.written, piece.written_bit, piece.bytes);
    in += piece.bytes;
  }
  return std::nullopt;
}

std::optional<Fault> GlobalMemory::copy(Address to, Address from, std::uint64_t bytes) {
  std::vector<Piece> sources, targets;
  if (auto fault = pieces(from, bytes, /*write=*/false, sources)) return fault;
  if (auto fault = pieces(to, bytes, /*write=*/true, targets)) return fault;
  std::size_t s = 0, t = 0;
  while (s < sources.size()) {
    Piece& source = sources[s];
    Piece& target = targets[t];
    const std::uint64_t here = std::min(source.bytes, target.bytes);
    std::memmove(target.data, source.data, here);
    if (target.written != nullptr && source.written != nullptr) {
      copy_bits(target.written, target.written_bit, source.written, source.written_bit, here);
    } else if (target.written != nullptr) {
      set_bits(target.written, target.written_bit, here);
    }
    for (Piece* piece : {&source, &target}) {
      piece->data += here;
      piece->written_bit += here;
      piece->bytes -= here;
    }
    if (source.bytes == 0) ++s;
    if (target.bytes == 0) ++t;
  }
  return std::nullopt;
}

std::optional<Fault> GlobalMemory::fill(Address to, std::uint64_t count, std::uint32_t value, std::uint32_t unit) {
  CHECK(unit == 1 || unit == 2 || unit == 4);
  if (to % unit != 0) {
    return Fault{FaultKind::kMisaligned,
                 fmt::format("a fill of {}-byte values at {:#x}", unit, to),
                 to,
                 unit,
                 true,
                 "",
                 0,
                 {},
                 {}};
  }
  std::vector<Piece> parts;
  if (auto fault = pieces(to, count * unit, /*write=*/true, parts)) return fault;
  std::uint64_t done = 0;
  for (const Piece& piece : parts) {
    if (unit == 1) {
      std::memset(piece.data, static_cast<int>(value & 0xff), piece.bytes);
    } else {
      for (std::uint64_t i = 0; i < piece.bytes; ++i) {
        piece.data[i] = static_cast<std::byte>(value >> (8 * ((done + i) % unit)));
      }
    }
    if (piece.written != nullptr) set_bits(piece.written, piece.written_bit, piece.bytes);
    done += piece.bytes;
  }
  return std::nullopt;
}

bool GlobalMemory::is_written(Address address, std::uint64_t bytes) const {
  std::vector<Piece> parts;
  if (pieces(address, bytes, /*write=*/false, parts)) return false;
  return std::all_of(parts.begin(), parts.end(), [](const Piece& piece) {
    return piece.written == nullptr || all_bits(piece.written, piece.written_bit, piece.bytes);
  });
}

void GlobalMemory::mark_written(Address address, std::uint64_t bytes) {
  std::vector<Piece> parts;
  if (pieces(address, bytes, /*write=*/true, parts)) return;
  for (const Piece& piece : parts) {
    if (piece.written != nullptr) set_bits(piece.written, piece.written_bit, piece.bytes);
  }
}

std::string GlobalMemory::describe(Address address, std::uint64_t bytes) const {
  const std::string what = fmt::format("{} bytes at {:#x}", bytes, address);
  if (address < 65536) return what + ": a null pointer, or an offset from one";
  // The last one that was there counts: it may have been mapped again.
  for (auto it = freed_.rbegin(); it != freed_.rend(); ++it) {
    if (address - it->base < it->bytes && find(address) == nullptr) {
      return fmt::format("{}: inside of memory that is freed or unmapped by now, {} bytes at {:#x}{}", what, it->bytes,
                         it->base, named(it->name));
    }
  }
  auto above = mappings_.upper_bound(address);
  if (above != mappings_.begin()) {
    const Mapping& below = std::prev(above)->second;
    const std::uint64_t from_end = address - below.base - below.bytes;
    if (address - below.base < below.bytes) {
      return fmt::format("{}: begins {} bytes before the end of {} bytes at {:#x}{}", what,
                         below.bytes - (address - below.base), below.bytes, below.base, named(below.name));
    }
    if (from_end < (1 << 20)) {
      return fmt::format("{}: {} bytes behind the end of {} bytes at {:#x}{}", what, from_end, below.bytes, below.base,
                         named(below.name));
    }
  }
  if (above != mappings_.end() && above->first - address < (1 << 20)) {
    const Mapping& next = above->second;
    return fmt::format("{}: {} bytes before {} bytes at {:#x}{}", what, next.base - address, next.bytes, next.base,
                       named(next.name));
  }
  if (address < kDeviceBase) return what + ": not memory of a device, and not pinned host memory";
  return what + ": no memory is there";
}

}  // namespace hearth::sim::exec
