// Compose files (https://github.com/compose-spec/compose-spec), as far as they decide whether a service gets a GPU.
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "doctor/json_read.h"
#include "doctor/read_facts.h"

namespace hearth::doctor {
namespace {

constexpr size_t kMostServices = 200;
constexpr size_t kMostBytes = 4 << 20;

// A node below others; an undefined one where any is missing (asking a missing node for a member throws).
YAML::Node below(const YAML::Node& node, const std::vector<const char*>& path) {
  YAML::Node at = node;
  for (const char* name : path) {
    if (!at.IsDefined() || !at.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
    const YAML::Node& here = at;
    const YAML::Node next = here[name];
    if (!next.IsDefined()) return next;
    at.reset(next);
  }
  return at;
}

std::string scalar(const YAML::Node& node) {
  return node.IsDefined() && node.IsScalar() ? node.Scalar() : std::string();
}

std::string scalar_below(const YAML::Node& node, const std::vector<const char*>& path) {
  return scalar(below(node, path));
}

std::vector<std::string> words(const YAML::Node& node) {
  std::vector<std::string> list;
  if (!node.IsDefined()) return list;
  if (node.IsScalar()) list.push_back(node.Scalar());
  if (node.IsSequence())
    for (const YAML::Node& item : node)
      if (item.IsDefined() && item.IsScalar()) list.push_back(item.Scalar());
  return list;
}

// "${NAME:-value}" is the value, "${NAME}" unknown.
std::string with_default(const std::string& value) {
  if (!value.starts_with("${") || !value.ends_with('}')) return value;
  const size_t mark = value.find(":-");
  return mark == std::string::npos ? value : value.substr(mark + 2, value.size() - mark - 3);
}

void read_environment(const YAML::Node& node, ComposeService& service) {
  if (node.IsMap()) {
    for (const auto& entry : node)
      if (entry.first.IsScalar() && entry.second.IsScalar())
        service.environment[entry.first.Scalar()] = with_default(entry.second.Scalar());
  }
  for (const std::string& entry : node.IsSequence() ? words(node) : std::vector<std::string>()) {
    const size_t equals = entry.find('=');
    if (equals != std::string::npos)
      service.environment[entry.substr(0, equals)] = with_default(entry.substr(equals + 1));
  }
}

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}

void read_request(const YAML::Node& device, ComposeService& service) {
  if (!device.IsMap()) return;
  const std::vector<std::string> capabilities = words(device["capabilities"]);
  const std::string driver = scalar(device["driver"]);
  const std::vector<std::string> ids = words(device["device_ids"]);
  const bool cdi = std::ranges::any_of(ids, [](const std::string& id) { return id.starts_with("nvidia.com/gpu"); });
  if (driver != "nvidia" && !cdi && !contains(capabilities, "gpu")) return;
  service.gpu_requested = true;
  service.capabilities = capabilities;
  service.device_ids = ids;
  service.count_zero = scalar(device["count"]) == "0";
}

void read_gpu(const YAML::Node& node, ComposeService& service) {
  service.nvidia_runtime = scalar(node["runtime"]) == "nvidia";
  const YAML::Node devices = below(node, {"deploy", "resources", "reservations", "devices"});
  if (devices.IsDefined() && devices.IsSequence())
    for (const YAML::Node& device : devices) read_request(device, service);
  const YAML::Node gpus = node["gpus"];
  if (gpus.IsDefined() && gpus.IsScalar()) service.gpu_requested = true;
  if (gpus.IsDefined() && gpus.IsSequence()) {
    for (const YAML::Node& device : gpus) {
      read_request(device, service);
      service.gpu_requested = true;
    }
  }
  for (const std::string& device : node["devices"].IsDefined() ? words(node["devices"]) : std::vector<std::string>())
    if (device.find("/dev/nvidia") != std::string::npos || device.starts_with("nvidia.com/gpu") ||
        device.find("/dev/dxg") != std::string::npos)
      service.gpu_requested = true;
  const auto visible = service.environment.find("NVIDIA_VISIBLE_DEVICES");
  const bool shown = visible == service.environment.end() ||
                     (visible->second != "void" && visible->second != "none" && !visible->second.empty());
  service.gpu_requested = service.gpu_requested || (service.nvidia_runtime && shown);
}

// The merge of a list: a string is shell words, so that "-ngl 1" stays two.
std::string command_of(const YAML::Node& node) {
  std::string all;
  for (const char* key : {"entrypoint", "command"}) {
    const YAML::Node part = node[key];
    if (!part.IsDefined()) continue;
    for (const std::string& word : words(part)) all += (all.empty() ? "" : " ") + word;
  }
  return all;
}

ComposeService read_one(const std::string& name, const YAML::Node& node) {
  ComposeService service;
  service.name = name;
  service.image = with_default(scalar(node["image"]));
  service.command = command_of(node);
  if (node["environment"].IsDefined()) read_environment(node["environment"], service);
  read_gpu(node, service);
  if (node["volumes"].IsDefined() && node["volumes"].IsSequence()) {
    for (const YAML::Node& volume : node["volumes"]) {
      if (volume.IsScalar()) service.volumes.push_back(volume.Scalar());
      if (volume.IsMap()) service.volumes.push_back(scalar(volume["source"]) + ":" + scalar(volume["target"]));
    }
  }
  for (const auto& path : {std::vector<const char*>{"cpus"}, {"deploy", "resources", "limits", "cpus"}})
    if (const auto value = to_bytes(scalar_below(node, path))) service.cpus = value;
  for (const auto& path : {std::vector<const char*>{"mem_limit"}, {"deploy", "resources", "limits", "memory"}})
    if (const auto value = to_bytes(scalar_below(node, path))) service.memory_bytes = value;
  service.service = service_of(service.image);
  if (service.service == Service::kNone) service.service = service_of(name);
  if (service.service == Service::kNone)
    service.service = service_of(service.command.substr(0, service.command.find(' ')));
  return service;
}

}  // namespace

ComposeFacts parse_compose(std::string_view text, const std::string& file, Service wanted) {
  ComposeFacts facts;
  facts.given = true;
  if (text.size() > kMostBytes) {
    facts.problem = "it has more than 4 MiB";
    return facts;
  }
  try {
    YAML::Node root = YAML::Load(std::string(text));
    if (!root.IsMap()) {
      facts.problem = "it is not a compose file";
      return facts;
    }
    const YAML::Node services = root["services"].IsDefined() ? root["services"] : root;
    if (!services.IsMap() || services.size() > kMostServices) {
      facts.problem = "it has no services, or too many";
      return facts;
    }
    for (const auto& entry : services) {
      if (!entry.first.IsScalar() || !entry.second.IsMap()) continue;
      ComposeService service = read_one(entry.first.Scalar(), entry.second);
      service.file = file;
      if (service.service != Service::kNone && (wanted == Service::kNone || service.service == wanted))
        facts.services.push_back(std::move(service));
    }
  } catch (const YAML::Exception& problem) {
    facts.problem = problem.what();
  }
  return facts;
}

void read_compose(const Bundle& bundle, Facts& facts) {
  const auto* given = bundle.all.if_contains("compose");
  if (given == nullptr || given->is_null()) return;
  const auto* service = bundle.all.if_contains("service");
  const Service wanted =
      service_of(service != nullptr && service->is_string() ? text_of(service) : text_of(member(service, "name")));
  const auto add = [&](const std::string& text, const std::string& file) {
    ComposeFacts one = parse_compose(text, file, wanted);
    facts.compose.given = true;
    if (facts.compose.problem.empty()) facts.compose.problem = one.problem;
    for (ComposeService& found : one.services) facts.compose.services.push_back(std::move(found));
  };
  if (given->is_string()) add(text_of(given), "compose file");
  for (const auto& [file, text] : members_of(given)) add(text_of(&text), std::string(file));
}

}  // namespace hearth::doctor
