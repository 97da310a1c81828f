// The kernel driver: 1 to 9, 13, 16.
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

const PciGpu* nvidia_gpu(const Facts& facts) {
  for (const PciGpu& gpu : facts.hardware.gpus)
    if (gpu.nvidia()) return &gpu;
  return nullptr;
}

Evidence pci_evidence(const PciGpu& gpu) {
  return {fmt::format("NVIDIA device {:04x}:{:04x} at {}", gpu.vendor, gpu.device, gpu.address),
          "/sys/bus/pci/devices"};
}

bool module_missing(const Facts& facts) {
  const Hardware& hardware = facts.hardware;
  return hardware.nvidia && !hardware.nvidia_loaded && !facts.cuda.works() && !facts.nvml.works();
}

bool signature_refused(const Facts& facts) {
  return facts.log.has("secure.boot") && !facts.hardware.nvidia_loaded && !facts.cuda.works();
}

std::optional<Verdict> no_kernel_driver(const Facts& facts) {
  if (facts.log.has("L40.driver")) return Verdict{kCertain, {line(facts, "L40.driver")}, "", ""};
  if (emulated_gpu(facts) != nullptr) return std::nullopt;  // fake-or-emulated-gpu
  const PciGpu* gpu = nvidia_gpu(facts);
  if (module_missing(facts) && gpu != nullptr) {
    if (facts.hardware.secure_boot.value_or(false) && (!facts.hardware.module_file.empty() || signature_refused(facts)))
      return std::nullopt;  // secure-boot-blocks-module
    Verdict verdict{kCertain, {pci_evidence(*gpu)}, "", ""};
    verdict.evidence.push_back({"no NVIDIA kernel module is loaded", "/proc/driver/nvidia/version"});
    if (!gpu->driver.empty())
      verdict.evidence.push_back({"the device is bound to " + gpu->driver, "sysfs link driver"});
    if (gpu->driver == "vfio-pci")
      verdict.what = "The GPU is reserved for a virtual machine (vfio-pci), so no program here can use it";
    if (facts.nvml.code == 9) verdict.evidence.push_back({"nvmlInit answered 9 (driver not loaded)", "NVML"});
    return verdict;
  }
  if (facts.hardware.nvidia_loaded || facts.cuda.works() || facts.hardware.container) return std::nullopt;
  if (facts.hardware.pci_known && !facts.hardware.nvidia) return std::nullopt;
  if (facts.nvml.code == 9) return Verdict{kHigh, {{"nvmlInit answered 9 (driver not loaded)", "NVML"}}, "", ""};
  return by_line(facts, kHigh, "smi.driver");
}

const Rule kNoKernelDriver = {
    "no-kernel-driver",
    1,
    "driver",
    "NVIDIA's kernel driver does not run for this GPU",
    "The GPU is on the PCI bus, but no NVIDIA kernel module serves it: it is not installed, blacklisted, or the device "
    "is "
    "bound to another driver (nouveau, or vfio-pci for a virtual machine). Every CUDA program then uses the CPU.",
    "the driver that /sys/bus/pci/devices/<address>/driver points to",
    {{kOnHost,
      "on this machine, as root; then reboot",
      {"Install the distribution's driver package, for example:", "$ sudo ubuntu-drivers install    # Ubuntu",
       "$ sudo apt install nvidia-driver    # Debian, non-free",
       "If nouveau has the device: blacklist it and rebuild the initramfs",
       "$ sudo update-initramfs -u && sudo reboot"}},
     {kContainers | kInKubernetes,
      "on the host (not in the image), as root; then reboot it",
      {"Install the distribution's driver package on the host and check it there with nvidia-smi",
       "In a virtual machine finish the passthrough first"}}},
    "Installing the CUDA toolkit or the LLM server again: neither brings the kernel driver",
    "ollama#1460; NVIDIA driver README",
    80,
    off_wsl,
    no_kernel_driver,
    "install the NVIDIA driver, 525 or newer, and reboot"};
const RegisterRule r1(&kNoKernelDriver);

