#include "sched/scheduler.h"

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"

namespace hearth::sched {
namespace {

// How many that do not fit admission looks past, since each look costs a walk through the tree; and how many may be
// admitted before one that does not fit, until the next pages are for it.
constexpr size_t kMost_refused = 8;
constexpr uint32_t kMost_passed = 16;
constexpr size_t kMost_users = 4096;  // that are known although they have no sequences

// Another number for every mark and everything before it (the finaliser of MurmurHash3; Appleby, public domain).
uint64_t mixed(uint64_t salt, const Mark& mark) {
  uint64_t bits = (salt ^ mark.key) * 0x9e3779b97f4a7c15 + mark.position + 1;
  for (const uint64_t factor : {0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53}) bits = (bits ^ bits >> 33) * factor;
  return bits ^ bits >> 33;
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options) : options_(options), pool_(options.pages), tree_(pool_) {
  CHECK((options.pages > 0 || options.whole) && options.page_tokens > 0 && options.context > 0);
  CHECK(options.max_sequences > 0 && options.step_rows >= options.max_sequences);
  if (options_.chunk_tokens == 0) options_.chunk_tokens = options.page_tokens;
  CHECK(options.page_tokens % options_.chunk_tokens == 0);
  if (options_.logit_rows == 0) options_.logit_rows = options_.step_rows;
  CHECK(options_.logit_rows >= options.max_sequences);
  limit_context(options.context);
}

// To what the cache holds.
void Scheduler::limit_context(uint32_t wanted) {
  const uint64_t cache_tokens = options_.whole ? options_.step_rows : uint64_t{options_.pages} * options_.page_tokens;
  options_.context = static_cast<uint32_t>(std::min<uint64_t>(wanted, cache_tokens));
}

void Scheduler::grow(uint32_t pages, uint32_t context) {
  CHECK(!options_.whole && pages >= options_.pages && context >= options_.context);
  pool_.grow(pages);
  options_.pages = pages;
  limit_context(context);
}

Scheduler::~Scheduler() {
  for (auto& [id, sequence] : sequences_) release(sequence);
}

bool Scheduler::Before::operator()(const Sequence* a, const Sequence* b) const {
  if (a->options.priority != b->options.priority) return a->options.priority > b->options.priority;
  if (a->options.deadline != b->options.deadline) return a->options.deadline < b->options.deadline;
  return a->id < b->id;
}

void Scheduler::add(SequenceId id, std::vector<Token> tokens, const SequenceOptions& options) {
  CHECK(!tokens.empty() && tokens.size() <= context());
  CHECK(!options_.whole || !options.samples);
  CHECK(sequences_.empty() || sequences_.rbegin()->first < id);
  Sequence& sequence = sequences_[id];
  sequence.id = id;
  sequence.options = options;
  sequence.user = &user_of(options.user);
  sequence.certain = static_cast<uint32_t>(tokens.size());
  sequence.tokens = std::move(tokens);
  sequence.shared = tree_.root();
  ++sequence.user->sequences;
  sequence.user->waiting.insert(&sequence);
}

// One who comes anew has no claim to what the others had meanwhile. Who had more than others is known for a while, so
// that it is no use to come anew for each prompt.
Scheduler::User& Scheduler::user_of(UserId id) {
  uint64_t least = std::numeric_limits<uint64_t>::max();
  for (const auto& [other, user] : users_)
    if (user.sequences > 0) least = std::min(least, user.served);
  const bool many = users_.size() > kMost_users;
  std::erase_if(
      users_, [&](const auto& entry) { return entry.second.sequences == 0 && (entry.second.served <= least || many); });
  const auto [entry, added] = users_.try_emplace(id);
  if (added && users_.size() > 1) entry->second.served = least;
  return entry->second;
}

uint32_t Scheduler::append(SequenceId id, std::span<const Token> tokens) {
  Sequence& sequence = find(id);
  sequence.generates = true;
  uint32_t taken = 0;
  for (; taken < tokens.size(); ++taken) {
    if (sequence.certain < sequence.size() && sequence.tokens[sequence.certain] != tokens[taken])
      truncate(id, sequence.certain);
    if (sequence.certain == sequence.size()) {
      if (sequence.size() == context()) break;
      sequence.tokens.push_back(tokens[taken]);
    }
    ++sequence.certain;
  }
  share(sequence);
  return taken;
}

uint32_t Scheduler::draft(SequenceId id, std::span<const Token> tokens) {
  Sequence& sequence = find(id);
  const size_t count = std::min<size_t>(tokens.size(), context() - sequence.size());
  sequence.tokens.insert(sequence.tokens.end(), tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(count));
  return static_cast<uint32_t>(count);
}

void Scheduler::truncate(SequenceId id, uint32_t count) {
  Sequence& sequence = find(id);
  CHECK(count > 0 && count <= sequence.size() && count >= sequence.shared->depth() * options_.page_tokens);
  sequence.tokens.resize(count);
  sequence.certain = std::min(sequence.certain, count);
  sequence.computed = std::min(sequence.computed, count);
  for (; sequence.pages.size() > pages_for(count); sequence.pages.pop_back()) pool_.give_back(sequence.pages.back());
}

void Scheduler::remove(SequenceId id) {
  Sequence& sequence = find(id);
  User& user = *sequence.user;
  if (user.waiting.erase(&sequence) == 0) std::erase(running_, &sequence);
  release(sequence);
  --user.sequences;
  sequences_.erase(id);
}

void Scheduler::commit(const Step& step) {
  for (const StepSequence& part : step.sequences) {
    Sequence& sequence = find(part.id);
    CHECK(sequence.computed == part.first_position);
    sequence.computed += part.rows;
    share(sequence);
  }
}

void Scheduler::forget() {
  for (Sequence* sequence : running_) {
    release(*sequence);
    sequence->user->waiting.insert(sequence);
  }
  running_.clear();
  while (tree_.evict()) {
  }
}

Counts Scheduler::counts() const {
  Counts counts;
  counts.running = static_cast<uint32_t>(running_.size());
  counts.waiting = static_cast<uint32_t>(sequences_.size() - running_.size());
  counts.pages_total = pool_.total();
  counts.pages_unused = pool_.unused();
  counts.pages_evictable = tree_.evictable();
  counts.preemptions = preemptions_;
  counts.tokens_cached = tokens_cached_;
  return counts;
}

Scheduler::Sequence& Scheduler::find(SequenceId id) {
  const auto entry = sequences_.find(id);
  CHECK(entry != sequences_.end());
  return entry->second;
}

uint32_t Scheduler::pages_for(uint32_t tokens) const {
  if (options_.whole) return 0;
  return static_cast<uint32_t>(divide_up(tokens, options_.page_tokens));
}

PrefixTree::Edge Scheduler::edge(const Sequence& sequence, uint32_t page) const {
  const size_t width = options_.page_tokens;
  uint64_t salt = sequence.options.salt;
  for (const Mark& mark : sequence.options.marks)
    if (mark.position < (page + 1) * width) salt = mixed(salt, mark);
  return {std::span(sequence.tokens).subspan(page * width, width), salt};
}

bool Scheduler::same_edge(const Sequence& a, const Sequence& b, uint32_t page) const {
  const PrefixTree::Edge one = edge(a, page), other = edge(b, page);
  return one.salt == other.salt && std::ranges::equal(one.tokens, other.tokens);
}

Page Scheduler::take_page() {
  if (pool_.unused() == 0) CHECK(tree_.evict());
  return pool_.take();
}

// Only a generating sequence can lack pages: admission gave every sequence the pages of its tokens.
void Scheduler::grow_running() {
  for (size_t i = 0; i < running_.size(); ++i) {
    const Sequence* const growing = running_[i];
    const uint32_t wanted = pages_for(growing->size());
    while (i < running_.size() && growing->pages.size() < wanted) {
      if (available() > 0)
        running_[i]->pages.push_back(take_page());
      else
        preempt_last();
    }
  }
}

void Scheduler::preempt_last() {
  CHECK(running_.size() > 1);  // one alone always fits
  Sequence& last = *running_.back();
  running_.pop_back();
  release(last);
  last.user->waiting.insert(&last);
  ++preemptions_;
}

void Scheduler::admit() {
  for (auto& [id, user] : users_) user.outstanding = 0;
  for (const Sequence* sequence : running_) sequence->user->outstanding += sequence->remaining();
  std::vector<Sequence*> refused;
  while (running_.size() < options_.max_sequences && refused.size() < kMost_refused) {
    Sequence* next = next_to_admit(refused);
    if (next == nullptr) return;
    if (!try_admit(*next)) {
      if (next->passed >= kMost_passed) return;
      refused.push_back(next);
      continue;
    }
    for (Sequence* other : refused) ++other->passed;
    next->passed = 0;
    next->user->waiting.erase(next);
    next->user->outstanding += next->remaining();
    running_.insert(std::ranges::upper_bound(running_, next, Before()), next);
    tokens_cached_ += next->cached;
  }
}

// Of every user the first; of those the one who has had least and is about to get least. Answers that have begun go
// before those that have not.
Scheduler::Sequence* Scheduler::next_to_admit(const std::vector<Sequence*>& refused) const {
  Sequence* best = nullptr;
  const auto before = [](const Sequence& a, const Sequence& b) {
    if (a.options.priority != b.options.priority) return a.options.priority > b.options.priority;
    if (a.generates != b.generates) return a.generates;
    const uint64_t had_a = a.user->served + a.user->outstanding, had_b = b.user->served + b.user->outstanding;
    return had_a != had_b ? had_a < had_b : Before()(&a, &b);
  };
  for (const auto& [id, user] : users_) {
    const auto first = std::ranges::find_if(
        user.waiting, [&](Sequence* waiting) { return std::ranges::find(refused, waiting) == refused.end(); });
    if (first != user.waiting.end() && (best == nullptr || before(**first, *best))) best = *first;
  }
  return best;
}

// Holds what is cached before it counts what is available, since that would be counted as evictable.
bool Scheduler::try_admit(Sequence& sequence) {
  if (options_.whole) return true;
  adopt_cached(sequence);
  const uint32_t wanted = pages_for(sequence.size());
  const uint32_t needed = wanted - static_cast<uint32_t>(sequence.pages.size());
  if (available() < needed + running_.size()) {
    release(sequence);
    return false;
  }
  while (sequence.pages.size() < wanted) sequence.pages.push_back(take_page());
  return true;
}

// Takes full pages from the tree for as long as they follow; the last certain token is always left, since its
// logits are wanted. Also looks again when the sequence runs: another one may have computed them since.
// Returns how many tokens that were.
uint32_t Scheduler::adopt_cached(Sequence& sequence) {
  if (!shares(sequence)) return 0;
  const uint32_t before = sequence.cached;
  const uint32_t page_tokens = options_.page_tokens;
  while (sequence.computed % page_tokens == 0 && sequence.computed + page_tokens < sequence.certain) {
    const uint32_t index = sequence.computed / page_tokens;
    PrefixTree::Node* node = tree_.descend(sequence.shared, edge(sequence, index));
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

// Puts its full pages of certain tokens into the tree.
void Scheduler::share(Sequence& sequence) {
  if (!shares(sequence)) return;
  const uint32_t full = std::min(sequence.computed, sequence.certain) / options_.page_tokens;
  for (uint32_t i = sequence.shared->depth(); i < full; ++i) {
    sequence.shared = tree_.insert(sequence.shared, edge(sequence, i), sequence.pages[i]);
    sequence.pages[i] = sequence.shared->page();
  }
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

void Scheduler::check_invariants() const {
  std::vector<uint32_t> owners(pool_.total(), 0);
  std::map<const PrefixTree::Node*, uint32_t> holders;
  CHECK(std::ranges::is_sorted(running_, Before()));
  size_t waiting = 0;
  for (const auto& [id, user] : users_) waiting += user.waiting.size();
  CHECK(waiting + running_.size() == sequences_.size());
  for (const auto& [id, sequence] : sequences_) {
    CHECK(!sequence.user->waiting.contains(const_cast<Sequence*>(&sequence)) || sequence.pages.empty());
    CHECK(options_.whole || sequence.computed <= sequence.pages.size() * size_t{options_.page_tokens});
    CHECK(sequence.certain <= sequence.size());
    const uint32_t full = std::min(sequence.computed, sequence.certain) / options_.page_tokens;
    CHECK(sequence.shared->depth() == (shares(sequence) ? full : 0));
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
