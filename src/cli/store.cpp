// hearth store: what is done to the store as a whole.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/store_action.h"

namespace hearth::cli {
namespace {

struct Options {
  std::string action;
  StoreOptions store;
};

std::map<std::string, const StoreAction*> actions() {
  std::map<std::string, const StoreAction*> all;
  for (const StoreAction* action : RegisterStoreAction::all()) all[action->name] = action;
  return all;
}

std::string list_of_actions() {
  std::string text;
  for (const auto& [name, action] : actions())
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", name, action->summary);
  return text;
}

Status run(const Options& options) {
  const auto all = actions();
  const auto found = all.find(options.action);
  if (found != all.end()) return found->second->run(options.store);
  std::vector<std::string_view> names;
  for (const auto& [name, action] : all) names.emplace_back(name);
  const std::string_view likely = nearest(options.action, names);
  return error(ErrorKind::kUsage, "hearth store has no action \"{}\"; {}", options.action,
               likely.empty() ? fmt::format("there are {}", fmt::join(names, ", "))
                              : fmt::format("did you mean \"hearth store {}\"?", likely));
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.required_text("ACTION", options->action, list_of_actions());
  arguments.words("NAME", options->store.names, "Models, for actions that take some");
  arguments.flag("--apply", options->store.apply, "Do it (import and dedupe only say what they would do without it)");
  arguments.text("--to", options->store.to,
                 "With move: a store's name as in \"hearth disk\", or a folder, which becomes one");
  arguments.flag("--all", options->store.all, "With move: all models");
  arguments.flag("--dry-run", options->store.dry_run, "With gc: only say what would be deleted");
  arguments.flag("--partial", options->store.partial, "With gc: also downloads that were begun");
  arguments.flag("--repair", options->store.repair, "With verify: fetch damaged files again");
  return [options] { return run(*options); };
}

const Command kCommand = {
    "store", "Bring in what other programs have, share equal files, pin, move, verify and clean up models", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
