// A model with the devices that it lies on: moves layers as memory comes and goes, and makes lost devices anew.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/backend.h"
#include "models/model.h"
#include "placement/rebalance.h"

namespace hearth::engine {

// Opens a device; called again when it was lost.
using DeviceFactory = std::function<Result<std::unique_ptr<device::Device>>()>;

struct PlacedOptions {
  models::LoadOptions load;
  uint64_t reserve_bytes = 0;  // of every GPU's free memory, left alone
  placement::RebalanceOptions rebalance;
};

class PlacedModel {
 public:
  // GPUs, then the host: each factory opens one device, the last one the host's. Where the parts go is
  // placement::plan()'s answer to what is free. Errors: those of the factories and of Model::load().
  static Result<std::unique_ptr<PlacedModel>> load(std::shared_ptr<const gguf::File> file,
                                                   std::vector<DeviceFactory> factories, PlacedOptions options);

  models::Model& model() { return *model_; }
  // As plan() wants them: with what is free beside this model.
  std::vector<placement::DeviceState> states() const;
  const placement::Plan& plan() const { return plan_; }  // as it was loaded

  // This model for an engine, with all that Backend offers; it must outlive the engine.
  Backend backend();

 private:
  PlacedModel(std::shared_ptr<const gguf::File> file, std::vector<DeviceFactory> factories, PlacedOptions options)
      : file_(std::move(file)),
        factories_(std::move(factories)),
        options_(std::move(options)),
        rebalancer_(options_.rebalance) {}

  Status open();  // devices and model, from nothing
  Status rebalance(uint64_t give_back_bytes);

  const std::shared_ptr<const gguf::File> file_;
  const std::vector<DeviceFactory> factories_;
  const PlacedOptions options_;
  placement::Rebalancer rebalancer_;
  placement::Plan plan_;
  std::vector<std::unique_ptr<device::Device>> devices_;
  std::unique_ptr<models::Model> model_;  // after the devices: it ends first
};

}  // namespace hearth::engine
