#include "cli/restart.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <string>

#include "base/file.h"

namespace hearth::cli {
namespace {

constexpr const char* kRestarts = "HEARTH_RESTARTS";  // "COUNT TIME": how often of late, and when it was last
constexpr int kMost_in_a_row = 3, kFirst_socket = 3;
constexpr std::time_t kCalm_s = 60;  // after so long without one they count from the beginning

struct Restarts {
  int count = 0;
  std::time_t last = 0;
};

long number(const char* text) {
  return text == nullptr ? 0 : std::strtol(text, nullptr, 10);
}

Restarts restarts() {
  const char* value = std::getenv(kRestarts);
  Restarts past;
  if (value == nullptr) return past;
  char* rest = nullptr;
  past.count = static_cast<int>(std::strtol(value, &rest, 10));
  past.last = std::strtol(rest, nullptr, 10);
  if (std::time(nullptr) - past.last > kCalm_s) past.count = 0;
  return past;
}

// As they were given.
Result<std::vector<std::string>> arguments() {
  ASSIGN_OR_RETURN(const std::string text, read_file("/proc/self/cmdline"));
  std::vector<std::string> list;
  for (size_t at = 0; at < text.size();) {
    list.emplace_back(text.c_str() + at);
    at += list.back().size() + 1;
  }
  return list;
}

}  // namespace

std::vector<int> take_sockets() {
  std::vector<int> sockets;
  if (number(std::getenv("LISTEN_PID")) == ::getpid()) {
    const long count = number(std::getenv("LISTEN_FDS"));
    for (int i = 0; i < count; ++i) sockets.push_back(kFirst_socket + i);
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  return sockets;
}

bool may_restart() {
  return restarts().count < kMost_in_a_row;
}

Status restart(const std::vector<int>& sockets) {
  ASSIGN_OR_RETURN(std::vector<std::string> words, arguments());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  for (size_t i = 0; i < sockets.size(); ++i) ::dup2(sockets[i], kFirst_socket + static_cast<int>(i));
  for (const int socket : sockets) ::close(socket);
  const auto set = [](const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); };
  set("LISTEN_PID", std::to_string(::getpid()));
  set("LISTEN_FDS", std::to_string(sockets.size()));
  set(kRestarts, std::to_string(restarts().count + 1) + " " + std::to_string(std::time(nullptr)));
  ::execv("/proc/self/exe", argv.data());
  return io_error("cannot start anew", "/proc/self/exe", errno);
}

}  // namespace hearth::cli
