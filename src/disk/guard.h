// The guard of the file systems: every larger write of hearth is promised its space here before its first byte, so that
// a disk never fills in the middle of one. One guard for the whole process; any thread.
//
// How a writer uses it: see new_file.h, which does all of it. By hand:
//
//   ASSIGN_OR_RETURN(disk::Reservation space, disk::reserve(path, bytes, "pull llama3.2:latest"));
//   ... fallocate() or write n bytes ...  space.allocated(n);   // what is on the disk is no longer promised
//
// A promise counts what is not yet allocated; statvfs() tells the rest. Other processes see it where a ledger is known
// for the file system (add_ledger()): a file per promise, locked by its owner, so that a promise ends with the process
// that holds it, however that ends. A database in its place would need space to write on the very disk that is full,
// and could not tell who has died.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "disk/facts.h"

namespace hearth::disk {

struct Policy {
  // Kept free on every file system; not given: 5 %, at least 2 GiB and at most 20 GiB, but never more than a quarter.
  std::optional<uint64_t> keep_free_bytes = {};
};
// Process-wide; $HEARTH_DISK_RESERVE ("2G") is the first one's, if it is set and a size.
void set_policy(Policy policy);
uint64_t keep_free_bytes(const Facts& facts);
// "2G", "500M", "1.5T", "123456789": binary multiples. Errors: kUsage.
Result<uint64_t> parse_size(std::string_view text);

enum class Level {
  kGreen,
  kYellow,  // little is left: warn
  kOrange,  // what is to be kept free is touched: nothing new that is large
  kRed,     // next to nothing: writers pause, the ballast goes, answering goes on
};
const char* level_name(Level level);

struct Space {
  Facts facts;
  uint64_t keep_free_bytes = 0;
  uint64_t promised_bytes = 0;  // to all writers, of other processes too
  uint64_t usable_bytes = 0;    // free - kept free - promised
  Level level = Level::kGreen;
};
// Errors: those of facts_of().
Result<Space> space_of(const std::string& path);

// How long what is written stays.
enum class Stay {
  kLasting,
  kBrief,  // it goes with the request that it is for: what is to be kept free is not kept from it
};

// Space that is promised to somebody until this object goes.
class Reservation {
 public:
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  // So much of it is on the disk now, or will not be needed; the promise shrinks, to nothing at most.
  void allocated(uint64_t bytes);
  uint64_t bytes() const;  // still promised

 private:
  friend Result<Reservation> reserve(const std::string&, uint64_t, std::string_view, Stay);
  struct State;
  static Result<Reservation> make(const std::string& path, uint64_t bytes, std::string_view what, Stay stay);
  explicit Reservation(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Up to this size writes are not refused for what is to be kept free, which is kept for them: manifests, databases. On
// a disk that is full they get the ballast's space.
inline constexpr uint64_t kSmall_bytes = 1 << 20;

// `what` is who asks, as people know it: "pull llama3.2:latest". Errors: kNoSpace, with what is needed, free, kept free
// and promised; kIo.
Result<Reservation> reserve(const std::string& path, uint64_t bytes, std::string_view what, Stay stay = Stay::kLasting);

// What is promised now on the file system of `path`.
struct Promise {
  std::string what;
  uint64_t bytes = 0;
  int process = 0;
};
std::vector<Promise> promises(const std::string& path);

// A folder in which promises for its file system are kept, so that all processes that know it count each other's:
// that of a model store. It is made when it is needed; where that fails, promises are this process's own.
void add_ledger(const std::string& folder);

// Those that are on a file system, by its st_dev.
std::vector<std::string> ledgers_on(uint64_t device);

// A file of 64 MiB in `folder` that holds space for what must be written even when all is full. tend_ballast() makes it
// where there is plenty, and removes it at red, so that databases and manifests can be written. True: it was released.
bool tend_ballast(const std::string& folder);

}  // namespace hearth::disk
