// hearth config: the settings that a server would have.
#include "cli/command.h"
#include "cli/settings.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

Status run(const config::Inputs& inputs) {
  ASSIGN_OR_RETURN(const config::Loaded loaded, config::load(inputs));
  for (const std::string& warning : loaded.warnings) print_note("warning: " + warning);
  return print(config::describe(loaded));
}

Action configure(Arguments& arguments) {
  const auto inputs = std::make_shared<config::Inputs>();
  inputs->environment = config::environment();
  add_settings(arguments, *inputs);
  return [inputs] { return run(*inputs); };
}

const Command kCommand = {"config", "Show the settings of \"hearth serve\" and where each comes from", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
