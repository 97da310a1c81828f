#include "template/go_run.h"

namespace hearth::templates::go {

void Run::execute(const Value& root, bool only_kept) {
  static const std::string kRoot;
  only_kept_ = only_kept;
  variables_ = {{&kRoot, root}};
  run(tree_.root, root);
}

Run::Flow Run::run(const NodeList& list, const Value& dot) {
  const Budget::Nested nested(context_.budget);
  context_.budget.work(1);
  const size_t count = only_kept_ ? std::min(list.kept, list.nodes.size()) : list.nodes.size();
  for (size_t i = 0; i < count; ++i) {
    context_.budget.work(1);
    try {
      if (const Flow flow = run(*list.nodes[i], dot); flow != Flow::kNext) return flow;
    } catch (Failure& failure) {
      if (failure.line == 0) failure.line = list.nodes[i]->line;
      throw;
    }
  }
  return Flow::kNext;
}

Run::Flow Run::run(const Node& node, const Value& dot) {
  switch (node.kind) {
    case Node::Kind::kText:
      out_.literal(node.text);
      break;
    case Node::Kind::kAction: {
      const Value value = evaluate(*node.pipeline, dot);
      if (!node.pipeline->variables.empty()) break;
      value.is(Kind::kNone) ? out_.literal("<no value>") : print(out_, value);
      break;
    }
    case Node::Kind::kIf:
    case Node::Kind::kWith:
      return choose(node, dot);
    case Node::Kind::kRange:
      range(node, dot);
      break;
    case Node::Kind::kTemplate:
      call_template(node, dot);
      break;
    case Node::Kind::kBreak:
      return Flow::kBreak;
    case Node::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Run::Flow Run::choose(const Node& node, const Value& dot) {
  const size_t scope = variables_.size();
  const Value value = evaluate(*node.pipeline, dot);
  Flow flow = Flow::kNext;
  if (is_true(value)) {
    flow = run(node.body, node.kind == Node::Kind::kWith ? value : dot);
  } else if (!(only_kept_ && node.drops_otherwise)) {
    flow = run(node.otherwise, dot);
  }
  variables_.resize(scope);
  return flow;
}

Run::Flow Run::iteration(const Node& node, const Value& key, const Value& value) {
  const size_t scope = variables_.size();
  const std::vector<std::string>& names = node.pipeline->variables;
  const auto give = [&](const std::string& name, const Value& given) {
    if (node.pipeline->assigns) {
      set(name, given);
    } else {
      variables_.push_back({&name, given});
    }
  };
  if (names.size() == 2) give(names[0], key);
  if (!names.empty()) give(names.back(), value);
  const Flow flow = run(node.body, value);
  variables_.resize(scope);
  return flow;
}

void Run::range(const Node& node, const Value& dot) {
  const Value value = evaluate(*node.pipeline, dot, false);
  bool any = false;
  if (value.is(Kind::kList)) {
    const auto& items = value.as_list().items;
    for (size_t i = 0; i < items.size(); ++i) {
      any = true;
      if (iteration(node, Value::integer(static_cast<int64_t>(i)), items[i]) == Flow::kBreak) break;
    }
  } else if (is_open_map(value)) {
    for (const Map::Entry* entry : sorted_entries(value.as_map())) {
      any = true;
      if (iteration(node, entry->key, entry->value) == Flow::kBreak) break;
    }
  } else if (!value.is(Kind::kNone)) {
    fail("a range cannot go through a value of type {}", go_type(value));
  }
  if (!any && !(only_kept_ && node.drops_otherwise)) run(node.otherwise, dot);
}

void Run::call_template(const Node& node, const Value& dot) {
  const auto found = tree_.templates.find(node.text);
  if (found == tree_.templates.end()) fail("the template \"{}\" is not defined", node.text);
  const Value root = node.pipeline != nullptr ? evaluate(*node.pipeline, dot) : Value::none();
  static const std::string kRoot;
  std::vector<Variable> outer = std::exchange(variables_, {{&kRoot, root}});
  run(found->second, root);
  variables_ = std::move(outer);
}

void Run::set(const std::string& name, const Value& value) {
  for (size_t i = variables_.size(); i-- > 0;) {
    if (*variables_[i].name != name) continue;
    variables_[i].value = value;
    return;
  }
}

Value Run::evaluate(const Pipeline& pipeline, const Value& dot, bool assigns) {
  const Budget::Nested nested(context_.budget);
  Value value;
  for (size_t i = 0; i < pipeline.commands.size(); ++i) {
    const Value piped = value;
    value = evaluate(pipeline.commands[i], dot, i > 0 ? &piped : nullptr);
  }
  if (!assigns) return value;
  for (const std::string& name : pipeline.variables) {
    if (pipeline.assigns) {
      set(name, value);
    } else {
      variables_.push_back({&name, value});
    }
  }
  return value;
}

Value Run::evaluate(const Command& command, const Value& dot, const Value* piped) {
  context_.budget.work(1);
  const Operand& first = *command.operands[0];
  if (first.kind == Operand::Kind::kFunction) return call(command, dot, piped);
  if (command.operands.size() > 1 || piped != nullptr) fail("a value is given arguments, but is no function");
  if (first.kind == Operand::Kind::kNil) fail("nil is no command");
  return operand(first, dot);
}

Value Run::call(const Command& command, const Value& dot, const Value* piped) {
  const FunctionEntry& function = *find_function(command.operands[0]->text);
  const size_t count = command.operands.size() - 1 + (piped != nullptr ? 1 : 0);
  if (count < function.least || count > function.most) fail("{} does not take {} arguments", function.name, count);
  std::vector<Value> arguments;
  for (size_t i = 1; i < command.operands.size() + (piped != nullptr ? 1 : 0); ++i) {
    const Value value = i < command.operands.size() ? operand(*command.operands[i], dot) : *piped;
    // `and` and `or` give the argument that decides, and evaluate no more.
    if (function.run == nullptr && (is_true(value) == (function.name == "or") || i == count)) return value;
    arguments.push_back(value);
  }
  return function.run(context_, arguments);
}

Value Run::operand(const Operand& operand, const Value& dot) {
  const Budget::Nested nested(context_.budget);
  context_.budget.work(1);
  Value value = dot;
  switch (operand.kind) {
    case Operand::Kind::kConstant:
      return operand.constant;
    case Operand::Kind::kNil:
      return Value::none();
    case Operand::Kind::kFunction: {
      const FunctionEntry& function = *find_function(operand.text);
      if (function.least > 0) fail("{} needs arguments", function.name);
      return function.run(context_, {});
    }
    case Operand::Kind::kParenthesised:
      value = evaluate(*operand.inner, dot);
      break;
    case Operand::Kind::kVariable:
      for (const Variable& variable : variables_) {
        if (*variable.name == operand.text) value = variable.value;  // the innermost of that name
      }
      break;
    default:
      break;
  }
  for (const std::string& name : operand.fields) value = field(context_.budget, value, name);
  return value;
}

}  // namespace hearth::templates::go
