#include "batch/queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "batch/schema.h"
#include "support/support.h"

namespace hearth::batch {
namespace {

using Kind = Outcome::Kind;

// Two steps on two models, the second of which needs the first.
const std::vector<StepPlan> kPair = {{"first", "a", {}, 0, 1}, {"second", "b", {0}, 0, 1}};

class QueueTest : public ::testing::Test {
 protected:
  std::unique_ptr<Queue> open() {
    auto sql = open_sqlite(folder_ / "batch.db");
    EXPECT_TRUE(sql) << sql.error().message;
    return std::make_unique<Queue>(std::move(sql).value(), [this] { return now_ms_; });
  }
  int64_t submit(Queue& queue, int64_t items, std::span<const StepPlan> plan = kPair, const std::string& owner = "ann",
                 const std::string& key = "job") {
    JobInfo job{.key = key, .owner = owner, .name = key, .spec = "{}", .info = "{}"};
    const auto begun = queue.begin_job(job);
    EXPECT_TRUE(begun) << begun.error().message;
    std::vector<NewItem> list;
    for (int64_t i = 0; i < items; ++i) list.push_back({"item" + std::to_string(i), "{}"});
    EXPECT_TRUE(queue.add_items(begun->job, list, plan));
    EXPECT_TRUE(queue.release_job(begun->job));
    return begun->job;
  }
  static Turn turn(Queue& queue, std::vector<Outcome> outcomes, std::vector<Wanted> wanted,
                   const std::string& worker = "w") {
    const auto done = queue.turn(worker, outcomes, wanted);
    EXPECT_TRUE(done) << done.error().message;
    return done ? *done : Turn();
  }
  static Outcome done(const Claimed& step, const std::string& output = "{}") {
    return {.kind = Kind::kDone, .id = step.id, .fence = step.fence, .output = output};
  }

