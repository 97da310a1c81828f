// An answer as it comes, on the terminal.
#pragma once

#include <string_view>

#include "base/result.h"
#include "chat/delta.h"

namespace hearth::cli {

// Shows an answer's parts where they belong: its text on standard output, the thinking before it on standard error, if
// standard output is a terminal and it is not hidden.
class Display {
 public:
  explicit Display(bool hides_thinking);

  Status show(const chat::Delta& delta);
  // The line is ended, if there is one.
  Status finish();
  bool wrote() const { return wrote_; }

 private:
  void think(std::string_view text);
  void end_thinking();

  const bool shows_thinking_, colours_;
  bool thinking_ = false, wrote_ = false, ends_in_line_ = false;
};

}  // namespace hearth::cli
