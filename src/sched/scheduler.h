// Who computes what in the next step: admission, pages, rows, preemption. Bookkeeping of integers: no model, no
// memory, no thread, no clock.
//
// Sequences that run own pages, the others wait. One is admitted when there are pages for all its tokens and one more
// for each sequence that runs already; others may pass one that does not fit, but not for ever. When a running sequence
// needs a page and there is none, cached prefixes are evicted first; then the last of those that run (lowest priority,
// latest deadline, youngest) is preempted: it loses its pages and waits to be computed again, tokens generated so far
// included. The first is never preempted, so work always advances; alone it always fits, since context() is at most
// what all pages hold.
//
// Users share by the rows that were computed for each: whoever had the fewest is admitted next and gets the next page
// of prompt. (Deficits in rows; the idea of counters is that of Sheng et al. 2024, "Fairness in Serving Large Language
// Models", arXiv 2401.00588.)
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "sched/page_pool.h"
#include "sched/prefix_tree.h"

namespace hearth::sched {

using SequenceId = uint64_t;
using UserId = uint64_t;

struct SchedulerOptions {
  uint32_t pages = 0;        // of the cache
  uint32_t page_tokens = 0;  // tokens in a page
  // By how much prompts advance while rows are handed out, a divisor of page_tokens; 0: by pages.
  uint32_t chunk_tokens = 0;
  uint32_t context = 0;  // most tokens of one sequence that the model can see
  uint32_t max_sequences = 1;
  uint32_t step_rows = 1;   // most tokens in one step; at least max_sequences
  uint32_t logit_rows = 0;  // most rows with logits in one step; at least max_sequences; 0: as many as rows
  // For models that see a sequence as a whole and keep no cache (encoders): each is computed in one step, and there are
  // no pages. context() is at most step_rows then, and nothing is sampled.
  bool whole = false;
};

// Something at a position that the tokens do not tell (an image): its page and those behind it are shared only with
// sequences that have the same there.
struct Mark {
  uint32_t position = 0;
  uint64_t key = 0;
  uint32_t together = 0;  // so many tokens from there on see one another: no step ends between them
};

struct SequenceOptions {
  UserId user = 0;
  int32_t priority = 0;                                      // the higher is served first, whatever that costs others
  uint64_t deadline = std::numeric_limits<uint64_t>::max();  // of equal priority the earlier first; in any unit
  uint64_t salt = 0;                                         // it shares pages only with those of the same salt
  std::vector<Mark> marks = {};                              // in the order of their positions
  uint32_t group = 0;                                        // in a step the rows of a group are adjacent
  bool shares = true;   // false: it takes no pages of others and leaves none, so that every row of it is computed
  bool samples = true;  // false: it has no logits, and must be removed when all its tokens are in the cache
};

// What steps cost and may cost, in any unit: a step takes `fixed`, `row` for every row, and `key` for every position
// that a row attends to.
struct Budget {
  uint64_t limit = std::numeric_limits<uint64_t>::max();
  uint64_t fixed = 0, row = 0, key = 0;
};

// One sequence's part of a step: adjacent rows, in order of position.
struct StepSequence {
  SequenceId id = 0;
  uint32_t first_row = 0, rows = 0;
  uint32_t first_position = 0;  // of first_row
  std::span<const Page> pages;  // of positions 0 .. page_tokens - 1, and so on; valid until commit() or a change
  // How many of its rows, at its end, have logits: those of its last certain token and of every draft behind it; 0 if
  // it does not get so far. Their places in Step::logit_rows begin at first_sample.
  uint32_t samples = 0, first_sample = 0;
  uint32_t cached_tokens = 0;  // that it took from shared pages since it was admitted
};

struct Step {
  std::vector<Token> tokens;  // one per row
  std::vector<StepSequence> sequences;
  std::vector<uint32_t> logit_rows;  // of the sequences that sample, ascending
  uint64_t keys = 0;                 // sum over the rows of the positions that each attends to

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

  // From now on the cache has so many pages and a sequence may have so many tokens; neither is less than before. Not
  // between plan() and commit().
  void grow(uint32_t pages, uint32_t context);

  // A new sequence. Ids rise. 1 <= tokens.size() <= context(). Equal prefixes are computed once, also of sequences that
  // come together: several answers to one prompt are several sequences.
  void add(SequenceId id, std::vector<Token> tokens, const SequenceOptions& options = {});
  // The sequence goes on with these tokens after its last certain one: sampled after a step, or known without. Drafts
  // that they confirm become certain, those that they contradict are dropped. Returns how many the context takes; if
  // not all, the sequence must be ended.
  uint32_t append(SequenceId id, std::span<const Token> tokens);
  bool append(SequenceId id, Token token) { return append(id, {&token, 1}) == 1; }
  // Guesses at how it goes on (speculative decoding): computed together with its last certain token, each with logits,
  // as far as the step has room. Returns how many the context takes.
  uint32_t draft(SequenceId id, std::span<const Token> tokens);
  // Only the first `count` tokens stay; those that are in shared pages must.
  void truncate(SequenceId id, uint32_t count);
  // The sequence has ended, or is not wanted any more. Its full pages of certain tokens stay as a cache.
  void remove(SequenceId id);

