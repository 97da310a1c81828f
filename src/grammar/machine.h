// Runs a grammar over bytes: a deterministic automaton whose states (sets of expressions, each with what may come after
// it) are made as texts get to them and are equal when they are the same. The stacks share their ends, as in a
// graph-structured stack (Tomita 1985), so that ambiguity costs neither time nor memory that grows with the text.
//
// A mask is the union over the state's expressions of
//   - the tokens that end inside the expression: they depend on the expression alone and are kept for it;
//   - those that leave it, for which the few subtrees of tokens at which it may end are walked with the stack.
// The longest expressions, strings of any or of so many characters, take both from what the vocabulary knows about
// characters (TokenTrie::unit_counts), whatever their limits. What is such a string but for some texts (the names that
// an object does not declare) differs from it only where tokens begin those texts. A walk leaves out subtrees in which
// every token leads an expression back to itself.
//
// Not safe to use from several threads at once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/token_trie.h"
#include "sampling/constraint.h"

namespace hearth::grammar {

using StateId = uint32_t;

class Machine {
 public:
  static constexpr StateId kDead = 0;

  // `trie` may be null: then texts can be followed, but no masks be had.
  Machine(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie);

  // Makes some of the masks that take longest, those at the beginning of strings, where nobody waits for them yet;
  // stops after about `visits` nodes of the vocabulary's tree. False once there is nothing more to make.
  bool prepare(uint64_t visits);

  StateId start() const { return start_; }
  // The state after a byte; kDead if no text goes on that way.
  StateId step(StateId state, uint8_t byte) { return step_class(state, grammar_.regexes.class_of(byte)); }
  StateId step(StateId state, std::string_view bytes);
  bool accepts(StateId state) const { return states_[state].accepts; }
  // Whether the text may go on.
  bool continues(StateId state) const { return states_[state].count > 0; }
  // If the text must go on and only with one byte.
  bool forced(StateId state, uint8_t* byte);

  // Overwrites the first mask_words() of `mask`; tokens that end generation are not in it.
  void mask(StateId state, sampling::TokenMask mask);

  // What masks cost: nodes of the vocabulary's trees that were visited, since the start.
  uint64_t visited() const { return visited_; }
  size_t state_count() const { return states_.size(); }
  size_t memory_bytes() const;
  // Set once something grew past its limit: what is computed since may be incomplete.
  bool overflowed() const { return overflowed_; }
  // The same state of another machine for the same grammar.
  StateId import(const Machine& from, StateId state);

 private:
  using StackId = uint32_t;
  struct Frame {
    NodeId node;
    StackId below;
    auto operator<=>(const Frame&) const = default;
  };
  struct Item {
    RegexId regex;
    StackId stack;
    auto operator<=>(const Item&) const = default;
  };
  struct State {
    uint32_t first, count;
    bool accepts;
    uint32_t row;
  };
  struct Stack {
    uint32_t first, count;
    uint32_t after;  // the state when what is above it has ended, or kUnknown
  };
  class Closure;
  static constexpr uint32_t kUnknown = ~uint32_t{0};
  static constexpr NodeId kEnd = ~NodeId{0};  // in a frame: the whole text may end here

  StateId intern_state(std::vector<Item> items, bool accepts);
  StackId intern_stack(std::vector<Frame> frames);
  StackId push(NodeId node, StackId below) { return intern_stack({{node, below}}); }
  StackId unite(std::span<const StackId> stacks);
  StateId after(StackId stack);
  StateId step_class(StateId state, uint8_t byte_class) {
    const uint32_t row = states_[state].row;
    if (row != kUnknown) {
      const uint32_t next = rows_[row + byte_class];
      if (next != kUnknown) return next;
    }
    return step_slowly(state, byte_class);
  }
  StateId step_slowly(StateId state, uint8_t byte_class);
  std::span<const Item> items(const State& state) const { return std::span(items_).subspan(state.first, state.count); }
  std::span<const Frame> frames(const Stack& stack) const {
    return std::span(frames_).subspan(stack.first, stack.count);
  }

  void prepare_string(RegexId regex);
  void compute_mask(StateId state, std::span<uint64_t> mask);
  void add_counted(const Regexes::Counted& counted, StackId stack, std::span<uint64_t> mask);
  void add_plain(RegexId regex, StackId stack, std::span<uint64_t> mask);
  RegexMask walk_regex(RegexId regex);
  void walk_tree(RegexId regex, Ranges& tokens, Ranges& exits);
  RegexMask walk_exceptions(RegexId regex, RegexId all);
  RegexMask make_regex_mask(RegexId regex);
  RegexMask common_walk(RegexId regex);
  std::optional<RegexMask> mask_far_from_limit(RegexId regex);
  const RegexMask& regex_mask(RegexId regex);
  bool keeps_all_below(RegexId regex, uint32_t node, bool look, bool may_end);
  bool counted(RegexId regex, Regexes::Counted* out);
  void walk_state(uint32_t node, StateId state, std::span<uint64_t> mask);
  void set_token(int32_t token, std::span<uint64_t> mask) const;

  std::shared_ptr<const Grammar> original_;
  Grammar grammar_;  // a copy, which grows
  std::shared_ptr<const TokenTrie> trie_;
  std::vector<State> states_;
  std::vector<Item> items_;
  Interner state_interner_;
  std::vector<Stack> stacks_;
  std::vector<Frame> frames_;
  Interner stack_interner_;
  std::vector<uint32_t> rows_;
  StateId start_ = kDead;
  NodeId prepared_ = 0;  // nodes of the grammar

  std::unordered_map<RegexId, RegexMask> regex_masks_;
  size_t regex_mask_bytes_ = 0;
  std::vector<uint64_t> loop_kinds_;  // by expression, see keeps_all_below(); 0: not known yet
  std::unordered_map<StateId, std::vector<uint64_t>> state_masks_;
  std::unordered_map<uint64_t, std::shared_ptr<const UnitCounts>> unit_counts_;  // by (unit, tail)
  std::vector<uint64_t> scratch_;
  std::vector<uint32_t> path_;
  uint64_t visited_ = 0;
  bool overflowed_ = false;
};

}  // namespace hearth::grammar
