#include "store/tiers.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "disk/findings.h"
#include "disk/guard.h"
#include "disk/new_file.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_name(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !text.empty() && text.size() <= 40 && std::all_of(text.begin(), text.end(), plain);
}

std::string_view trimmed_entry(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '/')) text.remove_suffix(1);
  return text;
}

class List {
 public:
  void add(std::string name, std::string folder) {
    while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
    for (const Tier& tier : tiers_)
      if (tier.folder == folder) return;
    std::string unique = name;
    for (int n = 2; taken(unique); ++n) unique = fmt::format("{}-{}", name, n);
    tiers_.push_back({std::move(unique), std::move(folder)});
  }
  std::vector<Tier>& tiers() { return tiers_; }

 private:
  bool taken(const std::string& name) const {
    return std::any_of(tiers_.begin(), tiers_.end(), [&](const Tier& tier) { return tier.name == name; });
  }
  std::vector<Tier> tiers_;
};

// Where Ollama's store is no one's whom this process is.
std::string own_store() {
  const std::string data = variable("XDG_DATA_HOME"), home = variable("HOME");
  if (!data.empty()) return data + "/hearth/models";
  return home.empty() ? "/var/lib/hearth/models" : home + "/.local/share/hearth/models";
}

std::string stores_file(const std::string& first) {
  return own_folder(first) + "/stores";
}

}  // namespace

Result<std::vector<Tier>> parse_tiers(std::string_view text) {
  List list;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(",\n"), text.size());
    const std::string_view entry = trimmed_entry(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (entry.empty()) continue;
    const size_t equals = entry.find('=');
    const std::string_view name = equals == std::string_view::npos ? "" : entry.substr(0, equals);
    const std::string_view folder = equals == std::string_view::npos ? "" : entry.substr(equals + 1);
    if (!is_name(name) || !folder.starts_with('/') || folder.find('\0') != std::string_view::npos)
      return error(ErrorKind::kUsage, "'{}' is no store; write NAME=/FOLDER, as in hot=/ssd/models,pool=/pool/models",
                   entry);
    list.add(std::string(name), std::string(folder));
  }
  return std::move(list.tiers());
}

std::vector<Tier> tiers() {
  if (const std::string stores = variable("HEARTH_STORES"); !stores.empty()) {
    auto named = parse_tiers(stores);
    if (named && !named->empty()) return *std::move(named);
    if (!named) log_warn("HEARTH_STORES counts for nothing: {}", named.error().message);
  }
  List list;
  if (const std::string models = variable("OLLAMA_MODELS"); !models.empty()) list.add("models", models);
  if (const std::string home = variable("HOME"); !home.empty()) list.add("ollama", home + "/.ollama/models");
  list.add("system", "/usr/share/ollama/.ollama/models");
  list.add("own", own_store());
  const std::vector<Tier> usual = list.tiers();
  for (const Tier& tier : usual) {
    const auto text = read_file(stores_file(tier.folder));
    const auto more = text ? parse_tiers(*text) : Result<std::vector<Tier>>(text.error());
    if (!more) continue;
    for (const Tier& added : *more) list.add(added.name, added.folder);
  }
  return std::move(list.tiers());
}

Result<Tier> find_tier(const std::string& name_or_folder) {
  const std::vector<Tier> all = tiers();
  std::string names;
  for (const Tier& tier : all) {
    if (tier.name == name_or_folder || tier.folder == trimmed_entry(name_or_folder)) return tier;
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", tier.name, tier.folder);
  }
  return error(ErrorKind::kNotFound, "there is no store '{}'; there are {}", name_or_folder, names);
}

Result<Tier> add_tier(const std::string& folder) {
  if (auto known = find_tier(folder)) return known;
  const std::string path(trimmed_entry(folder));
  if (!path.starts_with('/') || path.find_first_of(",\n") != std::string::npos)
    return error(ErrorKind::kUsage, "'{}' is neither the name of a store nor the whole path of a folder", folder);
  if (!variable("HEARTH_STORES").empty())
    return error(ErrorKind::kUsage, "the stores are those of HEARTH_STORES; add NAME={} there", path);
  TRY(disk::probe(path));
  // It is written where the first store is that can be: a few bytes, for which there is room on a full disk too.
  ASSIGN_OR_RETURN(const Tier first, writable_tier());
  std::string name = fs::path(path).filename().string();
  if (name == "models" && fs::path(path).has_parent_path()) name = fs::path(path).parent_path().filename().string();
  if (!is_name(name)) name = "store";
  const std::string file = stores_file(first.folder);
  const auto before = read_file(file);
  const std::string text = fmt::format("{}{}={}\n", before ? *before : "", name, path);
  TRY(disk::write_file(file, text, "the list of stores"));
  return find_tier(path);
}

Result<Tier> writable_tier() {
  std::optional<Error> first;
  for (const Tier& tier : tiers()) {
    // Nobody's folder is made for another user, and hearth's own only where there is no other.
    const Status probed = disk::probe(own_folder(tier.folder));
    if (probed) return tier;
    if (!first) first = probed.error();
  }
  if (!first) return error(ErrorKind::kIo, "there is no folder for models: neither OLLAMA_MODELS nor HOME is set");
  return *std::move(first);
}

std::string own_folder(const std::string& store) {
  return store + "/hearth";
}

namespace {

std::string work_folder(const std::string& store) {
  const std::string staging = variable("HEARTH_STAGING");
  if (staging.empty() || staging.starts_with('/')) return staging.empty() ? own_folder(store) : staging;
  static std::once_flag told;
  std::call_once(told, [&] { log_warn("HEARTH_STAGING counts for nothing: '{}' is no whole path", staging); });
  return own_folder(store);
}

}  // namespace

std::string partial_folder(const std::string& store) {
  return work_folder(store) + "/partial";
}

std::string staging_folder(const std::string& store) {
  return work_folder(store) + "/staging";
}

std::vector<std::string> partial_folders() {
  std::vector<std::string> folders;
  for (const Tier& tier : tiers())
    if (std::string folder = partial_folder(tier.folder); std::ranges::find(folders, folder) == folders.end())
      folders.push_back(std::move(folder));
  return folders;
}

void watch_tiers() {
  for (const Tier& tier : tiers()) {
    std::error_code failed;
    if (fs::exists(tier.folder, failed)) disk::add_ledger(own_folder(tier.folder) + "/reservations");
    if (fs::exists(work_folder(tier.folder), failed)) disk::add_ledger(work_folder(tier.folder) + "/reservations");
  }
}

}  // namespace hearth::store
