// GPUs of virtual machines: 71, 72.
#include "base/text.h"
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

bool virtual_gpu(const Facts& facts) {
  for (const NvmlDevice& device : facts.nvml.devices)
    if (device.virtualization == 2 || device.name.find("GRID") != std::string::npos) return true;
  return std::ranges::any_of(facts.cuda.devices,
                             [](const CudaDevice& device) { return device.name.find("GRID") != std::string::npos; });
}

std::optional<Verdict> vgpu(const Facts& facts) {
  if (facts.code(102) != nullptr) return Verdict{kCertain, {*facts.code(102)}, "The virtual GPU has no licence", ""};
  const bool is = virtual_gpu(facts);
  Verdict verdict{kHigh, {}, "", ""};
  if (is) verdict.evidence.push_back({"this is a virtual GPU", "nvmlDeviceGetVirtualizationMode"});
  if (facts.code(801) != nullptr) {
    add_code(facts, 801, verdict);
    add_line(facts, "vmm.no", verdict);
    if (!is) verdict.confidence = kMedium;
    return verdict;
  }
  if (facts.code(46) == nullptr || !is) return std::nullopt;
  verdict.confidence = kMedium;
  add_code(facts, 46, verdict);
  return verdict;
}

const Rule kVgpu = {
    "vgpu-restricted",
    71,
    "virtualisation",
    "The virtual GPU (vGPU) of this machine does not allow what CUDA needs",
    "A vGPU has unified memory only if the hypervisor enables it, CUDA only in C and Q profiles, and its full speed "
    "only "
    "with a licence.",
    "the profile and the licence: nvidia-smi -q",
    {{kAnywhere,
      "on the hypervisor; the virtual machine is switched off and on",
      {"Enable unified memory for the vGPU (plugin parameter enable_uvm=1)",
       "A profile of the C or Q series, and the licence's client in the machine", "Or pass the whole GPU through"}}},
    "Changing the driver inside the machine",
    "ollama#8980, #10409; llama.cpp#11841",
    80,
    anywhere,
    vgpu};
const RegisterRule r71(&kVgpu);

std::optional<Verdict> fake(const Facts& facts) {
  const PciGpu* gpu = emulated_gpu(facts);
  if (gpu == nullptr) return std::nullopt;
  Verdict verdict{
      kHigh,
      {{fmt::format("device {:04x}:{:04x} at {} without the NVIDIA driver", gpu->vendor, gpu->device, gpu->address),
        "/sys/bus/pci/devices"}},
      "",
      ""};
  if (small_regions(*gpu))
    verdict.evidence.push_back(
        {fmt::format("its largest memory region has {}", size_text(*gpu->largest_bar_bytes)), "sysfs resource"});
  if (not_the_vendors_library(facts))
    verdict.evidence.push_back({"CUDA's answers come from another library", facts.cuda_library.path});
  if (kernels_fail(facts)) verdict.evidence.push_back({"no kernel ran with a right result", "CUDA driver"});
  if (gpu->subsystem_vendor != 0 && gpu->subsystem_vendor != 0x10de)
    verdict.evidence.push_back(
        {fmt::format("subsystem vendor {:04x}", gpu->subsystem_vendor), "sysfs subsystem_vendor"});
  verdict.evidence.push_back({"there is no NVIDIA kernel module", "/proc/driver/nvidia/version"});
  return verdict;
}

const Rule kFake = {"fake-or-emulated-gpu",
                    72,
                    "virtualisation",
                    "The PCI device has an NVIDIA number, but behind it is no GPU that can run kernels",
                    "A hypervisor shows a device with the number of an NVIDIA card. Without the card, or a library "
                    "that forwards every call "
                    "to one, nothing computes there, whatever name and memory a shim reports.",
                    "a kernel that runs and gives the right result",
                    {{kAnywhere,
                      "on the hypervisor",
                      {"Pass a real GPU or vGPU through",
                       "Or use software for remote GPUs whose libcuda.so.1 is complete (not only device queries)",
                       "Until then the server runs on the CPU"}}},
                    "Memory size and compute capability that a shim returns; a cuInit that succeeds",
                    "HAMi#1834",
                    74,
                    off_wsl,
                    fake};
const RegisterRule r72(&kFake);

}  // namespace
}  // namespace hearth::doctor
