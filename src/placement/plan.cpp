#include "placement/plan.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/check.h"
#include "base/checked.h"

namespace hearth::placement {
namespace {

// Fills GPUs from a budget each; the host takes what is left.
class Filler {
 public:
  Filler(std::span<const ModelSizes> sizes, std::span<const DeviceState> devices)
      : sizes_(sizes), devices_(devices), host_(static_cast<uint32_t>(devices.size() - 1)), used_(devices.size()) {
    for (const DeviceState& device : devices) left_.push_back(device.budget());
    order_.resize(host_);
    std::iota(order_.begin(), order_.end(), 0u);
    // Never by what is free: more free memory must not change the order, or it could cost layers.
    std::stable_sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
      if (devices[a].bandwidth != devices[b].bandwidth) return devices[a].bandwidth > devices[b].bandwidth;
      return devices[a].total > devices[b].total;
    });
    const uint32_t layers = static_cast<uint32_t>(sizes[0].layers.size());
    plan_.layers.assign(layers, {host_, host_});
    plan_.embedding = plan_.output = host_;
  }

  // Layers from the last on, as many as fit; true if all do.
  bool add_layers(bool with_experts) {
    uint32_t next = static_cast<uint32_t>(plan_.layers.size());
    for (const uint32_t device : order_) {
      const std::vector<LayerSizes>& layers = sizes_[device].layers;
      while (next > 0) {
        const auto first = static_cast<uint32_t>(first_of_unit(layers, next - 1));
        uint64_t bytes = 0;
        for (uint32_t i = first; i < next; ++i) {
          bytes += grains(device, layers[i].weights) + grains(device, layers[i].cache);
          if (with_experts) bytes += grains(device, layers[i].experts);
        }
        if (!take(device, bytes)) break;
        for (uint32_t i = first; i < next; ++i)
          plan_.layers[i] = {device, with_experts || layers[i].experts == 0 ? device : host_};
        next = first;
      }
    }
    return next == 0;
  }

  bool add_output(uint32_t device) {
    if (!take(device, grains(device, sizes_[device].output) + grains(device, sizes_[device].logits))) return false;
    plan_.output = device;
    return true;
  }

  void add_experts() {
    for (const uint32_t device : order_)
      for (size_t i = plan_.layers.size(); i-- > 0;) {
        LayerDevices& on = plan_.layers[i];
        if (on.layer != device || on.experts == device) continue;
        if (!take(device, grains(device, sizes_[device].layers[i].experts))) break;
        on.experts = device;
      }
  }

  // Beside the first layer, so that a step begins there. It may serve for the output matrix too.
  void add_embedding() {
    const uint32_t first = plan_.layers.empty() ? plan_.output : plan_.layers[0].layer;
    if (first == host_) return;
    const ModelSizes& sizes = sizes_[first];
    uint64_t bytes = grains(first, sizes.embedding);
    if (plan_.output == first) bytes += grains(first, sizes.output - sizes.tied) - grains(first, sizes.output);
    if (take(first, bytes)) plan_.embedding = first;
  }

  std::span<const uint32_t> gpus() const { return order_; }
  Plan& plan() { return plan_; }

 private:
  uint64_t grains(uint32_t device, uint64_t bytes) const { return round_up(bytes, devices_[device].granularity); }

  // The first part on a device brings its overhead and workspace with it.
  bool take(uint32_t device, uint64_t bytes) {
    if (!used_[device])
      bytes += devices_[device].overhead + grains(device, sizes_[device].workspace) + sizes_[device].scratch;
    if (bytes > left_[device]) return false;
    left_[device] -= bytes;
    used_[device] = true;
    return true;
  }

  std::span<const ModelSizes> sizes_;
  std::span<const DeviceState> devices_;
  const uint32_t host_;
  std::vector<uint64_t> left_;
  std::vector<bool> used_;
  std::vector<uint32_t> order_;
  Plan plan_;
};

