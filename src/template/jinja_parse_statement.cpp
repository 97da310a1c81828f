#include <set>

#include "template/jinja_parser.h"

namespace hearth::templates {
namespace {

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  JinjaTree run() {
    JinjaTree tree;
    try {
      tree.body = body({});
    } catch (Failure& failure) {
      if (failure.line == 0) failure.line = now().line;
      throw;
    }
    tree.blocks = std::move(blocks_);
    return tree;
  }

 private:
  // Statements up to a tag of one of these names, which is left standing behind its "{%"; or to the template's end.
  Body body(const std::vector<std::string_view>& ends) {
    const Nesting nesting(*this);
    Body result;
    for (;;) {
      const int line = now().line;
      StatementPtr statement;
      if (is(Token::kEnd)) {
        if (!ends.empty()) unexpected(fmt::format("\"{}\"", ends.back()));
        return result;
      }
      if (is(Token::kText)) {
        auto text = std::make_unique<Text>();
        text->text = take().text;
        statement = std::move(text);
      } else if (is(Token::kOutputBegin)) {
        take();
        statement = output();
        expect(Token::kOutputEnd, "\"}}\"");
      } else {
        expect(Token::kTagBegin, "a tag");
        if (is(Token::kName) && std::ranges::find(ends, now().text) != ends.end()) return result;
        statement = tag();
      }
      statement->line = line;
      result.push_back(std::move(statement));
    }
  }

  // The statements up to the tag `end`, and that tag.
  Body body_to(std::string_view end) {
    Body result = body({end});
    take();
    end_tag();
    return result;
  }

  void end_tag() { expect(Token::kTagEnd, "\"%}\""); }

  StatementPtr output() {
    auto node = std::make_unique<Output>();
    node->value = tuple();
    return node;
  }

  StatementPtr tag() {
    if (!is(Token::kName)) unexpected("the name of a tag");
    const std::string name = now().text;
    static const std::map<std::string, StatementPtr (Parser::*)()> kTags = {{"if", &Parser::if_tag},
                                                                            {"for", &Parser::for_tag},
                                                                            {"set", &Parser::set_tag},
                                                                            {"with", &Parser::with_tag},
                                                                            {"macro", &Parser::macro_tag},
                                                                            {"call", &Parser::call_tag},
                                                                            {"filter", &Parser::filter_tag},
                                                                            {"block", &Parser::block_tag},
                                                                            {"print", &Parser::print_tag},
                                                                            {"break", &Parser::jump_tag},
                                                                            {"continue", &Parser::jump_tag},
                                                                            {"generation", &Parser::plain_tag},
                                                                            {"autoescape", &Parser::plain_tag},
                                                                            {"include", &Parser::foreign_tag},
                                                                            {"import", &Parser::foreign_tag},
                                                                            {"from", &Parser::foreign_tag},
                                                                            {"extends", &Parser::foreign_tag}};
    const auto known = kTags.find(name);
    if (known == kTags.end()) unexpected("a tag that exists and fits here");
    take();
    return (this->*known->second)();
  }

  StatementPtr if_tag() {
    auto node = if_part();
    for (;;) {
      const std::string end = take().text;
      if (end == "endif") {
        end_tag();
        return node;
      }
      if (end == "elif") {
        node->others.push_back(if_part());
        continue;
      }
      end_tag();
      node->otherwise = body_to("endif");
      return node;
    }
  }

  // The condition and the statements up to the next "elif", "else" or "endif".
  std::unique_ptr<If> if_part() {
    auto node = std::make_unique<If>();
    node->line = now().line;
    node->condition = tuple(false);
    end_tag();
    node->then = body({"elif", "else", "endif"});
    return node;
  }

  StatementPtr for_tag() {
    auto node = std::make_unique<For>();
    node->target = target(false);
    if (!skip_name("in")) unexpected("\"in\"");
    node->items = tuple(false);
    if (skip_name("if")) node->condition = expression();
    node->recursive = skip_name("recursive");
    end_tag();
    const int before = uses().loop;
    ++loops_;
    node->body = body({"else", "endfor"});
    --loops_;
    node->uses_loop = node->recursive || uses().loop != before;
    const bool has_else = take().text == "else";
    end_tag();
    if (has_else) node->otherwise = body_to("endfor");
    return node;
  }

  StatementPtr jump_tag() {
    auto node = std::make_unique<Jump>();
    if (loops_ == 0) fail("\"break\" and \"continue\" belong into a loop");
    node->flow = previous().text == "break" ? Flow::kBreak : Flow::kContinue;
    end_tag();
    return node;
  }

  StatementPtr set_tag() {
    const Target assigned = target(true);
    if (skip_operator("=")) {
      auto node = std::make_unique<Set>();
      node->target = assigned;
      node->value = tuple();
      end_tag();
      return node;
    }
    auto node = std::make_unique<Scoped>();
    node->is_set = true;
    node->target = assigned;
    while (skip_operator("|")) node->filters.push_back(filter(nullptr));
    end_tag();
    node->body = body_to("endset");
    return node;
  }

