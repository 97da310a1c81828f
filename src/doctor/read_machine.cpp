// Files, disks, hardware and the limits of the host.
#include <algorithm>
#include <set>

#include "doctor/json_read.h"
#include "doctor/read_facts.h"

namespace hearth::doctor {
namespace {

FileFact file_of(const boost::json::value& value) {
  FileFact file;
  if (value.is_string()) {
    file.content = std::string(value.get_string());
    return file;
  }
  if (value.is_null() || (value.is_bool() && !value.get_bool())) {
    file.error = "ENOENT";
    return file;
  }
  if (const auto* content = member(&value, "content")) file.content = text_of(content);
  file.error = text_of(member(&value, "error"));
  file.link = text_of(member(&value, "link"));
  file.open = text_of(member(&value, "open"));
  file.size_bytes = count_of(member(&value, "size"));
  file.elf_bytes = count_of(member(&value, "elf_end"));
  if (const std::string mode = text_of(member(&value, "mode")); !mode.empty() && mode.size() < 9) {
    unsigned bits = 0;
    for (const char c : mode) bits = c >= '0' && c <= '7' ? bits * 8 + static_cast<unsigned>(c - '0') : bits;
    file.mode = bits;
  }
  if (const auto uid = count_of(member(&value, "uid"))) file.uid = static_cast<unsigned>(*uid);
  if (const auto gid = count_of(member(&value, "gid"))) file.gid = static_cast<unsigned>(*gid);
  return file;
}

Disk disk_of_json(std::string_view path, const boost::json::value& value) {
  const auto number = [&](const char* key) { return number_of(member(&value, key)); };
  Disk disk;
  disk.path = path;
  disk.type = text_of(member(&value, "type"));
  disk.total_bytes = number("total_bytes");
  disk.free_bytes = number("free_bytes");
  disk.inodes = number("inodes");
  disk.free_inodes = number("free_inodes");
  disk.read_bytes_per_s = number("read_bytes_per_s");
  disk.rotational = bool_of(member(&value, "rotational"));
  for (const boost::json::value& finding : items_of(member(&value, "findings"))) {
    Cause cause{text_of(member(&finding, "id"))};
    for (const auto& [name, fact] : members_of(member(&finding, "facts")))
      cause.facts.emplace_back(name, text_of(&fact));
    if (!cause.empty()) disk.findings.push_back(std::move(cause));
  }
  return disk;
}

// The sizes of a device's memory regions: lines of "start end flags".
std::optional<uint64_t> largest_region(const std::string& text) {
  std::optional<uint64_t> largest;
  for (const std::string& line : split(text, "\n")) {
    const std::vector<std::string> parts = split(line, " \t");
    if (parts.size() < 2) continue;
    const auto start = to_number(parts[0]), end = to_number(parts[1]);
    if (!start || !end) continue;
    const uint64_t bytes = *end > *start ? static_cast<uint64_t>(*end - *start) + 1 : 0;
    largest = std::max(largest.value_or(0), bytes);
  }
  return largest;
}

std::string last_part(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

void read_pci(const Files& files, Hardware& hardware) {
  const std::string bus = "/sys/bus/pci/devices";
  hardware.pci_known = files.folder_known(bus);
  for (const std::string& address : files.children(bus)) {
    const std::string folder = bus + "/" + address + "/";
    const unsigned device_class = static_cast<unsigned>(files.number(folder + "class").value_or(0));
    const auto vendor = files.number(folder + "vendor");
    if (device_class >> 16 != 3 || !vendor) continue;
    PciGpu gpu;
    gpu.address = address;
    gpu.vendor = static_cast<unsigned>(*vendor);
    gpu.device = static_cast<unsigned>(files.number(folder + "device").value_or(0));
    gpu.subsystem_vendor = static_cast<unsigned>(files.number(folder + "subsystem_vendor").value_or(0));
    if (const FileFact* driver = files.find(folder + "driver")) {
      gpu.driver = last_part(driver->link.empty() ? driver->content.value_or("") : driver->link);
      gpu.driver = trim(gpu.driver);
    }
    gpu.driver_known = true;
    const auto lanes = [&](const char* name) -> std::optional<unsigned> {
      const auto value = files.number(folder + name);
      return value && *value >= 0 && *value <= 255 ? std::optional(static_cast<unsigned>(*value)) : std::nullopt;
    };
    gpu.width = lanes("current_link_width");
    gpu.max_width = lanes("max_link_width");
    gpu.largest_bar_bytes = largest_region(files.text(folder + "resource"));
    hardware.nvidia = hardware.nvidia || gpu.nvidia();
    hardware.gpus.push_back(std::move(gpu));
  }
}

void read_module(const Files& files, Hardware& hardware) {
  const std::string version = files.text("/proc/driver/nvidia/version");
  for (const std::string& word : split(version, " \t\n")) {
    if (!hardware.kernel_module.empty() || word.find('.') == std::string::npos || word[0] < '0' || word[0] > '9')
      continue;
    hardware.kernel_module = word;
  }
  if (!version.empty()) hardware.open_module = version.find("Open Kernel Module") != std::string::npos;
  if (hardware.kernel_module.empty()) hardware.kernel_module = files.text("/sys/module/nvidia/version");
  const std::string modules = "\n" + files.text("/proc/modules");
  hardware.modules_known = modules.size() > 1 || files.folder_known("/sys/module");
  const auto loaded = [&](const std::string& name) {
    return modules.find("\n" + name + " ") != std::string::npos || files.exists("/sys/module/" + name);
  };
  hardware.nvidia_loaded = loaded("nvidia") || !hardware.kernel_module.empty();
  hardware.uvm_loaded = loaded("nvidia_uvm");
  for (const auto& [path, file] : files.all()) {
    if (path.starts_with("/lib/modules/") && last_part(path).starts_with("nvidia.ko") && file.exists())
      hardware.module_file = path;
  }
}

void read_nodes(const Files& files, Hardware& hardware) {
  hardware.nodes_known = files.folder_known("/dev") || files.all().contains("/dev/nvidiactl");
  for (const auto& [path, file] : files.all()) {
    if (!path.starts_with("/dev/nvidia") || path.find('/', 5) != std::string::npos || !file.exists()) continue;
    hardware.nodes.push_back(
        {path, file.open.empty() && file.error != "" ? file.error : file.open, file.mode, file.uid, file.gid});
  }
  hardware.dxg = files.exists("/dev/dxg");
}

void read_secure_boot(const Files& files, Hardware& hardware) {
  const FileFact* file = files.find("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
  if (file == nullptr || !file->content || file->content->empty()) return;
  const std::string_view content = *file->content;
  // Four bytes of attributes and the value; by hand often just "1" or "0".
  hardware.secure_boot = content.back() == 1 || trim(content) == "1";
}

void read_surroundings(const Bundle& bundle, const Files& files, Facts& facts) {
  Hardware& hardware = facts.hardware;
  const std::string release = lower(files.text("/proc/sys/kernel/osrelease"));
  hardware.wsl = release.find("microsoft") != std::string::npos || (hardware.dxg && release.empty());
  hardware.tegra = files.exists("/etc/nv_tegra_release") || release.find("tegra") != std::string::npos;
  hardware.podman = files.exists("/run/.containerenv");
  hardware.kubernetes = facts.environment.contains("KUBERNETES_SERVICE_HOST") ||
                        files.exists("/var/run/secrets/kubernetes.io") || files.exists("/run/secrets/kubernetes.io");
  const std::string group = files.text("/proc/self/cgroup");
  const bool grouped = group.find("docker") != std::string::npos || group.find("kubepods") != std::string::npos ||
                       group.find("containerd") != std::string::npos;
  // systemd's name for it (https://systemd.io/CONTAINER_INTERFACE), or that of whoever started the container's first
  // process.
  const std::string manager = files.text("/run/systemd/container"), first = files.text("/proc/1/environ");
  hardware.lxc = manager.starts_with("lxc") || first.find("container=lxc") != std::string::npos;
  hardware.container = files.exists("/.dockerenv") || hardware.podman || hardware.kubernetes || hardware.lxc || grouped;
  const std::string processor = files.text("/proc/cpuinfo");
  if (const size_t flags = processor.find("flags"); flags != std::string::npos) {
    const std::string line = processor.substr(flags, processor.find('\n', flags) - flags) + " ";
    hardware.avx = line.find(" avx ") != std::string::npos;
    hardware.hypervisor = line.find(" hypervisor ") != std::string::npos;
  }
  const auto* clocks = bundle.all.if_contains("clocks");
  const auto boot = number_of(member(clocks, "boottime_s")), running = number_of(member(clocks, "monotonic_s"));
  if (boot && running) hardware.suspended_s = *boot - *running;
}

Place place_of(const Bundle& bundle, const Facts& facts) {
  const std::string said = lower(text_of(bundle.all.if_contains("place")));
  if (said == "bare-metal" || said == "bare metal" || said == "vm") return Place::kBareMetal;
  if (said == "docker" || said == "podman") return Place::kDocker;
  if (said == "compose") return Place::kCompose;
  if (said == "kubernetes") return Place::kKubernetes;
  if (said == "wsl2" || said == "wsl") return Place::kWsl2;
  if (said == "lxc") return Place::kLxc;
  const Hardware& hardware = facts.hardware;
  if (hardware.kubernetes) return Place::kKubernetes;
  if (bundle.all.contains("compose")) return Place::kCompose;
  if (hardware.lxc) return Place::kLxc;
  if (hardware.container) return Place::kDocker;
  if (hardware.wsl) return Place::kWsl2;
  return facts.machine_known ? Place::kBareMetal : Place::kUnknown;
}

std::optional<double> field(const std::string& text, std::string_view name) {
  const std::string all = "\n" + text;
  const size_t at = all.find("\n" + std::string(name));
  if (at == std::string::npos) return std::nullopt;
  const size_t value = all.find_first_of("0123456789", at + 1 + name.size());
  if (value == std::string::npos) return std::nullopt;
  const auto number =
      to_number(std::string_view(all).substr(value, all.find_first_not_of("0123456789", value) - value));
  return number ? std::optional(static_cast<double>(*number)) : std::nullopt;
}

// "some avg10=23.10 avg60=..."
std::optional<double> pressure(const std::string& text) {
  const size_t at = text.find("avg10=");
  if (at == std::string::npos) return std::nullopt;
  return to_bytes(std::string_view(text).substr(at + 6, text.find(' ', at) - at - 6));
}

// A file of a process's control group ("self" or a pid): in a container mostly directly below /sys/fs/cgroup.
std::string group_file(const Files& files, const std::string& self, const std::string& name,
                       const std::string& old = "") {
  const std::string group = files.text("/proc/" + self + "/cgroup");
  const size_t at = group.find("0::");
  if (at != std::string::npos) {
    std::string path = group.substr(at + 3, group.find('\n', at) - at - 3);
    if (path == "/") path.clear();
    if (const std::string text = files.text("/sys/fs/cgroup" + path + "/" + name); !text.empty()) return text;
  }
  if (const std::string text = files.text("/sys/fs/cgroup/" + name); !text.empty()) return text;
  return old.empty() ? std::string() : files.text("/sys/fs/cgroup/" + old);
}

int processors_in(const std::string& list) {  // "0-3,8"
  int count = 0;
  for (const std::string& part : split(list, ",\n")) {
    const size_t dash = part.find('-');
    const auto first = to_number(part.substr(0, dash));
    const auto last = dash == std::string::npos ? first : to_number(part.substr(dash + 1));
    if (first && last && *last >= *first && *last - *first < 65536) count += static_cast<int>(*last - *first) + 1;
  }
  return count;
}

void read_quota(const Files& files, const std::string& self, HostFacts& host) {
  const std::vector<std::string> limit = split(group_file(files, self, "cpu.max"), " ");
  if (limit.size() == 2 && limit[0] != "max") {
    const auto quota = to_number(limit[0]), period = to_number(limit[1]);
    if (quota && period && *period > 0) host.cpu_quota = static_cast<double>(*quota) / static_cast<double>(*period);
  }
  const auto quota = to_number(group_file(files, self, "cpu/cpu.cfs_quota_us"));
  const auto period = to_number(group_file(files, self, "cpu/cpu.cfs_period_us"));
  if (!host.cpu_quota && quota && period && *quota > 0 && *period > 0)
    host.cpu_quota = static_cast<double>(*quota) / static_cast<double>(*period);
  const int set = processors_in(group_file(files, self, "cpuset.cpus.effective"));
  const int online = processors_in(files.text("/sys/devices/system/cpu/online"));
  if (set > 0 && online > set) host.cpu_quota = std::min(host.cpu_quota.value_or(set), static_cast<double>(set));
}

double throttled(const std::string& now, const std::string& before) {
  const double periods = field(now, "nr_periods ").value_or(0) - field(before, "nr_periods ").value_or(0);
  const double held = field(now, "nr_throttled ").value_or(0) - field(before, "nr_throttled ").value_or(0);
  return periods > 0 ? held / periods : 0;
}

}  // namespace

void read_files(const Bundle& bundle, Facts& facts) {
  for (const auto& [path, value] : members_of(bundle.all.if_contains("files")))
    facts.files.add(std::string(path), file_of(value));
  for (const auto& [path, value] : members_of(bundle.all.if_contains("disks")))
    facts.disks.push_back(disk_of_json(path, value));
  for (const auto& [name, value] : members_of(bundle.all.if_contains("environment")))
    if (value.is_string()) facts.environment[std::string(name)] = text_of(&value);
  for (const char* key : {"files", "disks", "environment", "cuda", "nvml", "loader"})
    facts.machine_known = facts.machine_known || !members_of(bundle.all.if_contains(key)).empty();
}

void read_hardware(const Bundle& bundle, Facts& facts) {
  read_pci(facts.files, facts.hardware);
  read_module(facts.files, facts.hardware);
  read_nodes(facts.files, facts.hardware);
  read_secure_boot(facts.files, facts.hardware);
  read_surroundings(bundle, facts.files, facts);
  facts.place = place_of(bundle, facts);
}

void read_host(const Bundle& bundle, Facts& facts) {
  const Files& files = facts.files;
  HostFacts& host = facts.host;
  const std::string self = facts.server ? std::to_string(facts.server->pid) : "self";
  Files later;
  const auto* second = bundle.all.if_contains("later");
  for (const auto& [path, value] : members_of(member(second, "files"))) later.add(std::string(path), file_of(value));
  if (const FileFact* group = files.find("/proc/" + self + "/cgroup")) later.add("/proc/" + self + "/cgroup", *group);
  read_quota(files, self, host);
  const std::string stat = group_file(files, self, "cpu.stat", "cpu/cpu.stat");
  const std::string stat_later = group_file(later, self, "cpu.stat", "cpu/cpu.stat");
  if (field(stat, "nr_periods "))
    host.throttled_share = stat_later.empty() ? throttled(stat, "") : throttled(stat_later, stat);
  const auto limit = to_number(group_file(files, self, "memory.max", "memory/memory.limit_in_bytes"));
  if (limit && *limit < int64_t{1} << 50) host.memory_limit_bytes = static_cast<double>(*limit);
  const std::string memory = files.text("/proc/meminfo");
  const auto kilobytes = [&](std::string_view name) -> std::optional<double> {
    const auto value = field(memory, name);
    return value ? std::optional(*value * 1024) : std::nullopt;
  };
  host.memory_bytes = kilobytes("MemTotal:");
  host.available_bytes = kilobytes("MemAvailable:");
  if (const auto kills = field(group_file(files, self, "memory.events"), "oom_kill ")) {
    host.oom_kills = static_cast<int64_t>(*kills);
    host.oom_kills_rising = field(group_file(later, self, "memory.events"), "oom_kill ").value_or(0) > *kills;
  }
  host.memory_pressure = pressure(files.text("/proc/pressure/memory"));
  host.io_pressure = pressure(files.text("/proc/pressure/io"));
  const double seconds = number_of(member(second, "seconds")).value_or(0);
  const std::string counters = files.text("/proc/vmstat"), counters_later = later.text("/proc/vmstat");
  const auto rate = [&](std::string_view name) -> std::optional<double> {
    const auto before = field(counters, name), after = field(counters_later, name);
    if (!before || !after || seconds <= 0) return std::nullopt;
    return (*after - *before) / seconds;
  };
  host.major_faults_per_s = rate("pgmajfault ");
  host.swapped_in_per_s = rate("pswpin ");
}

}  // namespace hearth::doctor
