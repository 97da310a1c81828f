// Who is served first, and how much: users, priorities, short prompts, budgets. Where pages are plenty and nothing is
// shared, a slow reference that knows neither must plan the same.
#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "sched/scheduler.h"
#include "support/support.h"

namespace hearth::sched {
namespace {

using Tokens = std::vector<Token>;
using Rows = std::map<SequenceId, uint32_t>;

constexpr uint32_t kPage = 4;

SchedulerOptions options(uint32_t max_sequences, uint32_t step_rows, uint32_t pages = 10000) {
  return {
      .pages = pages, .page_tokens = kPage, .context = 4000, .max_sequences = max_sequences, .step_rows = step_rows};
}

// No two share a page.
Tokens prompt(SequenceId id, size_t count) {
  Tokens tokens(count);
  std::iota(tokens.begin(), tokens.end(), static_cast<Token>(id * 10000));
  return tokens;
}

Rows run_step(Scheduler& scheduler, const Budget& budget = {}) {
  const Step step = scheduler.plan(budget);
  Rows rows;
  for (const StepSequence& part : step.sequences) rows[part.id] = part.rows;
  scheduler.commit(step);
  scheduler.check_invariants();
  for (const StepSequence& part : step.sequences)
    if (part.samples > 0) {
      EXPECT_TRUE(scheduler.append(part.id, 5));
    }
  return rows;
}

TEST(Fairness, ASecondUserGetsHalfOfThePromptRowsWhateverTheFirstAskedFor) {
  Scheduler scheduler(options(8, 16));
  for (SequenceId id = 1; id <= 7; ++id) scheduler.add(id, prompt(id, 1000), {.user = 1});
  for (int i = 0; i < 10; ++i) run_step(scheduler);
  scheduler.add(8, prompt(8, 1000), {.user = 2});
  uint32_t first = 0, second = 0;
  for (int i = 0; i < 40; ++i)
    for (const auto& [id, rows] : run_step(scheduler)) (id == 8 ? second : first) += rows;
  EXPECT_EQ(first + second, 640u);
  EXPECT_NEAR(first, second, kPage);
}

TEST(Fairness, ASecondUserGetsTheNextPlaceWhateverTheFirstAskedFor) {
  Scheduler scheduler(options(2, 64));
  for (SequenceId id = 1; id <= 20; ++id) scheduler.add(id, prompt(id, 10), {.user = 1});
  run_step(scheduler);
  scheduler.add(21, prompt(21, 10), {.user = 2});
  scheduler.remove(1);
  EXPECT_TRUE(run_step(scheduler).contains(21));
}

TEST(Fairness, AShortPromptIsNotBehindALongOne) {
  Scheduler scheduler(options(8, 16));
  scheduler.add(1, prompt(1, 3000));
  run_step(scheduler);
  scheduler.add(2, prompt(2, 3000));
  scheduler.add(3, prompt(3, 10));
  const Rows rows = run_step(scheduler);
  EXPECT_EQ(rows, (Rows{{1, 6}, {3, 10}}));
}

TEST(Fairness, ALongPromptAdvancesHoweverManyShortOnesCome) {
  Scheduler scheduler(options(8, 8));
  scheduler.add(1, prompt(1, 100));
  run_step(scheduler);
  uint32_t advanced = 0;
  for (SequenceId id = 2; id < 42; ++id) {
    scheduler.add(id, prompt(id, 8));
    const Rows rows = run_step(scheduler);
    const auto found = rows.find(1);
    advanced += found == rows.end() ? 0 : found->second;
    for (const auto& [other, count] : rows)
      if (other != 1 && count > kPage) scheduler.remove(other);  // answered with one token
  }
  EXPECT_GE(advanced, 24u);
}

TEST(Fairness, AUserWhoFloodsWithShortPromptsIsAtMostAStepAhead) {
  Scheduler scheduler(options(8, 16));
  scheduler.add(1, prompt(1, 3000), {.user = 1});
  uint32_t advanced = 0;
  for (SequenceId id = 2; id < 102; ++id) {
    scheduler.add(id, prompt(id, 16), {.user = 2});
    const Rows rows = run_step(scheduler);
    const auto found = rows.find(1);
    advanced += found == rows.end() ? 0 : found->second;
    for (const auto& [other, count] : rows)
      if (other != 1 && scheduler.counts().running > 1) scheduler.remove(other);
  }
  EXPECT_GE(advanced, 700u) << "of 1600 rows half are another user's";
}

TEST(Fairness, HigherPrioritiesGoFirstInEverything) {
  Scheduler scheduler(options(2, 8, 20));
  scheduler.add(1, prompt(1, 30));
  scheduler.add(2, prompt(2, 30));
  scheduler.add(3, prompt(3, 20), {.priority = 1});
  EXPECT_EQ(run_step(scheduler), (Rows{{3, 8}}));
  EXPECT_EQ(run_step(scheduler), (Rows{{3, 8}}));
  EXPECT_EQ(run_step(scheduler), (Rows{{1, 4}, {3, 4}}));
  scheduler.add(4, prompt(4, 40), {.priority = 2});
  scheduler.remove(3);
  EXPECT_EQ(run_step(scheduler), (Rows{{4, 8}}));
  while (scheduler.counts().preemptions == 0) {
    const Rows rows = run_step(scheduler);
    ASSERT_TRUE(rows.contains(4)) << "the lower one is preempted";
  }
}

TEST(Fairness, AnAnswerThatHasBegunGoesOnBeforeOthersBegin) {
  Scheduler scheduler(options(2, 64, 4));
  for (SequenceId id : {1, 2}) scheduler.add(id, prompt(id, 4), {.user = 1});
  run_step(scheduler);
  scheduler.add(3, prompt(3, 12), {.user = 2});
  while (scheduler.counts().preemptions == 0) run_step(scheduler);
  scheduler.remove(1);
  EXPECT_TRUE(run_step(scheduler).contains(2));
}

TEST(Fairness, TheEarlierDeadlineGoesFirst) {
  Scheduler scheduler(options(1, 64));
  scheduler.add(1, prompt(1, 10));
  scheduler.add(2, prompt(2, 10), {.deadline = 200});
  scheduler.add(3, prompt(3, 10), {.deadline = 100});
  EXPECT_TRUE(run_step(scheduler).contains(3));
}

TEST(Fairness, WhatFitsPassesWhatDoesNotButNotForEver) {
  Scheduler scheduler(options(4, 128, 40));
  scheduler.add(1, prompt(1, 100));
  run_step(scheduler);
  scheduler.add(2, prompt(2, 150));  // 38 of 40 pages
  SequenceId last = 2;
  int passed = 0;
  for (; passed < 100; ++passed) {
    ++last;
    scheduler.add(last, prompt(last, 5));
    if (!run_step(scheduler).contains(last)) break;
    scheduler.remove(last);
  }
  EXPECT_EQ(passed, 16);
  scheduler.remove(1);
  EXPECT_TRUE(run_step(scheduler).contains(2));
}

TEST(Fairness, AStepCostsNoMoreThanItsLimitButTakesAPageOfPrompt) {
  for (const uint64_t limit : {0u, 100u, 300u, 1000u}) {
    Scheduler scheduler(options(8, 256));
    for (SequenceId id = 1; id <= 4; ++id) scheduler.add(id, prompt(id, 20));
    run_step(scheduler);
    scheduler.add(5, prompt(5, 2000));
    const Budget budget{.limit = limit, .fixed = 40, .row = 2, .key = 1};
    for (int i = 0; i < 10; ++i) {
      const Step step = scheduler.plan(budget);
      const uint64_t cost = 40 + 2 * step.tokens.size() + step.keys;
      EXPECT_GE(step.tokens.size(), 4 + kPage);
      if (step.tokens.size() > 4 + kPage) {
        EXPECT_LE(cost, std::max<uint64_t>(limit, 2 * (40 + 2 + 40)));
      }
      const StepSequence& part = step.sequences.back();
      ASSERT_EQ(part.id, 5u);
      const uint64_t page = 2 * kPage + kPage * (part.first_position + part.rows + kPage);
      EXPECT_GT(cost + page, limit) << "it takes what it may";
      scheduler.commit(step);
      for (const StepSequence& each : step.sequences)
        if (each.samples > 0) {
          EXPECT_TRUE(scheduler.append(each.id, 5));
        }
    }
  }
}

// Plans with numbers alone, and from the start each time.
class Reference {
 public:
  Reference(const SchedulerOptions& options) : options_(options) {}

