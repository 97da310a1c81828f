#include "doctor/snapshot.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/descriptor.h"

namespace hearth::doctor {
namespace {

namespace fs = std::filesystem;

// Where the last section of a 64-bit ELF file ends (System V ABI, "Object Files"); 0 for other files.
uint64_t elf_end(int fd) {
  Elf64_Ehdr header{};
  if (::pread(fd, &header, sizeof header, 0) != ssize_t{sizeof header}) return 0;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) return 0;
  return header.e_shoff + uint64_t{header.e_shnum} * header.e_shentsize;
}

}  // namespace

std::string errno_name(int code) {
  const char* name = ::strerrorname_np(code);
  return name != nullptr ? name : fmt::format("errno {}", code);
}

bool Snapshot::read(const std::string& path, size_t most) {
  const Descriptor file{::open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (file.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    files_[path] = {{"error", errno_name(errno)}};
    return true;
  }
  std::string content(most, '\0');
  size_t got = 0;
  while (got < most) {
    const ssize_t count = ::read(file.get(), content.data() + got, most - got);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      files_[path] = {{"error", errno_name(errno)}};
      return true;
    }
    if (count == 0) break;
    got += static_cast<size_t>(count);
  }
  content.resize(got);
  files_[path] = content;
  return true;
}

std::string Snapshot::text(const std::string& path, size_t most) const {
  boost::json::object aside;
  Snapshot reader(root_, aside);
  reader.read(path, most);
  const auto* value = aside.if_contains(path);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

void Snapshot::link(const std::string& path) {
  std::error_code failed;
  const fs::path target = fs::read_symlink(root_ + path, failed);
  if (!failed) files_[path] = {{"link", target.string()}};
}

void Snapshot::device(const std::string& path) {
  struct stat status {};
  if (::stat((root_ + path).c_str(), &status) != 0) return;
  const Descriptor file{::open((root_ + path).c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  files_[path] = {{"mode", fmt::format("{:04o}", status.st_mode & 07777u)},
                  {"uid", status.st_uid},
                  {"gid", status.st_gid},
                  {"open", file.get() >= 0 ? std::string("ok") : errno_name(errno)}};
}

void Snapshot::size(const std::string& path, bool elf) {
  std::error_code failed;
  if (fs::is_symlink(root_ + path, failed)) return link(path);
  const uint64_t bytes = fs::file_size(root_ + path, failed);
  if (failed) return;
  boost::json::object entry{{"size", bytes}};
  if (elf) {
    const Descriptor file{::open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC)};
    if (const uint64_t end = file.get() >= 0 ? elf_end(file.get()) : 0; end > 0) entry["elf_end"] = end;
  }
  files_[path] = entry;
}

bool Snapshot::exists(const std::string& path) const {
  std::error_code failed;
  return fs::exists(root_ + path, failed);
}

std::string Snapshot::group_folder(const std::string& process) const {
  const std::string groups = text("/proc/" + process + "/cgroup");
  const size_t at = groups.find("0::/");
  if (at == std::string::npos) return {};
  const std::string path = groups.substr(at + 3, groups.find('\n', at) - at - 3);
  return path == "/" ? "/sys/fs/cgroup" : "/sys/fs/cgroup" + path;
}

std::vector<std::string> Snapshot::names(const std::string& folder) const {
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator next(root_ + folder, failed), end; !failed && next != end && names.size() < 100000;
       next.increment(failed))
    names.push_back(next->path().filename().string());
  std::ranges::sort(names);
  return names;
}

}  // namespace hearth::doctor
