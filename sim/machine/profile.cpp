#include "sim/machine/profile.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include "base/error.h"

namespace hearth::sim {
namespace {

namespace json = boost::json;
constexpr std::uint64_t kMiB = 1 << 20;

struct Branch {
  int branch;
  int cuda_version;
  int newest_ptx;
};
constexpr std::array<Branch, 11> kBranches{{{525, 12000, 80},
                                            {530, 12010, 81},
                                            {535, 12020, 82},
                                            {545, 12030, 83},
                                            {550, 12040, 84},
                                            {555, 12050, 85},
                                            {560, 12060, 85},
                                            {565, 12070, 86},
                                            {570, 12080, 87},
                                            {575, 12090, 88},
                                            {580, 13000, 90}}};

struct Architecture {
  int compute_capability;
  int shared_per_multiprocessor;  // KiB
  int threads_per_multiprocessor;
  int blocks_per_multiprocessor;
};
// A block may opt in to all of a multiprocessor's shared memory but 1 KiB; before 7.0 to 48 KiB, on 7.5 to all.
constexpr std::array<Architecture, 12> kArchitectures{{{61, 96, 2048, 32},
                                                       {70, 96, 2048, 32},
                                                       {75, 64, 1024, 16},
                                                       {80, 164, 2048, 32},
                                                       {86, 100, 1536, 16},
                                                       {87, 164, 1536, 16},
                                                       {89, 100, 1536, 24},
                                                       {90, 228, 2048, 32},
                                                       {100, 228, 2048, 32},
                                                       {103, 228, 2048, 32},
                                                       {120, 100, 1536, 24},
                                                       {121, 100, 1536, 24}}};

Status derive_limits(DeviceProfile& device) {
  const auto found = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                  [&](const auto& a) { return a.compute_capability == device.compute_capability; });
  if (found == kArchitectures.end()) {
    return error(ErrorKind::kUnsupported, "the simulator knows no GPU of compute capability {}.{}",
                 device.compute_capability / 10, device.compute_capability % 10);
  }
  device.shared_per_multiprocessor = found->shared_per_multiprocessor * 1024;
  device.shared_per_block_optin = device.compute_capability < 70   ? 48 * 1024
                                  : device.compute_capability < 80 ? device.shared_per_multiprocessor
                                                                   : device.shared_per_multiprocessor - 1024;
  device.threads_per_multiprocessor = found->threads_per_multiprocessor;
  device.blocks_per_multiprocessor = found->blocks_per_multiprocessor;
  if (device.reserved_bytes >= device.memory_bytes || device.context_bytes >= device.cuda_total()) {
    return error(ErrorKind::kInvalidData, "device \"{}\" has {} MiB, all taken by the driver and a context",
                 device.name, device.memory_bytes / kMiB);
  }
  return {};
}

Result<int> parse_capability(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos || dot + 2 != text.size()) {
    return error(ErrorKind::kInvalidData, "compute capability \"{}\": write it like 8.6", text);
  }
  ASSIGN_OR_RETURN(const std::uint64_t major, parse_count(text.substr(0, dot)));
  ASSIGN_OR_RETURN(const std::uint64_t minor, parse_count(text.substr(dot + 1)));
  if (major > 99) return error(ErrorKind::kInvalidData, "compute capability \"{}\": write it like 8.6", text);
  return static_cast<int>(major * 10 + minor);
}

// Reads the fields of one JSON object; a field that nobody asked for is a mistake in the file.
class Fields {
 public:
  Fields(const json::value& value, std::string where) : where_(std::move(where)) {
    if (value.is_object()) {
      object_ = &value.get_object();
    } else {
      fail("is not an object");
    }
  }

  void read(const char* name, std::string& out) {
    const json::value* value = find(name);
    if (value == nullptr) return;
    if (!value->is_string()) return fail(fmt::format("\"{}\" is not a text", name));
    out = std::string(value->get_string());
  }
  void read(const char* name, bool& out) {
    const json::value* value = find(name);
    if (value == nullptr) return;
    if (!value->is_bool()) return fail(fmt::format("\"{}\" is not true or false", name));
    out = value->get_bool();
  }
  void read_number(const char* name, double& out) {
    const json::value* value = find(name);
    if (value == nullptr) return;
    if (!value->is_number()) return fail(fmt::format("\"{}\" is not a number", name));
    out = value->to_number<double>();
  }
  template <class T>
  void read(const char* name, T& out, double unit = 1) {
    double number = static_cast<double>(out) / unit;
    read_number(name, number);
    number *= unit;
    if constexpr (std::is_integral_v<T>) {
      const double beyond = std::ldexp(1.0, std::numeric_limits<T>::digits);  // the first number that T cannot hold
      if (number < static_cast<double>(std::numeric_limits<T>::min()) || number >= beyond)
        return fail(fmt::format("\"{}\" is out of range", name));
    }
    out = static_cast<T>(number);
  }
  const json::value* find(const char* name) {
    known_.insert(name);
    return object_ == nullptr ? nullptr : object_->if_contains(name);
  }
  void fail(const std::string& what) {
    if (problem_.empty()) problem_ = where_ + ": " + what;
  }
  void take(const Status& status) {
    if (!status) fail(status.error().message);
  }
  Status finish() {
    if (object_ != nullptr) {
      for (const auto& [key, value] : *object_) {
        if (!known_.contains(std::string(key))) fail(fmt::format("unknown field \"{}\"", std::string_view(key)));
      }
    }
    if (problem_.empty()) return {};
    return error(ErrorKind::kInvalidData, "{}", problem_);
  }

