#include "template/go_tree.h"
#include "template/unicode.h"

namespace hearth::templates::go {
namespace {

using Mentions = std::map<std::string, bool>;

void mention(const std::string& name, Mentions* found) {
  std::string lower;
  for (size_t i = 0; i < name.size(); i += unicode::width(name[i]))
    unicode::append_lower(unicode::decode(std::string_view(name).substr(i)), &lower);
  (*found)[lower] = true;
}

void collect(const Pipeline& pipeline, Mentions* found) {
  for (const Command& command : pipeline.commands) {
    for (const auto& operand : command.operands) {
      const bool parenthesised = operand->kind == Operand::Kind::kParenthesised;
      if (parenthesised && operand->fields.empty()) collect(*operand->inner, found);
      if (parenthesised) continue;
      if (operand->kind == Operand::Kind::kVariable) mention(operand->text, found);
      for (const std::string& name : operand->fields) mention(name, found);
    }
  }
}

void collect(const NodeList& list, Mentions* found) {
  for (const auto& node : list.nodes) {
    if (node->kind == Node::Kind::kTemplate && node->pipeline == nullptr) {
      throw Failure{"a {{template}} needs a value here", node->line};
    }
    if (node->pipeline != nullptr) collect(*node->pipeline, found);
    collect(node->body, found);
    collect(node->otherwise, found);
  }
}

// Whether the list has an action that prints the field; what follows it is dropped.
bool cut(NodeList& list, const std::string& field) {
  for (size_t i = 0; i < list.nodes.size(); ++i) {
    Node& node = *list.nodes[i];
    bool done = false;
    if (node.kind == Node::Kind::kAction) {
      Mentions found;
      collect(*node.pipeline, &found);
      done = found.contains(field);
    } else if (cut(node.body, field)) {
      done = node.drops_otherwise = true;
    } else {
      done = cut(node.otherwise, field);
    }
    if (done) {
      list.kept = i + 1;
      return true;
    }
  }
  return false;
}

}  // namespace

void collect_mentions(const Tree& tree, Mentions* found) {
  collect(tree.root, found);
  for (const auto& [name, body] : tree.templates) collect(body, found);
}

void cut_behind(Tree& tree, const std::string& field) {
  cut(tree.root, field);
}

}  // namespace hearth::templates::go
