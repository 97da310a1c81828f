// The tools that a request offers, as the parsers of answers need them: which name is meant, and of which kind a
// parameter is. Immutable; shared by all parsers of a request.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chat/message.h"

namespace hearth::chat {

// What a schema allows, where that decides how a value that is written without quotes is read.
struct Parameter {
  std::string name;
  bool text = false, null = false, other = false;  // all false: the schema does not say
  bool typed() const { return text || null || other; }
};

struct OfferedTool {
  std::string name;
  std::vector<Parameter> parameters;  // in the schema's order
  std::vector<std::string> required;

  const Parameter* parameter(std::string_view parameter_name) const;
};

class ToolSet {
 public:
  ToolSet() = default;
  explicit ToolSet(std::span<const Tool> tools);

  bool empty() const { return tools_.empty(); }
  // The tool that a model calls by this name: exactly, else without a namespace ("functions.f", "tools:f"), else as a
  // model writes names that are no identifiers ("get_time" for "get-time"), if only one fits. Null if none does.
  const OfferedTool* find(std::string_view called) const;
  // The only tool that has all these parameters and requires no others; null if there is none or several.
  const OfferedTool* by_arguments(std::span<const std::string> keys) const;

 private:
  std::vector<OfferedTool> tools_;
};

}  // namespace hearth::chat
