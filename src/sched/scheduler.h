// Who computes what in the next step: admission, pages, chunked prefill, preemption. Bookkeeping of
// integers: no model, no memory, no thread, no clock.
//
// Sequences are served in order of arrival, so at any time those that run (own pages) are the oldest, and
// those that wait are the youngest. A sequence is admitted when there are pages for all its tokens and one
// more for each sequence that runs already. When a running sequence needs a page and there is none, cached
// prefixes are evicted first; then the youngest running sequence is preempted: it loses its pages and waits
// to be computed again, tokens generated so far included. The oldest is never preempted, so work always
// advances; alone it always fits, since context() is at most what all pages hold.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sched/page_pool.h"
#include "sched/prefix_tree.h"

namespace hearth::sched {

using SequenceId = uint64_t;

struct SchedulerOptions {
  uint32_t pages = 0;        // of the cache
  uint32_t page_tokens = 0;  // tokens in a page
  uint32_t context = 0;      // most tokens of one sequence that the model can see
  uint32_t max_sequences = 1;
  uint32_t step_rows = 1;  // most tokens in one step; at least max_sequences
};

// One sequence's part of a step: adjacent rows, in order of position.
struct StepSequence {
  SequenceId id = 0;
  uint32_t first_row = 0, rows = 0;
  uint32_t first_position = 0;  // of first_row
  std::span<const Page> pages;  // of positions 0 .. page_tokens - 1, and so on; valid until commit() or a change
  bool sample = false;          // its last row is the sequence's last token: a logits row is wanted
  uint32_t cached_tokens = 0;   // that it took from shared pages since it was admitted
};

struct Step {
  std::vector<Token> tokens;  // one per row
  std::vector<StepSequence> sequences;
  std::vector<uint32_t> logit_rows;  // last rows of the sequences that sample, ascending

  bool empty() const { return tokens.empty(); }
};

struct Counts {
  uint32_t running = 0, waiting = 0;
  uint32_t pages_total = 0, pages_unused = 0, pages_evictable = 0;
  uint64_t preemptions = 0;    // since the start
  uint64_t tokens_cached = 0;  // taken from shared pages instead of computed, since the start
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);
  ~Scheduler();

  // Tokens that a sequence may have in the cache: what the model sees, or less if the pages hold less.
  uint32_t context() const { return options_.context; }

  // A new sequence. Ids rise. 1 <= tokens.size() <= context().
  void add(SequenceId id, std::vector<Token> tokens);
  // The sequence goes on with this token, sampled after a step in which it had `sample`. False, and no
  // change, if the context is full: the sequence must be ended.
  bool append(SequenceId id, Token token);
  // The sequence has ended, or is not wanted any more. Its full pages stay as a cache.
  void remove(SequenceId id);

  // What this sequence has in the cache is worth nothing: none of it stays when it is removed, but for pages that
  // others use now.
  void distrust(SequenceId id) { find(id).trusted = false; }

  // The next step; empty if there are no sequences. One row of every decoding sequence, then prefill chunks
  // in order of arrival. Must be followed by commit() or, if the step failed, by forget().
  Step plan();
  // All rows of the step are in the cache now.
  void commit(const Step& step);
  // What lies in the cache is worth nothing: drops the shared prefixes; all sequences will be computed again.
  void forget();

  bool empty() const { return sequences_.empty(); }
  Counts counts() const;

  // Aborts if a page is owned twice or by nobody. For tests.
  void check_invariants() const;

 private:
  struct Sequence {
    SequenceId id = 0;
    std::vector<Token> tokens;
    std::vector<Page> pages;             // the first shared->depth() are the tree's, the others its own
    PrefixTree::Node* shared = nullptr;  // end of its path in the tree
    uint32_t computed = 0;               // tokens in the cache
    uint32_t cached = 0;                 // of these, taken from shared pages
    bool trusted = true;

    uint32_t size() const { return static_cast<uint32_t>(tokens.size()); }
    uint32_t remaining() const { return size() - computed; }
  };

  Sequence& find(SequenceId id);
  uint32_t pages_for(uint32_t tokens) const;
  uint32_t available() const { return pool_.unused() + tree_.evictable(); }
  Page take_page();
  std::span<const Token> page_of_tokens(const Sequence& sequence, uint32_t index) const;
  void grow_running();
  void preempt_youngest();
  void admit();
  bool try_admit(Sequence& sequence);
  uint32_t adopt_cached(Sequence& sequence);
  void release(Sequence& sequence);
  void add_rows(Step& step, const Sequence& sequence, uint32_t rows) const;

  SchedulerOptions options_;
  PagePool pool_;
  PrefixTree tree_;
  std::vector<Sequence> sequences_;  // in order of arrival
  size_t running_ = 0;               // the first so many of them run
  uint64_t preemptions_ = 0, tokens_cached_ = 0;
};

}  // namespace hearth::sched
