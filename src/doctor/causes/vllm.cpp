// vLLM: 52, 53, 84.
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

std::optional<Verdict> share(const Facts& facts) {
  Verdict verdict{kCertain, {}, "", ""};
  for (const char* pattern : {"L30", "L31.start"}) add_line(facts, pattern, verdict);
  if (verdict.evidence.empty()) return std::nullopt;
  if (facts.log.has("L31.start") && !facts.log.has("L30"))
    verdict.what = "vLLM's share of the GPU's memory leaves no room for the cache of one request";
  for (const NvmlDevice& device : facts.nvml.devices)
    for (const GpuProcess& process : device.processes)
      if (process.bytes)
        verdict.evidence.push_back({fmt::format("process {} ({}): {}", process.pid, process.name,
                                                bytes_text(static_cast<double>(*process.bytes))),
                                    "NVML"});
  return verdict;
}

const Rule kShare = {
    "vllm-share-unavailable",
    52,
    "vLLM",
    "vLLM's share of the GPU's memory is not free",
    "--gpu-memory-utilization (0.9 by default) is a share of the whole card, not of what is free. What other programs "
    "hold "
    "counts against it, and what remains after the weights must hold the cache.",
    "the two figures in the line: free and total",
    {{kAnywhere,
      "in vLLM's command; it is started anew",
      {"Free the memory (nvidia-smi lists who has it), or lower the share to free / total - 0.02: "
       "--gpu-memory-utilization 0.6",
       "No room for cache blocks: raise the share instead, or shorten --max-model-len, or lower --max-num-seqs"}}},
    "CUDA_LAUNCH_BLOCKING, or installing vLLM again",
    "vllm#20305, #50135; pytorch#175666",
    70,
    for_vllm,
    share};
const RegisterRule r52(&kShare);

std::optional<double> metric(const Facts& facts, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const auto found = facts.api.metrics.find(name); found != facts.api.metrics.end()) return found->second;
  return std::nullopt;
}

std::optional<Verdict> preemption(const Facts& facts) {
  Verdict verdict{kCertain, {}, "", ""};
  add_line(facts, "L31.preempted", verdict);
  const auto count = metric(facts, {"vllm:num_preemptions_total", "vllm:num_preemptions"});
  const auto usage = metric(facts, {"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"});
  if (count && *count > 0 && usage.value_or(1) >= 0.9) {
    verdict.evidence.push_back({fmt::format("{:.0f} requests were preempted", *count), "/metrics"});
    if (usage) verdict.evidence.push_back({fmt::format("the cache is {:.0f} % full", 100 * *usage), "/metrics"});
    if (!usage && !facts.log.has("L31.preempted")) verdict.confidence = kMedium;
  }
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kPreemption = {
    "vllm-preemption",
    53,
    "vLLM",
    "vLLM's cache is full: it drops running requests and computes them again",
    "More sequences run than the cache holds. vLLM preempts some of them and recomputes their prompts later, so that "
    "throughput falls as load rises.",
    "vllm:num_preemptions_total in /metrics",
    {{kAnywhere,
      "in vLLM's command; it is started anew",
      {"More cache: a higher --gpu-memory-utilization, a smaller model, --kv-cache-dtype fp8, or "
       "--tensor-parallel-size 2",
       "Fewer sequences: a lower --max-num-seqs, a shorter --max-model-len"}}},
    "More workers on the client's side",
    "vLLM's optimisation document",
    50,
    for_vllm,
    preemption};
const RegisterRule r53(&kPreemption);

std::optional<Verdict> eager(const Facts& facts) {
  Verdict verdict{kCertain, {}, "", ""};
  add_line(facts, "L52", verdict);
  Evidence option;
  if ((facts.service == Service::kVllm || facts.service == Service::kNone) && facts.flag("--enforce-eager", option))
    verdict.evidence.push_back(option);
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kEager = {"vllm-eager-mode",
                     84,
                     "vLLM",
                     "vLLM runs without CUDA graphs (--enforce-eager)",
                     "Every kernel is launched one by one. Small models with few requests at a time lose most; it "
                     "saves a little memory.",
                     "the speed with and without the option",
                     {{kAnywhere,
                       "in vLLM's command; it is started anew",
                       {"Remove --enforce-eager",
                        "If it was set against lack of memory: a lower --max-num-seqs or --max-model-len instead"}}},
                     "It is not why a start fails",
                     "vllm#4449, #21266; vLLM's optimisation document",
                     -150,
                     for_vllm,
                     eager};
const RegisterRule r84(&kEager);

}  // namespace
}  // namespace hearth::doctor
