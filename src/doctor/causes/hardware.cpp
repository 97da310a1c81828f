// The card itself: 14, 15, 67, 68.
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

// The first line of an Xid out of a list; null if there is none.
const Hit* xid(const Facts& facts, std::initializer_list<std::string_view> numbers) {
  const auto found = facts.log.hits.find("L36.xid");
  if (found == facts.log.hits.end()) return nullptr;
  for (const Hit& hit : found->second)
    if (std::ranges::find(numbers, hit.groups[1]) != numbers.end()) return &hit;
  return nullptr;
}

Evidence kernel_line(const Hit& hit) {
  return {std::string(trim(hit.line)), "kernel log"};
}

std::optional<Verdict> off_the_bus(const Facts& facts) {
  Verdict verdict{kCertain, {}, "", ""};
  if (const Hit* hit = xid(facts, {"79"}))
    verdict.evidence.push_back(kernel_line(*hit));
  else if (facts.log.has("L36.bus"))
    verdict.evidence.push_back(line(facts, "L36.bus"));
  if (facts.nvml.code == 15) verdict.evidence.push_back({"nvmlInit answered 15 (GPU is lost)", "NVML"});
  for (const NvmlDevice& device : facts.nvml.devices)
    if (device.failed_code == 15)
      verdict.evidence.push_back({device.failed_call + " answered 15 (GPU is lost)", "NVML"});
  for (const PciGpu& gpu : facts.hardware.gpus)
    if (gpu.nvidia() && gpu.width && (*gpu.width == 0 || *gpu.width == 255) && !facts.cuda.works() &&
        facts.hardware.nvidia_loaded)
      verdict.evidence.push_back(
          {fmt::format("the link of {} has width {}", gpu.address, *gpu.width), "current_link_width"});
  if (verdict.evidence.empty() && facts.log.has("smi.lost")) {
    verdict.confidence = kHigh;
    verdict.evidence.push_back(line(facts, "smi.lost"));
  }
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kOffTheBus = {
    "gpu-fell-off-bus",
    14,
    "hardware",
    "The GPU fell off the PCI bus: it does not answer any more",
    "Under load the card stopped to answer on PCI Express. The reason is power, heat, a riser cable, the seat of the "
    "card "
    "or firmware, not a setting of software.",
    "Xid 79 in the kernel log (sudo dmesg | grep NVRM)",
    {{kAnywhere,
      "at the machine; needs a reboot",
      {"Reboot; then reseat the card, give it separate power cables, cool it, update the firmware (BIOS)",
       "To test whether it is power: cap the clock, as root on the host:", "$ sudo nvidia-smi -lgc 300,1500"}}},
    "Resetting the driver as a cure, or going on because the CPU still answers",
    "open-gpu-kernel-modules#507, #1342; NVSentinel#155",
    90,
    anywhere,
    off_the_bus};
const RegisterRule r14(&kOffTheBus);

std::optional<Verdict> memory_fault(const Facts& facts) {
  Verdict verdict{kHigh, {}, "", ""};
  bool pending = false;
  for (const NvmlDevice& device : facts.nvml.devices) {
    if (device.remap_failed.value_or(0) != 0)
      verdict.evidence.push_back({"a row of memory could not be replaced", "nvmlDeviceGetRemappedRows"});
    if (device.remap_pending.value_or(0) != 0) {
      pending = true;
      verdict.evidence.push_back({"rows of memory wait for a reset to be replaced", "nvmlDeviceGetRemappedRows"});
    }
    if (device.ecc_errors.value_or(0) > 0)
      verdict.evidence.push_back(
          {fmt::format("{} uncorrected memory errors", *device.ecc_errors), "nvmlDeviceGetTotalEccErrors"});
    if (device.failed_code == 16)
      verdict.evidence.push_back({device.failed_call + " answered 16 (reset required)", "NVML"});
  }
  if (const Hit* hit = xid(facts, {"48", "64", "95", "94"})) verdict.evidence.push_back(kernel_line(*hit));
  if (const Hit* hit = xid(facts, {"63"})) {
    verdict.evidence.push_back(kernel_line(*hit));
    if (pending) verdict.confidence = kCertain;
  }
  if (pending) verdict.confidence = kCertain;
  for (const int code : {214, 220}) add_code(facts, code, verdict);
  if (!verdict.evidence.empty()) {
    for (const int code : {700, 719}) add_code(facts, code, verdict);
    return verdict;
  }
  for (const int code : {700, 719}) add_code(facts, code, verdict);
  if (verdict.evidence.empty()) return std::nullopt;
  verdict.confidence = kLow;
  verdict.what = "A GPU kernel broke off; a defect of the server is more likely, defective GPU memory possible";
  return verdict;
}

const Rule kMemoryFault = {"ecc-memory-fault",
                           15,
                           "hardware",
                           "The GPU's memory has errors that cannot be corrected",
                           "Single rows of memory fail. The driver replaces them at the next reset; when it cannot, or "
                           "when it comes again, the "
                           "card is defective. Meanwhile kernels crash or compute nonsense.",
                           "Xid 48, 63, 64, 94 or 95 in the kernel log (sudo dmesg | grep NVRM)",
                           {{kAnywhere,
                             "on the host, as root; ends every program on the GPU",
                             {"Stop all users of the GPU, then:", "$ sudo nvidia-smi --gpu-reset    # or reboot",
                              "Have the card replaced if Xid 64 came, or if the errors come again"}}},
                           "Xid 94 is not a corrected error; Xid 13 and 31 alone are no sign of defective memory",
                           "open kernel module nverror.h; NVIDIA's Xid catalogue",
                           87,
                           anywhere,
                           memory_fault,
                           "stop all users of the GPU and reset it (\"sudo nvidia-smi --gpu-reset\") or reboot; if it "
                           "comes again, the card is defective"};
const RegisterRule r15(&kMemoryFault);

constexpr uint64_t kPowerCap = 0x4, kSlowdown = 0x8, kHeatSoftware = 0x20, kHeatHardware = 0x40, kPowerBrake = 0x80;

std::optional<Verdict> throttled(const Facts& facts) {
  for (const NvmlDevice& device : facts.nvml.devices) {
    const uint64_t reasons = device.clocks_reasons.value_or(0);
    Verdict verdict{kCertain,
                    {{fmt::format("clocks are held down: {:#x}", reasons), "nvmlDeviceGetCurrentClocksEventReasons"}},
                    "",
                    ""};
    if (device.sm_mhz && device.max_sm_mhz)
      verdict.evidence.push_back(
          {fmt::format("{} of {} MHz", *device.sm_mhz, *device.max_sm_mhz), "nvmlDeviceGetClockInfo"});
    if (device.temperature_c)
      verdict.evidence.push_back({fmt::format("{} degrees C", *device.temperature_c), "nvmlDeviceGetTemperature"});
    if ((reasons & (kHeatSoftware | kHeatHardware)) != 0) {
      verdict.what = "The GPU slows itself down because it is too hot";
      return verdict;
    }
    if ((reasons & (kSlowdown | kPowerBrake)) != 0) {
      verdict.what = "The GPU is slowed down by its power supply";
      verdict.confidence = kHigh;
      return verdict;
    }
    if ((reasons & kPowerCap) == 0 || !device.power_limit_mw || !device.default_power_limit_mw) continue;
    if (*device.power_limit_mw >= *device.default_power_limit_mw) continue;
    verdict.what = "Somebody lowered the GPU's power limit, and it holds the clocks down";
    verdict.evidence.push_back({fmt::format("the limit is {} W, by default {} W", *device.power_limit_mw / 1000,
                                            *device.default_power_limit_mw / 1000),
                                "nvmlDeviceGetEnforcedPowerLimit"});
    return verdict;
  }
  return std::nullopt;
}

const Rule kThrottled = {
    "power-or-thermal-throttle",
    67,
    "power and heat",
    "The GPU's clocks are held down by heat or power",
    "The speed sags after a minute of work, or is low from the start on battery. Bits 0x20 and 0x40 mean heat, 0x8 and "
    "0x80 "
    "the power supply, 0x4 a power limit, which is normal at full load unless somebody lowered it.",
    "the same bits while a long answer is generated",
    {{kAnywhere,
      "at the machine; the limit on the host, as root",
      {"Heat: clean the fans, give the machine air, set a steeper fan curve",
       "Power supply: check cables and supply; laptop: charger and performance mode",
       "A lowered limit: set the default that nvidia-smi -q -d POWER shows", "$ sudo nvidia-smi -pl <default>"}}},
    "The idle bit (0x1) and a power cap at the default limit are normal; layers have nothing to do with it",
    "NVML header; ollama#6163, #6364",
    40,
    anywhere,
    throttled};
const RegisterRule r67(&kThrottled);

std::optional<Verdict> narrow_link(const Facts& facts) {
  constexpr int64_t kUnknown = -1;  // percent of the time in which the GPU works
  const auto judge = [&](int64_t width, int64_t most, int64_t busy, const std::string& name,
                         const char* source) -> std::optional<Verdict> {
    if (width <= 0 || most <= 0 || 2 * width >= most || width == 255) return std::nullopt;
    if (busy != kUnknown && busy < 5 && 4 * width > most) return std::nullopt;
    return Verdict{
        busy >= 5 ? kCertain : kHigh, {{fmt::format("{}: {} of {} lanes", name, width, most), source}}, "", ""};
  };
  for (const NvmlDevice& device : facts.nvml.devices)
    if (device.width && device.max_width)
      if (auto verdict = judge(*device.width, *device.max_width, device.utilization.value_or(kUnknown), device.name,
                               "nvmlDeviceGetCurrPcieLinkWidth"))
        return verdict;
  const int64_t busy = facts.nvml.devices.size() == 1 ? facts.nvml.devices[0].utilization.value_or(kUnknown) : kUnknown;
  for (const PciGpu& gpu : facts.hardware.gpus)
    if (gpu.nvidia() && gpu.width && gpu.max_width && !gpu.driver.empty())
      if (auto verdict = judge(*gpu.width, *gpu.max_width, busy, gpu.address, "sysfs current_link_width"))
        return verdict;
  return std::nullopt;
}

const Rule kNarrowLink = {"pcie-link-degraded",
                          68,
                          "PCI Express",
                          "The GPU is connected by fewer PCI Express lanes than it has",
                          "A riser, a slot for x1 or x4, or a bad contact. Loading a model and prompts with partial "
                          "offload are slow; an answer "
                          "of a model that is wholly on the GPU is hardly slower.",
                          "the width while the GPU works",
                          {{kAnywhere,
                            "at the machine, switched off",
                            {"Seat the card again, use the slot nearest to the processor, avoid risers, look at the "
                             "firmware's settings (bifurcation)",
                             "Models that lie wholly on the GPU suffer least"}}},
                          "A low link speed (generation 1) while the GPU is idle is normal",
                          "llama.cpp#8323; NVML and sysfs",
                          20,
                          anywhere,
                          narrow_link};
const RegisterRule r68(&kNarrowLink);

}  // namespace
}  // namespace hearth::doctor
