// The tree of a Go template, as Go's text/template/parse has it. Language: pkg.go.dev/text/template.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "template/value.h"

namespace hearth::templates::go {

struct Pipeline;

// One operand of a command.
struct Operand {
  enum class Kind : uint8_t { kConstant, kNil, kDot, kField, kVariable, kFunction, kParenthesised };

  Kind kind = Kind::kDot;
  std::string text;  // of a text constant; the name of a variable or function
  String string;     // refers to `text`
  Value constant;
  std::vector<std::string> fields;  // .a.b, behind a variable or a parenthesis too
  std::unique_ptr<Pipeline> inner;  // of a parenthesis
};

struct Command {
  std::vector<std::unique_ptr<Operand>> operands;
};

struct Pipeline {
  std::vector<std::string> variables;  // that are declared, or assigned
  bool assigns = false;                // "=" in place of ":="
  std::vector<Command> commands;
};

struct Node;
struct NodeList {
  std::vector<std::unique_ptr<Node>> nodes;
  size_t kept = SIZE_MAX;  // nodes that the last turn executes, see cut_behind()
};

struct Node {
  enum class Kind : uint8_t { kText, kAction, kIf, kWith, kRange, kTemplate, kBreak, kContinue };

  Kind kind = Kind::kText;
  int line = 0;
  std::string text;  // of text; the name of a template that is called
  std::unique_ptr<Pipeline> pipeline;
  NodeList body, otherwise;
  bool has_otherwise = false, drops_otherwise = false;
};

struct Tree {
  NodeList root;
  std::map<std::string, NodeList> templates;  // by name
};

// Fails, with the line, for what is no template.
Tree parse(std::string_view source);
bool is_function(std::string_view name);
// Collects the lower-case names of all fields that pipelines use, but neither in declarations nor behind parentheses.
// Fails for a {{template}} without a value, of which nobody knows what it uses.
void collect_mentions(const Tree& tree, std::map<std::string, bool>* found);
// Marks what of the template remains up to the first action that prints this field (in lower case).
void cut_behind(Tree& tree, const std::string& field);

}  // namespace hearth::templates::go
