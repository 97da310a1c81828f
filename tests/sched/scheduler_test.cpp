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
    if (part.samples > 0) {
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
  EXPECT_EQ(step.sequences[0].samples, 0u);
  EXPECT_TRUE(step.logit_rows.empty());
  scheduler.commit(step);

  step = scheduler.plan();
  EXPECT_EQ(step.tokens, counting(8, 8));
  scheduler.commit(step);

  step = scheduler.plan();
  EXPECT_EQ(step.tokens, counting(3, 16));
  EXPECT_EQ(step.sequences[0].first_position, 16u);
  EXPECT_EQ(step.sequences[0].pages.size(), 5u);
  EXPECT_EQ(step.sequences[0].samples, 1u);
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
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 5}})) << "16 of 21 tokens are known by now, 4 will be";
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 1}, {2, 1}}));
  EXPECT_EQ(scheduler.counts().tokens_cached, 20u);
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
  EXPECT_EQ(step.sequences[0].samples, 1u);
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
  EXPECT_EQ(step.sequences[0].samples, 1u);
  EXPECT_FALSE(scheduler.append(1, 7)) << "the context is full";
  scheduler.remove(1);
  EXPECT_TRUE(scheduler.empty());
}

TEST(Scheduler, GrowsUnderThoseWhoRun) {
  Scheduler scheduler({.pages = 2, .page_tokens = 4, .context = 8, .max_sequences = 2, .step_rows = 8});
  scheduler.add(1, counting(7));
  scheduler.add(2, counting(6, 50));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 7}})) << "there is no page for the other one";
  EXPECT_FALSE(scheduler.append(1, Token{100}));

  scheduler.grow(8, 64);
  EXPECT_EQ(scheduler.context(), 32u) << "what the pages hold";
  EXPECT_EQ(scheduler.counts().pages_total, 8u);
  EXPECT_TRUE(scheduler.append(1, Token{100}));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 2}, {2, 6}}));
  scheduler.add(3, counting(30, 90));
  scheduler.check_invariants();
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

TEST(Scheduler, ComputesAPrefixOnceForAllThatComeTogether) {
  Scheduler scheduler(options(64, 4, 32));
  for (SequenceId id : {1, 2, 3}) scheduler.add(id, counting(13));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 13}}));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 1}, {2, 1}, {3, 1}})) << "three pages are known by now";
  EXPECT_EQ(scheduler.counts().tokens_cached, 24u);
}

// States of recurrent layers make pages that take several steps.
TEST(Scheduler, ComputesAPageOfSeveralStepsOnceForAllThatComeTogether) {
  SchedulerOptions long_pages = options(16);
  long_pages.page_tokens = 16;
  long_pages.chunk_tokens = 4;
  Scheduler scheduler(long_pages);
  for (SequenceId id : {1, 2}) scheduler.add(id, counting(19));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 8}}));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 8}}));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 3}, {2, 3}}));
  EXPECT_EQ(scheduler.counts().tokens_cached, 16u);
}

TEST(Scheduler, LongPagesHoldUpNobodysNextToken) {
  SchedulerOptions long_pages = options(16, 4, 16);
  long_pages.page_tokens = 16;
  long_pages.chunk_tokens = 4;
  Scheduler scheduler(long_pages);
  scheduler.add(1, counting(1));
  run_step(scheduler);
  scheduler.add(2, counting(16, 50));
  const Step step = scheduler.plan({.limit = 3, .row = 1});
  EXPECT_EQ(parts(step), (Parts{{1, 1}, {2, 4}})) << "a chunk, whatever it costs, and no whole page";
  scheduler.commit(step);
}

TEST(Scheduler, SharesNothingBetweenDifferentSalts) {
  Scheduler scheduler(options(64, 4, 64));
  scheduler.add(1, counting(13), {.salt = 5});
  scheduler.add(2, counting(13), {.salt = 6});
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 13}, {2, 13}}));
  scheduler.add(3, counting(13));
  scheduler.add(4, counting(13), {.salt = 6});
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 1}, {2, 1}, {4, 1}, {3, 13}}));
  EXPECT_EQ(scheduler.counts().tokens_cached, 12u);
}

TEST(Scheduler, TakesSeveralTokensAtOnce) {
  Scheduler scheduler(options(16));
  scheduler.add(1, counting(3));
  scheduler.commit(scheduler.plan());
  EXPECT_EQ(scheduler.append(1, counting(6, 3)), 6u);
  const Step step = run_step(scheduler);
  EXPECT_EQ(step.tokens, counting(6, 3));
  EXPECT_EQ(step.sequences[0].samples, 1u);
  EXPECT_EQ(step.logit_rows, std::vector<uint32_t>{5});
  EXPECT_EQ(scheduler.append(1, counting(100)), 54u) << "as many as the context takes";
  EXPECT_FALSE(scheduler.append(1, 7));
}

