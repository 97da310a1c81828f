#include "cli/tool_command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/spawn.h"
#include "cli/signals.h"
#include "text/utf8_stream.h"

extern char** environ;

namespace hearth::cli {
namespace {

constexpr size_t kMaxResult = size_t{1} << 20;  // what a command writes behind that is dropped
constexpr int kLook_ms = 50;                    // for a signal
constexpr int kPatience_ms = 2000;              // for a command that is asked to end

class Pipe {
 public:
  bool open() { return ::pipe2(ends_, O_CLOEXEC) == 0; }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  int end(int which) const { return ends_[which]; }
  void close_end(int which) {
    if (ends_[which] >= 0) ::close(std::exchange(ends_[which], -1));
  }

 private:
  int ends_[2] = {-1, -1};
};

int start(const std::string& command, int input, int output, pid_t* pid) {
  SpawnSettings settings;
  settings.give(input, STDIN_FILENO);
  settings.give(output, STDOUT_FILENO);
  const char* argv[] = {"sh", "-c", command.c_str(), nullptr};
  return ::posix_spawn(pid, "/bin/sh", settings.actions(), settings.attributes(), const_cast<char**>(argv), environ);
}

class Process {
 public:
  Process(Pipe& input, Pipe& output, pid_t pid) : input_(input), output_(output), pid_(pid) {}
  ~Process() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGTERM);
    for (int looks = 0; looks < kPatience_ms / kLook_ms; ++looks) {
      if (::waitpid(pid_, nullptr, WNOHANG) != 0) return;
      ::poll(nullptr, 0, kLook_ms);
    }
    ::kill(-pid_, SIGKILL);
    wait();
  }

  // Until it writes no more. False once interrupted().
  bool talk(std::string_view given, std::string* written) {
    while (output_.end(0) >= 0) {
      if (interrupted()) return false;
      pollfd fds[2] = {{output_.end(0), POLLIN, 0}, {input_.end(1), POLLOUT, 0}};  // a negative one is left out
      if (::poll(fds, 2, kLook_ms) <= 0) continue;
      if (fds[1].revents != 0) give(&given);
      if (fds[0].revents != 0) take(written);
    }
    return true;
  }
  // The state that waitpid() gives.
  int wait() {
    int state = 0;
    while (::waitpid(pid_, &state, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return state;
  }

 private:
  void give(std::string_view* left) {
    const ssize_t count = ::write(input_.end(1), left->data(), left->size());
    if (count > 0) left->remove_prefix(static_cast<size_t>(count));
    const bool later = count < 0 && (errno == EAGAIN || errno == EINTR);
    if (left->empty() || (count < 0 && !later)) input_.close_end(1);  // it need not read
  }
  void take(std::string* to) {
    char bytes[4096];
    const ssize_t count = ::read(output_.end(0), bytes, sizeof bytes);
    if (count > 0)
      to->append(bytes, std::min(static_cast<size_t>(count), kMaxResult - std::min(kMaxResult, to->size())));
    if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) output_.close_end(0);
  }

  Pipe& input_;
  Pipe& output_;
  pid_t pid_;
};

std::string as_text(std::string_view bytes) {
  text::Utf8Stream stream;
  std::string text = stream.feed(bytes);
  text += stream.finish();
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string with_state(std::string text, int state) {
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return text;
  const std::string how =
      WIFEXITED(state) ? fmt::format("exit code {}", WEXITSTATUS(state)) : fmt::format("signal {}", WTERMSIG(state));
  return fmt::format("error: the tool failed ({}){}{}", how, text.empty() ? "" : ": ", text);
}

}  // namespace

Result<std::string> run_tool_command(const std::string& command, const std::string& call) {
  Pipe input, output;
  if (!input.open() || !output.open()) return error(ErrorKind::kIo, "cannot open a pipe: {}", std::strerror(errno));
  ::fcntl(input.end(1), F_SETFL, O_NONBLOCK);
  pid_t pid = 0;
  if (const int failed = start(command, input.end(0), output.end(1), &pid); failed != 0)
    return error(ErrorKind::kIo, "cannot start the tool's command: {}", std::strerror(failed));
  input.close_end(0);
  output.close_end(1);
  Process process(input, output, pid);
  std::string written;
  if (!process.talk(call + "\n", &written)) return Error{ErrorKind::kCancelled, {}};
  input.close_end(1);
  return with_state(as_text(written), process.wait());
}

}  // namespace hearth::cli
