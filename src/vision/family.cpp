#include "vision/family.h"

#include <algorithm>

namespace hearth::vision {
namespace {

std::vector<const Family*>& families() {
  static std::vector<const Family*> all;
  return all;
}

}  // namespace

RegisterFamily::RegisterFamily(const Family* family) {
  families().push_back(family);
}

const Family* find_family(const std::string& projector) {
  for (const Family* family : families())
    if (std::ranges::find(family->projectors, projector) != family->projectors.end()) return family;
  return nullptr;
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const Family* family : families())
    names.insert(names.end(), family->projectors.begin(), family->projectors.end());
  std::ranges::sort(names);
  return names;
}

}  // namespace hearth::vision
