// The promises of space that processes make in one folder; see guard.h. Not for use elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "disk/guard.h"

namespace hearth::disk {

// One promise in a ledger's folder: a file that is locked as long as this object lives.
class LedgerEntry {
 public:
  LedgerEntry(const std::string& folder, uint64_t bytes, std::string_view what);
  LedgerEntry(const LedgerEntry&) = delete;
  ~LedgerEntry();
  void set(uint64_t bytes);  // a failure leaves more promised than is

 private:
  std::string path_, what_;
  int fd_ = -1;
};

// Calls `decide` while no other process does so in this folder. Where the folder cannot be had, others are not kept
// out.
void with_ledger_lock(const std::string& folder, const std::function<void()>& decide);

// Promises of other processes. With the ledger's lock held, files of processes that have died are removed.
std::vector<Promise> foreign_promises(const std::string& folder, bool locked);

}  // namespace hearth::disk
