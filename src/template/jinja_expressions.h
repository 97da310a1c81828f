// The kinds of expression in Jinja.
#pragma once

#include "template/jinja_builtins.h"

namespace hearth::templates {

struct Literal : Expression {
  Value evaluate(Render&) const override { return value; }

  Value value;
  std::string storage;  // of a text
  String string;
};

struct Name : Expression {
  explicit Name(std::string text) : name(std::move(text)), string{name} {}
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override { take(*this); }

  std::string name;
  String string;
  Address address;
};

// A tuple or a list.
struct SequenceLiteral : Expression {
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override;

  Sequence type = Sequence::kList;
  std::vector<ExpressionPtr> items;
};

struct Dictionary : Expression {
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override;

  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};

struct Unary : Expression {
  enum class Kind : uint8_t { kNot, kMinus, kPlus };
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override { operand->each_name(take); }

  Kind kind = Kind::kNot;
  ExpressionPtr operand;
};

struct Arithmetic : Expression {
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override;

  Operator operation = Operator::kAdd;
  ExpressionPtr left, right;
};

// `and` and `or` give the operand that decides.
struct Logic : Expression {
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override;

  bool is_and = false;
  ExpressionPtr left, right;
};

// a ~ b ~ c
struct Concatenation : Expression {
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override;

  std::vector<ExpressionPtr> parts;
};

// a < b <= c: every neighbour is compared.
struct Comparison : Expression {
  enum class Kind : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override;

  ExpressionPtr first;
  std::vector<std::pair<Kind, ExpressionPtr>> others;
};

struct Conditional : Expression {
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override;

  ExpressionPtr condition, then, otherwise;  // `otherwise` may be null
};

struct Attribute : Expression {
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override { object->each_name(take); }

  ExpressionPtr object;
  std::string name;
  String string;
  Methods methods;
};

struct Item : Expression {
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override;

  ExpressionPtr object, key;
};

struct Slice : Expression {
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override;

  ExpressionPtr object, begin, end, step;  // the last three may be null
};

struct CallArguments {
  void each_name(const TakeName& take);

  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr more_positional, more_named;  // *list, **map; may be null
};

// The values of arguments while a call runs.
class Evaluated {
 public:
  Evaluated(Render& render, const CallArguments& arguments);
  void add(std::string_view name, const Value& value) { named_.emplace_back(name, value); }
  Arguments get() const { return {positional_, named_}; }

 private:
  std::vector<Value> positional_;
  std::vector<std::pair<std::string_view, Value>> named_;
};

struct Call : Expression {
  Value evaluate(Render& render) const override { return call_with(render, Value()); }
  // `caller`: of a call block; missing otherwise.
  Value call_with(Render& render, const Value& caller) const;
  void each_name(const TakeName& take) override;

  ExpressionPtr function;
  CallArguments arguments;
};

struct Filter : Expression {
  Value evaluate(Render& render) const override { return apply(render, render.evaluate(*operand)); }
  Value apply(Render& render, const Value& value) const;
  void each_name(const TakeName& take) override;

  ExpressionPtr operand;  // null in the filters of a block, which are given its text
  std::string name;
  Builtin builtin = nullptr;  // null: unknown, which is said when it is reached
  CallArguments arguments;
};

struct TestExpression : Expression {
  Value evaluate(Render& render) const override;
  void each_name(const TakeName& take) override;

  ExpressionPtr operand;
  std::string name;
  Test test = nullptr;
  bool negated = false;
  CallArguments arguments;
};

}  // namespace hearth::templates
