// What somebody set: 34 to 38, 40, 70, 73, 81.
#include <set>

#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

bool names_uuid(const std::string& value) {
  return value.starts_with("GPU-") || value.starts_with("MIG-");
}

bool mig_on(const Facts& facts) {
  return std::ranges::any_of(facts.nvml.devices, [](const NvmlDevice& device) { return device.mig_mode == 1; });
}

// Why the first entry of the list shows nothing; empty if it may show a GPU.
std::string hides(const std::string& value, const Facts& facts) {
  if (trim(value).empty()) return "it is empty, which hides every GPU";
  const std::string first = split(value, ",").empty() ? "" : std::string(trim(split(value, ",")[0]));
  if (first.starts_with('"') || first.starts_with('\'')) return "the quotes are part of the value";
  if (names_uuid(first)) {
    if (facts.nvml.devices.empty() || first.starts_with("MIG-")) return {};
    const bool known = std::ranges::any_of(facts.nvml.devices, [&](const NvmlDevice& device) {
      return !device.uuid.empty() && device.uuid.starts_with(first);
    });
    const bool uuids =
        std::ranges::any_of(facts.nvml.devices, [](const NvmlDevice& device) { return !device.uuid.empty(); });
    return known || !uuids ? "" : "no GPU has this UUID";
  }
  const auto index = to_number(first);
  if (!index) return first == "all" ? "\"all\" is no value of it" : "it names no GPU";
  if (*index < 0) return "-1 hides every GPU";
  if (!facts.nvml.devices.empty() && *index >= static_cast<int64_t>(facts.nvml.devices.size()))
    return fmt::format("there are {} GPUs, numbered from 0", facts.nvml.devices.size());
  return {};
}

std::optional<Verdict> hidden(const Facts& facts) {
  const auto visible = facts.setting("CUDA_VISIBLE_DEVICES");
  if (facts.cuda_unrestricted.works() && !facts.cuda.works() && visible) {
    return Verdict{kCertain,
                   {evidence_of("CUDA_VISIBLE_DEVICES", *visible), {"without the variable CUDA works", "CUDA driver"}},
                   "",
                   ""};
  }
  if (facts.log.has("L40.device"))
    return by_line(facts, kHigh, "L40.device",
                   "The container asks for a GPU that does not exist (NVIDIA_VISIBLE_DEVICES or device_ids)");
  if (facts.gpu_found_by_server() || mig_on(facts)) return std::nullopt;
  for (const ComposeService& one : facts.compose.services) {
    const auto value = one.environment.find("CUDA_VISIBLE_DEVICES");
    const auto index = value == one.environment.end() ? std::nullopt : to_number(value->second);
    if (index && *index > 0 && one.device_ids.size() == 1)
      return Verdict{
          kHigh,
          {{"CUDA_VISIBLE_DEVICES=" + value->second + " with one GPU in the container, which has number 0 there",
            one.file + ", service " + one.name}},
          "",
          ""};
  }
  if (visible && !(facts.cuda.works() && !facts.server && facts.service == Service::kNone)) {
    const std::string why = hides(visible->value, facts);
    const bool by_config = visible->source.find("server config") != std::string::npos;
    if (!why.empty() && !(by_config && visible->value.empty()))
      return Verdict{
          kCertain, {evidence_of("CUDA_VISIBLE_DEVICES", *visible), {why, "CUDA Programming Guide"}}, "", ""};
  }
  if (const Hit* hit = facts.log.last("L10");
      hit != nullptr && facts.no_gpu_for_server() && hit->groups[0].find("VISIBLE_DEVICES") != std::string::npos) {
    Verdict verdict{kHigh, {line(facts, "L10")}, "", ""};
    for (const char* pattern : {"L1", "L2"}) add_line(facts, pattern, verdict);
    return verdict;
  }
  const bool none = facts.code(100) != nullptr || facts.code(101) != nullptr || facts.cuda.count == 0;
  if (visible && !visible->value.empty() && none && !facts.hardware.wsl) {
    Verdict verdict{kHigh, {evidence_of("CUDA_VISIBLE_DEVICES", *visible)}, "", ""};
    for (const int code : {100, 101}) add_code(facts, code, verdict);
    return verdict;
  }
  if (visible && !visible->value.empty() && facts.no_gpu_for_server() && !facts.cuda.works())
    return Verdict{kLow, {evidence_of("CUDA_VISIBLE_DEVICES", *visible)}, "", ""};
  return std::nullopt;
}

