#include "api/json.h"

#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "chat/exact_json.h"

namespace hearth::api {
namespace json = boost::json;

Result<json::value> read_json(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return error(ErrorKind::kUsage, "missing request body");
  }
  json::parse_options options;
  options.max_depth = kMost_depth;
  json::stream_parser parser({}, options);
  boost::system::error_code code;
  const auto marked = chat::mark_large_integers(text);  // tools keep their digits
  if (marked) text = *marked;
  parser.write_some(text.data(), text.size(), code);
  if (!code && !parser.done()) parser.finish(code);
  if (code == json::error::too_deep) {
    return error(ErrorKind::kUsage, "the JSON of the body is nested deeper than {} levels", kMost_depth);
  }
  if (code) return error(ErrorKind::kUsage, "the body is no valid JSON: {}", code.message());
  return parser.release();
}

Result<json::value> read_object(std::string_view text) {
  ASSIGN_OR_RETURN(json::value value, read_json(text));
  if (!value.is_object()) return wrong_type("the body", "an object", value);
  return value;
}

Error wrong_type(const std::string& path, std::string_view expected, const json::value& value) {
  return error(ErrorKind::kUsage, "{} must be {}, not {}", path, expected, to_string(value.kind()));
}

std::optional<int64_t> to_integer(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_uint64()) return std::nullopt;  // only what an int64 has no room for is read as one
  if (!value.is_double()) return std::nullopt;
  const double number = std::trunc(value.get_double());
  if (!(std::abs(number) < 0x1p63)) return std::nullopt;
  return static_cast<int64_t>(number);
}

const json::value* Fields::find(std::string_view name) const {
  const json::value* found = object_.if_contains({name.data(), name.size()});
  if (found == nullptr) {
    for (const auto& member : object_) {
      if (same_ignoring_case({member.key().data(), member.key().size()}, name)) found = &member.value();
    }
  }
  return found != nullptr && found->is_null() ? nullptr : found;
}

Result<std::optional<std::string>> Fields::text(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return wrong_type(name, "a string", *value);
  return std::optional<std::string>(value->get_string());
}

Result<std::optional<bool>> Fields::boolean(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return std::optional<bool>();
  if (!value->is_bool()) return wrong_type(name, "true or false", *value);
  return std::optional<bool>(value->get_bool());
}

Result<std::optional<double>> Fields::number(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return std::optional<double>();
  if (!value->is_number()) return wrong_type(name, "a number", *value);
  return std::optional<double>(value->to_number<double>());
}

Result<std::optional<int64_t>> Fields::integer(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return std::optional<int64_t>();
  const std::optional<int64_t> integer = to_integer(*value);
  if (!integer) return wrong_type(name, "an integer", *value);
  return std::optional<int64_t>(integer);
}

Result<const json::object*> Fields::object(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return static_cast<const json::object*>(nullptr);
  if (!value->is_object()) return wrong_type(name, "an object", *value);
  return &value->get_object();
}

Result<const json::array*> Fields::array(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return static_cast<const json::array*>(nullptr);
  if (!value->is_array()) return wrong_type(name, "a list", *value);
  return &value->get_array();
}

Result<std::optional<double>> Fields::number(std::string_view name, double least, double most) const {
  ASSIGN_OR_RETURN(const std::optional<double> value, number(name));
  if (value && !(*value >= least && *value <= most))
    return refuse(name, "invalid_value", "{} is {}; it must be from {} to {}", path(name), *value, least, most);
  return value;
}

Result<std::optional<int64_t>> Fields::integer(std::string_view name, int64_t least, int64_t most) const {
  ASSIGN_OR_RETURN(const std::optional<int64_t> value, integer(name));
  if (value && (*value < least || *value > most))
    return refuse(name, "invalid_value", "{} is {}; it must be from {} to {}", path(name), *value, least, most);
  return value;
}

Error Fields::wrong_type(std::string_view name, std::string_view expected, const json::value& value) const {
  return blamed(path(name), "invalid_type", api::wrong_type(path(name), expected, value).message);
}

Error Fields::blamed(std::string path, std::string_view code, std::string why) const {
  if (blame_ != nullptr) *blame_ = {std::move(path), std::string(code)};
  return Error{ErrorKind::kUsage, std::move(why)};
}

Result<std::vector<std::string>> Fields::texts(std::string_view name) const {
  ASSIGN_OR_RETURN(const json::array* list, array(name));
  std::vector<std::string> texts;
  if (list == nullptr) return texts;
  for (const json::value& item : *list) {
    if (!item.is_string()) return wrong_type(fmt::format("{}[{}]", name, texts.size()), "a string", item);
    texts.emplace_back(item.get_string());
  }
  return texts;
}

}  // namespace hearth::api
