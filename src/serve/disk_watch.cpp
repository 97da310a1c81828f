#include "serve/disk_watch.h"

#include <unistd.h>

#include <filesystem>

#include "base/log.h"
#include "base/text.h"
#include "disk/findings.h"
#include "disk/guard.h"
#include "registry/partial.h"
#include "store/tiers.h"
#include "store/usage.h"

namespace hearth::serve {
namespace {

constexpr std::chrono::seconds kEvery{10};
constexpr int64_t kPartials_kept_s = 7 * 24 * 3600;

}  // namespace

void DiskWatch::look() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kEvery;
  store::watch_tiers();
  std::set<std::string> found;
  std::vector<metrics::StoreFigures> figures;
  for (const store::Tier& tier : store::tiers()) {
    std::error_code failed;
    if (std::filesystem::is_directory(tier.folder, failed)) look_at(tier.name, tier.folder, found, figures);
  }
  for (const std::string& id : known_)
    if (!found.contains(id)) health_.clear(id);
  known_ = std::move(found);
  const std::lock_guard lock(mutex_);
  figures_ = std::move(figures);
}

void DiskWatch::look_at(const std::string& name, const std::string& folder, std::set<std::string>& found,
                        std::vector<metrics::StoreFigures>& figures) {
  const bool writable = ::access(folder.c_str(), W_OK | X_OK) == 0;
  std::vector<std::string> ids;
  for (const disk::Finding& finding : disk::findings_of(folder)) {
    const Cause& cause = finding.cause;
    // Somebody else's store is read only, and that is no fault; one of several takes what is new.
    if (cause.id == "disk-not-writable" || (!writable && finding.grave)) continue;
    ids.push_back(cause.id);
    if (found.insert(cause.id).second) health_.set({cause.id, what_of(cause), remedy_of(cause), false, cause.id});
  }
  const auto space = disk::space_of(folder);
  if (!space) return;
  uint64_t partial_bytes = 0;
  if (writable) {
    if (disk::tend_ballast(store::own_folder(folder)))
      log_warn("the disk of {} is full: 64 MiB that were kept for this are free now", folder);
    store::note_usage(folder);
    const uint64_t removed = registry::remove_partials(store::partial_folder(folder), kPartials_kept_s);
    if (removed > 0) log_info("deleted downloads that nobody went on with for a week ({})", size_text(removed));
    for (const registry::PartialInfo& partial : registry::list_partials(store::partial_folder(folder)))
      partial_bytes += partial.disk_bytes;
  }
  figures.push_back({name, disk::level_name(space->level), space->facts.total_bytes, space->facts.free_bytes,
                     space->keep_free_bytes, space->promised_bytes, space->usable_bytes, partial_bytes,
                     std::move(ids)});
}

std::vector<metrics::StoreFigures> DiskWatch::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

}  // namespace hearth::serve
