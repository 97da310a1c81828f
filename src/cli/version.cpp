#include "cli/version.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "cli/build_facts.h"
#include "cpu/cpu_device.h"
#include "cuda/cuda_device.h"
#include "cuda/images.h"

namespace hearth::cli {
namespace {

std::string dotted(int capability) {
  return fmt::format("{}.{}", capability / 10, capability % 10);
}

// "kernels for compute capability 7.5, 9.0 and, compiled by the driver, 7.5 and newer".
std::string cuda_text() {
  if (!cuda::has_kernels()) return "not in this build";
  std::set<int> machine_code;
  int oldest_ptx = std::numeric_limits<int>::max();
  for (const cuda::Image& image : cuda::embedded_images()) {
    if (image.kind == cuda::ImageKind::kMachineCode) machine_code.insert(image.compute_capability);
    if (image.kind == cuda::ImageKind::kPtx) oldest_ptx = std::min(oldest_ptx, image.compute_capability);
  }
  std::vector<std::string> list;
  for (const int capability : machine_code) list.push_back(dotted(capability));
  const std::string any =
      fmt::format("by the driver's compiler for any compute capability from {} on", dotted(oldest_ptx));
  if (list.empty()) return "kernels " + any;
  return fmt::format("kernels for compute capability {}, and {}", fmt::join(list, ", "), any);
}

// "machine code by CUDA 13", "7.5, 9.0, 9.0a" and so on, a line each.
std::string targets_text() {
  std::map<std::pair<bool, int>, std::set<std::pair<int, bool>>> targets;  // by kind and toolkit
  for (const cuda::Image& image : cuda::embedded_images()) {
    const bool ptx = image.kind == cuda::ImageKind::kPtx;
    targets[{ptx, image.toolkit}].insert({image.compute_capability, image.exact});
  }
  std::string text;
  for (const auto& [kind, capabilities] : targets) {
    const auto& [ptx, toolkit] = kind;
    std::vector<std::string> list;
    for (const auto& [capability, exact] : capabilities) list.push_back(dotted(capability) + (exact ? "a" : ""));
    const std::string what = ptx ? std::string("PTX") : fmt::format("machine code by CUDA {}", toolkit);
    text += fmt::format("{}: {}\n", what, fmt::join(list, ", "));
  }
  return text;
}

}  // namespace

std::string version_text(bool verbose) {
  const std::string text = fmt::format("hearth {}\nCPU: {}\nCUDA: {}\n", HEARTH_VERSION,
                                       fmt::join(cpu::supported_isas(), ", "), cuda_text());
  if (!verbose) return text;
  return text + fmt::format("commit: {}\n{}libraries: {}\n", kCommit, targets_text(), kLibraries);
}

}  // namespace hearth::cli
