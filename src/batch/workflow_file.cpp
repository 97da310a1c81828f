#include "batch/workflow_file.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "base/toml.h"

namespace hearth::batch {
namespace {

namespace json = boost::json;

// TOML as JSON, remembering where each member stands.
class Converter {
 public:
  explicit Converter(const std::string& name) : name_(name) {}

  Result<json::value> convert(const toml::node& node, const std::string& path) {
    places_.emplace(path, node.source().begin);
    if (const auto* table = node.as_table()) return convert_table(*table, path);
    if (const auto* list = node.as_array()) return convert_list(*list, path);
    if (const auto* text = node.as_string()) return json::value(text->get());
    if (const auto* number = node.as_integer()) return json::value(number->get());
    if (const auto* number = node.as_floating_point()) return json::value(number->get());
    if (const auto* flag = node.as_boolean()) return json::value(flag->get());
    return Error{ErrorKind::kUsage, where(path) + "dates are not used here; write a text"};
  }
  // The place of the nearest that has one: of what is missing, that of what it is missing in.
  std::string where(const std::string& path) const {
    std::string at = path;
    while (true) {
      const auto found = places_.find(at);
      if (found != places_.end() && found->second.line > 0)
        return fmt::format("{}:{}:{}: ", name_, found->second.line, found->second.column);
      const size_t end = at.find_last_of(".[");
      if (at.empty()) return name_ + ": ";
      at.resize(end == std::string::npos ? 0 : end);
    }
  }

 private:
  Result<json::value> convert_table(const toml::table& table, const std::string& path) {
    json::object object;
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      ASSIGN_OR_RETURN(object[name], convert(node, path.empty() ? name : path + "." + name));
    }
    return json::value(std::move(object));
  }
  Result<json::value> convert_list(const toml::array& list, const std::string& path) {
    json::array array;
    for (const toml::node& node : list) {
      ASSIGN_OR_RETURN(json::value value, convert(node, fmt::format("{}[{}]", path, array.size())));
      array.push_back(std::move(value));
    }
    return json::value(std::move(array));
  }

  const std::string& name_;
  std::map<std::string, toml::source_position> places_;
};

std::string beside(const std::string& path, const std::string& file) {
  if (file == "-") return file;
  return (std::filesystem::path(path).parent_path() / file).string();
}

Result<std::string> text_member(const json::object& object, const char* name, const std::string& path,
                                const Where& where) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return std::string();
  if (!value->is_string())
    return Error{ErrorKind::kUsage, where(path + "." + name) + fmt::format("\"{}\" must be a text", name)};
  return std::string(value->get_string());
}

// A text, or a list of them.
Result<std::vector<std::string>> texts_member(const json::object& object, const char* name, const std::string& path,
                                              const Where& where) {
  std::vector<std::string> texts;
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return texts;
  const json::array list = value->is_array() ? value->get_array() : json::array{*value};
  for (const json::value& one : list) {
    if (!one.is_string())
      return Error{ErrorKind::kUsage,
                   where(path + "." + name) + fmt::format("\"{}\" must be a text, or a list of texts", name)};
    texts.emplace_back(one.get_string());
  }
  return texts;
}

Result<ItemSource> read_items(const json::value& value, const std::string& path, const Where& where) {
  ItemSource source;
  if (value.is_string()) {
    source.file = beside(path, std::string(value.get_string()));
    return source;
  }
  if (!value.is_object())
    return Error{ErrorKind::kUsage, where("items") + "items must be a file, or { file = ..., key = ... }"};
  const json::object& object = value.get_object();
  for (const auto& [key, member] : object)
    if (key != "file" && key != "folder" && key != "format" && key != "key" && key != "images")
      return Error{ErrorKind::kUsage,
                   where("items." + std::string(key)) +
                       fmt::format("\"{}\" is not known here; there are file, folder, format, key and images",
                                   printable(std::string(key)))};
  ASSIGN_OR_RETURN(source.file, text_member(object, "file", "items", where));
  ASSIGN_OR_RETURN(source.folder, text_member(object, "folder", "items", where));
  ASSIGN_OR_RETURN(source.format, text_member(object, "format", "items", where));
  ASSIGN_OR_RETURN(source.key, text_member(object, "key", "items", where));
  ASSIGN_OR_RETURN(source.images, texts_member(object, "images", "items", where));
  if (source.file.empty() == source.folder.empty())
    return Error{ErrorKind::kUsage, where("items") + "items need either a file or a folder"};
  if (!source.format.empty() && source.format != "csv" && source.format != "jsonl" && source.format != "lines")
    return Error{ErrorKind::kUsage, where("items.format") + "format must be csv, jsonl or lines"};
  if (!source.file.empty()) source.file = beside(path, source.file);
  if (!source.folder.empty()) source.folder = beside(path, source.folder);
  return source;
}

// Puts the schemas that steps name as files in their place.
Status read_schemas(json::object& file, const std::string& path, const Where& where) {
  const json::value* steps = file.if_contains("step");
  if (steps == nullptr || !steps->is_array()) return {};
  size_t number = 0;
  for (json::value& step : file["step"].get_array()) {
    const std::string at = fmt::format("step[{}].format", number++);
    json::object* object = step.if_object();
    const json::value* format = object != nullptr ? object->if_contains("format") : nullptr;
    if (format == nullptr) continue;
    if (!format->is_string())
      return Error{ErrorKind::kUsage, where(at) + "format must be the name of a file with a JSON schema"};
    const auto text = read_file(beside(path, std::string(format->get_string())));
    if (!text) return Error{text.error().kind, where(at) + text.error().message};
    boost::system::error_code failed;
    json::value schema = json::parse(*text, failed);
    if (failed || !schema.is_object())
      return Error{ErrorKind::kUsage,
                   where(at) + fmt::format("{} is no JSON schema", std::string(format->get_string()))};
    object->erase("format");
    (*object)["schema"] = std::move(schema);
  }
  return {};
}

}  // namespace

Result<WorkflowFile> parse_workflow(std::string_view text, const std::string& path) {
  const toml::parse_result parsed = toml::parse(text, std::string_view(path));
  if (!parsed) {
    const auto place = parsed.error().source().begin;
    return error(ErrorKind::kUsage, "{}:{}:{}: {}", path, place.line, place.column,
                 printable(parsed.error().description()));
  }
  Converter converter(path);
  const Where where = [&](const std::string& at) { return converter.where(at); };
  ASSIGN_OR_RETURN(json::value value, converter.convert(parsed.table(), ""));
  json::object& file = value.get_object();
  WorkflowFile result;
  if (const json::value* items = file.if_contains("items")) {
    ASSIGN_OR_RETURN(result.items, read_items(*items, path, where));
    file.erase("items");
  }
  if (const json::value* key = file.if_contains("key")) {
    if (!key->is_string()) return Error{ErrorKind::kUsage, where("key") + "the key must be a text"};
    result.key = std::string(key->get_string());
    file.erase("key");
  }
  if (!file.contains("name")) file["name"] = std::filesystem::path(path).stem().string();
  TRY(read_schemas(file, path, where));
  ASSIGN_OR_RETURN(result.workflow, workflow_from_json(value, where));
  ASSIGN_OR_RETURN(result.compiled, compile(result.workflow, where));
  return result;
}

Result<WorkflowFile> read_workflow_file(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse_workflow(text, path);
}

}  // namespace hearth::batch
