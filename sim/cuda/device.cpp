// Initialisation and facts about devices.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "sim/cuda/functions.h"
#include "sim/cuda/state.h"

namespace hearth::sim::cuda::api {
namespace {

const DeviceProfile* profile_of(CUdevice device) {
  const Driver& driver = Driver::instance();
  return driver.is_device(device) ? &driver.devices()[static_cast<std::size_t>(device)] : nullptr;
}

unsigned pci_part(const DeviceProfile& device, int index) {
  unsigned parts[3] = {0, 0, 0};
  std::sscanf(device.pci_bus.c_str(), "%x:%x:%x", &parts[0], &parts[1], &parts[2]);
  return parts[index];
}

int attribute_of(const DeviceProfile& device, CUdevice_attribute attribute, bool& known) {
  constexpr int kRegisters = 65536;
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y:
      return 1024;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z:
      return 64;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X:
      return 2147483647;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z:
      return 65535;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK:
      return 48 * 1024;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE:
      return 32;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR:
      return kRegisters;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
      return device.clock_khz;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
      return device.multiprocessors;
    case CU_DEVICE_ATTRIBUTE_INTEGRATED:
      return 0;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE:
      return device.compute_mode;
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED:
      return 1;
    case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH:
      return 0;  // blocks of a launch are not promised to be resident together
    case CU_DEVICE_ATTRIBUTE_ECC_ENABLED:
      return device.ecc ? 1 : 0;
    case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID:
      return static_cast<int>(pci_part(device, 0));
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
      return static_cast<int>(pci_part(device, 1));
    case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
      return static_cast<int>(pci_part(device, 2));
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
      return device.memory_clock_khz;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
      return device.bus_bits;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
      return device.l2_bytes;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
      return device.threads_per_multiprocessor;
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
      return 2;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
      return device.compute_capability / 10;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
      return device.compute_capability % 10;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
      return device.shared_per_multiprocessor;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
      return device.shared_per_block_optin;
    case CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED:
      return device.vmm ? 1 : 0;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR:
      return device.blocks_per_multiprocessor;
    case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK:
      return device.compute_capability >= 80 ? 1024 : 0;
  }
  known = false;
  return 0;
}

CUresult give_text(const std::string& text, char* out, int length) {
  if (out == nullptr || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  std::snprintf(out, static_cast<std::size_t>(length), "%s", text.c_str());
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuInit(unsigned int flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  Driver& driver = Driver::instance();
  if (driver.devices().empty()) return CUDA_ERROR_NO_DEVICE;
  driver.initialised = true;
  return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int* version) {
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *version = Driver::instance().machine.profile().driver.cuda_version;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *count = static_cast<int>(Driver::instance().devices().size());
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (profile_of(ordinal) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  const DeviceProfile* profile = profile_of(device);
  return profile == nullptr ? CUDA_ERROR_INVALID_DEVICE : give_text(profile->name, name, length);
}

CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  const DeviceProfile* profile = profile_of(device);
  if (profile == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::string digits;
  for (const char c : profile->uuid.substr(std::min<std::size_t>(4, profile->uuid.size()))) {
    if (c != '-') digits += c;
  }
  digits.resize(32, '0');
  for (int i = 0; i < 16; ++i) {
    uuid->bytes[i] = static_cast<char>(std::stoul(digits.substr(static_cast<std::size_t>(2 * i), 2), nullptr, 16));
  }
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  const DeviceProfile* profile = profile_of(device);
  if (profile == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  // An attribute that the simulator does not know is one of a feature that it does not have: 0, as from a device
  // without it. Beyond those that exist it is refused.
  constexpr int kLastAttribute = 145;
  bool known = true;
  *value = attribute_of(*profile, attribute, known);
  return known || (attribute > 0 && attribute <= kLastAttribute) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceTotalMem(size_t* bytes, CUdevice device) {
  const DeviceProfile* profile = profile_of(device);
  if (profile == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *bytes = profile->cuda_total();
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char* bus_id, int length, CUdevice device) {
  const DeviceProfile* profile = profile_of(device);
  return profile == nullptr ? CUDA_ERROR_INVALID_DEVICE : give_text(profile->pci_bus, bus_id, length);
}

CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* bus_id) {
  if (device == nullptr || bus_id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (std::size_t i = 0; i < Driver::instance().devices().size(); ++i) {
    if (Driver::instance().devices()[i].pci_bus != bus_id) continue;
    *device = static_cast<CUdevice>(i);
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceCanAccessPeer(int* can_access, CUdevice device, CUdevice peer) {
  if (can_access == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (profile_of(device) == nullptr || profile_of(peer) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  // Consumer cards of unequal kinds cannot; copies between them go through the host.
  *can_access = device != peer && profile_of(device)->name == profile_of(peer)->name ? 1 : 0;
  return CUDA_SUCCESS;
}

}  // namespace hearth::sim::cuda::api
