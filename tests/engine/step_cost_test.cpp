// The cost of steps is learned from a few of them, and bounds the next ones.
#include "engine/step_cost.h"

#include "support/support.h"

namespace hearth::engine {
namespace {

using std::chrono::nanoseconds;

struct Machine {
  double fixed_ns, row_ns, key_ns;
  nanoseconds takes(uint64_t rows, uint64_t keys) const {
    return nanoseconds(
        static_cast<int64_t>(fixed_ns + row_ns * static_cast<double>(rows) + key_ns * static_cast<double>(keys)));
  }
};

constexpr Machine kMachines[] = {{8e6, 2e4, 0.5}, {4e7, 1.6e7, 300}, {1e5, 1e4, 10}};

TEST(StepCost, LearnsWhatStepsTake) {
  std::mt19937_64 random(test::seed());
  std::normal_distribution<double> noise(1, 0.05);
  for (const Machine& machine : kMachines) {
    StepCost cost;
    for (int i = 0; i < 300; ++i) {
      const uint64_t rows = random() % 3 == 0 ? 1 + random() % 512 : 1 + random() % 8, keys = rows * (random() % 4000);
      const auto took = machine.takes(rows, keys);
      cost.learn(rows, keys, nanoseconds(static_cast<int64_t>(static_cast<double>(took.count()) * noise(random))));
    }
    for (const uint64_t rows : {1, 40, 500})
      for (const uint64_t keys : {rows, rows * 2000}) {
        const double ratio = static_cast<double>(cost.expected(rows, keys).count()) /
                             static_cast<double>(machine.takes(rows, keys).count());
        EXPECT_NEAR(ratio, 1, 0.3) << rows << " rows, " << keys << " keys";
      }
  }
}

// One prompt alone, from the first step on: no step is much longer than its limit, and soon they are as long as that.
TEST(StepCost, StepsStayWithinTheirLimitFromTheStart) {
  for (const Machine& machine : kMachines) {
    StepCost cost;
    sched::Scheduler scheduler(
        {.pages = 4000, .page_tokens = 32, .context = 100000, .max_sequences = 4, .step_rows = 512});
    scheduler.add(1, std::vector<sched::Token>(20000));
    const nanoseconds limit = std::chrono::milliseconds(100);
    nanoseconds longest_late(0);
    for (int i = 0; i < 40; ++i) {
      const sched::Step step = scheduler.plan(cost.budget(limit));
      const nanoseconds took = machine.takes(step.tokens.size(), step.keys);
      if (step.tokens.size() > 32) {
        EXPECT_LE(took, limit * 13 / 10) << "step " << i;
      }
      if (i > 20) longest_late = std::max(longest_late, took);
      EXPECT_TRUE(step.tokens.size() == 512 || i < 20 || took > limit * 4 / 10) << step.tokens.size();
      cost.learn(step.tokens.size(), step.keys, took);
      scheduler.commit(step);
      if (step.sequences[0].samples > 0) break;
    }
  }
}

TEST(StepCost, FollowsAMachineThatBecomesSlowerAndFaster) {
  StepCost cost;
  const auto run = [&](const Machine& machine, int steps) {
    for (int i = 0; i < steps; ++i) {
      const uint64_t rows = i % 4 == 0 ? 200 : 5, keys = rows * 500;
      cost.learn(rows, keys, machine.takes(rows, keys));
    }
    return static_cast<double>(cost.expected(100, 50000).count()) /
           static_cast<double>(machine.takes(100, 50000).count());
  };
  EXPECT_NEAR(run({8e6, 2e4, 0.5}, 200), 1, 0.2);
  EXPECT_NEAR(run({3e7, 8e4, 2}, 100), 1, 0.4);
  EXPECT_NEAR(run({8e6, 2e4, 0.5}, 200), 1, 0.4);
}

TEST(StepCost, OneHiccupChangesLittle) {
  StepCost cost;
  const Machine machine{8e6, 2e4, 0.5};
  for (int i = 0; i < 100; ++i) cost.learn(5, 5000, machine.takes(5, 5000));
  const nanoseconds before = cost.expected(5, 5000);
  cost.learn(5, 5000, std::chrono::seconds(30));
  EXPECT_LT(cost.expected(5, 5000), before * 5);
}

}  // namespace
}  // namespace hearth::engine
