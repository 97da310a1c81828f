// Values with behaviour of their own: functions, methods, macros, `loop`.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "template/value.h"

namespace hearth::templates {

class Render;  // one render of a Jinja template

struct Arguments {
  std::span<const Value> positional;
  std::span<const std::pair<std::string_view, Value>> named;
};

// Objects lie in the arena and are never destroyed.
struct Object {
  virtual Value call(Render&, const Arguments&) { fail("{} cannot be called", text()); }
  // kMissing where there is no such attribute.
  virtual Value attribute(Render&, std::string_view) { return {}; }
  virtual bool callable() const { return false; }
  virtual std::string text() const = 0;  // as it prints

 protected:
  ~Object() = default;
};

}  // namespace hearth::templates
