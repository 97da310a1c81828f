// How many layers are on the GPU, how many were asked for, and what all of them would take.
#include <algorithm>

#include "doctor/read_facts.h"

namespace hearth::doctor {
namespace {

std::optional<int> integer(const std::string& text) {
  const auto value = to_number(text);
  return value && *value > INT32_MIN && *value < INT32_MAX ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

double sum_of_list(const std::string& text) {  // "3.2 GiB 10.1 GiB"
  double sum = 0;
  const std::vector<std::string> words = split(text, " ,");
  for (size_t i = 0; i + 1 < words.size(); i += 2) sum += to_bytes(words[i] + " " + words[i + 1]).value_or(0);
  return sum;
}

bool on_gpu(const std::string& device) {
  return device.starts_with("CUDA") && !device.starts_with("CUDA_Host");
}

void from_offload_line(const LogFacts& log, Placement& placement) {
  const Hit* hit = log.last("L12");
  if (hit == nullptr) return;
  placement.requested = integer(hit->groups[0]);
  placement.requested_source = "log: layers.requested";
  placement.of_layers = integer(hit->groups[1]);
  placement.layers = integer(hit->groups[2]);
  placement.free_bytes = sum_of_list(hit->groups[3]);
  placement.needed_bytes = to_bytes(hit->groups[4]);
  placement.kv_bytes = to_bytes(hit->groups[5]);
  placement.source = "log: " + hit->line;
}

// Sums over all devices: the catalogue's rule 9.
void from_buffers(const LogFacts& log, Placement& placement) {
  std::map<std::string, double> kinds;
  double all = 0;
  bool model = false;
  for (const auto& [device, buffers] : log.buffers) {
    if (device == "CUDA_Host") continue;
    for (const auto& [kind, bytes] : buffers) {
      if (kind == "compute" && !on_gpu(device)) continue;
      kinds[kind] += bytes;
      all += bytes;
      model = model || kind == "model";
    }
  }
  if (!model) return;
  placement.model_bytes = kinds["model"];
  if (!placement.kv_bytes && kinds.contains("KV")) placement.kv_bytes = kinds["KV"];
  if (!placement.needed_bytes) placement.needed_bytes = all;
}

void from_command_lines(const Facts& facts, Placement& placement) {
  if (!facts.log.starts.empty()) {
    const RunnerStart& start = facts.log.starts.back();
    placement.context = start.context;
    placement.parallel = start.parallel;
  }
  const auto number = [&](std::initializer_list<std::string_view> names) {
    const auto found = facts.argument(names);
    return found ? integer(found->value) : std::nullopt;
  };
  if (!placement.context) placement.context = number({"--ctx-size", "-c"});
  if (!placement.parallel) placement.parallel = number({"--parallel", "-np"});
}

// `-ngl` is a request only where the program does not pass what it computed itself.
void request_by_argument(const Facts& facts, Placement& placement) {
  if (placement.requested) return;
  std::optional<Setting> given = facts.argument({"--n-gpu-layers", "-ngl", "--gpu-layers"});
  if (!given && !facts.log.starts.empty() && facts.log.starts.back().layers)
    given = Setting{std::to_string(*facts.log.starts.back().layers), "log: command line of the runner"};
  const bool passed_on = facts.service != Service::kOllama || (!facts.version.empty() && !older(facts.version, "0.30"));
  if (given && passed_on) {
    placement.requested = integer(given->value);
    placement.requested_source = given->source + ": " + "-ngl " + given->value;
  }
}

void free_memory(const Facts& facts, Placement& placement) {
  if (const Hit* hit = facts.log.last("L15"); hit != nullptr && !placement.free_bytes) {
    double sum = 0;
    for (auto at = facts.log.hits.at("L15").rbegin(); at != facts.log.hits.at("L15").rend(); ++at) {
      if (hit->number - at->number > 8) break;  // of the same load: lines that follow each other
      if (sum > 0 && at->groups[0] == hit->groups[0]) break;
      sum += to_bytes(at->groups[2] + " MiB").value_or(0);
    }
    placement.free_bytes = sum;
  }
  double total = 0, free = 0;
  bool known = !facts.nvml.devices.empty();
  for (const NvmlDevice& device : facts.nvml.devices) {
    total += static_cast<double>(device.total_bytes.value_or(0));
    free += static_cast<double>(device.free_bytes.value_or(0));
    known = known && device.free_bytes.has_value();
  }
  if (total > 0) placement.total_bytes = total;
  if (placement.free_bytes || !known) return;
  // As it was before the load: what the server holds now counts as free.
  double own = 0;
  for (const RunningModel& model : facts.api.running) own += model.vram_bytes;
  for (const auto& [device, buffers] : facts.log.buffers)
    for (const auto& [kind, bytes] : buffers)
      if (facts.api.running.empty() && on_gpu(device)) own += bytes;
  placement.free_bytes = std::min(total, free + own);
}

void from_api(const Facts& facts, Placement& placement) {
  if (facts.api.running.empty()) return;
  const RunningModel& model = *std::ranges::max_element(facts.api.running, {}, &RunningModel::bytes);
  if (!placement.needed_bytes && model.bytes > 0) placement.needed_bytes = model.bytes;
  if (!placement.context && model.context) placement.context = static_cast<int>(*model.context);
  if (placement.source.empty()) placement.source = "/api/ps";
}

}  // namespace

void read_placement(Facts& facts) {
  Placement& placement = facts.placement;
  const LogFacts& log = facts.log;
  from_offload_line(log, placement);
  if (const Hit* hit = log.last("L13"); hit != nullptr && !log.after("L12", "L13")) {
    placement.of_layers = integer(hit->groups[0]);
    placement.requested = integer(hit->groups[1]);
    placement.requested_source = "log: requested=" + hit->groups[1];
  }
  if (const Hit* hit = log.last("L11"); hit != nullptr && !log.after("L12", "L11")) {
    placement.layers = integer(hit->groups[0]);
    placement.of_layers = integer(hit->groups[1]);
    placement.source = "log: " + hit->line;
  }
  from_buffers(log, placement);
  from_command_lines(facts, placement);
  request_by_argument(facts, placement);
  from_api(facts, placement);
  free_memory(facts, placement);
}

}  // namespace hearth::doctor
