// All of the model on the GPU, and slow: 50, 51, 54 to 58.
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

bool memory_full(const Facts& facts) {
  return std::ranges::any_of(facts.nvml.devices, [](const NvmlDevice& device) {
    return device.total_bytes && device.used_bytes &&
           static_cast<double>(*device.used_bytes) > 0.95 * static_cast<double>(*device.total_bytes);
  });
}

double slowest_rate(const Facts& facts) {
  double rate = 0;
  for (const Reply& reply : facts.api.replies)
    if (reply.eval_tokens >= 8 && (rate == 0 || reply.eval_rate() < rate)) rate = reply.eval_rate();
  return rate;
}

std::optional<Verdict> paging(const Facts& facts) {
  const auto unified = facts.setting("GGML_CUDA_ENABLE_UNIFIED_MEMORY");
  if (!memory_full(facts) || facts.log.has("L20")) return std::nullopt;
  if (!facts.hardware.wsl && !unified) return std::nullopt;
  const double rate = slowest_rate(facts);
  const bool slow = (rate > 0 && rate < 8) || facts.says({"slow", "shared gpu memory", "tok/s", "tokens/s"}) ||
                    facts.log.has("sharing");
  const bool forced = facts.placement.requested.value_or(-1) > 0;
  if (!slow && !forced) return std::nullopt;
  Verdict verdict{kHigh, {{"more than 95 % of the GPU's memory is taken", "nvmlDeviceGetMemoryInfo"}}, "", ""};
  if (rate > 0) verdict.evidence.push_back({fmt::format("{:.1f} tokens/s", rate), "eval_count / eval_duration"});
  if (forced)
    verdict.evidence.push_back(
        {fmt::format("{} layers were asked for", *facts.placement.requested), facts.placement.requested_source});
  if (unified) verdict.evidence.push_back(evidence_of("GGML_CUDA_ENABLE_UNIFIED_MEMORY", *unified));
  return verdict;
}

const Rule kPaging = {
    "sysmem-fallback",
    50,
    "Windows and WSL2",
    "GPU memory is full, and Windows' driver pages what does not fit to the machine's memory",
    "Nothing fails, 100 % are \"on the GPU\", and every token reads over PCI Express. On Linux only "
    "GGML_CUDA_ENABLE_UNIFIED_MEMORY does the same; it is on with any value.",
    "\"shared GPU memory\" in the task manager while an answer is generated",
    {{kInWsl2 | kContainers | kInKubernetes,
      "in Windows; then load the model again",
      {"NVIDIA control panel, Manage 3D settings: CUDA - Sysmem Fallback Policy: Prefer No Sysmem Fallback",
       "Let the server choose the layers: remove num_gpu"}},
     {kOnHost,
      "in the server's environment; then restart it",
      {"Unset GGML_CUDA_ENABLE_UNIFIED_MEMORY", "Let the server choose the layers: remove num_gpu"}}},
    "\"It uses the GPU, so all is well\"",
    "ollama#10155, #7584, #6864, #8181; llama.cpp pull #15649; LocalAI's GPU document",
    48,
    anywhere,
    paging};
const RegisterRule r50(&kPaging);

std::optional<Verdict> fragmentation(const Facts& facts) {
  const bool said = facts.says({"fragment"});
  if (!said && !facts.log.has("fragment")) return std::nullopt;
  Verdict verdict{kHigh, {}, "", ""};
  if (said) verdict.evidence.push_back({"the user speaks of fragmented memory", "notes"});
  add_line(facts, "fragment", verdict);
  if (facts.placement.free_bytes)
    verdict.evidence.push_back(
        {bytes_text(*facts.placement.free_bytes) + " were free when the model was loaded", "log, NVML"});
  if (facts.placement.layers) verdict.evidence.push_back(placement_evidence(facts));
  if (facts.log.has("L20")) verdict.confidence = kLow;
  return verdict;
}