const Rule kHidden = {"visible-devices-hide-gpu",
                      34,
                      "configuration",
                      "CUDA_VISIBLE_DEVICES hides the GPU from the server",
                      "The variable can only hide GPUs. An index or UUID that does not exist hides that GPU and all "
                      "after it. nvidia-smi does "
                      "not heed it, so everything looks right there. In a container the numbers begin at 0 again.",
                      "whether CUDA works in the server's environment without the variable",
                      {{kOnHost | kInWsl2,
                        "where the server's environment is set; then restart it",
                        {"$ sudo systemctl edit ollama    # remove the line Environment=CUDA_VISIBLE_DEVICES=...",
                         "$ sudo systemctl restart ollama",
                         "To choose one of several GPUs use its UUID from nvidia-smi -L, or its index with "
                         "CUDA_DEVICE_ORDER=PCI_BUS_ID"}},
                       {kContainers | kInKubernetes,
                        "where the container is created; create it anew",
                        {"Remove CUDA_VISIBLE_DEVICES from the environment",
                         "To choose a GPU: --gpus '\"device=<UUID>\"', or device_ids in the compose file"}}},
                      "Setting it \"to enable\" the GPU",
                      "Ollama's GPU document; ollama#9722, #12895, #17609, #4726",
                      76,
                      anywhere,
                      hidden,
                      "unset CUDA_VISIBLE_DEVICES, or name GPUs in it: their numbers from 0, or their UUIDs as "
                      "\"nvidia-smi -L\" shows them, separated by commas"};
const RegisterRule r34(&kHidden);

std::optional<Verdict> library_name(const Facts& facts) {
  static const std::set<std::string> kNames = {"cuda_v11", "cuda_v12",     "cuda_v13",      "vulkan",
                                               "rocm",     "rocm_v7_2",    "cuda_jetpack5", "cuda_jetpack6",
                                               "metal",    "mlx_metal_v3", "mlx_metal_v4"};
  if (!facts.version.empty() && older(facts.version, "0.12.4")) return std::nullopt;
  if (facts.gpu_found_by_server()) return std::nullopt;
  const auto known = [&](const std::string& value) {
    const std::vector<std::string> there =
        facts.library_folder().empty() ? std::vector<std::string>() : facts.files.children(facts.library_folder());
    const bool folders = std::ranges::any_of(there, [](const std::string& name) { return name.starts_with("cuda_"); });
    return folders ? std::ranges::find(there, value) != there.end() : kNames.contains(value);
  };
  if (const auto set = facts.setting("OLLAMA_LLM_LIBRARY"); set && !set->value.empty() && !known(set->value)) {
    Verdict verdict{facts.version.empty() && !facts.log.has("L9") ? kHigh : kCertain,
                    {evidence_of("OLLAMA_LLM_LIBRARY", *set)},
                    "",
                    ""};
    add_line(facts, "L9", verdict);
    return verdict;
  }
  if (const Hit* hit = facts.log.last("L9"); hit != nullptr && !known(hit->groups[0]))
    return by_line(facts, kCertain, "L9");
  return std::nullopt;
}

