#include "cli/line_editor.h"

#include <histedit.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <optional>

#include "base/error.h"
#include "cli/history_file.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cli/terminal_signals.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

namespace hearth::cli {
namespace {

constexpr size_t kHistory_entries = 1000;
constexpr wchar_t kReplacement = 0xFFFD;

// Bracketed paste: a terminal that is asked for it marks what is pasted, so that a line break in it does not send the
// message (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html#h2-Bracketed-Paste-Mode).
constexpr std::string_view kAskForMarks = "\x1b[?2004h", kNoMarks = "\x1b[?2004l";
constexpr const char* kPasteBegins = "\x1b[200~";
constexpr std::string_view kPasteEnds = "\x1b[201~";

// Lines end with "\n"; nothing that a C string cannot hold.
std::string plain_lines(std::string_view pasted) {
  std::string text;
  for (size_t i = 0; i < pasted.size(); ++i) {
    if (pasted[i] == '\0') continue;
    if (pasted[i] == '\r' && i + 1 < pasted.size() && pasted[i + 1] == '\n') continue;
    text += pasted[i] == '\r' ? '\n' : pasted[i];
  }
  return text;
}

// Bytes to characters, as they come. A byte that cannot go on what has begun stands for itself: the end of a line is
// never taken for a part of a character.
class Decoder {
 public:
  // The character that is complete now, or the replacement of what is none.
  std::optional<wchar_t> take(char byte, bool* again) {
    wchar_t character = 0;
    *again = false;
    const bool begun = std::mbsinit(&state_) == 0;
    const size_t used = std::mbrtowc(&character, &byte, 1, &state_);
    if (used == static_cast<size_t>(-2)) return std::nullopt;  // more bytes belong to it
    if (used != static_cast<size_t>(-1)) return character;
    state_ = {};
    *again = begun;
    return kReplacement;
  }
  bool inside() const { return std::mbsinit(&state_) == 0; }

 private:
  std::mbstate_t state_{};
};

std::wstring decoded(std::string_view text) {
  Decoder decoder;
  std::wstring characters;
  for (size_t i = 0; i < text.size();) {
    bool again = false;
    if (const auto character = decoder.take(text[i], &again)) characters += *character;
    if (!again) ++i;
  }
  if (decoder.inside()) characters += kReplacement;
  return characters;
}

}  // namespace

struct LineEditor::Impl {
  explicit Impl(std::string file) : history_file(std::move(file)) {}

  EditLine* editor = nullptr;
  History* history = nullptr;
  HistoryFile history_file;
  bool writes_history = true;
  std::string prompt;
  int out = STDOUT_FILENO;
  bool knows_escapes = false;  // the terminal
  bool marks = false;          // were asked for
  Decoder decoder;
  std::optional<char> held;  // a byte that is still to be decoded
  TerminalSignals* signals = nullptr;
  int waiting = -1;  // epoll of the terminal and the signals

  static Impl& of(EditLine* from) {
    Impl* self = nullptr;
    ::el_get(from, EL_CLIENTDATA, &self);
    return *self;
  }

  void tell_terminal(std::string_view sequence) const {
    if (knows_escapes) (void)!::write(out, sequence.data(), sequence.size());
  }
  void ask_for_marks() {
    if (!marks) tell_terminal(kAskForMarks);
    marks = true;
  }
  void leave_marks() {
    if (marks) tell_terminal(kNoMarks);
    marks = false;
  }

  void prepare_terminal() const {
    ::el_set(editor, EL_PREP_TERM, 1);
    // So that "\r\n" in a paste is not two ends of lines. libedit undoes it with its own modes.
    termios modes{};
    if (::tcgetattr(STDIN_FILENO, &modes) != 0) return;
    modes.c_iflag &= ~static_cast<tcflag_t>(ICRNL | INLCR | IGNCR);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
  }

  // Before the terminal is somebody else's for a while, and after.
  void leave_terminal() {
    leave_marks();
    ::el_set(editor, EL_PREP_TERM, 0);
  }
  void take_terminal() {
    ::el_set(editor, EL_PREP_TERM, 0);  // whatever became of it meanwhile
    prepare_terminal();
    marks = false;
    ask_for_marks();
  }

  // The terminal has wrapped the line for its new width, and libedit would begin where the cursor stands now.
  void redraw_resized() {
    const size_t columns = terminal_width(out);
    const LineInfoW* line = ::el_wline(editor);
    size_t column = prompt.size(), rows = 0;
    for (const wchar_t* at = line->buffer; at < line->cursor; ++at) {
      if (*at == L'\n') {
        rows += column / columns + 1;
        column = 0;
      } else {
        const int width = ::wcwidth(*at);
        column += width < 0 ? 2u : static_cast<unsigned>(width);  // a control character is shown as "^X"
      }
    }
    rows += column / columns;
    tell_terminal(rows > 0 ? fmt::format("\x1b[{}A\r\x1b[J", rows) : "\r\x1b[J");
    ::el_resize(editor);
    ::el_set(editor, EL_REFRESH);
  }

  void heed(const TerminalSignals::Noted& noted) {
    if (noted.stop) {
      leave_terminal();
      signals->stop();
      (void)signals->take();  // that it was continued
    }
    if (noted.stop || noted.continued) {
      take_terminal();
      tell_terminal("\r\x1b[J");
      ::el_resize(editor);
      ::el_set(editor, EL_REFRESH);
    } else if (noted.resized) {
      redraw_resized();
    }
  }

