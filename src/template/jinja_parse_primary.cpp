// Names, literals, lists and maps.
#include <charconv>

#include "template/jinja_parser.h"

namespace hearth::templates {
namespace {

std::unique_ptr<Literal> literal(Value value) {
  auto node = std::make_unique<Literal>();
  node->value = value;
  return node;
}

std::unique_ptr<Literal> text_literal(std::string text, bool big_number = false) {
  auto node = std::make_unique<Literal>();
  node->storage = std::move(text);
  node->string.text = node->storage;
  node->value = big_number ? Value::big(&node->string) : Value::string(&node->string);
  return node;
}

}  // namespace

ExpressionPtr ExpressionParser::primary() {
  switch (now().kind) {
    case Token::kName:
      return name_or_literal();
    case Token::kString:
      return string_literal();
    case Token::kInteger:
    case Token::kFloat:
      return number_literal();
    default:
      break;
  }
  if (is_operator("(")) return parenthesised();
  if (is_operator("[")) return list_literal();
  if (is_operator("{")) return dictionary();
  unexpected("an expression");
}

ExpressionPtr ExpressionParser::name_or_literal() {
  std::string name = take().text;
  if (name == "true" || name == "True") return literal(Value::boolean(true));
  if (name == "false" || name == "False") return literal(Value::boolean(false));
  if (name == "none" || name == "None") return literal(Value::none());
  uses_.loop += name == "loop";
  uses_.caller += name == "caller";
  uses_.varargs += name == "varargs";
  uses_.kwargs += name == "kwargs";
  return std::make_unique<Name>(std::move(name));
}

ExpressionPtr ExpressionParser::string_literal() {
  std::string text;
  while (is(Token::kString)) text += take().text;
  return text_literal(std::move(text));
}

ExpressionPtr ExpressionParser::number_literal() {
  const JinjaToken& token = take();
  int64_t value = 0;
  const char *begin = token.text.data(), *end = begin + token.text.size();
  if (token.kind == Token::kInteger && std::from_chars(begin, end, value).ec == std::errc()) {
    return literal(Value::integer(value));
  }
  auto big = text_literal(token.text, true);
  return token.kind == Token::kInteger ? std::move(big) : literal(Value::number(to_double(big->value)));
}

ExpressionPtr ExpressionParser::parenthesised() {
  expect_operator("(");
  ExpressionPtr node;
  if (is_operator(")")) {
    auto empty = std::make_unique<SequenceLiteral>();
    empty->type = Sequence::kTuple;
    node = std::move(empty);
  } else {
    node = tuple();
  }
  expect_operator(")");
  return node;
}

ExpressionPtr ExpressionParser::list_literal() {
  expect_operator("[");
  auto node = std::make_unique<SequenceLiteral>();
  while (!is_operator("]")) {
    if (!node->items.empty()) expect_operator(",");
    if (is_operator("]")) break;
    node->items.push_back(expression());
    raise_height(*node, node->items.back());
  }
  expect_operator("]");
  return node;
}

ExpressionPtr ExpressionParser::dictionary() {
  expect_operator("{");
  auto node = std::make_unique<Dictionary>();
  while (!is_operator("}")) {
    if (!node->entries.empty()) expect_operator(",");
    if (is_operator("}")) break;
    ExpressionPtr key = expression();
    expect_operator(":");
    node->entries.emplace_back(std::move(key), expression());
    raise_height(*node, node->entries.back().first);
    raise_height(*node, node->entries.back().second);
  }
  expect_operator("}");
  return node;
}

}  // namespace hearth::templates