const Rule kLibraryName = {
    "llm-library-name-mismatch",
    35,
    "configuration",
    "OLLAMA_LLM_LIBRARY names a library that Ollama does not have, so it skips every GPU library",
    "From Ollama 0.12.4 on the value must be the exact name of a folder in lib/ollama (cuda_v12, cuda_v13, vulkan "
    "...). Any "
    "other value excludes all of them. Before, unknown values were ignored.",
    "ls /usr/lib/ollama",
    {{kOnHost | kInWsl2,
      "in the service's unit, as root; then restart it",
      {"$ sudo systemctl edit ollama    # remove OLLAMA_LLM_LIBRARY", "$ sudo systemctl restart ollama"}},
     {kContainers | kInKubernetes,
      "where the container is created; create it anew",
      {"Remove OLLAMA_LLM_LIBRARY from the environment"}}},
    "A value without the version: it would exclude every library",
    "Ollama discover/runner.go (bd15eba4e); dgx-spark-playbooks#23; ollama#10833",
    77,
    for_ollama,
    library_name};
const RegisterRule r35(&kLibraryName);

std::string modelfile_layers(const Facts& facts) {
  for (const std::string& row : split(facts.api.show_parameters, "\n")) {
    const std::vector<std::string> words = split(row, " \t");
    if (words.size() == 2 && words[0] == "num_gpu") return words[1];
  }
  return {};
}

std::optional<Verdict> layers_requested(const Facts& facts) {
  const Placement& placement = facts.placement;
  std::vector<Evidence> evidence;
  if (const std::string layers = modelfile_layers(facts); !layers.empty() && to_number(layers).value_or(-1) >= 0)
    evidence.push_back({"num_gpu " + layers, "Modelfile (/api/show)"});
  if (const auto set = facts.setting("LLAMA_ARG_N_GPU_LAYERS"))
    evidence.push_back(evidence_of("LLAMA_ARG_N_GPU_LAYERS", *set));
  if (placement.requested == -1 && evidence.empty()) return std::nullopt;
  if (placement.full()) return std::nullopt;
  const auto fit = placement.layers_that_fit();
  if (placement.requested && *placement.requested >= 0) {
    const bool as_asked = placement.layers &&
                          *placement.layers == std::min(*placement.requested, placement.of_layers.value_or(INT32_MAX));
    if (placement.layers && !as_asked) return std::nullopt;
    if (placement.of_layers && *placement.requested >= *placement.of_layers) return std::nullopt;
    if (!placement.layers && *placement.requested > 8) return std::nullopt;  // may be all
    Verdict verdict{
        kHigh,
        {{fmt::format("the number of layers asked for is {}", *placement.requested), placement.requested_source}},
        "",
        ""};
    if (placement.layers) verdict.evidence.push_back(placement_evidence(facts));
    for (const Evidence& one : evidence) verdict.evidence.push_back(one);
    const bool more_fit = fit && *fit > *placement.requested + 1.5;
    if (more_fit)
      verdict.evidence.push_back({fmt::format("about {:.0f} of {} layers would find room", *fit, *placement.of_layers),
                                  "free memory, bytes per layer"});
    if (as_asked && (more_fit || !fit)) verdict.confidence = kCertain;
    if (fit && !more_fit) verdict.confidence = kLow;
    return verdict;
  }
  if (!evidence.empty() && (spilled(facts) || !placement.layers)) {
    const bool small = to_number(split(evidence[0].text, "= ").back()).value_or(99) < 9;
    if (!small && !spilled(facts)) return std::nullopt;
    return Verdict{kHigh, evidence, "", ""};
  }
  if (!placement.partial() || placement.requested) return std::nullopt;
  // Nobody said what was asked for: by arithmetic alone.
  const double expected = fit.value_or(-1);
  if (expected > *placement.layers + 4.0)
    return Verdict{kHigh,
                   {placement_evidence(facts),
                    {fmt::format("about {:.0f} layers would find room", expected), "free memory, bytes per layer"}},
                   "",
                   ""};
  const double free = placement.free_bytes.value_or(0);
  if (!fit && *placement.layers <= 1 && facts.log.has("L11")) {
    const bool room = free > 2 * kGiB;
    return Verdict{room ? kHigh : kMedium,
                   {placement_evidence(facts), {"a single layer is hardly what memory allows", "arithmetic"}},
                   "",
                   ""};
  }
  return std::nullopt;
}

