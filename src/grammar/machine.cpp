#include "grammar/machine.h"

#include <algorithm>
#include <map>

#include "base/check.h"

namespace hearth::grammar {
namespace {

constexpr size_t kMost_items = 50'000;  // of one state: expressions at the same time
constexpr size_t kMost_state_masks = 256;
constexpr size_t kMost_regex_mask_bytes = size_t{24} << 20;
constexpr uint64_t kMost_prepared = 1'000'000;  // nodes of the vocabulary's tree that are visited at first
constexpr uint32_t kBeyond_tokens = 32;         // characters that may be left behind the longest token for a text's end
constexpr uint64_t kLeast_common = 2000;        // nodes of a walk that another grammar may be glad of
constexpr size_t kMost_common_bytes = 4096;     // of its expression
constexpr uint32_t kLeast_kept = 8;             // nodes of a subtree that it pays to leave out
constexpr int kMost_leave_bytes = 8;            // more ways to leave a string of characters are found by walking

void set_bit(int32_t token, std::span<uint64_t> mask) {
  mask[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
}

void unite_bits(std::span<const uint64_t> from, std::span<uint64_t> into) {
  for (size_t i = 0; i < from.size(); ++i) into[i] |= from[i];
}

void add_range(Ranges& ranges, uint32_t begin, uint32_t end) {
  if (!ranges.empty() && ranges.back().second == begin) {
    ranges.back().second = end;
  } else if (begin < end) {
    ranges.emplace_back(begin, end);
  }
}

// Takes a number out that is in one, adds one that is in none.
void toggle(Ranges& ranges, uint32_t number) {
  auto at = std::ranges::lower_bound(ranges, number + 1, {}, &Ranges::value_type::second);
  if (at == ranges.end() || number < at->first) {
    ranges.insert(at, {number, number + 1});
    return;
  }
  const auto [begin, end] = *at;
  at = ranges.erase(at);
  if (number + 1 < end) at = ranges.insert(at, {number + 1, end});
  if (begin < number) ranges.insert(at, {begin, number});
}

}  // namespace

// All expressions with which a text may go on at some nodes, each with the stack below it. Rules are entered in the
// order of their ranks, so that each is entered once with all who call it.
class Machine::Closure {
 public:
  explicit Closure(Machine& machine) : machine_(machine), grammar_(machine.grammar_) {}

  void enter_stack(StackId stack) {
    const Stack now = machine_.stacks_[stack];
    for (uint32_t i = 0; i < now.count; ++i) {
      const Frame frame = machine_.frames_[now.first + i];
      if (frame.node == kEnd) {
        accepts_ = true;
      } else {
        todo_.push_back(frame);
      }
    }
  }

  StateId finish() {
    for (;;) {
      while (!todo_.empty()) {
        const Frame next = todo_.back();
        todo_.pop_back();
        if (!seen_.insert(uint64_t{next.node} << 32 | next.below).second) continue;
        if (seen_.size() > kMost_items) {
          machine_.overflowed_ = true;
          break;
        }
        enter(next.node, next.below);
      }
      if (calls_.empty()) break;
      const auto first = calls_.begin();
      const RuleId rule = first->second.rule;
      const StackId stack = machine_.unite(first->second.stacks);
      calls_.erase(first);
      todo_.push_back({grammar_.body(rule), stack});
    }
    return machine_.intern_state(std::move(items_), accepts_);
  }

 private:
  struct Call {
    RuleId rule = 0;
    std::vector<StackId> stacks;
  };

  void enter(NodeId id, StackId stack) {
    if (!grammar_.productive(id)) return;
    const Grammar::Node node = grammar_.node(id);
    switch (node.kind) {
      case Grammar::Kind::kNothing:
        return;
      case Grammar::Kind::kEpsilon:
        return enter_stack(stack);
      case Grammar::Kind::kTerm:
        items_.push_back({node.a, stack});
        if (grammar_.regexes.nullable(node.a)) enter_stack(stack);
        return;
      case Grammar::Kind::kSequence:
        return add(node.a, machine_.push(node.b, stack));
      case Grammar::Kind::kChoice:
        for (uint32_t i = 0; i < node.b; ++i) add(grammar_.choice_at(node.a + i), stack);
        return;
      case Grammar::Kind::kRule: {
        Call& call = calls_[grammar_.rank(node.a)];
        call.rule = node.a;
        call.stacks.push_back(stack);
        return;
      }
      case Grammar::Kind::kRepeat:
        return enter_repeat(node, stack);
      case Grammar::Kind::kMembers:
        return Grammar::Cursor::unpack(node.c).at_key ? enter_keys(node, stack) : enter_members(node, stack);
    }
  }

