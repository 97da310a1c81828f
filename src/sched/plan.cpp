// The rows of a step, among the sequences that run.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "sched/scheduler.h"

namespace hearth::sched {
namespace {

constexpr uint32_t kShort_chunks = 4;  // a prompt of which so much is left comes before longer ones
constexpr uint32_t kPatience = 4;      // steps; who was passed over so often is next

// That `rows` rows from position `first` on attend to.
uint64_t keys(uint64_t first, uint64_t rows) {
  return rows * first + rows * (rows + 1) / 2;
}

}  // namespace

// What is left of the step while rows are handed out.
struct Scheduler::Plan {
  const Budget& budget;
  uint32_t rows = 0;          // that may still be taken
  uint32_t extra_logits = 0;  // beside one for each sequence
  uint64_t cost = 0, limit = 0;
  uint64_t least_served = 0;  // of the users whose prompts wait
};

// As a rule one row, its last token; more if tokens were known without being sampled.
bool Scheduler::decodes(const Sequence& sequence) const {
  return sequence.remaining() == 1 || (sequence.generates && sequence.remaining() <= options_.chunk_tokens);
}

Step Scheduler::plan(const Budget& budget) {
  grow_running();
  admit();
  Plan plan{.budget = budget,
            .rows = options_.step_rows,
            .extra_logits = options_.logit_rows - static_cast<uint32_t>(running_.size()),
            .cost = budget.fixed,
            .limit = budget.limit};
  for (Sequence* sequence : running_) {
    CHECK(sequence->computed < sequence->certain);  // a sampled sequence was appended to or removed
    sequence->planned = 0;
  }
  plan_decodes(plan);
  plan_prompts(plan);
  std::vector<const Sequence*> order(running_.begin(), running_.end());
  std::ranges::stable_sort(
      order, {}, [&](const Sequence* sequence) { return std::pair(sequence->options.group, !decodes(*sequence)); });
  Step step;
  for (const Sequence* sequence : order) add_rows(step, *sequence);
  return step;
}

// Everyone gets the first row before anyone gets a second.
void Scheduler::plan_decodes(Plan& plan) {
  bool prompts = false;
  for (Sequence* sequence : running_) {
    if (!decodes(*sequence)) {
      prompts = true;
      continue;
    }
    const uint64_t before = plan.cost;
    take_rows(plan, *sequence, 1);
    plan.limit = std::max(plan.limit, 2 * (plan.budget.fixed + plan.cost - before));
  }
  const uint32_t kept = prompts ? std::min(plan.rows, options_.chunk_tokens) : 0;
  for (Sequence* sequence : running_) {
    if (sequence->planned == 0) continue;
    take_rows(plan, *sequence, std::min(plan.rows - kept, most_rows(plan, *sequence) - sequence->planned));
  }
}

void Scheduler::plan_prompts(Plan& plan) {
  std::vector<Sequence*> prompts;
  for (Sequence* sequence : running_) {
    if (sequence->planned > 0) continue;
    tokens_cached_ += adopt_cached(*sequence);
    const uint64_t served = sequence->user->served;
    plan.least_served = prompts.empty() ? served : std::min(plan.least_served, served);
    prompts.push_back(sequence);
  }
  for (uint32_t taken = 0; plan.rows > 0;) {
    Sequence* next = next_prompt(plan, prompts);
    if (next == nullptr) break;
    const uint32_t to_border = options_.chunk_tokens - (next->computed + next->planned) % options_.chunk_tokens;
    const uint32_t most = most_rows(plan, *next) - next->planned;
    const uint32_t wanted = options_.whole ? most : std::min({plan.rows, to_border, most});
    const uint32_t rows = whole_marks(*next, wanted, std::min(plan.rows, most));
    const uint32_t free = options_.whole ? rows : std::max(rows, options_.chunk_tokens);  // whatever they cost
    taken += rows;
    if (taken > free && plan.cost + cost(plan, *next, rows) > plan.limit) break;
    take_rows(plan, *next, rows);
  }
  for (size_t i = 0; i < prompts.size(); ++i) {
    const bool passed_by = std::any_of(prompts.begin() + static_cast<ptrdiff_t>(i), prompts.end(), [&](auto* later) {
      return later->user == prompts[i]->user && later->planned > 0;
    });
    if (prompts[i]->planned > 0 || is_repeated(*prompts[i]))
      prompts[i]->passed = 0;
    else if (passed_by)
      ++prompts[i]->passed;
  }
}

// Whoever comes first; then the user who had the fewest rows; then whoever is first of that user's.
Scheduler::Sequence* Scheduler::next_prompt(const Plan& plan, std::span<Sequence* const> prompts) const {
  Sequence* best = nullptr;
  for (Sequence* prompt : prompts) {
    if (prompt->planned == most_rows(plan, *prompt) || is_repeated(*prompt)) continue;
    if (options_.whole && prompt->remaining() > plan.rows) continue;
    if (whole_marks(*prompt, 1, std::min(plan.rows, most_rows(plan, *prompt) - prompt->planned)) == 0) continue;
    if (best == nullptr) {
      best = prompt;
      continue;
    }
    const Sequence &a = *prompt, &b = *best;
    const bool first_a = comes_first(plan, a), first_b = comes_first(plan, b);
    if (a.options.priority != b.options.priority) break;  // they are in the order of priorities
    if (first_a != first_b ? first_a : a.user->served < b.user->served) best = prompt;
  }
  return best;
}

// Short prompts do, and now and then what they have passed; but not those of a user who is a whole step ahead of
// another.
bool Scheduler::comes_first(const Plan& plan, const Sequence& sequence) const {
  const bool is_short = sequence.remaining() - sequence.planned <= kShort_chunks * options_.chunk_tokens;
  const bool overdue = sequence.passed >= kPatience && sequence.planned == 0;
  return (is_short || overdue) && sequence.user->served <= plan.least_served + options_.step_rows;
}

// Whether what it needs next is computed in this step for another one: it takes that afterwards. Of a page that takes
// several steps whoever is ahead computes it.
bool Scheduler::is_repeated(const Sequence& sequence) const {
  const uint32_t page = sequence.shared->depth(), end = (page + 1) * options_.page_tokens;
  if (!shares(sequence) || sequence.planned > 0 || sequence.computed + options_.page_tokens != end ||
      end >= sequence.certain)
    return false;
  const bool long_pages = options_.chunk_tokens < options_.page_tokens;
  return std::ranges::any_of(running_, [&](const Sequence* other) {
    return other != &sequence && shares(*other) && (other->planned > 0 || long_pages) &&
           other->shared == sequence.shared && other->certain >= end &&
           other->computed + other->planned >= (long_pages ? sequence.computed + 1 : end) &&
           (!long_pages || other->options.priority >= sequence.options.priority) && same_edge(*other, sequence, page);
  });
}

// In this step, with the rows of logits that are left for its drafts.
uint32_t Scheduler::most_rows(const Plan& plan, const Sequence& sequence) const {
  const uint32_t without_drafts = std::max(sequence.certain - sequence.computed, sequence.planned);
  return std::min(sequence.remaining(), without_drafts + plan.extra_logits);
}

// So many of the next rows, or more, up to `most`, that nothing is cut in two whose tokens see one another; or fewer;
// 0: what comes next does not fit.
uint32_t Scheduler::whole_marks(const Sequence& sequence, uint32_t rows, uint32_t most) const {
  const uint32_t start = sequence.computed + sequence.planned;
  for (const Mark& mark : sequence.options.marks) {
    const uint32_t end = mark.position + mark.together;
    if (mark.position >= start + rows || end <= start + rows) continue;
    if (end <= start + most) return end - start;
    return mark.position > start ? mark.position - start : 0;
  }
  return rows;
}

uint64_t Scheduler::cost(const Plan& plan, const Sequence& sequence, uint32_t rows) const {
  return rows * plan.budget.row + keys(sequence.computed + sequence.planned, rows) * plan.budget.key;
}

void Scheduler::take_rows(Plan& plan, Sequence& sequence, uint32_t rows) const {
  const uint32_t certain = sequence.certain - sequence.computed;
  const uint32_t before = std::max(sequence.planned, certain), after = std::max(sequence.planned + rows, certain);
  plan.cost += cost(plan, sequence, rows);
  plan.rows -= rows;
  plan.extra_logits -= after - before;
  sequence.planned += rows;
  sequence.user->served += rows;
}

void Scheduler::add_rows(Step& step, const Sequence& sequence) const {
  const uint32_t rows = sequence.planned;
  if (rows == 0) return;
  StepSequence part;
  part.id = sequence.id;
  part.first_row = static_cast<uint32_t>(step.tokens.size());
  part.rows = rows;
  part.first_position = sequence.computed;
  part.pages = std::span(sequence.pages).first(pages_for(sequence.computed + rows));
  part.cached_tokens = sequence.cached;
  const uint32_t certain = sequence.certain - sequence.computed;
  part.samples = rows < certain || !sequence.options.samples ? 0 : rows - certain + 1;
  part.first_sample = static_cast<uint32_t>(step.logit_rows.size());
  for (uint32_t row = rows - part.samples; row < rows; ++row) step.logit_rows.push_back(part.first_row + row);
  const auto first = sequence.tokens.begin() + sequence.computed;
  step.tokens.insert(step.tokens.end(), first, first + rows);
  step.keys += keys(sequence.computed, rows);
  step.sequences.push_back(part);
}

}  // namespace hearth::sched