const Rule kFragmentation = {
    "vram-fragmentation-claimed",
    51,
    "false diagnosis",
    "GPU memory does not fragment in a way that takes layers off the GPU; look at the other causes",
    "Layers are placed by the number of free bytes, and the GPU has virtual memory. No server reads a figure of "
    "fragmentation. Only the pool inside one long-lived process can fragment, and then an allocation fails.",
    "an allocation that fails with plenty of free bytes",
    {{kAnywhere,
      "where the server runs",
      {"Restart that process if an allocation failed with plenty of free memory",
       "Else see what was asked for: num_gpu, the context, the reserve"}}},
    "Rebooting as a first step",
    "ggml and Ollama sources",
    25,
    anywhere,
    fragmentation};
const RegisterRule r51(&kFragmentation);

std::optional<Verdict> flash_off(const Facts& facts) {
  const auto set = facts.setting("OLLAMA_FLASH_ATTENTION");
  const bool by_config = set && set->source.find("server config") != std::string::npos;
  if (set && !by_config && (set->value == "0" || lower(set->value) == "false"))
    return Verdict{kCertain,
                   {evidence_of("OLLAMA_FLASH_ATTENTION", *set)},
                   "Flash attention was switched off by OLLAMA_FLASH_ATTENTION",
                   ""};
  if (const auto argument = facts.argument({"--flash-attn", "-fa"});
      argument && (argument->value == "off" || argument->value == "0" || argument->value == "false"))
    return Verdict{kCertain,
                   {{"--flash-attn " + argument->value, argument->source}},
                   "Flash attention was switched off by an option",
                   ""};
  Verdict verdict{kHigh, {}, "", ""};
  for (const char* pattern : {"L23.auto", "L23.needed"}) add_line(facts, pattern, verdict);
  const int capability = facts.capability();
  const bool excluded = capability > 0 && (capability < 60 || capability == 72);
  const Hit* off = facts.log.last("flash.off");
  const bool long_context = facts.placement.context.value_or(0) >= 16384;
  if (verdict.evidence.empty() && off != nullptr &&
      (excluded || long_context || off->line.find("isabled") != std::string::npos)) {
    verdict.confidence = kMedium;
    add_line(facts, "flash.off", verdict);
  }
  if (verdict.evidence.empty()) return std::nullopt;
  if (excluded)
    verdict.evidence.push_back(
        {"compute capability " + capability_text(capability) + " has no flash attention in Ollama", "ml/device.go"});
  return verdict;
}

const Rule kFlashOff = {
    "flash-attention-off",
    54,
    "computation",
    "Flash attention is off: long prompts are slow and the cache is larger than it need be",
    "Without it attention takes more memory, and the cache cannot be quantised. Newer releases switch it on by "
    "themselves "
    "where the GPU and the model can do it.",
    "flash_attn in the log of the load",
    {{kAnywhere,
      "where the server's environment or options are set; then restart it (containers: create anew)",
      {"Unset OLLAMA_FLASH_ATTENTION (automatic), or set it to 1", "llama.cpp: -fa auto",
       "If the model or GPU rejects it: also unset OLLAMA_KV_CACHE_TYPE"}}},
    "OLLAMA_FLASH_ATTENTION:false in \"server config\" is printed also when nothing was set; do not force it on models "
    "that reject it",
    "Ollama ml/device.go; ollama#13814",
    44,
    for_ggml,
    flash_off};
const RegisterRule r54(&kFlashOff);

