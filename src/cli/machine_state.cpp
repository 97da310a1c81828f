#include "cli/machine_state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "cli/progress.h"
#include "cuda/sizing.h"
#include "fleet/machine.h"
#include "placement/gpus.h"

namespace hearth::cli {
namespace {

constexpr uint64_t kMiB = 1 << 20;

placement::DeviceState gpu_state(size_t index, const std::string& name, uint64_t total, uint64_t bandwidth) {
  return {.name = fmt::format("GPU {} ({})", index, name),
          .total = total,
          .free = total,
          .reserve = placement::reserve_on(total),
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
  return std::vector{state, fleet::host_state()};
}

// More than any machine has, and little enough for what is computed with them.
constexpr uint64_t kMost_mib = 1 << 30, kMost_mhz = 1 << 20, kMost_bits = 1 << 16, kMost_pid = 1 << 30;

// `where`: whose field it is, for the error.
Result<uint64_t> number_or(const boost::json::object& object, std::string_view key, uint64_t fallback, uint64_t most,
                           const std::string& where) {
  const boost::json::value* value = object.if_contains(key);
  if (value == nullptr) return fallback;
  boost::system::error_code problem;
  const auto number = value->to_number<uint64_t>(problem);
  if (!problem && number <= most) return number;
  return error(ErrorKind::kInvalidData, "{}: {} is {}, but must be a whole number from 0 to {}", where, key,
               boost::json::serialize(*value), most);
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

Result<placement::DeviceState> described_gpu(size_t index, const boost::json::object& gpu, const std::string& path) {
  const std::string name = text_or(gpu, "name", "unnamed"),
                    where = fmt::format("{}, device {} ({})", path, index, name);
  const auto number = [&](std::string_view key, uint64_t most, uint64_t fallback = 0) {
    return number_or(gpu, key, fallback, most, where);
  };
  ASSIGN_OR_RETURN(const uint64_t memory_mib, number("memory_mib", kMost_mib));
  if (memory_mib == 0) return error(ErrorKind::kInvalidData, "{}: memory_mib is missing", where);
  const std::string capability = text_or(gpu, "compute_capability", "7.5");
  if (const size_t dot = capability.find('.'); dot != std::string::npos)
    TRY(check_capability(name, std::atoi(capability.c_str()) * 10 + std::atoi(capability.c_str() + dot + 1)));
  ASSIGN_OR_RETURN(const uint64_t memory_clock_mhz, number("memory_clock_mhz", kMost_mhz));
  ASSIGN_OR_RETURN(const uint64_t bus_bits, number("bus_bits", kMost_bits));
  ASSIGN_OR_RETURN(const uint64_t reserved_mib, number("reserved_mib", kMost_mib));
  ASSIGN_OR_RETURN(const uint64_t context_mib, number("context_mib", kMost_mib, placement::kContext_bytes / kMiB));
  const uint64_t bandwidth = memory_clock_mhz * 1'000'000 * 2 * bus_bits / 8;
  placement::DeviceState state = gpu_state(index, name, memory_mib * kMiB, bandwidth);
  state.free -= std::min(state.free, reserved_mib * kMiB);
  state.overhead = context_mib * kMiB;
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
    ASSIGN_OR_RETURN(placement::DeviceState state, described_gpu(states.size(), gpu.as_object(), path));
    states.push_back(std::move(state));
  }
  for (const boost::json::value& value : array_or_empty(machine.as_object(), "processes")) {
    if (!value.is_object()) continue;
    const boost::json::object& process = value.as_object();
    const std::string name = text_or(process, "name", "another process"),
                      where = fmt::format("{}, process {}", path, name);
    if (states.empty()) return error(ErrorKind::kInvalidData, "{}: there is no device for it", where);
    ASSIGN_OR_RETURN(const uint64_t device, number_or(process, "device", 0, states.size() - 1, where));
    ASSIGN_OR_RETURN(const uint64_t mib, number_or(process, "mib", 0, kMost_mib, where));
    ASSIGN_OR_RETURN(const uint64_t pid, number_or(process, "pid", 0, kMost_pid, where));
    states[device].others.push_back({pid, name, mib * kMiB});
    states[device].free -= std::min(states[device].free, mib * kMiB);
  }
  states.push_back(fleet::host_state());
  return states;
}

}  // namespace

Result<std::vector<placement::DeviceState>> machine_state(const std::string& gpu) {
  std::error_code ignored;
  if (gpu.empty()) return fleet::this_machine(show_compiling());
  return std::filesystem::is_regular_file(gpu, ignored) ? described_machine(gpu) : known_machine(gpu);
}

}  // namespace hearth::cli
