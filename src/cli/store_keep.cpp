// hearth store gc, verify, move: what is done with all models of this machine, and where they lie. Works on the folders
// themselves, also while a server uses them.
#include <algorithm>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/processors.h"
#include "base/text.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/since.h"
#include "cli/store_action.h"
#include "cli/terminal.h"
#include "registry/partial.h"
#include "registry/pull.h"
#include "store/gc.h"
#include "store/move.h"
#include "store/ollama_models.h"
#include "store/room.h"
#include "store/verify.h"

namespace hearth::cli {
namespace {

Status no_words(const StoreOptions& options, const char* action) {
  if (options.names.empty()) return {};
  return error(ErrorKind::kUsage, "store {} takes no '{}'", action, options.names.front());
}

Status end_when_interrupted() {
  return interrupted() ? Status(error(ErrorKind::kCancelled, "interrupted")) : Status();
}

// --- gc

Status collect_partials(const store::Tier& tier, bool dry_run) {
  const std::string folder = store::partial_folder(tier.folder);
  for (const registry::PartialInfo& partial : registry::list_partials(folder)) {
    if (partial.in_use) continue;
    TRY(print(fmt::format("{}  {}  begun {}, {} of {} there\n", size_text(partial.disk_bytes),
                          partial.digest.substr(0, 19), since_text(partial.modified), size_text(partial.done),
                          size_text(partial.total))));
  }
  if (!dry_run) registry::remove_partials(folder, 0);
  return {};
}

Status gc(const StoreOptions& options) {
  const InterruptScope tidy_up;
  TRY(no_words(options, "gc"));
  uint64_t freed = 0, young = 0;
  for (const store::Tier& tier : store::tiers()) {
    ASSIGN_OR_RETURN(const store::Garbage garbage, store::find_garbage(tier.folder, store::kGarbage_age_s));
    for (const std::string& path : garbage.paths) TRY(print(fmt::format("{}\n", printable(path))));
    freed += garbage.bytes;
    young += garbage.young_bytes;
    if (!options.dry_run && !garbage.paths.empty()) {
      ASSIGN_OR_RETURN([[maybe_unused]] const uint64_t bytes,
                       store::collect_garbage(tier.folder, store::kGarbage_age_s));
    }
    for (const registry::PartialInfo& partial : registry::list_partials(store::partial_folder(tier.folder)))
      if (options.partial && !partial.in_use) freed += partial.disk_bytes;
    if (options.partial) TRY(collect_partials(tier, options.dry_run));
  }
  TRY(print(fmt::format("{} {}\n", size_text(freed), options.dry_run ? "would be free" : "freed")));
  if (young > 0)
    print_note(fmt::format("{} more belong to no model, but are younger than 24 hours: a pull may be under way",
                           size_text(young)));
  return {};
}

// --- verify

Status repair(const store::Damage& damage) {
  if (std::remove(damage.path.c_str()) != 0 && errno != ENOENT)
    return error(ErrorKind::kIo, "cannot delete {}", damage.path);
  registry::TransferOptions transfer;
  transfer.goes_on = [] { return !interrupted(); };
  for (const std::string& model : damage.models) {
    TRY(print(fmt::format("pulling what is missing of {}\n", model)));
    const auto pulled = registry::pull(model, transfer, [](const registry::Progress&) {});
    if (!pulled) return pulled.error();
  }
  return {};
}

Status verify(const StoreOptions& options) {
  const InterruptScope tidy_up;
  TRY(no_words(options, "verify"));
  uint64_t files = 0, bytes = 0, damaged = 0;
  for (const store::Tier& tier : store::tiers()) {
    Progress bar("verifying " + tier.folder, 0);
    const auto progress = [&](uint64_t done, uint64_t total) {
      bar.set_total(total);
      bar.update(done);
      return end_when_interrupted();
    };
    ASSIGN_OR_RETURN(const store::Verified verified, store::verify_store(tier.folder, usable_processors(), progress));
    files += verified.files;
    bytes += verified.bytes;
    for (const store::Damage& damage : verified.damages) {
      ++damaged;
      std::string users;
      for (const std::string& model : damage.models) users += fmt::format("{}{}", users.empty() ? "" : ", ", model);
      TRY(print(fmt::format("{} {} ({})\n", printable(damage.path), printable(damage.why),
                            users.empty() ? "no model uses it" : "used by " + users)));
      if (options.repair) TRY(repair(damage));
    }
  }
  TRY(print(fmt::format("{} files, {}: {}\n", files, size_text(bytes),
                        damaged == 0 ? "all are what their names say" : fmt::format("{} are damaged", damaged))));
  if (damaged == 0 || options.repair) return {};
  return error(ErrorKind::kInvalidData, "{} files are damaged; hearth store verify --repair fetches them again",
               damaged);
}

// --- move

Status move(const StoreOptions& options) {
  const InterruptScope tidy_up;
  if (options.to.empty()) return error(ErrorKind::kUsage, "store move needs a target: --to NAME or --to /FOLDER");
  if (options.names.empty() == !options.all)
    return error(ErrorKind::kUsage, "store move takes the models' names, or --all");
  ASSIGN_OR_RETURN(const store::Tier to, store::add_tier(options.to));
  store::watch_tiers();
  std::vector<std::string> models = options.names;
  if (options.all) models = store::list_models(store::model_folders());
  for (const std::string& model : models) {
    Progress bar("moving " + model, 0);
    uint64_t sum = 0;
    ASSIGN_OR_RETURN(const store::Moved moved, store::move_model(model, to, [&](std::string_view, uint64_t bytes) {
                       bar.update(sum += bytes);
                       return end_when_interrupted();
                     }));
    TRY(print(moved.from == to.name ? fmt::format("{} is in {} already\n", model, to.name)
                                    : fmt::format("{}: from {} to {} ({} copied)\n", model, moved.from, to.name,
                                                  size_text(moved.bytes))));
  }
  return {};
}

const StoreAction kGc = {"gc", "delete what no model uses (--partial, --dry-run)", gc};
const StoreAction kVerify = {"verify", "hash all files anew (--repair)", verify};
const StoreAction kMove = {"move", "to another store (NAME... or --all, --to)", move};
const RegisterStoreAction registered[] = {RegisterStoreAction(&kGc), RegisterStoreAction(&kVerify),
                                          RegisterStoreAction(&kMove)};

}  // namespace
}  // namespace hearth::cli
