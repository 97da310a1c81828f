#include "store/gc.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <optional>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file.h"
#include "disk/shared_bytes.h"
#include "store/blobs.h"
#include "store/edit_models.h"
#include "store/in_use.h"
#include "store/manifest.h"
#include "store/ollama_models.h"
#include "store/pins.h"
#include "store/tiers.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

// A pin says that a model stays; where its manifest has gone, no one can tell which blobs it had.
Status check_pins(const std::string& folder) {
  for (const std::string& pinned : pinned_models(folder)) {
    const auto name = ModelName::parse(pinned);
    if (!name || find_manifest(folder, *name)) continue;
    return with_remedy(
        ErrorKind::kNotFound,
        fmt::format("nothing can be called garbage in {} while {}, which is pinned, has no manifest", folder, pinned),
        fmt::format("hearth pull {}, or hearth store unpin {}", pinned, pinned));
  }
  return {};
}

// What others use and do not have themselves.
Status add_uses_of_other_stores(const std::string& folder, std::set<std::string>& used) {
  for (const Tier& tier : tiers()) {
    std::error_code failed;
    if (fs::equivalent(tier.folder, folder, failed) || ::access(tier.folder.c_str(), R_OK | X_OK) != 0) continue;
    ASSIGN_OR_RETURN(const std::set<std::string> theirs, digests_of_all(tier.folder));
    for (const std::string& digest : theirs)
      if (!fs::exists(blob_path(tier.folder, digest), failed)) used.insert(digest);
  }
  return {};
}

// Of a blob's file name: what it is, or what was to become it when a process died ("sha256-<hex>.partial-x8Yz3a").
std::string digest_in(const std::string& name) {
  constexpr size_t kDigest = 7 + 64;
  const bool unfinished = name.size() > kDigest && name[kDigest] == '.';
  const std::string digest = name.substr(0, unfinished ? kDigest : name.size());
  return is_digest(digest) ? plain_digest(digest) : "";
}

// The system's stamps are finer than time(): a file may seem to be of the next second.
int64_t age_s(const struct stat& info) {
  return std::max<int64_t>(std::time(nullptr) - std::max(info.st_mtim.tv_sec, info.st_ctim.tv_sec), 0);
}

}  // namespace

Result<Garbage> find_garbage(const std::string& folder, int64_t older_than_s) {
  ASSIGN_OR_RETURN(std::set<std::string> used, digests_of_all(folder));
  TRY(check_pins(folder));
  TRY(add_uses_of_other_stores(folder, used));
  Garbage garbage;
  std::optional<FilesInUse> open;
  std::error_code failed;
  for (fs::directory_iterator it(fs::path(folder) / "blobs", failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string(), path = it->path().string();
    struct stat info {};
    const std::string digest = digest_in(name);
    if (digest.empty() || ::lstat(path.c_str(), &info) != 0 || S_ISDIR(info.st_mode)) continue;
    if (is_digest(name) && used.contains(digest)) continue;
    if (!open) open = FilesInUse::look();
    const uint64_t bytes = disk::freed_by_removal(path);
    if (open->has(path)) {
      garbage.used_bytes += bytes;
    } else if (age_s(info) < older_than_s) {
      garbage.young_bytes += bytes;
    } else {
      garbage.paths.push_back(path);
      garbage.bytes += bytes;
      garbage.shared_bytes += static_cast<uint64_t>(info.st_blocks) * 512 - bytes;
    }
  }
  return garbage;
}

Result<uint64_t> collect_garbage(const std::string& folder, int64_t older_than_s) {
  const StoreLock lock(folder);
  ASSIGN_OR_RETURN(const Garbage garbage, find_garbage(folder, older_than_s));
  std::optional<Error> failed;
  uint64_t freed = garbage.bytes;
  for (const std::string& path : garbage.paths) {
    if (file_operations().unlink(path.c_str()) == 0 || errno == ENOENT) continue;
    failed = io_error("delete", path, errno);
    freed -= disk::freed_by_removal(path);
  }
  if (failed) return *failed;
  return freed;
}

}  // namespace hearth::store
