// What the server was built with and what of it is there: 26 to 29, 31 to 33, 82.
#include <set>

#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

bool image_without_cuda(const ComposeService& one) {
  const std::string image = lower(one.image);
  const auto has = [&](std::string_view part) { return image.find(part) != std::string::npos; };
  const std::string tag =
      image.find(':', image.find_last_of('/') + 1) == std::string::npos ? "" : image.substr(image.rfind(':') + 1);
  switch (one.service) {
    case Service::kOllama:
      return tag.find("rocm") != std::string::npos;
    case Service::kLlamaCpp:
      return has("llama.cpp:") && !has("cuda") &&
             (tag.starts_with("server") || tag.starts_with("full") || tag.starts_with("light"));
    case Service::kLocalai:
      return !has("nvidia") && !has("cuda") && !has("gpu-") && !tag.empty();
    case Service::kVllm:
      return has("vllm-cpu") || tag.find("cpu") != std::string::npos;
    case Service::kHearth:
    case Service::kNone:
      return false;
  }
  return false;
}

// Of load_backend lines: those that name something else than the CPU.
bool gpu_backend_loaded(const Facts& facts) {
  const auto found = facts.log.hits.find("L19");
  if (found == facts.log.hits.end()) return false;
  return std::ranges::any_of(found->second, [](const Hit& hit) {
    return hit.groups[0] != "CPU" && hit.groups[0] != "BLAS" && hit.groups[0] != "RPC";
  });
}
bool only_cpu_backends(const Facts& facts) {
  return facts.log.has("L19") && !gpu_backend_loaded(facts);
}

// The children and the server itself, whose maps could be read.
std::optional<bool> cuda_backend_mapped(const Facts& facts) {
  std::vector<Process> family = facts.children;
  if (facts.server) family.push_back(*facts.server);
  bool known = false;
  for (const Process& process : family) {
    known = known || process.maps_known;
    for (const char* part : {"ggml-cuda", "libcudart", "libcublas", "libtorch_cuda"})
      if (process.mapped(part) != nullptr) return true;
  }
  return known ? std::optional(false) : std::nullopt;
}

std::set<std::string> cuda_folders(const Facts& facts) {
  std::set<std::string> names;
  const std::string folder = facts.library_folder();
  for (const std::string& name : folder.empty() ? std::vector<std::string>() : facts.files.children(folder))
    if (name.starts_with("cuda_") || name.find("ggml-cuda") != std::string::npos) names.insert(name);
  return names;
}

std::optional<Verdict> cpu_only(const Facts& facts) {
  if (facts.gpu_found_by_server() || gpu_backend_loaded(facts)) return std::nullopt;
  if (facts.log.has("L46")) return Verdict{kCertain, {line(facts, "L46")}, "", ""};
  for (const ComposeService& one : facts.compose.services)
    if (image_without_cuda(one))
      return Verdict{kHigh, {{"image: " + one.image, one.file + ", service " + one.name}}, "", ""};
  const bool works_here = facts.cuda.works();
  const bool detected = facts.log.has("compute.gpu");
  Verdict verdict{kCertain, {}, "", ""};
  if (works_here) verdict.evidence.push_back({"CUDA works in this process", "CUDA driver"});
  if (facts.log.has("L18")) {
    add_line(facts, "L18", verdict);
    if (!works_here) verdict.confidence = facts.machine_known ? kMedium : kHigh;
    return verdict;
  }
  if (!works_here || detected || facts.log.has("L43") || facts.log.has("L44") || facts.log.has("L7") ||
      facts.log.has("L9") || facts.log.has("L6"))
    return std::nullopt;
  const bool none_there = !facts.library_folder().empty() && cuda_folders(facts).empty();
  const bool not_mapped = !cuda_backend_mapped(facts).value_or(true);
  if (none_there) verdict.evidence.push_back({"no CUDA library there", facts.library_folder()});
  if (not_mapped && facts.service != Service::kNone)
    verdict.evidence.push_back({"no CUDA library is loaded", "/proc/PID/maps"});
  if (only_cpu_backends(facts)) add_line(facts, "L19", verdict);
  if (verdict.evidence.size() < 2) return std::nullopt;
  if (!none_there) verdict.confidence = only_cpu_backends(facts) && facts.library_folder().empty() ? kCertain : kMedium;
  return verdict;
}

