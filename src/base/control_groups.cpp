#include "base/control_groups.h"

#include <fmt/format.h>

#include <filesystem>
#include <sstream>

#include "base/file.h"

namespace hearth {
namespace {

constexpr const char* kMount = "/sys/fs/cgroup";

// Controllers that share a hierarchy of version 1 are mounted under both names, or only under the names together.
std::string mount_of(const std::string& root, std::string_view controller, std::string_view together) {
  const std::string alone = fmt::format("{}{}/{}", root, kMount, controller);
  std::error_code ignored;
  return std::filesystem::exists(alone, ignored) ? alone : fmt::format("{}{}/{}", root, kMount, together);
}

void add_up_to_mount(int version, const std::string& mount, std::string path, std::vector<ControlGroup>& groups) {
  while (path.size() > 1) {
    groups.push_back({version, path, mount + path});
    path.resize(path.rfind('/'));
  }
  groups.push_back({version, "/", mount});
}

}  // namespace

std::vector<ControlGroup> control_groups(std::string_view controller, const std::string& root) {
  std::vector<ControlGroup> groups;
  const auto text = read_file(root + "/proc/self/cgroup");
  std::istringstream lines(text ? *text : std::string());
  for (std::string line; std::getline(lines, line);) {  // "0::/path" or "9:cpu,cpuacct:/path"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos || line[second + 1] != '/') continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty())
      add_up_to_mount(2, root + kMount, path, groups);
    else if (fmt::format(",{},", controllers).find(fmt::format(",{},", controller)) != std::string::npos)
      add_up_to_mount(1, mount_of(root, controller, controllers), path, groups);
  }
  return groups;
}

}  // namespace hearth
