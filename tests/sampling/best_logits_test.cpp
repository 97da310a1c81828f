// Sampling from the best of the logits: the same tokens as from all of them, and when that is possible.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "sampling/constraint.h"
#include "sampling/sampler.h"
#include "sampling/select.h"
#include "support/support.h"

namespace hearth::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(LogitsNeeded, GreedyNeedsTheBestAndTopKTheBestK) {
  Options options;
  options.temperature = 0;
  EXPECT_EQ(logits_needed(options, 0), 1u);
  options.temperature = 0.1f;
  EXPECT_EQ(logits_needed(options, 0), 40u);
  options.top_k = 1;
  EXPECT_EQ(logits_needed(options, 0), 1u);
  options.logprobs = 20;
  EXPECT_EQ(logits_needed(options, 0), 20u);
}

TEST(LogitsNeeded, TokensThatBiasAndPenaltiesLowerComeOnTop) {
  Options options;
  options.repeat_penalty = 1.1f;
  options.logit_bias = {{7, -kInf}};
  EXPECT_EQ(logits_needed(options, 65), 105u);
  options.logprobs = 20;
  EXPECT_EQ(logits_needed(options, 65), 105u);
}

// The whole rule, against its definition, for every combination of what it looks at.
TEST(LogitsNeeded, AllLogitsExactlyWhereTheRestCouldMatter) {
  int all = 0, some = 0;
  for (const float temperature : {0.0f, 0.8f})
    for (const int mirostat : {0, 1, 2})
      for (const auto& [top_k, typical] : {std::pair(-1, 1.0f), {0, 1.0f}, {0, 0.9f}, {1, 0.9f}, {40, 1.0f}})
        for (const float repeat : {0.9f, 1.0f, 1.1f})
          for (const float presence : {-0.1f, 0.0f, 0.1f})
            for (const float frequency : {-0.1f, 0.0f, 0.1f})
              for (const float bias : {-kInf, -1.0f, 0.0f, 1.0f})
                for (const size_t changed : {0, 1, 9}) {
                  Options options;
                  options.temperature = temperature;
                  options.mirostat = mirostat;
                  options.top_k = top_k;
                  options.typical_p = typical;
                  options.repeat_penalty = repeat;
                  options.presence_penalty = presence;
                  options.frequency_penalty = frequency;
                  if (bias != 0) options.logit_bias = {{3, bias}};
                  const bool any_may_be_drawn = temperature > 0 && (mirostat != 0 || (top_k <= 0 && typical < 1));
                  const bool any_may_rise = changed > 0 && (repeat < 1 || presence < 0 || frequency < 0 || bias > 0);
                  const auto needed = logits_needed(options, changed);
                  ASSERT_EQ(needed.has_value(), !any_may_be_drawn && !any_may_rise);
                  if (needed) {
                    ASSERT_EQ(*needed, (temperature == 0 ? 1u
                                        : top_k <= 0     ? 256u
                                                         : static_cast<size_t>(top_k)) +
                                           changed);
                  }
                  ++(needed ? some : all);
                }
  EXPECT_GT(all, 1000);
  EXPECT_GT(some, 400);
}

TEST(LogitsNeeded, CountsTheTokensThatPenaltiesSee) {
  Options options;
  options.repeat_last_n = 3;
  Sampler without(options, 100);
  without.accept(1);
  EXPECT_EQ(without.logits_needed(), 40u);
  options.presence_penalty = 1;
  options.logit_bias = {{5, -1}, {6, -1}};
  Sampler sampler(options, 100);
  EXPECT_EQ(sampler.logits_needed(), 42u);
  for (const int32_t token : {1, 1, 2}) sampler.accept(token);
  EXPECT_EQ(sampler.logits_needed(), 44u);
  for (const int32_t token : {3, 4, 5, 6}) sampler.accept(token);
  EXPECT_EQ(sampler.logits_needed(), 45u) << "the older ones are forgotten";
}

