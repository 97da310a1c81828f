#include "quant/format.h"

#include <strings.h>

#include <algorithm>
#include <string>

namespace hearth::quant {

const Format* find_type(uint32_t type) {
  for (const Format* format : RegisterFormat::all())
    if (format->type == type) return format;
  return nullptr;
}

const Format* find_name(std::string_view name) {
  const std::string wanted(name);
  for (const Format* format : RegisterFormat::all())
    if (::strcasecmp(format->name, wanted.c_str()) == 0) return format;
  return nullptr;
}

std::vector<const Format*> all_formats() {
  std::vector<const Format*> list = RegisterFormat::all();
  std::sort(list.begin(), list.end(), [](const Format* a, const Format* b) { return a->type < b->type; });
  return list;
}

}  // namespace hearth::quant
