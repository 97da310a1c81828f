#include "serve/summaries.h"

#include <filesystem>

#include "store/edit_models.h"
#include "store/weights_of.h"

namespace hearth::serve {
namespace {

// The modification time of a file in seconds since 1970; 0 if it has none.
int64_t modified(const std::string& path) {
  std::error_code failed;
  const auto time = std::filesystem::last_write_time(path, failed);
  if (failed) return 0;
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

}  // namespace

api::ModelSummary summarize(const store::ModelFiles& found, const fleet::ModelFacts& facts, uint64_t file_bytes) {
  api::ModelSummary summary{.name = found.name, .modified = modified(found.model), .bytes = file_bytes};
  summary.digest = store::model_digest(found.name, store::model_folders());
  summary.architecture = facts.architecture;
  summary.parameter_size = store::parameter_count_text(facts.parameters);
  summary.quantization = facts.recipe.empty() ? "unknown" : facts.recipe;
  if (facts.spec) {
    summary.context = facts.spec->context;
    summary.width = facts.spec->width;
  }
  return summary;
}

fleet::LoadWish wish_of(const api::LoadWish& wish) {
  return {.context = wish.context, .gpu_layers = wish.gpu_layers, .threads = wish.threads};
}

std::vector<api::RunningModel> running_models(const fleet::Fleet& models) {
  std::vector<api::RunningModel> list;
  for (const fleet::RunningModel& running : models.running()) {
    api::RunningModel model{.summary = summarize(running.found, running.facts, running.file_bytes)};
    model.gpu_bytes = running.devices.gpu_bytes();
    model.bytes = running.devices.wholly_on_gpu() ? model.gpu_bytes : running.devices.memory().total();
    model.context = running.context;
    if (running.expires)
      model.expires = std::chrono::duration_cast<std::chrono::seconds>(running.expires->time_since_epoch()).count();
    model.placement = running.devices.placement();
    model.cause = what_of(running.devices.cause);
    model.cause_id = running.devices.cause.id;
    model.remedy = remedy_of(running.devices.cause);
    list.push_back(std::move(model));
  }
  return list;
}

}  // namespace hearth::serve
