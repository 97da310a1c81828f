// GPU memory and how many layers find room in it: 41 to 49, 83.
#include <set>

#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

// Some layers are not on the GPU, and nobody asked for that.
bool short_of_memory(const Facts& facts) {
  const bool nothing_there =
      facts.placement.layers
          ? *facts.placement.layers == 0 && facts.log.has("L1")
          : std::ranges::all_of(facts.api.running, [](const RunningModel& model) { return model.vram_bytes <= 0; });
  return !nothing_there && spilled(facts) && facts.placement.requested.value_or(-1) < 0;
}

double missing_bytes(const Placement& placement) {
  if (!placement.needed_bytes || !placement.free_bytes) return 0;
  return std::max(0.0, *placement.needed_bytes - *placement.free_bytes);
}

bool in_family(const Facts& facts, unsigned pid) {
  if (facts.server && facts.server->pid == pid) return true;
  return std::ranges::any_of(facts.children, [&](const Process& child) { return child.pid == pid; });
}

// Memory of programs that are not the server's own.
double foreign_bytes(const Facts& facts, bool graphics, std::vector<Evidence>& evidence) {
  double sum = 0;
  std::set<unsigned> seen;
  for (const NvmlDevice& device : facts.nvml.devices) {
    for (const GpuProcess& process : device.processes) {
      const bool own =
          in_family(facts, process.pid) ||
          (!facts.server && process.name.find("ollama") != std::string::npos && facts.service == Service::kOllama);
      if (process.graphics != graphics || own || !process.bytes || !seen.insert(process.pid).second) continue;
      sum += static_cast<double>(*process.bytes);
      evidence.push_back({fmt::format("process {} ({}): {}", process.pid, process.name,
                                      bytes_text(static_cast<double>(*process.bytes))),
                          graphics ? "nvmlDeviceGetGraphicsRunningProcesses" : "nvmlDeviceGetComputeRunningProcesses"});
    }
  }
  return sum;
}

std::optional<Verdict> too_large(const Facts& facts) {
  const Placement& placement = facts.placement;
  if (facts.log.has("L20") && !placement.layers && !facts.log.has("L30") && !facts.log.has("L31.start"))
    return by_line(facts, kMedium, "L20");
  if (!short_of_memory(facts) || (room_for_all(placement) && facts.placement.layers)) return std::nullopt;
  Verdict verdict{kMedium, {placement_evidence(facts)}, "", ""};
  if (placement.requested == -1) verdict.confidence = kHigh;
  if (no_room_for_all(placement)) {
    verdict.evidence.push_back(memory_evidence(placement));
    verdict.confidence = kCertain;
    // The layers that would find room must be about those that are there.
    const auto fit = placement.layers_that_fit();
    if (fit && placement.layers && *fit > *placement.layers + 0.25 * placement.of_layers.value_or(0) + 3 &&
        !placement.requested)
      verdict.confidence = kLow;
  } else if (!placement.layers && !facts.api.running.empty()) {
    verdict.confidence = kHigh;
  }
  if (placement.layers && *placement.layers <= 1 && !placement.needed_bytes && !placement.requested)
    verdict.confidence = kLow;
  add_line(facts, "L20", verdict);
  return verdict;
}

const Rule kTooLarge = {
    "model-too-large-for-vram",
    41,
    "GPU memory",
    "The model does not fit into the free memory of the GPU, so that part of it runs on the CPU",
    "What does not fit is computed on the CPU, and each token waits for it: CPU and GPU are both half idle. Layers are "
    "placed when the model is loaded, by the memory that was free then.",
    "the bytes that all layers, the context and the scratch memory take, against what was free at the load",
    {{kAnywhere,
      "in the choice of the model and its options; then load it again",
      {"A smaller model or quantisation (Q4_K_M), or a shorter context",
       "Ollama: OLLAMA_FLASH_ATTENTION=1 and OLLAMA_KV_CACHE_TYPE=q8_0 halve the cache",
       "A second GPU; keep 10 % of the memory free"}}},
    "Forcing all layers onto the GPU (it runs out of memory, or pages on Windows), or more memory for Docker",
    "ollama#9181, #5843, #8144, #9005, #13152",
    40,
    anywhere,
    too_large};