  test::TemporaryFolder folder_;
  int64_t now_ms_ = 1'000'000;
};

TEST_F(QueueTest, ALateResultOfAForgottenJobIsForNoOther) {
  const auto queue = open();
  const int64_t job = submit(*queue, 1);
  ASSERT_TRUE(queue->beat("w", "n"));
  const Turn taken = turn(*queue, {}, {{"a", "ann", 1}});
  ASSERT_EQ(taken.claimed.size(), 1u);
  ASSERT_TRUE(queue->forget_job(job));
  EXPECT_NE(submit(*queue, 1, kPair, "ann", "another"), job);
  ASSERT_EQ(turn(*queue, {}, {{"a", "ann", 1}}).claimed.size(), 1u);
  const Turn late = turn(*queue, {done(taken.claimed[0])}, {});
  EXPECT_EQ(late.finished, 0);
  EXPECT_EQ(late.refused, 1);
}

TEST_F(QueueTest, StepsBecomeReadyAsWhatTheyNeedIsDone) {
  const auto queue = open();
  const int64_t job = submit(*queue, 2);
  const auto ready = queue->ready();
  ASSERT_TRUE(ready);
  ASSERT_EQ(ready->size(), 1u);
  EXPECT_EQ(ready->front().model, "a");
  EXPECT_EQ(ready->front().count, 2);
  ASSERT_TRUE(queue->beat("w", "n"));
  const Turn first = turn(*queue, {}, {{"a", "ann", 5}});
  ASSERT_EQ(first.claimed.size(), 2u);
  EXPECT_EQ(first.claimed[0].item_key, "item0");
  const Turn second = turn(*queue, {done(first.claimed[0], "{\"text\":\"x\"}")}, {{"b", "ann", 5}});
  ASSERT_EQ(second.claimed.size(), 1u);
  EXPECT_EQ(second.claimed[0].needs.at("first"), "{\"text\":\"x\"}");
  const Turn third = turn(*queue, {done(second.claimed[0]), done(first.claimed[1])}, {{"b", "ann", 5}});
  EXPECT_TRUE(third.ended.empty());
  const Turn last = turn(*queue, {done(third.claimed.at(0))}, {});
  EXPECT_EQ(last.ended, std::vector<int64_t>{job});
  EXPECT_EQ(queue->job(job)->state, "done");
}

TEST_F(QueueTest, AStaleWorkersResultIsRefused) {
  const auto queue = open();
  const int64_t job = submit(*queue, 1);
  ASSERT_TRUE(queue->beat("old", "n"));
  const Claimed stale = turn(*queue, {}, {{"a", "ann", 1}}, "old").claimed.at(0);
  now_ms_ += kLease_ms + 1;
  ASSERT_TRUE(queue->reap("new"));
  EXPECT_EQ(turn(*queue, {done(stale)}, {}, "old").refused, 1);  // free, and not its own any more
  ASSERT_TRUE(queue->beat("new", "n"));
  const Claimed step = turn(*queue, {}, {{"a", "ann", 1, true}}, "new").claimed.at(0);
  EXPECT_EQ(step.deaths, 1);
  EXPECT_EQ(turn(*queue, {done(stale, "stale")}, {}, "old").refused, 1);
  EXPECT_EQ(turn(*queue, {done(step, "fresh")}, {}, "new").finished, 1);
  EXPECT_EQ(turn(*queue, {done(step, "twice")}, {}, "new").refused, 1);
  std::string output;
  ASSERT_TRUE(queue->results(job, 0, 1, [&](const StepResult& one) {
    if (one.name == "first") output = one.output;
  }));
  EXPECT_EQ(output, "fresh");
}

TEST_F(QueueTest, WhatWorkersDieOfRunsAloneAndFailsAsPoison) {
  const auto queue = open();
  const int64_t job = submit(*queue, 2);
  for (int death = 1; death <= kMost_deaths; ++death) {
    const std::string worker = "w" + std::to_string(death);
    ASSERT_TRUE(queue->beat(worker, "n"));
    const auto claimed = turn(*queue, {}, {{"a", "ann", death == 1 ? 2 : 1, death > 1}}, worker).claimed;
    ASSERT_EQ(claimed.size(), death == 1 ? 2u : 1u);
    EXPECT_EQ(claimed[0].item, 0);
    ASSERT_TRUE(queue->end_workers_of("n"));
    ASSERT_TRUE(queue->reap(""));
  }
  EXPECT_TRUE(turn(*queue, {}, {{"a", "ann", 5}}, "w9").claimed.empty()) << "the other one is a suspect too";
  const auto counts = queue->counts(job);
  EXPECT_EQ(counts->of("failed"), 2) << "it, and the step that needs it";
  EXPECT_EQ(counts->of("ready"), 1);
}

TEST_F(QueueTest, JumpsOfTheClockHoldNothingUp) {
  const auto queue = open();
  submit(*queue, 1);
  ASSERT_TRUE(queue->beat("w", "n"));
  const Claimed step = turn(*queue, {}, {{"a", "ann", 1}}).claimed.at(0);
  turn(*queue, {{.kind = Kind::kAgain, .id = step.id, .fence = step.fence, .wait_ms = 1000}}, {});
  EXPECT_TRUE(turn(*queue, {}, {{"a", "ann", 1}}).claimed.empty()) << "it waits";
  now_ms_ -= 86'400'000;  // the clock is set back by a day
  ASSERT_TRUE(queue->reap("w"));
  const auto again = turn(*queue, {}, {{"a", "ann", 1}}).claimed;
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].attempt, 2);
  ASSERT_TRUE(queue->beat("w", "n"));
  now_ms_ += 2 * 86'400'000LL;  // and forward: the worker that does this reaps not itself
  ASSERT_TRUE(queue->reap("w"));
  EXPECT_EQ(turn(*queue, {done(again[0])}, {}).finished, 1);
}

TEST_F(QueueTest, AFailureTakesWhatNeedsItAlongAndCanBeRetried) {
  const auto queue = open();
  const int64_t job = submit(*queue, 2);
  ASSERT_TRUE(queue->beat("w", "n"));
  const auto claimed = turn(*queue, {}, {{"a", "ann", 2}}).claimed;
  const Turn bad =
      turn(*queue,
           {{.kind = Kind::kFailed, .id = claimed[0].id, .fence = claimed[0].fence, .error = "no"}, done(claimed[1])},
           {{"b", "ann", 2}});
  ASSERT_EQ(bad.claimed.size(), 1u);
  EXPECT_EQ(turn(*queue, {done(bad.claimed[0])}, {}).ended.size(), 1u) << "the job goes on past one bad row";
  EXPECT_EQ(queue->counts(job)->of("failed"), 2);
  EXPECT_EQ(*queue->retry_failed(job), 2);
  EXPECT_EQ(queue->job(job)->state, "running");
  const auto again = turn(*queue, {}, {{"a", "ann", 2}}).claimed;
  ASSERT_EQ(again.size(), 1u);
  const auto after = turn(*queue, {done(again[0])}, {{"b", "ann", 2}}).claimed;
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(turn(*queue, {done(after[0])}, {}).ended.size(), 1u);
}

