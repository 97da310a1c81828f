#include "placement/rebalance.h"

#include <algorithm>
#include <tuple>

#include "placement/gpus.h"

namespace hearth::placement {
namespace {

// How much of the model is on GPUs: layers first.
std::tuple<uint32_t, uint32_t> amount(const Arrangement& arrangement, size_t devices) {
  const uint32_t host = static_cast<uint32_t>(devices - 1);
  uint32_t layers = arrangement.output != host ? 1 : 0, experts = 0;
  for (const LayerDevices& on : arrangement.layers) {
    layers += on.layer != host ? 1 : 0;
    experts += on.experts != host ? 1 : 0;
  }
  return {layers, experts};
}

uint64_t less(uint64_t a, uint64_t b) {
  return a > b ? a - b : 0;
}

}  // namespace

Arrangement one_move(const Arrangement& current, const Arrangement& target, std::span<const LayerSizes> layers,
                     uint32_t host) {
  for (const bool to_host : {true, false}) {
    const auto next = [&](uint32_t from, uint32_t to) { return (to == host) == to_host ? to : from; };
    Arrangement moved = current;
    moved.embedding = next(current.embedding, target.embedding);
    moved.output = next(current.output, target.output);
    if (!(moved == current)) return moved;
    for (size_t end = current.layers.size(), first; end > 0; end = first) {
      first = first_of_unit(layers, end - 1);
      for (size_t i = first; i < end; ++i) {
        const LayerDevices from = current.layers[i], to = target.layers[i];
        moved.layers[i] = {next(from.layer, to.layer), next(from.experts, to.experts)};
      }
      if (!(moved == current)) return moved;
    }
  }
  return target;
}

std::optional<Arrangement> Rebalancer::decide(const Arrangement& current, std::span<const ModelSizes> sizes,
                                              std::span<const DeviceState> devices, const Observation& seen) {
  std::vector<DeviceState> states(devices.begin(), devices.end());
  for (DeviceState& state : states) state.overhead = 0;
  std::vector<uint64_t> taken;
  for (const Share& share : shares_of(current, sizes, states)) taken.push_back(share.total());

  if (std::optional<Arrangement> target = shrink(current, sizes, states, taken, seen)) return target;
  for (size_t i = 0; i < states.size(); ++i)
    states[i].free = less(taken[i] + seen.free_bytes[i],
                          states[i].host ? 0 : std::min(options_.grow_margin_bytes, grow_margin_on(states[i].total)));
  Plan wanted = plan(sizes, states, options_.plan);
  const bool more = amount(wanted, states.size()) > amount(current, states.size());
  if (!more) {
    could_grow_since_ms_.reset();
    return std::nullopt;
  }
  if (!seen.made_free) {
    if (gave_way_ms_ && seen.now_ms - *gave_way_ms_ < options_.hold_ms) return std::nullopt;
    if (!could_grow_since_ms_) could_grow_since_ms_ = seen.now_ms;
    if (seen.now_ms - *could_grow_since_ms_ < options_.grow_after_ms) return std::nullopt;
  }
  could_grow_since_ms_.reset();
  return wanted;
}

void Rebalancer::hold(int64_t now_ms) {
  gave_way_ms_ = now_ms;
  could_grow_since_ms_.reset();
}

std::optional<Arrangement> Rebalancer::shrink(const Arrangement& current, std::span<const ModelSizes> sizes,
                                              std::vector<DeviceState> states, std::span<const uint64_t> taken,
                                              const Observation& seen) {
  uint64_t asked = seen.give_back_bytes;
  bool pressed = false;
  for (size_t i = 0; i + 1 < states.size(); ++i) {
    DeviceState& state = states[i];
    const bool scarce = taken[i] > 0 && seen.free_bytes[i] < state.reserve / 2 + state.kept;
    const uint64_t give = std::min(asked, taken[i]);
    asked -= give;
    pressed |= scarce || give > 0;
    // What may be taken from now on, the reserve apart; never more than now on a GPU that gives.
    uint64_t may = scarce ? less(taken[i] + seen.free_bytes[i], state.reserve + state.kept) : taken[i];
    may = std::min(may, less(taken[i], give));
    state.free = may;
    state.reserve = state.kept = 0;
  }
  if (!pressed) return std::nullopt;
  hold(seen.now_ms);
  states.back().free = taken.back() + seen.free_bytes.back();
  Plan less_there = plan(sizes, states, options_.plan);
  if (static_cast<const Arrangement&>(less_there) == current) return std::nullopt;
  return less_there;
}

}  // namespace hearth::placement
