// hearth run: one answer, or an interactive chat.
#include <poll.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/error.h"
#include "base/outside_text.h"
#include "chat/exact_json.h"
#include "cli/answering.h"
#include "cli/chat.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/run_through.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "grammar/compose.h"

namespace hearth::cli {
namespace {

struct Options {
  RunOptions run;
  std::vector<std::string> words;   // of the prompt
  std::vector<std::string> images;  // paths
  std::optional<std::string> tools_path, suffix, format, grammar_path, regex;
  grammar::SchemaOptions schema;
};

// Every sampling parameter as an option of its name with dashes.
void add_sampling_options(Arguments& arguments, store::Parameters& settings) {
  const auto add = [&](const std::string& name, const char* type, const std::string& summary) {
    std::string flag = "--" + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    const auto set = [name, &settings](const std::string& value) -> Status {
      sampling::Options scratch;
      TRY(sampling::set(scratch, name, value));
      settings.emplace_back(name, value);
      return {};
    };
    arguments.each(flag.c_str(), type, set, summary, "Sampling");
  };
  for (const sampling::Parameter& parameter : sampling::parameters()) {
    add(parameter.name, parameter.field.index() == 0 ? "FLOAT" : "INT",
        fmt::format("{} (default: {})", parameter.summary, sampling::to_string({}, parameter)));
  }
  add("stop", "TEXT", "end the answer before this text (may be given several times)");
  add("logit_bias", "ID=BIAS", "add BIAS to the logit of token ID (may be given several times)");
}

// Somebody whose standard input is an open pipe that nobody writes to would wait for ever, and not know why.
void note_if_waiting() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  constexpr int kPatience_ms = 2000;
  if (::poll(&input, 1, kPatience_ms) == 0)
    print_note("note: waiting for the end of standard input; use < /dev/null if nothing comes");
}

// $(cat FILE) leaves of a last CR LF the CR.
Result<std::string> argument_text(const std::string& argument, std::string_view what) {
  ASSIGN_OR_RETURN(std::string text, text_from_outside(argument, what));
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

// The words of the command line, after what a pipe brings (as Ollama puts them together).
Result<std::string> read_prompt(const std::vector<std::string>& words) {
  std::string prompt;
  if (!is_terminal(STDIN_FILENO)) {
    note_if_waiting();
    ASSIGN_OR_RETURN(prompt, read_standard_input("the prompt"));
    drop_line_end(prompt);  // of the last line, not part of the text
  }
  for (size_t i = 0; i < words.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string word, argument_text(words[i], "the prompt"));
    prompt += (i > 0 ? " " : prompt.empty() ? "" : "\n") + word;
  }
  if (prompt.find_first_not_of(" \t\r\n") == std::string::npos) {
    return error(ErrorKind::kUsage,
                 "the prompt is empty; give it as words after the model, through a pipe, or start "
                 "without one on a terminal to chat");
  }
  return prompt;
}

// Paths of pictures among the words, alone or within one.
Status take_pictures(std::vector<std::string>* words, PictureFiles* pictures) {
  for (std::string& word : *words) TRY(take_picture_paths(&word, pictures));
  std::erase(*words, "");
  return {};
}

Status run_once(const RunOptions& options, const std::string& prompt) {
  ASSIGN_OR_RETURN(Session session, start_session(options));
  chat::Conversation conversation = start_conversation(session);
  ASSIGN_OR_RETURN(const std::string marks, look_at(session, options.pictures));
  conversation.add("user", marks + prompt);
  return answer(session, conversation);
}

Result<std::vector<chat::Tool>> read_tools(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_text(path, "the file of tools"));
  boost::system::error_code failed;
  const boost::json::value value = chat::parse_exact(text, failed);
  if (failed) return error(ErrorKind::kUsage, "{}: this is no JSON: {}", path, failed.message());
  const boost::json::object* object = value.if_object();
  const boost::json::value* list = object != nullptr ? object->if_contains("tools") : nullptr;
  auto tools = chat::tools_from_json(list != nullptr ? *list : value);
  if (!tools) return error(ErrorKind::kUsage, "{}: {}", path, tools.error().message);
  return tools;
}

// What --format, --grammar or --regex say.
Result<grammar::TextRule> read_text_rule(const Options& options) {
  using Kind = grammar::TextRule::Kind;
  grammar::TextRule rule{Kind::kFree, {}, options.schema};
  std::string what = "--regex";
  if (options.format == "json") {
    rule.kind = Kind::kAnyObject;
  } else if (options.format) {
    rule.kind = Kind::kSchema;
    what = *options.format;
    ASSIGN_OR_RETURN(rule.source, read_text(what, "the schema"));
  } else if (options.grammar_path) {
    rule.kind = Kind::kGbnf;
    what = *options.grammar_path;
    ASSIGN_OR_RETURN(rule.source, read_text(what, "the grammar"));
  } else if (options.regex) {
    rule.kind = Kind::kPattern;
    ASSIGN_OR_RETURN(rule.source, text_from_outside(*options.regex, "the regular expression"));
  }
  if (rule.kind == Kind::kFree) return rule;
  // Before a model is loaded for it.
  if (auto compiled = grammar::compile_text(rule, nullptr); !compiled)
    return error(ErrorKind::kUsage, "{}: {}", what, compiled.error().message);
  return rule;
}

