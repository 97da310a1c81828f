// Reading of request bodies: JSON objects of which every member may be absent, or null, which is the same.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/result.h"

namespace hearth::api {

inline constexpr size_t kMost_depth = 100;  // of nested values in a body

// The first value of a text; what follows it is ignored. Errors: kUsage.
Result<boost::json::value> read_json(std::string_view text);

class Pictures;  // api/pictures.h

// What exactly of a body is wrong, for dialects that tell it apart from the message.
struct Blame {
  std::string path = {};  // "messages[2].content"
  std::string code = {};  // "invalid_type", ...
};

// Members of an object, by name; one that differs in case only counts too where no other fits. `where` is the path to
// the object, for messages: "messages[2].". The object must outlive it.
class Fields {
 public:
  // `pictures`: where those go that stand in it; null: they are refused.
  Fields(const boost::json::object& object, std::string where, Blame* blame = nullptr, Pictures* pictures = nullptr)
      : object_(object), where_(std::move(where)), blame_(blame), pictures_(pictures) {}

  // Null if it is absent or null.
  const boost::json::value* find(std::string_view name) const;
  std::string path(std::string_view name) const { return where_ + std::string(name); }
  const boost::json::object& all() const { return object_; }
  // The members of a member, or of an element of a list.
  Fields inner(const boost::json::object& object, std::string_view name) const {
    return {object, path(name) + ".", blame_, pictures_};
  }
  Pictures* pictures() const { return pictures_; }

  // An error that names the member, and why.
  template <class... Args>
  Error refuse(std::string_view name, std::string_view code, fmt::format_string<Args...> format, Args&&... args) const {
    return blamed(path(name), code, fmt::format(format, std::forward<Args>(args)...));
  }
  // A value of another type than the member must have. `name` may go on: "stop[1]".
  Error wrong_type(std::string_view name, std::string_view expected, const boost::json::value& value) const;

  // Errors: kUsage, with the path and what was expected.
  Result<std::optional<std::string>> text(std::string_view name) const;
  Result<std::optional<bool>> boolean(std::string_view name) const;
  Result<std::optional<double>> number(std::string_view name) const;
  Result<std::optional<int64_t>> integer(std::string_view name) const;  // a fraction is cut off
  Result<const boost::json::object*> object(std::string_view name) const;
  Result<const boost::json::array*> array(std::string_view name) const;
  Result<std::vector<std::string>> texts(std::string_view name) const;  // of a list; empty if absent
  // Within bounds, both included. Errors: also what is outside.
  Result<std::optional<double>> number(std::string_view name, double least, double most) const;
  Result<std::optional<int64_t>> integer(std::string_view name, int64_t least, int64_t most) const;

 private:
  Error blamed(std::string path, std::string_view code, std::string why) const;

  const boost::json::object& object_;
  const std::string where_;
  Blame* const blame_;
  Pictures* const pictures_;
};

Error wrong_type(const std::string& path, std::string_view expected, const boost::json::value& value);

// The first value of a body, which must be an object. Errors: kUsage.
Result<boost::json::value> read_object(std::string_view text);

inline std::string_view view(const boost::json::string& text) {
  return {text.data(), text.size()};
}
inline boost::json::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

// Of an integer, or a number without its fraction; nothing if there is no such integer.
std::optional<int64_t> to_integer(const boost::json::value& value);

}  // namespace hearth::api
