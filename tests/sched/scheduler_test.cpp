#include "sched/scheduler.h"

#include <map>
#include <numeric>

#include "support/support.h"

namespace hearth::sched {
namespace {

using Tokens = std::vector<Token>;

Tokens counting(size_t count, Token first = 0) {
  Tokens tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

SchedulerOptions options(uint32_t pages, uint32_t max_sequences = 4, uint32_t step_rows = 8) {
  return {.pages = pages, .page_tokens = 4, .context = 64, .max_sequences = max_sequences, .step_rows = step_rows};
}

// Which sequences take part in a step, and with how many rows.
using Parts = std::vector<std::pair<SequenceId, uint32_t>>;
Parts parts(const Step& step) {
  Parts parts;
  for (const StepSequence& part : step.sequences) parts.emplace_back(part.id, part.rows);
  return parts;
}

// Plans and commits one step; every sequence that samples goes on with `token`.
Step run_step(Scheduler& scheduler, Token token = 100) {
  Step step = scheduler.plan();
  scheduler.commit(step);
  scheduler.check_invariants();
  for (const StepSequence& part : step.sequences) {
    if (part.sample) {
      EXPECT_TRUE(scheduler.append(part.id, token));
    }
  }
  return step;
}

TEST(Scheduler, CutsALongPromptAndSamplesAfterItsLastToken) {
  Scheduler scheduler(options(16));
  scheduler.add(1, counting(19));

  Step step = scheduler.plan();
  EXPECT_EQ(step.tokens, counting(8));
  EXPECT_EQ(step.sequences[0].first_position, 0u);
  EXPECT_EQ(step.sequences[0].pages.size(), 2u);
  EXPECT_FALSE(step.sequences[0].sample);
  EXPECT_TRUE(step.logit_rows.empty());
  scheduler.commit(step);

  step = scheduler.plan();
  EXPECT_EQ(step.tokens, counting(8, 8));
  scheduler.commit(step);

  step = scheduler.plan();
  EXPECT_EQ(step.tokens, counting(3, 16));
  EXPECT_EQ(step.sequences[0].first_position, 16u);
  EXPECT_EQ(step.sequences[0].pages.size(), 5u);
  EXPECT_TRUE(step.sequences[0].sample);
  EXPECT_EQ(step.logit_rows, std::vector<uint32_t>{2});
}

TEST(Scheduler, DecodesFirstAndFillsTheStepWithPrefillInOrderOfArrival) {
  Scheduler scheduler(options(32));
  scheduler.add(1, counting(3));
  run_step(scheduler);
  scheduler.add(2, counting(10, 200));
  scheduler.add(3, counting(10, 300));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 1}, {2, 7}}));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 1}, {2, 3}, {3, 4}}));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 1}, {2, 1}, {3, 6}}));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 1}, {2, 1}, {3, 1}}));
}

TEST(Scheduler, RunsAtMostMaxSequencesAndAdmitsTheNextWhenOneEnds) {
  Scheduler scheduler(options(32, 2));
  for (SequenceId id : {1, 2, 3}) scheduler.add(id, counting(2, static_cast<Token>(id * 100)));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 2}, {2, 2}}));
  EXPECT_EQ(scheduler.counts().waiting, 1u);
  scheduler.remove(1);
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{2, 1}, {3, 2}}));
}

TEST(Scheduler, SharesFullPagesOfAnEqualPrefixButAlwaysComputesTheLastToken) {
  Scheduler scheduler(options(32));
  scheduler.add(1, counting(8));
  run_step(scheduler);
  scheduler.remove(1);

  scheduler.add(2, counting(8));  // two full pages, the second holds the last token
  Step step = run_step(scheduler);
  EXPECT_EQ(step.tokens, counting(4, 4));
  EXPECT_EQ(step.sequences[0].cached_tokens, 4u);

  scheduler.add(3, counting(9));
  step = run_step(scheduler);
  EXPECT_EQ(parts(step), (Parts{{2, 1}, {3, 1}}));
  EXPECT_EQ(step.sequences[1].cached_tokens, 8u);
  EXPECT_EQ(scheduler.counts().tokens_cached, 12u);
  EXPECT_EQ(scheduler.counts().pages_unused, 32u - 2 - 2) << "two shared pages, one more for each sequence";
}

