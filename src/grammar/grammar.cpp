#include "grammar/grammar.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"

namespace hearth::grammar {

Grammar::Grammar() {
  intern({Kind::kNothing});
  intern({Kind::kEpsilon});
}

NodeId Grammar::intern(const Node& node) {
  uint64_t hash = mix_hash(static_cast<uint64_t>(node.kind), node.a);
  hash = mix_hash(mix_hash(hash, node.b), node.c);
  const uint32_t found = interner_.find(hash, [&](uint32_t id) { return nodes_[id] == node; });
  if (found != Interner::kNone) return found;
  const auto id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back(node);
  interner_.insert(hash, id);
  return id;
}

NodeId Grammar::term(RegexId regex) {
  if (regex == Regexes::kEmpty) return kNothing;
  if (regex == Regexes::kEpsilon) return kEpsilon;
  return intern({Kind::kTerm, regex});
}

NodeId Grammar::sequence(NodeId first, NodeId second) {
  if (first == kNothing || second == kNothing) return kNothing;
  if (first == kEpsilon) return second;
  if (second == kEpsilon) return first;
  const Node a = nodes_[first];
  if (a.kind == Kind::kSequence) return sequence(a.a, sequence(a.b, second));
  return intern({Kind::kSequence, first, second});
}

NodeId Grammar::sequence(std::initializer_list<NodeId> parts) {
  NodeId whole = kEpsilon;
  for (auto part = std::rbegin(parts); part != std::rend(parts); ++part) whole = sequence(*part, whole);
  return whole;
}

NodeId Grammar::choice(std::vector<NodeId> alternatives) {
  std::vector<NodeId> kept;
  for (const NodeId alternative : alternatives) {
    if (alternative != kNothing && std::ranges::find(kept, alternative) == kept.end()) kept.push_back(alternative);
  }
  if (kept.empty()) return kNothing;
  if (kept.size() == 1) return kept[0];
  const auto first = static_cast<uint32_t>(choices_.size());
  choices_.insert(choices_.end(), kept.begin(), kept.end());
  return intern({Kind::kChoice, first, static_cast<uint32_t>(kept.size())});
}

NodeId Grammar::repeat(NodeId node, uint32_t least, uint32_t most) {
  if (most == 0 || node == kEpsilon) return kEpsilon;
  if (least == 1 && most == 1) return node;
  if (node == kNothing) return least == 0 ? kEpsilon : kNothing;
  return intern({Kind::kRepeat, node, least, most});
}

NodeId Grammar::rule_node(RuleId rule) {
  return intern({Kind::kRule, rule});
}

NodeId Grammar::members(ObjectRule object) {
  objects_.push_back(std::move(object));
  return members_at(static_cast<uint32_t>(objects_.size() - 1), 0, {});
}

NodeId Grammar::members_at(uint32_t object, uint32_t position, Cursor cursor) {
  return intern({Kind::kMembers, object, position, cursor.packed()});
}

RuleId Grammar::add_rule(std::string name) {
  rules_.push_back({.name = std::move(name)});
  return static_cast<RuleId>(rules_.size() - 1);
}

bool Grammar::nullable(NodeId id) const {
  for (;;) {
    const Node& node = nodes_[id];
    switch (node.kind) {
      case Kind::kNothing:
      case Kind::kMembers:
        return false;
      case Kind::kEpsilon:
        return true;
      case Kind::kTerm:
        return regexes.nullable(node.a);
      case Kind::kRule:
        return rules_[node.a].nullable;
      case Kind::kRepeat:
        return node.b == 0 || nullable(node.a);
      case Kind::kChoice:
        for (uint32_t i = 0; i < node.b; ++i) {
          if (nullable(choices_[node.a + i])) return true;
        }
        return false;
      case Kind::kSequence:
        if (!nullable(node.a)) return false;
        id = node.b;
    }
  }
}

bool Grammar::has_text(NodeId id) {
  for (;;) {
    const Node node = nodes_[id];
    switch (node.kind) {
      case Kind::kNothing:
        return false;
      case Kind::kEpsilon:
        return true;
      case Kind::kTerm:
        return regexes.alive(node.a);
      case Kind::kRule:
        return rules_[node.a].productive;
      case Kind::kRepeat:
        return node.b == 0 || has_text(node.a);
      case Kind::kMembers:
        return has_text(objects_[node.a]);
      case Kind::kChoice:
        for (uint32_t i = 0; i < node.b; ++i) {
          if (has_text(choices_[node.a + i])) return true;
        }
        return false;
      case Kind::kSequence:
        if (!has_text(node.a)) return false;
        id = node.b;
    }
  }
}

bool Grammar::has_text(const ObjectRule& object) {
  const auto possible = [&](const ObjectRule::Member& member) {
    return regexes.alive(member.key) && has_text(member.value);
  };
  uint32_t required = 0, available = 0;
  for (const ObjectRule::Member& member : object.members) {
    if (possible(member)) {
      ++available;
      required += member.required;
    } else if (member.required) {
      return false;
    }
  }
  const bool others = std::ranges::any_of(object.others, possible);
  const bool demanded = std::ranges::any_of(object.demanded, possible);
  if (!object.demanded.empty() && !demanded) return false;
  required += object.demanded.empty() ? 0 : 1;
  return required <= object.most && (others || demanded || available >= object.least);
}

void Grammar::prune(ObjectRule& object) {
  const auto impossible = [&](const ObjectRule::Member& member) {
    return !regexes.alive(member.key) || !has_text(member.value);
  };
  std::erase_if(object.others, impossible);
  std::erase_if(object.demanded, impossible);
  std::erase_if(object.members, impossible);
  object.required_from.assign(object.members.size() + 1, 0);
  for (size_t i = object.members.size(); i-- > 0;) {
    object.required_from[i] = object.required_from[i + 1] + object.members[i].required;
  }
}

// Least fixed points: a rule is nullable or has a text if its body does, given what is known of the others.
void Grammar::find_properties() {
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = rules_.size(); i-- > 0;) {
      Rule& rule = rules_[i];
      if (!rule.nullable && nullable(rule.body)) rule.nullable = changed = true;
      if (!rule.productive && has_text(rule.body)) rule.productive = changed = true;
    }
  }
  productive_.resize(nodes_.size());
  for (NodeId id = 0; id < nodes_.size(); ++id) productive_[id] = has_text(id);
  for (ObjectRule& object : objects_) {
    if (has_text(object)) prune(object);
  }
}

