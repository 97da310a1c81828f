#include "cli/model_options.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/load_on_devices.h"
#include "cli/terminal.h"
#include "models/architecture.h"

namespace hearth::cli {
namespace {

constexpr const char* kDemo = "demo";

Result<std::string> find_demo() {
  std::error_code ignored;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  std::string looked;
  for (const auto& location : {binary / "demo.gguf", binary / "../share/hearth/demo.gguf"}) {
    const auto path = location.lexically_normal();
    if (std::filesystem::is_regular_file(path, ignored)) return path.string();
    looked += (looked.empty() ? "" : " and ") + path.string();
  }
  return error(ErrorKind::kNotFound,
               "the demonstration model is not installed (looked for {}); ./run.sh puts one there, or give the path of "
               "a GGUF file",
               looked);
}

// The num_ctx that a model in an Ollama folder brings along; 0 if there is none.
uint32_t context_parameter(const store::Parameters& parameters) {
  uint32_t context = 0;
  for (const auto& [name, value] : parameters) {
    if (name == "num_ctx") std::from_chars(value.data(), value.data() + value.size(), context);
  }
  return context;
}

// As --ctx says, else what the model or the command or Ollama would take, at most what the model was trained for.
Result<uint32_t> choose_context(const ModelOptions& options, uint32_t preferred, const gguf::File& file) {
  if (options.context != 0) return options.context;
  ASSIGN_OR_RETURN(const models::Architecture* architecture, models::find_architecture(file));
  ASSIGN_OR_RETURN(const models::Spec spec, architecture->read(file, {}));
  const uint32_t wanted = preferred != 0 ? preferred : kDefaultContext_tokens;
  return spec.context != 0 ? std::min(wanted, spec.context) : wanted;
}

// Copied weights are read faster, mapped ones leave the memory to the system: copied where it holds them twice.
bool copies_weights(const ModelOptions& options, const gguf::File& file) {
  if (options.mmap != "auto") return options.mmap == "off";
  const AvailableMemory available = available_memory();
  if (file.file_bytes() <= available.bytes / 2) return true;
  log_info("{}: weights stay in the mapped file, {} has only {} available for a copy", file.path(),
           available.limited_by, size_text(available.bytes));
  return false;
}

}  // namespace

void add_model_argument(Arguments& arguments, std::string& model) {
  arguments.required_text("MODEL", model, "Path of a GGUF file, a name as in \"ollama list\", or \"demo\"");
}

void add_compute_options(Arguments& arguments, ModelOptions& options) {
  arguments.number("--threads", options.threads, 1, 4096, "Threads (default: all that this process may use)");
  arguments.choice("--kv-type", options.kv_type, {"f16", "q8_0", "f32"},
                   fmt::format("Type of the key and value cache (default: {})", options.kv_type));
  arguments.text("--cpu-isa", options.cpu_isa, "Force an instruction set: avx512, avx2 or generic");
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

device::CacheType cache_type(const std::string& kv_type) {
  if (kv_type == "q8_0") return device::CacheType::kQ8_0;
  return kv_type == "f32" ? device::CacheType::kF32 : device::CacheType::kF16;
}

Result<store::ModelFiles> find_model(const std::string& model) {
  std::error_code ignored;
  if (model != kDemo || std::filesystem::exists(model, ignored)) return store::resolve_argument(model);
  ASSIGN_OR_RETURN(const std::string path, find_demo());
  return store::resolve_path(path);
}

Result<std::shared_ptr<const gguf::File>> open_model(const std::string& model) {
  ASSIGN_OR_RETURN(const store::ModelFiles found, find_model(model));
  return gguf::File::open(found.model);
}

Result<uint32_t> pages_for(uint32_t sequences, uint32_t context) {
  const uint64_t pages = sequences * divide_up(context, device::kPage_tokens);
  if (pages <= std::numeric_limits<uint32_t>::max()) return static_cast<uint32_t>(pages);
  return error(ErrorKind::kUsage,
               "{} sequences with a context of {} tokens each are more than can be counted; use a "
               "smaller --ctx",
               sequences, context);
}

models::LoadOptions answer_load_options(uint32_t parallel) {
  models::LoadOptions load;
  load.logit_rows = load.sequences = parallel;
  return load;
}

Result<LoadedModel> load_model(const ModelOptions& options, models::LoadOptions load) {
  const auto start = std::chrono::steady_clock::now();
  LoadedModel loaded;
  ASSIGN_OR_RETURN(loaded.found, find_model(options.model));
  ASSIGN_OR_RETURN(loaded.file, gguf::File::open(loaded.found.model));
  ASSIGN_OR_RETURN(loaded.tokenizer, text::Tokenizer::load(*loaded.file));
  for (const std::string& note : loaded.found.notes) print_note("note: " + note);
  for (const std::string& note : loaded.tokenizer->notes()) print_note("note: " + note);
  const uint32_t preferred = load.context != 0 ? load.context : context_parameter(loaded.found.parameters);
  ASSIGN_OR_RETURN(load.context, choose_context(options, preferred, *loaded.file));
  load.cache = cache_type(options.kv_type);
  load.copy_weights = copies_weights(options, *loaded.file);
  TRY(load_on_devices(options, load, loaded));
  loaded.spec = loaded.placed->model().spec();
  loaded.load = loaded.placed->model().options();
  loaded.load_duration = std::chrono::steady_clock::now() - start;
  return loaded;
}

void note_devices(const engine::DeviceStatus& devices) {
  if (const std::string warning = devices.warning(); !warning.empty()) print_note("warning: " + warning);
}

void log_devices(const engine::DeviceStatus& devices) {
  if (const std::string warning = devices.warning(); !warning.empty()) log_warn("{}", warning);
}

}  // namespace hearth::cli
