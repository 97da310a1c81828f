#include "store/share_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/descriptor.h"
#include "base/error.h"
#include "base/file.h"
#include "disk/new_file.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

std::string temporary_of(const std::string& to) {
  return to + ".share-" + std::to_string(::getpid());
}

// Under a name of its own first, since link() replaces nothing.
bool link_to(const std::string& from, const std::string& to) {
  std::error_code failed;
  const fs::path real = fs::canonical(from, failed);  // Hugging Face's cache has links to its blobs
  if (failed) return false;
  const std::string temporary = temporary_of(to);
  ::unlink(temporary.c_str());
  if (::link(real.c_str(), temporary.c_str()) != 0) return false;
  const bool done = file_operations().rename(temporary.c_str(), to.c_str()) == 0;
  ::unlink(temporary.c_str());  // rename() leaves it where both were one file already
  return done;
}

bool clone_to(const std::string& from, const std::string& to) {
  const std::string temporary = temporary_of(to);
  bool done = false;
  {
    const Descriptor in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
    const Descriptor out(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    done = in.get() >= 0 && out.get() >= 0 && ::ioctl(out.get(), FICLONE, in.get()) == 0 &&
           file_operations().fsync(out.get()) == 0;
  }
  if (done) done = file_operations().rename(temporary.c_str(), to.c_str()) == 0;
  if (!done) ::unlink(temporary.c_str());
  return done;
}

}  // namespace

const char* share_name(Share share) {
  return share == Share::kLinked ? "linked" : share == Share::kCloned ? "cloned" : "copied";
}

Result<Share> share_file(const std::string& from, const std::string& to, const ShareOptions& options) {
  struct stat status {};
  if (::stat(from.c_str(), &status) != 0) return io_error("open", from, errno);
  if (!S_ISREG(status.st_mode)) return error(ErrorKind::kIo, "{} is no regular file", from);
  std::error_code failed;
  fs::create_directories(fs::path(to).parent_path(), failed);
  if (failed) return error(ErrorKind::kIo, "{}: {}", fs::path(to).parent_path().string(), failed.message());
  // Somebody else's file may be taken away from us, or be one that we cannot read later.
  if (options.may_link && status.st_uid == ::geteuid() && link_to(from, to)) return Share::kLinked;
  if (clone_to(from, to)) return Share::kCloned;
  if (!options.may_copy)
    return error(ErrorKind::kUnsupported,
                 "{} and {} cannot share their bytes: they are on different file systems, or on one "
                 "without shared extents",
                 from, to);
  ASSIGN_OR_RETURN([[maybe_unused]] const std::string digest, disk::copy_file(from, to, options.what));
  return Share::kCopied;
}

}  // namespace hearth::store
