#include "config/kept.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace hearth::config {
namespace {

Result<uint32_t> read_number(std::string_view text, std::string_view part, uint32_t most) {
  uint32_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || number < 1 || number > most)
    return error(ErrorKind::kUsage, "'{}' must have a number from 1 to {}", part, most);
  return number;
}

Status read_part(std::string_view part, KeptModel& model) {
  const size_t at = part.find('=');
  const std::string_view key = part.substr(0, at), value = at == part.npos ? "" : part.substr(at + 1);
  if (key == "context") {
    ASSIGN_OR_RETURN(model.context, read_number(value, part, 1u << 30));
  } else if (key == "parallel") {
    ASSIGN_OR_RETURN(model.parallel, read_number(value, part, 256));
  } else if (key == "kv_type" && (value == "f16" || value == "q8_0" || value == "f32")) {
    model.kv_type = std::string(value);
  } else {
    return error(ErrorKind::kUsage,
                 "'{}' is nothing that a kept model can have; write NAME context=8192 parallel=2 kv_type=q8_0", part);
  }
  return {};
}

}  // namespace

Result<KeptModel> parse_kept(std::string_view entry) {
  KeptModel model;
  while (!entry.empty()) {
    const size_t end = std::min(entry.find(' '), entry.size());
    const std::string_view part = entry.substr(0, end);
    entry.remove_prefix(std::min(end + 1, entry.size()));
    if (part.empty()) continue;
    if (model.name.empty())
      model.name = part;
    else
      TRY(read_part(part, model));
  }
  if (model.name.empty()) return error(ErrorKind::kUsage, "there is no model's name");
  return model;
}

Status check_kept(std::string_view entry) {
  const auto model = parse_kept(entry);
  return model ? Status() : model.error();
}

}  // namespace hearth::config
