// Healthy placements that were misread: 74 to 76, 78.
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

// By logs, figures or memory: the model is on the GPU.
bool proven_on_gpu(const Facts& facts) {
  if (facts.placement.full()) return true;
  if (facts.log.has("gpu.cache")) return true;
  for (const auto& [device, buffers] : facts.log.buffers)
    if (device.starts_with("CUDA") && !device.starts_with("CUDA_")) return true;
  return false;
}

double gpu_buffer(const Facts& facts, std::string_view kind) {
  double sum = 0;
  for (const auto& [device, buffers] : facts.log.buffers)
    for (const auto& [name, bytes] : buffers)
      if (name == kind && device.starts_with("CUDA") && !device.starts_with("CUDA_")) sum += bytes;
  return sum;
}

std::optional<Verdict> sampling(const Facts& facts) {
  if (!proven_on_gpu(facts)) return std::nullopt;
  const bool idle =
      std::ranges::any_of(facts.nvml.devices, [](const NvmlDevice& device) { return device.utilization == 0; });
  const bool says = facts.says({"0%", "0 %", "nvidia-smi", "utilisation", "utilization", "idle"});
  bool fast = false;
  for (const Reply& reply : facts.api.replies) fast = fast || (reply.eval_tokens >= 8 && reply.eval_rate() > 10);
  if (!says) return std::nullopt;
  Verdict verdict{kCertain, {}, "", ""};
  if (facts.placement.layers)
    verdict.evidence.push_back(placement_evidence(facts));
  else if (gpu_buffer(facts, "compute") > 0)
    verdict.evidence.push_back(
        {"the log shows buffers on the GPU: " + bytes_text(gpu_buffer(facts, "compute")), "log"});
  if (fast)
    verdict.evidence.push_back(
        {fmt::format("{:.0f} tokens/s", facts.api.replies.back().eval_rate()), "eval_count / eval_duration"});
  if (idle) verdict.evidence.push_back({"0 % in one sample", "nvmlDeviceGetUtilizationRates"});
  if (!facts.placement.full()) verdict.confidence = kHigh;
  return verdict;
}

const Rule kSampling = {"utilisation-sampling-artifact",
                        74,
                        "measurement",
                        "\"0 % GPU\" is a sample between two bursts of work; the model is on the GPU",
                        "The figure is the share of the last sixth of a second to second in which a kernel ran. A "
                        "single look at nvidia-smi "
                        "between answers shows 0 % on a healthy machine.",
                        "twenty samples, five per second, inside one long answer",
                        {{kAnywhere,
                          "where it is measured",
                          {"Ask for 200 tokens or more and meanwhile:",
                           "$ nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader -lms 200",
                           "Judge by tokens per second: eval_count / eval_duration"}}},
                        "The reverse error: 0 % all through a long answer is real",
                        "NVML nvmlUtilization_t; ollama#1663",
                        -20,
                        anywhere,
                        sampling};
const RegisterRule r74(&kSampling);

// A number of megabytes in the user's words: "uses only 300 MB".
bool says_about(const std::string& notes, double bytes) {
  for (size_t at = 0; (at = notes.find_first_of("0123456789", at)) != std::string::npos;) {
    const size_t end = std::min(notes.find_first_not_of("0123456789.", at), notes.size());
    const std::string number = notes.substr(at, end - at);
    const std::string unit = std::string(trim(std::string_view(notes).substr(end, 4)));
    at = end;
    const auto value = to_bytes(number);
    if (!value || !(unit.starts_with("m") || unit.starts_with("g"))) continue;
    const double said = *value * (unit[0] == 'm' ? kMiB : kGiB);
    if (std::abs(said - bytes) < 0.05 * bytes) return true;
  }
  return false;
}

std::optional<Verdict> single_buffer(const Facts& facts) {
  const double model = gpu_buffer(facts, "model");
  for (const char* kind : {"compute", "KV"}) {
    const double bytes = gpu_buffer(facts, kind);
    if (bytes <= 0) continue;
    const bool quoted = says_about(facts.notes, bytes);
    const bool alone = model == 0 && !facts.log.has("L11") && !facts.log.has("L26") && facts.log_given &&
                       facts.says({"only", "mb", "mib", "memory"});
    if (!quoted && !alone) continue;
    return Verdict{
        kCertain,
        {line(facts, "L16"), {quoted ? "the user quotes this number" : "no other buffer was looked at", "notes"}},
        "",
        ""};
  }
  return std::nullopt;
}

const Rule kSingleBuffer = {
    "single-buffer-misread",
    75,
    "measurement",
    "One buffer was taken for all that the model uses: the number is its scratch memory or its cache",
    "The log lists the weights, the cache, the scratch memory and the output separately, for each device. The compute "
    "buffer "
    "alone says nothing of the model.",
    "",
    {{kAnywhere,
      "where it is measured",
      {"Add model, KV, compute and output buffers of the device; compare with the process's memory in nvidia-smi"}}},
    "Concluding that memory is to spare",
    "llama.cpp's log of buffers",
    -60,
    for_ggml,
    single_buffer};
