// hearth store import, dedupe: models of other programs, linked instead of copied.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/store_action.h"
#include "cli/terminal.h"
#include "store/import_model.h"
#include "store/ollama_models.h"
#include "store/tiers.h"

namespace hearth::cli {
namespace {

using store::FoundModel;
using store::Share;

Result<std::string> own_store() {
  store::watch_tiers();
  ASSIGN_OR_RETURN(store::Tier tier, store::writable_tier());
  return std::move(tier.folder);
}

// One bar for all that is read, under the name of what it is.
class Bar {
 public:
  store::FileProgress progress() {
    return [this](std::string_view what, uint64_t done, uint64_t total) -> Status {
      if (interrupted()) return error(ErrorKind::kCancelled, "interrupted; what is done stays done");
      if (!bar_) bar_.emplace("reading", total);
      bar_->set_total(total);
      bar_->update(done, std::string(what.substr(what.rfind('/') + 1)));
      return {};
    };
  }
  void end() { bar_.reset(); }

 private:
  std::optional<Progress> bar_;
};

std::string way_of(const FoundModel& model, const std::string& folder) {
  if (model.kind == FoundModel::Kind::kSafetensors) return "by create";
  if (model.kind == FoundModel::Kind::kParts) return "joined";
  const auto way = store::likely_share(model.path, folder);
  return way ? store::share_name(*way) : "unreadable";
}

bool is_here(const FoundModel& model) {
  const auto name = store::ModelName::parse(model.name);
  return name && std::ranges::any_of(store::tiers(), [&](const store::Tier& tier) {
           return store::find_manifest(tier.folder, *name).has_value();
         });
}

bool is_asked_for(const FoundModel& model, const StoreOptions& options) {
  return options.names.empty() || std::ranges::any_of(options.names, [&](const std::string& name) {
           const auto parsed = store::ModelName::parse(name);
           return same_ignoring_case(name, model.name) || (parsed && same_ignoring_case(parsed->display(), model.name));
         });
}

std::string row(const FoundModel& model, const std::string& what) {
  return fmt::format("{:<14}{:>10}  {:<13} {}\n{:26}{}\n", model.program, size_text(model.bytes), what,
                     printable(model.name), "", printable(model.path));
}

Status list(const std::vector<FoundModel>& found, const std::string& folder) {
  if (found.empty()) return print("no models of other programs were found\n");
  std::string text;
  size_t fresh = 0;
  for (const FoundModel& model : found) {
    const bool here = is_here(model);
    fresh += !here && model.kind != FoundModel::Kind::kSafetensors;
    text += row(model, here ? "here already" : way_of(model, folder));
  }
  TRY(print(text));
  if (fresh > 0)
    print_note(fmt::format(
        "{} of them would come into {}; \"hearth store import --apply\" brings all, and with NAME only those", fresh,
        folder));
  return {};
}

Status import(const StoreOptions& options) {
  ASSIGN_OR_RETURN(const std::string folder, own_store());
  std::vector<FoundModel> found = store::find_models(folder, store::process_environment);
  std::erase_if(found, [&](const FoundModel& model) { return !is_asked_for(model, options); });
  if (found.empty() && !options.names.empty())
    return error(ErrorKind::kNotFound, "'{}' was not found; \"hearth store import\" lists what was",
                 options.names.front());
  if (!options.apply) return list(found, folder);
  const InterruptScope tidy_up;
  size_t failures = 0;
  for (const FoundModel& model : found) {
    if (model.kind == FoundModel::Kind::kSafetensors && options.names.empty()) continue;
    if (is_here(model)) {
      TRY(print(fmt::format("{} is here already\n", printable(model.name))));
      continue;
    }
    Bar bar;
    const auto done = store::import_model(model, folder, bar.progress());
    bar.end();
    if (!done && done.error().kind == ErrorKind::kCancelled) return done.error();
    if (!done) {
      ++failures;
      print_error(fmt::format("{}: {}", model.name, done.error().message));
      continue;
    }
    TRY(print(fmt::format("{} ({}): {}, {}\n", printable(model.name), model.program, store::share_name(*done),
                          size_text(model.bytes))));
  }
  if (failures > 0) return error(ErrorKind::kIo, "{} of {} models could not be brought in", failures, found.size());
  return {};
}

Status dedupe(const StoreOptions& options) {
  if (!options.names.empty()) return error(ErrorKind::kUsage, "dedupe takes no names: it looks at all files");
  ASSIGN_OR_RETURN(const std::string folder, own_store());
  const InterruptScope tidy_up;
  Bar bar;
  const auto found = store::find_duplicates(folder, store::find_weights(store::process_environment), bar.progress());
  bar.end();
  if (!found) return found.error();
  uint64_t won = 0;
  for (const store::Duplicate& duplicate : *found) {
    std::string what = duplicate.obstacle.empty() ? size_text(duplicate.bytes) : "stays: " + duplicate.obstacle;
    if (options.apply && duplicate.obstacle.empty()) {
      if (const Status done = store::replace_duplicate(duplicate); !done) {
        print_error(done.error().message);
        continue;
      }
      what += ", done";
    }
    won += duplicate.bytes;
    TRY(print(
        fmt::format("{}\n  is equal to {}\n  {}\n", printable(duplicate.replace), printable(duplicate.keep), what)));
  }
  if (found->empty()) return print("no file is here twice\n");
  TRY(print(fmt::format("{} bytes ({}) {}\n", won, size_text(won), options.apply ? "are free now" : "would be free")));
  if (!options.apply && won > 0) print_note("\"hearth store dedupe --apply\" does it");
  return {};
}

const StoreAction kImport = {
    "import", "list models of Ollama, Hugging Face, LM Studio, llama.cpp and GPT4All, and with --apply link them",
    import};
const StoreAction kDedupe = {"dedupe", "list files that are here twice, and with --apply let them share their bytes",
                             dedupe};
const RegisterStoreAction registered[] = {RegisterStoreAction(&kImport), RegisterStoreAction(&kDedupe)};

}  // namespace
}  // namespace hearth::cli