void Grammar::left_calls(NodeId id, std::vector<RuleId>& out) const {
  for (;;) {
    const Node& node = nodes_[id];
    switch (node.kind) {
      case Kind::kRule:
        out.push_back(node.a);
        return;
      case Kind::kRepeat:
        id = node.a;
        continue;
      case Kind::kChoice:
        for (uint32_t i = 0; i < node.b; ++i) left_calls(choices_[node.a + i], out);
        return;
      case Kind::kSequence:
        left_calls(node.a, out);
        if (!nullable(node.a)) return;
        id = node.b;
        continue;
      default:
        return;
    }
  }
}

// Depth first over "may begin with": a rule is numbered after all that it may begin with.
Status Grammar::order_rules() {
  enum class State : uint8_t { kNew, kOpen, kDone };
  std::vector<State> states(rules_.size(), State::kNew);
  struct Visit {
    RuleId rule;
    std::vector<RuleId> calls;
    size_t next = 0;
  };
  uint32_t rank = static_cast<uint32_t>(rules_.size());
  for (RuleId first = 0; first < rules_.size(); ++first) {
    std::vector<Visit> path;
    const auto open = [&](RuleId rule) {
      states[rule] = State::kOpen;
      path.push_back({rule, {}});
      left_calls(rules_[rule].body, path.back().calls);
    };
    if (states[first] == State::kNew) open(first);
    while (!path.empty()) {
      Visit& visit = path.back();
      if (visit.next == visit.calls.size()) {
        states[visit.rule] = State::kDone;
        rules_[visit.rule].rank = rank--;
        path.pop_back();
        continue;
      }
      const RuleId called = visit.calls[visit.next++];
      if (states[called] == State::kOpen) {
        return error(ErrorKind::kUnsupported,
                     "the grammar's rule \"{}\" may begin with itself (left recursion); write it as a repetition",
                     rules_[called].name);
      }
      if (states[called] == State::kNew) open(called);
    }
  }
  return {};
}

Status Grammar::finish(NodeId start) {
  start_ = start;
  find_properties();
  TRY(order_rules());
  if (!productive_[start]) return error(ErrorKind::kUsage, "no text can satisfy it");
  regexes.freeze();
  return {};
}

size_t Grammar::memory_bytes() const {
  return regexes.memory_bytes() + nodes_.capacity() * sizeof(Node) + choices_.capacity() * sizeof(NodeId) +
         interner_.bytes();
}

}  // namespace hearth::grammar
