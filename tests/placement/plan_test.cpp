// The plan's laws, over thousands of random machines and models, and the cases that people meet.
#include "placement/plan.h"

#include <algorithm>
#include <random>

#include "placement/table.h"
#include "support/support.h"

namespace hearth::placement::test {
namespace {

constexpr uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

struct Machine {
  std::vector<DeviceState> devices;
  std::vector<ModelSizes> sizes;
};

ModelSizes even_model(size_t layers, uint64_t weights, uint64_t cache, uint64_t output) {
  ModelSizes sizes;
  sizes.layers.assign(layers, {weights, 0, cache});
  sizes.embedding = sizes.output = output;
  sizes.workspace = 10 * kMiB;
  return sizes;
}

DeviceState gpu(uint64_t free, uint64_t bandwidth = 100) {
  return {.name = "GPU", .total = 80 * kGiB, .free = free, .granularity = 2 * kMiB, .bandwidth = bandwidth};
}

DeviceState host(uint64_t free = 64 * kGiB) {
  return {.name = "CPU", .host = true, .total = 64 * kGiB, .free = free};
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t below(uint64_t bound) { return engine_() % bound; }

  Machine machine() {
    Machine machine;
    const size_t gpus = below(4), layers = 1 + below(12);
    const bool experts = below(3) == 0;
    for (size_t i = 0; i <= gpus; ++i) {
      DeviceState device = i < gpus ? gpu(below(4000) * kMiB, below(3)) : host();
      device.total = i < gpus ? (1 + below(3)) * kGiB * 4 : 64 * kGiB;
      device.reserve = below(2) * below(500) * kMiB;
      device.overhead = i < gpus ? below(300) * kMiB : 0;
      machine.devices.push_back(device);
    }
    ModelSizes sizes = even_model(layers, 0, 0, below(500) * kMiB);
    for (LayerSizes& layer : sizes.layers)
      layer = {1 + below(300 * kMiB), experts ? 1 + below(900 * kMiB) : 0, below(100 * kMiB),
               &layer != sizes.layers.data() && below(5) == 0};
    sizes.tied = below(2) == 0 ? sizes.output : 0;
    sizes.logits = below(30 * kMiB);
    machine.sizes.assign(gpus + 1, sizes);
    machine.sizes.back().scratch = 0;
    return machine;
  }

 private:
  std::mt19937_64 engine_;
};

Plan plan_of(const Machine& machine, const PlanOptions& options = {}) {
  return plan(machine.sizes, machine.devices, options);
}

uint64_t up(uint64_t bytes, uint64_t grain) {
  return (bytes + grain - 1) / grain * grain;
}

TEST(Plan, NeverPromisesMoreOfAGpuThanFreeMinusReserve) {
  Random random(hearth::test::seed());
  for (int i = 0; i < 5000; ++i) {
    const Machine machine = random.machine();
    const Plan result = plan_of(machine, {.experts_last = random.below(2) == 0});
    for (size_t d = 0; d + 1 < machine.devices.size(); ++d) {
      ASSERT_LE(result.shares[d].total(), machine.devices[d].budget()) << "device " << d << " of case " << i;
    }
  }
}

TEST(Plan, KeepsBoundLayersTogether) {
  Random random(hearth::test::seed());
  for (int i = 0; i < 2000; ++i) {
    const Machine machine = random.machine();
    const Plan result = plan_of(machine, {.experts_last = random.below(2) == 0});
    for (size_t layer = 1; layer < result.layers.size(); ++layer) {
      if (machine.sizes[0].layers[layer].bound) {
        ASSERT_EQ(result.layers[layer].layer, result.layers[layer - 1].layer);
      }
    }
  }
}

// Counted again, by hand, part by part.
TEST(Plan, SumsAreExact) {
  Random random(hearth::test::seed());
  for (int i = 0; i < 2000; ++i) {
    const Machine machine = random.machine();
    const Plan result = plan_of(machine, {.experts_last = random.below(2) == 0});
    ASSERT_EQ(result.layers.size(), machine.sizes[0].layers.size());
    for (uint32_t d = 0; d < machine.devices.size(); ++d) {
      const uint64_t grain = machine.devices[d].granularity;
      const ModelSizes& sizes = machine.sizes[d];
      uint64_t weights = 0, cache = 0, workspace = 0;
      for (size_t layer = 0; layer < result.layers.size(); ++layer) {
        if (result.layers[layer].layer == d) {
          weights += up(sizes.layers[layer].weights, grain);
          cache += up(sizes.layers[layer].cache, grain);
        }
        if (result.layers[layer].experts == d) weights += up(sizes.layers[layer].experts, grain);
      }
      if (result.embedding == d) weights += up(sizes.embedding, grain);
      if (result.output == d) {
        weights += up(sizes.output - (result.embedding == d ? sizes.tied : 0), grain);
        workspace += up(sizes.logits, grain);
      }
      const Share& share = result.shares[d];
      if (share.used()) workspace += up(sizes.workspace, grain) + sizes.scratch;
      EXPECT_EQ(share.weights, weights);
      EXPECT_EQ(share.cache, cache);
      EXPECT_EQ(share.workspace, workspace);
      EXPECT_EQ(share.overhead, share.used() ? machine.devices[d].overhead : 0);
      EXPECT_EQ(share.total(), share.weights + share.cache + share.workspace + share.overhead);
    }
  }
}

TEST(Plan, MoreFreeMemoryNeverCostsLayers) {
  Random random(hearth::test::seed());
  for (int i = 0; i < 3000; ++i) {
    Machine machine = random.machine();
    uint32_t before = 0;
    for (int step = 0; step < 12; ++step) {
      const uint32_t now = plan_of(machine).layers_on_gpus();
      ASSERT_GE(now, before) << "case " << i << " step " << step;
      before = now;
      for (DeviceState& device : machine.devices) device.free += random.below(600 * kMiB);
    }
  }
}

TEST(Plan, LayersOnTheHostComeFirstAndEveryDeviceHasOneRun) {
  Random random(hearth::test::seed());
  for (int i = 0; i < 3000; ++i) {
    const Machine machine = random.machine();
    const Plan result = plan_of(machine);
    std::vector<bool> seen(machine.devices.size());
    uint32_t last = UINT32_MAX;
    for (const LayerDevices& on : result.layers) {
      if (on.layer == last) continue;
      ASSERT_FALSE(seen[on.layer]) << "two runs of layers on one device";
      ASSERT_TRUE(on.layer != result.host() || last == UINT32_MAX) << "host layers behind those of a GPU";
      seen[last = on.layer] = true;
    }
    // The output matrix only once all layers are there, the embedding only once that is.
    ASSERT_TRUE(result.output == result.host() || result.layers_on_gpus() == result.layers_in_all());
    ASSERT_TRUE(result.embedding == result.host() || result.output != result.host());
  }
}

TEST(Plan, IsTheSameForTheSameInput) {
  Random random(hearth::test::seed());
  for (int i = 0; i < 500; ++i) {
    const Machine machine = random.machine();
    EXPECT_EQ(static_cast<Arrangement>(plan_of(machine)), static_cast<Arrangement>(plan_of(machine)));
  }
}

// All thresholds of one GPU, byte by byte around each.
TEST(Plan, EveryLayerGoesOntoTheGpuAtExactlyItsThreshold) {
  const std::vector<ModelSizes> sizes(2, even_model(4, 100 * kMiB, 20 * kMiB, 50 * kMiB));
  const uint64_t overhead = 300 * kMiB, reserve = 200 * kMiB;
  const auto layers_with = [&](uint64_t free) {
    DeviceState card = gpu(free);
    card.overhead = overhead;
    card.reserve = reserve;
    return plan(sizes, std::vector{card, host()}).layers_on_gpus();
  };
  uint64_t threshold = reserve + overhead + 10 * kMiB;
  EXPECT_EQ(layers_with(0), 0u);
  for (uint32_t layer = 1; layer <= 4; ++layer) {
    threshold += 120 * kMiB;
    EXPECT_EQ(layers_with(threshold - 1), layer - 1);
    EXPECT_EQ(layers_with(threshold), layer);
  }
  threshold += 50 * kMiB;
  EXPECT_EQ(layers_with(threshold - 1), 4u);
  EXPECT_EQ(layers_with(threshold), 5u);
}

TEST(Plan, FillsTheFastestGpuFirst) {
  const std::vector<ModelSizes> sizes(3, even_model(10, 100 * kMiB, 0, 10 * kMiB));
  const Plan result = plan(sizes, std::vector{gpu(2 * kGiB, 300), gpu(kGiB / 2, 1000), host()});
  EXPECT_TRUE(result.whole());
  EXPECT_EQ(result.shares[1].layers, 4u) << "what fits beside the output matrix";
  EXPECT_EQ(result.output, 1u);
  EXPECT_EQ(result.layers.back().layer, 1u);
  EXPECT_EQ(result.layers.front().layer, 0u);
  EXPECT_EQ(result.embedding, 0u) << "where a step begins";
}

TEST(Plan, KeepsExpertsOnTheHostOnDemand) {
  ModelSizes mixture = even_model(8, 50 * kMiB, 10 * kMiB, 40 * kMiB);
  for (LayerSizes& layer : mixture.layers) layer.experts = 500 * kMiB;
  const std::vector<ModelSizes> sizes(2, mixture);
  const std::vector<DeviceState> devices = {gpu(2 * kGiB), host()};
  const Plan plain = plan(sizes, devices);
  EXPECT_EQ(plain.layers_on_gpus(), 3u);
  EXPECT_EQ(plain.experts_on_host(), 0u);
  const Plan last = plan(sizes, devices, {.experts_last = true});
  EXPECT_EQ(last.layers_on_gpus(), 9u) << "all attention, and the output matrix";
  EXPECT_EQ(last.experts_on_host(), 5u);
  EXPECT_EQ(last.shares[1].experts, 5u);
}

TEST(Plan, SaysWhenTheHostHasTooLittle) {
  const std::vector<ModelSizes> sizes(2, even_model(4, 100 * kMiB, 0, 0));
  EXPECT_TRUE(plan(sizes, std::vector{gpu(0), host(kGiB)}).fits);
  EXPECT_FALSE(plan(sizes, std::vector{gpu(0), host(100 * kMiB)}).fits);
  EXPECT_TRUE(plan(sizes, std::vector{gpu(kGiB), host(0)}).fits) << "all on the GPU";
}

TEST(Table, SaysWhatPeopleWantToKnow) {
  const std::vector<ModelSizes> sizes(2, even_model(32, 128 * kMiB, 16 * kMiB, 100 * kMiB));
  std::vector<DeviceState> devices = {gpu(24 * kGiB), host()};
  devices[0].name = "GPU 0 (NVIDIA GeForce RTX 4090)";
  Plan result = plan(sizes, devices);
  EXPECT_EQ(
      summary(result, devices),
      std::vector<std::string>{"33/33 layers on GPU 0 (NVIDIA GeForce RTX 4090), 4.20 GiB weights, 512 MiB cache"});
  devices[0].free = 3 * kGiB;
  result = plan(sizes, devices);
  EXPECT_EQ(
      summary(result, devices),
      (std::vector<std::string>{"21/33 layers on GPU 0 (NVIDIA GeForce RTX 4090), 2.62 GiB weights, 336 MiB cache",
                                "12/33 layers on CPU, 1.57 GiB weights, 176 MiB cache"}));
  EXPECT_NE(table(result, devices).find("GPU 0 (NVIDIA GeForce RTX 4090): layers 11-31\n"), std::string::npos);
  EXPECT_NE(table(result, devices).find("CPU: embedding, layers 0-10, output\n"), std::string::npos);
}

}  // namespace
}  // namespace hearth::placement::test