TEST(Scheduler, SharesGeneratedTokensToo) {
  Scheduler scheduler(options(32));
  scheduler.add(1, counting(3));
  for (Token token : {3, 4, 5, 6, 7, 8}) run_step(scheduler, token);
  scheduler.remove(1);
  scheduler.add(2, counting(12));
  EXPECT_EQ(run_step(scheduler).sequences[0].cached_tokens, 8u);
}

TEST(Scheduler, SharesWhatAnOlderSequenceComputesWhileAYoungerOneRuns) {
  Scheduler scheduler(options(32));
  scheduler.add(1, counting(21));
  scheduler.add(2, counting(21));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 8}}));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 8}}));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 5}, {2, 3}})) << "16 of 21 tokens are known by now";
  EXPECT_EQ(scheduler.counts().tokens_cached, 16u);
}

TEST(Scheduler, EvictsIdlePrefixesWhenPagesAreNeeded) {
  Scheduler scheduler(options(4));
  scheduler.add(1, counting(15));
  run_step(scheduler);
  run_step(scheduler);
  scheduler.remove(1);
  EXPECT_EQ(scheduler.counts().pages_evictable, 3u);
  scheduler.add(2, counting(13, 50));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{2, 8}}));
  EXPECT_EQ(scheduler.counts().pages_evictable, 0u);
}

TEST(Scheduler, PreemptsTheYoungestAndComputesItAgainWithItsAnswerSoFar) {
  Scheduler scheduler(options(4));
  scheduler.add(1, counting(4));
  scheduler.add(2, counting(4, 50));
  run_step(scheduler);  // one page each
  for (Token token : {100, 101, 102, 103}) run_step(scheduler, token);
  EXPECT_EQ(scheduler.counts().preemptions, 0u);
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 1}})) << "the fifth page: the second sequence loses its own";
  EXPECT_EQ(scheduler.counts().preemptions, 1u);
  EXPECT_EQ(scheduler.counts().waiting, 1u);
  scheduler.remove(1);
  const Step step = run_step(scheduler);
  EXPECT_EQ(step.sequences[0].id, 2u);
  EXPECT_EQ(step.sequences[0].first_position + step.sequences[0].rows, 9u);
  EXPECT_TRUE(step.sequences[0].sample);
}

// Without a page to spare it would be admitted, and lose its pages as soon as the first one grows.
TEST(Scheduler, AdmitsOnlyWithAPageToSpareForEachThatRuns) {
  for (const uint32_t pages : {3u, 4u}) {
    Scheduler scheduler(options(pages));
    scheduler.add(1, counting(7));  // two pages, full with the next token
    run_step(scheduler);
    scheduler.add(2, counting(3, 200));
    const bool spare = pages == 4;
    EXPECT_EQ(parts(run_step(scheduler)), spare ? (Parts{{1, 1}, {2, 3}}) : (Parts{{1, 1}})) << pages;
    EXPECT_EQ(parts(run_step(scheduler)), spare ? (Parts{{1, 1}, {2, 1}}) : (Parts{{1, 1}})) << pages;
    EXPECT_EQ(scheduler.counts().preemptions, 0u) << pages;
  }
}

TEST(Scheduler, OneAloneCanFillTheWholeCache) {
  Scheduler scheduler(options(4));
  EXPECT_EQ(scheduler.context(), 16u) << "the pages hold less than the model sees";
  scheduler.add(1, counting(1));
  for (int i = 0; i < 15; ++i) run_step(scheduler);
  const Step step = scheduler.plan();
  scheduler.commit(step);
  EXPECT_TRUE(step.sequences[0].sample);
  EXPECT_FALSE(scheduler.append(1, 7)) << "the context is full";
  scheduler.remove(1);
  EXPECT_TRUE(scheduler.empty());
}

