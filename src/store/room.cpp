#include "store/room.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "store/edit_models.h"
#include "store/gc.h"
#include "store/model_name.h"
#include "store/ollama_models.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

uint64_t disk_bytes(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_blocks) * 512 : 0;
}

struct Used {
  std::string name, manifest;
  std::set<std::string> digests;
};

std::vector<Used> models_in(const std::string& folder) {
  std::vector<Used> list;
  const std::string folders[] = {folder};
  for (const std::string& name : list_models(folders)) {
    const auto parsed = ModelName::parse(name);
    const auto manifest = parsed ? find_manifest(folder, *parsed) : std::nullopt;
    auto digests = manifest ? digests_of(*manifest) : Result<std::set<std::string>>(std::set<std::string>());
    if (manifest && digests) list.push_back({name, *manifest, *std::move(digests)});
  }
  return list;
}

void add_models(TierState& state) {
  const std::vector<Used> models = models_in(state.tier.folder);
  std::map<std::string, int> users;
  for (const Used& model : models)
    for (const std::string& digest : model.digests) ++users[digest];
  for (const Used& model : models) {
    StoredModel stored{.name = model.name};
    for (const std::string& digest : model.digests) {
      const uint64_t bytes = disk_bytes(state.tier.folder + "/blobs/sha256-" + digest.substr(7));
      stored.bytes += bytes;
      if (users[digest] == 1) stored.freed_bytes += bytes;
    }
    struct stat info {};
    if (::stat(model.manifest.c_str(), &info) == 0) stored.modified = info.st_mtim.tv_sec;
    state.models.push_back(std::move(stored));
  }
  std::sort(state.models.begin(), state.models.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
}

uint64_t folder_bytes(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code failed;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed))
    if (it->is_regular_file(failed)) bytes += disk_bytes(it->path().string());
  return bytes;
}

}  // namespace

std::vector<TierState> look_at_tiers() {
  std::vector<TierState> list;
  std::set<std::string> partials;  // one may be of all
  for (const Tier& tier : tiers()) {
    TierState state;
    state.tier = tier;
    std::error_code failed;
    state.exists = fs::is_directory(tier.folder, failed);
    if (auto space = disk::space_of(tier.folder)) state.space = *std::move(space);
    state.writable = !state.space.facts.read_only && ::access(state.space.facts.folder.c_str(), W_OK | X_OK) == 0;
    if (state.exists) {
      add_models(state);
      state.blob_bytes = folder_bytes(tier.folder + "/blobs");
      if (partials.insert(partial_folder(tier.folder)).second)
        state.partial_bytes = folder_bytes(partial_folder(tier.folder));
      if (const auto garbage = find_garbage(tier.folder, kGarbage_age_s)) state.garbage_bytes = garbage->bytes;
    }
    list.push_back(std::move(state));
  }
  return list;
}

std::vector<Place> other_places(const std::vector<TierState>& states) {
  std::set<uint64_t> known;
  for (const TierState& state : states)
    if (state.exists) known.insert(state.space.facts.device);
  std::vector<Place> places;
  for (const auto& [point, type] : disk::mounts()) {
    const auto space = disk::space_of(point);
    constexpr uint64_t kLeast_bytes = 1 << 30;
    if (!space || space->facts.mount_point != point || space->usable_bytes < kLeast_bytes) continue;
    const disk::Facts& facts = space->facts;
    const bool system = point.starts_with("/boot") || point.starts_with("/dev") || point.starts_with("/run") ||
                        point.starts_with("/sys") || point.starts_with("/proc") || point.starts_with("/snap");
    struct stat info {};
    const bool folder = ::stat(point.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
    if (!folder || system || facts.in_memory() || facts.is_overlay() || facts.read_only || facts.total_bytes == 0)
      continue;
    if (known.insert(facts.device).second) places.push_back({point, facts.type, space->usable_bytes});
  }
  std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.usable_bytes > b.usable_bytes; });
  return places;
}

namespace {

std::string way_by_removal(const TierState& state, uint64_t missing) {
  std::string models;
  uint64_t sum = 0;
  for (const StoredModel& model : state.models) {
    if (model.freed_bytes < (1 << 20) || sum >= missing) break;
    sum += model.freed_bytes;
    models += fmt::format("{}hearth rm {} ({})", models.empty() ? "" : ", ", model.name, size_text(model.freed_bytes));
  }
  const uint64_t waste = state.garbage_bytes + state.partial_bytes;
  if (waste > (1 << 20))
    models += fmt::format("{}hearth store gc --partial ({})", models.empty() ? "" : ", ", size_text(waste));
  return models.empty() ? "delete other files there" : models;
}

std::string way_by_place(const std::vector<TierState>& states, const std::string& store, uint64_t bytes) {
  for (const TierState& state : states)
    if (state.tier.folder != store && state.exists && state.writable && state.space.usable_bytes >= bytes)
      return fmt::format("move models to the store {} ({} free): hearth store move --all --to {}", state.tier.name,
                         size_text(state.space.usable_bytes), state.tier.name);
  for (const Place& place : other_places(states))
    if (place.usable_bytes >= bytes)
      return fmt::format("move the models to {}, which has {} free: hearth store move --all --to {}/models",
                         place.folder, size_text(place.usable_bytes), place.folder == "/" ? "" : place.folder);
  return "mount a larger disk and move the models there: hearth store move --all --to FOLDER";
}

}  // namespace

Error with_ways_out(const Error& refusal, const std::string& name, const std::string& store, uint64_t bytes) {
  if (refusal.kind != ErrorKind::kNoSpace) return refusal;
  const std::vector<TierState> states = look_at_tiers();
  const auto at = std::find_if(states.begin(), states.end(), [&](const auto& s) { return s.tier.folder == store; });
  const uint64_t usable = at == states.end() ? 0 : at->space.usable_bytes;
  const std::string removal =
      at == states.end() ? "delete other files there" : way_by_removal(*at, bytes > usable ? bytes - usable : 0);
  return with_remedy(ErrorKind::kNoSpace, refusal.what(),
                     fmt::format("1. make room: {}; 2. {}; 3. take a smaller quantisation of {}", removal,
                                 way_by_place(states, store, bytes), name));
}

}  // namespace hearth::store
