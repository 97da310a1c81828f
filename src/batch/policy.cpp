#include "batch/policy.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace hearth::batch {
namespace {

struct Load {
  int64_t oldest_ms = INT64_MAX, first_place = INT64_MAX;
  std::set<std::string> owners;
};

}  // namespace

std::string choose_model(const std::vector<Ready>& ready, const Situation& situation, const Bounds& bounds) {
  std::map<std::string, Load> models;
  for (const Ready& one : ready) {
    Load& load = models[one.model];
    load.first_place = std::min(load.first_place, one.first_place);
    load.oldest_ms = std::min(load.oldest_ms, one.oldest_ms);
    load.owners.insert(one.owner);
  }
  if (models.empty()) return {};
  // Who has waited too long; else the earliest steps, so that a model that they need later is needed once.
  const auto next = std::ranges::min_element(models, {}, [&](const auto& one) {
    const bool waits = one.second.oldest_ms <= situation.now_ms - bounds.most_wait_ms;
    return std::tuple(!waits, waits ? one.second.oldest_ms : one.second.first_place, one.second.oldest_ms);
  });
  const auto current = models.find(situation.current);
  if (current == models.end()) {
    // Steps that run may make others of their model ready; then it goes on without a load.
    if (!situation.current.empty() && situation.in_flight > 0) return situation.current;
    return next->first;
  }
  const int64_t slice = std::max(bounds.least_slice_ms, bounds.slice_loads * situation.load_ms);
  if (situation.turn_ms < slice) return situation.current;
  const std::string* best = nullptr;
  int64_t waits_since = situation.now_ms - bounds.most_wait_ms;
  for (const Ready& one : ready) {
    if (one.model == situation.current || current->second.owners.contains(one.owner)) continue;
    if (one.oldest_ms > waits_since) continue;
    waits_since = one.oldest_ms;
    best = &one.model;
  }
  return best != nullptr ? *best : situation.current;
}

std::vector<Wanted> share(const std::vector<Ready>& ready, const std::string& model, int64_t slots) {
  std::vector<Wanted> wanted;
  std::vector<int64_t> can;
  for (const Ready& one : ready) {
    if (one.model != model || one.count <= one.suspects) continue;
    wanted.push_back({model, one.owner, 0, false});
    can.push_back(one.count - one.suspects);
  }
  while (slots > 0) {
    bool given = false;
    for (size_t i = 0; i < wanted.size() && slots > 0; ++i) {
      if (wanted[i].count >= can[i]) continue;
      ++wanted[i].count;
      --slots;
      given = true;
    }
    if (!given) break;
  }
  std::erase_if(wanted, [](const Wanted& one) { return one.count == 0; });
  return wanted;
}

}  // namespace hearth::batch
