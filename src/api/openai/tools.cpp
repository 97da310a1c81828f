#include <algorithm>
#include <boost/json.hpp>

#include "api/openai/ask.h"
#include "base/error.h"
#include "base/outside_text.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;
using Mode = ToolChoice::Mode;

Status check_name(const Fields& fields, const std::string& name, Ask& ask) {
  constexpr size_t kMost = 64;
  const auto letter = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  const auto also = [&](unsigned char c) { return letter(c) || c == '.' || c == ':' || c == '/'; };
  if (name.empty()) return fields.refuse("name", "missing_required_parameter", "{} is missing", fields.path("name"));
  if (name.size() > kMost || !std::ranges::all_of(name, also))
    return fields.refuse("name", "invalid_value", "{} is \"{}\"; names have at most {} letters of a-z, A-Z, 0-9, _ and -",
                         fields.path("name"), printable(name.substr(0, kMost)), kMost);
  if (!std::ranges::all_of(name, letter))
    ask.warnings.push_back(fmt::format("{}=other servers take letters, digits, _ and - only", fields.path("name")));
  return {};
}

// Its tools, each under a name of both.
Status add_namespace(const Fields& space, ChatInput& input, Ask& ask) {
  ASSIGN_OR_RETURN(const auto name, space.text("name"));
  if (!name) return space.refuse("name", "missing_required_parameter", "{} is missing", space.path("name"));
  ASSIGN_OR_RETURN(const json::array* tools, space.array("tools"));
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    const std::string where = fmt::format("tools[{}]", i);
    if (!tools->at(i).is_object()) return space.wrong_type(where, "an object", tools->at(i));
    json::object joined = tools->at(i).get_object();
    const Fields tool = space.inner(tools->at(i).get_object(), where);
    ASSIGN_OR_RETURN(const auto own, tool.text("name"));
    if (!own) return tool.refuse("name", "missing_required_parameter", "{} is missing", tool.path("name"));
    const std::string whole = joined_name(*name, *own);
    ask.form.spaces[whole] = {*name, *own};
    joined["name"] = whole;
    ASSIGN_OR_RETURN(const auto type, tool.text("type"));
    const Fields renamed = space.inner(joined, where);
    TRY(type == "custom" ? add_custom(renamed, input, ask) : add_function(renamed, input, ask));
  }
  return {};
}

Status add_tool(const Fields& tool, size_t index, ChatInput& input, Ask& ask) {
  ASSIGN_OR_RETURN(const auto type, tool.text("type"));
  const std::string kind = type.value_or("function");
  if (kind == "function") {
    ASSIGN_OR_RETURN(const json::object* function, tool.object("function"));
    return function == nullptr ? add_function(tool, input, ask)
                               : add_function(tool.inner(*function, "function"), input, ask);
  }
  if (kind == "custom") {
    ASSIGN_OR_RETURN(const json::object* custom, tool.object("custom"));
    return custom == nullptr ? add_custom(tool, input, ask) : add_custom(tool.inner(*custom, "custom"), input, ask);
  }
  if (kind == "namespace") return add_namespace(tool, input, ask);
  ask.warnings.push_back(fmt::format("tools[{}]=the type \"{}\" is not known, the tool is left out", index,
                                     printable(kind.substr(0, 40))));
  return {};
}

// The name that {"type": "function", "function": {"name"}} or {"type": "function", "name"} means.
Result<std::string> named(const Fields& choice, const char* kind) {
  ASSIGN_OR_RETURN(const json::object* inner, choice.object(kind));
  ASSIGN_OR_RETURN(const auto name, inner == nullptr ? choice.text("name") : choice.inner(*inner, kind).text("name"));
  if (!name) return choice.refuse("name", "missing_required_parameter", "{} is missing", choice.path("name"));
  return *name;
}

Status choose_allowed(const Fields& choice, ToolChoice& out) {
  ASSIGN_OR_RETURN(const json::object* nested, choice.object("allowed_tools"));
  const Fields inner = nested == nullptr ? choice : choice.inner(*nested, "allowed_tools");
  ASSIGN_OR_RETURN(const auto mode, inner.text("mode"));
  if (mode && *mode != "auto" && *mode != "required")
    return inner.refuse("mode", "invalid_value", "{} must be auto or required", inner.path("mode"));
  out.mode = mode == "required" ? Mode::kRequired : Mode::kAuto;
  ASSIGN_OR_RETURN(const json::array* tools, inner.array("tools"));
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    const std::string where = fmt::format("tools[{}]", i);
    if (!tools->at(i).is_object()) return inner.wrong_type(where, "an object", tools->at(i));
    const Fields tool = inner.inner(tools->at(i).get_object(), where);
    ASSIGN_OR_RETURN(std::string name, named(tool, tool.find("custom") != nullptr ? "custom" : "function"));
    out.allowed.push_back(std::move(name));
  }
  if (out.allowed.empty()) return inner.refuse("tools", "invalid_value", "{} is empty", inner.path("tools"));
  return {};
}

