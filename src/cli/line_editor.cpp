#include "cli/line_editor.h"

#include <histedit.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <filesystem>

#include "cli/signals.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

constexpr int kHistory_lines = 1000;

}  // namespace

struct LineEditor::Impl {
  EditLine* editor = nullptr;
  History* history = nullptr;
  std::string history_file, prompt;

  std::mbstate_t decoding{};

  // The next character; 0: the end, -1: interrupted or broken. libedit's own would miss a signal that comes just
  // before it waits.
  static int read_character(EditLine* editor, wchar_t* character) {
    Impl* self = nullptr;
    ::el_get(editor, EL_CLIENTDATA, &self);
    while (true) {
      char byte = 0;
      if (!wait_readable(STDIN_FILENO)) return -1;
      const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
      if (n <= 0) return static_cast<int>(n);
      const size_t used = std::mbrtowc(character, &byte, 1, &self->decoding);
      if (used == static_cast<size_t>(-2)) continue;             // more bytes belong to it
      if (used == static_cast<size_t>(-1)) self->decoding = {};  // no character at all: left out
      if (used <= 1) return 1;
    }
  }
  static char* current_prompt(EditLine* editor) {
    Impl* self = nullptr;
    ::el_get(editor, EL_CLIENTDATA, &self);
    return self->prompt.data();
  }
};

LineEditor::LineEditor(std::string history_file) : impl_(std::make_unique<Impl>()) {
  impl_->history_file = std::move(history_file);
  // libedit reads characters as the locale says; in the plain C locale that would be bytes.
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
  FILE* out = is_terminal(STDOUT_FILENO) ? stdout : stderr;
  impl_->editor = ::el_init("hearth", stdin, out, stderr);
  impl_->history = ::history_init();
  HistEvent event;
  ::history(impl_->history, &event, H_SETSIZE, kHistory_lines);
  if (!impl_->history_file.empty()) ::history(impl_->history, &event, H_LOAD, impl_->history_file.c_str());
  ::el_set(impl_->editor, EL_CLIENTDATA, impl_.get());
  ::el_set(impl_->editor, EL_PROMPT, &Impl::current_prompt);
  ::el_set(impl_->editor, EL_GETCFN, &Impl::read_character);
  ::el_set(impl_->editor, EL_EDITOR, "emacs");
  ::el_set(impl_->editor, EL_HIST, ::history, impl_->history);
  ::el_set(impl_->editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  ::el_source(impl_->editor, nullptr);  // the user's ~/.editrc
}

LineEditor::~LineEditor() {
  ::el_end(impl_->editor);
  ::history_end(impl_->history);
}

LineEditor::Outcome LineEditor::read(const std::string& prompt, std::string& line) {
  impl_->prompt = prompt;
  // el_gets() would do this only after it has shown the prompt, and a Ctrl-D in between would be lost.
  ::el_set(impl_->editor, EL_PREP_TERM, 1);
  int length = 0;
  const char* text = ::el_gets(impl_->editor, &length);
  if (text == nullptr || length <= 0) {
    ::el_reset(impl_->editor);
    return interrupted() ? Outcome::kInterrupted : Outcome::kEnd;
  }
  line.assign(text, static_cast<size_t>(length));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  return Outcome::kLine;
}

void LineEditor::remember(const std::string& line) {
  HistEvent event;
  ::history(impl_->history, &event, H_ENTER, line.c_str());
  if (impl_->history_file.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(impl_->history_file).parent_path(), ignored);
  const mode_t before = ::umask(0077);  // what people write is theirs
  if (::history(impl_->history, &event, H_SAVE, impl_->history_file.c_str()) < 0) {
    print_note("note: cannot write the history file " + impl_->history_file);
    impl_->history_file.clear();  // once is enough
  }
  ::umask(before);
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
