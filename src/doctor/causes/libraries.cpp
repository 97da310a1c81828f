// Which libcuda.so.1 the loader finds: 10, 11, 17, 30, 39, 69.
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

bool in_path(const Facts& facts, std::string_view part) {
  return facts.cuda_library.path.find(part) != std::string::npos;
}

std::optional<Verdict> forward_compat(const Facts& facts) {
  auto verdict = by_code(facts, kCertain, 804);
  if (verdict && in_path(facts, "compat"))
    verdict->evidence.push_back({"libcuda.so.1 is the image's own", facts.cuda_library.path});
  return verdict;
}

const Rule kForwardCompat = {
    "forward-compat-unsupported",
    10,
    "CUDA compatibility",
    "The container brings its own libcuda.so.1 (CUDA forward compatibility), which works on data centre GPUs only",
    "The image was built for a newer CUDA than the host's driver knows, and has a newer libcuda in a folder \"compat\" "
    "for "
    "that. On GeForce cards this answers 804.",
    "the path of libcuda.so.1 in the server's /proc/PID/maps",
    {{kOnHost | kContainers | kInKubernetes,
      "on the host (as root) or in the image; containers are created anew",
      {"Update the driver of the host, or take an image for an older CUDA",
       "Or take the image's compat folder out of the loader's path:",
       "$ rm /etc/ld.so.conf.d/*compat* && ldconfig    # in the image"}},
     {kInWsl2, "in Windows; then wsl --shutdown", {"Install the current NVIDIA driver for Windows"}}},
    "Building the application again",
    "gpustack#1254, #1540; TensorRT-LLM#1806; mistral-inference#144",
    86,
    anywhere,
    forward_compat,
    "use a container image whose CUDA version the host's driver supports, or update the host's driver, or take the "
    "\"compat\" directory out of LD_LIBRARY_PATH"};
const RegisterRule r10(&kForwardCompat);

std::optional<Verdict> compat_shadows(const Facts& facts) {
  const Evidence* code = facts.code(803);
  if (in_path(facts, "compat") &&
      (code != nullptr || (!facts.cuda.works() && facts.code(804) == nullptr && facts.cuda.asked))) {
    Verdict verdict{kCertain, {{"the libcuda.so.1 that is loaded is the image's", facts.cuda_library.path}}, "", ""};
    if (!facts.hardware.kernel_module.empty())
      verdict.evidence.push_back(
          {"the host's driver is " + facts.hardware.kernel_module, "/proc/driver/nvidia/version"});
    if (code != nullptr) verdict.evidence.push_back(*code);
    return verdict;
  }
  if (code == nullptr || facts.machine_known) return std::nullopt;
  return Verdict{facts.service == Service::kVllm ? kMedium : kLow, {*code}, "", ""};
}

const Rule kCompatShadows = {
    "compat-libcuda-shadows-driver",
    11,
    "CUDA compatibility",
    "A libcuda.so.1 of the image is loaded in place of the host driver's (code 803)",
    "The host is consistent, and other images work. In this one the folder of CUDA's compatibility library comes "
    "first, so "
    "that the library's version is not the kernel module's.",
    "the libcuda files that ldconfig -p lists in the container",
    {{kAnywhere,
      "where the container is created; create it anew",
      {"$ docker run -e LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/usr/local/nvidia/lib:/usr/lib/x86_64-linux-gnu ...",
       "Or in the image: delete the entry of compat in /etc/ld.so.conf.d and run ldconfig"}}},
    "Installing the host's driver again",
    "gpustack#4678; vllm#33447; llm-d#706",
    86,
    anywhere,
    compat_shadows};
const RegisterRule r11(&kCompatShadows);

std::optional<Verdict> stub(const Facts& facts) {
  auto verdict = by_code(facts, kCertain, 34);
  if (!verdict && in_path(facts, "/stubs/")) verdict = Verdict{kCertain, {}, "", ""};
  if (verdict && in_path(facts, "/stubs/"))
    verdict->evidence.push_back({"the loaded libcuda.so.1 is the toolkit's stub", facts.cuda_library.path});
  return verdict;
}