struct CacheTypes {
  std::string k, v;
  Evidence evidence;
};
CacheTypes cache_types(const Facts& facts) {
  CacheTypes types;
  if (const auto set = facts.setting("OLLAMA_KV_CACHE_TYPE"); set && !set->value.empty())
    types = {set->value, set->value, evidence_of("OLLAMA_KV_CACHE_TYPE", *set)};
  const auto k = facts.argument({"--cache-type-k", "-ctk"}), v = facts.argument({"--cache-type-v", "-ctv"});
  if (k || v)
    types = {
        k ? k->value : "f16",
        v ? v->value : "f16",
        {fmt::format("cache types {} and {}", k ? k->value : "f16", v ? v->value : "f16"), k ? k->source : v->source}};
  if (const Hit* hit = facts.log.last("cache.type"); hit != nullptr && types.k.empty()) {
    types = {hit->groups[0] + hit->groups[2], hit->groups[1] + hit->groups[3], line(facts, "cache.type")};
    if (!hit->groups[4].empty()) types.k = types.v = hit->groups[4];
  }
  types.k = lower(types.k);
  types.v = lower(types.v);
  return types;
}

std::optional<Verdict> cache_on_cpu(const Facts& facts) {
  const CacheTypes types = cache_types(facts);
  const bool rare = types.k == "q4_1" || types.k == "q5_0" || types.k == "q5_1" || types.k == "iq4_nl" ||
                    types.v == "q4_1" || types.v == "q5_0" || types.v == "q5_1";
  const bool unequal = !types.k.empty() && types.k != types.v;
  const bool quantised = types.k.starts_with('q') || types.v.starts_with('q');
  const Hit* splits = facts.log.last("L22");
  const bool many = splits != nullptr && to_number(splits->groups[0]).value_or(0) >= 10;
  const bool spilled_layers = facts.placement.partial();
  Verdict verdict{kHigh, {}, "", ""};
  if (!types.k.empty()) verdict.evidence.push_back(types.evidence);
  if (many && !spilled_layers && (rare || unequal || quantised)) {
    add_line(facts, "L22", verdict);
    return verdict;
  }
  for (const char* pattern : {"L23.type", "L23.needed"}) {
    if (!facts.log.has(pattern)) continue;
    verdict.confidence = std::string_view(pattern) == "L23.type" ? kHigh : kMedium;
    add_line(facts, pattern, verdict);
    return verdict;
  }
  if ((rare || (unequal && quantised)) && !spilled_layers && splits == nullptr && !facts.no_gpu_for_server()) {
    verdict.confidence = kMedium;
    return verdict;
  }
  return std::nullopt;
}

const Rule kCacheOnCpu = {
    "kv-quant-falls-to-cpu",
    55,
    "computation",
    "With this type of cache, attention is computed on the CPU",
    "CUDA builds have attention kernels for f16, bf16, q8_0 and q4_0, and for equal types of keys and values. Other "
    "types "
    "fall back to the CPU in every layer: prompts take 5 to 8 times as long.",
    "\"graph splits\" in the log: more than a few with all layers on the GPU",
    {{kAnywhere,
      "where the server's environment or options are set; then restart it (containers: create anew)",
      {"OLLAMA_KV_CACHE_TYPE=q8_0, or unset it",
       "llama.cpp: --cache-type-k q8_0 --cache-type-v q8_0 (or q4_0 for both), or build with "
       "-DGGML_CUDA_FA_ALL_QUANTS=ON",
       "Without flash attention unset it: quantised values need it"}}},
    "Less memory is not always faster",
    "ggml fattn.cu; llama.cpp#28455, #12352; ollama#9683, #15043; koboldcpp#1473",
    46,
    for_ggml,
    cache_on_cpu};
const RegisterRule r55(&kCacheOnCpu);

