#include "disk/facts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/file.h"

namespace hearth::disk {
namespace {

namespace fs = std::filesystem;

// "\040" of /proc/self/mountinfo is a blank (proc(5)).
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool is_below(const std::string& path, const std::string& folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// The mount that a path is on: the longest mount point above it.
void find_mount(const std::string& path, Facts& facts) {
  for (Mount& mount : mounts()) {
    if (!is_below(path, mount.point) || mount.point.size() < facts.mount_point.size()) continue;
    facts.mount_point = std::move(mount.point);
    facts.type = std::move(mount.type);
  }
}

}  // namespace

std::vector<Mount> mounts() {
  std::vector<Mount> list;
  std::ifstream in("/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, point, word, type;
    words >> id >> parent >> device >> root >> point;
    while (words >> word && word != "-") continue;
    words >> type;
    list.push_back({unescaped(point), type});
  }
  return list;
}

bool Facts::over_network() const {
  return type.starts_with("nfs") || type == "cifs" || type == "smb3" || type == "ceph" || type == "9p" ||
         type == "glusterfs" || type == "lustre" || type == "afs" || type == "fuse.sshfs";
}

Result<Facts> facts_of(const std::string& path) {
  std::error_code failed;
  fs::path at = fs::absolute(path, failed);
  struct stat info {};
  int code = 0;
  while ((code = ::stat(at.c_str(), &info) == 0 ? 0 : errno) != 0 && at != at.root_path()) at = at.parent_path();
  if (code != 0) return io_error("look at", at.string(), code);
  if (!S_ISDIR(info.st_mode)) at = at.parent_path();
  struct statvfs space {};
  if (::statvfs(at.c_str(), &space) != 0) return io_error("look at the file system of", at.string(), errno);
  Facts facts;
  const fs::path real = fs::canonical(at, failed);
  facts.folder = failed ? at.string() : real.string();
  facts.device = info.st_dev;
  facts.total_bytes = uint64_t{space.f_blocks} * space.f_frsize;
  facts.free_bytes = uint64_t{space.f_bavail} * space.f_frsize;  // f_bfree counts what only root can have
  facts.files = space.f_files;
  facts.files_free = space.f_files == 0 ? 0 : space.f_favail;
  facts.read_only = (space.f_flag & ST_RDONLY) != 0;
  find_mount(facts.folder, facts);
  return facts;
}

}  // namespace hearth::disk
