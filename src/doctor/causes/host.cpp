// Disks and the memory of the host: 62 to 66.
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

bool over_network_or_windows(const std::string& type) {
  for (const char* slow : {"9p", "drvfs", "nfs", "nfs4", "cifs", "smb3", "v9fs", "virtiofs"})
    if (type == slow) return true;
  return type.starts_with("fuse");
}

double slowest_load_s(const Facts& facts) {
  double most = 0;
  const auto found = facts.log.hits.find("L26");
  if (found != facts.log.hits.end())
    for (const Hit& hit : found->second) most = std::max(most, to_bytes(hit.groups[0]).value_or(0));
  for (const Reply& reply : facts.api.replies) most = std::max(most, reply.load_s);
  return most;
}

std::optional<Verdict> slow_storage(const Facts& facts) {
  constexpr double kSlow_bytes_per_s = 200e6, kLong_s = 45;
  const std::string folder = facts.model_folder();
  const Disk* disk = folder.empty() ? nullptr : facts.disk_of(folder);
  if (disk == nullptr)  // one that was timed is that of the models
    for (const Disk& one : facts.disks)
      if (one.read_bytes_per_s) disk = &one;
  const double load = slowest_load_s(facts);
  if (disk != nullptr) {
    const bool far = over_network_or_windows(disk->type);
    const bool slow = disk->read_bytes_per_s && *disk->read_bytes_per_s < kSlow_bytes_per_s;
    const bool fast = disk->read_bytes_per_s && !slow;
    const bool turning = disk->rotational.value_or(false);
    Verdict verdict{kMedium, {}, "", ""};
    if (far || turning)
      verdict.evidence.push_back({far ? "file system " + disk->type : std::string("a turning disk"), disk->path});
    if (slow)
      verdict.evidence.push_back(
          {fmt::format("{:.0f} MB/s", *disk->read_bytes_per_s / 1e6), "timed read in " + disk->path});
    if (load > kLong_s) verdict.evidence.push_back({fmt::format("loading took {:.0f} s", load), "log, load_duration"});
    if (slow && load > kLong_s)
      verdict.confidence = kCertain;
    else if (slow || (far && load > kLong_s))
      verdict.confidence = kHigh;
    const bool says_something = slow || (far && !fast) || (turning && load > kLong_s && !fast);
    if (says_something) return verdict;
  }
  for (const ComposeService& one : facts.compose.services)
    for (const std::string& volume : one.volumes)
      if (volume.starts_with("/mnt/") && volume.size() > 6 && volume[6] == '/' &&
          volume.find("/root/.ollama") != std::string::npos)
        return Verdict{load > kLong_s ? kHigh : kMedium,
                       {{"models on a Windows drive: " + volume, one.file + ", service " + one.name}},
                       "",
                       ""};
  if (load > 120 && !facts.log.has("L27") && disk == nullptr)
    return Verdict{kMedium, {{fmt::format("loading took {:.0f} s", load), "log, load_duration"}}, "", ""};
  return std::nullopt;
}

const Rule kSlowStorage = {
    "slow-model-storage",
    62,
    "storage",
    "Models lie on slow storage: loading takes minutes, then the speed is normal",
    "Gigabytes are read before the first token. A Windows drive under WSL2, a network file system or a turning disk "
    "give tens "
    "of megabytes per second where a local SSD gives thousands.",
    "the time of a load against the file's size and a timed read",
    {{kOnHost | kInKubernetes,
      "on the machine; then load the model again",
      {"Move the models to a local NVMe disk (OLLAMA_MODELS, HF_HOME)",
       "Network file systems: use_mmap false reads in order; a larger read-ahead; OLLAMA_LOAD_TIMEOUT=15m"}},
     {kContainers | kInWsl2,
      "where the container is created (create it anew), or inside WSL",
      {"Models in a named volume or inside WSL's own file system, not below /mnt/c",
       "$ docker run -v ollama:/root/.ollama ..."}}},
    "Tuning the GPU",
    "ollama#5826, #6006, #1769, #9720, #4350; textgen#2607",
    45,
    anywhere,
    slow_storage};
const RegisterRule r62(&kSlowStorage);

