#include "cli/model_options.h"

#include <optional>

#include "base/log.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "fleet/find_model.h"

namespace hearth::cli {

void add_model_argument(Arguments& arguments, std::string& model) {
  arguments.required_text("MODEL", model, "Path of a GGUF file, a name as in \"ollama list\", or \"demo\"");
}

void add_compute_options(Arguments& arguments, ModelOptions& options) {
  arguments.number("--threads", options.threads, 1, 4096, "Threads (default: all that this process may use)");
  arguments.choice("--kv-type", options.kv_type, {"f16", "q8_0", "f32"},
                   fmt::format("Type of the key and value cache (default: {})", options.kv_type));
  arguments.text("--cpu-isa", options.cpu_isa, "Force an instruction set: amx, avx512, avx2 or generic");
  arguments.choice(
      "--gpu", options.gpu, {"auto", "require", "off"},
      "auto: GPUs as far as they hold the model (default); require: wholly on GPUs, or fail; off: the CPU");
  arguments.choice("--mmap", options.mmap, {"auto", "on", "off"},
                   "Weights on the CPU. off: copied into memory, which is faster; on: read in the mapped file, also if "
                   "memory cannot hold them; auto: copied "
                   "if memory would hold them twice (default)");
  arguments.flag("--experts-last", options.experts_last,
                 "Where the GPU is too small: expert weights to the CPU before whole layers");
}

void add_model_options(Arguments& arguments, ModelOptions& options) {
  add_model_argument(arguments, options.model);
  add_context_and_compute_options(arguments, options);
}

void add_context_and_compute_options(Arguments& arguments, ModelOptions& options) {
  arguments.number("--ctx", options.context, 1u, 1u << 30, "Tokens of context");
  add_compute_options(arguments, options);
  arguments.flag("--verbose", options.verbose, "Print times, rates and memory to standard error");
}

fleet::ModelOptions fleet_options(const ModelOptions& options) {
  fleet::ModelOptions result;
  result.context = options.context;
  result.threads = options.threads;
  result.kv_type = options.kv_type;
  result.cpu_isa = options.cpu_isa;
  result.gpu = fleet::gpu_policy(options.gpu);
  if (options.mmap != "auto")
    result.host_weights = options.mmap == "on" ? fleet::HostWeights::kMapped : fleet::HostWeights::kCopied;
  result.experts_last = options.experts_last;
  return result;
}

namespace {

// Notes on standard error and a progress bar.
fleet::LoadObserver observer() {
  const auto bar = std::make_shared<std::optional<Progress>>();  // the observer lives as long as the model
  fleet::LoadObserver observer;
  observer.note = [](const std::string& text) { print_note("note: " + text); };
  observer.start = [bar](const std::string& what) { bar->emplace(what, 0); };
  observer.progress = [bar](uint64_t done, uint64_t total) {
    (*bar)->set_total(total);
    (*bar)->update(done);
  };
  observer.compiling = show_compiling();
  observer.end = [bar] { bar->reset(); };
  return observer;
}

}  // namespace

Result<fleet::LoadedModel> load_model(const ModelOptions& options, const models::LoadOptions& load) {
  ASSIGN_OR_RETURN(store::ModelFiles found, fleet::find_model(options.model));
  return fleet::load_model(std::move(found), fleet_options(options), load, observer());
}

Result<std::unique_ptr<fleet::Resident>> start_model(const ModelOptions& options) {
  ASSIGN_OR_RETURN(store::ModelFiles found, fleet::find_model(options.model));
  if (!options.projector.empty()) found.projector = options.projector;
  return fleet::Resident::start(std::move(found), fleet_options(options), fleet::answer_load_options(1), {},
                                observer());
}

void note_devices(const engine::DeviceStatus& devices) {
  if (const std::string warning = devices.warning(); !warning.empty()) print_note("warning: " + warning);
}

void log_devices(const engine::DeviceStatus& devices) {
  if (const std::string warning = devices.warning(); !warning.empty()) log_warn("{}", warning);
}

}  // namespace hearth::cli