const RegisterRule r41(&kTooLarge);

std::optional<Verdict> quantisation(const Facts& facts) {
  if (!short_of_memory(facts)) return std::nullopt;
  constexpr double kTooFine = 8.4, kUsual = 4.8;  // bits per weight; Q8_0 has 8.5, Q4_K_M about 4.8
  double bits = 0, file = 0;
  Evidence evidence;
  if (const Hit* hit = facts.log.last("file.size")) {
    file = to_bytes(hit->groups[0]).value_or(0);
    bits = to_bytes(hit->groups[1]).value_or(0);
    evidence = line(facts, "file.size");
  }
  for (const RunningModel& model : facts.api.running) {
    const std::string kind = lower(model.quantization);
    const double by_name = kind == "f16" || kind == "bf16" || kind == "fp16" ? 16
                           : kind == "f32"                                   ? 32
                           : kind == "q8_0"                                  ? 8.5
                                                                             : 0;
    if (by_name == 0 || model.vram_bytes >= 0.98 * model.bytes || bits > 0) continue;
    bits = by_name;
    file = model.parameters > 0 ? model.parameters * by_name / 8 : model.bytes;
    evidence = {model.name + " is " + model.quantization, "/api/ps"};
  }
  if (bits < kTooFine || !facts.placement.free_bytes || !facts.placement.needed_bytes) return std::nullopt;
  const double saved = file * (1 - kUsual / bits);
  if (*facts.placement.needed_bytes - saved > *facts.placement.free_bytes || !no_room_for_all(facts.placement))
    return std::nullopt;
  return Verdict{kCertain,
                 {evidence,
                  memory_evidence(facts.placement),
                  {fmt::format("with 4 to 5 bits it would need {}", bytes_text(*facts.placement.needed_bytes - saved)),
                   "arithmetic"}},
                 "",
                 ""};
}

const Rule kQuantisation = {
    "quantisation-too-large",
    42,
    "model",
    "The model is stored with more bits than the GPU's memory has room for; with 4 to 5 bits it would fit",
    "The same model takes 16, 8 or 4 to 5 bits for a weight, with little difference in quality down to Q4_K_M.",
    "",
    {{kAnywhere,
      "in the choice of the model; then load it",
      {"Take a tag with q4_K_M, for example:", "$ ollama pull <model>:<size>-instruct-q4_K_M",
       "vLLM: a variant with AWQ, GPTQ or FP8"}}},
    "A quantisation below what is needed, where the context is the real cause",
    "ollama#11162",
    52,
    anywhere,
    quantisation};
const RegisterRule r42(&kQuantisation);

constexpr double kUsualContext_tokens = 4096;

std::optional<Verdict> context_too_large(const Facts& facts) {
  const Placement& placement = facts.placement;
  if (!short_of_memory(facts) || !placement.kv_bytes || !placement.needed_bytes) return std::nullopt;
  const double parallel = std::max(1, placement.parallel.value_or(1));
  const double context = placement.context ? *placement.context / (facts.log.has("L14.parallel") ? parallel : 1) : 0;
  const double kv_small = context > kUsualContext_tokens ? *placement.kv_bytes * kUsualContext_tokens / context
                                                         : *placement.kv_bytes * 0.25;
  const double total = placement.total_bytes.value_or(placement.free_bytes.value_or(0));
  if (total <= 0 || *placement.kv_bytes < 0.25 * total || (context > 0 && context <= kUsualContext_tokens))
    return std::nullopt;
  if (placement.free_bytes && *placement.needed_bytes - *placement.kv_bytes + kv_small > *placement.free_bytes)
    return std::nullopt;
  Verdict verdict{context > 0 ? kCertain : kHigh,
                  {{fmt::format("the context's cache takes {}", bytes_text(*placement.kv_bytes)), placement.source}},
                  "",
                  ""};
  if (context > 0)
    verdict.evidence.push_back(
        {fmt::format("context of {:.0f} tokens", context), "log: command line of the runner, /api/ps"});
  verdict.evidence.push_back(memory_evidence(placement));
  add_line(facts, "L39", verdict);
  return verdict;
}

