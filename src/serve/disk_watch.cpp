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
  std::vector<Figures> figures;
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
                        std::vector<Figures>& figures) {
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
  figures.push_back({name, space->facts.total_bytes, space->facts.free_bytes, space->promised_bytes,
                     space->usable_bytes, partial_bytes, static_cast<int>(space->level), std::move(ids)});
}

void DiskWatch::add_source(metrics::Registry& registry) {
  registry.add_source([this](metrics::Page& page) {
    const std::lock_guard lock(mutex_);
    for (const Figures& store : figures_) {
      const metrics::Labels labels{{"store", store.store}};
      const auto gauge = [&](const char* figure, const char* help, uint64_t value) {
        page.gauge(figure, help, static_cast<double>(value), labels);
      };
      gauge("hearth_store_total_bytes", "Size of the file system that a store is on.", store.total_bytes);
      gauge("hearth_store_free_bytes", "Free on the file system that a store is on.", store.free_bytes);
      gauge("hearth_store_promised_bytes", "Promised to writers there, and not yet written.", store.promised_bytes);
      gauge("hearth_store_usable_bytes", "Free, without what is promised and what is kept free.", store.usable_bytes);
      gauge("hearth_store_partial_bytes", "Taken by downloads that were begun.", store.partial_bytes);
      page.gauge("hearth_store_level", "0 green, 1 yellow, 2 orange, 3 red.", store.level, labels);
      for (const std::string& id : store.findings)
        page.gauge("hearth_store_finding", "1: this is wrong with a store's disk, see docs/store.md.", 1,
                   {{"store", store.store}, {"id", id}});
    }
  });
}

}  // namespace hearth::serve