TEST(Scheduler, ForgetsWhatWasComputedAfterAFailedStep) {
  Scheduler scheduler(options(32));
  scheduler.add(1, counting(8));
  run_step(scheduler);
  (void)scheduler.plan();
  scheduler.forget();
  scheduler.check_invariants();
  EXPECT_EQ(scheduler.counts().pages_unused, 32u);
  EXPECT_EQ(run_step(scheduler).tokens, counting(8)) << "from the start, though the prefix had been shared";
}

TEST(Scheduler, KeepsNothingOfADistrustedSequence) {
  Scheduler scheduler(options(32));
  const auto run_one = [&](SequenceId id) {
    scheduler.add(id, counting(8));
    run_step(scheduler);
  };
  run_one(1);
  scheduler.distrust(1);
  scheduler.remove(1);
  scheduler.check_invariants();
  EXPECT_EQ(scheduler.counts().pages_unused, 32u);
  run_one(2);
  EXPECT_EQ(scheduler.counts().tokens_cached, 0u);
  scheduler.remove(2);
  run_one(3);
  EXPECT_EQ(scheduler.counts().tokens_cached, 4u);
}

// Random traces: arrivals with common prefixes, answers of random length, cancellations, failures, scarce
// pages. A shadow cache remembers what was written to which page, so that wrong sharing shows.
class Trace {
 public:
  Trace(std::mt19937_64& random, const SchedulerOptions& options)
      : random_(random),
        options_(options),
        scheduler_(options),
        cache_(size_t{options.pages} * options.page_tokens, -1) {}

  void run(int requests) {
    int idle_steps = 0;
    while ((requests > 0 || !scheduler_.empty()) && !testing::Test::HasFailure()) {
      if (requests > 0 && below(3) == 0) {
        arrive();
        --requests;
      }
      if (below(20) == 0 && !alive_.empty()) cancel();
      const uint64_t before = tokens_done_;
      step();
      scheduler_.check_invariants();
      idle_steps = tokens_done_ == before && !scheduler_.empty() ? idle_steps + 1 : 0;
      ASSERT_LT(idle_steps, 30) << "no progress";
    }
    EXPECT_TRUE(alive_.empty());
    const Counts counts = scheduler_.counts();
    EXPECT_EQ(counts.pages_unused + counts.pages_evictable, options_.pages) << "a page leaked";
  }
  Counts counts() const { return scheduler_.counts(); }

 private:
  struct Alive {
    Tokens tokens;
    size_t ends_at = 0;
  };

  size_t below(size_t bound) { return random_() % bound; }

  void arrive() {
    const size_t length = 1 + below(scheduler_.context());
    Alive alive;
    const size_t common = below(length + 1);  // two tokens only: prefixes of all kinds are common
    for (size_t i = 0; i < length; ++i) alive.tokens.push_back(i < common ? Token{7} : static_cast<Token>(below(2)));
    alive.ends_at = length + 1 + below(40);
    scheduler_.add(++last_id_, alive.tokens);
    alive_[last_id_] = std::move(alive);
  }

  void cancel() {
    auto victim = alive_.begin();
    std::advance(victim, static_cast<long>(below(alive_.size())));
    if (below(2) == 0) scheduler_.distrust(victim->first);
    scheduler_.remove(victim->first);
    alive_.erase(victim);
  }

  void step() {
    const Step step = scheduler_.plan();
    if (scheduler_.empty()) return;
    ASSERT_FALSE(step.empty());
    ASSERT_LE(step.tokens.size(), options_.step_rows);
    if (below(50) == 0) return fail(step);
    check_order(step);
    for (const StepSequence& part : step.sequences) compute(step, part);
    scheduler_.commit(step);
    tokens_done_ += step.tokens.size();
    for (const StepSequence& part : step.sequences) {
      if (part.sample) sample(part.id);
    }
  }

