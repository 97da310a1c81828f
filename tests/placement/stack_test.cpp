// Models that are to be loaded together: what each leaves to the next, and what would make all fit.
#include "placement/stack.h"

#include "support/support.h"

namespace hearth::placement::test {
namespace {

constexpr uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

// 8 layers and the tables, `weights_mib` in all; a token has 256 KiB of cache in 16 bits.
StackMember member(const std::string& name, uint64_t weights_mib, uint32_t context = 4096) {
  StackMember made{name, {}, {}, false};
  made.serving.context = context;
  made.measure = [weights_mib](const ServingOptions& serving) {
    const uint64_t token_bytes = (serving.kv_type == "q8_0" ? 128 : 256) * 1024 / 8;
    ModelSizes sizes;
    sizes.layers.assign(8, {weights_mib * kMiB / 10, 0, uint64_t{serving.context} * serving.parallel * token_bytes});
    sizes.output = sizes.embedding = weights_mib * kMiB / 10;
    sizes.workspace = 100 * kMiB;
    return std::vector<ModelSizes>{sizes, sizes};
  };
  return made;
}

std::vector<DeviceState> machine(uint64_t free) {
  return {{.name = "GPU 0", .total = 24 * kGiB, .free = free, .overhead = 400 * kMiB},
          {.name = "CPU", .host = true, .total = 64 * kGiB, .free = 64 * kGiB}};
}

std::vector<std::string> texts(const std::vector<StackOffer>& offers) {
  std::vector<std::string> all;
  for (const StackOffer& offer : offers) all.push_back(offer.text);
  return all;
}

// Each takes 1 GiB of cache and 100 MiB of workspace beside its weights; the driver's context is paid once, and the
// last one's embedding table (450 MiB) may lie on the host.
const std::vector<StackMember> kStack = {member("coordinator", 2000), member("coder", 4000), member("vision", 4500)};
constexpr uint64_t kAll_mib = 2000 + 4000 + 4050 + 3 * 1124 + 400;

TEST(Stack, TheFirstHasTheFirstChoiceAndTheContextIsPaidOnce) {
  const StackPlan all = plan_stack(kStack, machine(kAll_mib * kMiB));
  EXPECT_TRUE(all.whole);
  EXPECT_EQ(all.left[0].free, 0u);
  const StackPlan less = plan_stack(kStack, machine(kAll_mib * kMiB - kMiB));
  EXPECT_FALSE(less.whole);
  EXPECT_TRUE(less.plans[0].whole());
  EXPECT_TRUE(less.plans[1].whole());
  EXPECT_FALSE(less.plans[2].whole());
  EXPECT_TRUE(stack_offers(kStack, machine(kAll_mib * kMiB)).empty());
}

TEST(Stack, OneChangeIsOfferedWhereOneIsEnough) {
  const auto devices = machine((kAll_mib - 400) * kMiB);
  const auto offers = stack_offers(kStack, devices);
  EXPECT_EQ(texts(offers),
            (std::vector<std::string>{
                "coordinator with a context of 2304 instead of 4096 saves 448 MiB: all 3 models are wholly on GPUs",
                "coordinator with a q8_0 cache saves 512 MiB: all 3 models are wholly on GPUs",
                "coder with a context of 2304 instead of 4096 saves 448 MiB: all 3 models are wholly on GPUs",
                "coder with a q8_0 cache saves 512 MiB: all 3 models are wholly on GPUs",
                "vision with a context of 2304 instead of 4096 saves 448 MiB: all 3 models are wholly on GPUs",
                "vision with a q8_0 cache saves 512 MiB: all 3 models are wholly on GPUs",
                "vision on the CPU: the other 2 are wholly on GPUs",
                "coder on the CPU: the other 2 are wholly on GPUs",
                "coordinator on the CPU: the other 2 are wholly on GPUs",
            }));
  for (const StackOffer& offer : offers) EXPECT_TRUE(plan_stack(offer.members, devices).whole) << offer.text;
}

TEST(Stack, AllGiveALittleWhereOneIsNotEnough) {
  EXPECT_EQ(texts(stack_offers(kStack, machine((kAll_mib - 1400) * kMiB)))[0],
            "q8_0 caches for all saves 1.50 GiB: all 3 models are wholly on GPUs");
  EXPECT_EQ(texts(stack_offers(kStack, machine((kAll_mib - 2000) * kMiB)))[0],
            "q8_0 caches and half of the context for all saves 2.25 GiB: all 3 models are wholly on GPUs");
}

TEST(Stack, WhatIsFarTooLargeLeavesTheLastOnesToTheHost) {
  const auto offers = stack_offers(kStack, machine(7000 * kMiB));
  EXPECT_EQ(texts(offers), std::vector<std::string>{"coder and vision on the CPU: the other one is wholly on GPUs"});
  EXPECT_TRUE(stack_offers(kStack, std::vector{machine(0).back()}).empty()) << "no GPU";
}

}  // namespace
}  // namespace hearth::placement::test
