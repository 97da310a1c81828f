#include "cli/line_editor.h"

#include <histedit.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
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
  ::el_resize(impl_->editor);  // the window may have changed since
  int length = 0;
  const char* text = ::el_gets(impl_->editor, &length);
  if (text == nullptr || length <= 0) {
    const bool interrupt = interrupted();
    if (interrupt) ::el_reset(impl_->editor);
    return interrupt ? Outcome::kInterrupted : Outcome::kEnd;
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
