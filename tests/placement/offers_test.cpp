// What would make a model fit: each offer is true, and the mildest of its kind.
#include "placement/offers.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "support/support.h"

namespace hearth::placement::test {
namespace {

constexpr uint64_t kMiB = 1 << 20, kGiB = 1 << 30;
const std::vector<std::string> kRecipes = {"Q8_0", "Q4_K_M", "Q2_K"};

// 16 layers; a quantisation has `bits` per weight; a token has 2 MiB of cache in 16 bits.
std::vector<ModelSizes> measure(const ServingOptions& serving) {
  const uint64_t bits = serving.recipe.empty() || serving.recipe == "F16" ? 16
                        : serving.recipe == "Q8_0"                        ? 8
                        : serving.recipe == "Q4_K_M"                      ? 5
                                                                          : 3;
  const uint64_t tokens = uint64_t{serving.context} * serving.parallel;
  const uint64_t token_bytes = (serving.kv_type == "q8_0" ? kMiB : 2 * kMiB) / 16;
  ModelSizes sizes;
  sizes.layers.assign(16, {bits * 20 * kMiB, 0, tokens * token_bytes});
  sizes.output = sizes.embedding = bits * 10 * kMiB;
  sizes.workspace = 100 * kMiB;
  return {sizes, sizes};
}

std::vector<DeviceState> machine(uint64_t free, std::vector<Process> others = {}) {
  DeviceState gpu{.name = "GPU 0", .total = 24 * kGiB, .free = free, .others = std::move(others)};
  DeviceState host{.name = "CPU", .host = true, .total = 64 * kGiB, .free = 64 * kGiB};
  return {gpu, host};
}

std::vector<std::string> texts(const std::vector<Offer>& offers) {
  std::vector<std::string> all;
  for (const Offer& offer : offers) all.push_back(offer.text);
  return all;
}

// F16: 5280 MiB of weights, 100 of workspace; 8192 MiB of cache for 4096 tokens.
TEST(Offers, NothingWhereAllFits) {
  EXPECT_TRUE(offers(measure, machine(14 * kGiB), {}, kRecipes).empty());
  EXPECT_TRUE(offers(measure, std::vector{machine(0).back()}, {}, kRecipes).empty()) << "no GPU";
}

TEST(Offers, GiveTheMostContextTheCacheTypeAndTheBestQuantisationThatAreEnough) {
  const auto found = offers(measure, machine(11 * kGiB), {}, kRecipes);
  EXPECT_EQ(texts(found), (std::vector<std::string>{
                              "--ctx 2816 instead of 4096 saves 2.50 GiB: 17/17 layers on the GPU",
                              "--kv-type q8_0 saves 4.00 GiB: 17/17 layers on the GPU",
                              "the model as Q8_0 saves 2.58 GiB: 17/17 layers on the GPU",
                          }));
  ServingOptions more = found[0].serving;
  more.context += kContextStep_tokens;
  EXPECT_FALSE(plan(measure(more), machine(11 * kGiB)).whole()) << "one step more context is too much";
}

TEST(Offers, FewerSequences) {
  const ServingOptions serving{.context = 1024, .parallel = 4};
  const auto found = offers(measure, machine(11 * kGiB), serving, kRecipes);
  const auto fewer = std::ranges::find(found, 2u, [](const Offer& offer) { return offer.serving.parallel; });
  ASSERT_NE(fewer, found.end()) << "three take 6144 MiB, two 4096";
  EXPECT_EQ(fewer->text, "--parallel 2 instead of 4 saves 4.00 GiB: 17/17 layers on the GPU");
}

TEST(Offers, CombineWhatIsNotEnoughAlone) {
  // Even Q2_K (990 MiB) leaves no room for 8192 MiB of cache.
  const auto found = offers(measure, machine(6 * kGiB), {}, kRecipes);
  ASSERT_FALSE(found.empty());
  for (const Offer& offer : found) {
    EXPECT_EQ(offer.serving.kv_type, "q8_0") << offer.text;
    EXPECT_TRUE(plan(measure(offer.serving), machine(6 * kGiB)).whole()) << offer.text;
  }
}

// Cache alone is too large: 8192 MiB for 4096 tokens, 4096 MiB in 8 bits.
TEST(Offers, NoPairThatHoldsOneThatIsEnough) {
  const auto found = offers(measure, machine(9 * kGiB + 512 * kMiB), {.context = 4096, .recipe = "Q8_0"}, {});
  EXPECT_FALSE(found.empty());
  const auto pairs = [](const Offer& offer) { return offer.text.find(" and ") != std::string::npos; };
  EXPECT_TRUE(std::ranges::none_of(found, pairs)) << fmt::format("{}", fmt::join(texts(found), "\n"));
}

TEST(Offers, NoQuantisationThatIsLargerThanTheModelIs) {
  // 8192 MiB of cache; Q4_K_M has 1650 MiB of weights, Q8_0 2640.
  for (uint64_t free = 2 * kGiB; free < 10 * kGiB; free += 128 * kMiB)
    for (const Offer& offer : offers(measure, machine(free), {.recipe = "Q4_K_M"}, kRecipes)) {
      EXPECT_NE(offer.serving.recipe, "Q8_0") << offer.text;
      ServingOptions without_recipe = offer.serving, without_cache = offer.serving;
      without_recipe.recipe = "Q4_K_M";
      without_cache.kv_type = "f16";
      if (offer.text.find(" and ") == std::string::npos) continue;
      EXPECT_FALSE(plan(measure(without_cache), machine(free)).whole()) << offer.text;
      if (offer.serving.recipe != "Q4_K_M") {
        EXPECT_FALSE(plan(measure(without_recipe), machine(free)).whole()) << offer.text;
      }
    }
}

TEST(Offers, WhatFitsTheHostIsOfferedAndNothingElse) {
  std::vector<DeviceState> host = {machine(0).back()};
  const auto measure_host = [](const ServingOptions& serving) { return std::vector{measure(serving)[0]}; };
  host[0].free = 11 * kGiB;
  EXPECT_EQ(texts(offers_to_fit_host(measure_host, host, {}, kRecipes)),
            (std::vector<std::string>{"--ctx 2816 instead of 4096 saves 2.50 GiB", "--kv-type q8_0 saves 4.00 GiB",
                                      "the model as Q8_0 saves 2.58 GiB"}));
  host[0].free = 5 * kGiB;  // less than the weights: no context is small enough
  for (const Offer& offer : offers_to_fit_host(measure_host, host, {}, kRecipes))
    EXPECT_NE(offer.serving.recipe, "") << offer.text;
  host[0].free = 100 * kMiB;
  EXPECT_TRUE(offers_to_fit_host(measure_host, host, {}, kRecipes).empty());
  host[0].free = 64 * kGiB;
  EXPECT_TRUE(offers_to_fit_host(measure_host, host, {}, kRecipes).empty()) << "it fits as it is";
}

TEST(Offers, TheSmallestProcessThatIsEnough) {
  const std::vector<Process> others = {
      {1, "/usr/lib/xorg/Xorg", 4 * kGiB}, {2, "chrome", 856 * kMiB}, {3, "game", 3 * kGiB}, {4, "python", 2 * kGiB}};
  auto found = offers(measure, machine(12 * kGiB, others), {}, {});
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].text, "closing python (2.00 GiB) frees 2.00 GiB: 17/17 layers on the GPU");
  found = offers(measure, machine(9 * kGiB, others), {}, {});
  EXPECT_EQ(found[0].text, "closing game (3.00 GiB), python (2.00 GiB) frees 5.00 GiB: 17/17 layers on the GPU");
  found = offers(measure, machine(4 * kGiB, others), {}, {});
  EXPECT_EQ(found[0].text,
            "closing game (3.00 GiB), python (2.00 GiB), chrome (856 MiB) frees 5.84 GiB: 11/17 layers on the GPU")
      << "not enough, but it helps; the display is left alone";
}

TEST(Shortfall, IsExactToTheByte) {
  const auto missing = shortfall(measure({}), machine(11 * kGiB), {});
  ASSERT_TRUE(missing.has_value());
  EXPECT_TRUE(plan(measure({}), machine(11 * kGiB + *missing)).whole());
  EXPECT_FALSE(plan(measure({}), machine(11 * kGiB + *missing - 1)).whole());
  ServingOptions huge;
  huge.context = 40000;
  EXPECT_FALSE(shortfall(measure(huge), machine(kGiB), {}).has_value()) << "no 24 GiB card holds that";
}

}  // namespace
}  // namespace hearth::placement::test
