// A model with the devices that it lies on: moves layers as memory comes and goes, and makes lost devices anew.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/host_owner.h"
#include "base/result.h"
#include "engine/backend.h"
#include "engine/card_book.h"
#include "engine/device_status.h"
#include "engine/spare_gpus.h"
#include "models/model.h"
#include "placement/rebalance.h"

namespace hearth::engine {

// An open device as plans want it, with what is free on it now.
placement::DeviceState state_of(const device::Device& device);

// What is about to be loaded.
struct Proposal {
  const placement::Plan& plan;
  const std::vector<placement::ModelSizes>& sizes;  // one per device, like `states`
  const std::vector<placement::DeviceState>& states;
  const device::Sizing& host;
  const models::LoadOptions& load;
};

struct PlacedOptions {
  models::LoadOptions load;
  uint64_t reserve_bytes = 0;  // of every GPU's free memory, left alone; less on small ones (placement::reserve_on())
  placement::RebalanceOptions rebalance;
  bool gpu_wanted = true;  // for the status
  // Layers follow free memory; false: what lies on a GPU stays there, or cannot be used at all.
  bool moves = true;
  // Shared by all models that may lie on the same cards; none: this one is alone there.
  std::shared_ptr<CardBook> book = {};
  // The model's part in the host, the same that the host's device computes with; none: it is alone on the host.
  std::shared_ptr<HostOwner::Member> host = {};
  // Looks at a plan before anything of the model is read; an error refuses it. What it gives is shown as the reason
  // where the plan leaves something on the host.
  std::function<Result<Cause>(const Proposal& proposal)> review = {};
};

// Memory that runs out during a load says that the plan is out of date, not that a GPU is broken. So many plans may
// take all that is free when they are made. If none of them could be loaded, what is said to be free cannot be had:
// each of so many further plans may take half as much as the one before. After those all goes to the host. Layers come
// back from there as always. Without `moves`, only the plans that may take all are tried.
inline constexpr int kPlansWithAllFree = 3, kSmallerPlans = 2;

class PlacedModel {
 public:
  // GPUs, then the host: each factory opens one device, the last one the host's. Where the parts go is
  // placement::plan()'s answer to what is free; GPUs that a whole model does not need are left alone until it is no
  // longer whole on the others. If memory that
  // was free runs out during the load, it is planned again with what is free then; see kPlansWithAllFree.
  // Errors: those of the factories, of `review` and of Model::load().
  static Result<std::unique_ptr<PlacedModel>> load(std::shared_ptr<const gguf::File> file,
                                                   std::vector<DeviceFactory> factories, PlacedOptions options);

  ~PlacedModel() { book_->leave(id_); }

  models::Model& model() { return *model_; }
  // The device with most of the layers.
  device::Device& main_device() const;
  // As plan() wants them: with what is free beside this model.
  std::vector<placement::DeviceState> states() const;
  const placement::Plan& plan() const { return plan_; }  // as it was loaded
  // On any thread.
  DeviceStatus status() const;

  // This model for an engine, with all that Backend offers; it must outlive the engine.
  Backend backend();

 private:
  // Layers on their way, between steps.
  struct Move {
    placement::Arrangement target;
    uint32_t layers_before = 0, experts_before = 0;  // as DeviceStatus counts them
    std::string why;                                 // of layers that leave a GPU
    bool begun = false;                              // something has moved
  };

  PlacedModel(std::shared_ptr<const gguf::File> file, std::vector<DeviceFactory> factories, PlacedOptions options)
      : file_(std::move(file)),
        factories_(std::move(factories)),
        options_(std::move(options)),
        book_(options_.book != nullptr ? options_.book : std::make_shared<CardBook>()),
        id_(book_->join()),
        rebalancer_(options_.rebalance),
        spares_(factories_, options_.rebalance.hold_ms) {}

  placement::DeviceState state_with_reserve(const device::Device& device) const;
  Status open();  // devices and model, from nothing
  Status open_and_load();
  Status open_devices();
  // The states that the plan of an attempt reckons with; attempts count from 0.
  std::vector<placement::DeviceState> states_for(int attempt) const;
  Result<std::vector<placement::ModelSizes>> measure() const;
  // Plans, without the GPUs that are not needed, and has the plan reviewed.
  Result<Cause> make_plan(int attempt);
  Status load_planned();
  void give_up_scratch();
  Status recover();
  Result<bool> maintain();  // see Backend::maintain
  // Takes a GPU that was left alone, if that would bring layers there.
  Status look_for_another_gpu();
  Result<bool> would_help(const device::Device& gpu) const;
  Status take(std::unique_ptr<device::Device> gpu);
  std::optional<placement::Arrangement> decide(uint64_t give_back_bytes, bool made_free = false);
  // Whether the book lets it happen now.
  bool agreed(const placement::Arrangement& target, const placement::Observation& seen);
  void look(std::span<const placement::DeviceState> states);  // tells the book
  bool computes_on_host() const;
  Status give_back(uint64_t bytes);
  Status take_free();
  Status grow(uint32_t context, uint32_t pages);
  Result<bool> advance();  // one step of `move_`; whether there are more
  Status move(const placement::Arrangement& target, const std::string& why);
  Move begin_move(placement::Arrangement target, std::string why) const;
  void describe_move(const Move& move, bool ended);

  std::vector<uint64_t> free_bytes() const;
  void describe(const Cause& cause, const std::vector<uint64_t>& free_before);
  void describe_layers(DeviceStatus& status) const;
  void describe_loss(const Error& error);
  void announce(const std::string& what, bool good);  // under the mutex

  const std::shared_ptr<const gguf::File> file_;
  std::vector<DeviceFactory> factories_;
  PlacedOptions options_;  // `load` as it is now
  const std::shared_ptr<CardBook> book_;
  const CardBook::Id id_;
  int64_t computed_ns_ = 0;  // when a step began last
  placement::Rebalancer rebalancer_;
  placement::Plan plan_;
  std::vector<std::unique_ptr<device::Device>> devices_;  // the open ones: no more than there are factories
  std::vector<size_t> opened_;                            // their factories, without the host's
  Cause left_out_;                                        // why a GPU could not be opened; empty: all could
  std::unique_ptr<models::Model> model_;                  // after the devices: it ends first
  std::optional<Move> move_;
  SpareGpus spares_;
  std::string last_failure_;  // of a move

  mutable std::mutex mutex_;
  DeviceStatus status_;
};

}  // namespace hearth::engine
