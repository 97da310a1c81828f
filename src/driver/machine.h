// What the operating system shows of NVIDIA hardware and drivers without the driver's own libraries: what tells
// "there is no GPU here" from "there is one, and something is wrong".
#pragma once

#include <string>

#include "driver/errors.h"

namespace hearth::driver {

struct Machine {
  bool nvidia_device = false;  // a display or 3D controller of NVIDIA on the PCI bus
  bool kernel_driver = false;  // NVIDIA's kernel module is loaded
  bool device_nodes = false;   // /dev/nvidiactl
  bool wsl = false;            // Windows Subsystem for Linux with its GPU interface (/dev/dxg)
  bool container = false;

  bool has_gpu() const { return nvidia_device || kernel_driver || device_nodes || wsl; }
};

// `root` stands before every path that is read: for tests.
Machine look_at_machine(const std::string& root = "");

// Why there is no libcuda.so.1 on such a machine, and what to do.
Problem missing_driver(const Machine& machine);

}  // namespace hearth::driver