  void fail(const Step& step) {
    for (const StepSequence& part : step.sequences) {
      scheduler_.remove(part.id);
      ASSERT_EQ(alive_.erase(part.id), 1u);
    }
    scheduler_.forget();
    std::fill(cache_.begin(), cache_.end(), -1);
    tokens_done_ += step.tokens.size();
  }

  // Decoding sequences first, each kind in order of arrival; the oldest always takes part.
  void check_order(const Step& step) {
    ASSERT_TRUE(std::any_of(step.sequences.begin(), step.sequences.end(),
                            [&](const StepSequence& part) { return part.id == alive_.begin()->first; }));
    size_t logit_rows = 0;
    uint32_t next_row = 0;
    for (size_t i = 0; i < step.sequences.size(); ++i) {
      const StepSequence& part = step.sequences[i];
      ASSERT_EQ(part.first_row, next_row);
      next_row += part.rows;
      if (part.sample) {
        ASSERT_EQ(step.logit_rows[logit_rows++], next_row - 1);
      }
      if (i == 0) continue;
      const StepSequence& earlier = step.sequences[i - 1];
      ASSERT_TRUE(earlier.id < part.id || (earlier.sample && earlier.rows == 1));
    }
    ASSERT_EQ(next_row, step.tokens.size());
    ASSERT_EQ(logit_rows, step.logit_rows.size());
  }

  // Writes the rows to the shadow cache, then reads back all that the last row would attend to.
  void compute(const Step& step, const StepSequence& part) {
    const Tokens& tokens = alive_.at(part.id).tokens;
    for (uint32_t i = 0; i < part.rows; ++i) cell(part, part.first_position + i) = step.tokens[part.first_row + i];
    const uint32_t end = part.first_position + part.rows;
    for (uint32_t i = 0; i < end; ++i) ASSERT_EQ(cell(part, i), tokens[i]) << "position " << i << " of " << part.id;
    ASSERT_EQ(part.sample, end == tokens.size());
  }

  Token& cell(const StepSequence& part, uint32_t position) {
    const Page page = part.pages[position / options_.page_tokens];
    return cache_[static_cast<size_t>(page) * options_.page_tokens + position % options_.page_tokens];
  }

  void sample(SequenceId id) {
    Alive& alive = alive_.at(id);
    const Token token = static_cast<Token>(below(2));
    alive.tokens.push_back(token);
    if (scheduler_.append(id, token) && alive.tokens.size() < alive.ends_at) return;
    scheduler_.remove(id);
    alive_.erase(id);
  }

  std::mt19937_64& random_;
  SchedulerOptions options_;
  Scheduler scheduler_;
  Tokens cache_;
  std::map<SequenceId, Alive> alive_;
  SequenceId last_id_ = 0;
  uint64_t tokens_done_ = 0;
};

TEST(Scheduler, RandomTracesLeakNothingShareRightlyAndAlwaysAdvance) {
  std::mt19937_64 random(test::seed());
  uint64_t preemptions = 0, tokens_cached = 0;
  for (int i = 0; i < 300 && !testing::Test::HasFailure(); ++i) {
    SchedulerOptions options;
    options.page_tokens = 1 + static_cast<uint32_t>(random() % 5);
    options.pages = 1 + static_cast<uint32_t>(random() % 24);
    options.context = 1 + static_cast<uint32_t>(random() % 60);
    options.max_sequences = 1 + static_cast<uint32_t>(random() % 6);
    options.step_rows = options.max_sequences + static_cast<uint32_t>(random() % 12);
    Trace trace(random, options);
    trace.run(40);
    preemptions += trace.counts().preemptions;
    tokens_cached += trace.counts().tokens_cached;
  }
  EXPECT_GT(preemptions, 100u) << "the traces no longer try this";
  EXPECT_GT(tokens_cached, 1000u) << "the traces no longer try this";
}

}  // namespace
}  // namespace hearth::sched