  void add(NodeId node, StackId stack) { todo_.push_back({node, stack}); }

  void enter_repeat(const Grammar::Node& node, StackId stack) {
    if (node.b == 0) enter_stack(stack);
    if (!grammar_.productive(node.a)) return;
    const auto less = [](uint32_t count) { return count == kUnbounded || count == 0 ? count : count - 1; };
    const NodeId rest = grammar_.repeat(node.a, less(node.b), less(node.c));
    add(node.a, rest == Grammar::kEpsilon ? stack : machine_.push(rest, stack));
  }

  // Whether the members from `position` can bring the count between the object's limits.
  static bool reaches(const ObjectRule& object, size_t position, const Grammar::Cursor& cursor) {
    const bool demand = !object.demanded.empty() && !cursor.demand_met;
    const uint64_t must = uint64_t{cursor.count} + object.required_from[position] + demand;
    const bool open = !object.others.empty() || demand;
    const uint64_t can = uint64_t{cursor.count} + object.members.size() - position;
    return must <= object.most && (open || can >= object.least);
  }
  // The count beyond which it does not matter.
  static uint32_t counted(const ObjectRule& object, uint32_t count) {
    return object.most == kUnbounded ? std::min(count, std::max(object.least, 1u)) : count;
  }

  // After a member, or at the start: the end, or another one.
  void enter_members(const Grammar::Node& node, StackId stack) {
    const ObjectRule& object = grammar_.object(node.a);
    const Grammar::Cursor cursor = Grammar::Cursor::unpack(node.c);
    const bool demand = !object.demanded.empty() && !cursor.demand_met;
    if (cursor.count >= object.least && !demand && object.required_from[node.b] == 0) {
      items_.push_back({cursor.count == 0 ? object.close_empty : object.close, stack});
    }
    if (!has_key(object, node.b, cursor)) return;
    const Grammar::Cursor key{cursor.count, true, cursor.demand_met};
    const RegexId comma = object.comma;
    const NodeId keys = grammar_.members_at(node.a, node.b, key);
    if (cursor.count == 0) {
      add(keys, stack);
    } else {
      items_.push_back({comma, machine_.push(keys, stack)});
    }
  }

  template <class Visit>
  static void visit_keys(const ObjectRule& object, uint32_t position, const Grammar::Cursor& cursor,
                         const Visit& visit) {
    const uint32_t count = cursor.count + 1;
    if (count > object.most) return;
    for (size_t i = position; i < object.members.size(); ++i) {
      const Grammar::Cursor next{count, false, cursor.demand_met};
      if (reaches(object, i + 1, next)) visit(object.members[i], i + 1, next);
      if (object.members[i].required) return;
    }
    const size_t all = object.members.size();
    const Grammar::Cursor next{count, false, cursor.demand_met};
    if (reaches(object, all, next)) {
      for (const ObjectRule::Member& member : object.others) visit(member, all, next);
    }
    if (!cursor.demand_met) {
      const Grammar::Cursor met{count, false, true};
      for (const ObjectRule::Member& member : object.demanded) visit(member, all, met);
    }
  }

  static bool has_key(const ObjectRule& object, uint32_t position, const Grammar::Cursor& cursor) {
    bool found = false;
    visit_keys(object, position, cursor, [&](const auto&, size_t, const auto&) { found = true; });
    return found;
  }

  void enter_keys(const Grammar::Node& node, StackId stack) {
    const Grammar::Cursor cursor = Grammar::Cursor::unpack(node.c);
    const ObjectRule& object = grammar_.object(node.a);
    visit_keys(object, node.b, cursor, [&](const ObjectRule::Member& member, size_t position, Grammar::Cursor next) {
      next.count = counted(object, next.count);
      const NodeId rest = grammar_.members_at(node.a, static_cast<uint32_t>(position), next);
      items_.push_back({member.key, machine_.push(member.value, machine_.push(rest, stack))});
    });
  }

