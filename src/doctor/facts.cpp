#include "doctor/facts.h"

#include <algorithm>

#include "doctor/json_read.h"
#include "doctor/read_facts.h"

namespace hearth::doctor {
namespace {

void add_log(const boost::json::value& value, const LogReader& reader, LogFacts& log) {
  if (value.is_string()) reader.read(std::string_view(value.get_string()), log);
  for (const boost::json::value& line : items_of(&value)) reader.read(text_of(&line), log);
}

}  // namespace

std::string_view service_name(Service service) {
  switch (service) {
    case Service::kOllama:
      return "ollama";
    case Service::kVllm:
      return "vllm";
    case Service::kLocalai:
      return "localai";
    case Service::kLlamaCpp:
      return "llama.cpp";
    case Service::kHearth:
      return "hearth";
    case Service::kNone:
      return "";
  }
  return "";
}

Service service_of(std::string_view name) {
  const std::string small = lower(name);
  const auto has = [&](std::string_view part) { return small.find(part) != std::string::npos; };
  if (has("open-webui") || has("openwebui")) return Service::kNone;
  if (has("hearth")) return Service::kHearth;
  if (has("vllm")) return Service::kVllm;
  if (has("localai") || has("local-ai")) return Service::kLocalai;
  if (has("ollama")) return Service::kOllama;
  if (has("llama.cpp") || has("llama-server") || has("llamacpp") || has("llama-cpp")) return Service::kLlamaCpp;
  return Service::kNone;
}

std::string_view place_name(Place place) {
  switch (place) {
    case Place::kBareMetal:
      return "this machine";
    case Place::kDocker:
      return "Docker";
    case Place::kCompose:
      return "Docker Compose";
    case Place::kKubernetes:
      return "Kubernetes";
    case Place::kWsl2:
      return "WSL2";
    case Place::kLxc:
      return "LXC";
    case Place::kUnknown:
      return "unknown";
  }
  return "";
}

const Node* Hardware::node(std::string_view path) const {
  const auto found = std::ranges::find(nodes, path, &Node::path);
  return found == nodes.end() ? nullptr : &*found;
}

const Node* Hardware::refused(std::string_view error) const {
  const auto found = std::ranges::find(nodes, error, &Node::open);
  return found == nodes.end() ? nullptr : &*found;
}

std::optional<double> Disk::used() const {
  if (!total_bytes || !free_bytes || *total_bytes <= 0) return std::nullopt;
  return 1 - *free_bytes / *total_bytes;
}

bool Disk::full() const {
  constexpr double kLeast_bytes = 1024.0 * 1024 * 1024;
  const bool no_inodes = inodes.value_or(0) > 0 && free_inodes && *free_inodes < 1;
  const bool no_bytes = free_bytes && *free_bytes < kLeast_bytes && used().value_or(1) >= 0.95;
  return no_inodes || no_bytes;
}

std::optional<double> Placement::layers_that_fit() const {
  if (!of_layers || *of_layers <= 0 || !needed_bytes || !free_bytes || *needed_bytes <= 0) return std::nullopt;
  const double per_layer = (model_bytes.value_or(*needed_bytes) + kv_bytes.value_or(0)) / *of_layers;
  const double fixed = std::max(0.0, *needed_bytes - per_layer * *of_layers);
  if (per_layer <= 0) return std::nullopt;
  return std::clamp((*free_bytes - fixed) / per_layer, 0.0, static_cast<double>(*of_layers));
}

std::optional<Setting> Facts::setting(const std::string& name) const {
  const auto in = [&](const std::map<std::string, std::string>& values,
                      const std::string& source) -> std::optional<Setting> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional<Setting>({found->second, source});
  };
  std::vector<const Process*> family;
  if (server) family.push_back(&*server);
  for (const Process& child : children) family.push_back(&child);
  for (const Process* process : family)
    if (const auto found = in(process->environment, "/proc/" + std::to_string(process->pid) + "/environ")) return found;
  if (server && server->environment_known) return std::nullopt;
  for (const ComposeService& one : compose.services)
    if (const auto found = in(one.environment, one.file + ", service " + one.name)) return found;
  if (const auto found = in(log.config, "the log's \"server config\""); found && !found->value.empty()) return found;
  if (log.config.contains(name)) return std::nullopt;
  return in(environment, "environment of this process");
}

