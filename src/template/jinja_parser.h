// Jinja tokens to a tree.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "template/jinja_lexer.h"
#include "template/jinja_statements.h"

namespace hearth::templates {

struct JinjaTree {
  Body body;
  std::vector<const Block*> blocks;
};

// Fails, with the line, for what is no template.
JinjaTree parse_jinja(std::string_view source);

// Makes `node` as high as its highest part and one more.
template <class Node>
void raise_height(Node& node, const ExpressionPtr& part) {
  if (part != nullptr) node.height = std::max(node.height, part->height + 1);
  if (node.height > kMaxHeight)
    fail("an expression is too long (more than {} operators inside each other)", kMaxHeight);
}

// The tokens and what reads expressions from them.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::string_view source) : tokens_(lex_jinja(source)) {}

 protected:
  const JinjaToken& now() const { return tokens_[at_]; }
  const JinjaToken& previous() const { return tokens_[at_ - 1]; }
  const JinjaToken& next(size_t ahead = 1) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const JinjaToken& take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  bool is(Token kind) const { return now().kind == kind; }
  bool is_operator(std::string_view text) const { return is(Token::kOperator) && now().text == text; }
  bool is_name(std::string_view text) const { return is(Token::kName) && now().text == text; }
  bool skip_operator(std::string_view text);
  bool skip_name(std::string_view text);
  void expect_operator(std::string_view text);
  void expect(Token kind, std::string_view what);
  std::string expect_name();
  [[noreturn]] void unexpected(std::string_view wanted) const;

  // a, b, c makes a tuple; `conditions`: whether "a if b else c" is read.
  ExpressionPtr tuple(bool conditions = true);
  ExpressionPtr expression(bool conditions = true);
  Target target(bool with_attributes);
  // Filters, tests and calls behind `operand`.
  ExpressionPtr filtered(ExpressionPtr operand);
  std::unique_ptr<Filter> filter(ExpressionPtr operand);
  ExpressionPtr unary(bool with_filters = true);

  // How often each of the names that have a meaning of their own was used so far.
  struct Uses {
    int loop = 0, caller = 0, varargs = 0, kwargs = 0;
  };
  const Uses& uses() const { return uses_; }

  // Counts what is inside of each other.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser) : parser_(parser) {
      if (++parser_.nesting_ > kMaxNesting)
        fail("the template is nested too deeply (more than {} levels)", kMaxNesting);
    }
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;

   private:
    ExpressionParser& parser_;
  };

 private:
  ExpressionPtr conditional();
  ExpressionPtr logic_or();
  ExpressionPtr logic_and();
  ExpressionPtr logic_not();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr primary();
  ExpressionPtr name_or_literal();
  ExpressionPtr string_literal();
  ExpressionPtr number_literal();
  ExpressionPtr parenthesised();
  ExpressionPtr list_literal();
  ExpressionPtr dictionary();
  ExpressionPtr postfix(ExpressionPtr object);
  ExpressionPtr dotted(ExpressionPtr object);
  ExpressionPtr subscript(ExpressionPtr object);
  ExpressionPtr call(ExpressionPtr function);
  ExpressionPtr test(ExpressionPtr operand);
  CallArguments arguments();
  bool begins_test_argument() const;
  bool ends_tuple() const;
  Target one_target(bool with_attributes);
  ExpressionPtr arithmetic(Operator operation, ExpressionPtr left, ExpressionPtr right);

  std::vector<JinjaToken> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
  Uses uses_;
};

}  // namespace hearth::templates