  Machine& machine_;
  Grammar& grammar_;
  std::vector<Frame> todo_;
  std::unordered_set<uint64_t> seen_;
  std::map<uint32_t, Call> calls_;
  std::vector<Item> items_;
  bool accepts_ = false;
};

Machine::Machine(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie)
    : original_(std::move(grammar)), grammar_(*original_), trie_(std::move(trie)) {
  const StateId dead = intern_state({}, false);
  CHECK(dead == kDead);
  const StackId end = intern_stack({{kEnd, 0}});
  start_ = after(push(grammar_.start(), end));
}

bool Machine::prepare(uint64_t visits) {
  CHECK(trie_ != nullptr);
  const uint64_t before = visited_;
  for (; prepared_ < original_->node_count() && visited_ < kMost_prepared; ++prepared_) {
    if (visited_ - before >= visits) return true;
    const Grammar::Node& node = original_->node(prepared_);
    if (node.kind == Grammar::Kind::kTerm) prepare_string(node.a);
    if (node.kind != Grammar::Kind::kMembers) continue;
    for (const ObjectRule::Member& member : original_->object(node.a).others) prepare_string(member.key);
  }
  return false;
}

// Behind the quote.
void Machine::prepare_string(RegexId regex) {
  Regexes& regexes = grammar_.regexes;
  for (uint8_t byte; regexes.begins_with_one(regex, &byte);) {
    regex = regexes.step(regex, regexes.class_of(byte)) >> 1;
  }
  Regexes::Counted counted;
  if (regex != Regexes::kEpsilon && !this->counted(regex, &counted)) regex_mask(regex);
}

StateId Machine::step(StateId state, std::string_view bytes) {
  for (const char c : bytes) {
    if (state == kDead) return kDead;
    state = step(state, static_cast<uint8_t>(c));
  }
  return state;
}

// Merges what differs in the stack only.
StateId Machine::intern_state(std::vector<Item> items, bool accepts) {
  std::ranges::sort(items);
  items.erase(std::unique(items.begin(), items.end()), items.end());
  if (items.size() > kMost_items) overflowed_ = true;
  size_t kept = 0;
  for (size_t i = 0; i < items.size();) {
    size_t j = i + 1;
    while (j < items.size() && items[j].regex == items[i].regex) ++j;
    StackId stack = items[i].stack;
    if (j > i + 1) {
      std::vector<StackId> stacks;
      for (size_t k = i; k < j; ++k) stacks.push_back(items[k].stack);
      stack = unite(stacks);
    }
    items[kept++] = {items[i].regex, stack};
    i = j;
  }
  items.resize(kept);
  uint64_t hash = mix_hash(91, accepts);
  for (const Item& item : items) hash = mix_hash(hash, uint64_t{item.regex} << 32 | item.stack);
  const uint32_t found = state_interner_.find(hash, [&](uint32_t id) {
    return states_[id].accepts == accepts && std::ranges::equal(this->items(states_[id]), items);
  });
  if (found != Interner::kNone) return found;
  const auto id = static_cast<StateId>(states_.size());
  states_.push_back({static_cast<uint32_t>(items_.size()), static_cast<uint32_t>(items.size()), accepts, kUnknown});
  items_.insert(items_.end(), items.begin(), items.end());
  state_interner_.insert(hash, id);
  return id;
}

Machine::StackId Machine::intern_stack(std::vector<Frame> frames) {
  uint64_t hash = 92;
  for (const Frame& frame : frames) hash = mix_hash(hash, uint64_t{frame.node} << 32 | frame.below);
  const uint32_t found =
      stack_interner_.find(hash, [&](uint32_t id) { return std::ranges::equal(this->frames(stacks_[id]), frames); });
  if (found != Interner::kNone) return found;
  const auto id = static_cast<StackId>(stacks_.size());
  stacks_.push_back({static_cast<uint32_t>(frames_.size()), static_cast<uint32_t>(frames.size()), kUnknown});
  frames_.insert(frames_.end(), frames.begin(), frames.end());
  stack_interner_.insert(hash, id);
  return id;
}

Machine::StackId Machine::unite(std::span<const StackId> stacks) {
  if (stacks.size() == 1) return stacks[0];
  std::vector<Frame> all;
  for (const StackId stack : stacks) {
    const auto some = frames(stacks_[stack]);
    all.insert(all.end(), some.begin(), some.end());
  }
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return intern_stack(std::move(all));
}

StateId Machine::after(StackId stack) {
  if (stacks_[stack].after == kUnknown) {
    Closure closure(*this);
    closure.enter_stack(stack);
    const StateId state = closure.finish();
    stacks_[stack].after = state;
  }
  return stacks_[stack].after;
}

StateId Machine::step_slowly(StateId state, uint8_t byte_class) {
  std::vector<Item> next;
  bool accepts = false;
  const State from = states_[state];
  for (uint32_t i = 0; i < from.count; ++i) {
    const Item item = items_[from.first + i];
    const uint32_t step = grammar_.regexes.step(item.regex, byte_class);
    const RegexId regex = step >> 1;
    if (regex == Regexes::kEmpty) continue;
    if (regex != Regexes::kEpsilon) next.push_back({regex, item.stack});
    if ((step & 1) == 0) continue;
    const State ended = states_[after(item.stack)];
    accepts |= ended.accepts;
    next.insert(next.end(), items_.begin() + ended.first, items_.begin() + ended.first + ended.count);
  }
  const StateId to = next.empty() && !accepts ? kDead : intern_state(std::move(next), accepts);
  if (states_[state].row == kUnknown) {
    states_[state].row = static_cast<uint32_t>(rows_.size());
    rows_.resize(rows_.size() + grammar_.regexes.class_count(), kUnknown);
  }
  rows_[states_[state].row + byte_class] = to;
  return to;
}

bool Machine::forced(StateId state, uint8_t* byte) {
  if (accepts(state)) return false;
  const Regexes& regexes = grammar_.regexes;
  int ways = 0;
  for (size_t c = 0; c < regexes.class_count(); ++c) {
    if (step_class(state, static_cast<uint8_t>(c)) == kDead) continue;
    *byte = regexes.representative(c);
    if (++ways > 1) return false;
  }
  if (ways != 1) return false;
  int members = 0;
  for (unsigned other = 0; other < 256; ++other) {
    members += regexes.class_of(static_cast<uint8_t>(other)) == regexes.class_of(*byte);
  }
  return members == 1;
}

void Machine::mask(StateId state, sampling::TokenMask mask) {
  CHECK(trie_ != nullptr);
  const size_t words = sampling::mask_words(trie_->vocabulary());
  auto found = state_masks_.find(state);
  if (found == state_masks_.end()) {
    std::vector<uint64_t> made(words);
    compute_mask(state, made);
    if (state_masks_.size() >= kMost_state_masks) state_masks_.clear();
    found = state_masks_.emplace(state, std::move(made)).first;
  }
  std::ranges::copy(found->second, mask.begin());
}

void Machine::compute_mask(StateId state, std::span<uint64_t> mask) {
  const State from = states_[state];
  for (uint32_t i = 0; i < from.count; ++i) {
    const Item item = items_[from.first + i];
    Regexes::Counted counted;
    if (this->counted(item.regex, &counted)) {
      add_counted(counted, item.stack, mask);
    } else {
      add_plain(item.regex, item.stack, mask);
    }
  }
}

bool Machine::counted(RegexId regex, Regexes::Counted* out) {
  if (!grammar_.regexes.counted(regex, out)) return false;
  const uint64_t key = uint64_t{out->unit} << 32 | out->tail;
  auto found = unit_counts_.find(key);
  if (found == unit_counts_.end()) {
    const ByteSet leave = grammar_.regexes.first(out->tail);
    std::shared_ptr<const UnitCounts> counts;
    if (leave.count() <= kMost_leave_bytes) counts = trie_->unit_counts(grammar_.regexes, out->unit, leave, &visited_);
    found = unit_counts_.emplace(key, std::move(counts)).first;
  }
  return found->second != nullptr;
}

void Machine::add_counted(const Regexes::Counted& counted, StackId stack, std::span<uint64_t> mask) {
  const std::shared_ptr<const UnitCounts> counts = unit_counts_.at(uint64_t{counted.unit} << 32 | counted.tail);
  const size_t most_units = counts->ends.size() - 1;
  if (counted.most >= most_units) {
    unite_bits(counts->all, mask);
  } else if (counted.most < counts->at_most.size()) {
    unite_bits(counts->at_most[counted.most], mask);
  } else {
    scratch_ = counts->all;
    for (size_t i = counts->ends[counted.most]; i < counts->inside.size(); ++i) {
      const auto token = static_cast<size_t>(counts->inside[i]);
      scratch_[token / 64] &= ~(uint64_t{1} << (token % 64));
    }
    visited_ += counts->inside.size() - counts->ends[counted.most];
    unite_bits(scratch_, mask);
  }
  const std::vector<UnitCounts::Node>& nodes = counts->rest;
  std::vector<StateId> path{intern_state({{counted.tail, stack}}, false)};
  for (uint32_t i = 1; i < nodes.size();) {
    ++visited_;
    const UnitCounts::Node& node = nodes[i];
    const StateId state = step(path[node.depth - 1u], node.byte);
    if (state == kDead) {
      i = node.end;
      continue;
    }
    path.resize(node.depth);
    path.push_back(state);
    for (uint32_t j = 0; j < node.count; ++j) {
      const auto [units, token] = counts->leaving[node.first + j];
      if (units >= counted.least && units <= counted.most) set_bit(token, mask);
    }
    ++i;
  }
}

void Machine::add_plain(RegexId regex, StackId stack, std::span<uint64_t> mask) {
  const RegexMask& known = regex_mask(regex);
  if (known.bits.empty()) {
    for (const int32_t token : known.tokens) set_bit(token, mask);
  } else {
    unite_bits(known.bits, mask);
  }
  if (known.exits.empty()) return;
  const StateId state = after(stack);
  if (!continues(state)) return;
  for (const auto& [begin, end] : known.exits) {
    for (uint32_t node = begin; node < end; ++node) walk_state(node, state, mask);
  }
}

const RegexMask& Machine::regex_mask(RegexId regex) {
  const auto found = regex_masks_.find(regex);
  if (found != regex_masks_.end()) return found->second;
  RegexMask made = make_regex_mask(regex);
  const size_t bytes = made.bytes();
  if (regex_mask_bytes_ + bytes > kMost_regex_mask_bytes) {
    regex_masks_.clear();
    regex_mask_bytes_ = 0;
  }
  regex_mask_bytes_ += bytes;
  return regex_masks_.emplace(regex, std::move(made)).first->second;
}

RegexMask Machine::make_regex_mask(RegexId regex) {
  Regexes::Counted counted;
  const std::optional<RegexId> all = grammar_.regexes.with_exceptions(regex);
  const bool pays = all && grammar_.regexes.counted(*all, &counted);
  if (pays) return walk_exceptions(regex, *all);
  if (auto far = mask_far_from_limit(regex)) return std::move(*far);
  return common_walk(regex);
}

// What may be long enough has the mask of what may be of any length: it has, if that is so for what may be shorter,
// since the longer a text may be the more tokens can go on with it.
std::optional<RegexMask> Machine::mask_far_from_limit(RegexId regex) {
  Regexes& regexes = grammar_.regexes;
  const auto near = static_cast<uint32_t>(trie_->most_bytes() + kBeyond_tokens);
  if (regexes.limit(regex).value_or(0) <= near) return std::nullopt;
  RegexMask unlimited = common_walk(regexes.with_limit(regex, kUnbounded));
  if (common_walk(regexes.with_limit(regex, near)) != unlimited) return std::nullopt;
  return unlimited;
}

RegexMask Machine::common_walk(RegexId regex) {
  const std::string text = grammar_.regexes.text(regex);
  if (const auto known = text.size() <= kMost_common_bytes ? trie_->find_mask(text) : nullptr) return *known;
  const uint64_t visited = visited_;
  RegexMask made = walk_regex(regex);
  if (text.size() <= kMost_common_bytes && visited_ - visited >= kLeast_common) trie_->keep_mask(text, made);
  return made;
}

// The mask of `all`, changed where the two are told apart.
RegexMask Machine::walk_exceptions(RegexId regex, RegexId all) {
  Regexes& regexes = grammar_.regexes;
  RegexMask made = common_walk(all);
  if (made.bits.empty()) return walk_regex(regex);
  const auto nodes = trie_->nodes();
  std::vector<std::pair<RegexId, RegexId>> path{{regex, all}};
  for (uint32_t i = 1; i < nodes.size();) {
    ++visited_;
    const TokenTrie::Node& node = nodes[i];
    const uint8_t byte_class = regexes.class_of(node.byte);
    const auto [before, all_before] = path[node.depth - 1u];
    const uint32_t step = before == Regexes::kEmpty ? 0 : regexes.step(before, byte_class);
    const uint32_t all_step = all_before == Regexes::kEmpty ? 0 : regexes.step(all_before, byte_class);
    if (step == all_step) {
      i = node.end;
      continue;
    }
    for (int32_t token = node.token; token >= 0; token = trie_->same_text(token)) {
      const uint64_t bit = uint64_t{1} << (token % 64);
      uint64_t& word = made.bits[static_cast<size_t>(token) / 64];
      word = step >> 1 == Regexes::kEmpty ? word & ~bit : word | bit;
    }
    if ((step & 1) != (all_step & 1) && node.end > i + 1) toggle(made.exits, i);
    if (path.size() <= node.depth) path.resize(node.depth + 1u);
    path[node.depth] = {step >> 1, all_step >> 1};
    ++i;
  }
  return made;
}

RegexMask Machine::walk_regex(RegexId regex) {
  Ranges tokens;  // of trie_->in_order()
  RegexMask made;
  walk_tree(regex, tokens, made.exits);
  size_t count = 0;
  for (const auto& [begin, end] : tokens) count += end - begin;
  const size_t words = sampling::mask_words(trie_->vocabulary());
  const bool as_bits = count * 4 > words;
  if (as_bits) {
    made.bits.assign(words, 0);
  } else {
    made.tokens.reserve(count);
  }
  for (const auto& [begin, end] : tokens) {
    const auto some = trie_->in_order().subspan(begin, end - begin);
    if (!as_bits) made.tokens.insert(made.tokens.end(), some.begin(), some.end());
    if (as_bits) std::ranges::for_each(some, [&](int32_t token) { set_bit(token, made.bits); });
  }
  made.exits.shrink_to_fit();
  return made;
}

void Machine::walk_tree(RegexId regex, Ranges& tokens, Ranges& exits) {
  Regexes& regexes = grammar_.regexes;
  const auto nodes = trie_->nodes();
  const auto add_tokens = [&](uint32_t begin, uint32_t end) {
    add_range(tokens, trie_->first_token(begin), trie_->first_token(end));
  };
  // The nodes of what has to come next need no search.
  uint32_t at = 0;
  for (uint8_t byte; regexes.begins_with_one(regex, &byte);) {
    at = trie_->child(at, byte);
    if (at == 0) return;
    ++visited_;
    const uint32_t step = regexes.step(regex, regexes.class_of(byte));
    regex = step >> 1;
    add_tokens(at, at + 1);
    if ((step & 1) != 0 && nodes[at].end > at + 1) add_range(exits, at, at + 1);
  }
  const RegexId cover = regexes.cover(regex).value_or(Regexes::kEmpty);
  struct Place {
    RegexId regex, cover;
  };
  std::vector<Place> path(trie_->most_bytes() + 1, {regex, cover});  // by depth
  uint64_t visited = 0;
  for (uint32_t i = at + 1, next; i < nodes[at].end; i = next) {
    ++visited;
    const TokenTrie::Node& node = nodes[i];
    const Place before = path[node.depth - 1u];
    const uint8_t byte_class = regexes.class_of(node.byte);
    const uint32_t step = regexes.step(before.regex, byte_class);
    const RegexId after = step >> 1;
    next = node.end;
    if (after == Regexes::kEmpty) continue;
    const RegexId covered =
        before.cover == Regexes::kEmpty ? before.cover : regexes.step(before.cover, byte_class) >> 1;
    const bool keeps = node.end - i > kLeast_kept &&
                       (keeps_all_below(after, i, after == before.regex, (step & 1) != 0) ||
                        (covered != Regexes::kEmpty && covered == cover && keeps_all_below(covered, i, true, false)));
    if (!keeps) next = i + 1;
    add_tokens(i, next);
    if ((step & 1) != 0 && node.end > i + 1) add_range(exits, i, next);
    path[node.depth] = {after, covered};
  }
  visited_ += visited;
}

// Whether all tokens below a node lead the expression back to itself; `may_end`: it can end there, and where it can in
// between is asked too. To find out what leads back takes a step for each kind of byte, so that the first time it is
// done only if `look`.
bool Machine::keeps_all_below(RegexId regex, uint32_t node, bool look, bool may_end) {
  constexpr uint64_t kCharacters = uint64_t{1} << TokenTrie::kCharacters;
  constexpr uint64_t kStray = uint64_t{1} << TokenTrie::kStray_bytes;
  if (regex >= loop_kinds_.size()) loop_kinds_.resize(grammar_.regexes.size());
  if (loop_kinds_[regex] == 0) {
    if (!look) return false;
    const Regexes::Loops loops = grammar_.regexes.loops(regex);
    uint64_t others = 0;
    for (uint8_t byte = 0; byte < 0x80; ++byte) {
      if (!loops.bytes.has(byte)) others |= uint64_t{1} << TokenTrie::kind_of(byte);
    }
    const bool all_bytes = loops.bytes.has_all(0x80, 0xFF);
    if (!all_bytes) others |= kStray;
    if (!all_bytes && !loops.characters) others |= kCharacters;
    loop_kinds_[regex] = ~others;  // not 0: there are fewer kinds than bits
  }
  uint64_t kinds = loop_kinds_[regex];
  // Inside a character it cannot end, where behind one it can.
  if (may_end && (kinds & kStray) == 0) kinds &= ~kCharacters;
  return (trie_->kinds_below(node) & ~kinds) == 0;
}

// The tokens below a node of the trie at which the state is `state`.
void Machine::walk_state(uint32_t at, StateId state, std::span<uint64_t> mask) {
  const auto nodes = trie_->nodes();
  const size_t depth = nodes[at].depth;
  path_.assign(1, state);
  for (uint32_t i = at + 1; i < nodes[at].end;) {
    ++visited_;
    const TokenTrie::Node& node = nodes[i];
    const StateId next = step(path_[node.depth - 1u - depth], node.byte);
    if (next == kDead) {
      i = node.end;
      continue;
    }
    path_.resize(node.depth - depth);
    path_.push_back(next);
    for (int32_t token = node.token; token >= 0; token = trie_->same_text(token)) set_bit(token, mask);
    ++i;
  }
}

size_t Machine::memory_bytes() const {
  const size_t words = trie_ == nullptr ? 0 : sampling::mask_words(trie_->vocabulary());
  return grammar_.memory_bytes() + states_.capacity() * sizeof(State) + items_.capacity() * sizeof(Item) +
         stacks_.capacity() * sizeof(Stack) + frames_.capacity() * sizeof(Frame) + rows_.capacity() * sizeof(uint32_t) +
         state_interner_.bytes() + stack_interner_.bytes() + regex_mask_bytes_ + state_masks_.size() * words * 8;
}

// A stack's frames refer to older stacks only.
StateId Machine::import(const Machine& from, StateId state) {
  std::vector<bool> needed(from.stacks_.size());
  for (const Item& item : from.items(from.states_[state])) needed[item.stack] = true;
  for (size_t id = needed.size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (const Frame& frame : from.frames(from.stacks_[id])) {
      if (frame.node != kEnd) needed[frame.below] = true;
    }
  }
  std::vector<StackId> stacks(from.stacks_.size());
  for (size_t id = 0; id < needed.size(); ++id) {
    if (!needed[id]) continue;
    std::vector<Frame> moved;
    for (const Frame& frame : from.frames(from.stacks_[id])) {
      if (frame.node == kEnd) {
        moved.push_back({kEnd, 0});
        continue;
      }
      const Grammar::Node& node = from.grammar_.node(frame.node);
      NodeId moved_node = frame.node;
      if (frame.node >= original_->node_count()) {  // made on the way, of nodes that were there from the start
        moved_node = node.kind == Grammar::Kind::kRepeat
                         ? grammar_.repeat(node.a, node.b, node.c)
                         : grammar_.members_at(node.a, node.b, Grammar::Cursor::unpack(node.c));
      }
      moved.push_back({moved_node, stacks[frame.below]});
    }
    std::ranges::sort(moved);
    stacks[id] = intern_stack(std::move(moved));
  }
  std::unordered_map<RegexId, RegexId> regexes;
  std::vector<Item> items;
  for (const Item& item : from.items(from.states_[state])) {
    items.push_back({grammar_.regexes.import(from.grammar_.regexes, item.regex, regexes), stacks[item.stack]});
  }
  return intern_state(std::move(items), from.states_[state].accepts);
}

}  // namespace hearth::grammar
