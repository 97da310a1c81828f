#include "disk/findings.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <map>
#include <mutex>
#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "disk/guard.h"

namespace hearth::disk {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kFew_files = 1'000;

// What failed on which file system, and when: seconds since 1970.
struct Failures {
  int64_t quota = 0, late = 0;
};
struct AllFailures {
  std::mutex mutex;
  std::map<uint64_t, Failures> by_device;
};
AllFailures& all_failures() {
  static AllFailures all;
  return all;
}
constexpr int64_t kRemembered_s = 24 * 3600;

// Beside a ledger, so that other processes see it: two numbers.
std::string file_beside(const std::string& ledger) {
  return (fs::path(ledger).parent_path() / "failures").string();
}

Failures failures_on(uint64_t device) {
  Failures failures;
  {
    const std::lock_guard lock(all_failures().mutex);
    failures = all_failures().by_device[device];
  }
  for (const std::string& ledger : ledgers_on(device)) {
    const auto text = read_file(file_beside(ledger));
    Failures noted;
    std::istringstream numbers(text ? *text : std::string());
    if (!(numbers >> noted.quota >> noted.late)) continue;
    failures.quota = std::max(failures.quota, noted.quota);
    failures.late = std::max(failures.late, noted.late);
  }
  return failures;
}

std::string user_name(uid_t user) {
  std::vector<char> buffer(4096);
  struct passwd entry {
  }, *found = nullptr;
  if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return fmt::format("user {}", user);
}

// "it belongs to ollama (mode 755), and this runs as alice".
Error denied(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return io_error("look at", path, errno);
  const std::string me = user_name(::geteuid());
  return with_remedy(ErrorKind::kIo,
                     fmt::format("cannot write in {}: it belongs to {} (mode {:o}), and this runs as {}", path,
                                 user_name(info.st_uid), info.st_mode & 07777, me),
                     fmt::format("let {} write there (chown or chmod), or name another folder with OLLAMA_MODELS", me));
}

// The first folder from the root on that cannot be gone through, or the last, which cannot be written.
std::string blamed(const std::string& folder) {
  fs::path at;
  for (const fs::path& part : fs::path(folder)) {
    at /= part;
    std::error_code failed;
    if (!fs::exists(at, failed)) return at.parent_path().string();
    if (::faccessat(AT_FDCWD, at.c_str(), X_OK, AT_EACCESS) != 0) return at.string();
  }
  return folder;
}

Error failure(const char* what, const std::string& folder, int code) {
  if (code == EACCES || code == EPERM) return denied(blamed(folder));
  if (code == EROFS)
    return with_remedy(ErrorKind::kIo, fmt::format("cannot write in {}: its file system is read-only", folder),
                       "mount it for writing, or name another folder with OLLAMA_MODELS");
  return io_error(what, folder, code);
}

void add_space_finding(const Space& space, std::vector<Finding>& list) {
  if (space.level == Level::kGreen) return;
  const bool grave = space.level != Level::kYellow;
  const Facts& facts = space.facts;
  list.push_back({{grave ? "disk-full" : "disk-low",
                   {{"folder", facts.folder},
                    {"free", size_text(facts.free_bytes)},
                    {"mount", facts.mount_point},
                    {"type", facts.type},
                    {"kept", size_text(space.keep_free_bytes)}}},
                  grave});
}

void add_shown_findings(const Facts& facts, std::vector<Finding>& list) {
  const Failures failures = failures_on(facts.device);
  const int64_t since = std::time(nullptr) - kRemembered_s;
  if (failures.quota > since) list.push_back({{"disk-quota", {{"folder", facts.folder}}}, true});
  if (failures.late > since) list.push_back({{"disk-thin-pool", {{"mount", facts.mount_point}}}, true});
}

void add_kind_findings(const Facts& facts, std::vector<Finding>& list) {
  const std::vector<std::pair<std::string, std::string>> words = {{"folder", facts.folder}, {"type", facts.type}};
  if (facts.in_memory()) list.push_back({{"disk-in-memory", words}});
  if (facts.is_overlay()) list.push_back({{"disk-overlay", words}});
  if (facts.over_network()) list.push_back({{"disk-network", words}});
}

void add_owner_finding(const std::string& folder, std::vector<Finding>& list) {
  struct stat info {};
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0 || ::stat(folder.c_str(), &info) != 0) return;
  list.push_back({{"disk-not-writable",
                   {{"folder", folder},
                    {"owner", user_name(info.st_uid)},
                    {"mode", fmt::format("{:o}", info.st_mode & 07777)},
                    {"user", user_name(::geteuid())}}},
                  true});
}

}  // namespace

std::vector<Finding> findings_of(const std::string& folder) {
  std::vector<Finding> list;
  const auto space = space_of(folder);
  if (!space) return {{{"disk-unreadable", {{"error", space.error().what()}}}, true}};
  const Facts& facts = space->facts;
  if (facts.read_only) return {{{"disk-read-only", {{"mount", facts.mount_point}}}, true}};
  add_space_finding(*space, list);
  if (facts.files > 0 && facts.files_free < kFew_files)
    list.push_back({{"disk-inodes", {{"mount", facts.mount_point}, {"files", std::to_string(facts.files_free)}}},
                    facts.files_free < 16});
  add_kind_findings(facts, list);
  add_owner_finding(facts.folder, list);
  add_shown_findings(facts, list);
  return list;
}

void note_failure(const std::string& path, int code, bool late) {
  const bool quota = code == EDQUOT, thin = code == ENOSPC && late;
  const auto facts = facts_of(path);
  if (!facts || (!quota && !thin)) return;
  Failures now = failures_on(facts->device);
  (quota ? now.quota : now.late) = std::time(nullptr);
  {
    const std::lock_guard lock(all_failures().mutex);
    all_failures().by_device[facts->device] = now;
  }
  const std::string line = fmt::format("{} {}\n", now.quota, now.late);
  for (const std::string& ledger : ledgers_on(facts->device)) {
    // Not through the guard, which has just failed.
    const int fd = ::open(file_beside(ledger).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) continue;
    [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
    ::close(fd);
  }
}

namespace {

constexpr std::string_view kProbe = ".hearth-probe-";
constexpr std::chrono::minutes kProbe_time{1};

// Of processes that died in the middle of one.
void remove_old_probes(const std::string& folder) {
  std::error_code failed;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    if (!it->path().filename().string().starts_with(kProbe)) continue;
    std::error_code gone;
    const auto written = fs::last_write_time(it->path(), gone);
    if (!gone && fs::file_time_type::clock::now() - written > kProbe_time) fs::remove(it->path(), gone);
  }
}

}  // namespace

Status probe(const std::string& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return failure("make", folder, failed.value());
  remove_old_probes(folder);
  const FileOperations& system = file_operations();
  static std::atomic<uint64_t> probes = 0;  // several threads may ask at once
  const std::string path = fmt::format("{}/{}{}-{}", folder, kProbe, ::getpid(), ++probes);
  const std::string renamed = path + "-renamed";
  const int fd = system.open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return failure("write in", folder, errno);
  const bool written = system.pwrite(fd, "probe\n", 6, 0) == 6;
  int code = written ? 0 : errno != 0 ? errno : EIO;
  ::close(fd);
  if (code == 0 && system.rename(path.c_str(), renamed.c_str()) != 0) code = errno;
  const bool gone = system.unlink(renamed.c_str()) == 0;
  if (!gone && code == 0) code = errno;
  if (code == 0) return {};
  ::unlink(path.c_str());
  return failure("write in", folder, code);
}

}  // namespace hearth::disk
