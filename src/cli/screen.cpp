#include "cli/screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/signals.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

// The second screen, without a cursor and without wrapping (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html).
constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr const char* kLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr const char* kHome = "\x1b[H";
constexpr const char* kLine_end = "\x1b[K\r\n";
constexpr const char* kRest = "\x1b[J";
constexpr size_t kRows = 24;

size_t terminal_height() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : kRows;
}

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;  // a byte inside of a character
}

}  // namespace

std::string fitted(const std::string& text, size_t columns, size_t rows, const char* line_end) {
  std::string out;
  size_t row = 0;
  for (size_t at = 0; at < text.size() && row < rows; ++row) {
    const size_t end = std::min(text.find('\n', at), text.size());
    size_t column = 0;
    for (size_t i = at; i < end; ++i) {
      if (!continues(text[i])) ++column;
      if (column <= columns) out += text[i];
    }
    out += row + 1 < rows && end + 1 < text.size() ? line_end : "";
    at = end + 1;
  }
  return out;
}

Screen::Screen() : terminal_(knows_escapes(STDOUT_FILENO)) {
  if (!terminal_) return;
  input_ = is_terminal(STDIN_FILENO) && ::tcgetattr(STDIN_FILENO, &before_) == 0;
  signals_.emplace(STDOUT_FILENO, kLeave);
  if (input_) {
    termios keys = before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
  }
  (void)print(kEnter);
}

Screen::~Screen() {
  if (!terminal_) return;
  (void)print(kLeave);
  if (input_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

// The last column stays free: the cursor stands on it when it is written, and what erases the rest of the line would
// erase it.
size_t Screen::width() const {
  return terminal_width(STDOUT_FILENO) - (terminal_ ? 1 : 0);
}

Status Screen::show(const std::string& text) {
  if (!terminal_) return print(text + "\n");
  return print(kHome + fitted(text, width(), terminal_height(), kLine_end) + "\x1b[K" + kRest);
}

int Screen::key(std::chrono::milliseconds most) {
  pollfd waited[2] = {{input_ ? STDIN_FILENO : -1, POLLIN, 0}, {signals_ ? signals_->fd() : -1, POLLIN, 0}};
  if (interrupted() || ::poll(waited, 2, static_cast<int>(most.count())) <= 0) return 0;
  if (waited[1].revents != 0) {
    const TerminalSignals::Noted noted = signals_->take();
    if (noted.stop) {
      (void)print(kLeave);
      if (input_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
      termios keys = before_;
      keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      signals_->stop();
      if (input_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
      (void)print(kEnter);
    }
    return 0;
  }
  char bytes[8] = {};
  const ssize_t got = ::read(STDIN_FILENO, bytes, sizeof bytes - 1);
  if (got <= 0) {
    input_ = got < 0;
    return 0;
  }
  const std::string_view typed(bytes, static_cast<size_t>(got));
  if (typed == "\x1b[A" || typed == "\x1bOA") return kUp;
  if (typed == "\x1b[B" || typed == "\x1bOB") return kDown;
  return static_cast<unsigned char>(bytes[0]);
}

}  // namespace hearth::cli
