// What a process has mapped and open: https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html, proc_pid_fd.5.
#include "store/in_use.h"

#include <sys/stat.h>

#include <filesystem>
#include <sstream>

#include "base/file.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

std::string name_of(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

}  // namespace

FilesInUse FilesInUse::look() {
  FilesInUse in_use;
  std::error_code failed;
  for (fs::directory_iterator it("/proc", failed), end; !failed && it != end; it.increment(failed)) {
    if (it->path().filename().string().find_first_not_of("0123456789") != std::string::npos) continue;
    const auto maps = read_file((it->path() / "maps").string());
    std::istringstream lines(maps ? *maps : std::string());
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string range, rights, offset, device, path;
      uint64_t inode = 0;
      if (words >> range >> rights >> offset >> device >> inode >> path && path.find("/sha256") != std::string::npos)
        in_use.files_.emplace(inode, name_of(path));
    }
    std::error_code hidden;
    for (fs::directory_iterator fd(it->path() / "fd", hidden), last; !hidden && fd != last; fd.increment(hidden)) {
      std::error_code gone;
      const std::string target = fs::read_symlink(fd->path(), gone).string();
      struct stat info {};
      if (!gone && target.find("/sha256") != std::string::npos && ::stat(fd->path().c_str(), &info) == 0)
        in_use.files_.emplace(info.st_ino, name_of(target));
    }
  }
  return in_use;
}

bool FilesInUse::has(const std::string& path) const {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && files_.contains({info.st_ino, name_of(path)});
}

}  // namespace hearth::store