std::optional<Setting> Facts::argument(std::initializer_list<std::string_view> names) const {
  std::vector<const Process*> family;
  for (const Process& child : children) family.push_back(&child);
  if (server) family.push_back(&*server);
  for (const Process* process : family)
    if (const auto found = process->argument(names))
      return Setting{*found, "/proc/" + std::to_string(process->pid) + "/cmdline"};
  for (const ComposeService& one : compose.services) {
    Process command;
    command.arguments = split(one.command, " \n\t");
    if (const auto found = command.argument(names)) return Setting{*found, one.file + ", service " + one.name};
  }
  return std::nullopt;
}

bool Facts::flag(std::string_view name, Evidence& evidence) const {
  std::vector<Process> family = children;
  if (server) family.push_back(*server);
  for (const Process& process : family) {
    if (!process.flag(name)) continue;
    evidence = {std::string(name), "/proc/" + std::to_string(process.pid) + "/cmdline"};
    return true;
  }
  for (const ComposeService& one : compose.services) {
    const std::vector<std::string> words = split(one.command, " \n\t");
    if (std::ranges::find(words, name) == words.end()) continue;
    evidence = {std::string(name), one.file + ", service " + one.name};
    return true;
  }
  return false;
}

const Disk* Facts::disk_of(std::string_view path) const {
  const Disk* best = nullptr;
  for (const Disk& disk : disks) {
    const bool above = disk.path == "/" || path == disk.path || path.starts_with(disk.path + "/");
    if (above && (best == nullptr || disk.path.size() > best->path.size())) best = &disk;
  }
  return best;
}

std::string Facts::model_folder() const {
  const char* names[] = {"OLLAMA_MODELS", "HF_HOME", "LOCALAI_MODELS_PATH", "MODELS_PATH"};
  for (const char* name : names)
    if (const auto value = setting(name); value && value->value.starts_with('/')) return value->value;
  for (const char* folder : {"/root/.ollama/models", "/root/.ollama", "/usr/share/ollama/.ollama/models",
                             "/root/.cache/huggingface", "/models", "/build/models"})
    for (const Disk& disk : disks)
      if (disk.path == folder) return folder;
  return {};
}

std::string Facts::library_folder() const {
  std::vector<std::string> folders = {"/usr/lib/ollama", "/usr/local/lib/ollama", "/opt/ollama/lib/ollama"};
  for (const std::string& folder : folders)
    if (files.folder_known(folder)) return folder;
  return {};
}

const Evidence* Facts::code(int number) const {
  const auto found = codes.find(number);
  return found == codes.end() ? nullptr : &found->second;
}

bool Facts::gpu_found_by_server() const {
  if (log.has("L11") && placement.layers.value_or(0) > 0) return true;
  return log.has("compute.gpu") && !log.after("L1", "compute.gpu") && !log.after("L2", "compute.gpu");
}

bool Facts::no_gpu_for_server() const {
  if (gpu_found_by_server()) return false;
  if (log.has("L1") || log.has("L2") || log.has("L18") || log.has("L29")) return true;
  const bool all_on_cpu =
      api.running_known && !api.running.empty() &&
      std::ranges::all_of(api.running, [](const RunningModel& model) { return model.vram_bytes <= 0; });
  return all_on_cpu || placement.layers == 0 || log.has("shown.cpu");
}

int Facts::capability() const {
  for (const CudaDevice& device : cuda.devices)
    if (device.capability > 0) return device.capability;
  for (const NvmlDevice& device : nvml.devices)
    if (device.capability > 0) return device.capability;
  return 0;
}

bool Facts::says(std::initializer_list<std::string_view> words) const {
  return std::ranges::any_of(words, [&](std::string_view word) { return notes.find(word) != std::string::npos; });
}

void read_logs(const Bundle& bundle, Facts& facts) {
  const LogReader reader;
  for (const auto& [name, value] : members_of(bundle.all.if_contains("logs"))) {
    const std::string problem = text_of(member(&value, "error"));
    if (name == "kernel") {
      facts.kernel_log_known = problem.empty();
      facts.kernel_log_problem = problem;
    }
    if (!problem.empty() || value.is_null()) continue;
    if (name != "kernel") facts.log_given = true;
    add_log(value, reader, facts.log);
  }
  for (const auto& [command, value] : members_of(bundle.all.if_contains("commands"))) {
    const auto* output = member(&value, "output");
    add_log(output != nullptr ? *output : value, reader, facts.log);
  }
}

Facts read_facts(const Bundle& bundle) {
  Facts facts;
  read_files(bundle, facts);
  read_hardware(bundle, facts);
  read_driver(bundle, facts);
  read_logs(bundle, facts);
  read_compose(bundle, facts);
  read_service(bundle, facts);
  read_host(bundle, facts);
  read_placement(facts);
  read_codes(facts);
  return facts;
}

}  // namespace hearth::doctor