const Rule kContext = {
    "context-too-large",
    43,
    "cache",
    "The context is so long that its cache pushes layers off the GPU",
    "Every token of context takes memory in every layer, whether it is used or not. Applications ask for 32k or 128k "
    "tokens; "
    "Ollama from 0.15.5 on takes 32k by itself on large cards.",
    "the size of the KV cache in the log of the load",
    {{kAnywhere,
      "where the context is set, in one place; then load the model again",
      {"The smallest context that does: num_ctx 4096 or 8192 (OLLAMA_CONTEXT_LENGTH, the client's option)",
       "OLLAMA_FLASH_ATTENTION=1 and OLLAMA_KV_CACHE_TYPE=q8_0 halve the cache",
       "llama.cpp: -c; vLLM: --max-model-len"}}},
    "Raising it \"for quality\"",
    "ollama#9890, #9005, #10848, #15634, #14116; llama.cpp#23652",
    54,
    anywhere,
    context_too_large};
const RegisterRule r43(&kContext);

std::optional<Verdict> parallel_kv(const Facts& facts) {
  const Placement& placement = facts.placement;
  int parallel = placement.parallel.value_or(0);
  Evidence source{fmt::format("parallel {}", parallel), "log: command line of the runner"};
  if (const auto set = facts.setting("OLLAMA_NUM_PARALLEL"); set && parallel < 2) {
    parallel = static_cast<int>(std::clamp<int64_t>(to_number(set->value).value_or(0), 0, 1000));
    source = evidence_of("OLLAMA_NUM_PARALLEL", *set);
  }
  if (parallel < 2 || !short_of_memory(facts) || !placement.kv_bytes || !placement.needed_bytes ||
      !placement.free_bytes)
    return std::nullopt;
  const double alone = *placement.needed_bytes - *placement.kv_bytes * (1 - 1.0 / parallel);
  if (!no_room_for_all(placement) || alone > *placement.free_bytes) return std::nullopt;
  return Verdict{kCertain,
                 {source,
                  memory_evidence(placement),
                  {fmt::format("for one answer at a time it needs {}", bytes_text(alone)), "arithmetic"}},
                 "",
                 ""};
}

const Rule kParallel = {
    "parallel-multiplies-kv",
    44,
    "cache",
    "Room for several answers at a time multiplies the context's cache and pushes layers off the GPU",
    "Each of the parallel answers has the whole context to itself: with 4 of them the cache takes four times as much.",
    "",
    {{kAnywhere,
      "where the server's environment or options are set; then restart it (containers: create anew)",
      {"OLLAMA_NUM_PARALLEL=1, or a shorter context",
       "llama.cpp: -np 1, or --kv-unified; vLLM shares its cache among requests"}}},
    "More workers against a model that has spilled",
    "Ollama's FAQ; ollama#9246, #4079, pull #14120; rwlove/home-ops#11640",
    55,
    for_ggml,
    parallel_kv};
const RegisterRule r44(&kParallel);

