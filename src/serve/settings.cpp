#include "serve/settings.h"

namespace hearth::serve {

fleet::FleetOptions fleet_options(const config::Settings& settings) {
  fleet::FleetOptions result;
  result.keep_alive = settings.keep_alive;
  result.parallel = settings.parallel;
  result.most_models = settings.max_models;
  result.queue = settings.queue;
  result.load_wait = settings.load_wait;
  result.slice = settings.slice;
  result.most_wait = settings.place_wait;
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
