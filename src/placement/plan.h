// Which layer, which cache and which expert lies on which device: integers only, no device, no model.
//
// The rule is one list of priorities: whole layers or units of bound ones (the last first, so that layers on the host
// come before those on GPUs and the activations cross once), then the output matrix, then the embedding table, which
// one row per token is read of. The plan puts on GPUs the longest beginning of that list that fits; what is left lies
// on the host. On demand, expert weights move behind the output matrix in that list.
//
// GPUs are filled by speed: a token passes the layers one after another, so every byte is best read by the
// fastest device that still has room.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace hearth::placement {

// One layer on one device. Every part is one allocation.
struct LayerSizes {
  uint64_t weights = 0;  // without the experts
  uint64_t experts = 0;  // expert weights, their router and norm; 0: the layer has none
  uint64_t cache = 0;    // keys and values
  bool bound = false;    // lies where the layer before it does (a cache is read by several): units move as one
};

// The first layer of a layer's unit: itself, if it is not bound.
size_t first_of_unit(std::span<const LayerSizes> layers, size_t layer);

// A model on one device, in bytes as they are asked for.
struct ModelSizes {
  std::vector<LayerSizes> layers;
  uint64_t embedding = 0, output = 0;  // tables of the vocabulary
  uint64_t tied = 0;                   // of `output`, what the embedding on the same device serves for
  uint64_t logits = 0;                 // where the output matrix is
  uint64_t workspace = 0;              // once per device that does anything
  uint64_t scratch = 0;                // likewise; the device's own
};

struct Process {
  uint64_t pid = 0;
  std::string name;
  uint64_t bytes = 0;
};

struct DeviceState {
  std::string name;          // "GPU 0 (NVIDIA GeForce RTX 4090)", "CPU"
  bool host = false;         // the last device, and only that
  uint64_t total = 0;        // bytes
  uint64_t free = 0;         // bytes that others leave, before anything of this plan
  uint64_t reserve = 0;      // bytes of `free` that are left alone
  uint64_t kept = 0;         // further bytes of it that other programs have been promised
  uint64_t overhead = 0;     // bytes that the first use takes: the driver's context, kernels
  uint64_t granularity = 1;  // allocations take multiples of this
  uint64_t bandwidth = 0;    // bytes/s at which it reads its memory; 0: unknown
  int ordinal = -1;          // the driver's number of a GPU that is here, in this process
  std::string id = {};       // of the hardware; empty for what is only described
  std::vector<Process> others = {};

  // What a plan may promise at most.
  uint64_t budget() const { return free > reserve + kept ? free - reserve - kept : 0; }
};

struct LayerDevices {
  uint32_t layer = 0;    // device of attention, cache, norms, dense feed-forward
  uint32_t experts = 0;  // device of expert weights; the same where a layer has none
  bool operator==(const LayerDevices&) const = default;
};

// What a plan takes of one device, in whole grains.
struct Share {
  uint32_t layers = 0;   // whose attention is here
  uint32_t experts = 0;  // of other devices' layers, or without theirs: layers whose experts are here
  bool output = false, embedding = false;
  uint64_t weights = 0, cache = 0;
  uint64_t workspace = 0;  // with logits and scratch
  uint64_t overhead = 0;

  bool used() const { return layers > 0 || experts > 0 || output || embedding; }
  uint64_t total() const { return weights + cache + workspace + overhead; }
};

// Devices by their number.
struct Arrangement {
  std::vector<LayerDevices> layers;
  uint32_t embedding = 0, output = 0;
  bool operator==(const Arrangement&) const = default;
};

// All of a model with so many layers on one device.
Arrangement all_on(uint32_t device, size_t layers);

struct Plan : Arrangement {
  std::vector<Share> shares;  // one per device
  bool fits = false;          // every share is within its device's budget, the host's too

  uint32_t host() const { return static_cast<uint32_t>(shares.size() - 1); }
  // Counted as people do: every layer, and one for the output matrix.
  uint32_t layers_on_gpus() const;
  uint32_t layers_in_all() const { return static_cast<uint32_t>(layers.size()) + 1; }
  uint32_t experts_on_host() const;  // layers on a GPU whose experts are not
  bool whole() const { return layers_on_gpus() == layers_in_all() && experts_on_host() == 0; }
};

struct PlanOptions {
  bool experts_last = false;  // expert weights to the host before whole layers
};

// `sizes`: one per device (layouts differ), with equally many layers; the last device is the host.
Plan plan(std::span<const ModelSizes> sizes, std::span<const DeviceState> devices, const PlanOptions& options = {});

// The bytes of an arrangement that is given: what plan() promises, and what rebalancing reckons with. Without
// devices: the bytes that are asked for, not rounded to grains, without overhead.
std::vector<Share> shares_of(const Arrangement& plan, std::span<const ModelSizes> sizes,
                             std::span<const DeviceState> devices = {});

}  // namespace hearth::placement