  // The next byte; 0: the end, -1: interrupted or broken. libedit's own reading would miss a signal that comes just
  // before it waits.
  int read_byte(char* byte) {
    while (true) {
      if (!wait_readable(waiting)) return -1;
      epoll_event events[2];
      const int count = ::epoll_wait(waiting, events, 2, 0);
      bool input = false;
      for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == STDIN_FILENO)
          input = true;
        else
          heed(signals->take());
      }
      if (!input) continue;
      const ssize_t n = ::read(STDIN_FILENO, byte, 1);
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      return static_cast<int>(n);
    }
  }

  static int read_character(EditLine* from, wchar_t* character) {
    Impl& self = of(from);
    while (true) {
      char byte = 0;
      if (self.held) {
        byte = *self.held;
        self.held.reset();
      } else if (const int got = self.read_byte(&byte); got <= 0) {
        return got;
      }
      bool again = false;
      const std::optional<wchar_t> next = self.decoder.take(byte, &again);
      if (again) self.held = byte;
      if (!next) continue;
      *character = *next;
      return 1;
    }
  }

  // After the mark that begins a paste: all of it goes into the line, whatever it holds.
  static unsigned char insert_paste(EditLine* from, int) {
    Impl& self = of(from);
    std::string pasted;
    while (!pasted.ends_with(kPasteEnds)) {
      char byte = 0;
      if (self.read_byte(&byte) <= 0) return CC_EOF;
      pasted += byte;
    }
    pasted.resize(pasted.size() - kPasteEnds.size());
    const std::wstring text = decoded(plain_lines(pasted));
    return text.empty() || ::el_winsertstr(from, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  static char* current_prompt(EditLine* from) { return of(from).prompt.data(); }

  // libedit copies the two texts and never frees them (libedit 3.1, map_end()): once a program, and no leak of ours.
  void add_paste_function() {
#ifdef __SANITIZE_ADDRESS__
    const __lsan::ScopedDisabler disabler;
#endif
    ::el_set(editor, EL_ADDFN, "hearth-paste", "Insert what is pasted", &Impl::insert_paste);
  }

  void set_up() {
    ::el_set(editor, EL_CLIENTDATA, this);
    ::el_set(editor, EL_PROMPT, &Impl::current_prompt);
    ::el_set(editor, EL_GETCFN, &Impl::read_character);
    ::el_set(editor, EL_EDITOR, "emacs");
    ::el_set(editor, EL_HIST, ::history, history);
    ::el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    add_paste_function();
    ::el_source(editor, nullptr);  // the user's ~/.editrc, which may choose vi's keys
    ::el_set(editor, EL_BIND, kPasteBegins, "hearth-paste", nullptr);
    ::el_set(editor, EL_BIND, "-a", kPasteBegins, "hearth-paste", nullptr);
  }
};

LineEditor::LineEditor(std::string history_file) : impl_(std::make_unique<Impl>(std::move(history_file))) {
  // libedit reads characters as the locale says; in the plain C locale that would be bytes.
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
  impl_->out = is_terminal(STDOUT_FILENO) ? STDOUT_FILENO : STDERR_FILENO;
  impl_->knows_escapes = knows_escapes(impl_->out);
  impl_->editor = ::el_init("hearth", stdin, impl_->out == STDOUT_FILENO ? stdout : stderr, stderr);
  impl_->history = ::history_init();
  HistEvent event;
  ::history(impl_->history, &event, H_SETSIZE, static_cast<int>(kHistory_entries));
  for (const std::string& entry : impl_->history_file.read(kHistory_entries))
    ::history(impl_->history, &event, H_ENTER, entry.c_str());
  impl_->set_up();
}

LineEditor::~LineEditor() {
  impl_->leave_marks();
  ::el_end(impl_->editor);
  ::history_end(impl_->history);
}

void LineEditor::expect_input() {
  impl_->ask_for_marks();
}

LineEditor::Outcome LineEditor::read(const std::string& prompt, std::string& line) {
  impl_->prompt = prompt;
  TerminalSignals signals(impl_->out, impl_->knows_escapes ? std::string(kNoMarks) : std::string());
  impl_->signals = &signals;
  impl_->waiting = ::epoll_create1(EPOLL_CLOEXEC);
  for (const int fd : {STDIN_FILENO, signals.fd()}) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    ::epoll_ctl(impl_->waiting, EPOLL_CTL_ADD, fd, &event);
  }
  // el_gets() would do this only after it has shown the prompt, and a Ctrl-D in between would be lost.
  impl_->prepare_terminal();
  impl_->ask_for_marks();
  ::el_resize(impl_->editor);  // the terminal may have changed while nobody looked
  int length = 0;
  const char* text = ::el_gets(impl_->editor, &length);
  impl_->leave_marks();
  ::close(impl_->waiting);
  impl_->signals = nullptr;
  if (text == nullptr || length <= 0) {
    ::el_reset(impl_->editor);
    ::el_set(impl_->editor, EL_PREP_TERM, 0);
    return interrupted() ? Outcome::kInterrupted : Outcome::kEnd;
  }
  line.assign(text, static_cast<size_t>(length));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  return Outcome::kLine;
}

void LineEditor::remember(const std::string& line) {
  HistEvent event;
  ::history(impl_->history, &event, H_ENTER, line.c_str());
  if (!impl_->writes_history) return;
  if (const Status written = impl_->history_file.append(line); !written) {
    print_note("note: " + written.error().message);
    impl_->writes_history = false;  // once is enough
  }
}

std::string default_history_file() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  if (const std::string file = variable("HEARTH_HISTORY"); !file.empty()) return file;
  if (const std::string state = variable("XDG_STATE_HOME"); !state.empty()) return state + "/hearth/history";
  const std::string home = variable("HOME");
  return home.empty() ? home : home + "/.local/state/hearth/history";
}

}  // namespace hearth::cli
