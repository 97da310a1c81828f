#include "driver/machine.h"

#include <filesystem>
#include <fstream>
#include <system_error>

namespace hearth::driver {
namespace {

namespace fs = std::filesystem;

std::string first_word(const fs::path& file) {
  std::ifstream in(file);
  std::string word;
  in >> word;
  return word;
}

// PCI class 0x03: display controllers (0300 VGA, 0302 3D).
bool has_nvidia_device(const std::string& root) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(root + "/sys/bus/pci/devices", failed)) {
    if (first_word(entry.path() / "vendor") == "0x10de" && first_word(entry.path() / "class").starts_with("0x03")) {
      return true;
    }
  }
  return false;
}

}  // namespace

Machine look_at_machine(const std::string& root) {
  std::error_code ignored;
  const auto exists = [&](const char* path) { return fs::exists(root + path, ignored); };
  return {.nvidia_device = has_nvidia_device(root),
          .kernel_driver = exists("/proc/driver/nvidia/version"),
          .device_nodes = exists("/dev/nvidiactl"),
          .wsl = exists("/dev/dxg"),
          .container = exists("/.dockerenv") || exists("/run/.containerenv")};
}

Problem missing_driver(const Machine& machine) {
  const auto problem = [](const char* id) { return Problem{0, "no-driver-library", {id}}; };
  if (machine.wsl) return problem("driver-library-missing-in-wsl2");
  if (machine.container && machine.device_nodes) return problem("driver-capabilities-exclude-compute");
  if (machine.container) return problem("container-without-gpu");
  if (machine.kernel_driver || machine.device_nodes) return problem("driver-library-missing");
  if (machine.nvidia_device) return problem("no-kernel-driver");
  return problem("no-gpu");
}

}  // namespace hearth::driver