const Rule kCpuOnly = {
    "cpu-only-build",
    26,
    "build",
    "The server was built without CUDA, or its image is one without it",
    "The GPU and its driver are healthy; this build simply has no GPU code. Packages and images often come in two "
    "kinds.",
    "whether a libggml-cuda or libcudart belongs to the installation",
    {{kOnHost | kInWsl2,
      "on this machine; then restart the server",
      {"Ollama: Arch: pacman -S ollama-cuda; NixOS: services.ollama.acceleration = \"cuda\"; else the official package",
       "llama.cpp: build with -DGGML_CUDA=ON", "llama-cpp-python:",
       "$ CMAKE_ARGS=\"-DGGML_CUDA=on\" pip install llama-cpp-python --force-reinstall --no-cache-dir",
       "vLLM: the CUDA wheel, not the CPU one"}},
     {kContainers | kInKubernetes,
      "where the image is named; create the container anew",
      {"llama.cpp: ghcr.io/ggml-org/llama.cpp:server-cuda (or full-cuda)",
       "LocalAI: a tag with gpu-nvidia-cuda-12 or -13", "Ollama: ollama/ollama without -rocm",
       "vLLM: vllm/vllm-openai"}}},
    "-ngl or environment variables on a CPU build",
    "llama.cpp#15946, #10564; ollama#1651, #8349; omarchy#1319; nixpkgs#333123; llama-cpp-python#514; LocalAI#586",
    66,
    anywhere,
    cpu_only};
const RegisterRule r26(&kCpuOnly);

// A library that ends before its own last section, or has a fraction of its siblings' size.
std::string cut_off_file(const Facts& facts) {
  for (const auto& [path, file] : facts.files.all()) {
    if (path.find("ollama") == std::string::npos || path.find(".so") == std::string::npos || !file.exists()) continue;
    if (file.size_bytes && file.elf_bytes && *file.elf_bytes > *file.size_bytes) return path;
    if (file.size_bytes && file.link.empty() && *file.size_bytes == 0) return path;
    if (!file.size_bytes || *file.size_bytes > 1 << 20 || path.find("ggml-cuda") == std::string::npos ||
        !file.link.empty())
      continue;
    for (const auto& [other, sibling] : facts.files.all())
      if (other != path && other.find("ggml-cuda") != std::string::npos &&
          sibling.size_bytes.value_or(0) > 20 * *file.size_bytes)
        return path;
  }
  return {};
}

