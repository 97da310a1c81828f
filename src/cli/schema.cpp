// hearth schema check: whether structured output could be a text. hearth schema stats: what holding texts to it costs.
#include "base/error.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/terminal.h"
#include "fleet/find_model.h"
#include "grammar/compose.h"
#include "grammar/machine.h"
#include "grammar/mask_costs.h"

namespace hearth::cli {
namespace {

struct Options {
  std::string action, schema;
  std::optional<std::string> instance, model;
  grammar::SchemaOptions compile;
};

Result<std::string> read_instance(const Options& options) {
  ASSIGN_OR_RETURN(std::string text, read_text(*options.instance, "the instance"));
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

Status check(const std::shared_ptr<const grammar::Grammar>& compiled, std::string_view text) {
  grammar::Machine machine(compiled, nullptr);
  grammar::StateId state = machine.start();
  for (size_t i = 0; i < text.size(); ++i) {
    state = machine.step(state, static_cast<uint8_t>(text[i]));
    if (state == grammar::Machine::kDead)
      return error(ErrorKind::kInvalidData, "cannot be produced: wrong at byte {}", i);
  }
  if (!machine.accepts(state)) return error(ErrorKind::kInvalidData, "cannot be produced: it is not complete");
  return print("can be produced\n");
}

// Of the instance's text, or of texts that are made up, always the same.
Status stats(const Options& options, const std::shared_ptr<const grammar::Grammar>& compiled,
             grammar::Microseconds compile_time) {
  constexpr uint64_t kTexts = 20;
  constexpr size_t kMost_tokens = 300;
  ASSIGN_OR_RETURN(const auto file, fleet::open_model(*options.model));
  ASSIGN_OR_RETURN(const auto tokenizer, text::Tokenizer::load(*file));
  const auto trie = std::make_shared<const grammar::TokenTrie>(*tokenizer);
  const grammar::Microseconds before = grammar::thread_time();
  grammar::Machine machine = grammar::prepared_machine(compiled, trie);
  const grammar::Microseconds prepare_time = grammar::thread_time() - before;
  grammar::MaskCosts costs;
  if (options.instance) {
    ASSIGN_OR_RETURN(const std::string text, read_instance(options));
    measure_text(machine, *trie, text, costs);
  } else {
    for (uint64_t seed = 0; seed < kTexts; ++seed) measure_walk(machine, *trie, seed, kMost_tokens, costs);
  }
  const grammar::MaskCosts::Summary sum = costs.summary();
  TRY(print(fmt::format("compiled in {:.2f} ms: {} rules, {} expressions; first masks made in {:.2f} ms\n",
                        compile_time.count() / 1e3, compiled->rule_count(), compiled->regexes.size(),
                        prepare_time.count() / 1e3)));
  TRY(print(fmt::format("{} masks of {} tokens: {:.1f} us on average, {:.0f} us at 99.9 %, {:.0f} us at most\n",
                        costs.masks.size(), trie->vocabulary(), sum.average.count(), sum.p999.count(),
                        sum.longest.count())));
  TRY(print(fmt::format("nodes of the vocabulary visited for a mask: {:.0f} on average, {} at most\n", sum.visited,
                        sum.most_visited)));
  return print(fmt::format("{} states, {:.1f} MiB; {} tokens had no choice and needed no mask\n", machine.state_count(),
                           static_cast<double>(machine.memory_bytes()) / (1 << 20), costs.forced));
}

Status run(const Options& options) {
  const bool measures = options.action == "stats";
  if (!measures && options.action != "check")
    return error(ErrorKind::kUsage, "schema: unknown action \"{}\"; use check or stats", options.action);
  if (measures && !options.model) return error(ErrorKind::kUsage, "schema stats needs a model: --model MODEL");
  if (!measures && !options.instance) return error(ErrorKind::kUsage, "schema check needs an instance");
  ASSIGN_OR_RETURN(const std::string schema, read_text(options.schema, "the schema"));
  const grammar::Microseconds before = grammar::thread_time();
  auto compiled = grammar::compile_schema(schema, options.compile, nullptr);
  const grammar::Microseconds compile_time = grammar::thread_time() - before;
  if (!compiled) return error(ErrorKind::kUsage, "{}", compiled.error().message);  // exit 2: the schema is refused
  if (measures) return stats(options, *compiled, compile_time);
  ASSIGN_OR_RETURN(const std::string text, read_instance(options));
  return check(*compiled, text);
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.required_text("ACTION", options->action,
                          "check: whether structured output can be the instance's text; stats: what the schema costs");
  arguments.required_text("SCHEMA", options->schema, "The file of the JSON schema");
  arguments.text("INSTANCE", options->instance, "The file of the text; a line end behind it does not count");
  arguments.text("--model", options->model, "With stats: the model whose vocabulary it is");
  arguments.flag("--open-objects", options->compile.open_objects,
                 "Objects without additionalProperties may have undeclared members");
  return [options] { return run(*options); };
}

const Command kCommand = {"schema", "Check a JSON schema for structured output against a text, or measure it",
                          configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
