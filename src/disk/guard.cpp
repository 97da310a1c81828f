#include "disk/guard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <set>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "disk/ledger.h"

namespace hearth::disk {

struct Reservation::State {
  uint64_t device = 0;
  Promise promise;
  std::unique_ptr<LedgerEntry> entry;  // where there is a ledger for the file system
};

namespace {

constexpr uint64_t kMiB = 1 << 20, kGiB = 1 << 30;
constexpr uint64_t kBallast_bytes = 64 * kMiB;

Policy policy_of_environment() {
  const char* text = std::getenv("HEARTH_DISK_RESERVE");
  if (text == nullptr || *text == '\0') return {};
  const auto bytes = parse_size(text);
  if (bytes) return {*bytes};
  log_warn("HEARTH_DISK_RESERVE counts for nothing: {}", bytes.error().message);
  return {};
}

// The process's guard.
struct Own {
  std::mutex mutex;
  Policy policy = policy_of_environment();
  std::vector<std::string> ledgers;
  std::multimap<uint64_t, const Promise*> promises;  // by st_dev
};

Own& own() {
  static Own guard;
  return guard;
}

// The ledgers of one file system, under the mutex.
std::vector<std::string> ledgers_of(uint64_t device) {
  std::vector<std::string> list;
  for (const std::string& folder : own().ledgers)
    if (const auto facts = facts_of(folder); facts && facts->device == device) list.push_back(folder);
  return list;
}

// Under the mutex.
std::vector<Promise> promises_on(uint64_t device, bool locked) {
  std::vector<Promise> list;
  const auto [begin, end] = own().promises.equal_range(device);
  for (auto it = begin; it != end; ++it) list.push_back(*it->second);
  for (const std::string& folder : ledgers_of(device)) {
    std::vector<Promise> others = foreign_promises(folder, locked);
    list.insert(list.end(), std::make_move_iterator(others.begin()), std::make_move_iterator(others.end()));
  }
  return list;
}

Level level_of(uint64_t free_bytes, uint64_t keep_bytes) {
  if (free_bytes < keep_bytes / 8) return Level::kRed;
  if (free_bytes < keep_bytes) return Level::kOrange;
  return free_bytes < 2 * keep_bytes ? Level::kYellow : Level::kGreen;
}

uint64_t minus(uint64_t a, uint64_t b) {
  return a > b ? a - b : 0;
}

uint64_t keep_free_locked(const Facts& facts) {
  if (own().policy.keep_free_bytes) return *own().policy.keep_free_bytes;
  const uint64_t usual = std::max(2 * kGiB, std::min(facts.total_bytes / 20, 20 * kGiB));
  return std::min(usual, facts.total_bytes / 4);
}

Space space_locked(Facts facts, bool locked) {
  Space space;
  space.keep_free_bytes = keep_free_locked(facts);
  for (const Promise& promise : promises_on(facts.device, locked)) space.promised_bytes += promise.bytes;
  space.usable_bytes = minus(minus(facts.free_bytes, space.keep_free_bytes), space.promised_bytes);
  space.level = level_of(facts.free_bytes, space.keep_free_bytes);
  space.facts = std::move(facts);
  return space;
}

Error no_space(const Space& space, uint64_t bytes, std::string_view what) {
  const Facts& facts = space.facts;
  std::string cause =
      fmt::format("{} needs {}, and {} has {} free", what, size_text(bytes), facts.folder, size_text(facts.free_bytes));
  if (!facts.mount_point.empty() && facts.mount_point != facts.folder)
    cause += fmt::format(" (on {}, {})", facts.mount_point, facts.type);
  if (space.keep_free_bytes > 0) cause += fmt::format(", of which {} stay free", size_text(space.keep_free_bytes));
  if (space.promised_bytes > 0)
    cause += fmt::format(", and {} are promised to others", size_text(space.promised_bytes));
  return with_remedy(ErrorKind::kNoSpace, cause, "\"hearth disk\" says what can go and where else there is room");
}

}  // namespace

void set_policy(Policy policy) {
  const std::lock_guard lock(own().mutex);
  own().policy = policy;
}

uint64_t keep_free_bytes(const Facts& facts) {
  const std::lock_guard lock(own().mutex);
  return keep_free_locked(facts);
}

Result<uint64_t> parse_size(std::string_view text) {
  const auto wrong = [&] {
    return error(ErrorKind::kUsage, "'{}' is no size; write bytes, or a number with K, M, G or T: 500M, 1.5T", text);
  };
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (code != std::errc() || !(number >= 0)) return wrong();
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  for (const char* tail : {"iB", "B", "b"})
    if (unit.ends_with(tail)) {
      unit.remove_suffix(std::string_view(tail).size());
      break;
    }
  constexpr std::string_view kUnits = "KMGT";
  double factor = 1;
  if (!unit.empty()) {
    const size_t at = kUnits.find(static_cast<char>(unit[0] >= 'a' ? unit[0] - 'a' + 'A' : unit[0]));
    if (unit.size() != 1 || at == std::string_view::npos) return wrong();
    for (size_t i = 0; i <= at; ++i) factor *= 1024;
  }
  constexpr double kMost = 1e18;
  return number * factor > kMost ? Result<uint64_t>(wrong()) : Result<uint64_t>(static_cast<uint64_t>(number * factor));
}

const char* level_name(Level level) {
  constexpr const char* kNames[] = {"green", "yellow", "orange", "red"};
  return kNames[static_cast<int>(level)];
}

Result<Space> space_of(const std::string& path) {
  ASSIGN_OR_RETURN(Facts facts, facts_of(path));
  const std::lock_guard lock(own().mutex);
  return space_locked(std::move(facts), false);
}

namespace {

// Where not even a small file has room, what is kept for it is given free.
bool release_ballast(uint64_t device) {
  bool released = false;
  for (const std::string& ledger : ledgers_on(device))
    released = tend_ballast(std::filesystem::path(ledger).parent_path().string()) || released;
  return released;
}

}  // namespace

Result<Reservation> reserve(const std::string& path, uint64_t bytes, std::string_view what, Stay stay) {
  auto made = Reservation::make(path, bytes, what, stay);
  if (made || bytes > kSmall_bytes || made.error().kind != ErrorKind::kNoSpace) return made;
  const auto facts = facts_of(path);
  return facts && release_ballast(facts->device) ? Reservation::make(path, bytes, what, stay) : std::move(made);
}

Result<Reservation> Reservation::make(const std::string& path, uint64_t bytes, std::string_view what, Stay stay) {
  ASSIGN_OR_RETURN(const Facts before, facts_of(path));
  auto state = std::make_unique<Reservation::State>();
  state->device = before.device;
  state->promise = {std::string(what), bytes, static_cast<int>(::getpid())};
  std::optional<Error> refused;
  const std::lock_guard lock(own().mutex);
  const std::vector<std::string> ledgers = ledgers_of(before.device);
  const std::string ledger = ledgers.empty() ? "" : ledgers.front();
  with_ledger_lock(ledger, [&] {
    const auto facts = facts_of(path);
    if (!facts) {
      refused = facts.error();
      return;
    }
    const Space space = space_locked(*facts, true);
    const bool takes_all = bytes <= kSmall_bytes || stay == Stay::kBrief;
    const uint64_t room = takes_all ? minus(space.facts.free_bytes, space.promised_bytes) : space.usable_bytes;
    if (bytes > room) {
      refused = no_space(space, bytes, what);
      return;
    }
    if (!ledger.empty() && bytes > kSmall_bytes) state->entry = std::make_unique<LedgerEntry>(ledger, bytes, what);
    own().promises.emplace(state->device, &state->promise);
  });
  if (refused) return *std::move(refused);
  return Reservation(std::move(state));
}

Reservation::Reservation(std::unique_ptr<State> state) : state_(std::move(state)) {}
Reservation::Reservation(Reservation&& other) noexcept = default;

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

Reservation::~Reservation() {
  if (!state_) return;
  const std::lock_guard lock(own().mutex);
  const auto [begin, end] = own().promises.equal_range(state_->device);
  const auto at = std::find_if(begin, end, [&](const auto& entry) { return entry.second == &state_->promise; });
  if (at != end) own().promises.erase(at);
}

void Reservation::allocated(uint64_t bytes) {
  if (!state_ || bytes == 0) return;
  const std::lock_guard lock(own().mutex);
  state_->promise.bytes = minus(state_->promise.bytes, bytes);
  if (state_->entry) state_->entry->set(state_->promise.bytes);
}

uint64_t Reservation::bytes() const {
  if (!state_) return 0;
  const std::lock_guard lock(own().mutex);
  return state_->promise.bytes;
}

std::vector<Promise> promises(const std::string& path) {
  const auto facts = facts_of(path);
  if (!facts) return {};
  const std::lock_guard lock(own().mutex);
  return promises_on(facts->device, false);
}

void add_ledger(const std::string& folder) {
  const std::lock_guard lock(own().mutex);
  if (std::find(own().ledgers.begin(), own().ledgers.end(), folder) == own().ledgers.end())
    own().ledgers.push_back(folder);
}

std::vector<std::string> ledgers_on(uint64_t device) {
  const std::lock_guard lock(own().mutex);
  return ledgers_of(device);
}

bool tend_ballast(const std::string& folder) {
  const std::string path = folder + "/ballast";
  const auto space = space_of(folder);
  if (!space) return false;
  struct stat info {};
  const bool there = ::stat(path.c_str(), &info) == 0;
  if (there && space->level == Level::kRed) return file_operations().unlink(path.c_str()) == 0;
  const bool plenty = space->level == Level::kGreen && space->usable_bytes > 4 * kBallast_bytes;
  if (there || !plenty) return false;
  const int fd = file_operations().open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  if (file_operations().fallocate(fd, 0, 0, static_cast<off_t>(kBallast_bytes)) != 0)
    file_operations().unlink(path.c_str());  // a file system that promises nothing: it would hold nothing either
  ::close(fd);
  return false;
}

}  // namespace hearth::disk