std::optional<Verdict> vision_on_cpu(const Facts& facts) {
  Verdict verdict{kHigh, {}, "", ""};
  for (const char* pattern : {"L24.cpu", "L24.reason", "L24.retry", "projector.cpu"}) {
    const Hit* hit = facts.log.last(pattern);
    if (hit == nullptr || (facts.log.has("L24.gpu") && facts.log.after("L24.gpu", pattern))) continue;
    add_line(facts, pattern, verdict);
  }
  Evidence option;
  if (facts.flag("--no-mmproj-offload", option)) verdict.evidence.push_back(option);
  const Hit* slice = facts.log.last("L24.slice");
  const bool slow = slice != nullptr && to_number(slice->groups[0]).value_or(0) >= 8000;
  if (slow) {
    if (!verdict.evidence.empty())
      verdict.confidence = kCertain;
    else if (facts.log.has("L24.gpu"))
      return std::nullopt;
    else
      verdict.confidence = kMedium;
    add_line(facts, "L24.slice", verdict);
  }
  if (verdict.evidence.empty()) return std::nullopt;
  // Where nothing is on the GPU this follows from that.
  if (facts.no_gpu_for_server()) verdict.confidence = kLow;
  return verdict;
}

const Rule kVisionOnCpu = {
    "vision-encoder-on-cpu",
    56,
    "multimodal",
    "The image encoder runs on the CPU: each new image takes tens of seconds",
    "The encoder (projector) needs room beside the text model. If the memory does not suffice, or the text model is "
    "only "
    "partly on the GPU, it stays on the CPU. Text alone is fast.",
    "\"CLIP using\" or \"projector\" in the log of the load",
    {{kAnywhere,
      "in the model's options; then load it again",
      {"Leave the projector's size and 1 GiB free: a shorter context, a smaller quantisation, no other programs",
       "Smaller images", "llama.cpp: without --no-mmproj-offload"}}},
    "Tuning threads",
    "Ollama llm/llama_server.go; ollama#11087, #11422, #8834, #10889; llama.cpp#22582, #6883",
    43,
    for_ggml,
    vision_on_cpu};
const RegisterRule r56(&kVisionOnCpu);

std::optional<int> threads_of(const Facts& facts, Evidence& evidence) {
  if (const auto argument = facts.argument({"--threads", "-t"})) {
    const auto number = to_number(argument->value);
    evidence = {"threads " + argument->value, argument->source};
    if (number) return static_cast<int>(std::min<int64_t>(*number, 100000));
  }
  if (!facts.log.starts.empty() && facts.log.starts.back().threads) {
    evidence = {fmt::format("threads {}", *facts.log.starts.back().threads), "log: command line of the runner"};
    return facts.log.starts.back().threads;
  }
  for (const Process& child : facts.children) {
    if (!child.threads) continue;
    evidence = {fmt::format("{} threads", *child.threads), fmt::format("/proc/{}/status", child.pid)};
    return child.threads;
  }
  return std::nullopt;
}

std::optional<Verdict> too_many_threads(const Facts& facts) {
  std::optional<double> quota = facts.host.cpu_quota;
  std::string source = "cpu.max, cpuset";
  for (const ComposeService& one : facts.compose.services)
    if (one.cpus && !quota) {
      quota = one.cpus;
      source = one.file + ", service " + one.name;
    }
  Evidence threads_evidence;
  const auto threads = threads_of(facts, threads_evidence);
  if (!quota || !threads || *threads <= *quota + 0.5) return std::nullopt;
  const bool throttled = facts.host.throttled_share.value_or(0) > 0.2;
  if (facts.host.throttled_share && !throttled) return std::nullopt;
  Verdict verdict{throttled ? kCertain : kMedium,
                  {threads_evidence, {fmt::format("{:.1f} processors may be used", *quota), source}},
                  "",
                  ""};
  if (throttled)
    verdict.evidence.push_back(
        {fmt::format("held back in {:.0f} % of the periods", 100 * *facts.host.throttled_share), "cpu.stat"});
  else if (*threads < 2 * *quota)
    return std::nullopt;
  return verdict;
}

