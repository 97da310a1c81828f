// Random traces: arrivals with common prefixes, answers of random length, forced tokens and drafts, cancellations,
// failures, scarce pages, users, priorities, salts and budgets. A shadow cache remembers what was written to which
// page, so that wrong sharing shows.
#include <algorithm>
#include <map>

#include "sched/scheduler.h"
#include "support/support.h"

namespace hearth::sched {
namespace {

using Tokens = std::vector<Token>;

class Trace {
 public:
  Trace(std::mt19937_64& random, const SchedulerOptions& options)
      : random_(random),
        options_(options),
        scheduler_(options),
        cache_(size_t{options.pages} * options.page_tokens, {-1, 0}) {}

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
  uint64_t confirmed() const { return confirmed_; }
  uint64_t contradicted() const { return contradicted_; }

 private:
  struct Alive {
    SequenceOptions options;
    Tokens tokens;
    size_t ends_at = 0;
  };
  using Cell = std::pair<Token, uint64_t>;  // with the salt

  size_t below(size_t bound) { return random_() % bound; }
  // What the model says, of a sequence of so many tokens.
  static Token next(size_t tokens) { return static_cast<Token>(tokens * 7 / 3 % 2); }

  void arrive() {
    const size_t length = 1 + below(scheduler_.context());
    Alive alive;
    const size_t common = below(length + 1);  // two tokens only: prefixes of all kinds are common
    for (size_t i = 0; i < length; ++i) alive.tokens.push_back(i < common ? Token{7} : static_cast<Token>(below(2)));
    alive.ends_at = length + 1 + below(40);
    alive.options = {.user = below(3), .priority = static_cast<int32_t>(below(10) / 9), .salt = below(6) / 4};
    scheduler_.add(++last_id_, alive.tokens, alive.options);
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
    const Budget budget{.limit = below(4) == 0 ? below(100) : ~uint64_t{0}, .fixed = 5, .row = 1, .key = below(2)};
    const Step step = scheduler_.plan(budget);
    if (scheduler_.empty()) return;
    ASSERT_FALSE(step.empty());
    ASSERT_LE(step.tokens.size(), options_.step_rows);
    ASSERT_LE(step.logit_rows.size(), options_.logit_rows);
    if (below(50) == 0) return fail(step);
    check_rows(step);
    for (const StepSequence& part : step.sequences) compute(step, part);
    scheduler_.commit(step);
    tokens_done_ += step.tokens.size();
    for (const StepSequence& part : step.sequences)
      if (part.samples > 0) sample(step, part);
  }

  void fail(const Step& step) {
    for (const StepSequence& part : step.sequences) {
      scheduler_.remove(part.id);
      ASSERT_EQ(alive_.erase(part.id), 1u);
    }
    scheduler_.forget();
    std::fill(cache_.begin(), cache_.end(), Cell(-1, 0));
    tokens_done_ += step.tokens.size();
  }

  void check_rows(const Step& step) {
    uint32_t next_row = 0, next_sample = 0;
    uint64_t keys = 0;
    for (const StepSequence& part : step.sequences) {
      ASSERT_EQ(part.first_row, next_row);
      next_row += part.rows;
      ASSERT_EQ(part.first_sample, next_sample);
      for (uint32_t i = 0; i < part.samples; ++i)
        ASSERT_EQ(step.logit_rows[next_sample++], next_row - part.samples + i);
      for (uint32_t i = 0; i < part.rows; ++i) keys += part.first_position + i + 1;
    }
    ASSERT_EQ(next_row, step.tokens.size());
    ASSERT_EQ(next_sample, step.logit_rows.size());
    ASSERT_EQ(keys, step.keys);
  }

