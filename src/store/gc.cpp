#include "store/gc.h"

#include <sys/stat.h>

#include <ctime>
#include <filesystem>
#include <set>

#include "base/atomic_file.h"
#include "store/blobs.h"
#include "store/edit_models.h"
#include "store/manifest.h"

namespace hearth::store {

namespace fs = std::filesystem;

Result<Garbage> find_garbage(const std::string& folder, int64_t older_than_s) {
  ASSIGN_OR_RETURN(const std::set<std::string> used, digests_of_all(folder));
  Garbage garbage;
  const int64_t now = std::time(nullptr);
  std::error_code failed;
  for (fs::directory_iterator it(fs::path(folder) / "blobs", failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    struct stat info {};
    if (!is_digest(name) || ::lstat(it->path().c_str(), &info) != 0 || S_ISDIR(info.st_mode)) continue;
    if (used.contains(plain_digest(name))) continue;
    const uint64_t bytes = info.st_nlink > 1 ? 0 : static_cast<uint64_t>(info.st_blocks) * 512;
    // The system's stamps are finer than time(): a file may seem to be of the next second.
    const int64_t age_s = now - std::max(info.st_mtim.tv_sec, info.st_ctim.tv_sec);
    if (std::max<int64_t>(age_s, 0) < older_than_s) {
      garbage.young_bytes += bytes;
      continue;
    }
    garbage.paths.push_back(it->path().string());
    garbage.bytes += bytes;
  }
  return garbage;
}

Result<uint64_t> collect_garbage(const std::string& folder, int64_t older_than_s) {
  const StoreLock lock(folder);
  ASSIGN_OR_RETURN(const Garbage garbage, find_garbage(folder, older_than_s));
  for (const std::string& path : garbage.paths) file_operations().unlink(path.c_str());
  return garbage.bytes;
}

}  // namespace hearth::store
