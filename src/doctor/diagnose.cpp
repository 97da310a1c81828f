#include "doctor/diagnose.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "doctor/judge.h"
#include "driver/errors.h"

namespace hearth::doctor {
namespace {

int score(const Finding& finding) {
  return 100 * static_cast<int>(finding.verdict.confidence) + finding.rule->weight;
}

bool server_healthy(const Facts& facts) {
  if (facts.placement.full() || facts.log.has("gpu.cache")) return true;
  if (facts.log.has("compute.gpu") && facts.gpu_found_by_server() && !facts.placement.partial()) return true;
  const bool all_in_memory = facts.api.running_known && !facts.api.running.empty() &&
                             std::ranges::all_of(facts.api.running, [](const RunningModel& model) {
                               return model.bytes > 0 && model.vram_bytes >= 0.98 * model.bytes;
                             });
  return all_in_memory;
}

bool compose_healthy(const Facts& facts) {
  return !facts.compose.services.empty() && facts.compose.problem.empty() &&
         std::ranges::all_of(facts.compose.services, [](const ComposeService& one) { return one.gpu_requested; });
}

void list_checked(const Facts& facts, Diagnosis& diagnosis) {
  const auto add = [&](std::string text) { diagnosis.checked.push_back(std::move(text)); };
  const Hardware& hardware = facts.hardware;
  if (hardware.nvidia) {
    for (const PciGpu& gpu : hardware.gpus)
      if (gpu.nvidia())
        add(fmt::format("NVIDIA device {:04x}:{:04x} at {}, bound to {}", gpu.vendor, gpu.device, gpu.address,
                        gpu.driver.empty() ? "nothing" : gpu.driver));
  } else if (hardware.pci_known && !hardware.wsl && facts.nvml.devices.empty()) {
    add(hardware.gpus.empty() ? "no graphics device on the PCI bus" : "no NVIDIA device on the PCI bus");
  }
  if (!hardware.kernel_module.empty())
    add("kernel module " + hardware.kernel_module + (hardware.open_module.value_or(false) ? " (open)" : ""));
  if (hardware.any_node())
    add(fmt::format("{} device files can be opened", std::ranges::count(hardware.nodes, "ok", &Node::open)));
  if (!facts.cuda_library.path.empty()) add("libcuda.so.1 is " + facts.cuda_library.path);
  if (facts.cuda.works()) {
    for (const CudaDevice& device : facts.cuda.devices)
      add(fmt::format("{}: compute capability {}, {} free, a kernel ran {}", device.name,
                      capability_text(device.capability),
                      bytes_text(static_cast<double>(device.free_bytes.value_or(0))),
                      device.kernel_right.value_or(false) ? "and its result is right" : "not (not tried)"));
  }
  if (facts.nvml.works())
    add(fmt::format("NVML: driver {}, {} GPU{}", facts.nvml.driver, facts.nvml.devices.size(),
                    facts.nvml.devices.size() == 1 ? "" : "s"));
  if (facts.placement.full()) add(fmt::format("all {} layers are on the GPU", *facts.placement.of_layers));
  for (const RunningModel& model : facts.api.running)
    if (model.bytes > 0 && model.vram_bytes >= 0.98 * model.bytes)
      add(fmt::format("{} is wholly in GPU memory ({})", model.name, bytes_text(model.vram_bytes)));
  if (facts.log_given) add(fmt::format("{} lines of log", facts.log.lines));
  for (const ComposeService& one : facts.compose.services)
    add(fmt::format("{}: service {} asks for a GPU", one.file, one.name));
  if (!facts.disks.empty()) add(fmt::format("{} file systems have room", facts.disks.size()));
}

// What no rule knows, but a call answered.
std::string unexplained(const Facts& facts) {
  if (facts.cuda.timed_out)
    return "the CUDA driver did not answer within its time limit; look for Xid in the kernel log (sudo dmesg | grep "
           "NVRM)";
  if (facts.cuda.code == 0) return {};
  const driver::Problem problem = driver::problem_of(static_cast<CUresult>(facts.cuda.code));
  return facts.cuda.failed_step + ": " + problem.text();
}

void conclude(const Facts& facts, Diagnosis& diagnosis) {
  if (!diagnosis.findings.empty()) {
    diagnosis.outcome = Outcome::kFindings;
    return;
  }
  const bool no_gpu_here = facts.machine_known && facts.hardware.pci_known && !facts.hardware.nvidia &&
                           facts.hardware.kernel_module.empty() && !facts.hardware.wsl && !facts.hardware.any_node() &&
                           !facts.nvml.works() && !facts.cuda_library.loads.value_or(false);
  const bool complains = facts.no_gpu_for_server() && !no_gpu_here;
  if (const std::string text = unexplained(facts); !text.empty() && !no_gpu_here) {
    diagnosis.unknown = text;
    return;
  }
  if (complains) {
    diagnosis.unknown =
        "the server uses no GPU, but nothing here says why; run \"hearth doctor\" where the server runs (in its "
        "container), or give its log from the start with OLLAMA_DEBUG=2";
    return;
  }
  if (!facts.api.problem.empty() && !facts.server && !facts.log_given && facts.compose.services.empty()) {
    diagnosis.unknown = fmt::format("{} does not run here, or not where it was looked for (--pid, --url): {}",
                                    service_name(facts.service), facts.api.problem);
    return;
  }
  const bool machine_well = facts.cuda.works() || no_gpu_here;
  const bool files_well = server_healthy(facts) || (compose_healthy(facts) && !facts.log_given);
  if (facts.machine_known ? machine_well || server_healthy(facts) : files_well) {
    diagnosis.outcome = Outcome::kHealthy;
    return;
  }
  if (!facts.machine_known)
    diagnosis.unknown = facts.compose.problem.empty() ? "the files show neither a fault nor that the GPU is used"
                                                      : "the compose file cannot be read: " + facts.compose.problem;
  else
    diagnosis.unknown = facts.cuda.asked ? "CUDA gives no device, and nothing here says why"
                                         : "CUDA was not asked, so that nothing says whether the GPU works";
}

}  // namespace

std::string_view confidence_name(Confidence confidence) {
  switch (confidence) {
    case Confidence::kCertain:
      return "certain";
    case Confidence::kHigh:
      return "high";
    case Confidence::kMedium:
      return "medium";
    case Confidence::kLow:
      return "low";
  }
  return "";
}

namespace {

// A title in the middle of a line: "The GPUs wait ..." goes on with a small letter, "CUDA fails ..." does not.
std::string within_a_line(std::string title) {
  constexpr const char* kOrdinary[] = {"A ", "After ", "An ", "Another ", "The ", "This "};
  if (std::ranges::any_of(kOrdinary, [&](const char* word) { return title.starts_with(word); }))
    title[0] = static_cast<char>(std::tolower(title[0]));
  return title;
}

}  // namespace

RegisterRule::RegisterRule(const Rule* rule) : rule_(rule) {
  if (rule->remedy == nullptr) return;
  words_ = {rule->id, within_a_line(rule->title), rule->remedy};
  registered_.emplace(&words_);
}

std::vector<const Rule*> rules() {
  std::vector<const Rule*> all = RegisterRule::all();
  std::ranges::sort(all, {}, &Rule::number);
  return all;
}

const Rule* find_rule(std::string_view id) {
  for (const Rule* rule : RegisterRule::all())
    if (id == rule->id || id == std::to_string(rule->number)) return rule;
  return nullptr;
}

Diagnosis diagnose(const Facts& facts) {
  Diagnosis diagnosis;
  for (const Rule* rule : rules()) {
    if (!rule->applies(facts)) continue;
    if (auto verdict = rule->judge(facts)) diagnosis.findings.push_back({rule, std::move(*verdict)});
  }
  std::ranges::stable_sort(diagnosis.findings, std::greater(), score);
  for (const auto& [path, file] : facts.files.all())
    if (file.exists() && !file.error.empty() && !file.content && !path.starts_with("/dev/"))
      diagnosis.unread.push_back(path + ": " + file.error);
  if (!facts.kernel_log_problem.empty()) diagnosis.unread.push_back("kernel log: " + facts.kernel_log_problem);
  conclude(facts, diagnosis);
  if (diagnosis.outcome == Outcome::kHealthy) list_checked(facts, diagnosis);
  return diagnosis;
}

std::vector<const Fix*> fixes_for(const Rule& rule, Place place) {
  unsigned wanted = kAnywhere;
  if (place == Place::kBareMetal) wanted = kOnHost;
  if (place == Place::kDocker) wanted = kInDocker;
  if (place == Place::kCompose) wanted = kInCompose;
  if (place == Place::kKubernetes) wanted = kInKubernetes;
  if (place == Place::kWsl2) wanted = kInWsl2;
  std::vector<const Fix*> fitting;
  const auto take = [&](unsigned places) {
    for (const Fix& fix : rule.fixes)
      if ((fix.places & places) != 0) fitting.push_back(&fix);
  };
  if (place == Place::kLxc) take(kInLxc);
  if (fitting.empty()) take(place == Place::kLxc ? kOnHost : wanted);
  if (fitting.empty()) fitting.push_back(&rule.fixes.front());
  return fitting;
}

}  // namespace hearth::doctor
