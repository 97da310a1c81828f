// The sampler against distributions that are worked out by hand.
#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "support/support.h"

namespace hearth::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// All filters off, seeded: a test turns on what it is about.
Options plain() {
  Options options;
  options.temperature = 1;
  options.top_k = 0;
  options.top_p = 1;
  options.seed = 7;
  return options;
}

std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

// How often each token is drawn, as parts of one.
std::map<int32_t, double> frequencies(Sampler& sampler, const std::vector<float>& logits, int draws = 20000) {
  std::map<int32_t, double> parts;
  for (int i = 0; i < draws; ++i) {
    std::vector<float> scratch = logits;
    parts[sampler.sample(scratch)->token] += 1.0 / draws;
  }
  return parts;
}

std::map<int32_t, double> frequencies(const Options& options, const std::vector<float>& logits) {
  Sampler sampler(options, 100);
  return frequencies(sampler, logits);
}

void expect_near(const std::map<int32_t, double>& found, const std::map<int32_t, double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [token, part] : expected) {
    ASSERT_TRUE(found.contains(token)) << token;
    EXPECT_NEAR(found.at(token), part, 0.015) << "token " << token;  // 4 sigma of 20000 draws
  }
}

int32_t greedy(Options options, std::vector<float> logits) {
  options.temperature = 0;
  return Sampler(options, 100).sample(logits)->token;
}

TEST(Sampler, DrawsFromTheSoftmaxWhenNothingFilters) {
  expect_near(frequencies(plain(), logits_of({0.5, 0.2, 0.3})), {{0, 0.5}, {1, 0.2}, {2, 0.3}});
}

TEST(Sampler, TemperatureDividesTheLogits) {
  Options options = plain();
  options.temperature = 0.5f;  // squares the probabilities: 16, 4, 1 of 21
  expect_near(frequencies(options, logits_of({4 / 7.0, 2 / 7.0, 1 / 7.0})),
              {{0, 16 / 21.0}, {1, 4 / 21.0}, {2, 1 / 21.0}});
}

TEST(Sampler, TemperatureZeroTakesTheMostLikelyAndTheSmallerIdOfEquals) {
  EXPECT_EQ(greedy({}, {1, 3, 2, 3}), 1);
  for (const size_t size : {1, 31, 32, 33, 64, 1000}) {  // around the blocks of the fast search
    for (size_t best : {size_t(0), size / 2, size - 1}) {
      std::vector<float> logits(size, -5.f);
      logits[best] = -4.5f;
      EXPECT_EQ(greedy({}, logits), static_cast<int32_t>(best)) << size;
    }
  }
}

TEST(Sampler, TopKKeepsTheKMostLikely) {
  Options options = plain();
  options.top_k = 2;
  expect_near(frequencies(options, logits_of({0.1, 0.6, 0.1, 0.2})), {{1, 0.75}, {3, 0.25}});
  options.top_k = 1;
  EXPECT_EQ(frequencies(options, logits_of({0.1, 0.6, 0.1, 0.2})).count(1), 1u);
  options.top_k = 100;  // more than there are
  EXPECT_EQ(frequencies(options, logits_of({0.4, 0.6})).size(), 2u);
}

TEST(Sampler, TopKFindsTheSameAsAFullSortInABigVocabulary) {
  std::mt19937_64 random(test::seed());
  std::vector<float> logits(50000);
  for (float& logit : logits) logit = static_cast<float>(random() % 1000);  // many equal ones
  std::vector<int32_t> ids(logits.size());
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  Options options;
  options.temperature = 0;
  options.logprobs = kMost_logprobs;
  std::vector<float> scratch = logits;
  const Choice choice = Sampler(options, 1).sample(scratch).value();
  ASSERT_EQ(choice.most_likely.size(), size_t{kMost_logprobs});
  for (size_t i = 0; i < size_t{kMost_logprobs}; ++i) EXPECT_EQ(choice.most_likely[i].token, ids[i]);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesTheMass) {
  Options options = plain();
  options.top_p = 0.7f;  // 0.5 is not enough, 0.5 + 0.3 is
  expect_near(frequencies(options, logits_of({0.15, 0.5, 0.05, 0.3})), {{1, 0.625}, {3, 0.375}});
  options.top_p = 0;  // never less than one
  EXPECT_EQ(frequencies(options, logits_of({0.15, 0.5, 0.05, 0.3})).size(), 1u);
}

TEST(Sampler, TopPWorksOnAWholeBigVocabulary) {
  // 1000 equal tokens hold 0.9 of the mass, 100000 equal ones the rest; the first 500 of them make 0.45.
  std::vector<float> logits(101000, std::log(0.1f / 100000));
  for (size_t i = 0; i < 1000; ++i) logits[i * 101] = std::log(0.9f / 1000);
  Options options = plain();
  options.top_p = 0.45f;
  Sampler sampler(options, 1);
  for (const auto& [token, part] : frequencies(sampler, logits, 300)) {
    EXPECT_EQ(token % 101, 0);
    EXPECT_LE(token / 101, 500);
  }
}

