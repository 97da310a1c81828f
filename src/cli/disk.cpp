// hearth disk: in one screen what is where, what is promised, what would be freed by what, and when it will be full.
#include <set>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "disk/findings.h"
#include "disk/guard.h"
#include "store/room.h"
#include "store/usage.h"

namespace hearth::cli {
namespace {

constexpr size_t kMost_models = 5;

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}", row[i], widths[i] + 3);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string duration(int64_t seconds) {
  if (seconds >= 2 * 86400) return fmt::format("{} days", seconds / 86400);
  return seconds >= 2 * 3600 ? fmt::format("{} hours", seconds / 3600) : fmt::format("{} minutes", seconds / 60);
}

std::string stores(const std::vector<store::TierState>& states) {
  std::vector<std::vector<std::string>> rows = {
      {"STORE", "FOLDER", "MODELS", "SIZE", "FREE", "KEPT FREE", "PROMISED", "CAN TAKE", "STATE"}};
  for (const store::TierState& state : states) {
    if (!state.exists) continue;
    const std::string condition = state.writable ? disk::level_name(state.space.level) : "read-only";
    rows.push_back({state.tier.name, printable(state.tier.folder), std::to_string(state.models.size()),
                    size_text(state.blob_bytes), size_text(state.space.facts.free_bytes),
                    size_text(state.space.keep_free_bytes), size_text(state.space.promised_bytes),
                    size_text(state.writable ? state.space.usable_bytes : 0), condition});
  }
  return rows.size() == 1 ? "There is no store yet: the first \"hearth pull\" makes one.\n" : table(rows);
}

std::string promises(const std::vector<store::TierState>& states) {
  std::string text;
  std::set<uint64_t> seen;
  for (const store::TierState& state : states) {
    if (!state.exists || !seen.insert(state.space.facts.device).second) continue;
    for (const disk::Promise& promise : disk::promises(state.tier.folder))
      text += fmt::format("  {:>10}  {} (process {})\n", size_text(promise.bytes), printable(promise.what),
                          promise.process);
  }
  return text.empty() ? "" : "\nPromised now, and not yet written:\n" + text;
}

std::string ways_to_free(const std::vector<store::TierState>& states) {
  std::string text;
  uint64_t garbage = 0, partial = 0;
  for (const store::TierState& state : states) {
    garbage += state.garbage_bytes;
    partial += state.partial_bytes;
    size_t shown = 0;
    for (const store::StoredModel& model : state.models)
      if (model.freed_bytes >= (1 << 20) && state.writable && shown++ < kMost_models)
        text += fmt::format("  {:>10}  hearth rm {}{}\n", size_text(model.freed_bytes), printable(model.name),
                            model.freed_bytes < model.bytes ? "   (the rest is other models' too)" : "");
  }
  if (garbage > 0) text += fmt::format("  {:>10}  hearth store gc   (what no model uses)\n", size_text(garbage));
  if (partial > 0)
    text += fmt::format("  {:>10}  hearth store gc --partial   (downloads that were begun)\n", size_text(partial));
  return text.empty() ? "" : "\nWhat would be free:\n" + text;
}

std::string elsewhere(const std::vector<store::TierState>& states) {
  std::string text;
  for (const store::Place& place : store::other_places(states))
    text += fmt::format("  {:>10}  {} ({})   hearth store move --all --to {}/models\n", size_text(place.usable_bytes),
                        printable(place.folder), place.type, place.folder == "/" ? "" : printable(place.folder));
  return text.empty() ? "" : "\nOther disks with room:\n" + text;
}

std::string outlook(const std::vector<store::TierState>& states) {
  std::string text;
  for (const store::TierState& state : states)
    if (state.exists)
      if (const auto left = store::seconds_until_full(state.tier.folder))
        text += fmt::format("\n{}: full in about {} at the rate of the last days.\n", state.tier.name, duration(*left));
  return text;
}

std::string findings(const std::vector<store::TierState>& states) {
  std::string text;
  for (const store::TierState& state : states) {
    if (!state.exists) continue;
    for (const disk::Finding& finding : disk::findings_of(state.tier.folder))
      text += fmt::format("\n{}: {}\n  {}\n", finding.cause.id, printable(what_of(finding.cause)),
                          printable(remedy_of(finding.cause)));
  }
  return text;
}

Status run() {
  store::watch_tiers();
  const std::vector<store::TierState> states = store::look_at_tiers();
  for (const store::TierState& state : states)
    if (state.exists && state.writable) store::note_usage(state.tier.folder);
  return print(stores(states) + promises(states) + ways_to_free(states) + elsewhere(states) + outlook(states) +
               findings(states));
}

const Command kCommand = {"disk", "Say what lies where, what is promised, and what would be freed by what",
                          [](Arguments&) -> Action { return [] { return run(); }; }};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
