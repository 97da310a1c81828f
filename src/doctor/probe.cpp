#include "doctor/probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

extern char** environ;

namespace hearth::doctor {
namespace {

constexpr size_t kMostBytes = 4 << 20;

std::vector<std::string> changed(const std::vector<std::string>& changes) {
  std::vector<std::string> all;
  const auto name_of = [](const std::string& entry) { return entry.substr(0, entry.find('=')); };
  for (char** entry = environ; *entry != nullptr; ++entry) {
    bool replaced = false;
    for (const std::string& change : changes) replaced = replaced || name_of(change) == name_of(*entry);
    if (!replaced) all.emplace_back(*entry);
  }
  for (const std::string& change : changes)
    if (change.find('=') != std::string::npos) all.push_back(change);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

}  // namespace

Probe::Probe(const std::string& program, const std::string& name, const std::vector<std::string>& environment) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    problem_ = fmt::format("no pipe: {}", std::strerror(errno));
    return;
  }
  out_ = ends[0];
  std::vector<std::string> arguments = {program, "doctor", "--probe", name};
  std::vector<std::string> variables = changed(environment);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  const int failed =
      ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, pointers(arguments).data(), pointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (failed != 0) {
    pid_ = -1;
    problem_ = fmt::format("{} cannot be started: {}", program, std::strerror(failed));
  }
}

Probe::~Probe() {
  if (out_ >= 0) ::close(out_);
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  // One that is stuck in the kernel cannot be waited for; it ends when the driver lets it.
  for (int tries = 0; tries < 50 && ::waitpid(pid_, nullptr, WNOHANG) == 0; ++tries) ::usleep(2000);
}

boost::json::object Probe::answer(std::chrono::steady_clock::time_point until) {
  if (pid_ < 0) return {{"error", problem_}};
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd wait{out_, POLLIN, 0};
    const int ready = left > 0 ? ::poll(&wait, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return {{"error", "timeout"}};
    const ssize_t got = ::read(out_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || text.size() > kMostBytes) break;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  boost::json::error_code failed;
  boost::json::value value = boost::json::parse(text, failed);
  if (!failed && value.is_object()) return std::move(value.get_object());
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return {{"error", WIFSIGNALED(status)
                        ? fmt::format("the driver's library ended the probe by signal {}", WTERMSIG(status))
                        : std::string("the probe gave no answer")}};
}

}  // namespace hearth::doctor
