#include "template/jinja_parser.h"

namespace hearth::templates {
bool ExpressionParser::skip_operator(std::string_view text) {
  if (!is_operator(text)) return false;
  take();
  return true;
}

bool ExpressionParser::skip_name(std::string_view text) {
  if (!is_name(text)) return false;
  take();
  return true;
}

void ExpressionParser::unexpected(std::string_view wanted) const {
  const JinjaToken& token = now();
  std::string found = token.text;
  if (token.kind == Token::kEnd) found = "the end of the template";
  if (token.kind == Token::kTagEnd) found = "%}";
  if (token.kind == Token::kOutputEnd) found = "}}";
  if (token.kind == Token::kText) found = "text";
  throw Failure{fmt::format("{} is expected, not \"{}\"", wanted, found.substr(0, 40)), token.line};
}

void ExpressionParser::expect_operator(std::string_view text) {
  if (!skip_operator(text)) unexpected(fmt::format("\"{}\"", text));
}

void ExpressionParser::expect(Token kind, std::string_view what) {
  if (!is(kind)) unexpected(what);
  take();
}

std::string ExpressionParser::expect_name() {
  if (!is(Token::kName)) unexpected("a name");
  return take().text;
}

bool ExpressionParser::ends_tuple() const {
  return is(Token::kTagEnd) || is(Token::kOutputEnd) || is(Token::kEnd) || is_operator(")") || is_operator("=") ||
         is_name("in") || is_name("recursive");
}

ExpressionPtr ExpressionParser::tuple(bool conditions) {
  auto node = std::make_unique<SequenceLiteral>();
  node->type = Sequence::kTuple;
  bool is_tuple = false;
  while (!ends_tuple()) {
    node->items.push_back(expression(conditions));
    raise_height(*node, node->items.back());
    if (!skip_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && node->items.empty()) unexpected("an expression");
  if (!is_tuple) return std::move(node->items[0]);
  return node;
}

ExpressionPtr ExpressionParser::expression(bool conditions) {
  const Nesting nesting(*this);
  return conditions ? conditional() : logic_or();
}

ExpressionPtr ExpressionParser::conditional() {
  ExpressionPtr node = logic_or();
  while (skip_name("if")) {
    auto choice = std::make_unique<Conditional>();
    choice->then = std::move(node);
    choice->condition = logic_or();
    if (skip_name("else")) choice->otherwise = expression();
    raise_height(*choice, choice->then);
    raise_height(*choice, choice->condition);
    raise_height(*choice, choice->otherwise);
    node = std::move(choice);
  }
  return node;
}

ExpressionPtr ExpressionParser::logic_or() {
  ExpressionPtr left = logic_and();
  while (skip_name("or")) {
    auto node = std::make_unique<Logic>();
    node->left = std::move(left);
    node->right = logic_and();
    raise_height(*node, node->left);
    raise_height(*node, node->right);
    left = std::move(node);
  }
  return left;
}

ExpressionPtr ExpressionParser::logic_and() {
  ExpressionPtr left = logic_not();
  while (skip_name("and")) {
    auto node = std::make_unique<Logic>();
    node->is_and = true;
    node->left = std::move(left);
    node->right = logic_not();
    raise_height(*node, node->left);
    raise_height(*node, node->right);
    left = std::move(node);
  }
  return left;
}

ExpressionPtr ExpressionParser::logic_not() {
  if (!skip_name("not")) return comparison();
  const Nesting nesting(*this);
  auto node = std::make_unique<Unary>();
  node->operand = logic_not();
  raise_height(*node, node->operand);
  return node;
}

ExpressionPtr ExpressionParser::comparison() {
  static constexpr std::string_view kOperators[] = {"==", "!=", "<", "<=", ">", ">="};
  auto node = std::make_unique<Comparison>();
  node->first = sum();
  raise_height(*node, node->first);
  for (;;) {
    const auto known = std::ranges::find(kOperators, now().text);
    Comparison::Kind kind;
    if (is(Token::kOperator) && known != std::end(kOperators)) {
      kind = static_cast<Comparison::Kind>(known - std::begin(kOperators));
    } else if (is_name("in")) {
      kind = Comparison::Kind::kIn;
    } else if (is_name("not") && next().kind == Token::kName && next().text == "in") {
      kind = Comparison::Kind::kNotIn;
      take();
    } else {
      break;
    }
    take();
    node->others.emplace_back(kind, sum());
    raise_height(*node, node->others.back().second);
  }
  if (node->others.empty()) return std::move(node->first);
  return node;
}

ExpressionPtr ExpressionParser::arithmetic(Operator operation, ExpressionPtr left, ExpressionPtr right) {
  auto node = std::make_unique<Arithmetic>();
  node->operation = operation;
  node->left = std::move(left);
  node->right = std::move(right);
  raise_height(*node, node->left);
  raise_height(*node, node->right);
  return node;
}

ExpressionPtr ExpressionParser::sum() {
  ExpressionPtr left = concatenation();
  for (;;) {
    if (skip_operator("+")) {
      left = arithmetic(Operator::kAdd, std::move(left), concatenation());
    } else if (skip_operator("-")) {
      left = arithmetic(Operator::kSubtract, std::move(left), concatenation());
    } else {
      return left;
    }
  }
}

ExpressionPtr ExpressionParser::concatenation() {
  ExpressionPtr first = product();
  if (!is_operator("~")) return first;
  auto node = std::make_unique<Concatenation>();
  node->parts.push_back(std::move(first));
  while (skip_operator("~")) node->parts.push_back(product());
  for (const ExpressionPtr& part : node->parts) raise_height(*node, part);
  return node;
}

ExpressionPtr ExpressionParser::product() {
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"*", Operator::kMultiply}, {"/", Operator::kDivide}, {"//", Operator::kFloorDivide}, {"%", Operator::kModulo}};
  ExpressionPtr left = power();
  for (;;) {
    const auto known = std::ranges::find(kOperators, now().text, &std::pair<std::string_view, Operator>::first);
    if (!is(Token::kOperator) || known == std::end(kOperators)) return left;
    take();
    left = arithmetic(known->second, std::move(left), power());
  }
}