std::optional<Verdict> disk_full(const Facts& facts) {
  Verdict verdict{kCertain, {}, "", ""};
  for (const Disk& disk : facts.disks) {
    if (!disk.full() || disk.path == "/dev/shm" || disk.path == "/dev") continue;
    const bool inodes = disk.inodes.value_or(0) > 0 && disk.free_inodes && *disk.free_inodes < 1;
    verdict.evidence.push_back({inodes ? std::string("no inodes are left")
                                       : fmt::format("{} of {} are free", bytes_text(*disk.free_bytes),
                                                     bytes_text(disk.total_bytes.value_or(0))),
                                disk.path});
  }
  add_line(facts, "L37", verdict);
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kDiskFull = {
    "disk-full",
    63,
    "storage",
    "A disk is full: downloads and starts fail, and installations end half-written",
    "Without space nothing can be pulled, vLLM and LocalAI do not start, and libraries that were unpacked meanwhile "
    "are cut "
    "off. A model that answers, but on the CPU, was loaded: that has another cause.",
    "",
    {{kOnHost | kInWsl2,
      "on this machine; then repeat the download",
      {"$ df -h && df -i",
       "Free space (old models: ollama rm; logs; caches), or move the models: OLLAMA_MODELS, HF_HOME",
       "Afterwards look for libraries that were cut off (backend-library-missing)"}},
     {kContainers | kInKubernetes,
      "on the host; then repeat the download",
      {"$ df -h && docker system df", "$ docker image prune    # unused images, no volumes",
       "Move the models to a volume on a larger disk"}}},
    "Driver updates and theories of GPU contexts: a full disk does not put a working model onto the CPU",
    "ollama#15547, #6628, #2497, #6727, #9069",
    97,
    anywhere,
    disk_full};
const RegisterRule r63(&kDiskFull);

std::optional<Verdict> small_root(const Facts& facts) {
  constexpr double kRoomy_bytes = 20 * kGiB;
  const std::string folder = facts.model_folder();
  const Disk* models = folder.empty() ? nullptr : facts.disk_of(folder);
  const Disk* root = facts.disk_of("/");
  const auto almost_full = [](const Disk* disk) { return disk != nullptr && disk->used().value_or(0) > 0.9; };
  if (almost_full(models) && models->type == "overlay")
    return Verdict{kCertain,
                   {{"the models are in the container's own layer (overlay)", folder},
                    {fmt::format("{:.0f} % are used", 100 * *models->used()), models->path}},
                   "",
                   ""};
  if (!almost_full(root)) return std::nullopt;
  if (root->type == "overlay" && (models == nullptr || models == root))
    return Verdict{kCertain,
                   {{"the root is an overlay without a volume for models", "/"},
                    {fmt::format("{:.0f} % are used", 100 * *root->used()), "/"}},
                   "",
                   ""};
  for (const Disk& disk : facts.disks) {
    const bool elsewhere = disk.path != "/" && disk.free_bytes.value_or(0) > kRoomy_bytes && disk.type != "tmpfs";
    const bool docker =
        facts.files.exists("/var/lib/docker") || facts.hardware.container || facts.disk_of("/var/lib/docker") == root;
    if (elsewhere && docker && root->total_bytes.value_or(0) < 100 * kGiB && (models == nullptr || models == root))
      return Verdict{kCertain,
                     {{fmt::format("{} of {} are free", bytes_text(root->free_bytes.value_or(0)),
                                   bytes_text(root->total_bytes.value_or(0))),
                       "/"},
                      {bytes_text(*disk.free_bytes) + " are free", disk.path}},
                     "",
                     ""};
  }
  return std::nullopt;
}

const Rule kSmallRoot = {
    "container-root-too-small",
    64,
    "storage",
    "Containers write models into a small root file system, while another disk has room",
    "Without a volume, models go into the container's own layer, and that lies where Docker keeps its data: often on a "
    "small "
    "root partition.",
    "docker info: Docker Root Dir; the mounts of the container",
    {{kOnHost | kContainers,
      "on the host, as root; containers are created anew",
      {"A volume on the large disk:", "$ docker run -v /data/ollama:/root/.ollama ...",
       "Or move Docker's data: \"data-root\": \"/data/docker\" in /etc/docker/daemon.json, then restart Docker"}},
     {kInKubernetes,
      "in the manifest; pods are created anew",
      {"A PersistentVolumeClaim for the models; raise the limit on ephemeral-storage"}},
     {kInWsl2,
      "in Windows",
      {"Enlarge or move the distribution's virtual disk: wsl --manage <name> --move <folder>",
       "Or a named volume on a larger disk"}}},
    "Deleting volumes: that destroys the models",
    "basdonax-ai-rag#1; ollama#3609",
    93,
    anywhere,
    small_root};
const RegisterRule r64(&kSmallRoot);

std::optional<Verdict> oom_killed(const Facts& facts) {
  Verdict verdict{kHigh, {}, "", ""};
  const bool counted = facts.host.oom_kills.value_or(0) > 0;
  if (counted)
    verdict.evidence.push_back(
        {fmt::format("{} processes were killed for want of memory", *facts.host.oom_kills), "memory.events oom_kill"});
  for (const char* pattern : {"L28", "exit.137"}) add_line(facts, pattern, verdict);
  if (verdict.evidence.empty()) return std::nullopt;
  if (facts.host.memory_limit_bytes)
    verdict.evidence.push_back({"the limit is " + bytes_text(*facts.host.memory_limit_bytes), "memory.max"});
  const Hit* killed = facts.log.last("L28");
  const bool by_kernel = killed != nullptr && (killed->line.find("Out of memory: Killed") != std::string::npos ||
                                               killed->line.find("oom-kill") != std::string::npos);
  if ((counted && (facts.log.has("L28") || facts.log.has("exit.137") || facts.host.oom_kills_rising)) || by_kernel)
    verdict.confidence = kCertain;
  return verdict;
}

const Rule kOomKilled = {
    "memory-limit-oom-kill",
    65,
    "memory",
    "The kernel kills the server's runner because the memory of the host, or its limit, is exhausted",
    "What lies on the CPU, the files and the prompt cache need more memory than the container may use. The kernel ends "
    "the "
    "process; it never moves layers.",
    "oom_kill in memory.events of the container before and after a crash",
    {{kOnHost,
      "on this machine",
      {"A smaller model, fewer models at a time; LLAMA_ARG_CACHE_RAM caps llama-server's prompt cache",
       "systemd: raise MemoryMax of the unit"}},
     {kContainers | kInKubernetes,
      "where the container is created; create it anew",
      {"Raise the limit of memory above the CPU's part of the model + 2 GiB",
       "Fewer models at a time; LLAMA_ARG_CACHE_RAM caps llama-server's prompt cache"}},
     {kInWsl2,
      "in Windows, %UserProfile%\\.wslconfig; then wsl --shutdown",
      {"[wsl2] memory=24GB", "A smaller model, fewer models at a time"}}},
    "More layers on the GPU from a higher limit of memory",
    "ollama#9685, #11231; rwlove/home-ops#13936",
    72,
    anywhere,
    oom_killed};
const RegisterRule r65(&kOomKilled);

std::optional<Verdict> ram_pressure(const Facts& facts) {
  double on_cpu = 0;
  for (const RunningModel& model : facts.api.running) on_cpu += std::max(0.0, model.bytes - model.vram_bytes);
  for (const auto& [device, buffers] : facts.log.buffers)
    if (facts.api.running.empty() && device.starts_with("CPU") && buffers.contains("model"))
      on_cpu += buffers.at("model");
  const HostFacts& host = facts.host;
  Verdict verdict{kMedium, {}, "", ""};
  const bool faults = host.major_faults_per_s.value_or(0) > 200 || host.swapped_in_per_s.value_or(0) > 200;
  const bool pressed = host.memory_pressure.value_or(0) > 20 ||
                       (host.io_pressure.value_or(0) > 20 && host.memory_pressure.value_or(0) > 5);
  const bool too_much = on_cpu > 0 && host.available_bytes && on_cpu > *host.available_bytes;
  if (!faults && !pressed) return std::nullopt;
  if (faults)
    verdict.evidence.push_back({fmt::format("{:.0f} pages/s are read from disk, {:.0f} from swap",
                                            host.major_faults_per_s.value_or(0), host.swapped_in_per_s.value_or(0)),
                                "/proc/vmstat"});
  if (pressed)
    verdict.evidence.push_back({fmt::format("memory pressure {:.0f} %, disk {:.0f} %", host.memory_pressure.value_or(0),
                                            host.io_pressure.value_or(0)),
                                "/proc/pressure"});
  if (too_much) {
    verdict.confidence = kCertain;
    verdict.evidence.push_back({fmt::format("{} of weights on the CPU, {} of memory available", bytes_text(on_cpu),
                                            bytes_text(*host.available_bytes)),
                                "/api/ps or log, /proc/meminfo"});
  }
  return verdict;
}

const Rule kRamPressure = {
    "host-ram-pressure",
    66,
    "memory",
    "The CPU's part of the model does not fit into the machine's memory: weights are read from disk for every token",
    "Files of models are mapped. When the memory does not hold them, the kernel drops and reads the same pages over "
    "and over.",
    "pgmajfault in /proc/vmstat while an answer is generated",
    {{kAnywhere,
      "on the host",
      {"A smaller model, or more memory; close other programs", "No swap on an SSD for weights"}}},
    "More threads",
    "ollama#976, #3940",
    50,
    anywhere,
    ram_pressure};
const RegisterRule r66(&kRamPressure);

}  // namespace
}  // namespace hearth::doctor
