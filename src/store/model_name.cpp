#include "store/model_name.h"

#include <algorithm>

#include "base/error.h"

namespace hearth::store {
namespace {

constexpr size_t kMaxHost_bytes = 350, kMaxPart_bytes = 80;

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

Status check_part(std::string_view what, std::string_view part, std::string_view extra, size_t max_bytes) {
  const auto allowed = [&](char c) {
    return is_alphanumeric(c) || c == '_' || c == '-' || extra.find(c) != std::string_view::npos;
  };
  if (part.empty()) return error(ErrorKind::kUsage, "its {} is empty", what);
  if (part.size() > max_bytes) {
    return error(ErrorKind::kUsage, "its {} has {} bytes, at most {} are allowed", what, part.size(), max_bytes);
  }
  if (!is_alphanumeric(part[0]) && part[0] != '_') {
    return error(ErrorKind::kUsage, "its {} does not start with a letter, a digit or '_'", what);
  }
  if (!std::all_of(part.begin(), part.end(), allowed)) {
    return error(ErrorKind::kUsage, "its {} holds a character that is not allowed", what);
  }
  return {};
}

Result<ModelName> parse_parts(std::string_view text) {
  ModelName name;
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
  const size_t colon = text.rfind(':'), last_slash = text.rfind('/');
  if (colon != std::string_view::npos && (last_slash == std::string_view::npos || colon > last_slash)) {
    name.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  if (std::count(text.begin(), text.end(), '/') > 2) {
    return error(ErrorKind::kUsage, "it has more parts than host/namespace/model");
  }
  const auto take_last = [&text](std::string& part) {
    const size_t slash = text.rfind('/');
    const bool more = slash != std::string_view::npos;
    part = more ? text.substr(slash + 1) : text;
    text = more ? text.substr(0, slash) : std::string_view();
    return more;
  };
  if (take_last(name.model) && take_last(name.space)) take_last(name.host);
  TRY(check_part("host", name.host, ".:", kMaxHost_bytes));
  TRY(check_part("namespace", name.space, "", kMaxPart_bytes));
  TRY(check_part("model", name.model, ".", kMaxPart_bytes));
  TRY(check_part("tag", name.tag, ".", kMaxPart_bytes));
  return name;
}

}  // namespace

Result<ModelName> ModelName::parse(std::string_view text) {
  Result<ModelName> name = parse_parts(text);
  if (name) return name;
  return error(ErrorKind::kUsage, "'{}' is no valid model name ([host/][namespace/]model[:tag]): {}", text,
               name.error().message);
}

std::string ModelName::display() const {
  const ModelName defaults;
  std::string out;
  if (host != defaults.host) {
    out = host + "/" + space + "/";
  } else if (space != defaults.space) {
    out = space + "/";
  }
  return out + model + ":" + tag;
}

}  // namespace hearth::store
