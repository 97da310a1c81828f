// Sums and cuts without sorting, against plain ones.
#include "sampling/select.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sampling/constraint.h"
#include "support/support.h"

namespace hearth::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Select, SumsWeightsAsThePlainSumDoes) {
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 300; ++round) {
    std::vector<float> logits(1 + random() % 5000);
    std::normal_distribution<float> normal(0, static_cast<float>(random() % 8));
    for (float& logit : logits) logit = random() % 50 == 0 ? -kInf : normal(random);
    logits[random() % logits.size()] = 1;
    const float largest = largest_logit(logits);
    EXPECT_EQ(largest, *std::ranges::max_element(logits));
    for (const float temperature : {1.0f, 0.3f, 2.5f, 1e-40f, 1e30f}) {
      double expected = 0;
      for (const float logit : logits) expected += std::exp((double(logit) - largest) / temperature);
      EXPECT_NEAR(sum_of_weights(logits, largest, temperature) / expected, 1, 2e-6) << temperature;
    }
  }
}

TEST(Select, CutsAtTheMassWithTheLastOneAtTheEnd) {
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 300; ++round) {
    std::vector<TokenCandidate> candidates(1 + random() % 2000);
    for (size_t i = 0; i < candidates.size(); ++i)
      candidates[i] = {static_cast<int32_t>(i), static_cast<float>(random() % 300) / 50, 0};
    std::shuffle(candidates.begin(), candidates.end(), random);
    const double mass = set_weights(candidates, 1) * static_cast<double>(random() % 1000) / 1000;
    std::vector<TokenCandidate> sorted = candidates;
    std::ranges::sort(sorted, better);
    size_t expected = 0;
    for (double sum = 0; expected == 0 || sum < mass;) sum += sorted[expected++].weight;
    const size_t cut = cut_mass(candidates, mass);
    ASSERT_NEAR(static_cast<double>(cut), static_cast<double>(expected), 1) << "but for rounding";
    ASSERT_EQ(candidates[cut - 1].token, sorted[cut - 1].token);
    std::sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(cut), better);
    for (size_t i = 0; i < cut; ++i) ASSERT_EQ(candidates[i].token, sorted[i].token);
  }
}

TEST(Select, AMaskLeavesOnlyItsTokensHoweverUnlikely) {
  for (const float temperature : {0.0f, 1.0f}) {
    for (const int top_k : {0, 3}) {
      Options options;
      options.temperature = temperature;
      options.top_k = top_k;
      options.top_p = 1;
      Sampler sampler(options, 100);
      std::vector<uint64_t> mask(mask_words(1000));
      for (const size_t token : {3, 70, 999}) mask[token / 64] |= uint64_t{1} << (token % 64);
      const int32_t banned[] = {70};
      sampler.restrict_to(mask, banned);
      std::vector<int> seen(1000);
      for (int i = 0; i < 200; ++i) {
        std::vector<float> logits(1000);
        for (size_t j = 0; j < logits.size(); ++j) logits[j] = static_cast<float>(j % 7);
        logits[3] = logits[999] = -20;
        ++seen[static_cast<size_t>(sampler.sample(logits)->token)];
      }
      EXPECT_EQ(seen[3] + seen[999], 200);
      EXPECT_EQ(seen[999] > 50, temperature > 0);
      std::ranges::fill(mask, 0);
      std::vector<float> logits(1000);
      EXPECT_EQ(sampler.sample(logits).error().kind, ErrorKind::kUsage);
    }
  }
}

}  // namespace
}  // namespace hearth::sampling
