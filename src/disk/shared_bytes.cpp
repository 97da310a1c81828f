// Extents and who shares them: https://www.kernel.org/doc/html/latest/filesystems/fiemap.html
#include "disk/shared_bytes.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace hearth::disk {
namespace {

constexpr size_t kExtents = 256;  // at a time

// Of an open file; 0 where the file system does not tell.
uint64_t shared_bytes(int fd) {
  std::vector<std::byte> buffer(sizeof(fiemap) + kExtents * sizeof(fiemap_extent));
  uint64_t shared = 0;
  for (uint64_t at = 0;;) {
    std::fill(buffer.begin(), buffer.end(), std::byte{0});
    auto* const map = reinterpret_cast<fiemap*>(buffer.data());
    map->fm_start = at;
    map->fm_length = FIEMAP_MAX_OFFSET - at;
    map->fm_extent_count = kExtents;
    if (::ioctl(fd, FS_IOC_FIEMAP, map) != 0 || map->fm_mapped_extents == 0) return shared;
    for (size_t i = 0; i < map->fm_mapped_extents; ++i) {
      const fiemap_extent& extent = map->fm_extents[i];
      if ((extent.fe_flags & FIEMAP_EXTENT_SHARED) != 0) shared += extent.fe_length;
      if ((extent.fe_flags & FIEMAP_EXTENT_LAST) != 0) return shared;
      at = extent.fe_logical + extent.fe_length;
    }
  }
}

}  // namespace

uint64_t freed_by_removal(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || info.st_nlink > 1) return 0;
  const uint64_t bytes = static_cast<uint64_t>(info.st_blocks) * 512;
  if (!S_ISREG(info.st_mode)) return bytes;
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return bytes;
  const uint64_t shared = shared_bytes(fd);
  ::close(fd);
  return bytes - std::min(bytes, shared);
}

}  // namespace hearth::disk
