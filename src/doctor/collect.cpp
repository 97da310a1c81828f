// What the file system shows: where this is, hardware, the kernel module, device files, libraries, disks, the kernel
// log.
#include "doctor/collect.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <thread>

#include "disk/findings.h"
#include "disk/guard.h"
#include "doctor/json_read.h"
#include "doctor/snapshot.h"

extern char** environ;

namespace hearth::doctor {
namespace {

namespace json = boost::json;

Snapshot snapshot_of(const CollectOptions& options, Bundle& bundle) {
  return Snapshot(options.root, bundle.part("files"));
}

void collect_pci(Snapshot& snapshot) {
  const std::string bus = "/sys/bus/pci/devices/";
  for (const std::string& address : snapshot.names("/sys/bus/pci/devices")) {
    const std::string folder = bus + address + "/";
    // The first device in any case, so that a bus without graphics shows as looked at.
    if (snapshot.files().empty())
      for (const char* name : {"vendor", "class"}) snapshot.read(folder + name);
    if (!snapshot.text(folder + "class").starts_with("0x03")) continue;  // display controllers
    for (const char* name :
         {"vendor", "device", "class", "subsystem_vendor", "resource", "current_link_width", "max_link_width",
          "current_link_speed", "max_link_speed", "power/runtime_status", "numa_node"})
      snapshot.read(folder + name);
    snapshot.link(folder + "driver");
  }
}

// Only the lines that begin with one of these words.
void keep_lines(Snapshot& snapshot, const std::string& path, std::initializer_list<std::string_view> words) {
  std::string kept;
  const std::string all = snapshot.text(path, 1 << 20);
  if (all.empty()) return;
  for (const std::string& line : split(all, "\n"))
    if (std::ranges::any_of(words, [&](std::string_view word) { return line.starts_with(word); })) kept += line + "\n";
  snapshot.files()[path] = kept;
}

void collect_module(Snapshot& snapshot) {
  snapshot.read("/proc/driver/nvidia/version");
  snapshot.read("/proc/driver/nvidia/params");
  for (const char* name : {"nvidia", "nvidia_uvm", "nouveau", "vfio_pci"})
    if (snapshot.exists(std::string("/sys/module/") + name)) snapshot.files()[std::string("/sys/module/") + name] = "";
  snapshot.read("/sys/module/nvidia/version");
  snapshot.read("/sys/module/nvidia_uvm/parameters/uvm_disable_hmm");
  keep_lines(snapshot, "/proc/modules", {"nvidia", "nouveau", "vfio_pci", "amdgpu", "i915"});
  const std::string release(trim(snapshot.text("/proc/sys/kernel/osrelease")));
  for (const char* folder :
       {"updates/dkms", "updates", "extra", "extra/nvidia", "kernel/drivers/video", "kernel/drivers/video/nvidia",
        "kernel/nvidia-580", "kernel/nvidia-570", "kernel/nvidia-550", "kernel/nvidia-535"})
    for (const char* name : {"nvidia.ko", "nvidia.ko.zst", "nvidia.ko.xz"})
      snapshot.size(fmt::format("/lib/modules/{}/{}/{}", release, folder, name));
  snapshot.read("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
}

void collect_nodes(Snapshot& snapshot) {
  for (const std::string& name : snapshot.names("/dev"))
    if (name.starts_with("nvidia") || name == "dxg") snapshot.device("/dev/" + name);
  for (const std::string& name : snapshot.names("/dev/nvidia-caps")) snapshot.device("/dev/nvidia-caps/" + name);
  snapshot.files()["/dev/null"] = "";  // so that a /dev without GPUs shows as looked at
}

void collect_surroundings(Snapshot& snapshot) {
  for (const char* path :
       {"/proc/sys/kernel/osrelease", "/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name",
        "/proc/self/cgroup", "/proc/self/uid_map", "/run/systemd/container", "/etc/nv_tegra_release",
        "/etc/ld.so.preload", "/sys/devices/system/cpu/online", "/run/localai/capability"})
    snapshot.read(path);
  keep_lines(snapshot, "/proc/self/status", {"Name", "Uid", "Gid", "Groups", "Seccomp", "NoNewPrivs"});
  for (const char* path : {"/.dockerenv", "/run/.containerenv", "/var/snap/docker", "/var/lib/docker"})
    if (snapshot.exists(path)) snapshot.files()[path] = "";
  for (const std::string& entry : split_nul(snapshot.text("/proc/1/environ", 64 << 10), "\n"))
    if (entry.starts_with("container=")) snapshot.files()["/proc/1/environ"] = entry;
  const std::string processor = snapshot.text("/proc/cpuinfo", 8 << 10);
  if (const size_t flags = processor.find("\nflags"); flags != std::string::npos)
    snapshot.files()["/proc/cpuinfo"] = processor.substr(flags + 1, processor.find('\n', flags + 1) - flags);
  keep_lines(snapshot, "/proc/meminfo", {"MemTotal", "MemAvailable", "SwapTotal", "SwapFree"});
  for (const char* path : {"/proc/pressure/memory", "/proc/pressure/io", "/proc/pressure/cpu"}) snapshot.read(path);
}

// `process`: whose control group matters besides that of the machine or container, "self" or a pid.
void collect_counters(Snapshot& snapshot, const std::string& process) {
  keep_lines(snapshot, "/proc/vmstat", {"pgmajfault", "pswpin"});
  std::set<std::string> folders = {"/sys/fs/cgroup"};
  if (const std::string own = snapshot.group_folder(process); !own.empty()) folders.insert(own);
  for (const std::string& folder : folders)
    for (const char* name :
         {"/memory.max", "/memory.current", "/memory.events", "/cpu.max", "/cpu.stat", "/cpuset.cpus.effective",
          "/memory/memory.limit_in_bytes", "/cpu/cpu.cfs_quota_us", "/cpu/cpu.cfs_period_us", "/cpu/cpu.stat"})
      snapshot.read(folder + name);
}

double seconds_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::set<std::string> library_folders(const Snapshot& snapshot) {
  std::set<std::string> folders = {"/usr/lib/x86_64-linux-gnu",
                                   "/usr/lib/aarch64-linux-gnu",
                                   "/usr/lib64",
                                   "/usr/lib",
                                   "/usr/local/nvidia/lib64",
                                   "/usr/local/nvidia/lib",
                                   "/usr/lib/wsl/lib",
                                   "/usr/local/cuda/compat",
                                   "/usr/local/cuda/lib64/stubs",
                                   "/usr/lib/x86_64-linux-gnu/nvidia/current"};
  const char* more = snapshot.root().empty() ? ::getenv("LD_LIBRARY_PATH") : nullptr;
  for (const std::string& folder : split(more != nullptr ? more : "", ":")) folders.insert(folder);
  for (const std::string& name : snapshot.names("/usr/local"))
    if (name.starts_with("cuda-")) folders.insert("/usr/local/" + name + "/compat");
  return folders;
}

struct Mount {
  std::string point, type, device;
};
std::vector<Mount> mounts(const Snapshot& snapshot) {
  std::vector<Mount> list;
  for (const std::string& line : split(snapshot.text("/proc/self/mountinfo", 1 << 20), "\n")) {
    const std::vector<std::string> parts = split(line, " ");
    const auto dash = std::ranges::find(parts, "-");
    if (parts.size() < 6 || parts.end() - dash < 2) continue;
    list.push_back({parts[4], *(dash + 1), parts[2]});
  }
  return list;
}

const Mount* mount_of(const std::vector<Mount>& list, const std::string& path) {
  const Mount* best = nullptr;
  for (const Mount& mount : list) {
    const bool above = mount.point == "/" || path == mount.point || path.starts_with(mount.point + "/");
    if (above && (best == nullptr || mount.point.size() >= best->point.size())) best = &mount;
  }
  return best;
}

void add_disk(const Snapshot& snapshot, const std::vector<Mount>& list, const std::string& path, json::object& disks) {
  struct statvfs status {};
  if (::statvfs((snapshot.root() + path).c_str(), &status) != 0) return;
  const double block = static_cast<double>(status.f_frsize);
  json::object disk{{"total_bytes", block * static_cast<double>(status.f_blocks)},
                    {"free_bytes", block * static_cast<double>(status.f_bavail)},
                    {"inodes", status.f_files},
                    {"free_inodes", status.f_files == 0 ? 0 : status.f_favail}};
  if (const Mount* mount = mount_of(list, path)) {
    disk["type"] = mount->type;
    const std::string folder = "/sys/dev/block/" + mount->device;
    for (const char* name : {"/queue/rotational", "/../queue/rotational"})
      if (const std::string turns(trim(snapshot.text(folder + name))); !turns.empty() && !disk.contains("rotational"))
        disk["rotational"] = turns == "1";
  }
  disks[path] = disk;
}

// What the guard of disks finds of a folder of models. Whether it can be written is a question of the server's user,
// which only one that is its own can answer.
void add_findings(const Snapshot& snapshot, const std::string& folder, bool own, json::object& disks) {
  if (!disks.contains(folder)) return;
  const std::string path = snapshot.root() + folder;
  if (std::filesystem::is_directory(path + "/hearth")) disk::add_ledger(path + "/hearth/reservations");
  json::array findings;
  for (const disk::Finding& finding : disk::findings_of(path)) {
    if (finding.cause.id == "disk-not-writable" && !own) continue;
    json::object facts;
    for (const auto& [name, fact] : finding.cause.facts) facts[name] = fact;
    findings.push_back({{"id", finding.cause.id}, {"facts", std::move(facts)}});
  }
  if (!findings.empty()) disks[folder].as_object()["findings"] = std::move(findings);
}

// How fast the largest file of a folder can be read, for at most a third of a second.
void time_read(const Snapshot& snapshot, const std::string& folder, json::object& disks) {
  std::string largest;
  std::error_code failed;
  uint64_t most = 64 << 20;  // less says nothing
  for (const std::string& name : snapshot.names(folder)) {
    const std::string path = snapshot.root() + folder + "/" + name;
    const uint64_t bytes =
        std::filesystem::is_regular_file(path, failed) ? std::filesystem::file_size(path, failed) : 0;
    if (bytes <= most) continue;
    most = bytes;
    largest = path;
  }
  const int fd = largest.empty() ? -1 : ::open(largest.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  std::vector<char> buffer(4 << 20);
  const double start = seconds_of(CLOCK_MONOTONIC);
  double bytes = 0, seconds = 0;
  off_t at = static_cast<off_t>(most / 2);  // the middle: what is at the beginning was often read lately
  while (bytes < 256e6 && (seconds = seconds_of(CLOCK_MONOTONIC) - start) < 0.3) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), at);
    if (got <= 0) break;
    bytes += static_cast<double>(got);
    at += got;
  }
  ::close(fd);
  seconds = seconds_of(CLOCK_MONOTONIC) - start;
  if (bytes >= 16e6 && seconds > 0) disks[folder].as_object()["read_bytes_per_s"] = bytes / seconds;
}

constexpr std::array kKernelWords = {
    "NVRM",         "nvidia",           "oom-kill",     "Out of memory",   "module is rejected", "unavailable key",
    "Required key", "Key was rejected", "suspend exit", "hibernation exit"};

std::string telling_lines(const std::string& all) {
  std::string kept;
  for (const std::string& line : split(all, "\n")) {
    if (std::ranges::none_of(kKernelWords, [&](const char* word) { return line.find(word) != std::string::npos; }))
      continue;
    // "6,1234,5678,-;text" of /dev/kmsg; "Jun  1 10:00:00 host kernel: [ 1.2] text" of a file.
    const size_t record = line.find(';');
    const size_t kernel = line.find(" kernel: ");
    kept += (kernel != std::string::npos                  ? line.substr(kernel + 9)
             : record != std::string::npos && record < 60 ? line.substr(record + 1)
                                                          : line) +
            "\n";
  }
  return kept;
}

// All records of /dev/kmsg; each read gives one.
std::optional<std::string> kernel_ring(const std::string& path, int& failed) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  failed = errno;
  if (fd < 0) return std::nullopt;
  std::string all;
  std::array<char, 8192> record{};
  for (int count = 0; count < 100000 && all.size() < (8 << 20); ++count) {
    const ssize_t got = ::read(fd, record.data(), record.size());
    if (got < 0 && errno == EPIPE) continue;  // overwritten meanwhile
    if (got <= 0) break;
    all.append(record.data(), static_cast<size_t>(got));
  }
  ::close(fd);
  return all;
}

}  // namespace

