#include "store/edit_models.h"

#include <unistd.h>

#include <filesystem>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "disk/new_file.h"
#include "store/blobs.h"
#include "store/create.h"
#include "store/manifest.h"
#include "store/model_name.h"
#include "store/ollama_models.h"
#include "store/pins.h"
#include "store/tiers.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

struct Found {
  fs::path folder, manifest;
};

std::optional<Found> find(const ModelName& name, std::span<const std::string> folders) {
  for (const std::string& folder : folders)
    if (const auto manifest = find_manifest(folder, name)) return Found{folder, *manifest};
  return std::nullopt;
}

Result<ModelName> parse(std::string_view what, const std::string& text) {
  Result<ModelName> name = ModelName::parse(text);
  if (!name) return error(ErrorKind::kUsage, "{} \"{}\" is invalid", what, text);
  return name;
}

// Both spellings that Ollama has had.
std::array<fs::path, 2> blob_paths(const fs::path& folder, std::string_view digest) {
  const std::string hex(digest.substr(7));
  return {folder / "blobs" / ("sha256-" + hex), folder / "blobs" / ("sha256:" + hex)};
}

// The folders above that are empty now, up to "manifests".
void remove_empty_parents(const fs::path& manifest) {
  fs::path at = manifest.parent_path();
  for (int level = 0; level < 3; ++level, at = at.parent_path()) {
    std::error_code failed;
    if (!fs::is_empty(at, failed) || failed) return;
    fs::remove(at, failed);
  }
}

}  // namespace

Result<std::set<std::string>> digests_of(const std::string& manifest) {
  ASSIGN_OR_RETURN(const std::string text, read_file(manifest));
  ASSIGN_OR_RETURN(const Manifest parsed, parse_manifest(text));
  std::set<std::string> digests;
  if (!parsed.config_digest.empty()) digests.insert(parsed.config_digest);
  for (const Layer& layer : parsed.layers) digests.insert(layer.digest);
  return digests;
}

Result<std::set<std::string>> digests_of_all(const std::string& folder) {
  std::set<std::string> all;
  std::error_code failed;
  const fs::path manifests = fs::path(folder) / "manifests";
  if (!fs::exists(manifests, failed) && !failed) return all;
  for (fs::recursive_directory_iterator it(manifests, failed), end; !failed && it != end; it.increment(failed)) {
    // No name of a model begins with a dot; what does is left of a process that died.
    if (!it->is_regular_file(failed) || it->path().filename().string().starts_with('.')) continue;
    const auto used = digests_of(it->path().string());
    if (!used)
      return with_remedy(used.error().kind,
                         fmt::format("nothing can be called garbage while {} cannot be read: {}", it->path().string(),
                                     used.error().message),
                         "delete that file if it is no model's, or pull the model again");
    for (const std::string& digest : *used) all.insert(plain_digest(digest));
  }
  if (failed) return error(ErrorKind::kIo, "{}: {}", manifests.string(), failed.message());
  return all;
}

void remove_unused(const std::string& folder, const std::set<std::string>& candidates) {
  if (candidates.empty()) return;
  const auto used = digests_of_all(folder);
  if (!used) return log_warn("the files of a removed model stay: {}", used.error().message);
  for (const std::string& digest : candidates) {
    if (used->contains(plain_digest(digest))) continue;
    std::error_code failed;
    for (const fs::path& path : blob_paths(folder, digest)) fs::remove(path, failed);
  }
}

namespace {

// What lies in a store that is read only gets its new name in the first one that is not, with its files.
Status copy_to_own_store(const std::string& source, const std::string& destination,
                         std::span<const std::string> folders) {
  ASSIGN_OR_RETURN(const Tier tier, writable_tier());
  std::vector<std::string> all = {tier.folder};
  all.insert(all.end(), folders.begin(), folders.end());
  Blueprint plan;
  plan.name = destination;
  plan.from_model = source;
  const auto made = create_model(plan, all, {});
  return made ? Status() : Status(made.error());
}

}  // namespace

Status copy_model(const std::string& source, const std::string& destination, std::span<const std::string> folders) {
  ASSIGN_OR_RETURN(const ModelName from, parse("source", source));
  ASSIGN_OR_RETURN(const ModelName to, parse("destination", destination));
  const auto found = find(from, folders);
  if (!found) return error(ErrorKind::kNotFound, "model \"{}\" not found", source);
  if (::access(found->folder.c_str(), W_OK) != 0) return copy_to_own_store(source, destination, folders);
  const StoreLock lock(found->folder.string());
  ASSIGN_OR_RETURN(const std::string manifest, read_file(found->manifest.string()));
  // A name is the same whatever the case of its letters.
  const auto there = find_manifest(found->folder.string(), to);
  const fs::path path = there ? fs::path(*there) : found->folder / "manifests" / to.host / to.space / to.model / to.tag;
  return write_manifest(found->folder.string(), path.string(), manifest, "copy " + from.display());
}

Status remove_model(const std::string& text, std::span<const std::string> folders) {
  ASSIGN_OR_RETURN(const ModelName name, parse("name", text));
  const auto found = find(name, folders);
  if (!found) return error(ErrorKind::kNotFound, "model '{}' not found", text);
  if (is_pinned(found->folder.string(), name))
    return error(ErrorKind::kUsage, "model '{}' is pinned; \"hearth store unpin {}\" first", text, text);
  const StoreLock lock(found->folder.string());
  const auto used = digests_of(found->manifest.string());
  std::error_code failed;
  fs::remove(found->manifest, failed);
  if (failed) return error(ErrorKind::kIo, "{}: {}", found->manifest.string(), failed.message());
  remove_empty_parents(found->manifest);
  if (used) remove_unused(found->folder.string(), *used);
  return {};
}

Result<bool> has_blob(std::string_view digest, std::span<const std::string> folders) {
  if (!is_digest(digest)) return error(ErrorKind::kUsage, "invalid digest format");
  for (const std::string& folder : folders) {
    std::error_code failed;
    for (const fs::path& path : blob_paths(folder, digest))
      if (fs::exists(path, failed)) return true;
  }
  return false;
}

std::string model_digest(const std::string& text, std::span<const std::string> folders) {
  const auto name = ModelName::parse(text);
  const auto found = name ? find(*name, folders) : std::nullopt;
  const auto manifest = found ? read_file(found->manifest.string()) : Result<std::string>(std::string());
  return found && manifest ? sha256_hex(*manifest) : "";
}

}  // namespace hearth::store
