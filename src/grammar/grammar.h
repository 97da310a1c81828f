// A context-free grammar over regular expressions: what JSON schemas, GBNF, tools and their mixtures are compiled to.
// Built once, then immutable; machine.h runs it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "grammar/interner.h"
#include "grammar/regexes.h"

namespace hearth::grammar {

using NodeId = uint32_t;
using RuleId = uint32_t;

// The members of a JSON object, from the first key to the closing brace: declared ones in their order, some of which
// may be left out, then others. A node for each point in them is made when a text gets there.
struct ObjectRule {
  struct Member {
    RegexId key;  // with the colon
    NodeId value;
    bool required;
  };
  std::vector<Member> members;
  std::vector<Member> others;    // `required` is not used
  std::vector<Member> demanded;  // if not empty, one of these must be among the others
  uint32_t least = 0, most = kUnbounded;
  RegexId comma, close, close_empty;
  std::vector<uint32_t> required_from;  // of the members from each place on; set by Grammar::finish()
};

class Grammar {
 public:
  enum class Kind : uint8_t {
    kNothing,   // no text
    kEpsilon,   // the empty text
    kTerm,      // a: expression
    kSequence,  // a, b: nodes
    kChoice,    // a, b: place and number of nodes in `choices`
    kRule,      // a: rule
    kRepeat,    // a: node, b: least, c: most
    kMembers,   // a: object, b: next declared member, c: Cursor
  };
  struct Node {
    Kind kind;
    uint32_t a = 0, b = 0, c = 0;
    bool operator==(const Node&) const = default;
  };
  // Where in the members of an object: how many there were (as far as that matters), whether a key must come, and
  // whether a demanded one was.
  struct Cursor {
    uint32_t count = 0;
    bool at_key = false, demand_met = false;
    uint32_t packed() const { return count << 2 | uint32_t{at_key} << 1 | uint32_t{demand_met}; }
    static Cursor unpack(uint32_t c) { return {c >> 2, (c & 2) != 0, (c & 1) != 0}; }
  };
  static constexpr uint32_t kMost_members = 1u << 28;
  static constexpr NodeId kNothing = 0, kEpsilon = 1;

  Grammar();

  NodeId term(RegexId regex);
  NodeId sequence(NodeId first, NodeId second);
  NodeId sequence(std::initializer_list<NodeId> parts);
  NodeId choice(std::vector<NodeId> alternatives);
  NodeId optional(NodeId node) { return choice({node, kEpsilon}); }
  NodeId repeat(NodeId node, uint32_t least, uint32_t most);
  NodeId rule_node(RuleId rule);
  NodeId members(ObjectRule object);
  NodeId members_at(uint32_t object, uint32_t position, Cursor cursor);
  // A rule gets its body later, so that it may call itself. The name is for messages.
  RuleId add_rule(std::string name);
  void set_body(RuleId rule, NodeId body) { rules_[rule].body = body; }

  // Checks and closes it. Errors: kUnsupported (a rule begins with itself, named), kUsage (`start` has no text).
  Status finish(NodeId start);

  const Node& node(NodeId id) const { return nodes_[id]; }
  NodeId choice_at(uint32_t i) const { return choices_[i]; }
  NodeId body(RuleId rule) const { return rules_[rule].body; }
  uint32_t rank(RuleId rule) const { return rules_[rule].rank; }  // rules that may begin with another have a lower one
  const ObjectRule& object(uint32_t id) const { return objects_[id]; }
  // Whether it has a text; nodes that were made after finish() do.
  bool productive(NodeId id) const { return id >= productive_.size() || productive_[id]; }
  NodeId start() const { return start_; }
  size_t node_count() const { return nodes_.size(); }
  size_t rule_count() const { return rules_.size(); }
  size_t memory_bytes() const;

  Regexes regexes;

 private:
  struct Rule {
    std::string name;
    NodeId body = kNothing;
    uint32_t rank = 0;
    bool nullable = false, productive = false;
  };
  NodeId intern(const Node& node);
  bool nullable(NodeId id) const;
  bool has_text(NodeId id);
  bool has_text(const ObjectRule& object);
  void find_properties();
  void prune(ObjectRule& object);
  Status order_rules();
  void left_calls(NodeId id, std::vector<RuleId>& out) const;

  std::vector<Node> nodes_;
  std::vector<NodeId> choices_;
  std::vector<Rule> rules_;
  std::vector<ObjectRule> objects_;
  std::vector<bool> productive_;
  Interner interner_;
  NodeId start_ = kNothing;
};

}  // namespace hearth::grammar
