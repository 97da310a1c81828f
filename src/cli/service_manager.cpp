#include "cli/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/descriptor.h"
#include "base/log.h"

namespace hearth::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

int64_t monotonic_us() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
}

// "/run/x", or "@x" in the abstract name space; the length, 0 if it is neither.
socklen_t address_of(const std::string& name, sockaddr_un& address) {
  if (name.size() < 2 || name.size() >= sizeof address.sun_path || (name[0] != '/' && name[0] != '@')) return 0;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
}

}  // namespace

ServiceManager::ServiceManager() : socket_(variable("NOTIFY_SOCKET")) {
  constexpr int kTimes = 4;
  const std::string pid = variable("WATCHDOG_PID");
  if (!pid.empty() && pid != std::to_string(::getpid())) return;
  every_ = std::chrono::microseconds(std::strtoll(variable("WATCHDOG_USEC").c_str(), nullptr, 10)) / kTimes;
}

void ServiceManager::tell(std::string_view text) const {
  if (socket_.empty()) return;
  sockaddr_un address{};
  const socklen_t length = address_of(socket_, address);
  const Descriptor handle(length == 0 ? -1 : ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const bool told = handle.open() && ::sendto(handle.get(), text.data(), text.size(), MSG_NOSIGNAL,
                                              reinterpret_cast<const sockaddr*>(&address), length) >= 0;
  if (!told) log_warn("the service manager cannot be told \"{}\": {}", text, std::strerror(errno));
}

void ServiceManager::ready(std::string_view status) const {
  tell(fmt::format("READY=1\nSTATUS={}", status));
}

void ServiceManager::reloading() const {
  tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()));
}

void ServiceManager::stopping(std::chrono::milliseconds most) const {
  tell(fmt::format("STOPPING=1\nSTATUS=Requests that run may end\nEXTEND_TIMEOUT_USEC={}",
                   std::chrono::microseconds(most + std::chrono::seconds(10)).count()));
}

void ServiceManager::alive() {
  const auto now = std::chrono::steady_clock::now();
  if (every_.count() <= 0 || now - told_ < every_) return;
  told_ = now;
  tell("WATCHDOG=1");
}

}  // namespace hearth::cli