  void add(SequenceId id, uint32_t size, const SequenceOptions& options) {
    if (all_.empty()) served_.clear();
    uint64_t least = ~uint64_t{0};
    for (const auto& [other, one] : all_) least = std::min(least, served_[one.options.user]);
    uint64_t& served = served_[options.user];
    if (!all_.empty()) served = std::max(served, least);
    all_[id] = {options, size};
  }
  void append(SequenceId id) {
    ++all_.at(id).size;
    all_.at(id).generates = true;
  }
  void remove(SequenceId id) { all_.erase(id); }

  Rows plan(const Budget& budget) {
    admit();
    Rows rows;
    uint32_t left = options_.step_rows;
    uint64_t cost = budget.fixed, limit = budget.limit;
    std::vector<SequenceId> prompts;
    for (auto& [id, one] : all_) {
      if (!one.runs) continue;
      if (one.size - one.computed > 1) {
        prompts.push_back(id);
        continue;
      }
      const uint64_t own = budget.row + budget.key * one.size;
      cost += own;
      limit = std::max(limit, 2 * (budget.fixed + own));
      rows[id] = 1;
      --left;
      ++served_[one.options.user];
    }
    uint64_t least = ~uint64_t{0};
    for (SequenceId id : prompts) least = std::min(least, served_[all_[id].options.user]);
    uint32_t taken = 0;
    while (left > 0) {
      const SequenceId next = best(prompts, rows, least);
      if (next == 0) break;
      Sequence& one = all_[next];
      const uint32_t at = one.computed + rows[next];
      const uint32_t count = std::min({left, kPage - at % kPage, one.size - at});
      uint64_t own = 0;
      for (uint32_t i = 0; i < count; ++i) own += budget.row + budget.key * (at + i + 1);
      taken += count;
      if (taken > kPage && cost + own > limit) break;
      cost += own;
      left -= count;
      rows[next] += count;
      served_[one.options.user] += count;
    }
    std::erase_if(rows, [](const auto& entry) { return entry.second == 0; });
    for (SequenceId id : prompts) {
      Sequence& one = all_[id];
      const bool passed = std::ranges::any_of(prompts, [&](SequenceId other) {
        const Sequence& two = all_[other];
        const bool later = std::tuple(-one.options.priority, one.options.deadline, id) <
                           std::tuple(-two.options.priority, two.options.deadline, other);
        return later && one.options.user == two.options.user && rows.contains(other);
      });
      one.passed = rows.contains(id) ? 0 : one.passed + passed;
    }
    for (const auto& [id, count] : rows) all_[id].computed += count;
    return rows;
  }

