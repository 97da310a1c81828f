// hearth plan: which layers of a model would lie where, in bytes, before it is loaded, also for a machine that is
// not here.
#include "placement/plan.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/machine_state.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "config/kept.h"
#include "config/load.h"
#include "fleet/find_model.h"
#include "fleet/gpus.h"
#include "fleet/plan_model.h"
#include "fleet/sight.h"
#include "fleet/stack.h"
#include "placement/table.h"

namespace hearth::cli {
namespace {

struct Options {
  std::vector<std::string> models;
  bool stack = false;  // those of the settings
  uint32_t context = fleet::kDefaultContext_tokens, parallel = 1;
  std::string kv_type = "f16", gpu;
  bool experts_last = false;
};

std::string report(const fleet::PlannedModel& planned, const std::vector<placement::DeviceState>& devices) {
  const placement::Plan& plan = planned.plan;
  std::string text;
  for (const std::string& line : placement::summary(plan, devices)) text += line + "\n";
  text += "\n" + placement::table(plan, devices);
  if (devices.size() == 1) {
    const Cause problem = fleet::find_gpus(show_compiling()).problem;
    text += fmt::format("\nThis machine has no GPU that can be used: {}.\n--gpu shows the plan for another one.\n",
                        text_of(problem));
  }
  if (!plan.fits && plan.shares.back().total() > devices.back().budget())
    text += fmt::format("\nThe CPU's part needs {}, but only {} of memory is available.\n",
                        size_text(plan.shares.back().total()), size_text(devices.back().budget()));
  if (planned.missing)
    text += fmt::format("\n{} more free memory on {} would hold the whole model.\n", size_text(*planned.missing),
                        devices[0].name);
  if (!planned.offers.empty()) text += "\nWhat would help:\n";
  for (const placement::Offer& offer : planned.offers) text += "  " + offer.text + "\n";
  return text;
}

// What the settings keep loaded, or the models that are named, each with the command's options.
Result<std::vector<fleet::StackWish>> stack_wishes(const Options& options) {
  std::vector<config::KeptModel> kept;
  if (options.stack) {
    config::Inputs inputs;
    inputs.environment = config::environment();
    ASSIGN_OR_RETURN(const config::Loaded loaded, config::load(inputs));
    for (const std::string& entry : loaded.settings.keep) {
      ASSIGN_OR_RETURN(kept.emplace_back(), config::parse_kept(entry));
    }
    if (kept.empty()) return error(ErrorKind::kUsage, "the settings keep no models: write keep = [\"NAME\", ...]");
  }
  for (const std::string& name : options.models)
    kept.push_back({.name = name, .context = {}, .parallel = {}, .kv_type = {}});
  std::vector<fleet::StackWish> wishes;
  for (const config::KeptModel& model : kept) {
    fleet::StackWish wish{model.name, nullptr, {}};
    ASSIGN_OR_RETURN(wish.file, fleet::open_model(model.name));
    wish.serving.context = model.context.value_or(options.context);
    wish.serving.parallel = model.parallel.value_or(options.parallel);
    wish.serving.kv_type = model.kv_type.value_or(options.kv_type);
    wish.serving.plan.experts_last = options.experts_last;
    wishes.push_back(std::move(wish));
  }
  return wishes;
}

Status run_stack(const Options& options) {
  ASSIGN_OR_RETURN(const std::vector<fleet::StackWish> wishes, stack_wishes(options));
  ASSIGN_OR_RETURN(const std::vector<placement::DeviceState> devices, machine_state(options.gpu));
  ASSIGN_OR_RETURN(const std::vector<std::string> lines, fleet::stack_report(wishes, devices));
  return print(fmt::format("{}\n", fmt::join(lines, "\n")));
}

Status run(const Options& options) {
  if (options.stack || options.models.size() > 1) return run_stack(options);
  if (options.models.empty()) return error(ErrorKind::kUsage, "say which model: hearth plan MODEL");
  ASSIGN_OR_RETURN(const store::ModelFiles found, fleet::find_model(options.models[0]));
  ASSIGN_OR_RETURN(const std::shared_ptr<const gguf::File> file, gguf::File::open(found.model));
  ASSIGN_OR_RETURN(std::vector<placement::DeviceState> devices, machine_state(options.gpu));
  ASSIGN_OR_RETURN(const std::string encoder, fleet::plan_encoder(found, file, &devices));
  placement::ServingOptions serving{
      .context = options.context, .parallel = options.parallel, .kv_type = options.kv_type};
  serving.plan.experts_last = options.experts_last;
  ASSIGN_OR_RETURN(const fleet::PlannedModel planned, fleet::plan_model(file, devices, serving));
  return print((encoder.empty() ? "" : encoder + "\n") + report(planned, devices));
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.words("MODEL", options->models,
                  "Path of a GGUF file, a name as in \"ollama list\", or \"demo\"; several: all loaded together");
  arguments.flag("--stack", options->stack, "The models that the server's settings keep loaded, together");
  arguments.number("--ctx", options->context, 1u, 1u << 30, "Tokens of context (default: 4096)");
  arguments.number("--parallel", options->parallel, 1u, 1024u, "Answers at the same time, each with that context");
  arguments.choice("--kv-type", options->kv_type, {"f16", "q8_0", "f32"},
                   "Type of the key and value cache (default: f16)");
  arguments.text("--gpu", options->gpu,
                 "A GPU that is not here (\"RTX 4090\"), or a JSON file that describes a machine");
  arguments.flag("--experts-last", options->experts_last, "Put expert weights on the CPU before whole layers");
  return [options] { return run(*options); };
}

const Command kCommand = {"plan", "Show where a model's layers would be, and what would make it fit", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
