#include "quant/format.h"

#include <algorithm>
#include <string>

#include "base/text.h"

namespace hearth::quant {

const Format* find_type(uint32_t type) {
  for (const Format* format : RegisterFormat::all())
    if (format->type == type) return format;
  return nullptr;
}

const Format* find_name(std::string_view name) {
  for (const Format* format : RegisterFormat::all())
    if (same_ignoring_case(format->name, name)) return format;
  return nullptr;
}

std::vector<const Format*> all_formats() {
  std::vector<const Format*> list = RegisterFormat::all();
  std::sort(list.begin(), list.end(), [](const Format* a, const Format* b) { return a->type < b->type; });
  return list;
}

}  // namespace hearth::quant
