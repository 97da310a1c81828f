#include "fleet/lease_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace hearth::fleet {
namespace {

// Locks of an open file, not of a process (fcntl(2), "Open file description locks").
struct flock lock_of(short type, uint64_t begin, uint64_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(begin);
  lock.l_len = static_cast<off_t>(length);
  return lock;
}

// The first piece of [begin, end) that others hold; false if there is none.
bool find_held(int fd, uint64_t begin, uint64_t end, uint64_t* held_begin, uint64_t* held_end) {
  struct flock lock = lock_of(F_WRLCK, begin, end - begin);
  if (begin >= end || ::fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return false;
  *held_begin = std::max<uint64_t>(begin, static_cast<uint64_t>(lock.l_start));
  *held_end = lock.l_len == 0 ? end : std::min<uint64_t>(end, static_cast<uint64_t>(lock.l_start + lock.l_len));
  return true;
}

bool is_card_name(const std::string& card) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !card.empty() && card.size() < 100 && std::ranges::all_of(card, fits);
}

}  // namespace

std::string lease_folder() {
  const char* const folder = std::getenv("HEARTH_LEASE_DIR");
  return folder != nullptr && *folder != '\0' ? folder : "/run/gpu-lease";
}

Result<LeaseFile> LeaseFile::open(const std::string& folder, const std::string& card, bool create) {
  if (!is_card_name(card)) return error(ErrorKind::kUsage, "'{}' is no card's id", card);
  const std::string path = folder + "/" + card;
  // For every user of the machine, whatever the mask of the one who makes them.
  if (create && ::mkdir(folder.c_str(), 01777) == 0) (void)::chmod(folder.c_str(), 01777);
  Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file.open() && errno == ENOENT && create) {
    file = Descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (file.open()) (void)::fchmod(file.get(), 0666);
  }
  if (!file.open())
    return error(errno == ENOENT && !create ? ErrorKind::kNotFound : ErrorKind::kIo, "cannot open {}: {}", path,
                 std::strerror(errno));
  return LeaseFile(std::move(file), path);
}

uint64_t LeaseFile::claimed_mib(uint64_t total_mib) const {
  uint64_t claimed = 0, begin, end = 0;
  while (find_held(file_.get(), end, total_mib, &begin, &end)) claimed += end - begin;
  return claimed;
}

Status LeaseFile::claim(uint64_t mib, uint64_t total_mib) {
  for (uint64_t at = 0; mib > 0 && at + mib <= total_mib;) {
    uint64_t held_begin, held_end;
    if (find_held(file_.get(), at, at + mib, &held_begin, &held_end)) {
      at = held_end;
      continue;
    }
    struct flock lock = lock_of(F_WRLCK, at, mib);
    if (::fcntl(file_.get(), F_OFD_SETLK, &lock) == 0) return {};
    if (errno != EAGAIN && errno != EACCES)
      return error(ErrorKind::kIo, "cannot lock {}: {}", path_, std::strerror(errno));
  }
  if (mib == 0) return {};
  return error(ErrorKind::kBusy,
               "others have been promised {} of the card's {} MiB, and {} MiB in one piece are not left",
               claimed_mib(total_mib), total_mib, mib);
}

}  // namespace hearth::fleet
