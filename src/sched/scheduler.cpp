#include "sched/scheduler.h"

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"

namespace hearth::sched {

Scheduler::Scheduler(const SchedulerOptions& options) : options_(options), pool_(options.pages), tree_(pool_) {
  CHECK(options.pages > 0 && options.page_tokens > 0 && options.context > 0);
  CHECK(options.max_sequences > 0 && options.step_rows >= options.max_sequences);
  const uint64_t cache_tokens = uint64_t{options.pages} * options.page_tokens;
  options_.context = static_cast<uint32_t>(std::min<uint64_t>(options.context, cache_tokens));
}

Scheduler::~Scheduler() {
  for (Sequence& sequence : sequences_) release(sequence);
}

void Scheduler::add(SequenceId id, std::vector<Token> tokens) {
  CHECK(!tokens.empty() && tokens.size() <= context());
  CHECK(sequences_.empty() || sequences_.back().id < id);
  Sequence sequence;
  sequence.id = id;
  sequence.tokens = std::move(tokens);
  sequence.shared = tree_.root();
  sequences_.push_back(std::move(sequence));
}

bool Scheduler::append(SequenceId id, Token token) {
  Sequence& sequence = find(id);
  CHECK(sequence.remaining() == 0);
  if (sequence.size() == context()) return false;
  sequence.tokens.push_back(token);
  return true;
}

void Scheduler::remove(SequenceId id) {
  const auto entry = sequences_.begin() + (&find(id) - sequences_.data());
  if (static_cast<size_t>(entry - sequences_.begin()) < running_) --running_;
  release(*entry);
  sequences_.erase(entry);
}

Step Scheduler::plan() {
  grow_running();
  admit();

  Step step;
  const std::span<Sequence> running(sequences_.data(), running_);
  for (const Sequence& sequence : running) {
    CHECK(sequence.remaining() > 0);  // a sampled sequence was appended to or removed
    if (sequence.remaining() == 1) add_rows(step, sequence, 1);
  }
  for (Sequence& sequence : running) {
    if (sequence.remaining() == 1) continue;
    tokens_cached_ += adopt_cached(sequence);
    const uint32_t room = options_.step_rows - static_cast<uint32_t>(step.tokens.size());
    add_rows(step, sequence, std::min(room, sequence.remaining()));
  }
  return step;
}

void Scheduler::commit(const Step& step) {
  for (const StepSequence& part : step.sequences) {
    Sequence& sequence = find(part.id);
    CHECK(sequence.computed == part.first_position);
    sequence.computed += part.rows;
    for (uint32_t i = sequence.shared->depth(); i < sequence.computed / options_.page_tokens; ++i) {
      sequence.shared = tree_.insert(sequence.shared, page_of_tokens(sequence, i), sequence.pages[i]);
      sequence.pages[i] = sequence.shared->page();
    }
  }
}

void Scheduler::forget() {
  for (Sequence& sequence : sequences_) release(sequence);
  running_ = 0;
  while (tree_.evict()) {
  }
}

Counts Scheduler::counts() const {
  Counts counts;
  counts.running = static_cast<uint32_t>(running_);
  counts.waiting = static_cast<uint32_t>(sequences_.size() - running_);
  counts.pages_total = pool_.total();
  counts.pages_unused = pool_.unused();
  counts.pages_evictable = tree_.evictable();
  counts.preemptions = preemptions_;
  counts.tokens_cached = tokens_cached_;
  return counts;
}

Scheduler::Sequence& Scheduler::find(SequenceId id) {
  const auto entry = std::lower_bound(sequences_.begin(), sequences_.end(), id,
                                      [](const Sequence& sequence, SequenceId wanted) { return sequence.id < wanted; });
  CHECK(entry != sequences_.end() && entry->id == id);
  return *entry;
}

uint32_t Scheduler::pages_for(uint32_t tokens) const {
  return static_cast<uint32_t>(divide_up(tokens, options_.page_tokens));
}

std::span<const Token> Scheduler::page_of_tokens(const Sequence& sequence, uint32_t index) const {
  return std::span(sequence.tokens).subspan(size_t{index} * options_.page_tokens, options_.page_tokens);
}

Page Scheduler::take_page() {
  if (pool_.unused() == 0) CHECK(tree_.evict());
  return pool_.take();
}

// Only a decoding sequence can lack a page: admission gave every sequence the pages of its tokens.
void Scheduler::grow_running() {
  for (size_t i = 0; i < running_; ++i) {
    const uint32_t wanted = pages_for(sequences_[i].size());
    while (i < running_ && sequences_[i].pages.size() < wanted) {
      if (available() > 0) {
        sequences_[i].pages.push_back(take_page());
      } else {
        preempt_youngest();
      }
    }
  }
}

void Scheduler::preempt_youngest() {
  CHECK(running_ > 1);  // one alone always fits
  release(sequences_[--running_]);
  ++preemptions_;
}

void Scheduler::admit() {
  while (running_ < sequences_.size() && running_ < options_.max_sequences) {
    if (!try_admit(sequences_[running_])) break;
    tokens_cached_ += sequences_[running_++].cached;
  }
}

// Holds what is cached before it counts what is available, since that would be counted as evictable.
bool Scheduler::try_admit(Sequence& sequence) {
  adopt_cached(sequence);
  const uint32_t wanted = pages_for(sequence.size());
  const uint32_t needed = wanted - static_cast<uint32_t>(sequence.pages.size());
  if (available() < needed + running_) {
    release(sequence);
    return false;
  }
  while (sequence.pages.size() < wanted) sequence.pages.push_back(take_page());
  return true;
}

// Takes full pages from the tree for as long as they follow; the last token is always left, since its
// logits are wanted. Also looks again when the sequence runs: an older one may have computed them since.
// Returns how many tokens that were.
uint32_t Scheduler::adopt_cached(Sequence& sequence) {
  const uint32_t before = sequence.cached;
  const uint32_t page_tokens = options_.page_tokens;
  while (sequence.computed % page_tokens == 0 && sequence.remaining() > page_tokens) {
    const uint32_t index = sequence.computed / page_tokens;
    PrefixTree::Node* node = tree_.descend(sequence.shared, page_of_tokens(sequence, index));
    if (node == nullptr) break;
    if (index < sequence.pages.size()) {
      pool_.give_back(sequence.pages[index]);
      sequence.pages[index] = node->page();
    } else {
      sequence.pages.push_back(node->page());
    }
    sequence.shared = node;
    sequence.computed += page_tokens;
    sequence.cached += page_tokens;
  }
  return sequence.cached - before;
}

void Scheduler::release(Sequence& sequence) {
  for (size_t i = sequence.shared->depth(); i < sequence.pages.size(); ++i) pool_.give_back(sequence.pages[i]);
  tree_.release(sequence.shared);
  if (!sequence.trusted) tree_.forget(sequence.shared);
  sequence.pages.clear();
  sequence.shared = tree_.root();
  sequence.computed = 0;
  sequence.cached = 0;
}

void Scheduler::add_rows(Step& step, const Sequence& sequence, uint32_t rows) const {
  if (rows == 0) return;
  StepSequence part;
  part.id = sequence.id;
  part.first_row = static_cast<uint32_t>(step.tokens.size());
  part.rows = rows;
  part.first_position = sequence.computed;
  part.pages = std::span(sequence.pages).first(pages_for(sequence.computed + rows));
  part.sample = rows == sequence.remaining();
  part.cached_tokens = sequence.cached;
  const auto first = sequence.tokens.begin() + sequence.computed;
  step.tokens.insert(step.tokens.end(), first, first + rows);
  if (part.sample) step.logit_rows.push_back(part.first_row + rows - 1);
  step.sequences.push_back(part);
}

void Scheduler::check_invariants() const {
  std::vector<uint32_t> owners(pool_.total(), 0);
  std::map<const PrefixTree::Node*, uint32_t> holders;
  for (size_t i = 0; i < sequences_.size(); ++i) {
    const Sequence& sequence = sequences_[i];
    CHECK(i < running_ || sequence.pages.empty());
    CHECK(sequence.computed <= sequence.pages.size() * size_t{options_.page_tokens});
    CHECK(sequence.shared->depth() == sequence.computed / options_.page_tokens);
    for (size_t page = sequence.shared->depth(); page < sequence.pages.size(); ++page) {
      ++owners[static_cast<size_t>(sequence.pages[page])];
    }
    for (const auto* node = sequence.shared; node->parent() != nullptr; node = node->parent()) {
      ++holders[node];
      CHECK(sequence.pages[node->depth() - 1] == node->page());
    }
  }
  uint32_t idle = 0;
  for (const auto* node : tree_.nodes()) {
    ++owners[static_cast<size_t>(node->page())];
    CHECK(node->holders() == holders[node]);
    idle += node->holders() == 0;
  }
  CHECK(idle == tree_.evictable());
  CHECK(std::all_of(owners.begin(), owners.end(), [](uint32_t count) { return count <= 1; }));
  CHECK(static_cast<size_t>(std::count(owners.begin(), owners.end(), 0u)) == pool_.unused());
}

}  // namespace hearth::sched