const Rule kLayersRequested = {
    "num-gpu-override",
    36,
    "offload decision",
    "Somebody asked for this number of layers on the GPU: a client, a Modelfile or an option",
    "num_gpu (Ollama), -ngl (llama.cpp) and gpu_layers (LocalAI) count layers of the model, not graphics cards: 1 is "
    "one "
    "layer, 0 is the CPU, -1 is automatic. Frameworks and user interfaces send it with each request.",
    "\"requested=\" in the log line of the load, or -ngl in the runner's command line (a requested of -1 acquits)",
    {{kAnywhere,
      "in the client's or the model's settings; then load the model again",
      {"Remove num_gpu from requests, the application's configuration, sliders of the user interface and PARAMETER "
       "lines",
       "$ ollama show --modelfile <model> | grep num_gpu",
       "$ ollama stop <model>    # it is loaded anew at the next request",
       "llama.cpp: leave -ngl out; llama-cpp-python: n_gpu_layers=-1; LocalAI: no gpu_layers"}}},
    "Closing browsers and updating drivers",
    "archi#272; ollama-python#603; open-webui#8340; ollama#8064, #10967; Automated-AI-Web-Researcher#76",
    60,
    for_ggml,
    layers_requested};
const RegisterRule r36(&kLayersRequested);

// Variables that servers do read, whose value is plain enough to compare.
constexpr const char* kCompared[] = {"OLLAMA_NUM_PARALLEL",
                                     "OLLAMA_MAX_LOADED_MODELS",
                                     "OLLAMA_FLASH_ATTENTION",
                                     "OLLAMA_KV_CACHE_TYPE",
                                     "OLLAMA_CONTEXT_LENGTH",
                                     "OLLAMA_GPU_OVERHEAD",
                                     "OLLAMA_LLM_LIBRARY",
                                     "OLLAMA_MODELS",
                                     "OLLAMA_KEEP_ALIVE",
                                     "OLLAMA_SCHED_SPREAD",
                                     "OLLAMA_VULKAN",
                                     "OLLAMA_LOAD_TIMEOUT",
                                     "CUDA_VISIBLE_DEVICES",
                                     "OLLAMA_DEBUG",
                                     "LLAMA_ARG_N_GPU_LAYERS",
                                     "LLAMA_ARG_CTX_SIZE",
                                     "LOCALAI_FORCE_META_BACKEND_CAPABILITY",
                                     "HF_HOME",
                                     "VLLM_ATTENTION_BACKEND"};

std::string normal(const std::string& name, const std::string& value) {
  if (name.ends_with("KEEP_ALIVE") || name.ends_with("TIMEOUT")) {
    const auto seconds = to_seconds(value);
    if (seconds) return *seconds < 0 || *seconds > 1e9 ? "-1" : fmt::format("{}", *seconds);
  }
  const std::string small = lower(value);
  if (small == "true" || small == "on" || small == "yes") return "1";
  if (small == "false" || small == "off" || small == "no" || (name == "OLLAMA_DEBUG" && small == "info")) return "0";
  return name == "OLLAMA_DEBUG" && small == "debug" ? "1" : value;
}

