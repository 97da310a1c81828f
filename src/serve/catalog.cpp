#include "serve/catalog.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/log.h"
#include "fleet/find_model.h"
#include "serve/summaries.h"

namespace hearth::serve {
namespace {

constexpr std::chrono::seconds kMost_looking{1};

int64_t stamp(const std::string& path) {
  std::error_code failed;
  const auto time = std::filesystem::last_write_time(path, failed);
  return failed ? 0 : time.time_since_epoch().count();
}

}  // namespace

std::vector<api::ModelSummary> Catalog::list() {
  const std::vector<std::string> folders = store::model_folders();
  std::vector<std::string> names = store::list_models(folders);
  if (std::ranges::find(names, fleet::kDemo_name) == names.end()) names.emplace_back(fleet::kDemo_name);
  std::vector<api::ModelSummary> list;
  const std::lock_guard lock(mutex_);
  for (const std::string& name : names) {
    const auto found = fleet::find_named_model(name);
    if (!found) {
      if (found.error().kind != ErrorKind::kNotFound && !known_.contains(name))
        log_warn("{} is not listed: {}", name, found.error().message);
      if (found.error().kind != ErrorKind::kNotFound) known_.try_emplace(name);
      continue;
    }
    Known& known = known_[name];
    const int64_t now = stamp(found->model);
    if (known.path != found->model || known.modified != now) {
      known = {.path = found->model, .modified = now};
      const auto file = gguf::File::open(found->model);
      known.usable = file.ok();
      if (file)
        known.summary = summarize(*found, fleet::facts_of(**file), (*file)->file_bytes());
      else
        log_warn("{} is not listed: {}", name, file.error().message);
    }
    if (known.usable) list.push_back(known.summary);
  }
  std::ranges::stable_sort(list, [](const auto& a, const auto& b) { return a.modified > b.modified; });
  if (capabilities_) look_up_capabilities(list);
  return list;
}

void Catalog::look_up_capabilities(std::vector<api::ModelSummary>& list) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + kMost_looking;
  for (api::ModelSummary& summary : list) {
    Known& known = known_[summary.name];
    if (known.has_capabilities) continue;
    if (Clock::now() > end) return;
    known.summary.capabilities = summary.capabilities = capabilities_(summary.name);
    known.has_capabilities = true;
  }
}

}  // namespace hearth::serve
