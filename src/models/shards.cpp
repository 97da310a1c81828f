#include "models/shards.h"

#include <algorithm>

#include "base/check.h"

namespace hearth::models {

namespace {

// So many bytes of cache are moved at a time.
constexpr size_t kMove_bytes = 16u << 20;

}  // namespace

Shards::Shards(std::shared_ptr<const gguf::File> file, const LoadPlan& load_plan, std::vector<device::Device*> devices,
               const std::vector<placement::ModelSizes>& sizes)
    : file_(std::move(file)), load_plan_(load_plan), sizes_(sizes), pointers_(std::move(devices)) {
  for (device::Device* device : pointers_) {
    OnDevice& on = devices_.emplace_back();
    on.device = device;
  }
  weights_.layers.resize(load_plan.spec.layers);
  layers_.resize(load_plan.spec.layers);
  used_pages_.resize(load_plan.options.pages);
}

// The workspace and the device's scratch do not depend on which shards it has, so that shards come and go.
Status Shards::make_ready(uint32_t index) {
  OnDevice& on = devices_[index];
  if (on.ready) return {};
  ASSIGN_OR_RETURN(device::Buffer workspace, on.device->alloc(sizes_[index].workspace));
  if (const Status reserved = on.device->reserve(load_plan_.most); !reserved) {
    (void)on.device->reserve({});  // a part of it may be there
    return reserved;
  }
  on.workspace_buffer = std::move(workspace);
  on.workspace = lay_out(on.workspace_buffer.data(), load_plan_.spec, load_plan_.options.batch_rows);
  on.ready = true;
  return {};
}

void Shards::release_unused() {
  std::vector<bool> used(devices_.size());
  used[arrangement_.embedding] = used[arrangement_.output] = true;
  for (const placement::LayerDevices& on : arrangement_.layers) used[on.layer] = used[on.experts] = true;
  for (size_t i = 0; i < devices_.size(); ++i) {
    OnDevice& on = devices_[i];
    if (used[i] || !on.ready) continue;
    on.workspace_buffer = {};
    on.workspace = {};
    on.ready = false;
    // It can only fail if the device is lost, which its next use will tell.
    (void)on.device->reserve({});
  }
}

void Shards::report(uint64_t bytes) {
  done_bytes_ += bytes;
  if (total_bytes_ > 0 && load_plan_.options.progress)
    load_plan_.options.progress(std::min(done_bytes_, total_bytes_), total_bytes_);
}

template <class Read>
Result<device::Buffer> Shards::load_shard(uint32_t index, const Read& read) {
  TRY(make_ready(index));
  device::Device& device = *devices_[index].device;
  TensorReader counting(*file_, device, load_plan_.options.copy_weights);
  TRY(read(counting));
  device::Buffer buffer;
  if (counting.bytes() > 0) {
    ASSIGN_OR_RETURN(buffer, device.alloc(counting.bytes()));
  }
  TensorReader loading(*file_, device, load_plan_.options.copy_weights, buffer.data(), stream_);
  TRY(read(loading));
  TRY(file_->check());  // whether all of it was the same file's
  report(loading.bytes() + loading.mapped_bytes());
  return buffer;
}

Result<Shards::Moved> Shards::make_layer(uint32_t index, uint32_t device) {
  Moved made;
  made.weights = weights_.layers[index];  // the experts stay
  ASSIGN_OR_RETURN(made.layer.weights, load_shard(device, [&](TensorReader& reader) {
                     return read_layer(reader, load_plan_.spec, index, &made.weights);
                   }));
  ASSIGN_OR_RETURN(made.layer.cache,
                   make_cache(index, device, sizes_[device].layers[index].cache, &made.layer.cache_layer));
  return made;
}

Status Shards::load_unit(size_t first, size_t end, uint32_t device) {
  std::vector<Moved> made;
  for (size_t i = end; i-- > first;) {
    ASSIGN_OR_RETURN(made.emplace_back(), make_layer(static_cast<uint32_t>(i), device));
  }
  for (size_t i = first; i < end; ++i) {
    Moved& moved = made[end - 1 - i];
    weights_.layers[i] = moved.weights;
    layers_[i].weights = std::move(moved.layer.weights);
    layers_[i].cache = std::move(moved.layer.cache);
    layers_[i].cache_layer = moved.layer.cache_layer;
    arrangement_.layers[i].layer = device;
  }
  return {};
}

Status Shards::load_experts(uint32_t index, uint32_t device) {
  LayerWeights weights = weights_.layers[index];
  ASSIGN_OR_RETURN(device::Buffer buffer, load_shard(device, [&](TensorReader& reader) {
                     return read_experts(reader, load_plan_.spec, index, &weights);
                   }));
  weights_.layers[index] = weights;
  layers_[index].experts = std::move(buffer);
  arrangement_.layers[index].experts = device;
  return {};
}

device::Candidate* Shards::candidates() const {
  return reinterpret_cast<device::Candidate*>(logits() +
                                              size_t{load_plan_.options.logit_rows} * load_plan_.spec.vocabulary);
}

// Together, since one table may serve for both. An output that has a table of its own and stays where it is needs no
// second copy beside the first: the device may be full, which is why the embedding leaves.
Status Shards::load_tables(uint32_t embedding, uint32_t output) {
  Weights weights = weights_;
  const bool loaded = logits_.data() != nullptr;
  const bool output_stays = loaded && output == arrangement_.output && has_own_output(*file_);
  ASSIGN_OR_RETURN(device::Buffer embedding_buffer, load_shard(embedding, [&](TensorReader& reader) {
                     return read_embedding(reader, load_plan_.spec, &weights);
                   }));
  if (!output_stays) {
    const bool shared = embedding == output;
    ASSIGN_OR_RETURN(device::Buffer output_buffer, load_shard(output, [&](TensorReader& reader) {
                       return read_output(reader, load_plan_.spec, shared, &weights);
                     }));
    ASSIGN_OR_RETURN(logits_, devices_[output].device->alloc(sizes_[output].logits));
    output_ = std::move(output_buffer);
  }
  weights_ = std::move(weights);
  embedding_ = std::move(embedding_buffer);
  arrangement_.embedding = embedding;
  arrangement_.output = output;
  return {};
}

Result<device::Buffer> Shards::make_cache(uint32_t index, uint32_t device, uint64_t bytes, device::CacheLayer* out) {
  device::Device& to = *devices_[device].device;
  const device::CacheShape shape = cache_of(load_plan_, index);
  device::Buffer buffer;
  if (bytes > 0) {
    ASSIGN_OR_RETURN(buffer, to.alloc(bytes));
  }
  *out = {shape, buffer.data(), to.page_bytes(shape), shape.state != 0 ? load_plan_.page_group : 1};
  if (layers_[index].cache.data() != nullptr)
    TRY(copy_pages(layers_[index].cache_layer, *devices_[arrangement_.layers[index].layer].device, *out, to));
  return buffer;
}

Status Shards::copy_pages(const device::CacheLayer& from, device::Device& from_device, const device::CacheLayer& to,
                          device::Device& to_device) {
  const size_t most = std::max<size_t>(1, kMove_bytes / std::max(from.page_bytes, to.page_bytes));
  std::vector<std::byte> old(most * from.page_bytes), neutral(device::neutral_page_bytes(from.shape));
  std::vector<std::byte> fresh(most * to.page_bytes);
  const auto used = [&](size_t page) {
    const auto first = used_pages_.begin() + static_cast<ptrdiff_t>(page * from.group);
    return std::find(first, first + from.group, true) != first + from.group;
  };
  for (size_t page = 0; page < used_pages_.size() / from.group;) {
    if (!used(page)) {
      ++page;
      continue;
    }
    size_t count = 1;
    while (count < most && page + count < used_pages_.size() / from.group && used(page + count)) ++count;
    const std::span<std::byte> taken = std::span(old).first(count * from.page_bytes);
    TRY(from_device.download(from.data + page * from.page_bytes, taken));
    for (size_t i = 0; i < count; ++i) {
      from_device.page_to_neutral(from.shape, old.data() + i * from.page_bytes, neutral.data());
      to_device.page_from_neutral(to.shape, neutral.data(), fresh.data() + i * to.page_bytes);
    }
    TRY(to_device.upload(std::span(fresh).first(count * to.page_bytes), to.data + page * to.page_bytes));
    page += count;
  }
  return {};
}

Status Shards::load(const placement::Arrangement& arrangement) {
  CHECK(arrangement.layers.size() == layers_.size());
  for (const placement::Share& share : placement::shares_of(arrangement, sizes_)) total_bytes_ += share.weights;
  arrangement_ = arrangement;
  TRY(load_tables(arrangement.embedding, arrangement.output));
  check_units(arrangement);
  for (uint32_t i = 0; i < layers_.size(); ++i) {
    TRY(load_unit(i, i + 1, arrangement.layers[i].layer));
    if (has_experts(*file_, load_plan_.spec, i))
      TRY(load_experts(i, arrangement.layers[i].experts));
    else
      arrangement_.layers[i].experts = arrangement.layers[i].layer;
  }
  total_bytes_ = 0;
  stream_.end();
  return {};
}

void Shards::check_units(const placement::Arrangement& arrangement) const {
  for (size_t i = 1; i < layers_.size(); ++i)
    CHECK(!sizes_[0].layers[i].bound || arrangement.layers[i].layer == arrangement.layers[i - 1].layer);
}

Status Shards::rearrange(const placement::Arrangement& target) {
  CHECK(target.layers.size() == layers_.size());
  check_units(target);
  const auto move = [&](bool to_host) -> Status {
    const auto goes = [&](uint32_t from, uint32_t to) {
      return from != to && devices_[to].device->reads_host_memory() == to_host;
    };
    if (goes(arrangement_.embedding, target.embedding) || goes(arrangement_.output, target.output)) {
      const auto next = [&](uint32_t from, uint32_t to) { return goes(from, to) ? to : from; };
      TRY(load_tables(next(arrangement_.embedding, target.embedding), next(arrangement_.output, target.output)));
    }
    // The last first, as plans have it.
    for (size_t end = layers_.size(), first; end > 0; end = first) {
      first = placement::first_of_unit(sizes_[0].layers, end - 1);
      const auto has = [&](size_t i) { return has_experts(*file_, load_plan_.spec, static_cast<uint32_t>(i)); };
      for (size_t i = end; i-- > first;) {
        const uint32_t to = target.layers[i].experts;
        if (has(i) && goes(arrangement_.layers[i].experts, to)) TRY(load_experts(static_cast<uint32_t>(i), to));
      }
      if (goes(arrangement_.layers[first].layer, target.layers[first].layer))
        TRY(load_unit(first, end, target.layers[first].layer));
      for (size_t i = first; i < end; ++i)
        if (!has(i)) arrangement_.layers[i].experts = arrangement_.layers[i].layer;
    }
    return {};
  };
  Status status = move(true);
  if (status) status = move(false);
  stream_.end();
  release_unused();
  return status;
}

// Layers whose turn has come before an error have more pages than are used, until they move.
Status Shards::grow(const LoadPlan& larger, std::span<const placement::ModelSizes> sizes) {
  for (const OnDevice& on : devices_) {
    if (!on.ready) continue;
    if (const Status reserved = on.device->reserve(larger.most); !reserved) {
      TRY(on.device->reserve(load_plan_.most));
      return reserved;
    }
  }
  for (uint32_t i = 0; i < layers_.size(); ++i) {
    const uint32_t device = arrangement_.layers[i].layer;
    device::CacheLayer cache_layer;
    ASSIGN_OR_RETURN(device::Buffer cache, make_cache(i, device, sizes[device].layers[i].cache, &cache_layer));
    layers_[i].cache = std::move(cache);
    layers_[i].cache_layer = cache_layer;
  }
  used_pages_.resize(larger.options.pages);
  return {};
}

void Shards::add_device(uint32_t index, device::Device& device) {
  OnDevice on;
  on.device = &device;
  devices_.insert(devices_.begin() + index, std::move(on));
  pointers_.insert(pointers_.begin() + index, &device);
  const auto count_on = [&](uint32_t& number) { number += number >= index ? 1 : 0; };
  count_on(arrangement_.embedding);
  count_on(arrangement_.output);
  for (placement::LayerDevices& layer : arrangement_.layers) {
    count_on(layer.layer);
    count_on(layer.experts);
  }
}

void Shards::mark_used(std::span<const int32_t> pages) {
  for (const int32_t page : pages) used_pages_[static_cast<size_t>(page)] = true;
}

void Shards::keep_pages(const std::vector<bool>& live) {
  CHECK(live.size() == used_pages_.size());
  for (size_t page = 0; page < live.size(); ++page) used_pages_[page] = used_pages_[page] && live[page];
}

}  // namespace hearth::models
