#include "store/pins.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "disk/new_file.h"
#include "store/blobs.h"
#include "store/ollama_models.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

std::string path_of(const std::string& folder) {
  return (fs::path(folder) / "hearth" / "pins").string();
}

Status write(const std::string& folder, const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + "\n";
  return disk::write_file(path_of(folder), text, "pins");
}

}  // namespace

std::set<std::string> pinned_models(const std::string& folder) {
  std::set<std::string> names;
  const auto text = read_file(path_of(folder));
  if (!text) return names;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);)
    if (ModelName::parse(line)) names.insert(line);
  return names;
}

bool is_pinned(const std::string& folder, const ModelName& name) {
  const std::set<std::string> names = pinned_models(folder);
  return std::ranges::any_of(names, [&](const std::string& one) { return same_ignoring_case(one, name.display()); });
}

Status pin_model(const std::string& text, std::span<const std::string> folders) {
  ASSIGN_OR_RETURN(const ModelName name, ModelName::parse(text));
  for (const std::string& folder : folders) {
    if (!find_manifest(folder, name)) continue;
    const StoreLock lock(folder);
    if (is_pinned(folder, name)) return {};
    std::set<std::string> names = pinned_models(folder);
    names.insert(name.display());
    return write(folder, names);
  }
  return error(ErrorKind::kNotFound, "model '{}' not found", text);
}

Status unpin_model(const std::string& text, std::span<const std::string> folders) {
  ASSIGN_OR_RETURN(const ModelName name, ModelName::parse(text));
  for (const std::string& folder : folders) {
    if (!is_pinned(folder, name)) continue;
    const StoreLock lock(folder);
    std::set<std::string> names = pinned_models(folder);
    std::erase_if(names, [&](const std::string& one) { return same_ignoring_case(one, name.display()); });
    return write(folder, names);
  }
  return error(ErrorKind::kNotFound, "model '{}' is not pinned", text);
}

}  // namespace hearth::store
