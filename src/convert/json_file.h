// A JSON document of a model's folder, read with words for what is wrong in it.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::convert {

// The whole of a file that must hold one JSON object. Errors: kNotFound, kIo, kInvalidData (names the file).
Result<boost::json::object> read_json_object(const std::string& path, uint64_t most_bytes);
// The same of a text; `name` is for messages.
Result<boost::json::object> parse_json_object(std::string_view text, const std::string& name);

// A view of one object of such a document, which outlives it. Every error is kInvalidData and names file and key. A
// member that is null counts as absent.
class Json {
 public:
  Json(const boost::json::object& object, std::string file, std::string path = "")
      : object_(&object), file_(std::move(file)), path_(std::move(path)) {}

  const std::string& file() const { return file_; }
  const boost::json::object& object() const { return *object_; }
  const boost::json::value* find(std::string_view key) const;  // null if absent or null
  bool has(std::string_view key) const { return find(key) != nullptr; }

  // A whole number from `least` to `most`.
  Result<uint32_t> count(std::string_view key, uint32_t least, uint32_t most) const;
  Result<uint32_t> count_or(std::string_view key, uint32_t fallback, uint32_t least, uint32_t most) const;
  // Any finite number.
  Result<double> number(std::string_view key) const;
  Result<double> number_or(std::string_view key, double fallback) const;
  Result<bool> boolean_or(std::string_view key, bool fallback) const;
  Result<std::string> text(std::string_view key) const;
  Result<std::string> text_or(std::string_view key, std::string_view fallback) const;
  // Empty if absent.
  Result<std::vector<float>> numbers(std::string_view key) const;
  Result<std::optional<Json>> child(std::string_view key) const;

  Error invalid(std::string_view key, std::string_view why) const;

 private:
  const boost::json::object* object_;
  std::string file_, path_;  // path_: "rope_scaling." of the object that is the document's member of that name
};

}  // namespace hearth::convert