std::optional<Verdict> not_reaching(const Facts& facts) {
  Verdict verdict{kCertain, {}, "", ""};
  const auto compare = [&](const std::string& name, const std::string& wanted, const std::string& source) {
    std::optional<Setting> there;
    if (facts.server && facts.server->environment_known) {
      const auto found = facts.server->environment.find(name);
      there = Setting{found == facts.server->environment.end() ? "" : found->second,
                      fmt::format("/proc/{}/environ", facts.server->pid)};
    } else if (const auto found = facts.log.config.find(name); found != facts.log.config.end()) {
      there = Setting{found->second, "the log's \"server config\""};
    }
    if (!there || normal(name, there->value) == normal(name, wanted)) return;
    verdict.evidence.push_back({fmt::format("{}={} is wanted, the server has {}", name, wanted,
                                            there->value.empty() ? "nothing" : there->value),
                                source + "; " + there->source});
  };
  for (const char* name : kCompared) {
    for (const ComposeService& one : facts.compose.services) {
      const auto found = one.environment.find(name);
      if (found != one.environment.end() && !found->second.starts_with("${")) compare(name, found->second, one.file);
    }
    const auto own = facts.environment.find(name);
    // In the server's container the doctor's environment is that of the container.
    if (own != facts.environment.end() && facts.compose.services.empty() && facts.service != Service::kNone &&
        (facts.server || facts.log_given))
      compare(name, own->second, "environment of this shell");
  }
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kNotReaching = {
    "env-not-reaching-service",
    37,
    "configuration",
    "A variable that was set does not reach the server",
    "A service gets its environment when it is started: from its unit, or when its container was created. What a shell "
    "exports, or what was changed in a file since, does not change it.",
    "tr '\\0' '\\n' < /proc/<pid>/environ of the server",
    {{kOnHost | kInWsl2,
      "in the service's unit, as root; then restart it",
      {"$ sudo systemctl edit ollama    # [Service] Environment=\"NAME=value\"",
       "$ sudo systemctl daemon-reload && sudo systemctl restart ollama"}},
     {kContainers,
      "where the container is created; create it anew (a restart keeps the old values)",
      {"$ docker compose up -d --force-recreate", "docker run: -e NAME=value"}},
     {kInKubernetes, "in the pod's manifest; pods are created anew", {"env: [{name: NAME, value: \"...\"}]"}}},
    ".bashrc, or export before \"ollama run\": that is the client",
    "ollama#2940, #6520, #7128, #4771; Ollama's FAQ",
    30,
    anywhere,
    not_reaching};
const RegisterRule r37(&kNotReaching);

struct NoEffect {
  const char* name;
  const char* instead;
};
constexpr NoEffect kNoEffect[] = {
    {"OLLAMA_NUM_GPU", "Ollama does not read it; layers are the option num_gpu of a request or Modelfile"},
    {"OLLAMA_GPU_MEMORY_FRACTION", "Ollama does not read it; OLLAMA_GPU_OVERHEAD keeps bytes free"},
    {"OLLAMA_GPU_LAYERS", "Ollama does not read it; layers are the option num_gpu"},
    {"OLLAMA_FORCE_GPU", "Ollama does not read it"},
    {"OLLAMA_USE_GPU", "Ollama does not read it"},
    {"USE_GPU", "no server reads it"},
    {"OLLAMA_NUM_THREAD", "Ollama does not read it; threads are the option num_thread"},
    {"OLLAMA_NUM_THREADS", "Ollama does not read it; threads are the option num_thread"},
    {"OLLAMA_MAX_VRAM", "Ollama does not read it any more; OLLAMA_GPU_OVERHEAD keeps bytes free"},
};

std::optional<Verdict> no_effect(const Facts& facts) {
  Verdict verdict{kCertain, {}, "", ""};
  for (const NoEffect& one : kNoEffect)
    if (const auto set = facts.setting(one.name))
      verdict.evidence.push_back({fmt::format("{}={}: {}", one.name, set->value, one.instead), set->source});
  if (const auto set = facts.setting("GGML_CUDA_ENABLE_UNIFIED_MEMORY");
      set && (set->value == "0" || lower(set->value) == "false"))
    verdict.evidence.push_back(
        {"GGML_CUDA_ENABLE_UNIFIED_MEMORY=" + set->value + ": any value switches it on", set->source});
  if (const auto set = facts.setting("OLLAMA_LLM_LIBRARY");
      set && set->value == "cuda" && !facts.version.empty() && older(facts.version, "0.12.4"))
    verdict.evidence.push_back(
        {"OLLAMA_LLM_LIBRARY=cuda: this release ignores it, one from 0.12.4 on would skip every GPU", set->source});
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kNoEffectRule = {"no-op-settings-trusted",
                            38,
                            "configuration",
                            "Variables are set that the server never reads",
                            "They are passed on from guide to guide and have no effect. They are no fault by "
                            "themselves, but what they were meant to "
                            "do is not done.",
                            "",
                            {{kOnHost | kInWsl2,
                              "in the service's unit or script; then restart it",
                              {"Delete them; the lines above name what does work"}},
                             {kContainers | kInKubernetes,
                              "where the container is created; create it anew",
                              {"Delete them; the lines above name what does work"}}},
                            "Taking their presence for a sign that the GPU is used",
                            "Ollama envconfig of 14 releases; ollama#10369",
                            -250,
                            for_others,
                            no_effect};
const RegisterRule r38(&kNoEffectRule);

std::optional<Verdict> wrong_device(const Facts& facts) {
  double best = 0, used = 0;
  std::string best_name, used_name;
  for (const NvmlDevice& device : facts.nvml.devices) {
    const double bytes = static_cast<double>(device.total_bytes.value_or(0));
    if (bytes > best) {
      best = bytes;
      best_name = device.name;
    }
  }
  const auto size_by_name = [&](const std::string& name) -> double {
    for (const NvmlDevice& device : facts.nvml.devices)
      if (!device.name.empty() && name.find(device.name) != std::string::npos)
        return static_cast<double>(device.total_bytes.value_or(0));
    return 0;
  };
  if (const Hit* hit = facts.log.last("L15")) {
    const std::string& device = hit->groups[0];
    size_t cuda = 0;
    for (const Hit& other : facts.log.hits.at("L15"))
      cuda += hit->number - other.number <= 8 && other.groups[0].starts_with("CUDA") ? 1u : 0u;
    const bool other_backend = device.starts_with("Vulkan") || device.starts_with("SYCL") || device.starts_with("ROCm");
    if (other_backend && cuda == 0 &&
        (facts.hardware.nvidia || !facts.nvml.devices.empty() || lower(hit->line).find("intel") != std::string::npos ||
         lower(hit->line).find("amd") != std::string::npos))
      return Verdict{
          kHigh,
          {line(facts, "L15")},
          "The model is on " + hit->groups[1].substr(0, 60) + " by " + device + ", not on the NVIDIA GPU by CUDA",
          ""};
    used_name = hit->groups[1];
    used = cuda == 1 ? size_by_name(used_name) : 0;
    if (used > 0 && best > 1.3 * used && best_name != used_name)
      return Verdict{
          kHigh, {line(facts, "L15"), {"the strongest GPU is " + best_name, "nvmlDeviceGetMemoryInfo"}}, "", ""};
  }
  bool vulkan_only = false;
  if (const Hit* hit = facts.log.last("compute")) {
    vulkan_only = lower(hit->groups[0]) == "vulkan";
    for (const Hit& other : facts.log.hits.at("compute"))
      vulkan_only = vulkan_only && !(lower(other.groups[0]) == "cuda" && hit->number - other.number <= 8);
    if (vulkan_only && (facts.hardware.nvidia || !facts.nvml.devices.empty() || facts.log.has("L10")))
      return Verdict{kHigh, {line(facts, "compute")}, "", ""};
  }
  // Who computes where, by NVML: the server's processes on a smaller card than the largest.
  for (const NvmlDevice& device : facts.nvml.devices) {
    const double bytes = static_cast<double>(device.total_bytes.value_or(0));
    if (best < 1.3 * bytes || facts.nvml.devices.size() < 2) continue;
    for (const GpuProcess& process : device.processes) {
      const bool ours =
          std::ranges::any_of(facts.children, [&](const Process& child) { return child.pid == process.pid; }) ||
          (facts.server && facts.server->pid == process.pid);
      if (!ours) continue;
      const bool elsewhere = std::ranges::any_of(facts.nvml.devices, [&](const NvmlDevice& other) {
        return &other != &device &&
               std::ranges::any_of(other.processes, [&](const GpuProcess& there) { return there.pid == process.pid; });
      });
      if (!elsewhere)
        return Verdict{kHigh,
                       {{"the server's process is on " + device.name, "nvmlDeviceGetComputeRunningProcesses"},
                        {"the strongest GPU is " + best_name, "nvmlDeviceGetMemoryInfo"}},
                       "",
                       ""};
    }
  }
  return std::nullopt;
}

const Rule kWrongDevice = {
    "wrong-device-or-backend",
    40,
    "configuration",
    "The server uses another device than the strongest NVIDIA GPU",
    "An integrated GPU, a second card or the Vulkan backend was taken. It is \"on the GPU\" and slow all the same.",
    "the device that the log names when a model is loaded",
    {{kAnywhere,
      "where the server's environment or options are set; then restart it (containers: create anew)",
      {"Name the GPU by its UUID (nvidia-smi -L) in CUDA_VISIBLE_DEVICES",
       "Ollama: OLLAMA_VULKAN=0; llama.cpp: --device CUDA0; option main_gpu",
       "Plug the monitor into the integrated GPU"}}},
    "OLLAMA_SCHED_SPREAD=1 for a model that fits one card",
    "ollama#17609, #12895, #5635; Ollama discover/runner.go",
    56,
    for_ggml,
    wrong_device};
const RegisterRule r40(&kWrongDevice);

std::optional<Verdict> mig(const Facts& facts) {
  if (const Hit* hit = facts.log.last("L47");
      hit != nullptr && (hit->line.find("MIG") != std::string::npos || mig_on(facts)) && !facts.gpu_found_by_server())
    return by_line(facts, kHigh, "L47");
  const auto visible = facts.setting("CUDA_VISIBLE_DEVICES");
  if (!mig_on(facts) || facts.cuda.works()) return std::nullopt;
  Verdict verdict{kHigh, {{"MIG is on", "nvmlDeviceGetMigMode"}}, "", ""};
  const bool wrong = visible && !visible->value.empty() && !visible->value.starts_with("MIG-");
  if (visible) verdict.evidence.push_back(evidence_of("CUDA_VISIBLE_DEVICES", *visible));
  for (const int code : {100, 101}) add_code(facts, code, verdict);
  const bool failed =
      facts.code(100) != nullptr || facts.code(101) != nullptr || facts.no_gpu_for_server() || facts.cuda.count == 0;
  if (!wrong && !failed) return std::nullopt;
  return verdict;
}

const Rule kMig = {"mig-misaddressed",
                   70,
                   "MIG",
                   "The GPU is cut into slices (MIG), but the server does not address one by its own name",
                   "With MIG on, the whole card cannot be used any more. A process gets one slice, and must name it: "
                   "MIG- and its UUID. "
                   "Some releases of Ollama filter slices out all the same.",
                   "nvidia-smi -L: the names of the slices",
                   {{kOnHost | kInWsl2,
                     "where the server's environment is set; then restart it",
                     {"$ nvidia-smi -L", "CUDA_VISIBLE_DEVICES=MIG-<UUID of the slice>",
                      "Ollama 0.13.2 and newer may filter it out: 0.13.1, or a later release that mentions MIG"}},
                    {kContainers,
                     "where the container is created; create it anew",
                     {"$ docker run --gpus '\"device=MIG-<UUID of the slice>\"' ..."}},
                    {kInKubernetes,
                     "in the pod's manifest; pods are created anew",
                     {"resources: {limits: {nvidia.com/mig-1g.10gb: 1}}"}}},
                   "Several slices are never one GPU for a process",
                   "ollama#14031, #13814, #4814, pull #13851; vllm#41848",
                   78,
                   anywhere,
                   mig};
const RegisterRule r70(&kMig);

std::optional<Verdict> exclusive(const Facts& facts) {
  for (const int code : {805, 806, 807, 808, 809, 810})
    if (facts.code(code) != nullptr)
      return Verdict{kHigh, {*facts.code(code)}, "NVIDIA's Multi-Process Service (MPS) cannot take this client", ""};
  bool virtual_gpu = false, known = false;
  for (const NvmlDevice& device : facts.nvml.devices) {
    virtual_gpu = virtual_gpu || device.virtualization == 2;
    known = known || device.compute_mode.has_value();
    const bool others = !device.processes.empty();
    if (device.compute_mode == 2 || (device.compute_mode == 3 && (others || facts.code(46) != nullptr))) {
      Verdict verdict{kCertain,
                      {{device.compute_mode == 2 ? "the compute mode is 2 (prohibited)"
                                                 : "the compute mode is 3 (exclusive process)",
                        "nvmlDeviceGetComputeMode"}},
                      "",
                      ""};
      for (const GpuProcess& process : device.processes)
        if (!process.graphics)
          verdict.evidence.push_back({fmt::format("process {} ({}) has it", process.pid, process.name), "NVML"});
      add_code(facts, 46, verdict);
      return verdict;
    }
  }
  if (facts.code(46) == nullptr || virtual_gpu || known) return std::nullopt;
  return by_code(facts, kMedium, 46);
}

const Rule kExclusive = {
    "exclusive-compute-mode",
    73,
    "configuration",
    "The GPU takes one process only, or none: its compute mode is not the default",
    "In mode 3 the first process has the GPU to itself, and every other gets code 46; in mode 2 nobody gets it.",
    "nvidia-smi -q -d COMPUTE",
    {{kAnywhere,
      "on the host, as root",
      {"$ sudo nvidia-smi -c DEFAULT",
       "Or stop the process that has the GPU, or let both run under NVIDIA's Multi-Process Service (MPS)"}}},
    "Trying again in a loop",
    "cuda.h (text of 46); NVIDIA/DIGITS#2005; ollama#6637, #8271",
    79,
    anywhere,
    exclusive,
    "stop the other process (nvidia-smi lists it), or run \"sudo nvidia-smi -c DEFAULT\""};
const RegisterRule r73(&kExclusive);

std::optional<Verdict> uuid_for_vllm(const Facts& facts) {
  if (facts.log.has("L51")) return by_line(facts, kCertain, "L51");
  if (facts.service != Service::kVllm) return std::nullopt;
  const auto visible = facts.setting("CUDA_VISIBLE_DEVICES");
  if (!visible || !names_uuid(visible->value) || facts.log.has("gpu.cache")) return std::nullopt;
  return Verdict{kMedium, {evidence_of("CUDA_VISIBLE_DEVICES", *visible)}, "", ""};
}

const Rule kUuidForVllm = {"vllm-uuid-in-visible-devices",
                           81,
                           "vLLM",
                           "vLLM reads CUDA_VISIBLE_DEVICES as numbers and stops at a UUID in it",
                           "CUDA itself takes UUIDs; many releases of vLLM do not, and stop at start, sometimes with a "
                           "message about the model's "
                           "architecture.",
                           "\"invalid literal for int() with base 10: 'GPU-\" in the log",
                           {{kAnywhere,
                             "where vLLM's environment is set; then restart it (containers: create anew)",
                             {"Put the GPU's index in place of its UUID",
                              "Or inject the wanted GPU alone (compose: device_ids; docker run --gpus "
                              "'\"device=<UUID>\"') and unset the variable",
                              "Or a newer vLLM"}}},
                           "The UUID is not wrong",
                           "vllm#13815, #20939, #41848, #17047, #6551, pull #46132",
                           79,
                           for_vllm,
                           uuid_for_vllm};
const RegisterRule r81(&kUuidForVllm);

}  // namespace
}  // namespace hearth::doctor