Status fill_in(const RunOptions& options, const std::string& prefix, const std::string& suffix) {
  const auto start = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(Session session, start_session(options));
  ASSIGN_OR_RETURN(text::FimPrompt prompt,
                   session.chat->fill_in(prefix, suffix, chat::most_fill_in_tokens(session.model->load.context)));
  if (prompt.dropped_prefix + prompt.dropped_suffix > 0) {
    print_note(fmt::format("note: the context of {} tokens is full; the first {} tokens and the last {} are left out",
                           session.model->load.context, prompt.dropped_prefix, prompt.dropped_suffix));
  }
  engine::Request request{std::move(prompt.tokens), session.sampling, {}};
  for (const text::Token stop : prompt.stops) request.stops.push_back(session.tokenizer().piece(stop, true));
  ASSIGN_OR_RETURN(const Completion completion, generate(*session.model->engine, std::move(request),
                                                         [](const engine::Event& event) { return print(event.text); }));
  if (!completion.text.ends_with('\n')) TRY(print("\n"));
  note_completion(session, completion, std::chrono::steady_clock::now() - start);
  return {};
}

// One that serves has the model already, or keeps it for the next time.
std::optional<Remote> server_for(const RunOptions& options) {
  if (!can_run_through(options)) return std::nullopt;
  auto found = Remote::find();
  return found ? std::move(found).value() : std::nullopt;
}

Status start_chat(const RunOptions& options) {
  const auto server = server_for(options);
  ASSIGN_OR_RETURN(std::unique_ptr<ChatPartner> partner,
                   server ? remote_partner(*server, options) : local_partner(options));
  return chat(std::move(partner));
}

Status run(const Options& options) {
  RunOptions run = options.run;
  if (run.system) {
    ASSIGN_OR_RETURN(run.system, argument_text(*run.system, "the system message"));
  }
  if (options.tools_path) {
    ASSIGN_OR_RETURN(run.tools, read_tools(*options.tools_path));
  }
  ASSIGN_OR_RETURN(run.text, read_text_rule(options));
  if (!run.tool_command.empty() && run.tools.empty())
    return error(ErrorKind::kUsage, "--tool-command needs tools: --tools FILE.json");
  for (const std::string& path : options.images) TRY(add_picture_file(path, &run.pictures));
  if (options.words.empty() && !options.suffix && is_terminal(STDIN_FILENO)) return start_chat(run);
  std::vector<std::string> words = options.words;
  if (!run.raw && !options.suffix) TRY(take_pictures(&words, &run.pictures));
  ASSIGN_OR_RETURN(const std::string prompt, read_prompt(words));
  if (options.suffix) {
    ASSIGN_OR_RETURN(const std::string suffix, argument_text(*options.suffix, "the suffix"));
    return fill_in(run, prompt, suffix);
  }
  if (const auto server = server_for(run)) return run_through(*server, run, prompt);
  return run_once(run, prompt);
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  add_model_options(arguments, options->run.model);
  arguments.words("PROMPT", options->words, "The prompt; without one, and without a pipe, an interactive chat");
  arguments.text("--system", options->run.system, "The system message; \"\" takes the model's own away");
  arguments.flag("--raw", options->run.raw, "Give the prompt to the model as it is, without its chat template");
  arguments.exclude("--raw", "--system");
  arguments.text("--tools", options->tools_path, "A JSON file of tools that the model may call, as in OpenAI's API");
  arguments.text("--tool-command", options->run.tool_command,
                 "A shell command that runs each call: JSON on its standard input, the result on its output");
  arguments.exclude("--raw", "--tools");
  const auto add_image = [options](const std::string& path) -> Status {
    options->images.push_back(path);
    return {};
  };
  arguments.each("--image", "FILE", add_image,
                 "A picture that the prompt asks about (may be given several times); also by its path in the prompt",
                 "Options");
  arguments.text("--mmproj", options->run.model.projector, "The encoder of pictures (GGUF) of a model that is a file");
  arguments.text("--suffix", options->suffix, "What follows the prompt: the model fills in between (code models)");
  for (const char* other : {"--raw", "--system", "--tools"}) arguments.exclude("--suffix", other);
  arguments.text("--format", options->format,
                 "json, or the file of a JSON schema: every answer is such a text from its first token on");
  arguments.text("--grammar", options->grammar_path, "The file of a GBNF grammar: every answer is a text of it");
  arguments.text("--regex", options->regex, "A regular expression that every answer matches as a whole");
  for (const char* form : {"--format", "--grammar", "--regex"}) {
    for (const char* other : {"--tools", "--suffix"}) arguments.exclude(form, other);
  }
  arguments.exclude("--format", "--grammar");
  arguments.exclude("--format", "--regex");
  arguments.exclude("--grammar", "--regex");
  arguments.flag("--open-objects", options->schema.open_objects,
                 "With --format: objects without additionalProperties may have undeclared members");
  const auto think = [options](const std::string& value) -> Status {
    ASSIGN_OR_RETURN(options->run.thinking, parse_thinking(value));
    return {};
  };
  arguments.each("--think", "{on,off,low,medium,high,hide}", think,
                 "Whether and how long the model thinks before it answers; hide: thoughts are not shown", "Options");
  add_sampling_options(arguments, options->run.settings);
  return [options] { return run(*options); };
}

const Command kCommand = {"run", "Answer a prompt, or chat", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
