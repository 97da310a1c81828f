#include "cli/answering.h"

#include <unistd.h>

#include "base/error.h"
#include "chat/answer.h"
#include "chat/json_scanner.h"
#include "cli/display.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cli/tool_command.h"
#include "grammar/token_constraint.h"

namespace hearth::cli {
namespace {

// {"id": ..., "name": ..., "arguments": {...}}: what is printed, and what a tool's command reads.
std::string call_json(const chat::ToolCall& call) {
  const auto quoted = [](std::string_view text) {
    std::string out = "\"";
    chat::append_escaped(text, &out);
    return out + '"';
  };
  return fmt::format(R"({{"id": {}, "name": {}, "arguments": {}}})", quoted(call.id), quoted(call.name),
                     call.arguments);
}

class Turn {
 public:
  Turn(Session& session, chat::Conversation& conversation) : session_(session), conversation_(conversation) {}

  Status run() {
    for (int round = 0; round < kMaxToolRounds; ++round) {
      ASSIGN_OR_RETURN(const chat::Message message, answer());
      if (message.calls.empty()) return {};
      if (session_.tool_command.empty()) return print_calls(message.calls);
      TRY(run_calls(message.calls));
    }
    return error(ErrorKind::kUsage, "the model has called tools {} times in a row; it is given no more",
                 kMaxToolRounds);
  }

 private:
  // One answer of the model's, which is added to the conversation.
  Result<chat::Message> answer() {
    const auto start = std::chrono::steady_clock::now();
    ASSIGN_OR_RETURN(const chat::Conversation::Ready ready,
                     conversation_.prompt(session_.model->load.context, session_.model->spec.context));
    if (ready.dropped > 0) {
      print_note(fmt::format("note: the context of {} tokens is full; the oldest {} messages are forgotten",
                             session_.model->load.context, ready.dropped));
    }
    chat::Answer read = conversation_.answer_to(ready, session_.text.kind != grammar::TextRule::Kind::kFree);
    Display display(session_.thinking.hidden);
    Status shown;
    const chat::Sink show = [&](const chat::Delta& delta) {
      if (shown) shown = display.show(delta);
    };
    engine::Request request{ready.tokens, session_.sampling, session_.chat->stops()};
    fleet::put_pictures(session_.seen, &request);
    ASSIGN_OR_RETURN(request.constraint, constraint_for(ready.prompt));
    ASSIGN_OR_RETURN(const Completion completion,
                     generate(*session_.model->engine, std::move(request), [&](const engine::Event& event) {
                       read.add(event.text, event.tokens, show);
                       return shown;
                     }));
    const bool stopped = completion.finish == engine::FinishReason::kStop;
    read.finish(stopped ? chat::Ending::kStop : chat::Ending::kLength, show);
    TRY(shown);
    TRY(display.finish());
    chat::Message message = read.message();
    drop_broken(message, stopped);
    if (!display.wrote() && message.calls.empty()) TRY(print("\n"));
    note_completion(session_, completion, std::chrono::steady_clock::now() - start);
    conversation_.add_answer(message, read.tokens());
    return message;
  }

  // Of the answer's form and its calls. What of the tools' schemas cannot be held is said once.
  Result<std::unique_ptr<sampling::Constraint>> constraint_for(const chat::Prompt& prompt) {
    std::vector<std::string> warnings;
    const grammar::AnswerRules rules = session_.chat->rules(prompt, {.text = session_.text, .tools = session_.tools});
    if (rules.free()) return std::unique_ptr<sampling::Constraint>();
    auto constraint = grammar::constrain(rules, session_.model->trie(), &warnings);
    if (!std::exchange(session_.said_schemas, true)) {
      for (const std::string& warning : warnings) print_note("note: " + warning);
    }
    return constraint;
  }

  // Calls that are not whole: nobody can run them.
  static void drop_broken(chat::Message& message, bool stopped) {
    const auto broken = [](const chat::ToolCall& call) { return !call.complete; };
    for (const chat::ToolCall& call : message.calls) {
      if (broken(call))
        print_note(fmt::format("note: the call of {} is not whole{}, so it is left out", call.name,
                               stopped ? "" : " (the answer was cut)"));
    }
    std::erase_if(message.calls, broken);
  }

  static Status print_calls(const std::vector<chat::ToolCall>& calls) {
    for (const chat::ToolCall& call : calls) TRY(print(call_json(call) + "\n"));
    return {};
  }

  Status run_calls(const std::vector<chat::ToolCall>& calls) {
    for (const chat::ToolCall& call : calls) {
      if (interrupted()) return Error{ErrorKind::kCancelled, {}};
      print_note(fmt::format("note: calls {} {}", call.name, call.arguments));
      ASSIGN_OR_RETURN(std::string result, run_tool_command(session_.tool_command, call_json(call)));
      conversation_.add({.role = "tool", .content = std::move(result), .call_id = call.id, .tool_name = call.name});
    }
    return {};
  }

  Session& session_;
  chat::Conversation& conversation_;
};

}  // namespace

Status answer(Session& session, chat::Conversation& conversation) {
  const size_t before = conversation.messages().size();
  Status done = Turn(session, conversation).run();
  if (!done) conversation.shorten(before);
  return done;
}

}  // namespace hearth::cli
