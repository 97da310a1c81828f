// The tree of a compiled Jinja template: what every expression and every statement can do. The kinds are in
// jinja_expressions.h and jinja_statements.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "template/object.h"
#include "template/symbols.h"

namespace hearth::templates {

struct Name;
using TakeName = std::function<void(Name&)>;

struct Expression {
  virtual ~Expression() = default;
  virtual Value evaluate(Render& render) const = 0;
  // Calls take() for every variable in the expression.
  virtual void each_name(const TakeName&) {}

  int height = 1;  // of the tree; see kMaxHeight
};
using ExpressionPtr = std::unique_ptr<Expression>;

enum class Flow : uint8_t { kNext, kBreak, kContinue };

struct Statement {
  virtual ~Statement() = default;
  virtual Flow run(Render& render) const = 0;
  // Says which names the scope that the statement stands in loads and stores.
  virtual void declare(Symbols&) {}
  // Turns names into addresses, after all statements of the scope have declared theirs.
  virtual void bind(Symbols&) {}

  int line = 0;
};
using StatementPtr = std::unique_ptr<Statement>;
using Body = std::vector<StatementPtr>;

// What is assigned to: a name, several, or an attribute of a namespace.
struct Target {
  std::string name;       // empty where there are parts
  std::string attribute;  // of the namespace `name`
  std::vector<Target> parts;
  Address address;

  void declare(Symbols& symbols) const;
  void declare_parameters(Symbols& symbols) const;
  void bind(const Symbols& symbols);
  void assign(Render& render, const Value& value) const;
};

// The slots of a scope and what enters them.
struct Scope {
  std::vector<std::pair<uint32_t, Load>> loads;

  void take(const Symbols& symbols);
  void enter(Render& render) const;
};

void declare_body(const Body& body, Symbols& symbols);
void bind_body(const Body& body, Symbols& symbols);
void declare_names(Expression* expression, Symbols& symbols);  // null is allowed
void bind_names(Expression* expression, const Symbols& symbols);

}  // namespace hearth::templates
