#include "store/cold_models.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>
#include <sstream>

#include "base/duration.h"
#include "base/error.h"
#include "base/file.h"
#include "disk/new_file.h"
#include "store/ollama_models.h"
#include "store/pins.h"

namespace hearth::store {
namespace {

constexpr int64_t kFresh_s = 600;  // a use is not noted again within so long

std::string file_of(const std::string& store) {
  return own_folder(store) + "/used";
}

std::map<std::string, int64_t> uses_in(const std::string& store) {
  std::map<std::string, int64_t> uses;
  const auto text = read_file(file_of(store));
  std::istringstream lines(text ? *text : std::string());
  int64_t seconds = 0;
  for (std::string name; lines >> seconds >> name;) uses[name] = seconds;
  return uses;
}

int64_t written(const std::string& store, const ModelName& name) {
  const auto manifest = find_manifest(store, name);
  struct stat info {};
  return manifest && ::stat(manifest->c_str(), &info) == 0 ? info.st_mtim.tv_sec : 0;
}

}  // namespace

Result<std::optional<ColdRule>> cold_rule() {
  const char* text = std::getenv("HEARTH_MOVE_COLD");
  if (text == nullptr || *text == '\0') return std::optional<ColdRule>();
  const std::string rule = text;
  const size_t equals = rule.find('=');
  const auto unused = equals == std::string::npos ? std::nullopt : parse_duration(rule.substr(equals + 1));
  if (!unused || unused->count() < 0)
    return error(ErrorKind::kUsage, "HEARTH_MOVE_COLD is '{}'; write STORE=TIME, as in pool=168h", rule);
  ASSIGN_OR_RETURN(Tier to, find_tier(rule.substr(0, equals)));
  return std::optional<ColdRule>({std::move(to), std::chrono::duration_cast<std::chrono::seconds>(*unused).count()});
}

void note_uses(const std::string& store, const std::vector<std::string>& names) {
  std::map<std::string, int64_t> uses = uses_in(store);
  const int64_t now = std::time(nullptr);
  bool fresh = true;
  for (const std::string& name : names) {
    int64_t& used = uses[name];
    fresh = fresh && now - used < kFresh_s;
    used = now;
  }
  if (fresh) return;
  std::string text;
  for (const auto& [name, used] : uses)
    if (const auto parsed = ModelName::parse(name); parsed && find_manifest(store, *parsed))
      text += fmt::format("{} {}\n", used, name);
  (void)disk::write_file(file_of(store), text, "when models were used").ok();
}

std::vector<ColdModel> cold_models(const std::string& store, int64_t unused_s, const std::vector<std::string>& in_use) {
  const std::map<std::string, int64_t> uses = uses_in(store);
  const int64_t now = std::time(nullptr);
  std::vector<ColdModel> cold;
  const std::string folders[] = {store};
  for (const std::string& name : list_models(folders)) {
    const auto parsed = ModelName::parse(name);
    if (!parsed || is_pinned(store, *parsed) || std::ranges::find(in_use, name) != in_use.end()) continue;
    const auto noted = uses.find(name);
    const int64_t used = std::max(noted == uses.end() ? 0 : noted->second, written(store, *parsed));
    if (now - used >= unused_s) cold.push_back({name, used});
  }
  std::ranges::sort(cold, {}, &ColdModel::used);
  return cold;
}

}  // namespace hearth::store