// As a device finds them.
std::vector<TokenCandidate> best(std::vector<float> logits, size_t count) {
  std::vector<TokenCandidate> all;
  for (size_t i = 0; i < logits.size(); ++i) all.push_back({static_cast<int32_t>(i), logits[i], 0});
  std::ranges::stable_sort(all, std::greater(), &TokenCandidate::logit);
  all.resize(std::min(all.size(), count));
  return all;
}

class SameTokens : public testing::Test {
 protected:
  std::mt19937_64 random{test::seed()};

  size_t below(size_t bound) { return random() % bound; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }

  // Few different values: many ties, also after penalties.
  std::vector<float> logits(size_t size) {
    std::vector<float> values(size);
    for (float& value : values) {
      value = static_cast<float>(below(25)) / 2 - 6;
      if (below(40) == 0) value = one_of({std::numeric_limits<float>::max(), -0.0f});
    }
    return values;
  }

  Options options(size_t vocabulary) {
    Options options;
    options.seed = static_cast<int64_t>(below(1000));
    options.temperature = one_of({0.0f, 0.5f, 1.0f, 3.0f});
    options.top_k = one_of({1, 2, 5, 40});
    options.top_p = one_of({1.0f, 0.9f, 0.3f, 0.0f});
    options.min_p = one_of({0.0f, 0.05f, 0.5f});
    options.typical_p = one_of({1.0f, 0.9f, 0.2f});
    options.repeat_last_n = one_of({64, 5, -1});
    options.repeat_penalty = one_of({1.0f, 1.1f, 2.0f});
    options.presence_penalty = one_of({0.0f, 0.5f, 1.0f});
    options.frequency_penalty = one_of({0.0f, 0.5f});
    options.logprobs = one_of({0, 3});
    for (size_t i = below(4); i > 0; --i)
      options.logit_bias[static_cast<int32_t>(below(vocabulary + 5))] = one_of({-kInf, -0.5f, -3.0f});
    return options;
  }
};

TEST_F(SameTokens, FromTheBestAsFromAll) {
  for (int round = 0; round < 3000; ++round) {
    const size_t vocabulary = one_of({3, 60, 300});
    const Options chosen = options(vocabulary);
    Sampler from_all(chosen, 50), from_best(chosen, 50);
    for (int step = 0; step < 8; ++step) {
      const std::vector<float> values = logits(vocabulary);
      const auto needed = from_best.logits_needed();
      ASSERT_TRUE(needed.has_value());
      const std::vector<TokenCandidate> few = best(values, *needed + below(3));
      double total = 0;
      for (const TokenCandidate& candidate : best(values, vocabulary))
        total += std::exp(candidate.logit - few[0].logit);
      std::vector<float> scratch = values;
      const auto all = from_all.sample(scratch);
      const auto best_only = from_best.sample({few, total, vocabulary});
      ASSERT_EQ(all.ok(), best_only.ok());
      if (!all.ok()) continue;  // all are banned
      ASSERT_TRUE(best_only->has_value());
      const Choice &a = *all, &b = **best_only;
      ASSERT_EQ(a.token, b.token) << "round " << round << " step " << step;
      // A token that nothing but banned ones leave over has none.
      ASSERT_TRUE(a.logprob == b.logprob || std::abs(a.logprob - b.logprob) < 1e-5) << a.logprob << " " << b.logprob;
      ASSERT_EQ(a.most_likely.size(), b.most_likely.size());
      for (size_t i = 0; i < a.most_likely.size(); ++i) {
        ASSERT_EQ(a.most_likely[i].token, b.most_likely[i].token);
        ASSERT_NEAR(a.most_likely[i].logprob, b.most_likely[i].logprob, 1e-5);
      }
      from_all.accept(a.token);
      from_best.accept(a.token);
    }
  }
}

