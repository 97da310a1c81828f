#include "cli/chat.h"

#include <algorithm>

#include "base/error.h"
#include "cli/input.h"
#include "cli/line_editor.h"
#include "cli/signals.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";
constexpr const char* kHelp =
    "/set parameter NAME VALUE   set a sampling parameter, such as temperature 0.5\n"
    "/set system TEXT            set the system message\n"
    "/set think on, off, hide    let it think before it answers, or not; or show no thoughts\n"
    "/set verbose, /set quiet    show times, rates and memory after each answer, or do not\n"
    "/show info                  what model this is\n"
    "/show parameters            the sampling parameters\n"
    "/show system                the system message\n"
    "/show template              the model's chat template\n"
    "/clear                      forget the conversation\n"
    "/bye, /exit                 leave (also Ctrl-D)\n"
    "/?, /help                   this\n"
    "\"\"\"                         begins and ends a message of several lines\n"
    "Ctrl-C                      stops an answer\n";

constexpr std::string_view kBlanks = " \t\r\n";

// The first word of `text`, which loses it.
std::string_view take_word(std::string_view& text) {
  const auto skip_spaces = [&] { text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size())); };
  skip_spaces();
  const size_t length = std::min(text.find_first_of(kBlanks), text.size());
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length);
  skip_spaces();
  return word;
}

// A line that starts with a slash; text of several lines that does (a comment in C, say) only if it names a command.
bool is_command(std::string_view message) {
  if (!message.starts_with('/')) return false;
  constexpr std::string_view kNames[] = {"/bye", "/exit", "/?", "/help", "/clear", "/set", "/show"};
  if (message.find('\n') == std::string_view::npos) return true;
  return std::ranges::find(kNames, take_word(message)) != std::end(kNames);
}

class Chat {
 public:
  explicit Chat(std::unique_ptr<ChatPartner> partner) : partner_(std::move(partner)), editor_(default_history_file()) {}

  Status run();

 private:
  // A message, perhaps of several lines; kInterrupted and kEnd as the editor's.
  LineEditor::Outcome read_message(std::string& message);
  Status say(std::string message);
  // One that starts with a slash. False: leave.
  Result<bool> command(std::string_view line);
  Status set(std::string_view what, std::string_view value);
  Result<std::string> show(std::string_view what) const;

  std::unique_ptr<ChatPartner> partner_;
  LineEditor editor_;
};

LineEditor::Outcome Chat::read_message(std::string& message) {
  const auto outcome = editor_.read(">>> ", message);
  if (outcome != LineEditor::Outcome::kLine || !message.starts_with(kQuotes)) return outcome;
  message.erase(0, kQuotes.size());
  std::string line = message;
  while (!line.ends_with(kQuotes)) {
    const auto more = editor_.read("... ", line);
    if (more != LineEditor::Outcome::kLine) return more;
    message += (message.empty() ? "" : "\n") + line;  // nothing after the opening quotes: no empty line
  }
  message.resize(message.size() - kQuotes.size());
  return outcome;
}

Status Chat::run() {
  const InterruptScope interrupts;
  while (true) {
    partner_->note_changes();
    std::string message;
    switch (read_message(message)) {
      case LineEditor::Outcome::kEnd:
        return print("\n");
      case LineEditor::Outcome::kInterrupted:
        if (!take_interrupt()) return Error{ErrorKind::kCancelled, {}};  // SIGTERM
        TRY(print("\n(Ctrl-D or /bye leaves)\n"));
        continue;
      case LineEditor::Outcome::kLine:
        break;
    }
    if (message.find_first_not_of(" \t\r\n") == std::string::npos) continue;
    editor_.remember(message);
    partner_->note_changes();  // while it waited
    Status done;
    if (is_command(message)) {
      const Result<bool> stay = command(message);
      if (stay && !*stay) return {};
      if (!stay) done = stay.error();
    } else {
      done = say(std::move(message));
    }
    const bool stopped = interrupted();
    if (stopped && !take_interrupt()) return Error{ErrorKind::kCancelled, {}};
    if (done || stopped) continue;  // Ctrl-C may end a tool's command, too
    TRY(partner_->can_go_on(done.error()));
    print_error(done.error().message);
  }
}

Status Chat::say(std::string message) {
  TRY(check_utf8(message, "the message"));
  TRY(partner_->say(std::move(message)));
  editor_.expect_input();
  return print("\n");
}

Result<bool> Chat::command(std::string_view line) {
  std::string_view rest = line.substr(0, line.find_last_not_of(kBlanks) + 1);
  const std::string_view name = take_word(rest);
  if (name == "/bye" || name == "/exit") return false;
  if (name == "/?" || name == "/help") {
    TRY(print(kHelp));
  } else if (name == "/clear") {
    partner_->clear();
    TRY(print("The conversation is forgotten.\n"));
  } else if (name == "/set") {
    const std::string_view what = take_word(rest);
    TRY(set(what, rest));
  } else if (name == "/show") {
    ASSIGN_OR_RETURN(const std::string text, show(take_word(rest)));
    TRY(print(text + "\n"));
  } else {
    return error(ErrorKind::kUsage, "unknown command \"{}\"; /? lists them", name);
  }
  return true;
}

Status Chat::set(std::string_view what, std::string_view value) {
  if (what == "verbose" || what == "quiet") {
    partner_->set_verbose(what == "verbose");
  } else if (what == "system") {
    while (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    TRY(check_utf8(value, "the system message"));
    partner_->set_system(std::string(value));
  } else if (what == "think") {
    ASSIGN_OR_RETURN(const ThinkingChoice choice, parse_thinking(take_word(value)));
    partner_->set_thinking(choice);
  } else if (what == "parameter") {
    const std::string_view name = take_word(value);
    if (name == "num_ctx") return error(ErrorKind::kUsage, "num_ctx is set at the start, with --ctx");
    TRY(partner_->set_parameter(name, value));
  } else {
    return error(ErrorKind::kUsage,
                 "/set {}: unknown; known are parameter NAME VALUE, system TEXT, think, verbose and quiet", what);
  }
  return {};
}

Result<std::string> Chat::show(std::string_view what) const {
  if (what == "info") return partner_->info();
  if (what == "parameters") return partner_->parameters();
  if (what == "system") {
    ASSIGN_OR_RETURN(std::string text, partner_->system());
    return text.empty() ? "(no system message)" : text;
  }
  if (what == "template") {
    ASSIGN_OR_RETURN(std::string text, partner_->template_text());
    return text.empty() ? "(this model has no chat template)" : text;
  }
  return error(ErrorKind::kUsage, "/show {}: unknown; known are info, parameters, system and template", what);
}

}  // namespace

Status chat(std::unique_ptr<ChatPartner> partner) {
  return Chat(std::move(partner)).run();
}

}  // namespace hearth::cli
