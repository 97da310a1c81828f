// The memory of a model on its devices: every shard is one allocation that can be made anew elsewhere.
#pragma once

#include <memory>
#include <vector>

#include "models/measure.h"
#include "models/transformer.h"
#include "models/weight_stream.h"

namespace hearth::models {

class Shards {
 public:
  // `load_plan`, `sizes` (one per device) and the devices must outlive it.
  Shards(std::shared_ptr<const gguf::File> file, const LoadPlan& load_plan, std::vector<device::Device*> devices,
         const std::vector<placement::ModelSizes>& sizes);

  // Makes every shard where `arrangement` says.
  Status load(const placement::Arrangement& arrangement);
  // See Model::rearrange().
  Status rearrange(const placement::Arrangement& target);
  // See Model::grow(). The plan and the sizes are to replace those that it was made with.
  Status grow(const LoadPlan& larger, std::span<const placement::ModelSizes> sizes);
  // See Model::add_device(); `sizes` has it already.
  void add_device(uint32_t index, device::Device& device);
  // These pages hold something, so that they must move with their layer.
  void mark_used(std::span<const int32_t> pages);
  // See Model::keep_pages().
  void keep_pages(const std::vector<bool>& live);

  const gguf::File& file() const { return *file_; }
  device::Device& device(uint32_t index) const { return *devices_[index].device; }
  std::span<device::Device* const> devices() const { return pointers_; }
  const placement::Arrangement& arrangement() const { return arrangement_; }
  // kIo naming the file if one that weights are read in was cut or written to, so that no result since can be trusted.
  Status check_weights() const { return file_->check_mapped(); }
  const Weights& weights() const { return weights_; }
  const Workspace& workspace(uint32_t device) const { return devices_[device].workspace; }
  const device::CacheLayer& cache(uint32_t layer) const {
    return layers_[cache_layer_of(load_plan_.spec, layer)].cache_layer;
  }
  float* logits() const { return reinterpret_cast<float*>(logits_.data()); }
  // Room behind the logits of all rows; see logits_row_bytes().
  device::Candidate* candidates() const;

 private:
  void check_units(const placement::Arrangement& arrangement) const;
  struct OnDevice {
    device::Device* device = nullptr;
    device::Buffer workspace_buffer;
    Workspace workspace;
    bool ready = false;
  };
  struct Layer {
    device::Buffer weights, experts, cache;
    device::CacheLayer cache_layer;
  };

  Status make_ready(uint32_t device);
  void release_unused();
  // A shard in new memory of a device. `read` takes the shard's tensors from a reader.
  template <class Read>
  Result<device::Buffer> load_shard(uint32_t device, const Read& read);
  struct Moved {
    LayerWeights weights;
    Layer layer;  // without experts
  };
  Result<Moved> make_layer(uint32_t layer, uint32_t device);
  // Layers [first, end), a unit (placement::LayerSizes::bound): all or none.
  Status load_unit(size_t first, size_t end, uint32_t device);
  Status load_experts(uint32_t layer, uint32_t device);
  Status load_tables(uint32_t embedding, uint32_t output);
  // The new cache gets what the layer's pages hold now.
  Result<device::Buffer> make_cache(uint32_t layer, uint32_t device, uint64_t bytes, device::CacheLayer* out);
  Status copy_pages(const device::CacheLayer& from, device::Device& from_device, const device::CacheLayer& to,
                    device::Device& to_device);
  void report(uint64_t bytes);

  const std::shared_ptr<const gguf::File> file_;
  WeightStream stream_{*file_};
  const LoadPlan& load_plan_;
  const std::vector<placement::ModelSizes>& sizes_;
  std::vector<device::Device*> pointers_;
  std::vector<OnDevice> devices_;
  placement::Arrangement arrangement_;
  Weights weights_;  // device addresses
  std::vector<Layer> layers_;
  device::Buffer embedding_, output_, logits_;
  std::vector<bool> used_pages_;
  uint64_t done_bytes_ = 0, total_bytes_ = 0;  // of the load
};

}  // namespace hearth::models