// Without top_k, and with a mask: a few candidates decide as a rule, and where they do not they change nothing.
TEST_F(SameTokens, WhereTheBestDecideAndElseFromAllAfterwards) {
  int decided = 0, open = 0;
  for (int round = 0; round < 800; ++round) {
    const size_t vocabulary = one_of({3, 60, 300, 3000});
    Options chosen = options(vocabulary);
    if (below(4) != 0) {
      chosen.top_k = 0;
      chosen.typical_p = 1;
    }
    Sampler from_all(chosen, 50), from_best(chosen, 50);
    const std::vector<int32_t> banned(below(3), static_cast<int32_t>(below(vocabulary)));
    const float spread = one_of({0.3f, 1.0f, 3.0f});
    for (int step = 0; step < 8; ++step) {
      std::vector<float> values(vocabulary);
      std::normal_distribution<float> normal(0, spread);
      for (float& value : values) value = normal(random);
      std::vector<uint64_t> mask(below(2) == 0 ? 0 : mask_words(vocabulary));
      for (uint64_t& word : mask) word = one_of<uint64_t>({~uint64_t{0}, random(), random() & random() & random(), 0});
      for (Sampler* sampler : {&from_all, &from_best}) sampler->restrict_to(mask, banned);

      const std::vector<TokenCandidate> few = best(values, 1 + below(vocabulary));
      const float top = few[0].logit;
      const double total = sum_of_weights(values, top, 1);
      const auto best_only = from_best.sample({few, total, vocabulary});
      std::vector<float> scratch = values;
      const auto all = from_all.sample(scratch);
      if (!all.ok()) {
        ASSERT_TRUE(!best_only.ok() || !best_only->has_value());
        break;
      }
      ASSERT_TRUE(best_only.ok());
      int32_t token = -1;
      if (*best_only) {
        token = (*best_only)->token;
        ++decided;
      } else {
        ++open;
        token = from_best.sample(values)->token;
      }
      ASSERT_EQ(token, all->token) << "round " << round << " step " << step;
      ASSERT_TRUE(mask.empty() || is_set(mask, token));
      ASSERT_TRUE(std::ranges::find(banned, token) == banned.end());
      from_all.accept(token);
      from_best.accept(token);
    }
  }
  EXPECT_GT(decided, 1000);
  EXPECT_GT(open, 700);
}

TEST_F(SameTokens, BrokenLogitsShowInTheTotalOrTheBest) {
  Sampler sampler({}, 1);
  const std::vector<TokenCandidate> sound = best({9, 8}, 2), broken = best({kInf, 8}, 2);
  EXPECT_TRUE(sampler.sample({sound, 2, 2}).ok());
  for (const auto& [list, total] :
       {std::pair(sound, std::nan("")), std::pair(sound, HUGE_VAL), std::pair(broken, 2.0)}) {
    const auto choice = sampler.sample({list, total, 2});
    ASSERT_FALSE(choice.ok());
    EXPECT_EQ(choice.error().kind, ErrorKind::kInvalidData);
  }
}

TEST_F(SameTokens, BanningAllTokensIsTheSameMistake) {
  Options options;
  options.logit_bias = {{0, -kInf}, {1, -kInf}};
  const auto choice = Sampler(options, 1).sample({best({9, 8}, 2), 2, 2});
  ASSERT_FALSE(choice.ok());
  EXPECT_EQ(choice.error().kind, ErrorKind::kUsage);
}

// One logit fewer than needed is not enough: the best was lowered below the one that is missing.
TEST_F(SameTokens, NeededIsNotMoreThanNecessary) {
  Options options;
  options.temperature = 0;
  options.logit_bias = {{0, -10}, {1, -10}};
  Sampler sampler(options, 1);
  EXPECT_EQ(sampler.logits_needed(), 3u);
  const std::vector<float> values = {9, 8, 7, 6};
  EXPECT_EQ((*sampler.sample({best(values, 3), 1, 4}))->token, 2);
  EXPECT_FALSE(sampler.sample({best(values, 2), 1, 4})->has_value()) << "it would be the wrong one";
}

}  // namespace
}  // namespace hearth::sampling
