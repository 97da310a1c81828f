#include "disk/ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <utility>

namespace hearth::disk {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMost_what = 200;

// Apart from those of another process that happens to have the same number (a container's).
const std::string& own_prefix() {
  static const std::string prefix = [] {
    uint64_t random = 0;
    if (const int fd = ::open("/dev/urandom", O_RDONLY | O_CLOEXEC); fd >= 0) {
      if (::read(fd, &random, sizeof(random)) < 0) random = 0;
      ::close(fd);
    }
    return fmt::format("{}-{:016x}-", ::getpid(), random);
  }();
  return prefix;
}

std::optional<Promise> read_entry(int fd, const std::string& name) {
  std::array<char, kMost_what + 64> text{};
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  if (n <= 0) return std::nullopt;
  std::string_view line(text.data(), static_cast<size_t>(n));
  line = line.substr(0, line.find('\n'));
  Promise promise;
  const auto [end, code] = std::from_chars(line.data(), line.data() + line.size(), promise.bytes);
  if (code != std::errc() || end == line.data() + line.size()) return std::nullopt;
  promise.what = line.substr(static_cast<size_t>(end - line.data()) + 1);
  std::from_chars(name.data(), name.data() + name.size(), promise.process);
  return promise;
}

}  // namespace

LedgerEntry::LedgerEntry(const std::string& folder, uint64_t bytes, std::string_view what)
    : what_(what.substr(0, kMost_what)) {
  static std::atomic<uint64_t> count{0};
  for (char& c : what_)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  std::error_code failed;
  fs::create_directories(folder, failed);
  path_ = fmt::format("{}/{}{}", folder, own_prefix(), count.fetch_add(1));
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) return;
  while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) continue;  // somebody may look at it
  set(bytes);
}

LedgerEntry::~LedgerEntry() {
  if (fd_ < 0) return;
  ::unlink(path_.c_str());
  ::close(fd_);
}

void LedgerEntry::set(uint64_t bytes) {
  if (fd_ < 0) return;
  const std::string line = fmt::format("{:020} {}\n", bytes, what_);  // always as long: written over itself
  [[maybe_unused]] const ssize_t n = ::pwrite(fd_, line.data(), line.size(), 0);
}

void with_ledger_lock(const std::string& folder, const std::function<void()>& decide) {
  int fd = -1;
  if (!folder.empty()) {
    std::error_code failed;
    fs::create_directories(folder, failed);
    fd = ::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  }
  if (fd >= 0)
    while (::flock(fd, LOCK_EX) != 0 && errno == EINTR) continue;
  decide();
  if (fd >= 0) ::close(fd);
}

std::vector<Promise> foreign_promises(const std::string& folder, bool locked) {
  std::vector<Promise> list;
  std::error_code failed;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (name == "lock" || name.starts_with(own_prefix())) continue;
    const int fd = ::open(it->path().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      // Nobody holds it. One that is just being made is not held yet either, but then its maker has the ledger's lock.
      if (locked) ::unlink(it->path().c_str());
    } else if (auto promise = read_entry(fd, name)) {
      list.push_back(std::move(*promise));
    }
    ::close(fd);
  }
  return list;
}

}  // namespace hearth::disk
