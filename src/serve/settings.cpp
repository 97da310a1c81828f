#include "serve/settings.h"

namespace hearth::serve {

Settings model_settings(const config::Settings& settings) {
  Settings result{.keep_alive = settings.keep_alive,
                  .parallel = settings.parallel,
                  .most_models = settings.max_models,
                  .queue = settings.queue,
                  .model = {}};
  fleet::ModelOptions& model = result.model;
  model.context = settings.context;
  model.threads = static_cast<int>(settings.threads);
  model.kv_type = settings.kv_type;
  model.cpu_isa = settings.cpu_isa;
  model.gpu = fleet::gpu_policy(settings.gpu);
  if (settings.mmap != "auto")
    model.host_weights = settings.mmap == "on" ? fleet::HostWeights::kMapped : fleet::HostWeights::kCopied;
  model.experts_last = settings.experts_last;
  return result;
}

}  // namespace hearth::serve
