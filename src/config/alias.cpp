#include "config/alias.h"

#include <algorithm>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "config/table.h"

namespace hearth::config {

Status check_alias(std::string_view entry) {
  const size_t equals = entry.find('=');
  const std::string_view name = trimmed(entry.substr(0, equals));
  const bool whole = equals != std::string_view::npos && !name.empty() && !trimmed(entry.substr(equals + 1)).empty();
  if (!whole)
    return error(ErrorKind::kUsage, "\"{}\" is no alias; write NAME=MODEL, such as \"gpt-4o=qwen3:8b\"",
                 printable(entry));
  if (std::ranges::count(name, '*') > 1)
    return error(ErrorKind::kUsage, "the alias \"{}\" has more than one \"*\" in its name", printable(entry));
  return {};
}

std::optional<std::string> alias_of(std::string_view entry, std::string_view name) {
  const size_t equals = std::min(entry.find('='), entry.size());
  const std::string_view pattern = trimmed(entry.substr(0, equals));
  const size_t star = pattern.find('*');
  bool fits = same_ignoring_case(pattern, name);
  if (star != std::string_view::npos) {
    const std::string_view begin = pattern.substr(0, star), end = pattern.substr(star + 1);
    fits = name.size() >= begin.size() + end.size() && same_ignoring_case(name.substr(0, begin.size()), begin) &&
           same_ignoring_case(name.substr(name.size() - end.size()), end);
  }
  if (!fits) return std::nullopt;
  return std::string(trimmed(entry.substr(std::min(equals + 1, entry.size()))));
}

}  // namespace hearth::config
