#include "cli/display.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "base/log.h"
#include "base/outside_text.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

constexpr std::string_view kGrey = "\x1b[90m", kNormal = "\x1b[0m";

void write_error(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace

Display::Display(bool hides_thinking)
    : shows_thinking_(!hides_thinking && is_terminal(STDOUT_FILENO)), colours_(has_colours(STDERR_FILENO)) {}

Status Display::show(const chat::Delta& delta) {
  using Kind = chat::Delta::Kind;
  if (delta.kind == Kind::kProblem) log_info("{}", delta.text);
  if (delta.kind == Kind::kReasoning && shows_thinking_) think(delta.text);
  if (delta.kind != Kind::kContent || delta.text.empty()) return {};
  end_thinking();
  ends_in_line_ = delta.text.ends_with('\n');
  wrote_ = true;
  return print(delta.text);
}

Status Display::finish() {
  end_thinking();
  return wrote_ && !ends_in_line_ ? print("\n") : Status();
}

void Display::think(std::string_view text) {
  if (!std::exchange(thinking_, true) && colours_) write_error(kGrey);
  write_error(printable(text, "\n\t"));
}

void Display::end_thinking() {
  if (!std::exchange(thinking_, false)) return;
  if (colours_) write_error(kNormal);
  write_error("\n\n");
}

}  // namespace hearth::cli
