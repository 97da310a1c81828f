// hearth plan: which layers of a model would lie where, in bytes, before it is loaded, also for a machine that is
// not here.
#include "placement/plan.h"

#include <CLI/App.hpp>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "cpu/cpu_device.h"
#include "cuda/sizing.h"
#include "driver/probe.h"
#include "gguf/mix.h"
#include "models/measure.h"
#include "placement/gpus.h"
#include "placement/offers.h"
#include "placement/table.h"

namespace hearth::cli {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// Offered when the model is too large, the best first.
const std::vector<std::string> kMixes = {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "IQ4_XS", "Q3_K_M", "Q2_K"};

struct Options {
  std::string model;
  uint32_t context = kDefaultContext_tokens, parallel = 1;
  std::string kv_type = "f16", gpu;
  bool experts_last = false;
};

placement::DeviceState host_state() {
  const AvailableMemory memory = available_memory();
  return {.name = "CPU", .host = true, .total = memory.bytes, .free = memory.bytes, .granularity = 4096};
}

placement::DeviceState gpu_state(size_t index, const std::string& name, uint64_t total, uint64_t bandwidth) {
  return {.name = fmt::format("GPU {} ({})", index, name),
          .total = total,
          .free = total,
          .reserve = placement::kReserve_bytes,
          .granularity = cuda::kGranule_bytes,
          .bandwidth = bandwidth};
}

Status check_capability(const std::string& name, int capability) {
  if (capability >= placement::kLeastCapability) return {};
  return error(ErrorKind::kUnsupported,
               "{} has compute capability {}.{}; hearth's kernels need {}.{} (Turing) or newer", name, capability / 10,
               capability % 10, placement::kLeastCapability / 10, placement::kLeastCapability % 10);
}

Result<std::vector<placement::DeviceState>> known_machine(const std::string& name) {
  const placement::KnownGpu* gpu = placement::find_gpu(name);
  if (gpu == nullptr) {
    std::vector<std::string> names;
    for (const placement::KnownGpu& known : placement::known_gpus()) names.emplace_back(known.name);
    return error(ErrorKind::kUsage,
                 "no GPU \"{}\" is known; give the path of a JSON file with a machine, or one of: {}", name,
                 fmt::join(names, ", "));
  }
  TRY(check_capability(gpu->name, gpu->capability));
  placement::DeviceState state =
      gpu_state(0, gpu->name, gpu->memory_mib * kMiB, uint64_t{gpu->bandwidth_gb_per_s} * 1'000'000'000);
  state.free -= state.total * placement::kDriverShare_percent / 100;
  state.overhead = placement::kContext_bytes;
  return std::vector{state, host_state()};
}

uint64_t number_or(const boost::json::object& object, std::string_view key, uint64_t fallback) {
  const boost::json::value* value = object.if_contains(key);
  if (value == nullptr) return fallback;
  boost::system::error_code problem;
  const auto number = value->to_number<uint64_t>(problem);
  return problem ? fallback : number;
}

std::string text_or(const boost::json::object& object, std::string_view key, const char* fallback) {
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : fallback;
}

const boost::json::array& array_or_empty(const boost::json::object& object, std::string_view key) {
  static const boost::json::array empty;
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr && value->is_array() ? value->as_array() : empty;
}

Result<placement::DeviceState> described_gpu(size_t index, const boost::json::object& gpu) {
  const std::string name = text_or(gpu, "name", "unnamed");
  const uint64_t memory_mib = number_or(gpu, "memory_mib", 0);
  if (memory_mib == 0) return error(ErrorKind::kInvalidData, "{}: memory_mib is missing", name);
  const std::string capability = text_or(gpu, "compute_capability", "7.5");
  if (const size_t dot = capability.find('.'); dot != std::string::npos)
    TRY(check_capability(name, std::atoi(capability.c_str()) * 10 + std::atoi(capability.c_str() + dot + 1)));
  const uint64_t bandwidth = number_or(gpu, "memory_clock_mhz", 0) * 1'000'000 * 2 * number_or(gpu, "bus_bits", 0) / 8;
  placement::DeviceState state = gpu_state(index, name, memory_mib * kMiB, bandwidth);
  state.free -= std::min(state.free, number_or(gpu, "reserved_mib", 0) * kMiB);
  state.overhead = number_or(gpu, "context_mib", placement::kContext_bytes / kMiB) * kMiB;
  return state;
}

// The form of the simulator's profiles: {"devices": [{"name", "memory_mib", ...}], "processes": [{"name", "mib"}]}.
Result<std::vector<placement::DeviceState>> described_machine(const std::string& path) {
  std::ifstream in(path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  boost::system::error_code problem;
  const boost::json::value machine = boost::json::parse(text, problem);
  if (!in || problem || !machine.is_object())
    return error(ErrorKind::kInvalidData, "{} is not a JSON object that describes a machine", path);
  std::vector<placement::DeviceState> states;
  for (const boost::json::value& gpu : array_or_empty(machine.as_object(), "devices")) {
    if (!gpu.is_object()) return error(ErrorKind::kInvalidData, "{}: a device is not an object", path);
    ASSIGN_OR_RETURN(states.emplace_back(), described_gpu(states.size(), gpu.as_object()));
  }
  for (const boost::json::value& value : array_or_empty(machine.as_object(), "processes")) {
    if (!value.is_object()) continue;
    const boost::json::object& process = value.as_object();
    const uint64_t device = number_or(process, "device", 0), bytes = number_or(process, "mib", 0) * kMiB;
    if (device >= states.size()) continue;
    states[device].others.push_back({number_or(process, "pid", 0), text_or(process, "name", "another process"), bytes});
    states[device].free -= std::min(states[device].free, bytes);
  }
  states.push_back(host_state());
  return states;
}

std::vector<placement::DeviceState> this_machine() {
  std::vector<placement::DeviceState> states;
  for (const driver::Gpu& gpu : driver::probe().gpus) {
    if (gpu.ordinal < 0 || gpu.problem || gpu.capability < placement::kLeastCapability) continue;
    placement::DeviceState state =
        gpu_state(states.size(), gpu.name, gpu.total_bytes, static_cast<uint64_t>(gpu.memory_bytes_per_s));
    state.free = gpu.free_bytes.value_or(gpu.state.free_bytes.value_or(gpu.total_bytes));
    // What the driver says with a context open leaves that context out.
    state.overhead = gpu.free_bytes ? 0 : placement::kContext_bytes;
    for (const driver::GpuProcess& process : gpu.state.processes)
      state.others.push_back({process.pid, process.name, process.bytes.value_or(0)});
    states.push_back(std::move(state));
  }
  states.push_back(host_state());
  return states;
}

Result<std::vector<placement::DeviceState>> machine_of(const std::string& gpu) {
  std::error_code ignored;
  if (gpu.empty()) return this_machine();
  return std::filesystem::is_regular_file(gpu, ignored) ? described_machine(gpu) : known_machine(gpu);
}

// Sizes on every device for any wishes; those that cannot be (a head size that q8_0 does not divide) need
// more than any device has.
class Measurer {
 public:
  Measurer(std::shared_ptr<const gguf::File> file, size_t gpus, std::unique_ptr<device::Device> host)
      : file_(std::move(file)), gpus_(gpus), host_(std::move(host)) {}

  Result<std::vector<placement::ModelSizes>> measure(const placement::Wishes& wishes) const {
    std::optional<gguf::Mix> mix;
    if (!wishes.mix.empty()) {
      ASSIGN_OR_RETURN(mix, gguf::find_mix(wishes.mix));
    }
    const gguf::Mix* chosen = mix ? &*mix : nullptr;
    models::LoadOptions load;
    load.context = wishes.context;
    load.cache = cache_type(wishes.kv_type);
    load.logit_rows = std::max(load.logit_rows, wishes.parallel);
    load.sequences = wishes.parallel;
    load.pages = (wishes.context + device::kPage_tokens - 1) / device::kPage_tokens * wishes.parallel;
    ASSIGN_OR_RETURN(const models::Outline outline, models::outline(*file_, load, chosen));
    std::vector<placement::ModelSizes> sizes;
    if (gpus_ > 0) {
      ASSIGN_OR_RETURN(const placement::ModelSizes gpu, models::measure(*file_, outline, cuda_, chosen));
      sizes.assign(gpus_, gpu);
    }
    ASSIGN_OR_RETURN(sizes.emplace_back(), models::measure(*file_, outline, *host_, chosen));
    return sizes;
  }

  placement::Measure function() const {
    return [this](const placement::Wishes& wishes) {
      Result<std::vector<placement::ModelSizes>> sizes = measure(wishes);
      if (sizes.ok()) return std::move(*sizes);
      placement::ModelSizes impossible;
      impossible.layers.resize(1);
      impossible.output = uint64_t{1} << 60;
      return std::vector<placement::ModelSizes>(gpus_ + 1, impossible);
    };
  }

 private:
  const std::shared_ptr<const gguf::File> file_;
  const size_t gpus_;
  const std::unique_ptr<device::Device> host_;
  const cuda::CudaSizing cuda_;
};

std::string report(const Measurer& measurer, const std::vector<placement::ModelSizes>& sizes,
                   const std::vector<placement::DeviceState>& devices, const placement::Wishes& wishes) {
  const placement::Plan plan = placement::plan(sizes, devices, wishes.options);
  std::string text;
  for (const std::string& line : placement::summary(plan, devices)) text += line + "\n";
  text += "\n" + placement::table(plan, devices);
  if (devices.size() == 1)
    text += "\nThis machine has no GPU that can be used; --gpu shows the plan for another one.\n";
  if (!plan.fits && plan.shares.back().total() > devices.back().budget())
    text +=
        fmt::format("\nThe CPU's part needs {}, but only {} of memory is available.\n",
                    placement::size_text(plan.shares.back().total()), placement::size_text(devices.back().budget()));
  if (plan.whole() || devices.size() == 1) return text;
  if (const auto missing = placement::shortfall(sizes, devices, wishes.options))
    text += fmt::format("\n{} more free memory on {} would hold the whole model.\n", placement::size_text(*missing),
                        devices[0].name);
  const auto found = placement::offers(measurer.function(), devices, wishes, kMixes);
  if (!found.empty()) text += "\nWhat would help:\n";
  for (const placement::Offer& offer : found) text += "  " + offer.text + "\n";
  return text;
}

Status run(const Options& options) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const gguf::File> file, open_model(options.model));
  ASSIGN_OR_RETURN(const std::vector<placement::DeviceState> devices, machine_of(options.gpu));
  ASSIGN_OR_RETURN(auto host, cpu::create_device({}));
  const Measurer measurer(file, devices.size() - 1, std::move(host));
  placement::Wishes wishes{.context = options.context, .parallel = options.parallel, .kv_type = options.kv_type};
  wishes.options.experts_last = options.experts_last;
  ASSIGN_OR_RETURN(const models::Outline outline, models::outline(*file, {}));
  wishes.context = std::min(wishes.context, outline.spec.context);
  ASSIGN_OR_RETURN(const std::vector<placement::ModelSizes> sizes, measurer.measure(wishes));
  return print(report(measurer, sizes, devices, wishes));
}

Action configure(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_model_argument(app, options->model);
  app.add_option("--ctx", options->context, "Tokens of context (default: 4096)")->check(CLI::Range(1u, 1u << 30));
  app.add_option("--parallel", options->parallel, "Answers at the same time, each with that context")
      ->check(CLI::Range(1u, 1024u));
  app.add_option("--kv-type", options->kv_type, "Type of the key and value cache (default: f16)")
      ->check(CLI::IsMember({"f16", "q8_0", "f32"}));
  app.add_option("--gpu", options->gpu,
                 "A GPU that is not here (\"RTX 4090\"), or a JSON file that describes a machine");
  app.add_flag("--experts-last", options->experts_last, "Put expert weights on the CPU before whole layers");
  return [options] { return run(*options); };
}

const Command kCommand = {"plan", "Show where a model's layers would be, and what would make it fit", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