bool is_telling_variable(std::string_view name) {
  for (const char* secret : {"KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL", "HOST", "ORIGINS", "PROXY", "AUTH"})
    if (name.find(secret) != std::string_view::npos) return name == "KUBERNETES_SERVICE_HOST";
  for (const char* prefix :
       {"OLLAMA_", "CUDA_", "NVIDIA_", "LLAMA_", "GGML_", "LOCALAI_", "VLLM_", "HIP_", "ROCR_", "HEARTH_", "JETSON_"})
    if (name.starts_with(prefix)) return true;
  for (const char* one :
       {"HF_HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "USE_GPU", "MODELS_PATH", "CUDA_CACHE_PATH", "GPU_DEVICE_ORDINAL"})
    if (name == one) return true;
  return false;
}

void collect_files(const CollectOptions& options, Bundle& bundle) {
  Snapshot snapshot = snapshot_of(options, bundle);
  collect_pci(snapshot);
  collect_module(snapshot);
  collect_nodes(snapshot);
  collect_surroundings(snapshot);
  collect_counters(snapshot, "self");
  json::object& environment = bundle.part("environment");
  for (char** entry = environ; options.root.empty() && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos && is_telling_variable(text.substr(0, equals)))
      environment[text.substr(0, equals)] = text.substr(equals + 1);
  }
  bundle.all["clocks"] = {{"boottime_s", seconds_of(CLOCK_BOOTTIME)}, {"monotonic_s", seconds_of(CLOCK_MONOTONIC)}};
}

void collect_libraries(const CollectOptions& options, Bundle& bundle) {
  Snapshot snapshot = snapshot_of(options, bundle);
  for (const std::string& folder : library_folders(snapshot))
    for (const std::string& name : snapshot.names(folder))
      if (name.starts_with("libcuda.so") || name.starts_with("libnvidia-ml.so")) snapshot.size(folder + "/" + name);
  for (const char* folder : {"/usr/lib/ollama", "/usr/local/lib/ollama"}) {
    for (const std::string& name : snapshot.names(folder)) {
      const std::string path = std::string(folder) + "/" + name;
      if (name.find(".so") != std::string::npos) snapshot.size(path, true);
      for (const std::string& inner : snapshot.names(path))
        if (inner.find(".so") != std::string::npos) snapshot.size(path + "/" + inner, true);
    }
  }
}

void collect_kernel_log(const CollectOptions& options, Bundle& bundle) {
  const Snapshot snapshot = snapshot_of(options, bundle);
  json::object& logs = bundle.part("logs");
  int failed = 0;
  if (const auto ring = kernel_ring(options.root + "/dev/kmsg", failed)) {
    logs["kernel"] = telling_lines(*ring);
    return;
  }
  const std::string file = snapshot.text("/var/log/kern.log", 4 << 20);
  if (!file.empty())
    logs["kernel"] = telling_lines(file);
  else
    logs["kernel"] = {{"error", errno_name(failed)}};
}

void collect_disks(const CollectOptions& options, Bundle& bundle) {
  const Snapshot snapshot = snapshot_of(options, bundle);
  json::object& disks = bundle.part("disks");
  const std::vector<Mount> list = mounts(snapshot);
  std::set<std::string> folders = {"/", "/tmp"};
  for (const char* folder : {"/root/.ollama/models", "/usr/share/ollama/.ollama/models", "/var/lib/docker",
                             "/root/.cache/huggingface", "/models", "/build/models"})
    if (snapshot.exists(folder)) folders.insert(folder);
  const auto* environment = bundle.all.if_contains("environment");
  for (const char* name : {"OLLAMA_MODELS", "HF_HOME", "MODELS_PATH"})
    if (const std::string folder = text_of(member(environment, name)); folder.starts_with('/')) folders.insert(folder);
  for (const std::string& entry : split(text_of(member(environment, "HEARTH_STORES")), ","))
    if (const size_t at = entry.find("=/"); at != std::string::npos) folders.insert(entry.substr(at + 1));
  const char* const home = ::getenv("HOME");
  if (home != nullptr && options.root.empty())
    for (const char* folder : {"/.ollama/models", "/.local/share/hearth/models", "/.cache", "/.nv"})
      if (snapshot.exists(std::string(home) + folder)) folders.insert(std::string(home) + folder);
  for (const std::string& folder : folders) add_disk(snapshot, list, folder, disks);
  for (const std::string& folder : folders)
    if (folder.ends_with("models") || snapshot.exists(folder + "/manifests"))
      add_findings(snapshot, folder, home != nullptr && folder.starts_with(home), disks);
  if (options.service == Service::kNone) return;
  for (const std::string& folder : folders) {
    if (!folder.ends_with("models")) continue;
    const std::string blobs = snapshot.exists(folder + "/blobs") ? folder + "/blobs" : folder;
    add_disk(snapshot, list, blobs, disks);
    if (disks.contains(blobs)) time_read(snapshot, blobs, disks);
  }
}

void collect_later(const CollectOptions& options, std::chrono::steady_clock::time_point since, Bundle& bundle) {
  std::this_thread::sleep_until(since + std::chrono::milliseconds(500));
  json::object files;
  Snapshot snapshot(options.root, files);
  const auto pid = count_of(member(bundle.all.if_contains("service"), "pid"));
  collect_counters(snapshot, pid ? std::to_string(*pid) : "self");
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - since;
  bundle.all["later"] = {{"seconds", passed.count()}, {"files", files}};
}

Bundle collect(const CollectOptions& options) {
  Bundle bundle;
  bundle.all["made_by"] = std::string("hearth ") + HEARTH_VERSION;
  if (options.service != Service::kNone) bundle.part("service")["name"] = service_name(options.service);
  const auto start = std::chrono::steady_clock::now();
  collect_files(options, bundle);
  collect_libraries(options, bundle);
  collect_kernel_log(options, bundle);
  collect_drivers(options, bundle);
  if (options.service != Service::kNone) {
    collect_service(options, bundle);
    collect_api(options, bundle);
  }
  collect_disks(options, bundle);
  collect_later(options, start, bundle);
  return bundle;
}

}  // namespace hearth::doctor
