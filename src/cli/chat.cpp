#include "cli/chat.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/answering.h"
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

// A mistake can be corrected, and a lost device is made anew; if not, the engine is broken.
bool can_go_on(const Error& error) {
  return error.kind == ErrorKind::kUsage || error.kind == ErrorKind::kDeviceLost;
}

class Chat {
 public:
  explicit Chat(Session session)
      : session_(std::move(session)), conversation_(start_conversation(session_)), editor_(default_history_file()) {}

  Status run();

 private:
  // A message, perhaps of several lines; kInterrupted and kEnd as the editor's.
  LineEditor::Outcome read_message(std::string& message);
  Status say(std::string message);
  // One that starts with a slash. False: leave.
  Result<bool> command(std::string_view line);
  Status set(std::string_view what, std::string_view value);
  Result<std::string> show(std::string_view what) const;
  std::string info() const;

  Session session_;
  chat::Conversation conversation_;
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
    note_changes(session_);
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
    note_changes(session_);  // while it waited
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
    if (const auto broken = session_.model->engine->broken()) return *broken;
    if (!can_go_on(done.error())) return done;
    print_error(done.error().message);
  }
}

Status Chat::say(std::string message) {
  TRY(check_utf8(message, "the message"));
  conversation_.add("user", std::move(message));
  if (const Status done = answer(session_, conversation_); !done) {
    conversation_.shorten(conversation_.messages().size() - 1);
    return done;
  }
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
    conversation_.clear();
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
    session_.verbose = what == "verbose";
  } else if (what == "system") {
    while (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    TRY(check_utf8(value, "the system message"));
    conversation_.set_system(std::string(value));
  } else if (what == "think") {
    ASSIGN_OR_RETURN(const ThinkingChoice choice, parse_thinking(take_word(value)));
    session_.thinking = choice;
    conversation_.set_think(choice.think);
  } else if (what == "parameter") {
    const std::string_view name = take_word(value);
    if (name == "num_ctx") return error(ErrorKind::kUsage, "num_ctx is set at the start, with --ctx");
    sampling::Options changed = session_.sampling;
    TRY(sampling::set(changed, name, value));
    session_.sampling = std::move(changed);
  } else {
    return error(ErrorKind::kUsage,
                 "/set {}: unknown; known are parameter NAME VALUE, system TEXT, think, verbose and quiet", what);
  }
  return {};
}

Result<std::string> Chat::show(std::string_view what) const {
  if (what == "info") return info();
  if (what == "system")
    return conversation_.system().empty() ? std::string("(no system message)") : conversation_.system();
  if (what == "template")
    return session_.chat->has_template() ? session_.chat->template_text() : "(this model has no chat template)";
  if (what != "parameters") {
    return error(ErrorKind::kUsage, "/show {}: unknown; known are info, parameters, system and template", what);
  }
  std::string text = fmt::format("{:<20}{}", "num_ctx", session_.model->load.context);
  for (const sampling::Parameter& parameter : sampling::parameters()) {
    text += fmt::format("\n{:<20}{}", parameter.name, sampling::to_string(session_.sampling, parameter));
  }
  for (const std::string& stop : session_.sampling.stop) text += fmt::format("\n{:<20}\"{}\"", "stop", stop);
  for (const auto& [token, bias] : session_.sampling.logit_bias)
    text += fmt::format("\n{:<20}{}={}", "logit_bias", token, bias);
  return text;
}

std::string Chat::info() const {
  const models::Memory memory = session_.model->engine->devices().memory();
  return fmt::format(
      "{:<20}{}\n{:<20}{}\n{:<20}{:.2f} million\n{:<20}{} of {} tokens\n{:<20}{}\n{:<20}weights {}, cache {}, "
      "workspace {}",
      "file", session_.model->file->path(), "architecture", session_.model->spec.architecture, "parameters",
      static_cast<double>(session_.model->facts.parameters) / 1e6, "context", session_.model->load.context,
      session_.model->spec.context, "chat template", session_.chat->template_name(), "memory",
      size_text(memory.weights), size_text(memory.cache), size_text(memory.workspace));
}

}  // namespace

Status chat(const RunOptions& options) {
  ASSIGN_OR_RETURN(Session session, start_session(options));
  set_log_level(LogLevel::kOff);  // the chat shows the rest itself, where it does not disturb
  return Chat(std::move(session)).run();
}

}  // namespace hearth::cli