std::optional<Verdict> others_hold(const Facts& facts) {
  const bool refused = facts.log.has("L20") || facts.log.has("L30");
  if (!short_of_memory(facts) && !refused) return std::nullopt;
  std::vector<Evidence> evidence;
  const double foreign = foreign_bytes(facts, false, evidence);
  constexpr double kWorthMention_bytes = 300 * kMiB;
  if (foreign < kWorthMention_bytes) return std::nullopt;
  const double missing = missing_bytes(facts.placement);
  Verdict verdict{kMedium, evidence, "", ""};
  if (facts.placement.needed_bytes && missing > 0) {
    if (foreign < missing) return std::nullopt;
    verdict.confidence = kCertain;
    verdict.evidence.push_back(memory_evidence(facts.placement));
  } else if (facts.placement.needed_bytes) {
    return std::nullopt;
  } else {
    verdict.confidence = kHigh;
  }
  if (facts.placement.layers) verdict.evidence.push_back(placement_evidence(facts));
  return verdict;
}

const Rule kOthers = {"other-process-holds-vram",
                      45,
                      "GPU memory",
                      "Another program holds the GPU memory that the model needs",
                      "A second server, ComfyUI, a notebook or vLLM (which takes 90 % of the card) was there first. "
                      "Layers were placed by "
                      "what was left.",
                      "nvidia-smi: the processes and their memory",
                      {{kAnywhere,
                        "on the host; then load the model again (layers are placed at the load)",
                        {"Stop the other program, cap it (vLLM: --gpu-memory-utilization), or give each its own GPU",
                         "$ nvidia-smi --query-compute-apps=pid,name,used_memory --format=csv",
                         "$ ollama stop <model>    # it is loaded anew at the next request"}}},
                      "Killing programs by name, or a reboot as a habit",
                      "ollama#10823, #12027; vllm#20305",
                      58,
                      anywhere,
                      others_hold};
const RegisterRule r45(&kOthers);

std::optional<Verdict> display(const Facts& facts) {
  if (!short_of_memory(facts)) return std::nullopt;
  const bool active =
      std::ranges::any_of(facts.nvml.devices, [](const NvmlDevice& device) { return device.display == 1; });
  std::vector<Evidence> evidence;
  double graphics = foreign_bytes(facts, true, evidence);
  const bool listed = std::ranges::any_of(facts.nvml.devices, [](const NvmlDevice& device) {
    return std::ranges::any_of(device.processes, [](const GpuProcess& process) { return process.graphics; });
  });
  const double missing = missing_bytes(facts.placement);
  if (!active && !listed) return std::nullopt;
  if (graphics == 0 && active && facts.placement.total_bytes && facts.placement.free_bytes &&
      (facts.hardware.wsl || !listed))
    graphics = std::min(2 * kGiB,
                        *facts.placement.total_bytes - *facts.placement.free_bytes);  // WDDM tells no process's memory
  if (missing <= 0 || graphics < missing) return std::nullopt;
  if (active) evidence.insert(evidence.begin(), {"a monitor is connected to this GPU", "nvmlDeviceGetDisplayActive"});
  evidence.push_back(memory_evidence(facts.placement));
  return Verdict{kHigh, evidence, "", ""};
}

const Rule kDisplay = {
    "display-gpu-overhead",
    46,
    "GPU memory",
    "The desktop takes the GPU memory that the model lacks",
    "A desktop, browsers and video take 0.5 to 2 GiB of the card that a monitor is connected to, on Windows more.",
    "the graphics processes that nvidia-smi lists",
    {{kAnywhere,
      "at the machine; then load the model again",
      {"Connect the monitor to the integrated graphics",
       "Switch hardware acceleration of browsers off, or log in without a desktop:",
       "$ sudo systemctl isolate multi-user.target    # ends the desktop"}}},
    "The memory of single processes on Windows and WSL2: the driver does not tell it",
    "NVML header; city96/ComfyUI-GGUF#18",
    145,
    anywhere,
    display};
const RegisterRule r46(&kDisplay);

bool runs_models(const Process& process) {
  std::string all = process.name;
  for (const std::string& argument : process.arguments) all += " " + argument;
  return all.find("ollama runner") != std::string::npos ||
         (all.find("ollama") != std::string::npos && all.find("runner") != std::string::npos) ||
         all.find("llama-server") != std::string::npos || all.find("VLLM::EngineCore") != std::string::npos;
}

