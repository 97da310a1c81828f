// hearth schema check: whether structured output could be a text.
#include "grammar/compose.h"

#include "base/error.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/terminal.h"
#include "grammar/machine.h"

namespace hearth::cli {
namespace {

struct Options {
  std::string action, schema, instance;
  grammar::SchemaOptions compile;
};

Status run(const Options& options) {
  if (options.action != "check")
    return error(ErrorKind::kUsage, "schema: unknown action \"{}\"; use check", options.action);
  ASSIGN_OR_RETURN(const std::string schema, read_text(options.schema, "the schema"));
  ASSIGN_OR_RETURN(const std::string text, read_text(options.instance, "the instance"));
  auto compiled = grammar::compile_schema(schema, options.compile, nullptr);
  if (!compiled) return error(ErrorKind::kUsage, "{}", compiled.error().message);  // exit 2: the schema is refused
  grammar::Machine machine(*compiled, nullptr);
  const std::string_view end = std::string_view(text).ends_with('\n') ? "\n" : "";
  const std::string_view body = std::string_view(text).substr(0, text.size() - end.size());
  grammar::StateId state = machine.start();
  for (size_t i = 0; i < body.size(); ++i) {
    state = machine.step(state, static_cast<uint8_t>(body[i]));
    if (state == grammar::Machine::kDead)
      return error(ErrorKind::kInvalidData, "cannot be produced: wrong at byte {}", i);
  }
  if (!machine.accepts(state)) return error(ErrorKind::kInvalidData, "cannot be produced: it is not complete");
  return print("can be produced\n");
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.required_text("ACTION", options->action, "check: whether structured output can be the instance's text");
  arguments.required_text("SCHEMA", options->schema, "The file of the JSON schema");
  arguments.required_text("INSTANCE", options->instance, "The file of the text; a line end behind it does not count");
  arguments.flag("--open-objects", options->compile.open_objects,
                 "Objects without additionalProperties may have undeclared members");
  return [options] { return run(*options); };
}

const Command kCommand = {"schema", "Check a JSON schema for structured output against a text", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