  // Writes the rows to the shadow cache, then reads back all that the last row would attend to.
  void compute(const Step& step, const StepSequence& part) {
    const Alive& alive = alive_.at(part.id);
    for (uint32_t i = 0; i < part.rows; ++i)
      cell(part, part.first_position + i) = {step.tokens[part.first_row + i], alive.options.salt};
    const auto end = std::min<size_t>(part.first_position + part.rows, alive.tokens.size());
    for (uint32_t i = 0; i < end; ++i)
      ASSERT_EQ(cell(part, i), Cell(alive.tokens[i], alive.options.salt)) << "position " << i << " of " << part.id;
    ASSERT_EQ(part.samples > 0, end == alive.tokens.size());
  }

  Cell& cell(const StepSequence& part, uint32_t position) {
    const Page page = part.pages[position / options_.page_tokens];
    return cache_[static_cast<size_t>(page) * options_.page_tokens + position % options_.page_tokens];
  }

  // As an engine does: a token of every row of logits, for as long as the drafts were right.
  void sample(const Step& step, const StepSequence& part) {
    Alive& alive = alive_.at(part.id);
    Tokens sampled;
    for (uint32_t i = 0; i < part.samples; ++i) {
      const uint32_t row = step.logit_rows[part.first_sample + i];
      sampled.push_back(next(alive.tokens.size() + sampled.size()));
      if (i + 1 == part.samples) break;
      const bool right = step.tokens[row + 1] == sampled.back();
      ++(right ? confirmed_ : contradicted_);
      if (!right) break;
    }
    while (below(10) == 0) sampled.push_back(static_cast<Token>(below(2)));  // known without being sampled
    const uint32_t taken = scheduler_.append(part.id, sampled);
    alive.tokens.insert(alive.tokens.end(), sampled.begin(), sampled.begin() + taken);
    if (taken < sampled.size() || alive.tokens.size() >= alive.ends_at) {
      scheduler_.remove(part.id);
      alive_.erase(part.id);
      return;
    }
    if (below(8) == 0) scheduler_.truncate(part.id, static_cast<uint32_t>(alive.tokens.size()));  // drops drafts
    if (below(3) == 0) draft(part.id, alive);
  }

  void draft(SequenceId id, const Alive& alive) {
    Tokens drafts;
    for (size_t i = 0, count = below(6); i < count; ++i)
      drafts.push_back(below(3) == 0 ? 1 : next(alive.tokens.size() + i));
    scheduler_.draft(id, drafts);
  }

  std::mt19937_64& random_;
  SchedulerOptions options_;
  Scheduler scheduler_;
  std::vector<Cell> cache_;
  std::map<SequenceId, Alive> alive_;
  SequenceId last_id_ = 0;
  uint64_t tokens_done_ = 0, confirmed_ = 0, contradicted_ = 0;
};

TEST(Scheduler, RandomTracesLeakNothingShareRightlyAndAlwaysAdvance) {
  std::mt19937_64 random(test::seed());
  uint64_t preemptions = 0, tokens_cached = 0, confirmed = 0, contradicted = 0;
  for (int i = 0; i < 300 && !testing::Test::HasFailure(); ++i) {
    SchedulerOptions options;
    options.page_tokens = 1 + static_cast<uint32_t>(random() % 5);
    options.pages = 1 + static_cast<uint32_t>(random() % 24);
    options.context = 1 + static_cast<uint32_t>(random() % 60);
    options.max_sequences = 1 + static_cast<uint32_t>(random() % 6);
    options.step_rows = options.max_sequences + static_cast<uint32_t>(random() % 12);
    options.logit_rows = options.max_sequences + static_cast<uint32_t>(random() % 6);
    Trace trace(random, options);
    trace.run(40);
    preemptions += trace.counts().preemptions;
    tokens_cached += trace.counts().tokens_cached;
    confirmed += trace.confirmed();
    contradicted += trace.contradicted();
  }
  EXPECT_GT(preemptions, 100u) << "the traces no longer try this";
  EXPECT_GT(tokens_cached, 1000u) << "the traces no longer try this";
  EXPECT_GT(confirmed, 1000u) << "the traces no longer try this";
  EXPECT_GT(contradicted, 1000u) << "the traces no longer try this";
}

}  // namespace
}  // namespace hearth::sched
