// What a container was given: 12, 18 to 25.
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

bool has_driver_library(const Facts& facts) {
  return facts.cuda_library.loads.value_or(false);
}

bool no_gpu_given(const Facts& facts) {
  const Hardware& hardware = facts.hardware;
  return hardware.container && !hardware.any_node() && !hardware.dxg && !has_driver_library(facts) &&
         !facts.cuda.works() && !hardware.tegra;
}

// The host has an NVIDIA GPU, as far as a container can see that.
bool host_has_gpu(const Facts& facts) {
  return facts.hardware.nvidia || !facts.hardware.kernel_module.empty();
}
bool host_has_none(const Facts& facts) {
  return facts.hardware.pci_known && !host_has_gpu(facts) && !facts.hardware.wsl;
}

std::optional<Verdict> os_call(const Facts& facts) {
  const Evidence* code = facts.code(304);
  if (code == nullptr) return std::nullopt;
  Verdict verdict{kCertain, {*code}, "", ""};
  const std::string status = facts.files.text("/proc/self/status");
  if (status.find("Seccomp:\t2") != std::string::npos || status.find("Seccomp: 2") != std::string::npos)
    verdict.evidence.push_back({"a seccomp filter is active", "/proc/self/status"});
  for (const char* error : {"EACCES", "EPERM"})
    if (const Node* node = facts.hardware.refused(error))
      verdict.evidence.push_back({"open: " + node->open, node->path});
  return verdict;
}

const Rule kOsCall = {
    "os-call-failed-304",
    12,
    "operating system",
    "A call of the NVIDIA driver to the operating system failed (code 304)",
    "304 is CUDA_ERROR_OPERATING_SYSTEM: something that the driver asked of the kernel was refused. Mostly a seccomp "
    "or "
    "security rule of a container, sometimes a limit (locked memory, open files), a very old kernel, or a full "
    "/dev/shm.",
    "the call that fails, by strace",
    {{kOnHost | kInWsl2,
      "on this machine",
      {"$ strace -f -e trace=all <server> 2>&1 | grep -E 'nvidia|= -1' | tail -40",
       "Raise limits: LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited"}},
     {kContainers,
      "where the container is created; create it anew",
      {"To find out, once: start it with --security-opt seccomp=unconfined and --ulimit memlock=-1",
       "If that works: write a seccomp profile that allows the call; update runc and libseccomp on the host"}},
     {kInKubernetes,
      "in the pod's manifest; the pod is created anew",
      {"To find out, once: securityContext: {seccompProfile: {type: Unconfined}}",
       "If that works: install a profile that allows the call (type: Localhost)"}}},
    "It says nothing of contexts (that is 201), of files of models or of disk space",
    "llama-cpp-python#645; onnxruntime#20421; numba#9134; nvidia-container-toolkit#908; cuda.h",
    86,
    anywhere,
    os_call,
    "check that /dev/nvidiactl, /dev/nvidia0 and /dev/nvidia-uvm exist and this user may open them (\"sudo "
    "nvidia-modprobe -u -c=0\" makes them, nvidia-persistenced keeps them); in a container test once with "
    "--security-opt seccomp=unconfined and --ulimit memlock=-1"};
const RegisterRule r12(&kOsCall);

bool member_of(const Process& process, unsigned group) {
  return std::ranges::find(process.groups, group) != process.groups.end();
}

// The server's user may not open a device file that the doctor may.
const Node* closed_to_server(const Facts& facts) {
  if (!facts.server || !facts.server->uid || *facts.server->uid == 0 || facts.server->groups.empty()) return nullptr;
  for (const Node& node : facts.hardware.nodes) {
    if (!node.mode || !node.gid || (*node.mode & 06) == 06 || node.uid == facts.server->uid) continue;
    if (!((*node.mode & 060) == 060 && member_of(*facts.server, *node.gid))) return &node;
  }
  return nullptr;
}