TEST_F(QueueTest, PausedAndCancelledJobsGiveNoWork) {
  const auto queue = open();
  const int64_t job = submit(*queue, 3);
  ASSERT_TRUE(queue->beat("w", "n"));
  const auto claimed = turn(*queue, {}, {{"a", "ann", 1}}).claimed;
  ASSERT_TRUE(queue->pause(job));
  EXPECT_TRUE(turn(*queue, {done(claimed[0])}, {{"a", "ann", 5}, {"b", "ann", 5}}).claimed.empty());
  ASSERT_TRUE(queue->resume(job));
  const auto rest = turn(*queue, {}, {{"a", "ann", 5}, {"b", "ann", 5}}).claimed;
  EXPECT_EQ(rest.size(), 3u);
  ASSERT_TRUE(queue->cancel(job));
  EXPECT_TRUE(queue->held("w")->empty());
  EXPECT_EQ(turn(*queue, {done(rest[0])}, {{"a", "ann", 5}}).refused, 1);
  EXPECT_EQ(queue->counts(job)->of("done"), 1) << "what is done stays";
}

TEST_F(QueueTest, AnotherOwnersJobIsNotThereAndAKeyAttaches) {
  const auto queue = open();
  submit(*queue, 1);
  EXPECT_FALSE(queue->find_job("bob", "job"));
  const auto again = queue->begin_job({.key = "job", .owner = "ann", .name = "job", .spec = "{}"});
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->existed);
  const auto other = queue->begin_job({.key = "job", .owner = "ann", .name = "job", .spec = "{1}"});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kUsage);
}

TEST_F(QueueTest, AHalfSubmittedJobIsBegunAgain) {
  {
    const auto queue = open();
    const auto begun = queue->begin_job({.key = "job", .owner = "ann", .name = "job", .spec = "{}"});
    const NewItem item{"x", "{}"};
    ASSERT_TRUE(queue->add_items(begun->job, {&item, 1}, kPair));
  }
  const auto queue = open();
  EXPECT_TRUE(queue->ready()->empty()) << "it does not run before all of it is there";
  const int64_t job = submit(*queue, 2);
  EXPECT_EQ(queue->counts(job)->total(), 4);
}

// A disk without room: the turn fails as a whole, and can be done again once there is some.
TEST_F(QueueTest, AFullDiskLosesNothing) {
  const auto queue = open();
  const int64_t job = submit(*queue, 1, std::vector<StepPlan>{{"only", "a", {}, 0, 1}});
  ASSERT_TRUE(queue->beat("w", "n"));
  const Claimed step = turn(*queue, {}, {{"a", "ann", 1}}).claimed.at(0);
  ASSERT_TRUE(queue->run("PRAGMA max_page_count = 1", {}));
  const std::string large(1 << 20, 'x');
  const std::vector<Outcome> outcomes = {done(step, large)};
  const auto full = queue->turn("w", outcomes, {});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::kNoSpace);
  EXPECT_EQ(queue->counts(job)->of("leased"), 1);
  ASSERT_TRUE(queue->run("PRAGMA max_page_count = 1000000", {}));
  EXPECT_EQ(turn(*queue, outcomes, {}).finished, 1);
}

TEST_F(QueueTest, TakesAndFinishesHundredsOfStepsASecond) {
  const auto queue = open();
  const int64_t items = 1000;
  submit(*queue, items);
  ASSERT_TRUE(queue->beat("w", "n"));
  const auto begun = std::chrono::steady_clock::now();
  std::vector<Outcome> outcomes;
  int64_t finished = 0;
  while (true) {
    const Turn step = turn(*queue, outcomes, {{"a", "ann", 4}, {"b", "ann", 4}});
    finished += step.finished;
    outcomes.clear();
    for (const Claimed& one : step.claimed) outcomes.push_back(done(one));
    if (step.claimed.empty()) break;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  EXPECT_EQ(finished, 2 * items);
  EXPECT_GE(static_cast<double>(finished) / seconds, 200) << seconds << " s";
  RecordProperty("steps_per_second", static_cast<int>(static_cast<double>(finished) / seconds));
}

}  // namespace
}  // namespace hearth::batch
