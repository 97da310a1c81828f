#include "cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace hearth::test {
namespace {

[[noreturn]] void become_hearth(const std::vector<std::string>& args, const std::vector<std::string>& environment) {
  std::vector<char*> argv = {const_cast<char*>("hearth")};
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_DFL);  // whoever runs the tests
  for (const std::string& variable : environment)
    ::putenv(const_cast<char*>(variable.c_str()));  // a name: takes it away
  ::execv(HEARTH_BINARY, argv.data());
  ::_exit(127);
}

void make_pipe(int (&ends)[2]) {
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
}

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

}  // namespace

// Ten minutes, which no test needs on a machine that has time for it. While everything is stopped none of it passes.
class Process::Patience {
 public:
  static constexpr int kStep_ms = 50;

  bool at_an_end() {
    const Clock::time_point now = Clock::now();
    left_ -= std::min<Clock::duration>(now - seen_, std::chrono::milliseconds(2 * kStep_ms));
    seen_ = now;
    return left_ < Clock::duration::zero();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point seen_ = Clock::now();
  Clock::duration left_ = std::chrono::minutes(10);
};

Process::Process(const std::vector<std::string>& args, Streams streams, const std::vector<std::string>& environment) {
  std::signal(SIGPIPE, SIG_IGN);
  if (streams == Streams::kTerminal) {
    winsize size{.ws_row = 40, .ws_col = 120, .ws_xpixel = 0, .ws_ypixel = 0};
    pid_ = ::forkpty(&out_, nullptr, nullptr, &size);
    if (pid_ == 0) become_hearth(args, environment);
    in_ = ::dup(out_);
    return;
  }
  int in[2], out[2], err[2];
  make_pipe(in);
  make_pipe(out);
  make_pipe(err);
  if (streams == Streams::kNoInput) close_fd(in[1]);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::dup2(err[1], 2);
    become_hearth(args, environment);
  }
  ::close(in[0]);
  ::close(out[1]);
  ::close(err[1]);
  in_ = in[1];
  out_ = out[0];
  err_ = err[0];
}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  close_fd(in_);
  close_fd(out_);
  close_fd(err_);
}

void Process::write(const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(in_, text.data() + done, text.size() - done);
    if (n <= 0) return;  // it need not read all of it
    done += static_cast<size_t>(n);
  }
}

void Process::close_input() {
  close_fd(in_);
}
void Process::close_output() {
  close_fd(out_);
}

bool Process::read_some(Patience& patience) {
  pollfd fds[2] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
  if ((out_ < 0 && err_ < 0) || patience.at_an_end()) return false;
  ::poll(fds, 2, Patience::kStep_ms);
  char chunk[4096];
  for (auto& [fd, text] : {std::pair<int&, std::string&>{out_, finished_.out}, {err_, finished_.err}}) {
    const pollfd& state = &fd == &out_ ? fds[0] : fds[1];
    if (fd < 0 || (state.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    const ssize_t n = ::read(fd, chunk, sizeof chunk);
    if (n > 0) text.append(chunk, static_cast<size_t>(n));
    if (n <= 0) close_fd(fd);
  }
  return true;
}

bool Process::wait_for(const std::string& text) {
  Patience patience;
  while (true) {
    const size_t at = finished_.out.find(text, searched_);
    if (at != std::string::npos) {
      searched_ = at + text.size();
      return true;
    }
    if (!read_some(patience)) return false;
  }
}

bool Process::wait_for_output() {
  Patience patience;
  while (finished_.out.size() <= searched_ && read_some(patience)) {
  }
  return finished_.out.size() > searched_;
}

void Process::resize(unsigned short columns) {
  winsize size{.ws_row = 40, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  ::ioctl(out_, TIOCSWINSZ, &size);
}

bool Process::runs() const {
  siginfo_t ended{};  // it stays to be reaped
  return ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0;
}

void Process::send(int signal) {
  ::kill(pid_, signal);
}

Finished Process::finish() {
  Patience patience;
  while (read_some(patience)) {
  }
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (patience.at_an_end()) ::kill(pid_, SIGKILL);
    ::usleep(2000);
  }
  pid_ = -1;
  if (WIFEXITED(status)) finished_.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) finished_.signal = WTERMSIG(status);
  return finished_;
}

Finished hearth(const std::vector<std::string>& args, const std::string& input) {
  Process process(args, input.empty() ? Process::Streams::kNoInput : Process::Streams::kPipes);
  process.write(input);
  process.close_input();
  return process.finish();
}

}  // namespace hearth::test