std::optional<Verdict> node_permission(const Facts& facts) {
  Verdict verdict{kHigh, {}, "", ""};
  const Node* node = facts.hardware.refused("EACCES");
  const Node* closed = node == nullptr ? closed_to_server(facts) : node;
  if (closed != nullptr) {
    verdict.evidence.push_back({node != nullptr ? "open: EACCES" : "the server's user may not open it", closed->path});
    if (closed->mode && closed->gid) {
      verdict.confidence = kCertain;
      verdict.evidence.push_back(
          {fmt::format("mode {:04o}, group {}", *closed->mode & 07777, *closed->gid), closed->path});
    }
  }
  if (facts.nvml.code == 4) verdict.evidence.push_back({"nvmlInit answered 4 (no permission)", "NVML"});
  add_line(facts, "L41.permission", verdict);
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kNodePermission = {
    "device-node-permission",
    18,
    "permissions",
    "The server's user may not open the GPU's device files",
    "/dev/nvidia0 and /dev/nvidiactl belong to a group that the user of the server is not in. Root sees the GPU, the "
    "service does not.",
    "groups of the server's user against the group and mode of /dev/nvidia*",
    {{kOnHost | kInWsl2,
      "on this machine, as root; then restart the server",
      {"$ ls -l /dev/nvidia*", "$ sudo usermod -aG video,render <user of the service>",
       "Or for all users: option NVreg_DeviceFileMode=0666 of the module nvidia, in /etc/modprobe.d"}},
     {kContainers,
      "where the container is created; create it anew",
      {"$ docker run --group-add $(stat -c %g /dev/nvidia0) ...",
       "$ podman run --group-add keep-groups ...    # rootless"}},
     {kInKubernetes,
      "in the pod's manifest; the pod is created anew",
      {"securityContext: {supplementalGroups: [<group of /dev/nvidia0>]}"}}},
    "Running the server as root",
    "Ollama's documents (group rule, written for AMD; the same mechanism)",
    80,
    off_wsl,
    node_permission};
const RegisterRule r18(&kNodePermission);

std::optional<Verdict> discovery_timeout(const Facts& facts) {
  if (facts.gpu_found_by_server()) return std::nullopt;
  Verdict verdict{kHigh, {}, "", ""};
  if (const Hit* hit = facts.log.last("L6"); hit != nullptr) {
    const std::string text = lower(hit->line);
    if (text.find("timeout") != std::string::npos || text.find("deadline") != std::string::npos ||
        text.find("timed out") != std::string::npos)
      verdict.evidence.push_back(line(facts, "L6"));
  }
  add_line(facts, "L48", verdict);
  if (facts.no_gpu_for_server()) add_line(facts, "L6.slow", verdict);
  if (verdict.evidence.empty()) return std::nullopt;
  if (facts.cuda.init_s.value_or(0) > 5)
    verdict.evidence.push_back({fmt::format("cuInit took {:.0f} s", *facts.cuda.init_s), "CUDA driver"});
  for (const NvmlDevice& device : facts.nvml.devices)
    if (device.persistence == 0)
      verdict.evidence.push_back({"persistence mode is off", "nvmlDeviceGetPersistenceMode"});
  return verdict;
}

const Rule kDiscoveryTimeout = {
    "discovery-timeout",
    19,
    "initialisation",
    "The GPU takes longer to start than the server waits, so the server takes the CPU",
    "Without persistence mode the driver puts the GPU to sleep when nobody uses it, and wakes it in seconds, with many "
    "GPUs "
    "or in virtual machines in more than 30. The server gives up and stays on the CPU until it is restarted.",
    "how long cuInit takes the first time",
    {{kOnHost,
      "on this machine, as root",
      {"$ sudo systemctl enable --now nvidia-persistenced    # or nvidia-smi -pm 1",
       "Have the unit wake the GPU: sudo systemctl edit ollama, [Service] ExecStartPre=/usr/bin/nvidia-smi",
       "$ sudo systemctl restart ollama"}},
     {kContainers | kInKubernetes,
      "on the host, as root; then restart the container",
      {"$ sudo nvidia-smi -pm 1    # or enable nvidia-persistenced"}},
     {kInWsl2,
      "in WSL",
      {"Persistence cannot be set here: run nvidia-smi once before the server starts, then restart the server"}}},
    "It is not \"no GPU\"; restarting again and again helps by luck only",
    "ollama#13308, #17069, #14448, #13186",
    72,
    for_ollama,
    discovery_timeout};
const RegisterRule r19(&kDiscoveryTimeout);

// Of compose files: the service asks for no GPU.
std::optional<Verdict> nothing_requested(const Facts& facts) {
  for (const ComposeService& one : facts.compose.services) {
    if (one.count_zero)
      return Verdict{kCertain, {{"count: 0 gives the container no GPU", one.file + ", service " + one.name}}, "", ""};
    const auto visible = one.environment.find("NVIDIA_VISIBLE_DEVICES");
    if (visible != one.environment.end() && (visible->second == "void" || visible->second == "none"))
      return Verdict{
          kCertain, {{"NVIDIA_VISIBLE_DEVICES=" + visible->second, one.file + ", service " + one.name}}, "", ""};
    if (!one.gpu_requested && !facts.cuda.works() && !facts.gpu_found_by_server())
      return Verdict{
          kHigh,
          {{"no GPU is requested: neither deploy...devices nor gpus nor runtime", one.file + ", service " + one.name}},
          "",
          ""};
  }
  return std::nullopt;
}

bool snap_docker(const Facts& facts) {
  return facts.log.has("snap") || facts.files.exists("/var/snap/docker") || facts.files.exists("/snap/docker");
}
bool rootless(const Facts& facts) {
  const std::vector<std::string> map = split(facts.files.text("/proc/self/uid_map"), " \t\n");
  return map.size() >= 3 && !(map[0] == "0" && map[1] == "0" && map[2] == "4294967295");
}

std::optional<Verdict> without_gpu(const Facts& facts) {
  if (facts.log.has("L35"))
    return Verdict{snap_docker(facts) ? kLow : kCertain,
                   {line(facts, "L35")},
                   "Docker has no NVIDIA runtime, so it refuses to give a container a GPU",
                   ""};
  if (facts.hardware.kubernetes) return std::nullopt;
  if (no_gpu_given(facts) && facts.machine_known) {
    Verdict verdict{kCertain, {{"no /dev/nvidia* in this container", "/dev"}}, "", ""};
    if (facts.cuda_library.loads.has_value())
      verdict.evidence.push_back({"libcuda.so.1 is not there", "dynamic loader"});
    if (host_has_gpu(facts)) {
      verdict.evidence.push_back({"the host has an NVIDIA GPU",
                                  facts.hardware.nvidia ? "/sys/bus/pci/devices" : "/proc/driver/nvidia/version"});
      return verdict;
    }
    const auto visible = facts.setting("NVIDIA_VISIBLE_DEVICES");
    const bool blocked = visible && (visible->value == "void" || visible->value == "none");
    if (visible) verdict.evidence.push_back(evidence_of("NVIDIA_VISIBLE_DEVICES", *visible));
    if (!host_has_none(facts) && (facts.no_gpu_for_server() || blocked || visible)) {
      verdict.confidence = kHigh;
      return verdict;
    }
  }
  if (auto verdict = nothing_requested(facts)) return verdict;
  if (facts.log.has("L34.image")) return by_line(facts, kHigh, "L34.image");
  if (facts.machine_known) return std::nullopt;
  for (const char* pattern : {"L44", "missing.library", "L29"}) {
    const Hit* hit = facts.log.last(pattern);
    if (hit != nullptr && hit->line.find("libcuda.so.1") != std::string::npos && !facts.gpu_found_by_server() &&
        facts.place != Place::kKubernetes)
      return by_line(facts, kHigh, pattern, "The server finds no libcuda.so.1: its container was given no GPU");
  }
  if (facts.log.has("L29") && facts.place != Place::kKubernetes) return by_line(facts, kMedium, "L29");
  return std::nullopt;
}

const Rule kWithoutGpu = {
    "container-without-gpu",
    20,
    "container",
    "The container was given no GPU",
    "A container sees a GPU only if that was asked for when it was created: then NVIDIA's container toolkit puts "
    "device "
    "files and the driver's libraries into it. Here there are neither.",
    "docker inspect --format '{{.HostConfig.DeviceRequests}}' <container>; and whether nvidia-smi works on the host",
    {{kOnHost | kInDocker,
      "on the host, as root; the container is created anew",
      {"Install nvidia-container-toolkit (docs.nvidia.com/datacenter/cloud-native), then:",
       "$ sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker",
       "$ docker run -d --gpus=all -v ollama:/root/.ollama -p 11434:11434 ollama/ollama",
       "Podman: --device nvidia.com/gpu=all (CDI)"}},
     {kInCompose,
      "in the compose file; the toolkit on the host, as root",
      {"deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}",
       "$ docker compose up -d --force-recreate",
       "If Docker then finds no driver \"nvidia\": install nvidia-container-toolkit on the host, then",
       "$ sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"}},
     {kInWsl2,
      "in Windows and in the compose file or command",
      {"Docker Desktop with the WSL2 backend and the current NVIDIA driver for Windows, nothing else",
       "$ docker run --gpus=all ..."}},
     {kInLxc,
      "on the host, as root, in the container's configuration (Proxmox: /etc/pve/lxc/ID.conf); then restart it",
      {"lxc.cgroup2.devices.allow: c 195:* rwm    # and the major number of nvidia-uvm: ls -l /dev/nvidia*",
       "lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,optional,create=file",
       "The same for /dev/nvidiactl, /dev/nvidia-uvm and /dev/nvidia-uvm-tools; and the driver's libraries, inside:",
       "$ sh NVIDIA-Linux-x86_64-VERSION.run --no-kernel-module", "LXD, Incus:",
       "$ incus config device add <container> gpu gpu", "$ incus config set <container> nvidia.runtime=true"}}},
    "Installing a driver or CUDA in the image: the driver's library comes from the host",
    "Ollama's Docker document; ollama#3024, #5166, #9819; nvidia-docker#1243, #1470; moby daemon/nvidia_linux.go",
    76,
    anywhere,
    without_gpu,
    "install the NVIDIA container toolkit on the host and create the container anew with --gpus all"};
const RegisterRule r20(&kWithoutGpu);

bool names_compute(const std::string& list) {
  for (const std::string& word : split(lower(list), ", "))
    if (word == "compute" || word == "all") return true;
  return false;
}

std::optional<Verdict> capabilities(const Facts& facts) {
  const Hardware& hardware = facts.hardware;
  const auto given = facts.setting("NVIDIA_DRIVER_CAPABILITIES");
  const bool libcuda_missing = facts.cuda_library.loads.has_value() && !*facts.cuda_library.loads;
  const bool library_file = std::ranges::any_of(facts.files.all(), [](const auto& entry) {
    return entry.first.find("/libcuda.so.") != std::string::npos && !entry.first.ends_with(".so.1") &&
           entry.second.exists();
  });
  if ((hardware.container || given) && hardware.any_node() && libcuda_missing && !library_file) {
    if (given && names_compute(given->value)) return std::nullopt;
    const bool nvml = facts.nvml_library.loads.value_or(false);
    Verdict verdict{
        given ? (nvml ? kCertain : kHigh) : kMedium,
        {{"device files are there: " + hardware.nodes[0].path, "/dev"}, {"libcuda.so.1 is not", "dynamic loader"}},
        hardware.lxc ? "The container has the GPU's device files, but not the driver's libraries" : "",
        ""};
    if (hardware.lxc) verdict.confidence = kCertain;
    if (nvml) verdict.evidence.push_back({"libnvidia-ml.so.1 is there", "dynamic loader"});
    if (given) verdict.evidence.push_back(evidence_of("NVIDIA_DRIVER_CAPABILITIES", *given));
    return verdict;
  }
  for (const ComposeService& one : facts.compose.services) {
    const std::string source = one.file + ", service " + one.name;
    if (one.capabilities) {
      std::string list;
      bool more = false;
      for (const std::string& word : *one.capabilities) {
        list += (list.empty() ? "" : ", ") + word;
        more = more || (word != "gpu" && word != "nvidia");
      }
      if (more && !names_compute(list)) return Verdict{kCertain, {{"capabilities: [" + list + "]", source}}, "", ""};
    }
    const auto variable = one.environment.find("NVIDIA_DRIVER_CAPABILITIES");
    if (variable != one.environment.end() && !names_compute(variable->second))
      return Verdict{kHigh, {{"NVIDIA_DRIVER_CAPABILITIES=" + variable->second, source}}, "", ""};
  }
  return std::nullopt;
}

const Rule kCapabilities = {
    "driver-capabilities-exclude-compute",
    21,
    "container",
    "The container has the GPU's device files, but not the driver's CUDA library, since \"compute\" was not asked for",
    "NVIDIA's toolkit brings in only what NVIDIA_DRIVER_CAPABILITIES names. Capabilities in the device request stand "
    "after "
    "the image's own value: [gpu, utility] makes it \"utility\", which brings nvidia-smi and no CUDA.",
    "echo $NVIDIA_DRIVER_CAPABILITIES in the container",
    {{kInCompose,
      "in the compose file",
      {"capabilities: [gpu]    # or [gpu, compute, utility]", "$ docker compose up -d --force-recreate"}},
     {kOnHost | kInDocker | kInWsl2,
      "where the container is created; create it anew",
      {"$ docker run --gpus '\"device=all\",\"capabilities=compute,utility\"' ...",
       "With --runtime nvidia: -e NVIDIA_DRIVER_CAPABILITIES=compute,utility"}},
     {kInKubernetes,
      "in the pod's manifest; the pod is created anew",
      {"env: [{name: NVIDIA_DRIVER_CAPABILITIES, value: \"compute,utility\"}]"}},
     {kInLxc,
      "in the container, as root; the version is the host's (head -1 /proc/driver/nvidia/version)",
      {"$ sh NVIDIA-Linux-x86_64-VERSION.run --no-kernel-module",
       "LXD, Incus, on the host:", "$ incus config set <container> nvidia.runtime=true"}}},
    "Mounting the host's libcuda by hand, or a \"CUDA-enabled\" image: the toolkit brings the library",
    "moby daemon/nvidia_linux.go; Ollama's Dockerfile; docker/compose#8583; LocalAI#11973",
    78,
    anywhere,
    capabilities,
    "set NVIDIA_DRIVER_CAPABILITIES=compute,utility and create the container anew with --gpus all"};
const RegisterRule r21(&kCapabilities);

std::optional<Verdict> soname_link(const Facts& facts) {
  for (const char* name : {"libcuda.so", "libnvidia-ml.so"}) {
    const auto library = facts.libraries.find(std::string(name) + ".1");
    if (library != facts.libraries.end() && library->second.loads.value_or(false)) continue;
    std::string file;
    bool link = false;
    for (const auto& [path, fact] : facts.files.all()) {
      const std::string base = path.substr(path.find_last_of('/') + 1);
      if (!fact.exists() || !base.starts_with(std::string(name) + ".")) continue;
      if (base == std::string(name) + ".1")
        link = true;
      else if (!version_numbers(base.substr(std::string(name).size() + 1)).empty())
        file = path;
    }
    if (file.empty() || link || facts.cuda.works()) continue;
    Verdict verdict{kCertain,
                    {{"the library is there", file}, {std::string("no link ") + name + ".1 beside it", "file system"}},
                    "",
                    ""};
    add_line(facts, "L42", verdict);
    return verdict;
  }
  if (facts.cuda.works() || facts.gpu_found_by_server()) return std::nullopt;
  return by_line(facts, kHigh, "L42");
}

const Rule kSonameLink = {
    "libcuda-soname-link-missing",
    22,
    "container",
    "The driver's library is in the container, but not under the name that programs open (libcuda.so.1)",
    "After it has put the libraries in, NVIDIA's toolkit runs ldconfig to make the links. That step failed: a "
    "read-only "
    "root, an image without ldconfig, or a defect of one release of the toolkit.",
    "ldconfig -p | grep libcuda in the container",
    {{kAnywhere,
      "on the host, as root; then create the container anew",
      {"Install another release of nvidia-container-toolkit (newest, else the one before)",
       "Read-only or minimal images: make /etc/ld.so.cache writable, or use CDI (--device nvidia.com/gpu=all)",
       "To try at once, in the container:", "$ ldconfig"}}},
    "Copying the driver's files into the image",
    "nvidia-container-toolkit#1099; nerdctl#4621; k8s-device-plugin#826",
    79,
    off_wsl,
    soname_link};
const RegisterRule r22(&kSonameLink);

std::optional<Verdict> cgroup_lost(const Facts& facts) {
  Verdict verdict{kHigh, {}, "", ""};
  const Node* node = facts.hardware.refused("EPERM");
  if (node != nullptr) {
    verdict.evidence.push_back({"the file is there, but open: EPERM", node->path});
    if (facts.hardware.container) verdict.confidence = rootless(facts) ? kLow : kCertain;
  }
  if (facts.code(800) != nullptr) add_code(facts, 800, verdict);
  if (facts.log.has("L41.unknown") && (facts.hardware.container || !facts.machine_known))
    add_line(facts, "L41.unknown", verdict);
  if (facts.hardware.container && facts.nvml.code == 999) verdict.evidence.push_back({"nvmlInit answered 999", "NVML"});
  if (facts.hardware.container && node != nullptr && facts.code(999) != nullptr) add_code(facts, 999, verdict);
  if (verdict.evidence.empty()) return std::nullopt;
  if (!facts.hardware.container && facts.machine_known && node != nullptr && facts.code(800) == nullptr)
    verdict.confidence = kMedium;
  if (facts.hardware.lxc && node != nullptr)
    verdict.what = "The container has a device file of the GPU, but is not allowed to use it";
  return verdict;
}

const Rule kCgroupLost = {
    "device-cgroup-lost",
    23,
    "container",
    "The container lost the right to use the GPU while it was running",
    "\"systemctl daemon-reload\" on the host (by an update of a package or a timer) writes the rules for devices of "
    "all "
    "containers anew, and what NVIDIA's toolkit had added is gone. A loaded model may go on; the next load fails.",
    "whether it worked after the container was started, and a new container still has the GPU",
    {{kOnHost | kContainers | kInWsl2,
      "on the host, as root; containers are created anew",
      {"Now:", "$ docker restart <container>", "For good, in /etc/docker/daemon.json, then restart Docker:",
       "\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]",
       "Or use CDI (--device nvidia.com/gpu=all), or a udev rule that runs",
       "$ sudo nvidia-ctk system create-dev-char-symlinks --create-all"}},
     {kInKubernetes,
      "in the cluster",
      {"$ kubectl delete pod <pod>    # it is created anew",
       "For good: GPU operator 22.9.2 or newer, or CDI; keep the systemd cgroup driver"}},
     {kInLxc,
      "on the host, as root, in the container's configuration (Proxmox: /etc/pve/lxc/ID.conf); then restart it",
      {"Allow the major number of each file; that of nvidia-uvm is another after an update of the kernel:",
       "$ ls -l /dev/nvidia*", "lxc.cgroup2.devices.allow: c 195:* rwm",
       "lxc.cgroup2.devices.allow: c MAJOR_OF_UVM:* rwm"}}},
    "Installing the driver again; cgroupfs on nodes of Kubernetes",
    "nvidia-docker#1730, #1650, #1671; nvidia-container-toolkit#48, #251, #1227; gpu-operator#485; ollama#11373, #9531",
    84,
    anywhere,
    cgroup_lost,
    "create the container anew; for good: give it the GPU by CDI (--device nvidia.com/gpu=all), or set "
    "\"native.cgroupdriver=cgroupfs\" in Docker's daemon.json"};
const RegisterRule r23(&kCgroupLost);

std::optional<Verdict> no_gpu_runtime(const Facts& facts) {
  const bool cluster = facts.hardware.kubernetes || facts.place == Place::kKubernetes;
  if (!cluster || facts.cuda.works() || facts.hardware.any_node() || facts.hardware.tegra) return std::nullopt;
  if (facts.hardware.kubernetes && host_has_none(facts) && !facts.no_gpu_for_server()) return std::nullopt;
  Verdict verdict{kHigh, {}, "", ""};
  if (facts.hardware.kubernetes) verdict.evidence.push_back({"no /dev/nvidia* in this pod", "/dev"});
  if (facts.cuda_library.loads.has_value() && !*facts.cuda_library.loads)
    verdict.evidence.push_back({"libcuda.so.1 is not there", "dynamic loader"});
  if (const auto visible = facts.setting("NVIDIA_VISIBLE_DEVICES"))
    verdict.evidence.push_back(evidence_of("NVIDIA_VISIBLE_DEVICES", *visible));
  for (const char* pattern : {"L29", "L1", "L2"}) add_line(facts, pattern, verdict);
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kNoGpuRuntime = {
    "k8s-no-gpu-runtime",
    24,
    "Kubernetes",
    "The pod runs without the NVIDIA runtime or without a request for a GPU",
    "A pod gets a GPU by a limit on nvidia.com/gpu, and, where NVIDIA's runtime is not the default one, by "
    "runtimeClassName: nvidia. Without them it starts all the same, and the server uses the CPU.",
    "kubectl get pod -o yaml: runtimeClassName and resources.limits; kubectl describe node: nvidia.com/gpu",
    {{kAnywhere,
      "in the pod's manifest (Deployment, Helm values); pods are created anew",
      {"spec: {runtimeClassName: nvidia}", "containers: [{resources: {limits: {nvidia.com/gpu: 1}}}]",
       "The node must offer it: device plugin or GPU operator healthy (k3s finds the runtime, not the resource)"}}},
    "privileged: true in place of the request",
    "ollama#3761, #3211; gpustack#5122; SUSE/suse-ai-stack#7; microk8s#4408; k3s#12802",
    76,
    anywhere,
    no_gpu_runtime};
const RegisterRule r24(&kNoGpuRuntime);

std::optional<Verdict> snap_or_rootless(const Facts& facts) {
  if (snap_docker(facts) && facts.log.has("L35")) {
    Verdict verdict{
        kMedium, {line(facts, "L35")}, "Docker is installed as a snap, where NVIDIA's hook cannot be reached", ""};
    add_line(facts, "snap", verdict);
    if (facts.files.exists("/var/snap/docker"))
      verdict.evidence.push_back({"Docker's root is there", "/var/snap/docker"});
    return verdict;
  }
  if (!rootless(facts) || facts.cuda.works()) return std::nullopt;
  const bool failed = facts.code(3) != nullptr || facts.hardware.refused("EPERM") != nullptr || facts.log.has("L35") ||
                      no_gpu_given(facts);
  if (!failed || host_has_none(facts)) return std::nullopt;
  Verdict verdict{
      kMedium, {{"user ids are mapped: " + facts.files.text("/proc/self/uid_map"), "/proc/self/uid_map"}}, "", ""};
  add_code(facts, 3, verdict);
  if (const Node* node = facts.hardware.refused("EPERM")) verdict.evidence.push_back({"open: EPERM", node->path});
  return verdict;
}

const Rule kSnapRootless = {
    "snap-or-rootless-runtime",
    25,
    "container",
    "The container runtime is a snap or rootless, and NVIDIA's hook does not reach the GPU from there",
    "Docker as a snap does not see NVIDIA's toolkit; in rootless containers the hook may not change device rules, and "
    "the "
    "GPU cannot be initialised.",
    "docker info: Docker Root Dir; /proc/self/uid_map in the container",
    {{kAnywhere,
      "on the host, as root; containers are created anew",
      {"Snap: remove it and install Docker's own package", "$ sudo snap remove docker",
       "Rootless: set no-cgroups = true in /etc/nvidia-container-runtime/config.toml and make a CDI description:",
       "$ sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
       "$ podman run --device nvidia.com/gpu=all ..."}}},
    "Installing the driver again",
    "nvidia-docker#1642, #1637, #1311, #1591",
    85,
    anywhere,
    snap_or_rootless};
const RegisterRule r25(&kSnapRootless);

}  // namespace
}  // namespace hearth::doctor