 private:
  const json::object* object_ = nullptr;
  std::string where_;
  std::string problem_;
  std::set<std::string> known_;
};

Status read_sensors(SensorProfile& sensors, const json::value& value, const std::string& where) {
  Fields fields(value, where + ", sensors");
  fields.read("temperature_c", sensors.temperature_c);
  fields.read("power_mw", sensors.power_mw);
  fields.read("power_limit_mw", sensors.power_limit_mw);
  sensors.power_limit_default_mw = sensors.power_limit_mw;
  fields.read("power_limit_default_mw", sensors.power_limit_default_mw);
  fields.read("graphics_mhz", sensors.graphics_mhz);
  fields.read("memory_mhz", sensors.memory_mhz);
  fields.read("utilization_gpu", sensors.utilization_gpu);
  fields.read("utilization_memory", sensors.utilization_memory);
  fields.read("throttle_reasons", sensors.throttle_reasons);
  fields.read("pcie_generation", sensors.pcie_generation);
  fields.read("pcie_width", sensors.pcie_width);
  fields.read("pcie_generation_max", sensors.pcie_generation_max);
  fields.read("pcie_width_max", sensors.pcie_width_max);
  fields.read("persistence", sensors.persistence);
  return fields.finish();
}

Result<DeviceProfile> read_device(const json::value& value, std::size_t index, const std::string& file) {
  const std::string where = fmt::format("profile {}, device {}", file, index);
  DeviceProfile device;
  device.uuid = fmt::format("GPU-5e4a7f00-1e57-4a0d-8c00-{:012x}", index + 1);
  device.pci_bus = fmt::format("0000:{:02x}:00.0", index + 1);
  Fields fields(value, where);
  std::string capability;
  fields.read("name", device.name);
  fields.read("uuid", device.uuid);
  fields.read("pci_bus", device.pci_bus);
  fields.read("compute_capability", capability);
  fields.read("memory_mib", device.memory_bytes, kMiB);
  fields.read("reserved_mib", device.reserved_bytes, kMiB);
  fields.read("context_mib", device.context_bytes, kMiB);
  fields.read("multiprocessors", device.multiprocessors);
  fields.read("clock_mhz", device.clock_khz, 1000);
  fields.read("memory_clock_mhz", device.memory_clock_khz, 1000);
  fields.read("bus_bits", device.bus_bits);
  fields.read("l2_kib", device.l2_bytes, 1024);
  fields.read("compute_mode", device.compute_mode);
  fields.read("ecc", device.ecc);
  fields.read("vmm", device.vmm);
  fields.read("process_memory", device.process_memory);
  if (const json::value* sensors = fields.find("sensors")) TRY(read_sensors(device.sensors, *sensors, where));
  TRY(fields.finish());
  ASSIGN_OR_RETURN(device.compute_capability, parse_capability(capability));
  TRY(derive_limits(device));
  return device;
}

Status read_moment(Moment& moment, const json::value& value, const std::string& where) {
  Fields fields(value, where);
  std::string call;
  fields.read("second", moment.second);
  fields.read("launch", moment.launch);
  fields.read("call", call);
  fields.read("file", moment.file);
  if (!call.empty()) fields.take(set_moment(moment, "call", call));
  return fields.finish();
}

Result<OtherProcess> read_process(const json::value& value, std::size_t index, const std::string& file) {
  const std::string where = fmt::format("profile {}, process {}", file, index);
  OtherProcess process;
  process.pid = static_cast<unsigned>(1800 + 17 * index);
  Fields fields(value, where);
  fields.read("name", process.name);
  fields.read("pid", process.pid);
  fields.read("device", process.device);
  fields.read("mib", process.bytes, kMiB);
  fields.read("graphics", process.graphics);
  if (const json::value* from = fields.find("from")) {
    process.always = false;
    TRY(read_moment(process.from, *from, where + ", from"));
  }
  if (const json::value* until = fields.find("until")) TRY(read_moment(process.until, *until, where + ", until"));
  TRY(fields.finish());
  return process;
}