Status decode_choice(const Fields& fields, ToolChoice& out) {
  const json::value* value = fields.find("tool_choice");
  if (value == nullptr) return {};
  if (value->is_string()) {
    const std::string mode(value->get_string());
    if (mode != "auto" && mode != "none" && mode != "required" && mode != "any")
      return fields.refuse("tool_choice", "invalid_value", "tool_choice is \"{}\"; it must be none, auto, required or "
                           "name a tool", printable(mode.substr(0, 40)));
    out.mode = mode == "auto" ? Mode::kAuto : mode == "none" ? Mode::kNone : Mode::kRequired;
    return {};
  }
  if (!value->is_object()) return fields.wrong_type("tool_choice", "a string or an object", *value);
  const Fields choice = fields.inner(value->get_object(), "tool_choice");
  ASSIGN_OR_RETURN(const auto type, choice.text("type"));
  const std::string kind = type.value_or("function");
  if (kind == "allowed_tools") return choose_allowed(choice, out);
  if (kind == "auto" || kind == "none" || kind == "required") {
    out.mode = kind == "auto" ? Mode::kAuto : kind == "none" ? Mode::kNone : Mode::kRequired;
    return {};
  }
  if (kind != "function" && kind != "custom")
    return choice.refuse("type", "unsupported_value", "tools of type \"{}\" are not there", printable(kind));
  out.mode = Mode::kNamed;
  ASSIGN_OR_RETURN(out.name, named(choice, kind.c_str()));
  return {};
}

}  // namespace

Status add_function(const Fields& function, ChatInput& input, Ask& ask) {
  chat::Tool tool;
  ASSIGN_OR_RETURN(const auto name, function.text("name"));
  tool.name = name.value_or("");
  TRY(check_name(function, tool.name, ask));
  ASSIGN_OR_RETURN(const auto description, function.text("description"));
  tool.description = description.value_or("");
  ASSIGN_OR_RETURN(const json::object* parameters, function.object("parameters"));
  if (parameters != nullptr) tool.parameters = *parameters;
  ASSIGN_OR_RETURN(const auto strict, function.boolean("strict"));
  if (strict.value_or(false)) input.strict_tools.push_back(tool.name);
  input.tools.push_back(std::move(tool));
  return {};
}

Status add_custom(const Fields& custom, ChatInput& input, Ask& ask) {
  chat::Tool tool;
  ASSIGN_OR_RETURN(const auto name, custom.text("name"));
  tool.name = name.value_or("");
  TRY(check_name(custom, tool.name, ask));
  ASSIGN_OR_RETURN(const auto description, custom.text("description"));
  tool.description = description.value_or("");
  json::object text{{"type", "string"}};
  ASSIGN_OR_RETURN(const json::object* format, custom.object("format"));
  if (format != nullptr) {
    const Fields inner = custom.inner(*format, "format");
    ASSIGN_OR_RETURN(const auto type, inner.text("type"));
    ASSIGN_OR_RETURN(const auto syntax, inner.text("syntax"));
    ASSIGN_OR_RETURN(const auto definition, inner.text("definition"));
    if (syntax == "regex" && definition) {
      text["pattern"] = *definition;
    } else if (type == "grammar") {
      ask.warnings.push_back(fmt::format("{}=the input is not held to a grammar in this syntax", custom.path("format")));
    }
    // The model should know the form in any case.
    if (definition) text["description"] = fmt::format("Must be of this form ({}):\n{}", syntax.value_or(""), *definition);
  }
  tool.parameters = {{"type", "object"},
                     {"properties", json::object{{"input", std::move(text)}}},
                     {"required", json::array{"input"}},
                     {"additionalProperties", false}};
  ask.form.custom_tools.insert(tool.name);
  input.tools.push_back(std::move(tool));
  return {};
}

Status check_choice(const Fields& fields, const ChatInput& input) {
  const ToolChoice& choice = input.choice;
  const bool demands = choice.mode == Mode::kRequired || choice.mode == Mode::kNamed;
  if (demands && input.tools.empty())
    return fields.refuse("tool_choice", "invalid_value", "'tool_choice' is only allowed when 'tools' are specified.");
  std::vector<std::string> names = choice.allowed;
  if (choice.mode == Mode::kNamed) names.push_back(choice.name);
  for (const std::string& name : names) {
    if (std::ranges::none_of(input.tools, [&](const chat::Tool& tool) { return tool.name == name; }))
      return fields.refuse("tool_choice", "invalid_value", "Tool choice '{}' not found in 'tools' parameter.",
                           printable(name));
  }
  return {};
}

Status decode_tools(const Fields& fields, ChatInput& input, Ask& ask) {
  ASSIGN_OR_RETURN(const json::array* tools, fields.array("tools"));
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    const std::string where = fmt::format("tools[{}]", i);
    if (!tools->at(i).is_object()) return fields.wrong_type(where, "an object", tools->at(i));
    TRY(add_tool(fields.inner(tools->at(i).get_object(), where), i, input, ask));
  }
  TRY(decode_choice(fields, input.choice));
  ASSIGN_OR_RETURN(const auto parallel, fields.boolean("parallel_tool_calls"));
  input.choice.parallel = parallel.value_or(true);
  return check_choice(fields, input);
}

}  // namespace hearth::api::openai
