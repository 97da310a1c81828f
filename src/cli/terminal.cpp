#include "cli/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/outside_text.h"
#include "cli/signals.h"

namespace hearth::cli {
namespace {

constexpr std::string_view kAllowed = "\n\t";  // in messages

// 0, or the errno.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {  // somebody else made it non-blocking
      pollfd ready{fd, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR || interrupted()) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

Error output_error(int code) {
  if (code == EPIPE || code == EINTR) return {ErrorKind::kCancelled, {}};
  return error(ErrorKind::kIo, "cannot write to standard output: {}", std::strerror(code));
}

Status print(std::string_view text) {
  if (const int code = write_all(STDOUT_FILENO, text); code != 0) return output_error(code);
  return {};
}

void print_error(std::string_view message) {
  const bool colours = has_colours(STDERR_FILENO);
  write_all(STDERR_FILENO, fmt::format("{}hearth:{} {}\n", colours ? "\x1b[1;31m" : "", colours ? "\x1b[0m" : "",
                                       printable(message, kAllowed)));
}

void print_note(std::string_view message) {
  write_all(STDERR_FILENO, printable(message, kAllowed) + "\n");
}

bool is_terminal(int fd) {
  return ::isatty(fd) == 1;
}

bool has_colours(int fd) {
  const char* refused = std::getenv("NO_COLOR");
  return knows_escapes(fd) && (refused == nullptr || *refused == '\0');
}

bool knows_escapes(int fd) {
  const char* kind = std::getenv("TERM");
  return is_terminal(fd) && kind != nullptr && std::strcmp(kind, "dumb") != 0;
}

size_t terminal_width(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace hearth::cli
