#include "config/file.h"

#include "base/error.h"
#include "base/outside_text.h"
#include "base/toml.h"

namespace hearth::config {
namespace {

class Flattener {
 public:
  explicit Flattener(const std::string& path) : path_(path) {}

  Status add(const std::string& prefix, const toml::table& table) {
    for (const auto& [name, node] : table) {
      const std::string key = prefix + std::string(name.str());
      if (const toml::table* inner = node.as_table()) {
        TRY(add(key + ".", *inner));
        continue;
      }
      ASSIGN_OR_RETURN(std::string value, text_of(key, node));
      entries.push_back({key, std::move(value), name.source().begin.line});
    }
    return {};
  }

  std::vector<Entry> entries;

 private:
  Result<std::string> text_of(const std::string& key, const toml::node& node) const {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* on = node.as_boolean()) return std::string(on->get() ? "true" : "false");
    if (const toml::array* list = node.as_array()) return joined(key, *list);
    return error(ErrorKind::kUsage, "{}, line {}: \"{}\" can be a text, a whole number, true, false or a list of texts",
                 path_, node.source().begin.line, printable(key));
  }

  Result<std::string> joined(const std::string& key, const toml::array& list) const {
    std::string text;
    for (const toml::node& node : list) {
      const auto* entry = node.as_string();
      if (entry == nullptr || entry->get().find(',') != std::string::npos) {
        return error(ErrorKind::kUsage, "{}, line {}: the entries of \"{}\" must be texts without commas", path_,
                     node.source().begin.line, printable(key));
      }
      text += (text.empty() ? "" : ",") + entry->get();
    }
    return text;
  }

  const std::string& path_;
};

}  // namespace

Result<std::vector<Entry>> parse_file(std::string_view text, const std::string& path) {
  const toml::parse_result parsed = toml::parse(text, std::string_view(path));
  if (!parsed) {
    const toml::parse_error& fault = parsed.error();
    return error(ErrorKind::kUsage, "{}, line {}: {}", path, fault.source().begin.line, printable(fault.description()));
  }
  Flattener flattener(path);
  TRY(flattener.add("", parsed.table()));
  return std::move(flattener.entries);
}

}  // namespace hearth::config
