// The kinds of statement in Jinja.
#pragma once

#include "template/jinja_expressions.h"

namespace hearth::templates {

struct Text : Statement {
  Flow run(Render& render) const override;

  std::string text;
};

struct Output : Statement {
  Flow run(Render& render) const override;
  void declare(Symbols& symbols) override { declare_names(value.get(), symbols); }
  void bind(Symbols& symbols) override { bind_names(value.get(), symbols); }

  ExpressionPtr value;
};

struct If : Statement {
  Flow run(Render& render) const override;
  void declare(Symbols& symbols) override;
  void bind(Symbols& symbols) override;

  ExpressionPtr condition;
  Body then, otherwise;
  std::vector<std::unique_ptr<If>> others;  // elif
};

struct For : Statement {
  Flow run(Render& render) const override;
  void declare(Symbols& symbols) override { declare_names(items.get(), symbols); }
  void bind(Symbols& symbols) override;
  // Every item through the body, in the running frame.
  void run_items(Render& render, const Value& value, int64_t depth, Frame* outer) const;

  Target target;
  ExpressionPtr items, condition;  // `condition` may be null
  Body body, otherwise;
  bool recursive = false, uses_loop = false;
  Function function;  // of a recursive loop
  Scope body_scope, condition_scope, otherwise_scope;
  Target condition_target;  // the same names in the condition's scope
  uint32_t loop_slot = 0;

 private:
  List* chosen(Render& render, List* all) const;
};

struct Jump : Statement {
  Flow run(Render&) const override { return flow; }

  Flow flow = Flow::kBreak;
};

// set target = value
struct Set : Statement {
  Flow run(Render& render) const override;
  void declare(Symbols& symbols) override;
  void bind(Symbols& symbols) override;

  Target target;
  ExpressionPtr value;
};

// A body with a scope of its own: `with`, `filter`, `generation`, `autoescape`, and the block form of `set`.
struct Scoped : Statement {
  Flow run(Render& render) const override;
  void declare(Symbols& symbols) override;
  void bind(Symbols& symbols) override;

  Body body;
  Scope scope;
  std::vector<std::pair<Target, ExpressionPtr>> values;  // of `with`; evaluated outside the scope
  std::vector<std::unique_ptr<Filter>> filters;          // given the body's text
  bool is_set = false;                                   // the text is assigned to `target` in place of being written
  Target target;
};

// What macros and call blocks have in common.
struct MacroBody {
  void bind(Symbols& symbols);
  Value make(Render& render) const;  // the function, closed over the running frame

  std::string name;
  struct Parameter {
    std::string name;
    ExpressionPtr otherwise;  // may be null
    uint32_t slot = 0;
  };
  std::vector<Parameter> parameters;
  Body body;
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
  uint32_t caller_slot = 0, varargs_slot = 0, kwargs_slot = 0;
  Function function;
  Scope scope;
};

struct Macro : Statement {
  Flow run(Render& render) const override;
  void declare(Symbols& symbols) override { symbols.store(macro.name); }
  void bind(Symbols& symbols) override;

  MacroBody macro;
  Address address;
};

struct CallBlock : Statement {
  Flow run(Render& render) const override;
  void declare(Symbols& symbols) override { declare_names(call.get(), symbols); }
  void bind(Symbols& symbols) override;

  std::unique_ptr<Call> call;
  MacroBody caller;
};

struct Block : Statement {
  Flow run(Render& render) const override;
  void bind(Symbols& symbols) override;

  std::string name;
  bool scoped = false;
  Body body;
  Function function;
  Scope scope;
};

// Other templates: there are none to include, which is said when the statement is reached.
struct Foreign : Statement {
  Flow run(Render&) const override { fail("'{}' needs other templates, and a model has none", keyword); }

  std::string keyword;
};

// The object `self`, whose attributes are the template's blocks.
Value make_self(Budget& budget, std::span<const Block* const> blocks);

}  // namespace hearth::templates
