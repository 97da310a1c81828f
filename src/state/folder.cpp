#include "state/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"

namespace hearth::state {
namespace {

constexpr const char* kSystem_folder = "/var/lib/hearth";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

Status make_private(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failed);
  if (::mkdir(path.c_str(), S_IRWXU) == 0) return {};
  if (errno != EEXIST) return io_error("cannot make the folder", path, errno);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return io_error("cannot look at", path, errno);
  if (!S_ISDIR(status.st_mode)) return error(ErrorKind::kIo, "{} is no folder", path);
  const bool is_private = (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
  if (!is_private && ::chmod(path.c_str(), S_IRWXU) != 0) {
    return error(ErrorKind::kIo, "{} can be read by others, and this process cannot change that", path);
  }
  return {};
}

Status refuse_networks(const std::string& path) {
  struct statfs system {};
  if (::statfs(path.c_str(), &system) != 0) return io_error("cannot look at", path, errno);
  const char* name = network_file_system(static_cast<long>(system.f_type));
  if (name == nullptr) return {};
  return error(ErrorKind::kUnsupported,
               "{} lies on a network file system ({}), on which keys and state cannot be kept safely; set \"state\" to "
               "a folder on a disk of this machine",
               path, name);
}

Error taken(const std::string& path, const std::string& lock) {
  const auto holder = read_file(lock);
  const std::string process = holder && !holder->empty() ? "process " + printable(*holder) : "another process";
  return error(ErrorKind::kBusy,
               "{} belongs to {} of hearth; give this one a folder of its own with --set state=FOLDER", path, process);
}

}  // namespace

const char* network_file_system(long type) {
  switch (static_cast<unsigned long>(type) & 0xffffffff) {  // values of statfs(2)
    case 0x6969:
      return "NFS";
    case 0x517b:
    case 0xff534d42:
    case 0xfe534d42:
      return "SMB";
    case 0x5346414f:
    case 0x6b414653:
      return "AFS";
    case 0x00c36400:
      return "Ceph";
    case 0x0bd00bd0:
      return "Lustre";
    case 0x47504653:
      return "GPFS";
    default:
      return nullptr;
  }
}

Result<std::string> folder_path(const std::string& setting) {
  if (!setting.empty()) return setting;
  if (::access(kSystem_folder, W_OK) == 0) return std::string(kSystem_folder);
  if (const std::string state = variable("XDG_STATE_HOME"); !state.empty()) return state + "/hearth";
  if (const std::string home = variable("HOME"); !home.empty()) return home + "/.local/state/hearth";
  return error(ErrorKind::kUsage, "there is no folder for keys and state: {} cannot be written, and HOME is not set",
               kSystem_folder);
}

Result<Folder> Folder::take(const std::string& path) {
  TRY(make_private(path));
  TRY(refuse_networks(path));
  const std::string lock_path = path + "/lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (lock < 0) return io_error("cannot open", lock_path, errno);
  Folder folder(path, lock);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? taken(path, lock_path) : io_error("cannot lock", lock_path, errno);
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, pid.data(), pid.size(), 0) < 0) {
    return io_error("cannot write to", lock_path, errno);
  }
  return folder;
}

Folder::Folder(Folder&& other) noexcept : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

Folder::~Folder() {
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace hearth::state
