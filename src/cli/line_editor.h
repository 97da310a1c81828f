// Lines from a terminal, with editing and a history file (libedit).
#pragma once

#include <memory>
#include <string>

namespace hearth::cli {

class LineEditor {
 public:
  // `history_file` may be missing; its folder is made when there is something to write. Empty: no file.
  explicit LineEditor(std::string history_file);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  enum class Outcome { kLine, kInterrupted, kEnd };
  // A line without its end; what was pasted may bring line breaks into it. kInterrupted: Ctrl-C (the line is dropped);
  // kEnd: Ctrl-D on an empty line, or the terminal is gone. The prompt must be ASCII. Needs an InterruptScope. The
  // terminal has its modes back when this returns, and while the process is stopped (Ctrl-Z).
  Outcome read(const std::string& prompt, std::string& line);
  // Asks for the marks of pastes ahead of read(), which does it otherwise.
  void expect_input();
  // Adds to the history and its file; see HistoryFile for what is written.
  void remember(const std::string& line);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// $HEARTH_HISTORY, or hearth/history in $XDG_STATE_HOME or ~/.local/state
// (https://specifications.freedesktop.org/basedir-spec); empty if there is no home.
std::string default_history_file();

}  // namespace hearth::cli
