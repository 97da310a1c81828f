#include "base/memory_ledger.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"

namespace hearth {
namespace {

constexpr size_t kHugePage_bytes = 2u << 20;

size_t page_bytes() {
  static const auto bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

// Of whole pages, those that are in memory (mincore(2)). What was swapped out would have to come back, so that it
// counts as not touched.
size_t resident_bytes(std::byte* data, size_t bytes) {
  constexpr size_t kPages_at_a_time = 1 << 16;
  std::vector<unsigned char> flags(std::min(kPages_at_a_time, divide_up(bytes, page_bytes())));
  size_t resident = 0;
  for (size_t at = 0; at < bytes; at += flags.size() * page_bytes()) {
    const size_t here = std::min(flags.size() * page_bytes(), bytes - at), pages = divide_up(here, page_bytes());
    if (::mincore(data + at, here, flags.data()) != 0) return bytes;  // nothing is known: as if all were
    resident += static_cast<size_t>(std::count_if(flags.begin(), flags.begin() + static_cast<ptrdiff_t>(pages),
                                                  [](unsigned char flag) { return (flag & 1) != 0; }));
  }
  return resident * page_bytes();
}

}  // namespace

MemoryLedger::Promise& MemoryLedger::Promise::operator=(Promise&& other) noexcept {
  std::swap(ledger_, other.ledger_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

MemoryLedger::Promise::~Promise() {
  if (ledger_ == nullptr) return;
  const std::lock_guard lock(ledger_->mutex_);
  ledger_->promised_ -= bytes_;
}

uint64_t MemoryLedger::untouched() const {
  uint64_t bytes = promised_;
  for (auto& [data, region] : regions_) {
    if (region.touched) continue;
    const size_t resident = resident_bytes(data, region.bytes);
    region.touched = resident >= region.bytes;
    bytes += region.bytes - std::min(region.bytes, resident);
  }
  return bytes;
}

AvailableMemory MemoryLedger::left() const {
  AvailableMemory memory = system_();
  if (memory.bytes == UINT64_MAX) return memory;  // unknown
  memory.promised_bytes = untouched();
  memory.bytes -= std::min(memory.bytes, memory.promised_bytes);
  return memory;
}

AvailableMemory MemoryLedger::available() const {
  const std::lock_guard lock(mutex_);
  return left();
}

Status MemoryLedger::grant(uint64_t bytes) const {
  const AvailableMemory memory = left();
  if (bytes <= memory.bytes) return {};
  return error(ErrorKind::kNoMemory, "{} of memory needed, but {}", size_text(bytes), to_string(memory));
}

Result<MemoryLedger::Promise> MemoryLedger::promise(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  TRY(grant(bytes));
  promised_ += bytes;
  return Promise(*this, bytes);
}

Result<std::byte*> MemoryLedger::map(size_t bytes, Promise* promise) {
  const size_t size = round_up(std::max<size_t>(bytes, 1), page_bytes());
  const std::lock_guard lock(mutex_);
  const uint64_t kept = promise == nullptr ? 0 : std::min<uint64_t>(size, promise->bytes_);
  if (kept < size) TRY(grant(size - kept));
  void* const data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED)
    return error(ErrorKind::kNoMemory,
                 "cannot allocate {} of memory: the system gives no more address space to this "
                 "process (ulimit -v)",
                 size_text(bytes));
  if (size >= 2 * kHugePage_bytes) ::madvise(data, size, MADV_HUGEPAGE);
  if (kept > 0) {
    promise->bytes_ -= kept;
    promised_ -= kept;
  }
  regions_[static_cast<std::byte*>(data)] = {size, false};
  return static_cast<std::byte*>(data);
}

void MemoryLedger::unmap(std::byte* data) {
  const std::lock_guard lock(mutex_);
  const auto region = regions_.find(data);
  CHECK(region != regions_.end());
  ::munmap(data, region->second.bytes);
  regions_.erase(region);
}

}  // namespace hearth