const Rule kThreads = {
    "cpu-thread-oversubscription",
    57,
    "CPU part",
    "More threads compute than the container may use processors",
    "The server counts the processors of the machine, the container has a quota. All threads run for a moment and then "
    "wait for each other until the next period: a fraction of a token per second.",
    "nr_throttled in cpu.stat of the container's control group",
    {{kAnywhere,
      "in the server's options, or where the container is created (create it anew)",
      {"num_thread (Ollama), -t (llama.cpp), threads (LocalAI): the quota, rounded down",
       "Or raise or remove the limit of processors"}}},
    "\"All cores\"",
    "ollama#17916, #10814, #5554, pull #12396; llmmanorg/llmman#322; lilbee#660",
    45,
    for_ggml,
    too_many_threads};
const RegisterRule r57(&kThreads);

std::optional<Verdict> slow_split(const Facts& facts) {
  std::vector<std::string> holding;
  double sum = 0;
  for (const auto& [device, buffers] : facts.log.buffers) {
    if (!device.starts_with("CUDA") || device.starts_with("CUDA_") || !buffers.contains("model")) continue;
    holding.push_back(device);
    for (const auto& [kind, bytes] : buffers) sum += bytes;
  }
  double largest = 0;
  for (const NvmlDevice& device : facts.nvml.devices)
    largest = std::max(largest, static_cast<double>(device.total_bytes.value_or(0)));
  const auto spread = facts.setting("OLLAMA_SCHED_SPREAD");
  const bool spreading = spread && spread->value != "0" && lower(spread->value) != "false" && !spread->value.empty();
  const bool several = holding.size() >= 2;
  if (spreading && (several || (facts.nvml.devices.size() >= 2 && holding.empty()))) {
    const bool fits = sum > 0 && largest > 0 && sum < 0.9 * largest;
    if (!fits && sum > 0 && largest > 0) return std::nullopt;
    Verdict verdict{fits ? kCertain : kMedium, {evidence_of("OLLAMA_SCHED_SPREAD", *spread)}, "", ""};
    if (several)
      verdict.evidence.push_back(
          {fmt::format("{} GPUs hold layers, {} in all", holding.size(), bytes_text(sum)), "log: buffer sizes"});
    return verdict;
  }
  if (!several) return std::nullopt;
  const auto narrow = [](int64_t width) { return width > 0 && width <= 4; };
  for (const PciGpu& gpu : facts.hardware.gpus)
    if (gpu.nvidia() && gpu.width && narrow(*gpu.width))
      return Verdict{kMedium,
                     {{fmt::format("{} GPUs hold layers", holding.size()), "log: buffer sizes"},
                      {fmt::format("{} has {} lanes", gpu.address, *gpu.width), "sysfs current_link_width"}},
                     "",
                     ""};
  for (const NvmlDevice& device : facts.nvml.devices)
    if (device.width && narrow(*device.width))
      return Verdict{kMedium,
                     {{fmt::format("{} GPUs hold layers", holding.size()), "log: buffer sizes"},
                      {fmt::format("{} has {} lanes", device.name, *device.width), "nvmlDeviceGetCurrPcieLinkWidth"}},
                     "",
                     ""};
  return std::nullopt;
}

const Rule kSlowSplit = {
    "multi-gpu-slow-split",
    58,
    "several GPUs",
    "The model is spread over several GPUs that a single one, or a better split, would beat",
    "Layers on several cards work one after the other, and each token crosses the link between them. Where one card "
    "has room "
    "for all, a split is slower; a narrow slot makes it worse.",
    "the buffer sizes per device in the log",
    {{kAnywhere,
      "where the server's environment is set; then restart it (containers: create anew)",
      {"Unset OLLAMA_SCHED_SPREAD", "Give the server one GPU by its UUID, if the model fits there",
       "Else let the faster card hold more (llama.cpp: --tensor-split); tensor parallelism on wide links only"}}},
    "A slow second card for speed",
    "ollama#5635, #7047; Ollama's FAQ",
    50,
    for_ggml,
    slow_split};
const RegisterRule r58(&kSlowSplit);

}  // namespace
}  // namespace hearth::doctor
