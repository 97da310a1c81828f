#include "cli/model_options.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/gpu.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/units.h"
#include "cpu/cpu_device.h"
#include "models/architecture.h"

namespace hearth::cli {
namespace {

constexpr const char* kDemo = "demo";

Result<std::string> find_demo() {
  std::error_code ignored;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  std::string looked;
  for (const auto& place : {binary / "demo.gguf", binary / "../share/hearth/demo.gguf"}) {
    const auto path = place.lexically_normal();
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

struct Room {
  uint64_t bytes;
  std::string owner;  // "GPU 0 (NVIDIA H200)", "the control group"
};

// Of a GPU as it is now; for the CPU as the kernel and the control group see it.
Room room_on(const device::Device& device) {
  if (!device.reads_host_memory()) return {device.free_bytes(), device.facts().name};
  const AvailableMemory available = available_memory();
  return {available.bytes, available.limited_by};
}

Status check_memory(const gguf::File& file, const device::Device& device, const models::LoadOptions& load) {
  ASSIGN_OR_RETURN(const models::Memory needed, models::estimate_memory(file, device, load));
  const Room room = room_on(device);
  if (needed.total() <= room.bytes) return {};
  return error(ErrorKind::kNoMemory,
               "{} needs {} of memory (weights {}, cache of {} tokens {}, workspace {}), but {} has {} available; "
               "use a smaller --ctx, --kv-type q8_0 or a smaller model, or close other programs",
               file.path(), format_bytes(needed.total()), format_bytes(needed.weights), load.context,
               format_bytes(needed.cache), format_bytes(needed.workspace), room.owner, format_bytes(room.bytes));
}

// Brings the weights in from the disk in order, which is faster than fault by fault in the first step, and
// lets a slow disk show.
void read_in(const gguf::File& file) {
  constexpr uintptr_t kPiece_bytes = 64 << 20;
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  uint64_t done = 0, total = 0;
  for (const gguf::Tensor& tensor : file.tensors()) total += tensor.bytes;
  Progress progress("reading " + std::filesystem::path(file.path()).filename().string(), total);
  for (const gguf::Tensor& tensor : file.tensors()) {
    const uintptr_t start = reinterpret_cast<uintptr_t>(tensor.data), end = start + tensor.bytes;
    for (uintptr_t at = start / page * page; at < end; at += kPiece_bytes) {
      const size_t bytes = std::min(kPiece_bytes, end - at);
      if (::madvise(reinterpret_cast<void*>(at), bytes, MADV_POPULATE_READ) != 0)
        return;  // before Linux 5.14: on demand
      progress.update(done + (at > start ? at - start : 0));
    }
    done += tensor.bytes;
  }
}

Status load_on(std::unique_ptr<device::Device> device, const models::LoadOptions& load, LoadedModel& loaded) {
  TRY(check_memory(*loaded.file, *device, load));
  read_in(*loaded.file);
  ASSIGN_OR_RETURN(loaded.model, models::Model::load(loaded.file, *device, load));
  loaded.devices =
      engine::on_one_device(device->facts().name, !device->reads_host_memory(), loaded.model->spec().layers);
  loaded.device = std::move(device);
  return {};
}

// The model on a GPU; if that cannot be, the reason.
Result<GpuProblem> place_on_gpu(const models::LoadOptions& load, LoadedModel& loaded) {
  GpuSearch search = find_gpu();
  if (search.device == nullptr) return std::move(search.problem);
  const Status status = load_on(std::move(search.device), load, loaded);
  if (status) return GpuProblem{};
  if (!is_gpu_fault(status.error())) return status.error();
  return gpu_problem(status.error());
}

Status place(const ModelOptions& options, const models::LoadOptions& load, LoadedModel& loaded) {
  const GpuPolicy policy = gpu_policy(options.gpu);
  GpuProblem problem;
  if (policy != GpuPolicy::kOff) {
    ASSIGN_OR_RETURN(problem, place_on_gpu(load, loaded));
    if (loaded.model != nullptr) return {};
    if (policy == GpuPolicy::kRequire) return refused(problem);
  }
  ASSIGN_OR_RETURN(auto cpu, cpu::create_device({.threads = options.threads, .isa = options.cpu_isa}));
  TRY(load_on(std::move(cpu), load, loaded));
  loaded.devices.gpu_wanted = policy != GpuPolicy::kOff;
  loaded.devices.cause = std::move(problem.cause);
  loaded.devices.remedy = std::move(problem.remedy);
  loaded.devices.noteworthy = problem.noteworthy;
  return {};
}

}  // namespace

void add_model_argument(CLI::App& app, std::string& model) {
  app.add_option("MODEL", model, "Path of a GGUF file, a name as in \"ollama list\", or \"demo\"")->required();
}

void add_compute_options(CLI::App& app, ModelOptions& options) {
  app.add_option("--threads", options.threads, "Threads (default: all that this process may use)")
      ->check(CLI::Range(1, 4096));
  app.add_option("--kv-type", options.kv_type,
                 fmt::format("Type of the key and value cache (default: {})", options.kv_type))
      ->check(CLI::IsMember({"f16", "q8_0", "f32"}));
  app.add_option("--cpu-isa", options.cpu_isa, "Force an instruction set: avx512, avx2 or generic");
  app.add_option("--gpu", options.gpu, "auto: a GPU if one can be used (default); require: a GPU, or fail; off: the CPU")
      ->check(CLI::IsMember({"auto", "require", "off"}));
}

void add_model_options(CLI::App& app, ModelOptions& options) {
  add_model_argument(app, options.model);
  app.add_option("--ctx", options.context, "Tokens of context")->check(CLI::Range(1u, 1u << 30));
  add_compute_options(app, options);
  app.add_flag("--verbose", options.verbose, "Print times, rates and memory to standard error");
}

device::CacheType cache_type(const std::string& kv_type) {
  if (kv_type == "q8_0") return device::CacheType::kQ8_0;
  return kv_type == "f32" ? device::CacheType::kF32 : device::CacheType::kF16;
}

Result<store::ModelFiles> find_model(const std::string& model) {
  std::error_code ignored;
  if (model != kDemo || std::filesystem::exists(model, ignored)) return store::resolve_model(model);
  ASSIGN_OR_RETURN(const std::string path, find_demo());
  return store::resolve_model(path);
}

Result<std::shared_ptr<const gguf::File>> open_model(const std::string& model) {
  ASSIGN_OR_RETURN(const store::ModelFiles found, find_model(model));
  return gguf::File::open(found.model);
}

Result<LoadedModel> load_model(const ModelOptions& options, models::LoadOptions load) {
  const auto start = std::chrono::steady_clock::now();
  LoadedModel loaded;
  ASSIGN_OR_RETURN(loaded.found, find_model(options.model));
  ASSIGN_OR_RETURN(loaded.file, gguf::File::open(loaded.found.model));
  ASSIGN_OR_RETURN(loaded.tokenizer, text::Tokenizer::load(*loaded.file));
  const uint32_t preferred = load.context != 0 ? load.context : context_parameter(loaded.found.parameters);
  ASSIGN_OR_RETURN(load.context, choose_context(options, preferred, *loaded.file));
  load.cache = cache_type(options.kv_type);
  TRY(place(options, load, loaded));
  loaded.load_duration = std::chrono::steady_clock::now() - start;
  return loaded;
}

void note_devices(const engine::DeviceStatus& devices) {
  if (const std::string warning = devices.warning(); !warning.empty()) print_note("warning: " + warning);
}

void log_devices(const engine::DeviceStatus& devices) {
  if (const std::string warning = devices.warning(); !warning.empty()) spdlog::warn("{}", warning);
}

}  // namespace hearth::cli
