// Drivers, by way of children; a service, its processes and its API.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <memory>
#include <set>

#include "doctor/collect.h"
#include "doctor/json_read.h"
#include "doctor/probe.h"
#include "doctor/snapshot.h"
#include "http/client.h"

namespace hearth::doctor {
namespace {

namespace json = boost::json;

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
}

struct Family {
  std::map<unsigned, unsigned> parents;
  std::map<unsigned, std::string> commands;  // arguments joined by spaces
};

Family running(const Snapshot& snapshot) {
  Family family;
  for (const std::string& name : snapshot.names("/proc")) {
    if (!is_number(name)) continue;
    const unsigned pid = static_cast<unsigned>(*to_number(name));
    std::string command = snapshot.text("/proc/" + name + "/cmdline", 4096);
    std::ranges::replace(command, '\0', ' ');
    const std::string status = snapshot.text("/proc/" + name + "/status", 4096);
    const size_t parent = status.find("\nPPid:");
    family.parents[pid] =
        parent == std::string::npos
            ? 0
            : static_cast<unsigned>(
                  to_number(std::string_view(status).substr(parent + 6, status.find('\n', parent + 1) - parent - 6))
                      .value_or(0));
    if (pid != static_cast<unsigned>(::getpid())) family.commands[pid] = command;
  }
  return family;
}

bool serves(const std::string& command, Service service) {
  const std::string small = lower(command);
  const auto has = [&](std::string_view part) { return small.find(part) != std::string::npos; };
  switch (service) {
    case Service::kOllama:
      return has("ollama") && has(" serve");
    case Service::kVllm:
      return has("vllm") && (has("serve") || has("api_server")) && !has("enginecore");
    case Service::kLocalai:
      return has("local-ai");
    case Service::kLlamaCpp:
      return has("llama-server") && !has("ollama");
    case Service::kHearth:  // it judges itself, without a service
    case Service::kNone:
      return false;
  }
  return false;
}

bool may_hold_a_model(const std::string& command) {
  for (const char* part : {"ollama", "llama-server", "VLLM::", "vllm", "local-ai"})
    if (command.find(part) != std::string::npos) return true;
  return false;
}

// Only what tells something and keeps no secret.
void keep_process(Snapshot& snapshot, unsigned pid) {
  const std::string folder = fmt::format("/proc/{}/", pid);
  std::string status;
  for (const std::string& line : split(snapshot.text(folder + "status", 8192), "\n"))
    for (const char* name : {"Name:", "State:", "PPid:", "Uid:", "Gid:", "Groups:", "Threads:", "Seccomp:"})
      if (line.starts_with(name)) status += line + "\n";
  if (status.empty()) return;
  snapshot.files()[folder + "status"] = status;
  snapshot.read(folder + "cmdline", 16384);
  snapshot.read(folder + "cgroup");
  snapshot.link(folder + "exe");
  if (snapshot.read(folder + "environ", 256 << 10)) {
    if (const auto& value = snapshot.files()[folder + "environ"]; value.is_string()) {
      std::string kept;
      for (const std::string& entry : split_nul(std::string_view(value.get_string()), "\n"))
        if (is_telling_variable(entry.substr(0, entry.find('=')))) kept += entry + '\0';
      snapshot.files()[folder + "environ"] = kept;
    }
  }
  if (snapshot.read(folder + "maps", 4 << 20)) {
    if (const auto& value = snapshot.files()[folder + "maps"]; value.is_string()) {
      std::set<std::string> libraries;
      for (const std::string& line : split(std::string_view(value.get_string()), "\n")) {
        const size_t path = line.find('/');
        if (path != std::string::npos && line.find(".so") != std::string::npos) libraries.insert(line.substr(path));
      }
      std::string kept;
      for (const std::string& library : libraries) kept += library + "\n";
      snapshot.files()[folder + "maps"] = kept;
    }
  }
}

std::string default_url(Service service) {
  switch (service) {
    case Service::kOllama:
      return "http://127.0.0.1:11434";
    case Service::kVllm:
      return "http://127.0.0.1:8000";
    default:
      return "http://127.0.0.1:8080";
  }
}

std::vector<const char*> questions(Service service) {
  switch (service) {
    case Service::kOllama:
      return {"/api/version", "/api/ps"};
    case Service::kVllm:
      return {"/version", "/metrics"};
    case Service::kLlamaCpp:
      return {"/slots", "/metrics"};
    default:
      return {"/metrics"};
  }
}

// Slots hold prompts: only whether they work is kept.
json::value without_prompts(const json::value& slots) {
  json::array kept;
  for (const json::value& slot : items_of(&slots)) {
    json::object one;
    for (const char* name : {"id", "is_processing", "state"})
      if (const auto* value = member(&slot, name)) one[name] = *value;
    kept.push_back(std::move(one));
  }
  return kept;
}

std::string telling_metrics(const std::string& text) {
  std::string kept;
  for (const std::string& line : split(text, "\n"))
    for (const char* name : {"vllm:num_", "vllm:kv_cache", "vllm:gpu_cache", "llamacpp:"})
      if (line.starts_with(name)) kept += line + "\n";
  return kept;
}

}  // namespace