const RegisterRule r75(&kSingleBuffer);

std::optional<Verdict> claimed_gpu(const Facts& facts) {
  double claimed = 0;
  for (const RunningModel& model : facts.api.running)
    if (model.bytes > 0 && model.vram_bytes >= 0.98 * model.bytes) claimed += model.vram_bytes;
  if (claimed <= 0) return std::nullopt;
  Verdict verdict{kCertain, {{bytes_text(claimed) + " are said to be in GPU memory", "/api/ps size_vram"}}, "", ""};
  bool cpu_only = facts.log.has("L19");
  if (cpu_only)
    for (const Hit& hit : facts.log.hits.at("L19"))
      cpu_only = cpu_only && (hit.groups[0] == "CPU" || hit.groups[0] == "BLAS");
  if (cpu_only && facts.placement.layers.value_or(0) == 0) add_line(facts, "L19", verdict);
  bool host_only = false;
  for (const auto& [device, buffers] : facts.log.buffers)
    host_only = host_only || (device.starts_with("CPU") && buffers.contains("model"));
  for (const auto& [device, buffers] : facts.log.buffers)
    host_only = host_only && (device.starts_with("CPU") || device == "CUDA_Host");
  if (host_only) add_line(facts, "L16", verdict);
  double used = 0;
  bool known = !facts.nvml.devices.empty();
  for (const NvmlDevice& device : facts.nvml.devices) {
    known = known && device.used_bytes.has_value();
    used += static_cast<double>(device.used_bytes.value_or(0));
  }
  if (known && used < 0.5 * claimed)
    verdict.evidence.push_back({bytes_text(used) + " are in use", "nvmlDeviceGetMemoryInfo"});
  if (verdict.evidence.size() < 2) return std::nullopt;
  return verdict;
}

const Rule kClaimed = {
    "reported-gpu-but-cpu",
    76,
    "measurement",
    "ollama ps says GPU, but the model computes on the CPU",
    "What ollama ps shows is the scheduler's own plan (from 0.30 on the log of the load), not a measurement. The "
    "backend was "
    "not loaded, or the device was dropped after the plan.",
    "",
    {{kAnywhere,
      "where the server is installed",
      {"See the cause behind it: mostly missing or damaged CUDA libraries, or a MIG slice",
       "$ hearth doctor --explain backend-library-missing", "$ hearth doctor --explain mig-misaddressed"}}},
    "Closing the case on \"100 % GPU\"",
    "ollama#8961, #10369, #9517, #13814; Ollama MemorySize",
    68,
    for_ollama,
    claimed_gpu};
const RegisterRule r76(&kClaimed);

std::optional<Verdict> blind_list(const Facts& facts) {
  constexpr double kIdle_bytes = 900 * kMiB;
  double used = 0;
  bool empty = !facts.nvml.devices.empty();
  for (const NvmlDevice& device : facts.nvml.devices) {
    used += static_cast<double>(device.used_bytes.value_or(0));
    const bool no_memory_told =
        std::ranges::all_of(device.processes, [](const GpuProcess& process) { return !process.bytes; });
    empty = empty && device.processes_known && (device.processes.empty() || (no_memory_told && facts.hardware.wsl));
  }
  if (!empty || used < kIdle_bytes) return std::nullopt;
  const bool says =
      facts.says({"no process", "process list", "no running process", "processes"}) || facts.log.has("smi.processes");
  // Where the server's own figures show that the model is there, nobody is misled.
  const bool accounted = !facts.api.running.empty() || facts.log_given;
  if (!says && (accounted || facts.service == Service::kNone)) return std::nullopt;
  Verdict verdict{kCertain,
                  {{"no process is listed", "nvmlDeviceGetComputeRunningProcesses"},
                   {bytes_text(used) + " are in use", "nvmlDeviceGetMemoryInfo"}},
                  "",
                  ""};
  if (facts.hardware.container) verdict.evidence.push_back({"a container sees its own processes only", "/.dockerenv"});
  if (facts.hardware.wsl)
    verdict.evidence.push_back({"Windows' driver does not tell WSL about processes", "kernel release"});
  return verdict;
}

const Rule kBlindList = {
    "process-list-blind",
    78,
    "measurement",
    "The list of GPU processes is empty because it cannot be seen from here, not because nothing runs",
    "In a container the numbers of processes are its own, under Windows the driver does not tell, with MIG or as "
    "another "
    "user some are left out.",
    "the memory in use before and after the model is loaded",
    {{kAnywhere,
      "where it is measured",
      {"Compare the memory in use with the model loaded and unloaded",
       "$ nvidia-smi --query-gpu=memory.used --format=csv", "Or look on the host"}}},
    "The host's process namespace as the usual setting of a container",
    "NVML header; ollama#13814",
    5,
    anywhere,
    blind_list};
const RegisterRule r78(&kBlindList);

}  // namespace
}  // namespace hearth::doctor
