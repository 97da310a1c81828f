#include "grammar/mask_costs.h"

#include <time.h>

#include <algorithm>
#include <random>

namespace hearth::grammar {
namespace {

// A machine that is followed token by token.
class Walk {
 public:
  Walk(Machine& machine, const TokenTrie& trie, MaskCosts& costs)
      : machine_(machine),
        trie_(trie),
        costs_(costs),
        mask_(sampling::mask_words(trie.vocabulary())),
        state_(machine.start()) {}

  std::span<const uint64_t> mask() {
    const uint64_t visited = machine_.visited();
    const Microseconds before = thread_time();
    machine_.mask(state_, mask_);
    costs_.masks.push_back({thread_time() - before, machine_.visited() - visited});
    return mask_;
  }
  bool is_forced() {
    uint8_t byte;
    if (!machine_.forced(state_, &byte)) return false;
    ++costs_.forced;
    return true;
  }
  bool accept(int32_t token) {
    state_ = machine_.step(state_, trie_.text(token));
    return state_ != Machine::kDead;
  }
  bool may_end() const { return machine_.accepts(state_); }

 private:
  Machine& machine_;
  const TokenTrie& trie_;
  MaskCosts& costs_;
  std::vector<uint64_t> mask_;
  StateId state_;
};

}  // namespace

Microseconds thread_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return Microseconds(static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3);
}

MaskCosts::Summary MaskCosts::summary() const {
  Summary sum;
  if (masks.empty()) return sum;
  std::vector<Microseconds> times;
  for (const Mask& mask : masks) {
    times.push_back(mask.time);
    sum.average += mask.time / masks.size();
    sum.visited += static_cast<double>(mask.visited) / static_cast<double>(masks.size());
    sum.most_visited = std::max(sum.most_visited, mask.visited);
  }
  std::ranges::sort(times);
  sum.p999 = times[std::min(times.size() - 1, times.size() * 999 / 1000)];
  sum.longest = times.back();
  return sum;
}

Machine prepared_machine(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie) {
  constexpr uint64_t kVisits_at_once = 1'000'000;
  Machine machine(std::move(grammar), std::move(trie));
  while (machine.prepare(kVisits_at_once)) {
  }
  return machine;
}

void measure_text(Machine& machine, const TokenTrie& trie, std::string_view text, MaskCosts& costs) {
  Walk walk(machine, trie, costs);
  for (const int32_t token : trie.encode(text)) {
    if (!walk.is_forced()) walk.mask();
    if (!walk.accept(token)) return;
  }
  walk.mask();
}

void measure_walk(Machine& machine, const TokenTrie& trie, uint64_t seed, size_t most_tokens, MaskCosts& costs) {
  Walk walk(machine, trie, costs);
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < most_tokens; ++i) {
    std::vector<int32_t> tokens;
    const std::span<const uint64_t> mask = walk.mask();
    for (int32_t token = 0; token < static_cast<int32_t>(trie.vocabulary()); ++token) {
      if (sampling::is_set(mask, token)) tokens.push_back(token);
    }
    if (tokens.empty()) return;
    // Quotes and brackets end values; any other token is one of so many that texts would never end.
    int32_t chosen = tokens[random() % tokens.size()];
    for (int tries = 0; tries < 40 && random() % 4 == 0; ++tries) {
      const int32_t other = tokens[random() % tokens.size()];
      if (trie.text(other).find_first_of("\"]}") != std::string_view::npos) chosen = other;
    }
    if (!walk.accept(chosen)) return;
    if (walk.may_end() && random() % 2 == 0) return;
  }
}

}  // namespace hearth::grammar
