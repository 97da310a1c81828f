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
  const auto problem = [](const char* cause, const char* remedy) {
    return Problem{0, "no-driver-library", cause, remedy};
  };
  if (machine.wsl) {
    return problem("libcuda.so.1 was not found, although Windows offers its GPU",
                   "put /usr/lib/wsl/lib on the library path (/etc/ld.so.conf.d, then ldconfig), and update the "
                   "Windows driver; install no NVIDIA driver inside WSL");
  }
  if (machine.container && machine.device_nodes) {
    return problem("the container has the GPU's device files but not the driver's libcuda.so.1",
                   "set NVIDIA_DRIVER_CAPABILITIES=compute,utility and create the container anew with --gpus all");
  }
  if (machine.container) {
    return problem("the container was given no GPU: libcuda.so.1 was not found",
                   "install the NVIDIA container toolkit on the host and create the container anew with --gpus all");
  }
  if (machine.kernel_driver || machine.device_nodes) {
    return problem("NVIDIA's kernel module is loaded, but its library libcuda.so.1 was not found",
                   "install the driver's compute libraries (Debian: libcuda1, Ubuntu: libnvidia-compute-<version>), "
                   "then run ldconfig");
  }
  if (machine.nvidia_device) {
    return problem("there is an NVIDIA GPU, but no NVIDIA driver is installed: libcuda.so.1 was not found",
                   "install the NVIDIA driver, 525 or newer, and reboot");
  }
  return problem("no NVIDIA GPU and no NVIDIA driver (libcuda.so.1) were found",
                 "if the machine has an NVIDIA GPU, install the NVIDIA driver, 525 or newer");
}

}  // namespace hearth::driver