std::optional<Verdict> stale_runner(const Facts& facts) {
  for (const NvmlDevice& device : facts.nvml.devices) {
    for (const GpuProcess& held : device.processes) {
      const auto process = std::ranges::find(facts.processes, held.pid, &Process::pid);
      if (process == facts.processes.end() || !runs_models(*process)) continue;
      const bool orphan = process->parent == 1 || std::ranges::none_of(facts.processes, [&](const Process& other) {
                            return other.pid == process->parent;
                          });
      const bool own_server = facts.server && (facts.server->pid == process->pid || in_family(facts, process->pid));
      const bool service_itself =
          process->name.find("llama-server") != std::string::npos && facts.service == Service::kLlamaCpp;
      if (!orphan || own_server || service_itself) continue;
      return Verdict{kCertain,
                     {{fmt::format("process {} ({}) has no server any more and holds {}", held.pid, process->name,
                                   bytes_text(static_cast<double>(held.bytes.value_or(0)))),
                       "NVML, /proc/PID/status"}},
                     "",
                     ""};
    }
  }
  const Hit* hit = facts.log.last("L25");
  if (hit == nullptr || facts.code(800) != nullptr) return std::nullopt;
  const bool later_spill = facts.log.has("L11") && facts.log.after("L11", "L25") && facts.placement.partial();
  if (hit->line.find("level=DEBUG") != std::string::npos && !later_spill) return std::nullopt;
  Verdict verdict{later_spill ? kHigh : kMedium, {line(facts, "L25")}, "", ""};
  if (later_spill) verdict.evidence.push_back(placement_evidence(facts));
  return verdict;
}

const Rule kStale = {
    "stale-runner-holds-vram",
    47,
    "scheduling",
    "A runner that should have ended still holds GPU memory",
    "After an unload or a crash the runner's process stayed, or its memory came back too late; the next model was "
    "placed as "
    "if the card were nearly full.",
    "a runner in the list of GPU processes whose parent is gone",
    {{kAnywhere,
      "where the server runs (in the container); then restart the server",
      {"$ ps -eo pid,ppid,args | grep -E 'ollama runner|llama-server|EngineCore'",
       "End the one whose parent is 1, by its number:", "$ kill <pid>", "Restart the server, and update it"}}},
    "Longer timeouts of loading",
    "ollama#11812, #4427, #9016, #3736",
    62,
    anywhere,
    stale_runner};
const RegisterRule r47(&kStale);

std::optional<Verdict> minimum(const Facts& facts) {
  if (facts.log.has("no.layers")) {
    Verdict verdict{kHigh, {line(facts, "no.layers")}, "", ""};
    if (room_for_all(facts.placement)) verdict.confidence = kCertain;
    return verdict;
  }
  const Placement& placement = facts.placement;
  if (!facts.log.has("L12") || placement.layers != 0 || placement.requested.value_or(-1) >= 0 ||
      !room_for_all(placement))
    return std::nullopt;
  if (facts.log.has("L50") && to_bytes(facts.log.last("L50")->groups[0]).value_or(0) > 0)
    return std::nullopt;  // gpu-overhead-reserve
  return Verdict{kCertain, {line(facts, "L12"), memory_evidence(placement)}, "", ""};
}

const Rule kMinimum = {"minimum-not-met",
                       48,
                       "offload decision",
                       "The server's estimate refuses the GPU though the model would fit: its fixed minimum is not met",
                       "Older releases first set aside room for the image encoder, the scratch memory, 457 MiB and two "
                       "layers. On small cards "
                       "and with multimodal models that is more than there is, so not one layer goes to the GPU.",
                       "the sizes in the log line \"offload\"",
                       {{kAnywhere,
                         "where the server is installed; then load the model again",
                         {"A newer release of the server",
                          "A variant of the model without images, or a shorter context", "Unset OLLAMA_GPU_OVERHEAD"}}},
                       "Guessing num_gpu without watching for lack of memory",
                       "ollama#10765; Ollama envconfig",
                       57,
                       for_ollama,
                       minimum};
