#include "template/render.h"

namespace hearth::templates {

Flow Render::run(const Body& body) {
  const Budget::Nested nested(budget_);
  budget_.work(1);
  for (const StatementPtr& statement : body) {
    budget_.work(1);
    try {
      if (const Flow flow = statement->run(*this); flow != Flow::kNext) return flow;
    } catch (Failure& failure) {
      if (failure.line == 0) failure.line = statement->line;
      throw;
    }
  }
  return Flow::kNext;
}

Value Render::capture(const Body& body) {
  std::unique_ptr<TextBuilder> builder;
  if (spare_.empty()) {
    builder = std::make_unique<TextBuilder>(budget_);
  } else {
    builder = std::move(spare_.back());
    spare_.pop_back();
  }
  std::swap(out_, builder);
  run(body);  // after a failure nothing is written any more, so the builders need not be put back
  std::swap(out_, builder);
  const Value text = builder->value();
  builder->clear();
  spare_.push_back(std::move(builder));
  return text;
}

void Target::declare(Symbols& symbols) const {
  for (const Target& part : parts) part.declare(symbols);
  if (!name.empty() && attribute.empty()) symbols.store(name);
  if (!name.empty() && !attribute.empty()) symbols.load(name);
}

void Target::declare_parameters(Symbols& symbols) const {
  for (const Target& part : parts) part.declare_parameters(symbols);
  if (!name.empty()) symbols.parameter(name);
}

void Target::bind(const Symbols& symbols) {
  for (Target& part : parts) part.bind(symbols);
  if (!name.empty()) address = symbols.address(name);
}

void Scope::take(const Symbols& symbols) {
  for (const auto& [slot, load] : symbols.loads()) {
    if (load.from != Load::From::kParameter) loads.emplace_back(slot, load);
  }
}

void Scope::enter(Render& render) const {
  for (const auto& [slot, load] : loads) {
    Value& to = render.slot({0, slot});
    if (load.from == Load::From::kInput) {
      to = render.input(load.input);
    } else {
      to = load.from == Load::From::kOuter ? render.slot(load.outer) : Value();
    }
  }
}

void declare_body(const Body& body, Symbols& symbols) {
  for (const StatementPtr& statement : body) statement->declare(symbols);
}

void bind_body(const Body& body, Symbols& symbols) {
  for (const StatementPtr& statement : body) statement->bind(symbols);
}

}  // namespace hearth::templates
