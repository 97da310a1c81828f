#include "fleet/load_model.h"

#include <algorithm>
#include <charconv>

#include "base/host_owner.h"
#include "base/log.h"
#include "base/text.h"
#include "fleet/load_on_devices.h"
#include "fleet/sight.h"
#include "models/architecture.h"

namespace hearth::fleet {
namespace {

// As the options say, else what the model or the caller or Ollama would take, at most what the model was trained for.
Result<uint32_t> choose_context(const ModelOptions& options, uint32_t preferred, const gguf::File& file) {
  if (options.context != 0) return options.context;
  ASSIGN_OR_RETURN(const models::Spec spec, models::read_spec(file));
  const uint32_t wanted = preferred != 0 ? preferred : kDefaultContext_tokens;
  return spec.context != 0 ? std::min(wanted, spec.context) : wanted;
}

// Copied weights are read faster, mapped ones leave the memory to the system: copied where it holds them twice.
bool copies_weights(const ModelOptions& options, const gguf::File& file) {
  if (options.host_weights != HostWeights::kAuto) return options.host_weights == HostWeights::kCopied;
  const AvailableMemory available = HostOwner::of_process()->memory().available();
  if (file.file_bytes() <= available.bytes / 2) return true;
  log_info("{}: weights stay in the mapped file: {}, too little for a copy", file.path(), to_string(available));
  return false;
}

// An encoder that cannot be used keeps nobody from chatting.
Status load_sight(const ModelOptions& options, const LoadObserver& observer, LoadedModel& loaded) {
  if (!Sight::has(loaded.found, *loaded.file)) return {};
  ASSIGN_OR_RETURN(const models::Spec spec, models::read_spec(*loaded.file));
  auto sight = Sight::load(loaded.found, loaded.file, loaded.tokenizer, spec, options);
  if (sight) {
    loaded.sight = std::move(*sight);
    if (const Cause& cause = loaded.sight->cause(); !cause.empty() && observer.note)
      observer.note("the encoder of pictures runs on the CPU: " + text_of(cause));
    return {};
  }
  loaded.blind = sight.error().message;
  log_warn("{}: pictures cannot be read: {}", loaded.found.name, loaded.blind);
  if (observer.note) observer.note("pictures cannot be read: " + loaded.blind);
  return {};
}

}  // namespace

uint32_t context_parameter(const store::Parameters& parameters) {
  uint32_t context = 0;
  for (const auto& [name, value] : parameters) {
    if (name == "num_ctx") std::from_chars(value.data(), value.data() + value.size(), context);
  }
  return context;
}

Result<LoadedModel> load_model(store::ModelFiles found, const ModelOptions& options, models::LoadOptions load,
                               const LoadObserver& observer) {
  const auto start = std::chrono::steady_clock::now();
  LoadedModel loaded;
  loaded.found = std::move(found);
  ASSIGN_OR_RETURN(loaded.file, gguf::File::open(loaded.found.model));
  ASSIGN_OR_RETURN(loaded.tokenizer, text::Tokenizer::load(*loaded.file));
  if (observer.note) {
    for (const std::string& note : loaded.found.notes) observer.note(note);
    for (const std::string& note : loaded.tokenizer->notes()) observer.note(note);
  }
  const uint32_t preferred = load.context != 0 ? load.context : context_parameter(loaded.found.parameters);
  ASSIGN_OR_RETURN(load.context, choose_context(options, preferred, *loaded.file));
  if (load.pages == 0 && load.sequences > 1) {  // else they would put each other back all the time
    ASSIGN_OR_RETURN(load.pages, pages_for(load.sequences, load.context));
  }
  load.cache = cache_type(options.kv_type);
  load.copy_weights = copies_weights(options, *loaded.file);
  // First: what it takes of a GPU is then not free for the plan.
  TRY(load_sight(options, observer, loaded));
  TRY(load_on_devices(options, load, observer, loaded));
  loaded.spec = loaded.placed->model().spec();
  loaded.load = loaded.placed->model().options();
  loaded.load_duration = std::chrono::steady_clock::now() - start;
  return loaded;
}

}  // namespace hearth::fleet