 private:
  struct Sequence {
    SequenceOptions options;
    uint32_t size = 0, computed = 0, passed = 0;
    bool runs = false, generates = false;
  };

  void admit() {
    for (;;) {
      std::map<UserId, uint64_t> had = served_;
      uint32_t running = 0;
      for (const auto& [id, one] : all_)
        if (one.runs) {
          ++running;
          had[one.options.user] += one.size - one.computed;
        }
      if (running == options_.max_sequences) return;
      std::map<UserId, SequenceId> first;  // of each user
      const auto order = [&](SequenceId id) {
        return std::tuple(-all_[id].options.priority, all_[id].options.deadline, id);
      };
      for (const auto& [id, one] : all_) {
        if (one.runs) continue;
        SequenceId& known = first.try_emplace(one.options.user, id).first->second;
        if (order(id) < order(known)) known = id;
      }
      SequenceId chosen = 0;
      const auto rank = [&](SequenceId id) {
        return std::tuple(-all_[id].options.priority, had[all_[id].options.user], all_[id].options.deadline, id);
      };
      for (const auto& [user, id] : first)
        if (chosen == 0 || rank(id) < rank(chosen)) chosen = id;
      if (chosen == 0) return;
      all_[chosen].runs = true;
      all_[chosen].passed = 0;
    }
  }

  SequenceId best(const std::vector<SequenceId>& prompts, Rows& rows, uint64_t least) {
    SequenceId best = 0;
    const auto rank = [&](SequenceId id) {
      const Sequence& one = all_[id];
      const uint64_t served = served_[one.options.user];
      const uint32_t left = one.size - one.computed - rows[id];
      const bool early = ((one.passed >= 4 && rows[id] == 0) || left <= 16) && served <= least + options_.step_rows;
      return std::tuple(-one.options.priority, !early, served, one.options.deadline, id);
    };
    for (SequenceId id : prompts)
      if (all_[id].computed + rows[id] < all_[id].size && (best == 0 || rank(id) < rank(best))) best = id;
    return best;
  }

  SchedulerOptions options_;
  std::map<SequenceId, Sequence> all_;
  std::map<UserId, uint64_t> served_;
};

TEST(Fairness, PlansAsASlowReference) {
  std::mt19937_64 random(test::seed());
  const auto below = [&](uint64_t bound) { return random() % bound; };
  for (int round = 0; round < 100 && !testing::Test::HasFailure(); ++round) {
    const auto max_sequences = static_cast<uint32_t>(1 + below(10));
    const SchedulerOptions some = options(max_sequences, max_sequences + static_cast<uint32_t>(below(40)));
    Scheduler scheduler(some);
    Reference reference(some);
    std::map<SequenceId, uint32_t> answers;  // tokens that are still to come
    SequenceId last = 0;
    const uint64_t users = 1 + below(4);
    for (int i = 0; i < 200; ++i) {
      for (; below(3) == 0; ++last) {
        const SequenceOptions who{.user = below(users),
                                  .priority = static_cast<int32_t>(below(8) / 7),
                                  .deadline = below(4) == 0 ? below(1000) : ~uint64_t{0}};
        const auto size = static_cast<uint32_t>(1 + (below(3) == 0 ? below(300) : below(30)));
        scheduler.add(last + 1, prompt(last + 1, size), who);
        reference.add(last + 1, size, who);
        answers[last + 1] = 1 + static_cast<uint32_t>(below(20));
      }
      const Budget budget{.limit = below(2) == 0 ? below(400) : ~uint64_t{0}, .fixed = 20, .row = 3, .key = below(2)};
      const Step step = scheduler.plan(budget);
      Rows rows;
      for (const StepSequence& part : step.sequences) rows[part.id] = part.rows;
      ASSERT_EQ(rows, reference.plan(budget)) << "round " << round << ", step " << i;
      scheduler.commit(step);
      for (const StepSequence& part : step.sequences) {
        if (part.samples == 0) continue;
        if (--answers.at(part.id) > 0) {
          ASSERT_TRUE(scheduler.append(part.id, 5));
          reference.append(part.id);
        } else {
          scheduler.remove(part.id);
          reference.remove(part.id);
        }
      }
    }
  }
}

}  // namespace
}  // namespace hearth::sched