  // What this sequence has in the cache is worth nothing: none of it stays when it is removed, but for pages that
  // others use now.
  void distrust(SequenceId id) { find(id).trusted = false; }

  // The next step; empty if there are no sequences. Rows: of every sequence that generates, as far as its tokens go;
  // then prompts, page by page: at least one page, and more while the step costs no more than the limit (or twice what
  // one generating sequence alone costs, if that is more). Short prompts come first, but pass no other for ever.
  // Must be followed by commit() or, if the step failed, by forget().
  Step plan(const Budget& budget = {});
  // All rows of the step are in the cache now.
  void commit(const Step& step);
  // What lies in the cache is worth nothing: drops the shared prefixes; all sequences will be computed again.
  void forget();

  bool empty() const { return sequences_.empty(); }
  Counts counts() const;
  // By page, whether it belongs to a sequence or to a cached prefix; the others hold nothing that is read again.
  const std::vector<bool>& live_pages() const { return pool_.taken(); }

  // Aborts if a page is owned twice or by nobody. For tests.
  void check_invariants() const;

 private:
  struct User;
  struct Sequence {
    SequenceId id = 0;
    SequenceOptions options;
    User* user = nullptr;
    std::vector<Token> tokens;
    std::vector<Page> pages;             // the first shared->depth() are the tree's, the others its own
    PrefixTree::Node* shared = nullptr;  // end of its path in the tree
    uint32_t certain = 0;                // tokens that are no drafts
    uint32_t computed = 0;               // tokens in the cache; fewer than `certain` while a step is planned
    uint32_t cached = 0;                 // of these, taken from shared pages
    uint32_t planned = 0;                // rows in the step that is being planned
    uint32_t passed = 0;                 // how often later ones were preferred since it last got what it waits for
    bool generates = false, trusted = true;

    uint32_t size() const { return static_cast<uint32_t>(tokens.size()); }
    uint32_t remaining() const { return size() - computed; }
  };
  struct Before {
    bool operator()(const Sequence* a, const Sequence* b) const;
  };
  struct User {
    uint64_t served = 0;       // rows, or what others had when it came
    uint64_t outstanding = 0;  // rows of its running sequences that are still to be computed; during admit()
    uint32_t sequences = 0;
    std::set<Sequence*, Before> waiting;
  };
  struct Plan;  // of one step

  void limit_context(uint32_t wanted);
  Sequence& find(SequenceId id);
  User& user_of(UserId id);
  uint32_t pages_for(uint32_t tokens) const;
  uint32_t available() const { return pool_.unused() + tree_.evictable(); }
  Page take_page();
  PrefixTree::Edge edge(const Sequence& sequence, uint32_t page) const;
  bool same_edge(const Sequence& a, const Sequence& b, uint32_t page) const;
  void grow_running();
  void preempt_last();
  void admit();
  Sequence* next_to_admit(const std::vector<Sequence*>& refused) const;
  bool try_admit(Sequence& sequence);
  uint32_t adopt_cached(Sequence& sequence);
  void share(Sequence& sequence);
  void release(Sequence& sequence);
  bool shares(const Sequence& sequence) const { return sequence.options.shares && !options_.whole; }

  bool decodes(const Sequence& sequence) const;
  void plan_decodes(Plan& plan);
  void plan_prompts(Plan& plan);
  Sequence* next_prompt(const Plan& plan, std::span<Sequence* const> prompts) const;
  bool comes_first(const Plan& plan, const Sequence& sequence) const;
  bool is_repeated(const Sequence& sequence) const;
  uint32_t most_rows(const Plan& plan, const Sequence& sequence) const;
  uint32_t whole_marks(const Sequence& sequence, uint32_t rows, uint32_t most) const;
  uint64_t cost(const Plan& plan, const Sequence& sequence, uint32_t rows) const;
  void take_rows(Plan& plan, Sequence& sequence, uint32_t rows) const;
  void add_rows(Step& step, const Sequence& sequence) const;

  SchedulerOptions options_;
  PagePool pool_;
  PrefixTree tree_;
  std::map<SequenceId, Sequence> sequences_;
  std::map<UserId, User> users_;    // that have sequences
  std::vector<Sequence*> running_;  // in the order of Before
  uint64_t preemptions_ = 0, tokens_cached_ = 0;
};

}  // namespace hearth::sched
