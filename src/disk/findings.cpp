#include "disk/findings.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <map>
#include <mutex>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "disk/guard.h"

namespace hearth::disk {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kFew_files = 1'000;

// What failed on which file system.
struct Failures {
  std::mutex mutex;
  std::map<uint64_t, bool> quota, late;
};
Failures& failures() {
  static Failures all;
  return all;
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
                     fmt::format("let {} write there (chown or chmod), or name another folder with HEARTH_MODELS", me));
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
                       "mount it for writing, or name another folder with HEARTH_MODELS");
  return io_error(what, folder, code);
}

void add_space_finding(const Space& space, std::vector<Finding>& list) {
  const Facts& facts = space.facts;
  if (space.level == Level::kGreen) return;
  const bool grave = space.level != Level::kYellow;
  list.push_back({grave ? "disk-full" : "disk-low",
                  fmt::format("{} has {} free on {} ({}), and {} are to stay free{}", facts.folder,
                              size_text(facts.free_bytes), facts.mount_point, facts.type,
                              size_text(space.keep_free_bytes), grave ? ": nothing large is written there" : ""),
                  "\"hearth disk\" says what can go and where else there is room", grave});
}

void add_shown_findings(const Facts& facts, std::vector<Finding>& list) {
  const std::lock_guard lock(failures().mutex);
  if (failures().quota.contains(facts.device)) {
    list.push_back({"disk-quota", fmt::format("a write to {} was refused by a quota", facts.folder),
                    "ask for a larger quota, or name another folder with HEARTH_MODELS; what \"df\" shows as free is "
                    "not this user's",
                    true});
  }
  if (failures().late.contains(facts.device)) {
    list.push_back({"disk-thin-pool",
                    fmt::format("{} took data that could not be stored when it was to last: it stands on less "
                                "storage than it shows",
                                facts.mount_point),
                    "give the pool below it more storage", true});
  }
}

}  // namespace

std::vector<Finding> findings_of(const std::string& folder) {
  std::vector<Finding> list;
  const auto space = space_of(folder);
  if (!space) {
    list.push_back({"disk-unreadable", space.error().what(), "look at the mount", true});
    return list;
  }
  const Facts& facts = space->facts;
  if (facts.read_only) {
    list.push_back({"disk-read-only", fmt::format("{} is mounted read-only", facts.mount_point),
                    "mount it for writing to pull models to it; those that are there can be used", true});
    return list;
  }
  add_space_finding(*space, list);
  if (facts.files > 0 && facts.files_free < kFew_files) {
    list.push_back(
        {"disk-inodes",
         fmt::format("{} has room for {} more files, whatever space is free", facts.mount_point, facts.files_free),
         "delete small files there, or make the file system anew with more inodes", facts.files_free < 16});
  }
  if (facts.in_memory())
    list.push_back({"disk-in-memory",
                    fmt::format("{} lies in memory ({}): it goes with a restart", facts.folder, facts.type),
                    "name a folder on a disk with HEARTH_MODELS"});
  if (facts.is_overlay())
    list.push_back({"disk-overlay",
                    fmt::format("{} lies in a container's own layer: it goes with the container", facts.folder),
                    "mount a volume there (docker run -v models:/root/.ollama)"});
  if (facts.over_network())
    list.push_back({"disk-network", fmt::format("{} lies on a network file system ({})", facts.folder, facts.type),
                    "models load as fast as the network is; keep those in use on a local disk"});
  if (::faccessat(AT_FDCWD, facts.folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    const Error why = denied(facts.folder);
    list.push_back({"disk-not-writable", why.what(), why.remedy, true});
  }
  add_shown_findings(facts, list);
  return list;
}

void note_failure(const std::string& path, int code, bool late) {
  const auto facts = facts_of(path);
  if (!facts) return;
  const std::lock_guard lock(failures().mutex);
  if (code == EDQUOT) failures().quota[facts->device] = true;
  if (code == ENOSPC && late) failures().late[facts->device] = true;
}

Status probe(const std::string& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return failure("make", folder, failed.value());
  const FileOperations& system = file_operations();
  static std::atomic<uint64_t> probes = 0;  // several threads may ask at once
  const std::string path = fmt::format("{}/.hearth-probe-{}-{}", folder, ::getpid(), ++probes);
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