TEST(Scheduler, ComputesDraftsWithLogitsAndKeepsWhatIsConfirmed) {
  Scheduler scheduler(options(16));
  scheduler.add(1, counting(3));
  scheduler.commit(scheduler.plan());
  EXPECT_TRUE(scheduler.append(1, 3));
  EXPECT_EQ(scheduler.draft(1, counting(4, 4)), 4u);
  Step step = scheduler.plan();
  EXPECT_EQ(step.tokens, counting(5, 3));
  EXPECT_EQ(step.sequences[0].samples, 5u);
  EXPECT_EQ(step.logit_rows, (std::vector<uint32_t>{0, 1, 2, 3, 4}));
  scheduler.commit(step);
  EXPECT_EQ(scheduler.counts().pages_evictable, 0u);
  EXPECT_EQ(scheduler.append(1, Tokens{4, 5, 90}), 3u) << "two are confirmed, the third is not";
  scheduler.check_invariants();
  step = scheduler.plan();
  EXPECT_EQ(step.tokens, Tokens{90}) << "the confirmed ones are in the cache";
  EXPECT_EQ(step.sequences[0].first_position, 6u);
  EXPECT_EQ(step.sequences[0].samples, 1u);
}

TEST(Scheduler, SharesNoPageWithADraftOnIt) {
  Scheduler scheduler(options(16));
  scheduler.add(1, counting(3));
  scheduler.commit(scheduler.plan());
  EXPECT_TRUE(scheduler.append(1, 3));
  scheduler.draft(1, counting(4, 4));
  scheduler.commit(scheduler.plan());  // two pages are full, the second of drafts
  scheduler.append(1, Tokens{4});
  scheduler.remove(1);
  scheduler.check_invariants();
  EXPECT_EQ(scheduler.counts().pages_evictable, 1u);
  scheduler.add(2, counting(9));
  EXPECT_EQ(scheduler.plan().sequences[0].cached_tokens, 4u);
}

TEST(Scheduler, VerifiesOnlyAsManyDraftsAsTheStepHasLogitsFor) {
  SchedulerOptions few = options(16, 2);
  few.logit_rows = 4;
  Scheduler scheduler(few);
  for (SequenceId id : {1, 2}) scheduler.add(id, counting(3, static_cast<Token>(id * 20)));
  run_step(scheduler);
  for (SequenceId id : {1, 2}) scheduler.draft(id, counting(4));
  const Step step = scheduler.plan();
  EXPECT_EQ(parts(step), (Parts{{1, 3}, {2, 1}}));
  EXPECT_EQ(step.sequences[0].samples, 3u);
  EXPECT_EQ(step.sequences[1].samples, 1u);
  EXPECT_EQ(step.sequences[1].first_sample, 3u);
}

TEST(Scheduler, TruncatesAndGivesPagesBack) {
  Scheduler scheduler(options(16));
  scheduler.add(1, counting(6));
  run_step(scheduler);
  scheduler.append(1, counting(7, 200));
  (void)scheduler.plan();
  EXPECT_EQ(scheduler.counts().pages_unused, 12u);
  scheduler.truncate(1, 5);
  scheduler.check_invariants();
  EXPECT_EQ(scheduler.counts().pages_unused, 14u);
  EXPECT_TRUE(scheduler.append(1, 9));
  EXPECT_EQ(run_step(scheduler).tokens, Tokens{9});
}

TEST(Scheduler, WhoSharesNothingComputesEveryRowAndLeavesNone) {
  Scheduler scheduler(options(16));
  const auto rows_of = [&](SequenceId id, const SequenceOptions& how) {
    scheduler.add(id, counting(8), how);
    const Step step = run_step(scheduler);
    scheduler.remove(id);
    scheduler.check_invariants();
    return step.sequences[0].rows;
  };
  EXPECT_EQ(rows_of(1, {.shares = false}), 8u);
  EXPECT_EQ(rows_of(2, {}), 8u) << "the first left nothing";
  EXPECT_EQ(rows_of(3, {.shares = false}), 8u) << "it takes nothing";
  EXPECT_EQ(rows_of(4, {}), 4u);

  // Nor does another wait for what it computes in the same step.
  scheduler.add(5, counting(4, 50), {.shares = false});
  scheduler.add(6, counting(4, 50));
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{5, 4}, {6, 4}}));
}

TEST(Scheduler, WhoDoesNotSampleHasNoLogits) {
  Scheduler scheduler(options(16));
  scheduler.add(1, counting(8), {.samples = false});
  const Step step = run_step(scheduler);
  EXPECT_EQ(step.sequences[0].rows, 8u);
  EXPECT_EQ(step.sequences[0].samples, 0u);
  EXPECT_TRUE(step.logit_rows.empty());
  scheduler.remove(1);
  EXPECT_TRUE(scheduler.plan().empty());
}

