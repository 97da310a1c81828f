// The log, on standard error. (spdlog, which writes it, is seen by log.cpp alone: it takes a compiler several seconds.)
#pragma once

#include <fmt/format.h>

#include <string>

namespace hearth {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

// Routes the log to standard error. Until then only what is logged at warning level or above is shown, there too.
void init_log(LogLevel least);
// Nothing below this level is shown from now on.
void set_log_level(LogLevel least);
// One line at this level. Safe from any thread.
void log_line(LogLevel level, const std::string& line);

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kWarn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace hearth
