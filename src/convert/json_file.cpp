#include "convert/json_file.h"

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace hearth::convert {
namespace {

namespace json = boost::json;

}  // namespace

Result<json::object> parse_json_object(std::string_view text, const std::string& name) {
  boost::system::error_code failed;
  json::value value = json::parse(json::string_view(text.data(), text.size()), failed);
  if (failed) return error(ErrorKind::kInvalidData, "{}: it is no valid JSON: {}", name, failed.message());
  if (!value.is_object()) return error(ErrorKind::kInvalidData, "{}: it is no JSON object", name);
  return std::move(value.as_object());
}

Result<json::object> read_json_object(const std::string& path, uint64_t most_bytes) {
  std::error_code failed;
  const uintmax_t bytes = std::filesystem::file_size(path, failed);
  if (!failed && bytes > most_bytes)
    return error(ErrorKind::kInvalidData, "{}: has {} bytes; at most {} are expected", path, bytes, most_bytes);
  ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse_json_object(text, path);
}

Error Json::invalid(std::string_view key, std::string_view why) const {
  return error(ErrorKind::kInvalidData, "{}: {}{} {}", file_, path_, key, why);
}

const json::value* Json::find(std::string_view key) const {
  const json::value* value = object_->if_contains(json::string_view(key.data(), key.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<uint32_t> Json::count(std::string_view key, uint32_t least, uint32_t most) const {
  const json::value* value = find(key);
  if (value == nullptr) return invalid(key, "is missing");
  boost::system::error_code failed;
  const uint64_t number = value->is_number() ? value->to_number<uint64_t>(failed) : 0;
  if (!value->is_number() || failed) return invalid(key, "is no whole number of at least 0");
  if (number < least || number > most)
    return invalid(key, fmt::format("is {}; expected {} to {}", number, least, most));
  return static_cast<uint32_t>(number);
}

Result<uint32_t> Json::count_or(std::string_view key, uint32_t fallback, uint32_t least, uint32_t most) const {
  if (!has(key)) return fallback;
  return count(key, least, most);
}

Result<double> Json::number(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return invalid(key, "is missing");
  boost::system::error_code failed;
  const double number = value->is_number() ? value->to_number<double>(failed) : NAN;
  if (failed || !std::isfinite(number)) return invalid(key, "is no finite number");
  return number;
}

Result<double> Json::number_or(std::string_view key, double fallback) const {
  if (!has(key)) return fallback;
  return number(key);
}

Result<bool> Json::boolean_or(std::string_view key, bool fallback) const {
  const json::value* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_bool()) return invalid(key, "is neither true nor false");
  return value->get_bool();
}

Result<std::string> Json::text(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return invalid(key, "is missing");
  if (!value->is_string()) return invalid(key, "is no text");
  return std::string(value->get_string());
}

Result<std::string> Json::text_or(std::string_view key, std::string_view fallback) const {
  if (!has(key)) return std::string(fallback);
  return text(key);
}

Result<std::vector<float>> Json::numbers(std::string_view key) const {
  std::vector<float> numbers;
  const json::value* value = find(key);
  if (value == nullptr) return numbers;
  if (!value->is_array()) return invalid(key, "is no list of numbers");
  for (const json::value& element : value->get_array()) {
    boost::system::error_code failed;
    const double number = element.is_number() ? element.to_number<double>(failed) : NAN;
    if (failed || !std::isfinite(number)) return invalid(key, "holds what is no finite number");
    numbers.push_back(static_cast<float>(number));
  }
  return numbers;
}

Result<std::optional<Json>> Json::child(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::optional<Json>();
  if (!value->is_object()) return invalid(key, "is no JSON object");
  return std::optional<Json>(Json(value->get_object(), file_, path_ + std::string(key) + "."));
}

}  // namespace hearth::convert