TEST(Scheduler, SharesBehindAMarkOnlyWithWhoeverHasTheSame) {
  Scheduler scheduler(options(64, 8, 64));
  const auto cached = [&](SequenceId id, std::vector<Mark> marks) {
    scheduler.add(id, counting(13), {.marks = std::move(marks)});
    const uint64_t before = scheduler.counts().tokens_cached;
    run_step(scheduler);
    scheduler.remove(id);
    return scheduler.counts().tokens_cached - before;
  };
  EXPECT_EQ(cached(1, {{5, 1}}), 0u);
  EXPECT_EQ(cached(2, {{5, 1}}), 12u);
  EXPECT_EQ(cached(3, {{5, 2}}), 4u) << "the page before";
  EXPECT_EQ(cached(4, {{6, 1}}), 4u) << "at another place";
  EXPECT_EQ(cached(5, {{5, 1}, {9, 7}}), 8u);
  EXPECT_EQ(cached(6, {}), 4u);
  EXPECT_EQ(cached(7, {}), 12u);
  EXPECT_EQ(cached(8, {{0, 1}}), 0u);
}

TEST(Scheduler, CutsNothingWhoseTokensSeeOneAnother) {
  Scheduler scheduler(options(32, 2, 16));
  SequenceOptions with_picture;
  with_picture.marks = {{.position = 6, .key = 1, .together = 11}};
  scheduler.add(1, counting(30), with_picture);
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 6}})) << "it does not fit behind what stands before it";
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 16}})) << "whole, and what follows";
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{1, 8}}));
  scheduler.remove(1);

  // The same picture there is shared as tokens are.
  scheduler.add(2, counting(30), with_picture);
  const Step step = scheduler.plan();
  EXPECT_EQ(step.sequences[0].cached_tokens, 28u);
  scheduler.commit(step);
}

TEST(Scheduler, WhatDoesNotFitBesideOthersWaitsForAStepWhereItDoes) {
  Scheduler scheduler(options(64, 3, 16));
  SequenceOptions with_picture;
  with_picture.marks = {{.position = 0, .key = 1, .together = 14}};
  scheduler.add(1, counting(8, 200));
  run_step(scheduler);
  scheduler.add(2, counting(20, 300));
  scheduler.add(3, counting(20), with_picture);
  uint32_t computed = 0;
  for (int i = 0; i < 10 && computed == 0; ++i)
    for (const auto& [id, rows] : parts(run_step(scheduler)))
      if (id == 3) computed = rows;
  EXPECT_GE(computed, 14u);
}

TEST(Scheduler, RowsOfAGroupAreAdjacent) {
  Scheduler scheduler(options(64, 8, 32));
  const uint32_t groups[] = {2, 0, 1, 2, 0, 1};
  for (SequenceId id = 1; id <= 6; ++id) scheduler.add(id, counting(id, Token(100 * id)), {.group = groups[id - 1]});
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{2, 2}, {5, 5}, {3, 3}, {6, 6}, {1, 1}, {4, 4}}));
  scheduler.add(7, counting(3, 700), {.group = 1});
  EXPECT_EQ(parts(run_step(scheduler)), (Parts{{2, 1}, {5, 1}, {3, 1}, {6, 1}, {7, 3}, {1, 1}, {4, 1}}));
}

TEST(Scheduler, ComputesEachSequenceWholeWhereThereIsNoCache) {
  SchedulerOptions whole = options(0, 4, 16);
  whole.whole = true;
  Scheduler scheduler(whole);
  EXPECT_EQ(scheduler.context(), 16u);
  const uint32_t lengths[] = {10, 5, 16, 1, 9, 6};
  for (SequenceId id = 1; id <= 6; ++id) scheduler.add(id, counting(lengths[id - 1]), {.samples = false});
  std::map<SequenceId, uint32_t> seen;
  for (int steps = 0; !scheduler.empty(); ++steps) {
    ASSERT_LT(steps, 6);
    const Step step = scheduler.plan({.limit = 1, .fixed = 1, .row = 1});
    ASSERT_LE(step.tokens.size(), 16u);
    ASSERT_FALSE(step.empty()) << "whatever it costs";
    scheduler.commit(step);
    scheduler.check_invariants();
    for (const StepSequence& part : step.sequences) {
      EXPECT_EQ(part.rows, lengths[part.id - 1]);
      EXPECT_TRUE(part.pages.empty());
      seen[part.id] += part.rows;
      scheduler.remove(part.id);
    }
  }
  EXPECT_EQ(seen.size(), 6u);
}

}  // namespace
}  // namespace hearth::sched
