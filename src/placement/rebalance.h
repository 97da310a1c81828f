// When layers move while a model runs: a pure function from what lies where and what is free to what should
// lie where. It gives way at once and comes back slowly, so that it does not flap when another program's memory
// goes up and down.
#pragma once

#include <cstdint>
#include <optional>

#include "placement/plan.h"

namespace hearth::placement {

struct RebalanceOptions {
  // Beyond the reserve, so much must be free after layers came back to a GPU; less on small ones (grow_margin_on()).
  uint64_t grow_margin_bytes = uint64_t{256} << 20;
  // It must have been possible for so long without a break.
  int64_t grow_after_ms = 5'000;
  // After giving memory back, nothing grows for so long: others asked for it.
  int64_t hold_ms = 30'000;
  // How often the engine looks.
  int64_t interval_ms = 1'000;
  PlanOptions plan = {};
};

struct Observation {
  int64_t now_ms = 0;                // any steady clock
  std::vector<uint64_t> free_bytes;  // per device, now, beside what the model has taken
  uint64_t give_back_bytes = 0;      // asked for: so much more is to be free on the GPUs together
  bool made_free = false;            // what is free was made so for this model: it comes back without waiting
};

// One step from `current` towards `target`: the tables, or one layer or unit of bound ones; what goes to the host first
// (`host` is its number), and the last layers before others. The target itself when nothing is left to do.
Arrangement one_move(const Arrangement& current, const Arrangement& target, std::span<const LayerSizes> layers,
                     uint32_t host);

class Rebalancer {
 public:
  explicit Rebalancer(const RebalanceOptions& options) : options_(options) {}

  // Where the model should lie; nothing: where it does. `devices`: as for plan(), their `free` and `overhead`
  // are not looked at (what is running has paid its overhead). Below half of a GPU's reserve, and of what others are
  // promised wholly, layers leave it, as many as both need.
  std::optional<Arrangement> decide(const Arrangement& current, std::span<const ModelSizes> sizes,
                                    std::span<const DeviceState> devices, const Observation& seen);
  // What decide() wanted could not be done, or memory ran out otherwise: nothing grows for hold_ms.
  void hold(int64_t now_ms);

 private:
  std::optional<Arrangement> shrink(const Arrangement& current, std::span<const ModelSizes> sizes,
                                    std::vector<DeviceState> devices, std::span<const uint64_t> taken,
                                    const Observation& seen);

  const RebalanceOptions options_;
  std::optional<int64_t> could_grow_since_ms_, gave_way_ms_;
};

}  // namespace hearth::placement