const Rule kStub = {
    "stub-libcuda",
    17,
    "libraries",
    "The loader finds the CUDA toolkit's stub of libcuda.so.1, which is for linking only",
    "The toolkit has an empty libcuda for machines that build without a GPU. Its folder is in LD_LIBRARY_PATH or the "
    "loader's configuration, so that programs get it in place of the driver.",
    "the path of libcuda.so.1 in the server's /proc/PID/maps",
    {{kAnywhere,
      "where the server's environment is set; then restart it (containers: create anew)",
      {"Take the folder that ends in lib64/stubs out of LD_LIBRARY_PATH and /etc/ld.so.conf.d, then:",
       "$ sudo ldconfig", "In images use stubs in the build stage only"}}},
    "A link from the stub to libcuda.so.1",
    "cuda.h; measured with the stub of CUDA 13.0",
    88,
    anywhere,
    stub,
    "take the directory that ends in \"stubs\" out of LD_LIBRARY_PATH and /etc/ld.so.conf.d, then run ldconfig"};
const RegisterRule r17(&kStub);

std::optional<Verdict> no_jit(const Facts& facts) {
  Verdict verdict{kCertain, {}, "", ""};
  for (const int code : {221, 222, 223}) add_code(facts, code, verdict);
  if (verdict.evidence.empty() && facts.code(218) != nullptr) {
    verdict.confidence = kHigh;
    add_code(facts, 218, verdict);
  }
  if (verdict.evidence.empty()) return std::nullopt;
  if (const auto set = facts.setting("CUDA_DISABLE_PTX_JIT"))
    verdict.evidence.push_back(evidence_of("CUDA_DISABLE_PTX_JIT", *set));
  const auto compiler = facts.libraries.find("libnvidia-ptxjitcompiler.so.1");
  if (compiler != facts.libraries.end() && !compiler->second.loads.value_or(true))
    verdict.evidence.push_back({"libnvidia-ptxjitcompiler.so.1 is not there", "dynamic loader"});
  return verdict;
}

const Rule kNoJit = {
    "ptx-jit-unavailable",
    30,
    "CUDA compatibility",
    "The driver cannot compile the server's kernels for this GPU (PTX)",
    "The server has no machine code for this GPU and leaves it to the driver's compiler. That library is missing "
    "(221), "
    "switched off (223), or older than the kernels (222).",
    "the code: 221 missing, 222 too old, 223 switched off",
    {{kContainers | kInKubernetes,
      "where the container is created; create it anew",
      {"Ask for the capability compute: NVIDIA_DRIVER_CAPABILITIES=compute,utility brings the compiler (221)",
       "Code 222: update the driver of the host, or take an older image", "Code 223: unset CUDA_DISABLE_PTX_JIT",
       "Give CUDA_CACHE_PATH a writable folder with 1 GiB, so that it compiles once only"}},
     {kOnHost | kInWsl2,
      "on this machine; then restart the server",
      {"Install the driver with all its compute libraries (221), a newer driver (222), or unset CUDA_DISABLE_PTX_JIT "
       "(223)",
       "Give CUDA_CACHE_PATH a writable folder with 1 GiB, so that it compiles once only"}}},
    "Switching the compiler off",
    "cuda.h; Ollama's build presets",
    80,
    anywhere,
    no_jit};
const RegisterRule r30(&kNoJit);

bool names_shim(const std::string& value) {
  const std::string small = lower(value);
  for (const char* word : {"vgpu", "cuda", "nvml", "nvidia", "hami", "shim", "gpu"})
    if (small.find(word) != std::string::npos) return true;
  return false;
}

std::optional<Verdict> preload_shim(const Facts& facts) {
  std::optional<Setting> preload = facts.setting("LD_PRELOAD");
  if (const std::string all = facts.files.text("/etc/ld.so.preload"); !preload && !all.empty())
    preload = Setting{all, "/etc/ld.so.preload"};
  if (!preload || !names_shim(preload->value)) return std::nullopt;
  const bool none =
      facts.cuda.count == 0 || facts.code(100) != nullptr || facts.code(500) != nullptr || facts.no_gpu_for_server();
  if (!none) return std::nullopt;
  Verdict verdict{kHigh, {evidence_of("LD_PRELOAD", *preload)}, "", ""};
  const std::string name = preload->value.substr(preload->value.find_last_of('/') + 1);
  for (const Process& child : facts.children) {
    if (!child.maps_known) continue;
    verdict.evidence.push_back({child.mapped(name) != nullptr
                                    ? "the child has the shim loaded, and still sees no device"
                                    : "the child has not loaded the shim",
                                fmt::format("/proc/{}/maps", child.pid)});
    break;
  }
  for (const char* pattern : {"L1", "L2"}) add_line(facts, pattern, verdict);
  return verdict;
}