TEST(Sampler, MinPIsRelativeToTheMostLikely) {
  Options options = plain();
  options.min_p = 0.4f;  // of 0.5: 0.2
  expect_near(frequencies(options, logits_of({0.5, 0.3, 0.15, 0.05})), {{0, 0.625}, {1, 0.375}});
  options.min_p = 1;
  EXPECT_EQ(frequencies(options, logits_of({0.5, 0.3, 0.2})).size(), 1u);
}

TEST(Sampler, TypicalKeepsTokensWhoseSurpriseIsNearTheEntropy) {
  // Entropy of {0.4, 0.3, 0.2, 0.1}: 1.2799 nats. Surprises: 0.916, 1.204, 1.609, 2.303; distances: 0.364,
  // 0.076, 0.330, 1.023. In that order: 0.3, 0.2, 0.4: 0.5 is reached by the first two.
  Options options = plain();
  options.typical_p = 0.45f;
  expect_near(frequencies(options, logits_of({0.4, 0.3, 0.2, 0.1})), {{1, 0.6}, {2, 0.4}});
}

TEST(Sampler, RepeatPenaltyDividesPositiveAndMultipliesNegativeLogits) {
  Options options = plain();
  options.repeat_penalty = 2;
  Sampler sampler(options, 100);
  sampler.accept(0);
  sampler.accept(1);
  // 2 -> 1, -0.5 -> -1, 1 stays: e^1, e^-1, e^1
  const double total = 2 * std::exp(1.0) + std::exp(-1.0);
  expect_near(frequencies(sampler, {2, -0.5f, 1}),
              {{0, std::exp(1.0) / total}, {1, std::exp(-1.0) / total}, {2, std::exp(1.0) / total}});
}

TEST(Sampler, PresenceCountsOnceAndFrequencyCountsEach) {
  Options options = plain();
  options.presence_penalty = 0.5f;
  options.frequency_penalty = 0.25f;
  Sampler sampler(options, 100);
  for (const int32_t token : {0, 0, 1}) sampler.accept(token);
  const double a = std::exp(-1.0), b = std::exp(-0.75), total = a + b + 1;
  expect_near(frequencies(sampler, {0, 0, 0}), {{0, a / total}, {1, b / total}, {2, 1 / total}});
}

TEST(Sampler, PenaltiesForgetTokensOlderThanRepeatLastN) {
  Options options;
  options.temperature = 0;
  options.presence_penalty = 100;
  const auto after = [&](int last_n, size_t context, std::vector<int32_t> history) {
    options.repeat_last_n = last_n;
    Sampler sampler(options, context);
    for (const int32_t token : history) sampler.accept(token);
    std::vector<float> logits = {3, 2, 1, 0};
    return sampler.sample(logits)->token;
  };
  EXPECT_EQ(after(0, 10, {0, 1, 2}), 0);            // off
  EXPECT_EQ(after(2, 10, {0, 1, 2}), 0);            // 0 is forgotten
  EXPECT_EQ(after(3, 10, {0, 1, 2}), 3);            // all three are known
  EXPECT_EQ(after(2, 10, {3, 3, 3, 0, 1}), 2);      // the ring goes round
  EXPECT_EQ(after(-1, 2, {0, 1, 2}), 0);            // -1: the context's two
  EXPECT_EQ(after(-1, 10, {0, 1, 2, 999, -1}), 3);  // ids outside the vocabulary do no harm
}

TEST(Sampler, LogitBiasAddsAndBans) {
  Options options;
  options.logit_bias = {{0, -kInf}, {2, 5.f}, {77, 100.f}};
  EXPECT_EQ(greedy(options, {9, 3, 0}), 2);
  Options sampled = plain();
  sampled.logit_bias = {{0, -kInf}};
  expect_near(frequencies(sampled, logits_of({0.8, 0.1, 0.1})), {{1, 0.5}, {2, 0.5}});
}

