#include "template/jinja.h"

#include "template/failure.h"
#include "template/jinja_parser.h"
#include "template/json.h"

namespace hearth::templates {
namespace {

// Gives texts of the input that are trusted the template's origin.
class Trust {
 public:
  Trust(Budget& budget, const RenderOptions& options) : budget_(budget), options_(options) {}

  void apply(Map& variables) {
    if (options_.trusted_variables.empty() && options_.trusted_words.empty()) return;
    for (auto& [key, value] : variables.entries) {
      visit(value, key.is(Kind::kString) && options_.trusted_variables.contains(key.text()));
    }
  }

 private:
  void visit(Value& value, bool trusted) {
    if (value.is(Kind::kString)) {
      if (trusted || options_.trusted_words.contains(value.text())) value = borrow_string(budget_, value.text());
    } else if (value.is(Kind::kList)) {
      for (Value& item : value.as_list().items) visit(item, trusted);
    } else if (value.is(Kind::kMap)) {
      for (auto& [key, member] : value.as_map().entries) visit(member, trusted);
    }
  }

  Budget& budget_;
  const RenderOptions& options_;
};

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm time{};
  ::localtime_r(&now, &time);
  return time;
}

}  // namespace

struct JinjaTemplate::Compiled {
  JinjaTree tree;
  InputNames names;
  Function function;
  Scope scope;

  template <class Read>  // makes the variables' map with a budget
  Result<Rendered> render(const Read& read, const RenderOptions& options) const;
  std::vector<Value> inputs(Budget& budget, const Map& variables) const;
};

JinjaTemplate::JinjaTemplate(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
JinjaTemplate::JinjaTemplate(JinjaTemplate&&) noexcept = default;
JinjaTemplate& JinjaTemplate::operator=(JinjaTemplate&&) noexcept = default;
JinjaTemplate::~JinjaTemplate() = default;

Result<JinjaTemplate> JinjaTemplate::parse(std::string_view text) {
  if (text.size() > kMaxTemplateBytes) {
    return error(ErrorKind::kInvalidData, "the template is larger than {} MiB", kMaxTemplateBytes >> 20);
  }
  if (!unicode::valid(text)) return error(ErrorKind::kInvalidData, "the template is not valid UTF-8");
  auto compiled = std::make_unique<Compiled>();
  try {
    compiled->tree = parse_jinja(text);
    Symbols symbols(compiled->function, nullptr, compiled->names);
    declare_body(compiled->tree.body, symbols);
    bind_body(compiled->tree.body, symbols);
    compiled->scope.take(symbols);
  } catch (const Failure& failure) {
    return to_error(failure);
  }
  return JinjaTemplate(std::move(compiled));
}

std::vector<Value> JinjaTemplate::Compiled::inputs(Budget& budget, const Map& variables) const {
  std::vector<Value> values;
  for (const std::string& name : names.names()) {
    const Value* given = variables.find(name);
    if (given != nullptr) {
      values.push_back(*given);
    } else {
      values.push_back(name == "self" ? make_self(budget, tree.blocks) : find_global(budget, name));
    }
  }
  return values;
}

std::vector<std::string> JinjaTemplate::mentions() const {
  std::vector<std::string> names;
  Budget budget;
  for (const std::string& name : compiled_->names.names())
    if (name != "self" && find_global(budget, name).is_missing()) names.push_back(name);
  return names;
}

template <class Read>
Result<Rendered> JinjaTemplate::Compiled::render(const Read& read, const RenderOptions& options) const {
  Budget budget(options.most_steps);
  try {
    const Value variables = read(budget);
    if (!variables.is(Kind::kMap)) return error(ErrorKind::kInvalidData, "the template's input is no JSON object");
    Trust(budget, options).apply(variables.as_map());
    const std::vector<Value> values = inputs(budget, variables.as_map());
    Render render(budget, values, options.now ? *options.now : local_time(), options.strict);
    const Render::Entered entered(render, render.make_frame(function, nullptr));
    scope.enter(render);
    render.run(tree.body);
    return render.out().take();
  } catch (const Failure& failure) {
    return to_error(failure);
  }
}

Result<Rendered> JinjaTemplate::render(const boost::json::object& variables, const RenderOptions& options) const {
  const auto read = [&](Budget& budget) {
    Map* map = budget.make<Map>(budget);
    for (const auto& [key, member] : variables) {
      map->set(borrow_string(budget, {key.data(), key.size()}, Origin::kUser), from_json(budget, member));
    }
    return Value::map(map);
  };
  return compiled_->render(read, options);
}

Result<Rendered> JinjaTemplate::render_text(std::string_view variables, const RenderOptions& options) const {
  return compiled_->render([&](Budget& budget) { return read_json(budget, variables); }, options);
}

}  // namespace hearth::templates