const Rule kPreloadShim = {
    "ld-preload-shim-not-effective",
    39,
    "virtualisation",
    "A library in LD_PRELOAD is to stand in for CUDA, but the server's calls pass it by",
    "CUDA's runtime opens libcuda.so.1 by dlopen and asks it for functions by dlsym or cuGetProcAddress; these come "
    "from the "
    "real library, whatever was preloaded. A shim that another program runs is not loaded at all if the program is "
    "setuid "
    "or static.",
    "/proc/<child>/maps: whether the shim is there, and which libcuda; Ollama's log with OLLAMA_DEBUG=2",
    {{kAnywhere,
      "where the shim is built; then restart the server",
      {"Provide it as libcuda.so.1 and libnvidia-ml.so.1, first on the loader's path, with cuGetProcAddress and "
       "cuGetProcAddress_v2",
       "Or have it take dlsym over, as HAMi-core does",
       "Ollama puts its own folders before LD_LIBRARY_PATH: the shim must not lie behind them"}}},
    "Taking execve over: Go programs enter the kernel themselves; and children of Ollama do inherit LD_PRELOAD",
    "Ollama llm/server.go; Go syscall/exec_linux.go; HAMi-core src/libvgpu.c; HAMi#777, #1346, #1834",
    70,
    anywhere,
    preload_shim};
const RegisterRule r39(&kPreloadShim);

std::optional<Verdict> wsl_library(const Facts& facts) {
  const Hardware& hardware = facts.hardware;
  if (!hardware.wsl || facts.cuda.works()) return std::nullopt;
  if (!hardware.dxg && !hardware.container && hardware.nodes_known)
    return Verdict{kHigh,
                   {{"there is no /dev/dxg", "/dev"}},
                   "This is WSL1, or Windows gives WSL no GPU: there is no /dev/dxg",
                   ""};
  const std::string& path = facts.cuda_library.path;
  const bool linux_driver =
      !path.empty() && path.find("/usr/lib/wsl") == std::string::npos && (!hardware.container || facts.nvml.code == 9);
  if (linux_driver) {
    Verdict verdict{kCertain, {{"the loaded libcuda.so.1 is not Windows' own", path}}, "", ""};
    for (const int code : {100, 500}) add_code(facts, code, verdict);
    if (facts.nvml.code == 9) verdict.evidence.push_back({"nvmlInit answered 9 (driver not loaded)", "NVML"});
    return verdict;
  }
  for (const int code : {500, 100})
    if (facts.code(code) != nullptr && !facts.setting("CUDA_VISIBLE_DEVICES")) return by_code(facts, kMedium, code);
  return std::nullopt;
}

const Rule kWslLibrary = {
    "wsl2-wrong-libcuda",
    69,
    "WSL2",
    "A Linux NVIDIA driver inside WSL2 stands before Windows' own libcuda.so.1",
    "In WSL2 the driver is Windows' own, and its library lies in /usr/lib/wsl/lib. A package of Linux brought another "
    "libcuda, which finds no kernel module here and answers 100 or 500.",
    "ldconfig -p | grep libcuda: the first entry",
    {{kAnywhere,
      "inside WSL, as root; then in Windows",
      {"$ sudo apt purge 'nvidia-driver-*' 'libnvidia-compute-*'", "In PowerShell:", "$ wsl --update",
       "$ wsl --shutdown",
       "Update the NVIDIA driver of Windows; no /dev/dxg: the distribution must be WSL version 2 (wsl --set-version "
       "<name> 2)"}}},
    "Installing a Linux GPU driver; /dev/nvidia0 does not exist in WSL2 and need not",
    "ollama#684, #1167, #1888, #1940, #4659, #6955; Olares#2398; nixpkgs#389898",
    82,
    anywhere,
    wsl_library};
const RegisterRule r69(&kWslLibrary);

}  // namespace
}  // namespace hearth::doctor
