#include "serve/cold_moves.h"

#include <ctime>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "disk/guard.h"
#include "store/move.h"
#include "store/ollama_models.h"

namespace hearth::serve {
namespace {

constexpr std::chrono::seconds kEvery{10};
constexpr std::chrono::minutes kAfter_failure{10};

}  // namespace

void ColdMoves::look() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kEvery;
  const std::vector<std::string> in_use = running_();
  for (const store::Tier& tier : store::tiers()) {
    std::vector<std::string> here;
    for (const std::string& name : in_use)
      if (const auto parsed = store::ModelName::parse(name); parsed && store::find_manifest(tier.folder, *parsed))
        here.push_back(name);
    if (!here.empty()) store::note_uses(tier.folder, here);
  }
  const auto rule = store::cold_rule();
  if (!rule && !std::exchange(told_, true)) log_warn("no models are moved: {}", rule.error().message);
  if (state_->failed.exchange(false)) next_ = now + kAfter_failure;
  if (!rule || !*rule || state_->moving || next_ > now + kEvery) return;
  for (const store::Tier& tier : store::tiers())
    if (tier.folder != (*rule)->to.folder && begin(**rule, tier, in_use)) return;
}

// True if a move is under way now.
bool ColdMoves::begin(const store::ColdRule& rule, const store::Tier& from, const std::vector<std::string>& in_use) {
  std::error_code failed;
  const auto space = disk::space_of(from.folder);
  if (!space || space->level < disk::Level::kOrange || !std::filesystem::is_directory(from.folder, failed))
    return false;
  const std::vector<store::ColdModel> cold = store::cold_models(from.folder, rule.unused_s, in_use);
  if (cold.empty()) return false;
  const std::string name = cold.front().name;
  state_->moving = true;
  const auto started = work_.start([name, to = rule.to, state = state_](const std::atomic<bool>& cancelled) {
    log_info("{} goes to the store {}: its own is almost full, and nobody uses it", name, to.name);
    const auto moved = store::move_model(name, to, [&](std::string_view, uint64_t) {
      return cancelled ? Status(error(ErrorKind::kCancelled, "the server is ending")) : Status();
    });
    if (moved)
      log_info("{} is in the store {} now ({} copied)", name, to.name, size_text(moved->bytes));
    else
      log_warn("{} stays where it is: {}", name, moved.error().message);
    state->failed = !moved;
    state->moving = false;
  });
  if (!started) state_->moving = false;
  return started.has_value();
}

}  // namespace hearth::serve
