// Which service, its processes and what its API answers.
#include <algorithm>
#include <ctime>
#include <set>

#include "doctor/json_read.h"
#include "doctor/read_facts.h"

namespace hearth::doctor {
namespace {

namespace json = boost::json;

std::string status_field(const std::string& status, std::string_view name) {
  const std::string all = "\n" + status;
  const size_t at = all.find("\n" + std::string(name) + ":");
  if (at == std::string::npos) return {};
  const size_t begin = at + name.size() + 2;
  return std::string(trim(std::string_view(all).substr(begin, all.find('\n', begin) - begin)));
}

// The last column of /proc/PID/maps, or a line that is a path alone.
std::vector<std::string> mapped_files(const std::string& text) {
  std::set<std::string> files;
  for (const std::string& line : split(text, "\n\0")) {
    const size_t path = line.find('/');
    if (path != std::string::npos) files.insert(std::string(trim(std::string_view(line).substr(path))));
  }
  return {files.begin(), files.end()};
}

Process process_of(const Files& files, unsigned pid) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/";
  Process process;
  process.pid = pid;
  const std::string status = files.text(folder + "status");
  process.name = status_field(status, "Name");
  process.state = status_field(status, "State").substr(0, 1);
  process.parent = static_cast<unsigned>(to_number(status_field(status, "PPid")).value_or(0));
  if (const auto threads = to_number(status_field(status, "Threads"))) process.threads = static_cast<int>(*threads);
  if (const auto uid = to_number(split(status_field(status, "Uid") + " ", " \t").empty()
                                     ? std::string()
                                     : split(status_field(status, "Uid"), " \t")[0]))
    process.uid = static_cast<unsigned>(*uid);
  for (const char* name : {"Gid", "Groups"})
    for (const std::string& group : split(status_field(status, name), " \t"))
      if (const auto id = to_number(group)) process.groups.push_back(static_cast<unsigned>(*id));
  process.arguments = split_nul(files.text(folder + "cmdline"), " \n\t");
  if (const FileFact* exe = files.find(folder + "exe"))
    process.exe = exe->link.empty() ? exe->content.value_or("") : exe->link;
  if (process.name.empty() && !process.arguments.empty())
    process.name = process.arguments[0].substr(process.arguments[0].find_last_of('/') + 1);
  if (const FileFact* environ = files.find(folder + "environ"); environ != nullptr && environ->content) {
    process.environment_known = true;
    for (const std::string& entry : split_nul(*environ->content, "\n")) {
      const size_t equals = entry.find('=');
      if (equals != std::string::npos) process.environment[entry.substr(0, equals)] = entry.substr(equals + 1);
    }
  }
  if (const FileFact* maps = files.find(folder + "maps"); maps != nullptr && maps->content) {
    process.maps_known = true;
    process.maps = mapped_files(*maps->content);
  }
  return process;
}

bool looks_like(const Process& process, Service service) {
  std::string all = lower(process.name);
  for (const std::string& argument : process.arguments) all += " " + lower(argument);
  const auto has = [&](std::string_view part) { return all.find(part) != std::string::npos; };
  switch (service) {
    case Service::kOllama:
      return has("ollama") && has("serve");
    case Service::kVllm:
      return has("vllm") && !has("enginecore");
    case Service::kLocalai:
      return has("local-ai");
    case Service::kLlamaCpp:
      return has("llama-server") || has("llama-cli");
    case Service::kHearth:
      return has("hearth") && has("serve");
    case Service::kNone:
      return false;
  }
  return false;
}

void find_processes(const json::value* service, Facts& facts) {
  for (const std::string& name : facts.files.children("/proc")) {
    if (name.find_first_not_of("0123456789") != std::string::npos || name.size() > 9) continue;
    facts.processes.push_back(process_of(facts.files, static_cast<unsigned>(*to_number(name))));
  }
  const auto pid = count_of(member(service, "pid"));
  for (const Process& process : facts.processes) {
    const bool wanted = pid ? process.pid == *pid : looks_like(process, facts.service);
    if (wanted && !facts.server) facts.server = process;
  }
  if (!facts.server) return;
  std::set<unsigned> family = {facts.server->pid};
  for (bool grown = true; grown;) {
    grown = false;
    for (const Process& process : facts.processes) {
      if (!family.contains(process.parent) || family.contains(process.pid)) continue;
      family.insert(process.pid);
      facts.children.push_back(process);
      grown = true;
    }
  }
}

// "2026-08-01T10:00:00.123456789Z" in seconds since the epoch; zones other than UTC are taken as they are written.
std::optional<double> moment_of(const std::string& text) {
  std::tm time{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  return rest == nullptr ? std::nullopt : std::optional(static_cast<double>(::timegm(&time)));
}

void read_reply(const json::value& value, ApiFacts& api) {
  const auto number = [&](const json::value* from, const char* key) {
    return number_of(member(from, key)).value_or(0);
  };
  Reply reply;
  reply.model = text_of(member(&value, "model"));
  if (const json::value* timings = member(&value, "timings")) {  // llama-server
    reply.prompt_tokens = number(timings, "prompt_n");
    reply.prompt_s = number(timings, "prompt_ms") / 1e3;
    reply.eval_tokens = number(timings, "predicted_n");
    reply.eval_s = number(timings, "predicted_ms") / 1e3;
    reply.total_s = reply.prompt_s + reply.eval_s;
  } else {
    if (member(&value, "total_duration") == nullptr) return;
    reply.total_s = number(&value, "total_duration") / 1e9;
    reply.load_s = number(&value, "load_duration") / 1e9;
    reply.prompt_s = number(&value, "prompt_eval_duration") / 1e9;
    reply.eval_s = number(&value, "eval_duration") / 1e9;
    reply.prompt_tokens = number(&value, "prompt_eval_count");
    reply.eval_tokens = number(&value, "eval_count");
    if (const auto ended = moment_of(text_of(member(&value, "created_at")))) reply.started_s = *ended - reply.total_s;
  }
  api.replies.push_back(std::move(reply));
}

double size_of_name(const std::string& text) {  // "7.2B", "137M" of parameters
  const auto bytes = text.empty() ? std::nullopt : to_bytes(text.substr(0, text.size() - 1));
  if (!bytes) return 0;
  return *bytes * (text.back() == 'M' ? 1e6 : text.back() == 'K' ? 1e3 : 1e9);
}

void read_running(const json::value* answer, ApiFacts& api) {
  const json::value* models = member(answer, "models");
  api.running_known = models != nullptr;
  for (const json::value& item : items_of(models)) {
    RunningModel model;
    model.name = text_of(member(&item, "name"));
    model.bytes = number_of(member(&item, "size")).value_or(0);
    model.vram_bytes = number_of(member(&item, "size_vram")).value_or(0);
    model.quantization = text_of(member(member(&item, "details"), "quantization_level"));
    model.parameters = size_of_name(text_of(member(member(&item, "details"), "parameter_size")));
    model.context = number_of(member(&item, "context_length"));
    api.running.push_back(std::move(model));
  }
}

// Prometheus' text: "name{labels} value".
void read_metrics(const std::string& text, ApiFacts& api) {
  for (const std::string& line : split(text, "\n")) {
    if (line.starts_with('#')) continue;
    const size_t end = line.find_first_of(" {");
    const size_t space = line.find_last_of(' ');
    if (end == std::string::npos || space == std::string::npos) continue;
    if (const auto value = to_bytes(line.substr(space + 1))) api.metrics[line.substr(0, end)] += *value;
  }
}

void read_slots(const json::value* answer, ApiFacts& api) {
  if (answer == nullptr || !answer->is_array()) return;
  api.slots = static_cast<int>(items_of(answer).size());
  api.busy_slots = 0;
  for (const json::value& slot : items_of(answer))
    if (bool_of(member(&slot, "is_processing")).value_or(number_of(member(&slot, "state")).value_or(0) != 0))
      ++*api.busy_slots;
}

std::string path_of(std::string_view key) {  // "POST http://host:1/api/chat" -> "/api/chat"
  const size_t space = key.find(' ');
  if (space != std::string_view::npos) key.remove_prefix(space + 1);
  if (const size_t scheme = key.find("://"); scheme != std::string_view::npos)
    key.remove_prefix(std::min(key.size(), key.find('/', scheme + 3)));
  return std::string(key.substr(0, key.find('?')));
}

void read_api(const json::value* answers, Facts& facts) {
  for (const auto& [key, value] : members_of(answers)) {
    const std::string path = path_of(key);
    if (const std::string problem = text_of(member(&value, "error")); !problem.empty()) facts.api.problem = problem;
    if (path == "/api/ps")
      read_running(&value, facts.api);
    else if (path == "/api/version" && facts.version.empty())
      facts.version = text_of(member(&value, "version"));
    else if (path == "/version" && facts.version.empty())
      facts.version = text_of(member(&value, "version"));
    else if (path == "/metrics")
      read_metrics(text_of(&value), facts.api);
    else if (path == "/slots")
      read_slots(&value, facts.api);
    else if (path == "/api/show")
      facts.api.show_parameters = text_of(member(&value, "parameters"));
    else if (value.is_array())
      for (const json::value& one : value.get_array()) read_reply(one, facts.api);
    else
      read_reply(value, facts.api);
  }
}

// What nobody said: by the process that runs, the log's way of writing or the compose file.
Service guess_service(const Facts& facts) {
  if (facts.log.has("config") || facts.log.has("compute") || facts.log.has("L2") || facts.log.has("listening"))
    return Service::kOllama;
  if (facts.log.has("vllm.version") || facts.log.has("L29") || facts.log.has("L30")) return Service::kVllm;
  if (facts.compose.services.size() == 1) return facts.compose.services[0].service;
  return Service::kNone;
}

}  // namespace

void read_service(const Bundle& bundle, Facts& facts) {
  const json::value* service = bundle.all.if_contains("service");
  facts.service =
      service_of(service != nullptr && service->is_string() ? text_of(service) : text_of(member(service, "name")));
  facts.version = text_of(member(service, "version"));
  if (facts.service == Service::kNone) facts.service = guess_service(facts);
  find_processes(service, facts);
  read_api(bundle.all.if_contains("api"), facts);
  facts.notes = lower(text_of(bundle.all.if_contains("notes")));
  for (const char* pattern : {"listening", "vllm.version"})
    if (const Hit* hit = facts.log.last(pattern); hit != nullptr && facts.version.empty())
      facts.version = hit->groups[0];
}

std::optional<std::string> Process::argument(std::initializer_list<std::string_view> names) const {
  for (size_t i = 0; i < arguments.size(); ++i) {
    for (const std::string_view wanted : names) {
      if (arguments[i] == wanted && i + 1 < arguments.size()) return arguments[i + 1];
      if (arguments[i].starts_with(std::string(wanted) + "=")) return arguments[i].substr(wanted.size() + 1);
    }
  }
  return std::nullopt;
}

bool Process::flag(std::string_view wanted) const {
  return std::ranges::find(arguments, wanted) != arguments.end();
}

const std::string* Process::mapped(std::string_view part) const {
  const auto found =
      std::ranges::find_if(maps, [&](const std::string& file) { return file.find(part) != std::string::npos; });
  return found == maps.end() ? nullptr : &*found;
}

}  // namespace hearth::doctor
