#include "sim/cuda/visible.h"

#include <algorithm>
#include <numeric>
#include <sstream>
#include <string>

namespace hearth::sim::cuda {
namespace {

// The place of the device that the entry names, or -1.
int find(const std::vector<DeviceProfile>& all, const std::string& entry) {
  if (!entry.starts_with("GPU-")) {
    const auto index = parse_count(entry);
    return index && *index < all.size() ? static_cast<int>(*index) : -1;
  }
  const auto begins = [&](const DeviceProfile& device) { return device.uuid.starts_with(entry); };
  const auto found = std::ranges::find_if(all, begins);
  return std::ranges::count_if(all, begins) == 1 ? static_cast<int>(found - all.begin()) : -1;
}

std::vector<int> places(const std::vector<DeviceProfile>& all, const char* list) {
  std::vector<int> found;
  std::stringstream entries(list);
  for (std::string entry; std::getline(entries >> std::ws, entry, ',');) {
    const int place = find(all, entry);
    if (place < 0) break;
    if (std::ranges::find(found, place) != found.end()) return {};
    found.push_back(place);
  }
  return found;
}

}  // namespace

VisibleDevices visible_devices(const std::vector<DeviceProfile>& all, const char* list) {
  VisibleDevices visible;
  if (list != nullptr) {
    visible.on_machine = places(all, list);
  } else {
    visible.on_machine.resize(all.size());
    std::iota(visible.on_machine.begin(), visible.on_machine.end(), 0);
  }
  for (const int place : visible.on_machine) visible.devices.push_back(all[static_cast<std::size_t>(place)]);
  return visible;
}

}  // namespace hearth::sim::cuda