void collect_drivers(const CollectOptions& options, Bundle& bundle) {
  const auto until = std::chrono::steady_clock::now() + options.patience;
  {
    // Before CUDA is asked, whose process and memory NVML would count.
    Probe loader(options.program, "loader"), nvml(options.program, "nvml");
    bundle.all["loader"] = loader.answer(until);
    bundle.all["nvml"] = nvml.answer(until);
  }
  bundle.all["cuda"] = Probe(options.program, "cuda").answer(until);
  const auto code = integer_of(member(bundle.all.if_contains("cuda"), "cuInit"));
  if (code.value_or(0) == 0) return;
  if (bundle.part("environment").contains("CUDA_VISIBLE_DEVICES"))
    bundle.all["cuda_without_visible_devices"] = Probe(options.program, "cuda", {"CUDA_VISIBLE_DEVICES"}).answer(until);
  const json::array devices = items_of(member(bundle.all.if_contains("nvml"), "devices"));
  if (code != 3 || devices.size() < 2) return;
  json::array each;
  for (const json::value& device : devices) {
    const std::string uuid = text_of(member(&device, "nvmlDeviceGetUUID"));
    json::object answer = Probe(options.program, "cuda", {"CUDA_VISIBLE_DEVICES=" + uuid}).answer(until);
    answer["uuid"] = uuid;
    each.push_back(std::move(answer));
  }
  bundle.all["cuda_each"] = std::move(each);
}

void collect_service(const CollectOptions& options, Bundle& bundle) {
  Snapshot snapshot(options.root, bundle.part("files"));
  const Family family = running(snapshot);
  unsigned server = options.pid.value_or(0);
  for (const auto& [pid, command] : family.commands)
    if (server == 0 && serves(command, options.service)) server = pid;
  if (server != 0) bundle.part("service")["pid"] = server;
  std::set<unsigned> kept;
  if (server != 0) kept.insert(server);
  for (bool grown = true; grown;) {
    grown = false;
    for (const auto& [pid, parent] : family.parents)
      if (kept.contains(parent) && kept.insert(pid).second) grown = true;
  }
  for (const auto& [pid, command] : family.commands)
    if (may_hold_a_model(command) && kept.size() < 100) kept.insert(pid);
  for (const unsigned pid : kept) keep_process(snapshot, pid);
  const std::string folder = snapshot.group_folder(std::to_string(server));
  if (server == 0 || folder.empty()) return;
  for (const char* name : {"/memory.max", "/memory.events", "/cpu.max", "/cpu.stat", "/cpuset.cpus.effective"})
    snapshot.read(folder + name);
}

void collect_api(const CollectOptions& options, Bundle& bundle) {
  const std::string url = options.url.empty() ? default_url(options.service) : options.url;
  json::object& api = bundle.part("api");
  for (const char* path : questions(options.service)) {
    http::ClientRequest request;
    request.url = url + path;
    request.connect = request.silence = std::chrono::seconds(1);
    request.most_body_bytes = 4 << 20;
    const auto answer = http::fetch(request);
    if (!answer) {
      api[path] = {{"error", answer.error().message}};
      return;  // who does not answer one does not answer the others
    }
    if (answer->head.status != 200) {
      api[path] = {{"error", fmt::format("status {}", answer->head.status)}};
      continue;
    }
    const std::string& text = answer->body;
    json::error_code failed;
    const json::value value = json::parse(text, failed);
    if (std::string_view(path) == "/slots")
      api[path] = failed ? json::value(nullptr) : without_prompts(value);
    else if (std::string_view(path) == "/metrics")
      api[path] = telling_metrics(text);
    else
      api[path] = failed ? json::value(nullptr) : value;
  }
}

}  // namespace hearth::doctor
