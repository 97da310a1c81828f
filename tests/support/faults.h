// Lets the n-th call of one of the system's operations that files are written with fail, or end the process.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "base/atomic_file.h"

namespace hearth::test {

// From its construction to its end; one at a time.
class Fault {
 public:
  static constexpr int kKill = -1;
  // `call`: "open", "write", "pwrite", "fsync", "rename", "unlink", "fallocate", or "any" of them, on whatever thread.
  // `code`: the errno; 0 with "write" and "pwrite": a short write; kKill: the process is killed in its place.
  Fault(std::string call, int nth, int code) : call_(std::move(call)), nth_(nth), code_(code) {
    self_ = this;
    real_ = file_operations();
    FileOperations& system = file_operations();
    system.open = [](const char* path, int flags, mode_t mode) {
      return self_->fails("open") ? -1 : self_->real_.open(path, flags, mode);
    };
    system.write = [](int fd, const void* data, size_t size) {
      if (!self_->fails("write")) return self_->real_.write(fd, data, size);
      return self_->code_ == 0 && size > 1 ? self_->real_.write(fd, data, size / 2) : ssize_t{-1};
    };
    system.pwrite = [](int fd, const void* data, size_t size, off_t at) {
      if (!self_->fails("pwrite")) return self_->real_.pwrite(fd, data, size, at);
      return self_->code_ == 0 && size > 6 ? self_->real_.pwrite(fd, data, size / 2, at) : ssize_t{-1};
    };
    system.fsync = [](int fd) { return self_->fails("fsync") ? -1 : self_->real_.fsync(fd); };
    system.rename = [](const char* from, const char* to) {
      return self_->fails("rename") ? -1 : self_->real_.rename(from, to);
    };
    system.unlink = [](const char* path) { return self_->fails("unlink") ? -1 : self_->real_.unlink(path); };
    system.fallocate = [](int fd, int mode, off_t at, off_t size) {
      return self_->fails("fallocate") ? -1 : self_->real_.fallocate(fd, mode, at, size);
    };
  }
  Fault(const Fault&) = delete;
  ~Fault() { file_operations() = real_; }

  // Whether so many calls came that one has failed.
  bool happened() const { return calls_ >= nth_; }
  int calls() const { return calls_; }

 private:
  bool fails(const char* which) {
    if ((call_ != which && call_ != "any") || ++calls_ != nth_) return false;
    if (code_ == kKill) ::raise(SIGKILL);
    errno = code_;
    return true;
  }
  static inline Fault* self_ = nullptr;
  FileOperations real_{};
  std::string call_;
  int nth_, code_;
  std::atomic<int> calls_ = 0;
};

// Whether a process that does this is killed at its n-th call; false: it had fewer, and has done all.
template <class Work>
bool is_killed_at(int nth, Work work) {
  const pid_t child = ::fork();
  if (child == 0) {
    const Fault fault("any", nth, Fault::kKill);
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

}  // namespace hearth::test
