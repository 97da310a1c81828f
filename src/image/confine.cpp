#include "image/confine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>

namespace hearth::image {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

#if defined(__x86_64__)
constexpr uint32_t kMachine = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kMachine = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kMachine = 0;  // whose calls are not known here
#endif

// Memory, reading, writing, ending, and what malloc, exceptions and abort() need.
constexpr std::array kAllowed{
    SYS_read,           SYS_write,           SYS_close,         SYS_munmap,
    SYS_mremap,         SYS_madvise,         SYS_brk,           SYS_futex,
    SYS_exit,           SYS_exit_group,      SYS_getrandom,     SYS_rt_sigreturn,
    SYS_rt_sigprocmask, SYS_restart_syscall, SYS_clock_gettime, SYS_getpid,
    SYS_gettid,         SYS_tgkill,          SYS_sched_yield,   SYS_lseek,
};
// With memory that holds code they would end the process.
constexpr std::array kMapping{SYS_mmap, SYS_mprotect};
// Libraries look for files that may be there; that they are not is no harm.
constexpr std::array kRefused{SYS_openat, SYS_newfstatat, SYS_fstat, SYS_readlinkat, SYS_faccessat, SYS_ioctl};

sock_filter load(size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}
sock_filter give(uint32_t verdict) {
  return BPF_STMT(BPF_RET | BPF_K, verdict);
}
// The next instruction, if what was loaded is this; else the one after it.
sock_filter if_equal(uint32_t value) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
}

std::vector<sock_filter> filter() {
  constexpr uint32_t kEnd = SECCOMP_RET_KILL_PROCESS;
  std::vector<sock_filter> code{load(offsetof(seccomp_data, arch)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMachine, 1, 0),
                                give(kEnd), load(offsetof(seccomp_data, nr))};
  const auto answer = [&](long call, uint32_t verdict) {
    code.push_back(if_equal(static_cast<uint32_t>(call)));
    code.push_back(give(verdict));
  };
  for (const long call : kAllowed) answer(call, SECCOMP_RET_ALLOW);
  for (const long call : kRefused) answer(call, SECCOMP_RET_ERRNO | EACCES);
  for (const long call : kMapping) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 4));
    code.push_back(
        load(offsetof(seccomp_data, args) + 2 * sizeof(uint64_t)));  // the protection, on little-endian machines
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0));
    code.push_back(give(SECCOMP_RET_ALLOW));
    code.push_back(give(kEnd));
  }
  code.push_back(give(kEnd));
  return code;
}

// Kernels before 5.9 close only one by one.
void close_all_but_standard() {
  if (::syscall(SYS_close_range, 3u, ~0u, 0u) == 0) return;
  const long most = ::sysconf(_SC_OPEN_MAX);
  for (int file = 3; file < most; ++file) ::close(file);
}

uint64_t address_space_bytes() {
  unsigned long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  const int read = std::fscanf(file, "%lu", &pages);
  std::fclose(file);
  return read == 1 ? uint64_t{pages} * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

// Of two processes the one that can be spared goes first where memory ends. Not allowed: then by size, as usual.
void be_the_first_to_go() {
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  (void)!::write(file, "1000", 4);
  ::close(file);
}

class Problems {
 public:
  void note(bool done, const char* what) {
    if (!done) text_ += fmt::format("{}{}: {}", text_.empty() ? "" : ", ", what, std::strerror(errno));
  }
  void add(const char* what) { text_ += fmt::format("{}{}", text_.empty() ? "" : ", ", what); }
  std::string text() const { return text_; }

 private:
  std::string text_;
};

bool limit(decltype(RLIMIT_AS) what, uint64_t soft, uint64_t hard) {
  rlimit now{};
  if (::getrlimit(what, &now) != 0) return false;
  const rlimit wanted{std::min<rlim_t>(soft, now.rlim_max), std::min<rlim_t>(hard, now.rlim_max)};
  return ::setrlimit(what, &wanted) == 0;
}

void set_limits(const Confinement& confinement, Problems* problems) {
  const uint64_t memory = address_space_bytes() + confinement.memory_bytes;
  if (!kSanitized) {  // a sanitizer maps terabytes, looks at memory through pipes and for leaks with a process
    problems->note(limit(RLIMIT_AS, memory, memory), "memory is not bounded");
    problems->note(limit(RLIMIT_NOFILE, 0, 0), "descriptors are not bounded");
    problems->note(limit(RLIMIT_NPROC, 0, 0), "processes are not bounded");
  }
  // The second signal, a second later, cannot be caught.
  problems->note(limit(RLIMIT_CPU, confinement.cpu_s, confinement.cpu_s + 1), "computing is not bounded");
  problems->note(limit(RLIMIT_FSIZE, 0, 0), "files are not bounded");
  problems->note(limit(RLIMIT_CORE, 0, 0), "core files are not bounded");
}

}  // namespace

std::string confine(const Confinement& confinement) {
  Problems problems;
  be_the_first_to_go();
  close_all_but_standard();
  set_limits(confinement, &problems);
  problems.note(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "it may outlive its parent");
  problems.note(::prctl(PR_SET_DUMPABLE, 0) == 0, "it can be traced");
  problems.note(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "its privileges may grow");
  if (kSanitized || kMachine == 0) {
    problems.add(kSanitized ? "it was built with a sanitizer" : "system calls of this machine are not known");
    return problems.text();
  }
  std::vector<sock_filter> code = filter();
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  problems.note(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "system calls are not filtered");
  return problems.text();
}

}  // namespace hearth::image