// Everything but the embedding on GPUs, if that is possible with these parts of a layer.
std::optional<Filler> fill_whole(std::span<const ModelSizes> sizes, std::span<const DeviceState> devices,
                                 bool with_experts) {
  const Filler empty(sizes, devices);
  for (const uint32_t output : empty.gpus()) {
    Filler filler = empty;
    if (filler.add_output(output) && filler.add_layers(with_experts)) return filler;
  }
  return std::nullopt;
}

Filler fill(std::span<const ModelSizes> sizes, std::span<const DeviceState> devices, const PlanOptions& options) {
  if (std::optional<Filler> whole = fill_whole(sizes, devices, true)) return *whole;
  if (options.experts_last) {
    if (std::optional<Filler> whole = fill_whole(sizes, devices, false)) {
      whole->add_experts();
      return *whole;
    }
  }
  Filler part(sizes, devices);
  part.add_layers(!options.experts_last);
  return part;
}

}  // namespace

size_t first_of_unit(std::span<const LayerSizes> layers, size_t layer) {
  while (layer > 0 && layers[layer].bound) --layer;
  return layer;
}

uint32_t Plan::layers_on_gpus() const {
  const auto on_gpu = [&](const LayerDevices& on) { return on.layer != host(); };
  return static_cast<uint32_t>(std::count_if(layers.begin(), layers.end(), on_gpu)) + (output != host() ? 1 : 0);
}

uint32_t Plan::experts_on_host() const {
  const auto split = [&](const LayerDevices& on) { return on.layer != host() && on.experts == host(); };
  return static_cast<uint32_t>(std::count_if(layers.begin(), layers.end(), split));
}

Arrangement all_on(uint32_t device, size_t layers) {
  return {std::vector<LayerDevices>(layers, {device, device}), device, device};
}

std::vector<Share> shares_of(const Arrangement& plan, std::span<const ModelSizes> sizes,
                             std::span<const DeviceState> devices) {
  std::vector<Share> shares(sizes.size());
  const auto grains = [&](uint32_t device, uint64_t bytes) {
    return devices.empty() ? bytes : round_up(bytes, devices[device].granularity);
  };
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const auto [device, expert_device] = plan.layers[i];
    const LayerSizes& layer = sizes[device].layers[i];
    ++shares[device].layers;
    shares[device].weights += grains(device, layer.weights);
    shares[device].cache += grains(device, layer.cache);
    const uint64_t experts = sizes[expert_device].layers[i].experts;
    shares[expert_device].weights += grains(expert_device, experts);
    if (experts > 0 && expert_device != device) ++shares[expert_device].experts;
  }
  shares[plan.output].output = true;
  const ModelSizes& at_output = sizes[plan.output];
  const uint64_t shared = plan.embedding == plan.output ? at_output.tied : 0;
  shares[plan.output].weights += grains(plan.output, at_output.output - shared);
  shares[plan.output].workspace += grains(plan.output, sizes[plan.output].logits);
  shares[plan.embedding].embedding = true;
  shares[plan.embedding].weights += grains(plan.embedding, sizes[plan.embedding].embedding);
  for (uint32_t device = 0; device < shares.size(); ++device) {
    if (!shares[device].used()) continue;
    shares[device].workspace += grains(device, sizes[device].workspace) + sizes[device].scratch;
    shares[device].overhead = devices.empty() ? 0 : devices[device].overhead;
  }
  return shares;
}

Plan plan(std::span<const ModelSizes> sizes, std::span<const DeviceState> devices, const PlanOptions& options) {
  CHECK(!devices.empty() && sizes.size() == devices.size() && devices.back().host);
  for (const ModelSizes& each : sizes) CHECK(each.layers.size() == sizes[0].layers.size());
  Filler filler = fill(sizes, devices, options);
  if (filler.plan().output != devices.size() - 1) filler.add_embedding();
  Plan result = std::move(filler.plan());
  result.shares = shares_of(result, sizes, devices);
  result.fits = true;
  for (size_t i = 0; i < devices.size(); ++i)
    if (result.shares[i].total() > devices[i].budget()) result.fits = false;
  return result;
}

}  // namespace hearth::placement
