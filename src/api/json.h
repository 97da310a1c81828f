// Reading of request bodies: JSON objects of which every member may be absent, or null, which is the same.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::api {

inline constexpr size_t kMost_depth = 100;  // of nested values in a body

// The first value of a text; what follows it is ignored. Errors: kUsage.
Result<boost::json::value> read_json(std::string_view text);

// Members of an object, by name; one that differs in case only counts too where no other fits. `where` is the path to
// the object, for messages: "messages[2].". The object must outlive it.
class Fields {
 public:
  Fields(const boost::json::object& object, std::string where) : object_(object), where_(std::move(where)) {}

  // Null if it is absent or null.
  const boost::json::value* find(std::string_view name) const;
  std::string path(std::string_view name) const { return where_ + std::string(name); }

  // Errors: kUsage, with the path and what was expected.
  Result<std::optional<std::string>> text(std::string_view name) const;
  Result<std::optional<bool>> boolean(std::string_view name) const;
  Result<std::optional<double>> number(std::string_view name) const;
  Result<std::optional<int64_t>> integer(std::string_view name) const;  // a fraction is cut off
  Result<const boost::json::object*> object(std::string_view name) const;
  Result<const boost::json::array*> array(std::string_view name) const;
  Result<std::vector<std::string>> texts(std::string_view name) const;  // of a list; empty if absent

 private:
  const boost::json::object& object_;
  const std::string where_;
};

Error wrong_type(const std::string& path, std::string_view expected, const boost::json::value& value);

// Of an integer, or a number without its fraction; nothing if there is no such integer.
std::optional<int64_t> to_integer(const boost::json::value& value);

}  // namespace hearth::api
