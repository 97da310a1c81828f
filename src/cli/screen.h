// A terminal that shows something anew again and again, as top does.
#pragma once

#include <termios.h>

#include <chrono>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/terminal_signals.h"

namespace hearth::cli {

// While one exists, standard output is a screen of its own, whose former content comes back at the end, and keys come
// one by one. Where standard output is no terminal, texts are written one after another. Inside of an InterruptScope.
class Screen {
 public:
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // As many lines of it as there are rows, each as long as the terminal is wide, over what is there: nothing is cleared
  // first, so that nothing flickers. Errors: those of print().
  Status show(const std::string& text);
  size_t width() const;  // columns

  // The next key within this time: 0 for none. kUp and kDown are arrows. Ends early on a signal, a new size, or the end
  // of the input.
  static constexpr int kUp = 1000, kDown = 1001;
  int key(std::chrono::milliseconds most);

 private:
  const bool terminal_;
  bool input_ = false;  // keys can be read
  termios before_{};
  std::optional<TerminalSignals> signals_;
};

// The text's lines, each cut to `columns` characters, at most `rows` of them.
std::string fitted(const std::string& text, size_t columns, size_t rows, const char* line_end);

}  // namespace hearth::cli
