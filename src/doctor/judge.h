// What the judgements of causes share.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "doctor/rule.h"

namespace hearth::doctor {

inline constexpr Confidence kLow = Confidence::kLow, kMedium = Confidence::kMedium, kHigh = Confidence::kHigh,
                            kCertain = Confidence::kCertain;
inline constexpr double kMiB = 1024.0 * 1024, kGiB = 1024 * kMiB;

inline bool anywhere(const Facts&) {
  return true;
}
// Servers whose variables are judged here; what hearth makes of its own it says when it starts.
inline bool for_others(const Facts& facts) {
  return facts.service != Service::kHearth;
}
inline bool for_ollama(const Facts& facts) {
  return facts.service == Service::kOllama || facts.service == Service::kNone;
}
inline bool for_vllm(const Facts& facts) {
  return facts.service == Service::kVllm || facts.service == Service::kNone;
}
inline bool for_localai(const Facts& facts) {
  return facts.service == Service::kLocalai || facts.service == Service::kNone;
}
// Servers on ggml: Ollama, llama.cpp, LocalAI's main backend.
inline bool for_ggml(const Facts& facts) {
  return facts.service != Service::kVllm && facts.service != Service::kHearth;
}
inline bool off_wsl(const Facts& facts) {
  return !facts.hardware.wsl;
}

// The newest line that a pattern recognised; it must have been seen.
inline Evidence line(const Facts& facts, const std::string& pattern) {
  const Hit* hit = facts.log.last(pattern);
  if (hit == nullptr) return {};
  return {std::string(trim(hit->line)), fmt::format("log line {}", hit->number)};
}
inline void add_line(const Facts& facts, const std::string& pattern, Verdict& verdict) {
  if (facts.log.has(pattern)) verdict.evidence.push_back(line(facts, pattern));
}
inline void add_code(const Facts& facts, int code, Verdict& verdict) {
  if (const Evidence* evidence = facts.code(code)) verdict.evidence.push_back(*evidence);
}
inline std::optional<Verdict> by_line(const Facts& facts, Confidence confidence, const std::string& pattern,
                                      std::string what = "") {
  if (!facts.log.has(pattern)) return std::nullopt;
  return Verdict{confidence, {line(facts, pattern)}, std::move(what), ""};
}
inline std::optional<Verdict> by_code(const Facts& facts, Confidence confidence, int code) {
  const Evidence* evidence = facts.code(code);
  if (evidence == nullptr) return std::nullopt;
  return Verdict{confidence, {*evidence}, "", ""};
}

inline std::string bytes_text(double bytes) {
  return bytes >= kGiB ? fmt::format("{:.1f} GiB", bytes / kGiB) : fmt::format("{:.0f} MiB", bytes / kMiB);
}
inline std::string capability_text(int capability) {
  return fmt::format("{}.{}", capability / 10, capability % 10);
}
// "OLLAMA_GPU_OVERHEAD=20" from where it was seen.
inline Evidence evidence_of(const std::string& name, const Setting& setting) {
  return {name + "=" + setting.value, setting.source};
}
// What is needed for the whole model fits into what was free when it was loaded, with the catalogue's 10 % to spare.
inline bool room_for_all(const Placement& placement) {
  return placement.needed_bytes && placement.free_bytes && *placement.needed_bytes * 1.02 <= *placement.free_bytes;
}
inline bool no_room_for_all(const Placement& placement) {
  return placement.needed_bytes && placement.free_bytes && *placement.needed_bytes > *placement.free_bytes;
}
// The model does not lie wholly on the GPU, by whatever says so.
inline bool spilled(const Facts& facts) {
  if (facts.placement.layers) return facts.placement.partial();
  return std::ranges::any_of(facts.api.running,
                             [](const RunningModel& model) { return model.vram_bytes < 0.98 * model.bytes; });
}
inline Evidence placement_evidence(const Facts& facts) {
  const Placement& placement = facts.placement;
  if (placement.layers)
    return {fmt::format("{} of {} layers on the GPU", *placement.layers, placement.of_layers.value_or(0)),
            placement.source};
  for (const RunningModel& model : facts.api.running)
    if (model.vram_bytes < 0.98 * model.bytes)
      return {
          fmt::format("{}: {} of {} in GPU memory", model.name, bytes_text(model.vram_bytes), bytes_text(model.bytes)),
          "/api/ps"};
  return {};
}
inline Evidence memory_evidence(const Placement& placement) {
  return {fmt::format("all layers need {}, {} were free when the model was loaded",
                      bytes_text(placement.needed_bytes.value_or(0)), bytes_text(placement.free_bytes.value_or(0))),
          "log, NVML"};
}
// An NVIDIA device by its number, behind which nothing can compute: its memory regions are tiny, or what answers for
// CUDA is not NVIDIA's and cannot run a kernel.
inline bool small_regions(const PciGpu& gpu) {
  constexpr uint64_t kSmall_bytes = 32 << 20;
  return gpu.largest_bar_bytes && *gpu.largest_bar_bytes < kSmall_bytes;
}
inline bool not_the_vendors_library(const Facts& facts) {
  const std::string& path = facts.cuda_library.path;
  const std::string name = path.substr(path.find_last_of('/') + 1);
  return facts.cuda_library.loads.value_or(false) && !path.empty() && !name.starts_with("libcuda.");
}
inline bool kernels_fail(const Facts& facts) {
  return facts.cuda.count.value_or(0) > 0 && std::ranges::any_of(facts.cuda.devices, [](const CudaDevice& device) {
           return device.kernel_right == false || device.code != 0;
         });
}
inline const PciGpu* emulated_gpu(const Facts& facts) {
  const Hardware& hardware = facts.hardware;
  if (hardware.nvidia_loaded || hardware.wsl) return nullptr;
  for (const PciGpu& gpu : hardware.gpus) {
    if (!gpu.nvidia() || gpu.driver == "nvidia" || gpu.driver == "vfio-pci") continue;
    if (small_regions(gpu) || not_the_vendors_library(facts) || kernels_fail(facts)) return &gpu;
  }
  return nullptr;
}
// NVIDIA hardware or its driver is here, or the server was told to use it.
inline bool gpu_expected(const Facts& facts) {
  return facts.hardware.nvidia || !facts.hardware.kernel_module.empty() || facts.hardware.any_node() ||
         facts.nvml.works();
}

}  // namespace hearth::doctor
