// hearth run: one answer, or an interactive chat.
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "cli/chat.h"
#include "cli/command.h"
#include "cli/conversation.h"
#include "cli/input.h"
#include "cli/session.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

struct Options {
  RunOptions run;
  std::vector<std::string> words;        // of the prompt
  std::vector<std::string> taken_apart;  // the same, spoilt; see add_words()
};

// Every sampling parameter as an option of its name with dashes. (With extra arguments allowed, CLI11 would
// take the brackets off a text like "[END]".)
void add_sampling_options(CLI::App& app, store::Parameters& settings) {
  const auto add = [&](const std::string& name, const std::string& summary) {
    std::string flag = "--" + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    const auto set = [name, &settings](const std::vector<std::string>& values) {
      for (const std::string& value : values) {
        sampling::Options scratch;
        if (const Status status = sampling::set(scratch, name, value); !status)
          throw CLI::ValidationError(status.error().message);
        settings.emplace_back(name, value);
      }
    };
    return app.add_option_function<std::vector<std::string>>(flag, set, summary)
        ->expected(1)
        ->allow_extra_args(false)
        ->group("Sampling");
  };
  for (const sampling::Parameter& parameter : sampling::parameters()) {
    add(parameter.name, fmt::format("{} (default: {})", parameter.summary, sampling::to_string({}, parameter)))
        ->type_name(parameter.field.index() == 0 ? "FLOAT" : "INT");
  }
  constexpr auto kAll = CLI::MultiOptionPolicy::TakeAll;
  add("stop", "end the answer before this text (may be given several times)")->multi_option_policy(kAll);
  add("logit_bias", "add BIAS to the logit of token ID (may be given several times)")
      ->type_name("ID=BIAS")
      ->multi_option_policy(kAll);
}

// Somebody whose standard input is an open pipe that nobody writes to would wait for ever, and not know why.
void note_if_waiting() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  constexpr int kPatience_ms = 2000;
  if (::poll(&input, 1, kPatience_ms) == 0)
    print_note("note: waiting for the end of standard input; use < /dev/null if nothing comes");
}

// The words of the command line, after what a pipe brings (as Ollama puts them together).
Result<std::string> read_prompt(const std::vector<std::string>& words) {
  std::string prompt;
  if (!is_terminal(STDIN_FILENO)) {
    note_if_waiting();
    ASSIGN_OR_RETURN(prompt, read_standard_input());
    if (prompt.ends_with('\n')) prompt.pop_back();  // the end of the last line, not part of the text
  }
  for (size_t i = 0; i < words.size(); ++i) prompt += (i > 0 ? " " : prompt.empty() ? "" : "\n") + words[i];
  TRY(check_utf8(prompt, "the prompt"));
  if (prompt.find_first_not_of(" \t\r\n") == std::string::npos) {
    return error(ErrorKind::kUsage,
                 "the prompt is empty; give it as words after the model, through a pipe, or start "
                 "without one on a terminal to chat");
  }
  return prompt;
}

Status run_once(const RunOptions& options, const std::string& prompt) {
  ASSIGN_OR_RETURN(Session session, start_session(options));
  Conversation conversation = start_conversation(session);
  conversation.add("user", prompt);
  ASSIGN_OR_RETURN(Conversation::Prompt tokens, conversation.prompt(session.context));
  ASSIGN_OR_RETURN(const Answer done, answer(session, std::move(tokens.tokens), conversation.stops()));
  return {};
}

Status run(const Options& options) {
  TRY(check_utf8(options.run.system, "the system message"));
  if (options.words.empty() && is_terminal(STDIN_FILENO)) return chat(options.run);
  ASSIGN_OR_RETURN(const std::string prompt, read_prompt(options.words));
  return run_once(options.run, prompt);
}

// CLI11 takes apart a word like "[INST]" where several values are allowed. Its check sees every word as it was
// written, when it is met, and then once more each of what it has made of them: the caller cuts those off.
const CLI::Option* add_words(CLI::App& app, const std::shared_ptr<Options>& options) {
  const auto note = [options](const std::string& word) {
    options->words.push_back(word);
    return std::string();  // nothing to complain about
  };
  app.validate_positionals();
  return app
      .add_option("PROMPT", options->taken_apart, "The prompt; without one, and without a pipe, an interactive chat")
      ->check(note, "");
}

Action configure(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_model_options(app, options->run.model);
  const CLI::Option* words = add_words(app, options);
  auto* const system = app.add_option("--system", options->run.system, "The system message");
  app.add_flag("--raw", options->run.raw, "Give the prompt to the model as it is, without its chat template")
      ->excludes(system);
  add_sampling_options(app, options->run.settings);
  return [options, words] {
    options->words.resize(options->words.size() - words->count());
    return run(*options);
  };
}

const Command kCommand = {"run", "Answer a prompt, or chat", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
