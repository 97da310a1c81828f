#include <algorithm>
#include <boost/json.hpp>

#include "api/anthropic/ask.h"
#include "base/error.h"
#include "base/outside_text.h"

namespace hearth::api::anthropic {
namespace {

namespace json = boost::json;
using Mode = ToolChoice::Mode;

// Tools that Anthropic's models know without being told; their public schemas
// (https://docs.anthropic.com/en/docs/agents-and-tools/tool-use).
struct KnownTool {
  std::string_view prefix, description, schema;
};
constexpr KnownTool kKnown_tools[] = {
    {"bash_", "Runs commands in a bash shell that persists between calls.",
     R"({"type":"object","properties":{"command":{"type":"string","description":"The command to run"},)"
     R"("restart":{"type":"boolean","description":"Whether to start the shell anew"}}})"},
    {"text_editor_", "Views, creates and edits text files.",
     R"({"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},)"
     R"("path":{"type":"string"},"file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},)"
     R"("insert_line":{"type":"integer"},"insert_text":{"type":"string"},)"
     R"("view_range":{"type":"array","items":{"type":"integer"}}},"required":["command","path"]})"},
    {"memory_", "Views, creates and edits files of a memory that persists between conversations.",
     R"({"type":"object","properties":{"command":{"type":"string",)"
     R"("enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string"},)"
     R"("file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},)"
     R"("insert_line":{"type":"integer"},"insert_text":{"type":"string"},"old_path":{"type":"string"},)"
     R"("new_path":{"type":"string"}},"required":["command"]})"}};

const KnownTool* find_known(const std::string& type) {
  for (const KnownTool& tool : kKnown_tools)
    if (type.starts_with(tool.prefix)) return &tool;
  return nullptr;
}

Result<std::string> name_of(const Fields& tool) {
  constexpr size_t kMost = 128;
  ASSIGN_OR_RETURN(const auto name, tool.text("name"));
  if (!name || name->empty()) return required(tool, "name");
  if (name->size() > kMost)
    return tool.refuse("name", "", "{}: String should have at most {} characters", tool.path("name"), kMost);
  return *name;
}

Status add_tool(const Fields& fields, const std::string& type, ChatInput& input, std::vector<std::string>& warnings) {
  chat::Tool tool;
  ASSIGN_OR_RETURN(tool.name, name_of(fields));
  if (const KnownTool* known = find_known(type)) {
    tool.description = known->description;
    tool.parameters = json::parse(view(known->schema)).as_object();
  } else {
    ASSIGN_OR_RETURN(const json::object* schema, fields.object("input_schema"));
    if (schema == nullptr) return required(fields, "input_schema");
    tool.parameters = *schema;
  }
  ASSIGN_OR_RETURN(const auto description, fields.text("description"));
  if (description) tool.description = *description;
  ASSIGN_OR_RETURN(const auto strict, fields.boolean("strict"));
  if (strict.value_or(false)) input.strict_tools.push_back(tool.name);
  ASSIGN_OR_RETURN(const auto deferred, fields.boolean("defer_loading"));
  if (deferred.value_or(false)) warnings.push_back(fields.path("defer_loading") + "=it is loaded at once");
  input.tools.push_back(std::move(tool));
  return {};
}

Status decode_choice(const Fields& fields, const std::vector<std::string>& skipped, ChatInput& input) {
  ASSIGN_OR_RETURN(const json::object* object, fields.object("tool_choice"));
  if (object == nullptr) return {};
  const Fields choice = fields.inner(*object, "tool_choice");
  ASSIGN_OR_RETURN(const auto type, choice.text("type"));
  if (!type) return required(choice, "type");
  ToolChoice& out = input.choice;
  if (*type == "any") {
    out.mode = Mode::kRequired;
  } else if (*type == "tool") {
    out.mode = Mode::kNamed;
    ASSIGN_OR_RETURN(const auto name, choice.text("name"));
    if (!name) return required(choice, "name");
    out.name = *name;
  } else if (*type == "none") {
    out.mode = Mode::kNone;
  } else if (*type != "auto") {
    return choice.refuse("type", "", "tool_choice.type: \"{}\" is none of auto, any, tool and none", printable(*type));
  }
  ASSIGN_OR_RETURN(const auto alone, choice.boolean("disable_parallel_tool_use"));
  out.parallel = !alone.value_or(false);
  if (out.mode == Mode::kNamed && std::ranges::find(skipped, out.name) != skipped.end())
    return choice.refuse("name", "", "tool_choice.name: {} is not available on this server", printable(out.name));
  if ((out.mode == Mode::kRequired || out.mode == Mode::kNamed) && input.tools.empty())
    return fields.refuse("tool_choice", "", "tool_choice: tools are required for this choice");
  if (out.mode == Mode::kNamed && std::ranges::find(input.tools, out.name, &chat::Tool::name) == input.tools.end())
    return choice.refuse("name", "", "tool_choice.name: there is no tool {}", printable(out.name));
  return {};
}

}  // namespace

Status decode_tools(const Fields& fields, ChatInput& input, std::vector<std::string>& warnings) {
  ASSIGN_OR_RETURN(const json::array* tools, fields.array("tools"));
  std::vector<std::string> skipped;
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    const std::string where = fmt::format("tools.{}", i);
    if (!tools->at(i).is_object()) return fields.wrong_type(where, "an object", tools->at(i));
    const Fields tool = fields.inner(tools->at(i).get_object(), where);
    ASSIGN_OR_RETURN(const auto given, tool.text("type"));
    const std::string type = given.value_or("custom");
    if (type == "custom" || type == "function" || find_known(type) != nullptr) {
      TRY(add_tool(tool, type, input, warnings));
      continue;
    }
    ASSIGN_OR_RETURN(const auto name, tool.text("name"));
    skipped.push_back(name.value_or(type));
    warnings.push_back(fmt::format("{}={} is not available on this server", where, printable(type.substr(0, 40))));
  }
  // Left out, the model would answer from memory, and agents would search again and again.
  if (!skipped.empty() && input.tools.empty())
    return fields.refuse("tools", "", "{} is not available on this server", printable(skipped.front()));
  return decode_choice(fields, skipped, input);
}

}  // namespace hearth::api::anthropic