std::optional<Verdict> backend_missing(const Facts& facts) {
  Verdict verdict{kHigh, {}, "", ""};
  if (const Hit* hit = facts.log.last("L44"); hit != nullptr && hit->line.find("libcuda.so.1") == std::string::npos &&
                                              hit->groups[0].find("cuda") != std::string::npos &&
                                              !gpu_backend_loaded(facts))
    verdict.evidence.push_back(line(facts, "L44"));
  add_line(facts, "L43", verdict);
  if (const std::string cut = cut_off_file(facts); !cut.empty())
    verdict.evidence.push_back({"the library is cut off", cut});
  const Hit* missing = facts.log.last("missing.library");
  const bool of_ours = missing != nullptr && missing->line.find("libcuda.so.1") == std::string::npos &&
                       !gpu_backend_loaded(facts) && !facts.gpu_found_by_server();
  if (of_ours && !facts.log.has("L44") &&
      (missing->groups[0].find("cu") == 3 || missing->groups[0].find("ggml") != std::string::npos))
    verdict.evidence.push_back(line(facts, "missing.library"));
  if (facts.log.has("exit.127")) add_line(facts, "exit.127", verdict);
  const bool detected = facts.log.has("compute.gpu");
  if (detected && only_cpu_backends(facts) && facts.placement.layers.value_or(0) == 0) {
    verdict.evidence.push_back(line(facts, "compute.gpu"));
    verdict.evidence.push_back(line(facts, "L19"));
  }
  if (!facts.library_folder().empty() && cuda_folders(facts).empty() && facts.service == Service::kOllama &&
      (detected || !verdict.evidence.empty()))
    verdict.evidence.push_back({"no cuda_v12 or cuda_v13 there", facts.library_folder()});
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kBackendMissing = {
    "backend-library-missing",
    27,
    "installation",
    "The server sees the GPU, but its own CUDA libraries are missing or damaged",
    "The GPU was found, and then no CUDA backend could be loaded: the program was moved without its lib/ollama, a "
    "volume "
    "was mounted over it, two installations are mixed, or it was unpacked onto a full disk.",
    "ls -l /usr/lib/ollama/cuda_v1* and ldd of libggml-cuda.so there",
    {{kOnHost | kInWsl2,
      "on this machine, as root; then restart the server",
      {"Look for free space first: df -h /usr", "$ sudo rm -rf /usr/lib/ollama /usr/local/lib/ollama",
       "Then install the whole package again"}},
     {kContainers | kInKubernetes,
      "where the image is kept; create the container anew",
      {"Mount nothing over /usr/lib/ollama", "$ docker pull ollama/ollama    # the same version, by its digest",
       "Look for free space in Docker's root first: docker system df"}}},
    "Copying single .so files",
    "ollama#10798, #10833, #10848, #9266, #9069, #7294, #7546, #11723, #11582",
    70,
    for_ggml,
    backend_missing};
const RegisterRule r27(&kBackendMissing);

int normal_capability(int64_t value) {  // 860 or 86
  return static_cast<int>(value >= 300 ? value / 10 : value);
}

struct Skipped {
  int capability = 0, least = 0, most = 0;
  Evidence evidence;
};
// What log lines say of GPUs that the build has no code for; nothing if the server uses a GPU nonetheless.
std::optional<Skipped> skipped(const Facts& facts) {
  if (facts.gpu_found_by_server()) return std::nullopt;
  Skipped found;
  if (const auto hits = facts.log.hits.find("L7"); hits != facts.log.hits.end()) {
    std::set<int> built;
    for (const Hit& hit : hits->second) {
      found.capability = normal_capability(to_number(hit.groups[0]).value_or(0));
      for (const std::string& number : split(hit.groups[1], " ,"))
        built.insert(normal_capability(to_number(number).value_or(0)));
    }
    if (built.empty()) return std::nullopt;
    found.least = *built.begin();
    found.most = *built.rbegin();
    found.evidence = line(facts, "L7");
    return found;
  }
  const Hit* torch = facts.log.last("L32");
  if (torch == nullptr) return std::nullopt;
  found.capability = static_cast<int>(to_number(torch->groups[0].substr(3)).value_or(0));
  found.evidence = line(facts, "L32");
  std::set<int> built;
  if (const Hit* list = facts.log.last("L32.list"))
    for (const std::string& name : split(list->groups[0], " ,"))
      built.insert(static_cast<int>(to_number(name.substr(3, name.find_last_of("0123456789") - 2)).value_or(0)));
  // The list stands on another line; without it the generations of the time of these wheels decide.
  found.least = built.empty() ? 70 : *built.begin();
  found.most = built.empty() ? 90 : *built.rbegin();
  return found;
}

std::optional<Verdict> gpu_too_old(const Facts& facts) {
  if (facts.log.has("old.gpu")) return by_line(facts, kCertain, "old.gpu");
  if (const auto found = skipped(facts)) {
    if (found->capability >= found->least) return std::nullopt;
    return Verdict{kCertain,
                   {found->evidence},
                   fmt::format("The GPU (compute capability {}) is too old for this build, which begins at {}",
                               capability_text(found->capability), capability_text(found->least)),
                   ""};
  }
  const int capability = facts.capability();
  if (capability == 0 || facts.gpu_found_by_server()) return std::nullopt;
  int floor = 75;
  if (facts.service == Service::kOllama || facts.service == Service::kLlamaCpp || facts.service == Service::kLocalai)
    floor = 50;
  if (facts.service == Service::kVllm) floor = 70;
  std::vector<Evidence> evidence = {{"compute capability " + capability_text(capability), "CUDA driver, NVML"}};
  if (const Evidence* code = facts.code(209); code != nullptr && capability < 75) {
    evidence.push_back(*code);
    return Verdict{kCertain, evidence, "", ""};
  }
  const std::set<std::string> folders = cuda_folders(facts);
  const bool only_13 = folders.contains("cuda_v13") && !folders.contains("cuda_v12");
  if (only_13 && capability < 75) {
    evidence.push_back({"the build has CUDA 13 only, which begins at 7.5", facts.library_folder()});
    return Verdict{kCertain, evidence, "", ""};
  }
  if (capability >= floor) return std::nullopt;
  // With several cards a newer one may do.
  for (const NvmlDevice& device : facts.nvml.devices)
    if (device.capability >= floor) return std::nullopt;
  return Verdict{
      kCertain, evidence,
      fmt::format("The GPU (compute capability {}) is too old: {} begins at {}", capability_text(capability),
                  facts.service == Service::kNone ? "hearth" : service_name(facts.service), capability_text(floor)),
      ""};
}

const Rule kTooOldGpu = {
    "compute-capability-too-old",
    28,
    "CUDA compatibility",
    "The GPU is too old for this build",
    "Servers are compiled for a range of GPU generations. Kepler and early Maxwell are in none of today's; CUDA 13 "
    "begins "
    "at compute capability 7.5, vLLM at 7.0, hearth at 7.5.",
    "the compute capability beside the list of architectures of the build",
    {{kAnywhere,
      "where the server is installed; then restart it (containers: create anew)",
      {"Ollama: the bundled CUDA 12 variant, if it is there: OLLAMA_LLM_LIBRARY=cuda_v12",
       "Or an older release, or a build of your own:",
       "$ cmake -B build -DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=61    # of llama.cpp",
       "vLLM: another engine, for example llama.cpp"}}},
    "Updating the driver",
    "Ollama's GPU document and presets; ollama#1756, #1992, #9124, #2034, #16970, #15167; pascal-pkgs-ci#35",
    74,
    anywhere,
    gpu_too_old};
const RegisterRule r28(&kTooOldGpu);

std::optional<Verdict> gpu_too_new(const Facts& facts) {
  if (const auto found = skipped(facts)) {
    if (found->capability <= found->most) return std::nullopt;
    return Verdict{kCertain,
                   {found->evidence},
                   fmt::format("The GPU (compute capability {}) is newer than this build, which ends at {}",
                               capability_text(found->capability), capability_text(found->most)),
                   ""};
  }
  const int capability = facts.capability();
  if (const Evidence* code = facts.code(209)) {
    Verdict verdict{capability >= 100 ? kCertain : kMedium, {*code}, "", ""};
    if (capability > 0)
      verdict.evidence.push_back({"compute capability " + capability_text(capability), "CUDA driver, NVML"});
    if (capability > 0 && capability < 100) return std::nullopt;
    return verdict;
  }
  if (capability < 120 || facts.gpu_found_by_server()) return std::nullopt;
  for (const ComposeService& one : facts.compose.services)
    for (const char* tag : {"cu124", "cu121", "cu118", "cuda12.4", "cuda-12.4", "cuda12.1", "cuda11", "12.4.", "12.1."})
      if (one.image.find(tag) != std::string::npos)
        return Verdict{kHigh,
                       {{"image: " + one.image, one.file + ", service " + one.name},
                        {"compute capability " + capability_text(capability), "CUDA driver, NVML"}},
                       "",
                       ""};
  return std::nullopt;
}

const Rule kTooNewGpu = {"compute-capability-too-new",
                         29,
                         "CUDA compatibility",
                         "The GPU is newer than this build has machine code for",
                         "Machine code runs on the generation that it was made for. CUDA before 12.8 knows no RTX 50 "
                         "(12.0), so that the first "
                         "kernel fails with 209, or the server takes the CPU.",
                         "the compute capability beside the list of architectures of the build",
                         {{kAnywhere,
                           "where the server is installed; then restart it (containers: create anew)",
                           {"A build or image with CUDA 12.8 or newer: current releases of Ollama, llama.cpp and vLLM; "
                            "PyTorch wheels cu128 and newer",
                            "$ pip install --upgrade torch --index-url https://download.pytorch.org/whl/cu128"}}},
                         "Updating the driver alone, or forcing layers onto the GPU",
                         "vllm#20193, #19906; sglang#7249; gpustack#1382; NVIDIA's Blackwell compatibility guide",
                         74,
                         anywhere,
                         gpu_too_new};
const RegisterRule r29(&kTooNewGpu);

std::optional<Verdict> list_gap(const Facts& facts) {
  if (const auto found = skipped(facts)) {
    if (found->capability < found->least || found->capability > found->most) return std::nullopt;
    return Verdict{
        kCertain,
        {found->evidence},
        fmt::format("This build has no machine code for compute capability {}, though for older and newer ones",
                    capability_text(found->capability)),
        ""};
  }
  const Evidence* code = facts.code(209);
  const int capability = facts.capability();
  if (code == nullptr || capability < 75 || capability >= 100) return std::nullopt;
  return Verdict{kHigh, {*code, {"compute capability " + capability_text(capability), "CUDA driver, NVML"}}, "", ""};
}

const Rule kListGap = {
    "architecture-list-gap",
    31,
    "build",
    "This build has no machine code for this GPU, though for older and newer ones",
    "The list of architectures of a release left out a generation. The card is an ordinary one and the driver is fine.",
    "the lines \"compute capability not in compiled architectures\" of all libraries",
    {{kAnywhere,
      "where the server is installed; then restart it (containers: create anew)",
      {"Ollama: another bundled library by its exact name, OLLAMA_LLM_LIBRARY=cuda_v12",
       "Or a newer or older release"}}},
    "The driver and the memory of the card",
    "ollama#17841",
    74,
    anywhere,
    list_gap};
const RegisterRule r31(&kListGap);

std::optional<Verdict> cpu_features(const Facts& facts) {
  if (facts.log.has("L45")) return by_line(facts, kCertain, "L45");
  const Hardware& hardware = facts.hardware;
  if (hardware.avx.value_or(true) || !hardware.hypervisor || !gpu_expected(facts) || !for_ggml(facts))
    return std::nullopt;
  if (facts.service == Service::kNone || (!facts.version.empty() && !older(facts.version, "0.5.8")))
    return std::nullopt;
  return Verdict{kHigh, {{"the processor of this virtual machine has no AVX", "/proc/cpuinfo"}}, "", ""};
}

const Rule kCpuFeatures = {
    "cpu-feature-gate",
    32,
    "virtual machine",
    "The virtual machine's processor lacks AVX, without which this server does not use the GPU",
    "Older releases of Ollama compiled their GPU runners with AVX. The virtual machine shows a plain processor model "
    "that does not have it, though the host's does.",
    "grep -c avx /proc/cpuinfo in the machine",
    {{kAnywhere,
      "on the hypervisor; the virtual machine is switched off and on",
      {"Set the type of the processor to \"host\" (Proxmox: qm set <id> --cpu host; VMware: EVC off)",
       "Or update the server (Ollama 0.5.8 or newer)"}}},
    "Work on the GPU's driver",
    "ollama#8606, #845, #2332",
    68,
    for_ggml,
    cpu_features};
const RegisterRule r32(&kCpuFeatures);

std::optional<Verdict> localai_cpu(const Facts& facts) {
  if (facts.log.has("L34.small"))
    return by_line(facts, kCertain, "L34.small", "LocalAI takes the CPU for GPUs with less than 4 GB of memory");
  if (facts.log.has("L34.intel"))
    return by_line(facts, kHigh, "L34.intel", "LocalAI prefers the Intel graphics to the NVIDIA GPU");
  const auto to_cpu = [](const std::string& value) { return value == "default" || value == "cpu"; };
  if (const auto forced = facts.setting("LOCALAI_FORCE_META_BACKEND_CAPABILITY"); forced && to_cpu(forced->value))
    return Verdict{kCertain, {evidence_of("LOCALAI_FORCE_META_BACKEND_CAPABILITY", *forced)}, "", ""};
  if (const std::string kind = facts.files.text("/run/localai/capability"); to_cpu(kind))
    return Verdict{kCertain, {{"the capability is set to " + kind, "/run/localai/capability"}}, "", ""};
  if (const Hit* hit = facts.log.last("L34.forced");
      hit != nullptr && lower(hit->groups.empty() ? hit->line : hit->line).find("nvidia") == std::string::npos)
    return by_line(facts, kCertain, "L34.forced");
  if (facts.log.has("L34.none") && !(facts.hardware.container && !facts.hardware.any_node() && facts.machine_known))
    return by_line(facts, kHigh, "L34.none");
  if (facts.service != Service::kLocalai) return std::nullopt;
  for (const auto& [path, file] : facts.files.all()) {
    if (!path.ends_with(".yaml") || !file.content) continue;
    const size_t at = file.content->find("gpu_layers:");
    if (at != std::string::npos &&
        to_number(std::string_view(*file.content).substr(at + 11, file.content->find('\n', at) - at - 11)) == 0)
      return Verdict{kCertain, {{"gpu_layers: 0", path}}, "", ""};
  }
  bool cpu_backend = false, gpu_backend = false;
  for (const char* folder : {"/backends", "/build/backends", "/usr/share/localai/backends"}) {
    for (const std::string& name : facts.files.children(folder)) {
      gpu_backend = gpu_backend || name.find("cuda") != std::string::npos || name.find("nvidia") != std::string::npos;
      cpu_backend = cpu_backend || name.starts_with("cpu-") || name.find("llama-cpp") != std::string::npos;
    }
  }
  if (!cpu_backend || gpu_backend || !facts.cuda.works()) return std::nullopt;
  return Verdict{
      kHigh,
      {{"only backends for the CPU are installed", "folder of backends"}, {"CUDA works here", "CUDA driver"}},
      "LocalAI's backend was chosen before the GPU was visible",
      ""};
}

const Rule kLocalaiCpu = {
    "localai-picked-cpu-backend",
    33,
    "LocalAI",
    "LocalAI chose a backend for the CPU",
    "LocalAI decides once which kind of backend it installs: by the memory of the card (not below 4 GB), by a forced "
    "capability, or before the GPU was visible. It keeps that choice.",
    "the names of the installed backends (with or without cuda12 or cuda13)",
    {{kAnywhere,
      "in LocalAI's environment; create the container anew and install the backend again",
      {"LOCALAI_FORCE_META_BACKEND_CAPABILITY=nvidia    # or nvidia-cuda-12, nvidia-cuda-13",
       "$ local-ai backends install llama-cpp", "In the model's YAML: gpu_layers: 99 and f16: true"}}},
    "cuda: true for llama.cpp models: it belongs to diffusers",
    "LocalAI pkg/system/capabilities.go, GPU document; LocalAI#1108, #1981, #5908",
    68,
    for_localai,
    localai_cpu};
const RegisterRule r33(&kLocalaiCpu);

std::optional<Verdict> jetson(const Facts& facts) {
  if (facts.gpu_found_by_server()) return std::nullopt;
  if (facts.log.has("L49")) {
    Verdict verdict{kHigh, {line(facts, "L49")}, "", ""};
    if (const std::string release = facts.files.text("/etc/nv_tegra_release"); !release.empty())
      verdict.evidence.push_back({release.substr(0, 60), "/etc/nv_tegra_release"});
    return verdict;
  }
  if (!facts.hardware.tegra || !facts.no_gpu_for_server()) return std::nullopt;
  if (!facts.hardware.container || facts.setting("JETSON_JETPACK")) return std::nullopt;
  return Verdict{kHigh,
                 {{"a Jetson board", "kernel release"}, {"JETSON_JETPACK is not set in the container", "environment"}},
                 "",
                 ""};
}

const Rule kJetson = {
    "jetson-jetpack-library",
    82,
    "Jetson",
    "Ollama has no library for this Jetson's JetPack, or does not know which one to take",
    "On Jetson boards Ollama takes a library that is made for the JetPack release. In a container it cannot see the "
    "release file; a newer release than it knows gets none.",
    "/etc/nv_tegra_release, and the library that the log names",
    {{kContainers | kInKubernetes,
      "where the container is created; create it anew",
      {"$ docker run --runtime nvidia -e JETSON_JETPACK=6 ... ollama/ollama    # or 5",
       "L4T R38 and newer: a release of Ollama that uses the generic ARM libraries"}},
     {kOnHost | kInWsl2,
      "on the board; then restart the server",
      {"Install Ollama again, so that cuda_jetpack5 or cuda_jetpack6 is unpacked",
       "L4T R38 and newer: a newer release of Ollama"}}},
    "Driver packages for PCs, or --gpus all alone",
    "Ollama discover/gpu.go, Docker document; ollama#9317, #16602, #18067, #9503, #2408",
    72,
    for_ollama,
    jetson};
const RegisterRule r82(&kJetson);

}  // namespace
}  // namespace hearth::doctor