// Unlike in Python, powers go from left to right and bind weaker than a sign.
ExpressionPtr ExpressionParser::power() {
  ExpressionPtr left = unary();
  while (skip_operator("**")) left = arithmetic(Operator::kPower, std::move(left), unary());
  return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  ExpressionPtr node;
  if (is_operator("-") || is_operator("+")) {
    const Nesting nesting(*this);
    auto sign = std::make_unique<Unary>();
    sign->kind = take().text == "-" ? Unary::Kind::kMinus : Unary::Kind::kPlus;
    sign->operand = unary(false);
    raise_height(*sign, sign->operand);
    node = std::move(sign);
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filters ? filtered(std::move(node)) : std::move(node);
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr object) {
  for (;;) {
    if (skip_operator(".")) {
      object = dotted(std::move(object));
    } else if (is_operator("[")) {
      object = subscript(std::move(object));
    } else if (is_operator("(")) {
      object = call(std::move(object));
    } else {
      return object;
    }
  }
}

ExpressionPtr ExpressionParser::dotted(ExpressionPtr object) {
  if (is(Token::kName)) {
    auto node = std::make_unique<Attribute>();
    node->object = std::move(object);
    node->name = take().text;
    node->string.text = node->name;
    node->methods = find_methods(node->name);
    raise_height(*node, node->object);
    return node;
  }
  if (!is(Token::kInteger)) unexpected("a name or a number");
  auto node = std::make_unique<Item>();
  node->object = std::move(object);
  node->key = number_literal();
  raise_height(*node, node->object);
  return node;
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr object) {
  expect_operator("[");
  const auto part = [&]() -> ExpressionPtr { return is_operator(":") || is_operator("]") ? nullptr : expression(); };
  ExpressionPtr first = part();
  if (first == nullptr && is_operator("]")) unexpected("an expression");
  if (!is_operator(":")) {
    auto node = std::make_unique<Item>();
    node->object = std::move(object);
    node->key = std::move(first);
    raise_height(*node, node->object);
    raise_height(*node, node->key);
    expect_operator("]");
    return node;
  }
  auto node = std::make_unique<Slice>();
  node->object = std::move(object);
  node->begin = std::move(first);
  take();
  node->end = part();
  if (skip_operator(":")) node->step = part();
  for (const ExpressionPtr* child : {&node->object, &node->begin, &node->end, &node->step}) raise_height(*node, *child);
  expect_operator("]");
  return node;
}

ExpressionPtr ExpressionParser::call(ExpressionPtr function) {
  auto node = std::make_unique<Call>();
  node->function = std::move(function);
  node->arguments = arguments();
  raise_height(*node, node->function);
  return node;
}

CallArguments ExpressionParser::arguments() {
  const Nesting nesting(*this);
  CallArguments result;
  expect_operator("(");
  for (bool first = true; !is_operator(")"); first = false) {
    if (!first) expect_operator(",");
    if (is_operator(")")) break;
    if (skip_operator("**")) {
      if (result.more_named != nullptr) unexpected("one map behind **");
      result.more_named = expression();
    } else if (skip_operator("*")) {
      if (result.more_positional != nullptr || result.more_named != nullptr) unexpected("one list behind *");
      result.more_positional = expression();
    } else if (is(Token::kName) && next().kind == Token::kOperator && next().text == "=") {
      std::string name = take().text;
      take();
      result.named.emplace_back(std::move(name), expression());
    } else {
      if (!result.named.empty() || result.more_positional != nullptr || result.more_named != nullptr) {
        unexpected("an argument with a name");
      }
      result.positional.push_back(expression());
    }
  }
  expect_operator(")");
  return result;
}

ExpressionPtr ExpressionParser::filtered(ExpressionPtr operand) {
  for (;;) {
    if (is_operator("|")) {
      take();
      operand = filter(std::move(operand));
    } else if (is_name("is")) {
      operand = test(std::move(operand));
    } else if (is_operator("(")) {
      operand = call(std::move(operand));
    } else {
      return operand;
    }
  }
}

std::unique_ptr<Filter> ExpressionParser::filter(ExpressionPtr operand) {
  auto node = std::make_unique<Filter>();
  node->name = expect_name();
  while (skip_operator(".")) node->name += "." + expect_name();
  node->builtin = find_filter(node->name);
  node->operand = std::move(operand);
  raise_height(*node, node->operand);
  if (is_operator("(")) node->arguments = arguments();
  return node;
}

bool ExpressionParser::begins_test_argument() const {
  if (is(Token::kString) || is(Token::kInteger) || is(Token::kFloat)) return true;
  if (is_operator("[") || is_operator("{")) return true;
  return is(Token::kName) && !is_name("else") && !is_name("or") && !is_name("and");
}

ExpressionPtr ExpressionParser::test(ExpressionPtr operand) {
  take();
  auto node = std::make_unique<TestExpression>();
  node->negated = skip_name("not");
  node->name = expect_name();
  while (skip_operator(".")) node->name += "." + expect_name();
  node->test = find_test(node->name);
  node->operand = std::move(operand);
  raise_height(*node, node->operand);
  if (is_operator("(")) {
    node->arguments = arguments();
  } else if (is_name("is")) {
    unexpected("no second test: they cannot be chained");
  } else if (begins_test_argument()) {
    node->arguments.positional.push_back(postfix(primary()));
    raise_height(*node, node->arguments.positional[0]);
  }
  return node;
}

Target ExpressionParser::one_target(bool with_attributes) {
  const Nesting nesting(*this);
  Target result;
  if (skip_operator("(")) {
    result = target(false);
    expect_operator(")");
    return result;
  }
  result.name = expect_name();
  for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
    if (result.name == constant) fail("\"{}\" cannot be assigned to", constant);
  }
  if (with_attributes && skip_operator(".")) result.attribute = expect_name();
  return result;
}

Target ExpressionParser::target(bool with_attributes) {
  Target first = one_target(with_attributes);
  if (!is_operator(",")) return first;
  Target all;
  all.parts.push_back(std::move(first));
  while (skip_operator(",")) {
    if (!is(Token::kName) && !is_operator("(")) break;
    all.parts.push_back(one_target(with_attributes));
  }
  return all;
}

}  // namespace hearth::templates