const RegisterRule r48(&kMinimum);

std::optional<Verdict> output_layer(const Facts& facts) {
  const Placement& placement = facts.placement;
  if (!facts.log.has("L38")) return std::nullopt;
  if (placement.layers && placement.of_layers) {
    if (*placement.layers != *placement.of_layers - 1) return std::nullopt;
    return Verdict{kCertain, {line(facts, "L38"), placement_evidence(facts)}, "", ""};
  }
  return by_line(facts, kHigh, "L38");
}

const Rule kOutputLayer = {
    "output-layer-on-cpu",
    49,
    "offload decision",
    "Only the large output layer did not fit onto the GPU",
    "Models with a huge vocabulary have an output layer of hundreds of MiB. Everything else is on the GPU; ollama ps "
    "shows "
    "30 to 60 % CPU all the same.",
    "",
    {{kAnywhere,
      "in the model's options; then load it again",
      {"Free a little GPU memory: a shorter context, one answer at a time, no desktop on this card"}}},
    "Reading the percentage as \"half of the layers\"",
    "ollama#15634, #11087",
    61,
    for_ggml,
    output_layer};
const RegisterRule r49(&kOutputLayer);

std::optional<Verdict> overhead(const Facts& facts) {
  double reserve = 0;
  Evidence evidence;
  if (const auto set = facts.setting("OLLAMA_GPU_OVERHEAD")) {
    reserve = to_bytes(set->value).value_or(0);
    evidence = evidence_of("OLLAMA_GPU_OVERHEAD", *set);
  }
  if (const Hit* hit = facts.log.last("L50"); hit != nullptr && reserve <= 0) {
    const std::string& value = hit->groups[0];
    reserve = to_bytes(value).value_or(0);
    evidence = line(facts, "L50");
  }
  if (reserve <= 0 || facts.placement.full()) return std::nullopt;
  Placement placement = facts.placement;
  const bool few = spilled(facts);
  if (!few && !facts.no_gpu_for_server()) {
    // Nothing is known of the layers: a reserve beyond a few hundred MiB is worth a word where that is all there is.
    return reserve > 2 * kGiB && !facts.placement.layers && !facts.machine_known
               ? std::optional<Verdict>({kHigh, {evidence}, "", ""})
               : std::nullopt;
  }
  Verdict verdict{kHigh, {evidence}, "", ""};
  if (placement.needed_bytes && placement.free_bytes) {
    if (*placement.needed_bytes > *placement.free_bytes || *placement.free_bytes - reserve > *placement.needed_bytes)
      return std::nullopt;
    verdict.confidence = kCertain;
    verdict.evidence.push_back(memory_evidence(placement));
  }
  if (placement.layers) verdict.evidence.push_back(placement_evidence(facts));
  return verdict;
}

const Rule kOverhead = {
    "gpu-overhead-reserve",
    83,
    "configuration",
    "OLLAMA_GPU_OVERHEAD keeps the memory free that the model needs",
    "The variable is the number of bytes that Ollama leaves unused on each GPU, not what it may use.",
    "",
    {{kOnHost | kInWsl2,
      "in the service's unit, as root; then restart it",
      {"$ sudo systemctl edit ollama    # remove OLLAMA_GPU_OVERHEAD, or a few hundred MiB: 536870912",
       "$ sudo systemctl restart ollama"}},
     {kContainers | kInKubernetes,
      "where the container is created; create it anew",
      {"Remove OLLAMA_GPU_OVERHEAD, or a few hundred MiB: 536870912"}}},
    "Looking for programs that hold the memory",
    "Ollama envconfig; ollama#8963, #8447, #7673, #12223",
    63,
    for_ollama,
    overhead};
const RegisterRule r83(&kOverhead);

}  // namespace
}  // namespace hearth::doctor
