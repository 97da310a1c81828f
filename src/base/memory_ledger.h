// The host memory that this process has promised. A cache is taken when a model is loaded and touched when it is used:
// until then the system counts its pages as free, and so would the next model. What the ledger calls available leaves
// out all that was promised and not touched. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "base/memory.h"
#include "base/result.h"

namespace hearth {

class MemoryLedger {
 public:
  // `available`: what the system would give now.
  explicit MemoryLedger(std::function<AvailableMemory()> available) : system_(std::move(available)) {}
  MemoryLedger(const MemoryLedger&) = delete;

  // What may still be promised.
  AvailableMemory available() const;

  // Memory that nobody else is given, until this ends or map() has taken it.
  class Promise {
   public:
    Promise() = default;
    Promise(Promise&& other) noexcept { *this = std::move(other); }
    Promise& operator=(Promise&& other) noexcept;
    ~Promise();
    uint64_t bytes() const { return bytes_; }  // that are left

   private:
    friend class MemoryLedger;
    Promise(MemoryLedger& ledger, uint64_t bytes) : ledger_(&ledger), bytes_(bytes) {}

    MemoryLedger* ledger_ = nullptr;
    uint64_t bytes_ = 0;
  };
  // Errors: kNoMemory, with what is needed, what is available, and what was promised to others.
  Result<Promise> promise(uint64_t bytes);

  // Memory of zeros, in whole pages, out of `promise` as far as that goes and then out of what is available; it takes
  // no room before it is touched. Errors: those of promise().
  Result<std::byte*> map(size_t bytes, Promise* promise = nullptr);
  void unmap(std::byte* data);

 private:
  uint64_t untouched() const;  // under the mutex, as all here
  AvailableMemory left() const;
  Status grant(uint64_t bytes) const;

  const std::function<AvailableMemory()> system_;
  mutable std::mutex mutex_;
  struct Region {
    size_t bytes = 0;
    bool touched = false;  // all of it was, when it was last looked at
  };
  mutable std::map<std::byte*, Region> regions_;
  uint64_t promised_ = 0;  // and not mapped yet
};

}  // namespace hearth
