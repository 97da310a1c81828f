#include "chat/tools.h"

#include <algorithm>

namespace hearth::chat {
namespace {

namespace json = boost::json;

constexpr int kMaxSchemaDepth = 16;  // of references and alternatives; guards against schemas that refer to themselves

class TypeFinder {
 public:
  TypeFinder(const json::object& root, Parameter* out) : root_(root), out_(out) {}

  void visit(const json::value& schema, int depth = 0) {
    const json::object* object = schema.if_object();
    if (object == nullptr || depth > kMaxSchemaDepth) return;
    if (const json::value* type = object->if_contains("type")) read_type(*type);
    if (const json::value* nullable = object->if_contains("nullable"); nullable != nullptr && nullable->is_bool())
      out_->null |= nullable->get_bool();
    if (const json::value* constant = object->if_contains("const")) read_example(*constant);
    if (const json::value* values = object->if_contains("enum"); values != nullptr && values->is_array()) {
      for (const json::value& value : values->get_array()) read_example(value);
    }
    for (const char* key : {"anyOf", "oneOf", "allOf"}) {
      const json::value* alternatives = object->if_contains(key);
      if (alternatives == nullptr || !alternatives->is_array()) continue;
      for (const json::value& alternative : alternatives->get_array()) visit(alternative, depth + 1);
    }
    if (const json::value* reference = object->if_contains("$ref"); reference != nullptr && reference->is_string())
      follow(std::string_view(reference->get_string()), depth);
  }

 private:
  void read_type(const json::value& type) {
    if (type.is_array()) {
      for (const json::value& one : type.get_array()) read_type(one);
    } else if (type.is_string()) {
      const std::string_view name(type.get_string());
      (name == "string" ? out_->text : name == "null" ? out_->null : out_->other) = true;
    }
  }

  void read_example(const json::value& value) {
    (value.is_string() ? out_->text : value.is_null() ? out_->null : out_->other) = true;
  }

  void follow(std::string_view reference, int depth) {
    if (!reference.starts_with('#')) return;
    boost::system::error_code failed;
    const json::value root(root_);
    if (const json::value* target = root.find_pointer(reference.substr(1), failed)) visit(*target, depth + 1);
  }

  const json::object& root_;
  Parameter* out_;
};

OfferedTool read_tool(const Tool& tool) {
  OfferedTool out;
  out.name = tool.name;
  const json::value* properties = tool.parameters.if_contains("properties");
  if (properties != nullptr && properties->is_object()) {
    for (const auto& [name, schema] : properties->get_object()) {
      Parameter& parameter = out.parameters.emplace_back();
      parameter.name = name;
      TypeFinder(tool.parameters, &parameter).visit(schema);
    }
  }
  const json::value* required = tool.parameters.if_contains("required");
  if (required != nullptr && required->is_array()) {
    for (const json::value& name : required->get_array()) {
      if (name.is_string()) out.required.emplace_back(name.get_string());
    }
  }
  return out;
}

std::string as_identifier(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    const bool kept = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!kept) c = '_';
  }
  return out;
}

}  // namespace

const Parameter* OfferedTool::parameter(std::string_view parameter_name) const {
  const auto at = std::find_if(parameters.begin(), parameters.end(),
                               [&](const Parameter& parameter) { return parameter.name == parameter_name; });
  return at == parameters.end() ? nullptr : &*at;
}

ToolSet::ToolSet(std::span<const Tool> tools) {
  for (const Tool& tool : tools) tools_.push_back(read_tool(tool));
}

const OfferedTool* ToolSet::find(std::string_view called) const {
  const auto exact = [&](std::string_view name) -> const OfferedTool* {
    const auto at =
        std::find_if(tools_.begin(), tools_.end(), [&](const OfferedTool& tool) { return tool.name == name; });
    return at == tools_.end() ? nullptr : &*at;
  };
  if (const OfferedTool* tool = exact(called)) return tool;
  const size_t separator = called.find_last_of(".:/");
  if (separator != std::string_view::npos) called.remove_prefix(separator + 1);
  if (const OfferedTool* tool = exact(called)) return tool;
  const OfferedTool* found = nullptr;
  const std::string wanted = as_identifier(called);
  for (const OfferedTool& tool : tools_) {
    if (as_identifier(tool.name) != wanted) continue;
    if (found != nullptr) return nullptr;
    found = &tool;
  }
  return found;
}

const OfferedTool* ToolSet::by_arguments(std::span<const std::string> keys) const {
  const OfferedTool* found = nullptr;
  for (const OfferedTool& tool : tools_) {
    const bool known =
        std::all_of(keys.begin(), keys.end(), [&](const std::string& key) { return tool.parameter(key); });
    const bool whole = std::all_of(tool.required.begin(), tool.required.end(), [&](const std::string& name) {
      return std::find(keys.begin(), keys.end(), name) != keys.end();
    });
    if (!known || !whole) continue;
    if (found != nullptr) return nullptr;
    found = &tool;
  }
  return found;
}

}  // namespace hearth::chat
