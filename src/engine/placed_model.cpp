#include "engine/placed_model.h"

#include <chrono>

#include "base/log.h"
#include "models/measure.h"

namespace hearth::engine {
namespace {

int64_t now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace

Result<std::unique_ptr<PlacedModel>> PlacedModel::load(std::shared_ptr<const gguf::File> file,
                                                       std::vector<DeviceFactory> factories, PlacedOptions options) {
  CHECK(!factories.empty());
  std::unique_ptr<PlacedModel> placed(new PlacedModel(std::move(file), std::move(factories), std::move(options)));
  TRY(placed->open());
  return placed;
}

std::vector<placement::DeviceState> PlacedModel::states() const {
  std::vector<placement::DeviceState> states;
  for (const auto& device : devices_) {
    const device::Facts facts = device->facts();
    const bool host = device->reads_host_memory();
    states.push_back({.name = facts.name,
                      .host = host,
                      .total = facts.memory_bytes,
                      .free = device->free_bytes(),
                      .reserve = host ? 0 : options_.reserve_bytes,
                      .granularity = facts.granularity_bytes,
                      .bandwidth = facts.bandwidth_bytes_per_s});
  }
  return states;
}

Status PlacedModel::open() {
  model_.reset();
  devices_.clear();
  std::vector<device::Device*> pointers;
  for (const DeviceFactory& factory : factories_) {
    ASSIGN_OR_RETURN(devices_.emplace_back(), factory());
    pointers.push_back(devices_.back().get());
  }
  ASSIGN_OR_RETURN(const models::Outline outline, models::outline(*file_, options_.load));
  std::vector<placement::ModelSizes> sizes;
  for (const auto& device : devices_) {
    ASSIGN_OR_RETURN(sizes.emplace_back(), models::measure(*file_, outline, *device));
  }
  plan_ = placement::plan(sizes, states(), options_.rebalance.plan);
  ASSIGN_OR_RETURN(model_, models::Model::load(file_, std::move(pointers), plan_, options_.load));
  return {};
}

Status PlacedModel::rebalance(uint64_t give_back_bytes) {
  const std::vector<placement::DeviceState> now = states();
  placement::Observation seen{.now_ms = now_ms(), .free_bytes = {}, .give_back_bytes = give_back_bytes};
  for (const placement::DeviceState& state : now) seen.free_bytes.push_back(state.free);
  const auto target = rebalancer_.decide(model_->arrangement(), model_->sizes(), now, seen);
  return target ? model_->rearrange(*target) : Status();
}

Backend PlacedModel::backend() {
  Backend backend = backend_of(*model_);
  backend.forward = [this](const device::Batch& batch, device::Readout& readout) {
    return model_->forward(batch, readout);
  };
  backend.most_candidates = [this] { return model_->most_candidates(); };
  backend.rearrange = [this](const placement::Arrangement& target) { return model_->rearrange(target); };
  backend.maintain_interval = std::chrono::milliseconds(options_.rebalance.interval_ms);
  backend.maintain = [this] {
    if (const Status status = rebalance(0); !status) spdlog::warn("layers could not move: {}", status.error().message);
  };
  backend.give_back = [this](uint64_t bytes) { return rebalance(bytes); };
  backend.recover = [this] { return open(); };
  return backend;
}

}  // namespace hearth::engine
