#include "cli/under_hearth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/text.h"
#include "fleet/machine.h"
#include "fleet/model_facts.h"
#include "fleet/plan_model.h"
#include "models/token_cost.h"
#include "placement/table.h"
#include "store/ollama_models.h"

namespace hearth::cli {
namespace {

struct Served {
  std::string name;  // as the server has it
  std::optional<uint32_t> context;
};

// What it answers with, else what it was started with.
std::vector<Served> served_models(const doctor::Facts& facts) {
  std::vector<Served> models;
  for (const doctor::RunningModel& model : facts.api.running)
    models.push_back({model.name, model.context ? std::optional(static_cast<uint32_t>(*model.context)) : std::nullopt});
  if (!models.empty()) return models;
  if (const auto path = facts.argument({"-m", "--model"})) models.push_back({path->value, std::nullopt});
  return models;
}

std::optional<uint32_t> count(const std::optional<doctor::Setting>& setting) {
  const long value = setting ? std::atol(setting->value.c_str()) : 0;
  return value > 0 && value < (1 << 30) ? std::optional(static_cast<uint32_t>(value)) : std::nullopt;
}

placement::ServingOptions serving_of(const doctor::Facts& facts, const Served& model) {
  placement::ServingOptions serving;
  if (const auto parallel = count(facts.argument({"-np", "--parallel"})))
    serving.parallel = *parallel;
  else if (const auto wished = count(facts.setting("OLLAMA_NUM_PARALLEL")))
    serving.parallel = *wished;
  // llama.cpp shares its context among its answers.
  const auto all = count(facts.argument({"-c", "--ctx-size"}));
  if (model.context)
    serving.context = *model.context;
  else if (all)
    serving.context = std::max(1u, *all / serving.parallel);
  return serving;
}

Result<store::ModelFiles> find(const doctor::Facts& facts, const std::string& name) {
  std::vector<std::string> folders = store::model_folders();
  const std::string own = facts.model_folder();
  for (const std::string& folder : {own + "/models", own})
    if (!own.empty() && std::ranges::find(folders, folder) == folders.end()) folders.insert(folders.begin(), folder);
  return store::resolve_argument(name, folders);
}

// As if the server had ended.
std::vector<placement::DeviceState> without(const doctor::Facts& facts, std::vector<placement::DeviceState> devices) {
  std::vector<unsigned> family;
  if (facts.server) family.push_back(facts.server->pid);
  for (const doctor::Process& child : facts.children) family.push_back(child.pid);
  for (placement::DeviceState& device : devices)
    for (const placement::Process& other : device.others)
      if (std::ranges::find(family, other.pid) != family.end())
        device.free = std::min(device.total, device.free + other.bytes);
  return devices;
}

// Decoding reads all weights that a token needs, so no card is faster than its memory.
std::string speed_text(const gguf::File& file, const placement::Plan& plan,
                       const std::vector<placement::DeviceState>& devices) {
  const fleet::ModelFacts facts = fleet::facts_of(file);
  if (!facts.spec || !plan.whole()) return "";
  const double bytes = static_cast<double>(models::bytes_per_token(file, *facts.spec));
  double seconds = 0, weights = 0;
  for (size_t i = 0; i < devices.size(); ++i) weights += static_cast<double>(plan.shares[i].weights);
  for (size_t i = 0; i < devices.size(); ++i) {
    if (plan.shares[i].weights == 0) continue;
    if (devices[i].host || devices[i].bandwidth == 0) return "";
    seconds +=
        bytes * static_cast<double>(plan.shares[i].weights) / weights / static_cast<double>(devices[i].bandwidth);
  }
  return seconds > 0 ? fmt::format("; its memory allows {:.0f} tokens/s to one user", 1 / seconds) : "";
}

Result<std::vector<std::string>> compare(const doctor::Facts& facts, const Served& model,
                                         const std::vector<placement::DeviceState>& devices) {
  ASSIGN_OR_RETURN(const store::ModelFiles found, find(facts, model.name));
  ASSIGN_OR_RETURN(const std::shared_ptr<const gguf::File> file, gguf::File::open(found.model));
  ASSIGN_OR_RETURN(const fleet::PlannedModel planned, fleet::plan_model(file, devices, serving_of(facts, model)));
  std::vector<std::string> lines = {fmt::format(
      "{} with {} tokens of context: {}{}", model.name, planned.serving.context,
      fmt::join(placement::summary(planned.plan, devices), "; "), speed_text(*file, planned.plan, devices))};
  if (!planned.offers.empty()) lines.push_back("it would fit with " + planned.offers.front().text);
  return lines;
}

}  // namespace

std::vector<std::string> under_hearth(const doctor::Facts& facts) {
  std::vector<std::string> lines;
  const std::vector<Served> models = served_models(facts);
  if (models.empty()) return lines;
  const auto machine = fleet::this_machine();
  if (!machine) return {"not known: " + machine.error().message};
  const std::vector<placement::DeviceState> devices = without(facts, *machine);
  for (const Served& model : models) {
    const auto compared = compare(facts, model, devices);
    if (compared)
      lines.insert(lines.end(), compared->begin(), compared->end());
    else
      lines.push_back(fmt::format("{}: not known: {}", model.name, compared.error().message));
  }
  return lines;
}

}  // namespace hearth::cli