TEST(Sampler, SameSeedSameTokensOtherSeedOthers) {
  const auto run = [](int64_t seed) {
    Options options = plain();
    options.seed = seed;
    Sampler sampler(options, 100);
    std::vector<int32_t> tokens;
    for (int i = 0; i < 50; ++i) {
      std::vector<float> logits(100, 0.f);
      tokens.push_back(sampler.sample(logits)->token);
    }
    return tokens;
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
  EXPECT_NE(run(-1), run(-1));  // random: equal once in 100^50
  Options fresh = plain();
  fresh.seed = -1;
  const Sampler first(fresh, 1);
  EXPECT_EQ(run(static_cast<int64_t>(first.seed())), run(static_cast<int64_t>(first.seed())));
}

// With every way to choose.
void for_every_way(const std::function<void(const Options&)>& check) {
  for (const float temperature : {0.f, 1.f}) {
    for (const int mirostat : {0, 1, 2}) {
      Options options = plain();
      options.temperature = temperature;
      options.mirostat = mirostat;
      check(options);
    }
  }
}

TEST(Sampler, LogitsThatAreNotFiniteAreAnError) {
  for_every_way([](const Options& options) {
    for (const size_t size : {1, 5, 32, 100}) {
      for (const float bad : {kNan, -kNan, kInf, -kInf}) {
        std::vector<float> logits(size, 0.5f);
        logits[size - 1] = bad;
        const auto choice = Sampler(options, 10).sample(logits);
        ASSERT_FALSE(choice.ok()) << bad << " among " << size;
        EXPECT_EQ(choice.error().kind, ErrorKind::kInvalidData);
      }
    }
    std::vector<float> largest = {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest()};
    EXPECT_EQ(Sampler(options, 10).sample(largest)->token, 0);
  });
}

TEST(Sampler, BanningAllTokensIsTheRequestsOwnMistake) {
  for_every_way([](Options options) {
    options.logit_bias = {{0, -kInf}, {1, -kInf}};
    std::vector<float> logits = {3, 4};
    const auto choice = Sampler(options, 10).sample(logits);
    ASSERT_FALSE(choice.ok());
    EXPECT_EQ(choice.error().kind, ErrorKind::kUsage);
    EXPECT_NE(choice.error().message.find("logit_bias"), std::string::npos) << choice.error().message;
  });
}

TEST(Sampler, ExtremeOptionsStillGiveAToken) {
  for (const float temperature : {1e-30f, 1e30f}) {
    Options options = plain();
    options.temperature = temperature;
    options.min_p = 1;
    options.typical_p = 0;
    std::vector<float> logits = {1e38f, -1e38f, 0};
    const int32_t token = Sampler(options, 10).sample(logits)->token;
    EXPECT_TRUE(token >= 0 && token < 3);
  }
}

TEST(Sampler, LogprobsAreTheModelsOwn) {
  Options options = plain();
  options.temperature = 0;
  options.logprobs = 2;
  options.logit_bias = {{0, -kInf}};  // changes the choice, not what is reported
  std::vector<float> logits = logits_of({0.5, 0.2, 0.3});
  const Choice choice = Sampler(options, 10).sample(logits).value();
  EXPECT_EQ(choice.token, 2);
  EXPECT_NEAR(choice.logprob, std::log(0.3), 1e-5);
  ASSERT_EQ(choice.most_likely.size(), 2u);
  EXPECT_EQ(choice.most_likely[0].token, 0);
  EXPECT_NEAR(choice.most_likely[0].logprob, std::log(0.5), 1e-5);
  EXPECT_EQ(choice.most_likely[1].token, 2);
}

TEST(Sampler, MirostatKeepsTheAverageSurpriseAtTau) {
  // Probabilities that fall as 1/rank^1.1; plain sampling of them has a surprise of about 7.5 bits.
  std::vector<float> logits(5000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = -1.1f * std::log(static_cast<float>(i + 1));
  for (const int version : {1, 2}) {
    for (const float tau : {2.f, 4.f}) {
      Options options = plain();
      options.mirostat = version;
      options.mirostat_tau = tau;
      Sampler sampler(options, 10);
      // Once settled, the tokens come from a truncated distribution whose entropy is tau: measure that.
      std::map<int32_t, double> parts;
      for (int i = 0; i < 6000; ++i) {
        std::vector<float> scratch = logits;
        const int32_t token = sampler.sample(scratch)->token;
        if (i >= 1000) parts[token] += 1.0 / 5000;
      }
      double bits = 0;
      for (const auto& [token, part] : parts) bits -= part * std::log2(part);
      EXPECT_NEAR(bits, tau, 0.6) << "mirostat " << version;
    }
  }
}

// The paper starts at mu = 2 tau: of 64 equally likely tokens, 6 bits each, all may be drawn at tau = 3.5 and none but
// the best at tau = 2.5 (where mu = tau would allow none in either case).
TEST(Sampler, MirostatBeginsAtTwiceTau) {
  const auto first_tokens = [](float tau) {
    std::set<int32_t> tokens;
    for (int64_t seed = 0; seed < 50; ++seed) {
      Options options = plain();
      options.mirostat = 2;
      options.mirostat_tau = tau;
      options.seed = seed;
      std::vector<float> logits(64, 1.0f);
      logits[7] = 1.001f;
      tokens.insert(Sampler(options, 10).sample(logits)->token);
    }
    return tokens;
  };
  EXPECT_GT(first_tokens(3.5f).size(), 20u);
  EXPECT_EQ(first_tokens(2.5f), std::set<int32_t>{7});
}

TEST(Sampler, MirostatIsGreedyAtTemperatureZero) {
  Options options;
  options.mirostat = 2;
  EXPECT_EQ(greedy(options, {1, 2, 3}), 2);
}

}  // namespace
}  // namespace hearth::sampling
