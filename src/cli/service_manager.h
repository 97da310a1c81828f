// What systemd, or whoever starts services as it does, is told of a server's state (sd_notify(3)): text in a datagram
// to the socket that NOTIFY_SOCKET names. Without one nothing is told.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace hearth::cli {

class ServiceManager {
 public:
  // NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, as the environment has them. They stay there for a process that
  // starts itself anew.
  ServiceManager();

  // `status` is the line that "systemctl status" shows.
  void ready(std::string_view status) const;
  void reloading() const;  // ready() ends it
  void stopping(std::chrono::milliseconds most) const;
  // As often as serving goes on; sent four times in the time after which the manager takes it for hanging.
  void alive();

 private:
  void tell(std::string_view text) const;
  std::string socket_;
  std::chrono::microseconds every_{0};  // 0: nobody watches
  std::chrono::steady_clock::time_point told_{};
};

}  // namespace hearth::cli