  StatementPtr with_tag() {
    auto node = std::make_unique<Scoped>();
    while (!is(Token::kTagEnd)) {
      if (!node->values.empty()) expect_operator(",");
      Target name = target_of_with();
      expect_operator("=");
      node->values.emplace_back(std::move(name), expression());
    }
    end_tag();
    node->body = body_to("endwith");
    return node;
  }

  // One name: a comma begins the next assignment.
  Target target_of_with() {
    if (is_operator("(")) return target(false);
    Target name;
    name.name = expect_name();
    return name;
  }

  void signature(MacroBody& macro) {
    std::set<std::string> names;
    expect_operator("(");
    while (!is_operator(")")) {
      if (!macro.parameters.empty()) expect_operator(",");
      if (is_operator(")")) break;
      MacroBody::Parameter parameter;
      parameter.name = expect_name();
      if (!names.insert(parameter.name).second) fail("the parameter '{}' is declared twice", parameter.name);
      if (parameter.name == "caller" && !is_operator("=")) fail("a parameter named 'caller' needs a default");
      if (skip_operator("=")) {
        parameter.otherwise = expression();
      } else if (!macro.parameters.empty() && macro.parameters.back().otherwise != nullptr) {
        fail("the parameter '{}' needs a default, since one before it has one", parameter.name);
      }
      macro.parameters.push_back(std::move(parameter));
    }
    expect_operator(")");
  }

  void macro_body(MacroBody& macro, std::string_view end) {
    const Uses before = uses();
    const int loops = std::exchange(loops_, 0);
    macro.body = body_to(end);
    loops_ = loops;
    const auto takes = [&](std::string_view name) {
      return std::ranges::find(macro.parameters, name, &MacroBody::Parameter::name) != macro.parameters.end();
    };
    macro.uses_caller = uses().caller != before.caller && !takes("caller");
    macro.uses_varargs = uses().varargs != before.varargs && !takes("varargs");
    macro.uses_kwargs = uses().kwargs != before.kwargs && !takes("kwargs");
  }

  StatementPtr macro_tag() {
    auto node = std::make_unique<Macro>();
    node->macro.name = expect_name();
    signature(node->macro);
    end_tag();
    macro_body(node->macro, "endmacro");
    return node;
  }

  StatementPtr call_tag() {
    auto node = std::make_unique<CallBlock>();
    node->caller.name = "caller";
    if (is_operator("(")) signature(node->caller);
    ExpressionPtr expression = unary();
    auto* called = dynamic_cast<Call*>(expression.get());
    if (called == nullptr) unexpected("a call");
    expression.release();
    node->call.reset(called);
    end_tag();
    macro_body(node->caller, "endcall");
    return node;
  }

  StatementPtr filter_tag() {
    auto node = std::make_unique<Scoped>();
    do node->filters.push_back(filter(nullptr));
    while (skip_operator("|"));
    end_tag();
    node->body = body_to("endfilter");
    return node;
  }

  StatementPtr block_tag() {
    auto node = std::make_unique<Block>();
    node->name = expect_name();
    if (!block_names_.insert(node->name).second) fail("the block '{}' is defined twice", node->name);
    for (bool word = true; word;) {
      const bool scoped = skip_name("scoped");
      node->scoped |= scoped;
      word = scoped || skip_name("required");
    }
    end_tag();
    const int loops = std::exchange(loops_, 0);
    node->body = body({"endblock"});
    loops_ = loops;
    take();
    skip_name(node->name);
    end_tag();
    blocks_.push_back(node.get());
    return node;
  }

  // Several values are written one after the other.
  StatementPtr print_tag() {
    auto all = std::make_unique<Concatenation>();
    do all->parts.push_back(expression());
    while (skip_operator(","));
    end_tag();
    auto node = std::make_unique<Output>();
    node->value = std::move(all);
    return node;
  }

  // A tag whose body is just written: "generation" marks what training learns from.
  StatementPtr plain_tag() {
    const std::string end = "end" + previous().text;
    auto node = std::make_unique<Scoped>();
    if (!is(Token::kTagEnd)) expression();
    end_tag();
    node->body = body_to(end);
    return node;
  }

  StatementPtr foreign_tag() {
    auto node = std::make_unique<Foreign>();
    node->keyword = previous().text;
    expression();
    while (!is(Token::kTagEnd) && !is(Token::kEnd)) take();
    end_tag();
    return node;
  }

  int loops_ = 0;  // around what is parsed, up to the macro it stands in
  std::vector<const Block*> blocks_;
  std::set<std::string> block_names_;
};

}  // namespace

JinjaTree parse_jinja(std::string_view source) {
  return Parser(source).run();
}

}  // namespace hearth::templates
