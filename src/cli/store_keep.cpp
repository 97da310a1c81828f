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

// The bytes that become free.
Result<uint64_t> collect_partials(const std::string& folder, bool dry_run) {
  uint64_t bytes = 0;
  for (const registry::PartialInfo& partial : registry::list_partials(folder)) {
    if (partial.in_use) continue;
    bytes += partial.disk_bytes;
    TRY(print(fmt::format("{}  {}  begun {}, {} of {} there\n", size_text(partial.disk_bytes),
                          partial.digest.substr(0, 19), since_text(partial.modified), size_text(partial.done),
                          size_text(partial.total))));
  }
  if (!dry_run) registry::remove_partials(folder, 0);
  return bytes;
}

Status gc(const StoreOptions& options) {
  const InterruptScope tidy_up;
  TRY(no_words(options, "gc"));
  uint64_t freed = 0, young = 0, used = 0, shared = 0;
  for (const store::Tier& tier : store::tiers()) {
    ASSIGN_OR_RETURN(const store::Garbage garbage, store::find_garbage(tier.folder, store::kGarbage_age_s));
    for (const std::string& path : garbage.paths) TRY(print(fmt::format("{}\n", printable(path))));
    freed += garbage.bytes;
    young += garbage.young_bytes;
    used += garbage.used_bytes;
    shared += garbage.shared_bytes;
    if (!options.dry_run && !garbage.paths.empty()) {
      ASSIGN_OR_RETURN([[maybe_unused]] const uint64_t bytes,
                       store::collect_garbage(tier.folder, store::kGarbage_age_s));
    }
  }
  if (options.partial)
    for (const std::string& folder : store::partial_folders()) {
      ASSIGN_OR_RETURN(const uint64_t bytes, collect_partials(folder, options.dry_run));
      freed += bytes;
    }
  TRY(print(fmt::format("{} {}\n", size_text(freed), options.dry_run ? "would be free" : "freed")));
  if (young > 0)
    print_note(fmt::format("{} more belong to no model, but are younger than 24 hours: a pull may be under way",
                           size_text(young)));
  if (used > 0) print_note(fmt::format("{} more are in use by programs that run", size_text(used)));
  if (shared > 0)
    print_note(fmt::format("{} of these files are other files' too (links, shared extents), and are not won",
                           size_text(shared)));
  return {};
}

// --- verify

// From another store, or from where one of its models comes from; what is damaged stays until the other is there.
Status repair(const store::Damage& damage, const store::Tier& tier) {
  registry::TransferOptions transfer;
  transfer.goes_on = [] { return !interrupted(); };
  std::optional<Error> why;
  for (const std::string& model : damage.models) {
    TRY(print(fmt::format("  fetching it again, of {}\n", model)));
    const Status done =
        registry::fetch_again(model, damage.digest, tier.folder, transfer, [](const registry::Progress&) {});
    if (done) return print("  it is whole again\n");
    if (done.error().kind == ErrorKind::kCancelled) return done;
    why = done.error();
  }
  if (why) print_error(why->message);
  return why ? Status(*why) : Status();
}

Status verify(const StoreOptions& options) {
  const InterruptScope tidy_up;
  TRY(no_words(options, "verify"));
  uint64_t files = 0, bytes = 0, damaged = 0, left = 0;
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
                            users.empty() ? "no model uses it; hearth store gc deletes it" : "used by " + users)));
      if (!options.repair || damage.models.empty()) continue;
      const Status done = repair(damage, tier);
      if (!done && done.error().kind == ErrorKind::kCancelled) return done;
      if (!done) ++left;
    }
  }
  TRY(print(fmt::format("{} files, {}: {}\n", files, size_text(bytes),
                        damaged == 0 ? "all are what their names say" : fmt::format("{} are damaged", damaged))));
  if (damaged == 0 || (options.repair && left == 0)) return {};
  if (!options.repair)
    return error(ErrorKind::kInvalidData, "{} files are damaged; hearth store verify --repair fetches them again",
                 damaged);
  return error(ErrorKind::kInvalidData, "{} of {} damaged files are not repaired", left, damaged);
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