std::optional<Verdict> secure_boot(const Facts& facts) {
  const Hardware& hardware = facts.hardware;
  if (hardware.nvidia_loaded || facts.cuda.works()) return std::nullopt;
  const bool on = hardware.secure_boot.value_or(false);
  if (!signature_refused(facts) && !(on && !hardware.module_file.empty() && hardware.nvidia)) return std::nullopt;
  if (hardware.secure_boot.has_value() && !on) return std::nullopt;
  Verdict verdict{facts.log.has("secure.boot") ? kCertain : kHigh, {}, "", ""};
  if (on) verdict.evidence.push_back({"Secure Boot is on", "/sys/firmware/efi/efivars/SecureBoot-..."});
  if (!hardware.module_file.empty())
    verdict.evidence.push_back({"the module is there but not loaded", hardware.module_file});
  add_line(facts, "secure.boot", verdict);
  return verdict;
}

const Rule kSecureBoot = {
    "secure-boot-blocks-module",
    2,
    "driver",
    "Secure Boot refuses NVIDIA's kernel module, which is not signed with a key it knows",
    "After an update of the kernel or the driver the module was built anew, and nobody signed it with a key that the "
    "firmware trusts. The kernel refuses to load it, so there is no GPU for anybody.",
    "\"Key was rejected by service\" or \"unsigned module is rejected\" in the kernel log (sudo dmesg)",
    {{kAnywhere,
      "on the host, as root; needs a reboot and somebody at the screen",
      {"$ sudo mokutil --import /var/lib/dkms/mok.pub", "Reboot and confirm the key in the blue MOK screen",
       "Or install the distribution's signed modules (Ubuntu: linux-modules-nvidia-<version>-generic)"}}},
    "\"module verification failed ... tainting kernel\" is harmless: that module is loaded. Switching Secure Boot off "
    "is "
    "the last resort, not the first",
    "ollama#2587; NVIDIA driver README, common problems",
    82,
    off_wsl,
    secure_boot};
const RegisterRule r2(&kSecureBoot);

// The version in a driver library's file name: "libcuda.so.575.57.08" -> "575.57.08".
std::string version_of_file(const std::string& path) {
  const size_t so = path.rfind(".so.");
  if (so == std::string::npos) return {};
  const std::string version = path.substr(so + 4);
  return version.find('.') != std::string::npos && version.size() > 3 ? version : std::string();
}

bool shadowed(const Facts& facts) {
  const std::string& path = facts.cuda_library.path;
  return path.find("compat") != std::string::npos;
}