Status override_value(Profile& profile, std::string_view key, std::string_view value) {
  if (key == "driver") {
    ASSIGN_OR_RETURN(profile.driver, describe_driver(std::string(value)));
    return {};
  }
  for (DeviceProfile& device : profile.devices) {
    if (key == "compute_capability") {
      ASSIGN_OR_RETURN(device.compute_capability, parse_capability(value));
    } else {
      ASSIGN_OR_RETURN(const std::uint64_t number, parse_count(value));
      constexpr std::uint64_t kMost = 1 << 30;  // MiB
      if (number > kMost) return error(ErrorKind::kUsage, "{}={} is out of range", key, value);
      if (key == "memory_mib") {
        device.memory_bytes = number * kMiB;
      } else if (key == "reserved_mib") {
        device.reserved_bytes = number * kMiB;
      } else if (key == "context_mib") {
        device.context_bytes = number * kMiB;
      } else if (key == "compute_mode") {
        device.compute_mode = static_cast<int>(number);
      } else if (key == "vmm") {
        device.vmm = number != 0;
      } else {
        return error(ErrorKind::kUsage,
                     "\"{}\" cannot be set for a profile: driver, memory_mib, reserved_mib, context_mib, "
                     "compute_capability, compute_mode and vmm can",
                     key);
      }
    }
  }
  return {};
}

}  // namespace

Result<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) {
    return error(ErrorKind::kUsage, "\"{}\" is not a whole number", text);
  }
  return value;
}

Result<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) {
    return error(ErrorKind::kUsage, "\"{}\" is not a number", text);
  }
  return value;
}

Status set_moment(Moment& moment, std::string_view key, std::string_view value) {
  if (key == "second") {
    ASSIGN_OR_RETURN(moment.second, parse_number(value));
  } else if (key == "launch") {
    ASSIGN_OR_RETURN(const std::uint64_t launch, parse_count(value));
    moment.launch = static_cast<std::int64_t>(launch);
  } else if (key == "call") {
    const auto hash = value.find('#');
    moment.function = std::string(value.substr(0, hash));
    moment.call = 1;
    if (hash != std::string_view::npos) {
      ASSIGN_OR_RETURN(const std::uint64_t call, parse_count(value.substr(hash + 1)));
      moment.call = static_cast<std::int64_t>(call);
    }
  } else if (key == "file") {
    moment.file = std::string(value);
  } else {
    return error(ErrorKind::kUsage, "\"{}\" is not a moment: second, launch, call and file are", key);
  }
  return {};
}

Result<DriverProfile> describe_driver(const std::string& version) {
  ASSIGN_OR_RETURN(const std::uint64_t branch, parse_count(std::string_view(version).substr(0, version.find('.'))));
  const Branch* best = nullptr;
  for (const Branch& candidate : kBranches) {
    if (static_cast<std::uint64_t>(candidate.branch) <= branch) best = &candidate;
  }
  if (best == nullptr) {
    return error(ErrorKind::kUnsupported, "the simulator knows drivers from 525 on, not {}", version);
  }
  return DriverProfile{version, best->cuda_version, best->newest_ptx};
}

Result<Profile> parse_profile(std::string_view text, const std::string& name) {
  boost::system::error_code failed;
  const json::value root = json::parse(text, failed);
  if (failed) return error(ErrorKind::kInvalidData, "profile {}: not valid JSON: {}", name, failed.message());
  Profile profile;
  profile.name = name;
  Fields fields(root, "profile " + name);
  fields.read("description", profile.description);
  fields.read("driver", profile.driver.version);
  ASSIGN_OR_RETURN(profile.driver, describe_driver(profile.driver.version));
  if (const json::value* devices = fields.find("devices"); devices != nullptr && devices->is_array()) {
    for (std::size_t i = 0; i < devices->get_array().size(); ++i) {
      ASSIGN_OR_RETURN(DeviceProfile device, read_device(devices->get_array()[i], i, name));
      profile.devices.push_back(std::move(device));
    }
  }
  if (const json::value* processes = fields.find("processes"); processes != nullptr && processes->is_array()) {
    for (std::size_t i = 0; i < processes->get_array().size(); ++i) {
      ASSIGN_OR_RETURN(OtherProcess process, read_process(processes->get_array()[i], i, name));
      if (process.device < 0 || static_cast<std::size_t>(process.device) >= profile.devices.size()) {
        fields.fail(fmt::format("process \"{}\" uses device {}, which does not exist", process.name, process.device));
      }
      profile.processes.push_back(std::move(process));
    }
  }
  TRY(fields.finish());
  return profile;
}

Result<Profile> load_profile(const std::string& text, const std::string& folder) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  if (parts.empty()) return error(ErrorKind::kUsage, "no profile is named");
  const bool is_path = parts[0].find('/') != std::string::npos;
  const std::string path = is_path ? parts[0] : folder + "/" + parts[0] + ".json";
  std::ifstream file(path);
  if (!file) {
    return error(ErrorKind::kNotFound, "there is no profile {} (looked for {}); sim/run --list shows those there are",
                 parts[0], path);
  }
  std::stringstream content;
  content << file.rdbuf();
  ASSIGN_OR_RETURN(Profile profile, parse_profile(content.str(), parts[0]));
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto equals = parts[i].find('=');
    if (equals == std::string::npos) return error(ErrorKind::kUsage, "\"{}\" is not key=value", parts[i]);
    TRY(override_value(profile, std::string_view(parts[i]).substr(0, equals),
                       std::string_view(parts[i]).substr(equals + 1)));
  }
  for (DeviceProfile& device : profile.devices) TRY(derive_limits(device));
  return profile;
}

}  // namespace hearth::sim