std::optional<Verdict> library_mismatch(const Facts& facts) {
  Verdict verdict{kCertain, {}, "", ""};
  const std::string& kernel = facts.hardware.kernel_module;
  // A mismatch gives 803; where CUDA answers something else, that is what to look into.
  const bool other_code = facts.cuda.code != 0 && facts.cuda.code != 803;
  if (!kernel.empty() && !facts.cuda.works() && !other_code && !shadowed(facts)) {
    for (const Library* library : {&facts.cuda_library, &facts.nvml_library}) {
      if (library == &facts.nvml_library && facts.nvml.works()) continue;
      const std::string version = version_of_file(library->path);
      if (version.empty() || version == kernel) continue;
      verdict.evidence.push_back({fmt::format("the kernel module is {}, the library {}", kernel, version),
                                  "/proc/driver/nvidia/version, " + library->path});
      verdict.what =
          fmt::format("NVIDIA's kernel module ({}) and its libraries ({}) have different versions", kernel, version);
    }
  }
  if (facts.nvml.code == 18)
    verdict.evidence.push_back({"nvmlInit answered 18 (driver/library version mismatch)", "NVML"});
  for (const char* pattern : {"L40.mismatch", "L41.mismatch", "L36.mismatch"}) add_line(facts, pattern, verdict);
  if (facts.log.has("L5.mismatch") && !facts.log.after("compute.gpu", "L5.mismatch"))
    add_line(facts, "L5.mismatch", verdict);
  const bool proven = !verdict.evidence.empty();
  if (facts.code(803) != nullptr && !shadowed(facts)) {
    add_code(facts, 803, verdict);
    if (!proven) verdict.confidence = kHigh;
  }
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kLibraryMismatch = {
    "driver-library-mismatch",
    3,
    "driver",
    "NVIDIA's kernel module and its libraries have different versions",
    "The driver's packages were updated (often unattended), but the kernel still runs the old module. New GPU programs "
    "fail; those that were running go on.",
    "compare /proc/driver/nvidia/version with the number at the end of libcuda.so's file name",
    {{kOnHost,
      "on this machine, as root",
      {"$ sudo reboot", "Or stop every user of the GPU, then:",
       "$ sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia && sudo modprobe nvidia",
       "To prevent it: hold the driver's packages (apt-mark hold)"}},
     {kContainers,
      "on the host, as root; then create the containers anew (they hold the old libraries)",
      {"$ sudo reboot", "$ docker compose up -d --force-recreate    # or docker rm and docker run again"}},
     {kInKubernetes,
      "on the node, as root",
      {"$ kubectl drain <node> --ignore-daemonsets",
       "Reboot the node, restart the driver and toolkit pods, then uncordon it"}}},
    "The CUDA toolkit and the image are not part of this",
    "nvidia-container-toolkit#394; nvidia-docker#365, #584, #737; ollama#1877",
    85,
    off_wsl,
    library_mismatch,
    "reboot; if it stays, reinstall the driver so that both have the same version; create containers anew, and take a "
    "\"compat\" directory out of their LD_LIBRARY_PATH"};
const RegisterRule r3(&kLibraryMismatch);

// PCI device IDs of the Blackwell family: B100/B200/GB200, GB202 to GB207, GB10, B300 (pci.ids).
bool blackwell(unsigned device) {
  const unsigned page = device >> 8;
  return page == 0x29 || (page >= 0x2b && device >= 0x2b80 && page <= 0x2f) || page == 0x31;
}

std::optional<Verdict> needs_open_module(const Facts& facts) {
  if (facts.log.has("L36.open") && !facts.cuda.works()) return Verdict{kCertain, {line(facts, "L36.open")}, "", ""};
  const Hardware& hardware = facts.hardware;
  if (hardware.open_module.value_or(true) || facts.cuda.works()) return std::nullopt;
  for (const PciGpu& gpu : hardware.gpus) {
    if (!gpu.nvidia() || !blackwell(gpu.device)) continue;
    if (facts.nvml.works() && !facts.nvml.devices.empty()) continue;
    Verdict verdict{facts.log.has("L36.adapter") ? kCertain : kHigh, {pci_evidence(gpu)}, "", ""};
    verdict.evidence.push_back(
        {"the module is the proprietary one: " + hardware.kernel_module, "/proc/driver/nvidia/version"});
    if (facts.nvml.works()) verdict.evidence.push_back({"NVML lists no device", "nvmlDeviceGetCount"});
    add_line(facts, "L36.adapter", verdict);
    add_line(facts, "smi.none", verdict);
    return verdict;
  }
  return std::nullopt;
}

const Rule kOpenModule = {
    "blackwell-needs-open-module",
    4,
    "driver",
    "This GPU (Blackwell) works with NVIDIA's open kernel modules only, but the proprietary one is loaded",
    "GPUs of the RTX 50 and GB10 generation have no support in the proprietary kernel module. It loads, finds no "
    "device "
    "that it can drive, and nvidia-smi says that no devices were found.",
    "\"requires use of the NVIDIA open kernel modules\" in the kernel log",
    {{kAnywhere,
      "on the host, as root; then reboot",
      {"$ sudo apt install nvidia-driver-570-open    # or a newer -open variant", "$ sudo reboot",
       "If the open module is loaded already: switch Above 4G Decoding and Resizable BAR on in the firmware"}}},
    "Older drivers and changes of the CUDA toolkit",
    "open-gpu-kernel-modules#862, #872; Start9Labs/start-technologies#3465, #3693",
    81,
    off_wsl,
    needs_open_module};
const RegisterRule r4(&kOpenModule);

// Three architectures apart is what matters: 8.6 and 8.9 are different, two of 8.9 are not.
bool several_generations(const Facts& facts) {
  int first = 0;
  for (const NvmlDevice& device : facts.nvml.devices) {
    if (first != 0 && device.capability != 0 && device.capability != first) return true;
    if (first == 0) first = device.capability;
  }
  return false;
}

bool each_works_alone(const Facts& facts) {
  if (facts.cuda_each.size() < 2) return false;
  return std::ranges::all_of(facts.cuda_each,
                             [](const CudaChain& chain) { return chain.asked && chain.code == 0 && !chain.timed_out; });
}

bool uvm_missing(const Facts& facts);
bool suspended(const Facts& facts) {
  return facts.hardware.suspended_s.value_or(0) > 1 || facts.log.has("suspended");
}

std::optional<Verdict> hmm_failure(const Facts& facts) {
  const Evidence* code = facts.code(3);
  if (code == nullptr || uvm_missing(facts) || each_works_alone(facts)) return std::nullopt;
  const Hardware& hardware = facts.hardware;
  if (hardware.open_module.has_value() && !*hardware.open_module) return std::nullopt;
  if (hardware.refused("EPERM") != nullptr || hardware.refused("EACCES") != nullptr) return std::nullopt;
  const std::string disabled = facts.files.text("/sys/module/nvidia_uvm/parameters/uvm_disable_hmm");
  if (disabled == "Y" || disabled == "1") return std::nullopt;
  const bool open = hardware.open_module.value_or(false);
  Verdict verdict{open && facts.nvml.works() ? kHigh : kMedium, {*code}, "", ""};
  if (open)
    verdict.evidence.push_back({"the open kernel module " + hardware.kernel_module, "/proc/driver/nvidia/version"});
  if (facts.nvml.works()) verdict.evidence.push_back({"NVML works, so the module itself does", "nvmlInit"});
  if (open && several_generations(facts)) verdict.confidence = kMedium;
  return verdict;
}

const Rule kHmmFailure = {
    "uvm-hmm-init-failure",
    5,
    "driver",
    "CUDA cannot be initialised (code 3) though the driver runs: a defect of its unified memory module (HMM)",
    "With the open kernel modules of 570.86 to 575.57 the unified memory module's heterogeneous memory management "
    "(HMM) "
    "can fail to start on some kernels. nvidia-smi works, every CUDA program gets code 3.",
    "whether it works with uvm_disable_hmm=1",
    {{kAnywhere,
      "on the host, as root; then reload nvidia_uvm or reboot",
      {"$ echo 'options nvidia_uvm uvm_disable_hmm=1' | sudo tee /etc/modprobe.d/nvidia-uvm.conf",
       "$ sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm    # or reboot", "Or install a newer driver"}}},
    "Changing to the proprietary module: RTX 50 cards do not work with it",
    "ollama#11593; open-gpu-kernel-modules#797, #901",
    75,
    off_wsl,
    hmm_failure};
const RegisterRule r5(&kHmmFailure);

bool uvm_missing(const Facts& facts) {
  const Hardware& hardware = facts.hardware;
  if (!hardware.nvidia_loaded || facts.cuda.works()) return false;
  const bool no_module = hardware.modules_known && facts.files.exists("/proc/modules") && !hardware.uvm_loaded;
  const bool no_node = hardware.any_node() && hardware.node("/dev/nvidia-uvm") == nullptr;
  // A container without any node was given no GPU: another cause.
  return hardware.any_node() ? no_module || no_node : no_module && !hardware.container;
}

std::optional<Verdict> no_uvm(const Facts& facts) {
  if (uvm_missing(facts)) {
    Verdict verdict{kCertain, {}, "", ""};
    verdict.evidence.push_back(
        {"the module nvidia is loaded: " + facts.hardware.kernel_module, "/proc/driver/nvidia/version"});
    if (!facts.hardware.uvm_loaded && facts.files.exists("/proc/modules"))
      verdict.evidence.push_back({"nvidia_uvm is not", "/proc/modules"});
    if (facts.hardware.node("/dev/nvidia-uvm") == nullptr)
      verdict.evidence.push_back({"there is no such file", "/dev/nvidia-uvm"});
    for (const int code : {3, 999, 304}) add_code(facts, code, verdict);
    return verdict;
  }
  if (facts.machine_known) return std::nullopt;
  for (const int code : {3, 999})
    if (facts.code(code) != nullptr) return by_code(facts, code == 999 ? kMedium : kLow, code);
  return std::nullopt;
}

const Rule kNoUvm = {
    "nvidia-uvm-missing",
    6,
    "device node",
    "NVIDIA's memory module (nvidia_uvm) or its device file is missing, without which CUDA does not start",
    "nvidia-smi does without nvidia_uvm, CUDA does not: it fails with code 999 or 3. The module is loaded on demand by "
    "a "
    "helper that containers and services without rights cannot run.",
    "whether /dev/nvidia-uvm exists where the server runs",
    {{kOnHost | kInKubernetes,
      "on the host, as root; then restart the server",
      {"$ sudo nvidia-modprobe -u -c=0",
       "To have it after every boot:", "$ echo nvidia_uvm | sudo tee /etc/modules-load.d/nvidia-uvm.conf"}},
     {kContainers,
      "on the host, as root; then create the container anew",
      {"$ sudo nvidia-modprobe -u -c=0", "Start the container with --gpus=all, which passes all device files",
       "With devices named by hand: add /dev/nvidia-uvm and /dev/nvidia-uvm-tools"}},
     {kInLxc,
      "on the host, as root; then restart the container",
      {"$ sudo nvidia-modprobe -u -c=0",
       "In the container's configuration (Proxmox: /etc/pve/lxc/ID.conf), with the major number of ls -l "
       "/dev/nvidia-uvm:",
       "lxc.cgroup2.devices.allow: c MAJOR_OF_UVM:* rwm",
       "lxc.mount.entry: /dev/nvidia-uvm dev/nvidia-uvm none bind,optional,create=file",
       "lxc.mount.entry: /dev/nvidia-uvm-tools dev/nvidia-uvm-tools none bind,optional,create=file"}}},
    "chmod on device files, installing anything again",
    "Ollama's troubleshooting document; ollama#8638",
    78,
    off_wsl,
    no_uvm};
const RegisterRule r6(&kNoUvm);

std::optional<Verdict> after_suspend(const Facts& facts) {
  if (!suspended(facts) || uvm_missing(facts) || facts.cuda.works()) return std::nullopt;
  const int number = facts.code(999) != nullptr ? 999 : 3;
  const Evidence* code = facts.code(number);
  if (code == nullptr || facts.hardware.refused("EPERM") != nullptr) return std::nullopt;
  Verdict verdict{number == 999 ? kHigh : kMedium, {*code}, "", ""};
  if (facts.hardware.suspended_s)
    verdict.evidence.push_back(
        {fmt::format("the machine slept {:.0f} s since it was booted", *facts.hardware.suspended_s),
         "CLOCK_BOOTTIME - CLOCK_MONOTONIC"});
  add_line(facts, "suspended", verdict);
  return verdict;
}

const Rule kSuspend = {"suspend-resume-uvm",
                       7,
                       "driver",
                       "After sleep or hibernation NVIDIA's memory module (nvidia_uvm) is stale",
                       "The module lost its state while the machine slept. Programs that start now get code 999 and "
                       "use the CPU; everything "
                       "else looks healthy.",
                       "whether it works after nvidia_uvm was loaded again",
                       {{kAnywhere,
                         "on the host, as root",
                         {"$ sudo systemctl stop ollama    # and other users of the GPU",
                          "$ sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm", "$ sudo systemctl start ollama",
                          "If the module is in use: close what uses the GPU, or reboot",
                          "To prevent it:", "$ sudo systemctl enable nvidia-suspend nvidia-resume nvidia-hibernate"}}},
                       "Installing the driver or the server again",
                       "Ollama's GPU document; ollama#5464, #8426, #1895; pop-os/default-settings#64",
                       79,
                       off_wsl,
                       after_suspend};
const RegisterRule r7(&kSuspend);

struct Floor {
  int driver;
  const char* of;
};
Floor driver_floor(const Facts& facts) {
  switch (facts.service) {
    case Service::kOllama:
      if (!facts.version.empty() && older(facts.version, "0.30.11")) return {0, ""};
      return {550, "Ollama from 0.30.11 on"};
    case Service::kHearth:
    case Service::kNone:
      return {525, "hearth"};
    default:
      return {525, "CUDA 12"};
  }
}

std::optional<Verdict> too_old(const Facts& facts) {
  if (const Hit* hit = facts.log.last("L8.floor")) {
    const auto has = to_number(hit->groups[0]), needs = to_number(hit->groups[1]);
    if (has && needs && *has < *needs)
      return Verdict{kCertain,
                     {line(facts, "L8.floor")},
                     fmt::format("The NVIDIA driver ({}) is older than the server needs ({})", *has, *needs),
                     ""};
  }
  for (const char* pattern : {"L8.hook", "L8.torch", "L40.cuda"})
    if (facts.log.has(pattern)) return by_line(facts, kCertain, pattern);
  for (const int code : {35, 36})
    if (facts.code(code) != nullptr) return by_code(facts, kCertain, code);
  std::string version = facts.hardware.kernel_module.empty() ? facts.nvml.driver : facts.hardware.kernel_module;
  const Floor floor = driver_floor(facts);
  const std::vector<int> numbers = version_numbers(version);
  if (numbers.empty() || numbers[0] >= floor.driver || facts.gpu_found_by_server()) return std::nullopt;
  // Windows counts otherwise, but every driver below its floor is below this one too.
  return Verdict{
      facts.no_gpu_for_server() || !facts.cuda.works() ? kHigh : kMedium,
      {{fmt::format("driver {}, but {} needs {}", version, floor.of, floor.driver), "NVIDIA driver's version"}},
      "",
      ""};
}

const Rule kTooOld = {
    "driver-too-old",
    8,
    "driver",
    "The NVIDIA driver is older than the server needs",
    "Every release of CUDA has an oldest driver. A server that was updated by itself can need a newer driver than the "
    "machine has; it then leaves the GPU alone.",
    "the server's log names the driver that it needs",
    {{kOnHost | kContainers | kInKubernetes,
      "on the host, as root; then reboot and create containers anew",
      {"Install a newer NVIDIA driver, 580 for the newest servers",
       "Or keep the driver and run an older release or image, built for an older CUDA"}},
     {kInWsl2,
      "in Windows, as administrator; then wsl --shutdown",
      {"Install the current NVIDIA driver for Windows (its numbers are not those of Linux)",
       "Or run an older release, built for an older CUDA"}}},
    "A CUDA toolkit: it brings no driver. Switching the check off does not make the driver newer",
    "Ollama discover/cuda_compat.go; ollama#11055; llama.cpp#9665; vllm#5635; nvidia-docker#1796; tabbyAPI#324",
    83,
    anywhere,
    too_old,
    "install NVIDIA driver 525 or newer on the host (on WSL2: in Windows)"};
const RegisterRule r8(&kTooOld);

std::optional<Verdict> fabric_manager(const Facts& facts) {
  const Evidence* code = facts.code(802);
  bool waiting = false;
  for (const NvmlDevice& device : facts.nvml.devices)
    waiting = waiting || device.fabric_state == 1 || device.fabric_state == 2;
  if (code == nullptr && !(waiting && facts.cuda.asked && !facts.cuda.works())) return std::nullopt;
  Verdict verdict{waiting ? kCertain : kHigh, {}, "", ""};
  add_code(facts, 802, verdict);
  if (waiting) verdict.evidence.push_back({"the fabric has not been set up", "nvmlDeviceGetGpuFabricInfo"});
  return verdict;
}

const Rule kFabric = {"fabric-manager-not-ready",
                      9,
                      "driver",
                      "The GPUs wait for NVIDIA's fabric manager, which does not run or is of another version",
                      "Servers with NVSwitch need a service that sets up the links between the GPUs. nvidia-smi shows "
                      "the GPUs without it, "
                      "but CUDA answers 802.",
                      "whether nvidia-fabricmanager runs in exactly the driver's version",
                      {{kAnywhere,
                        "on the host or node, as root; then restart the server",
                        {"$ sudo apt install nvidia-fabricmanager-<driver branch>    # exactly the driver's version",
                         "$ sudo systemctl enable --now nvidia-fabricmanager",
                         "On a rented slice of such a server: this is the provider's to repair"}}},
                      "CUDA_VISIBLE_DEVICES: no choice of GPUs helps",
                      "ollama#5567, #9031, #11963, #12136; pytorch#35710; gpustack#4154; huggingface_hub#4134",
                      84,
                      off_wsl,
                      fabric_manager,
                      "install nvidia-fabricmanager in exactly the driver's version and run \"sudo systemctl enable "
                      "--now nvidia-fabricmanager\""};
const RegisterRule r9(&kFabric);

std::optional<Verdict> mixed_generations(const Facts& facts) {
  if (facts.code(3) == nullptr) return std::nullopt;
  if (each_works_alone(facts) && facts.cuda.code == 3) {
    Verdict verdict{kCertain, {}, "", ""};
    add_code(facts, 3, verdict);
    verdict.evidence.push_back({fmt::format("each of the {} GPUs works alone", facts.cuda_each.size()),
                                "CUDA driver with CUDA_VISIBLE_DEVICES=<UUID>"});
    return verdict;
  }
  if (!several_generations(facts)) return std::nullopt;
  Verdict verdict{kMedium, {}, "", ""};
  add_code(facts, 3, verdict);
  verdict.evidence.push_back({"GPUs of different generations", "nvmlDeviceGetCudaComputeCapability"});
  return verdict;
}

const Rule kMixed = {
    "mixed-generation-init-failure",
    13,
    "driver",
    "CUDA fails (code 3) when GPUs of two generations are visible together",
    "This driver starts with each of the GPUs alone, but not with both. It is a defect of the driver, not of a card.",
    "whether CUDA starts with CUDA_VISIBLE_DEVICES set to the UUID of one GPU",
    {{kAnywhere,
      "where the server's environment is set; then restart the server (containers: create anew)",
      {"Give the server one GPU: its UUID as nvidia-smi -L shows it, in CUDA_VISIBLE_DEVICES",
       "Or install another branch of the driver on the host"}}},
    "Replacing hardware",
    "aikitoria/open-gpu-kernel-modules#26",
    77,
    anywhere,
    mixed_generations};
const RegisterRule r13(&kMixed);

std::optional<Verdict> gsp_timeout(const Facts& facts) {
  const auto xids = facts.log.hits.find("L36.xid");
  if (xids != facts.log.hits.end()) {
    for (const Hit& hit : xids->second)
      if (hit.groups[1] == "119" || hit.groups[1] == "120")
        return Verdict{kCertain, {{std::string(trim(hit.line)), "kernel log"}}, "", ""};
  }
  const bool stuck = std::ranges::any_of(facts.processes, [](const Process& process) { return process.state == "D"; });
  if (!facts.nvml.timed_out) return std::nullopt;
  Verdict verdict{
      stuck || facts.cuda.timed_out ? kHigh : kMedium, {{"NVML did not answer in time", "nvmlInit"}}, "", ""};
  if (stuck) verdict.evidence.push_back({"a process of the GPU is in state D", "/proc/PID/status"});
  return verdict;
}

const Rule kGsp = {"gsp-timeout",
                   16,
                   "driver",
                   "The GPU's own processor (GSP) stopped answering the driver",
                   "The driver's firmware on the GPU hangs. Calls to NVML and CUDA block, processes get stuck in state "
                   "D, discovery of "
                   "GPUs times out.",
                   "Xid 119 or 120 in the kernel log (sudo dmesg | grep NVRM)",
                   {{kAnywhere,
                     "on the host, as root",
                     {"$ sudo reboot", "If it comes again: install another branch of the driver",
                      "With the proprietary module the firmware can be left out: option NVreg_EnableGpuFirmware=0 of "
                      "the module nvidia"}}},
                   "Longer timeouts in the server",
                   "open kernel module nverror.h (GSP_RPC_TIMEOUT 119, GSP_ERROR 120); open-gpu-kernel-modules#1342",
                   88,
                   anywhere,
                   gsp_timeout};
const RegisterRule r16(&kGsp);

}  // namespace
}  // namespace hearth::doctor
