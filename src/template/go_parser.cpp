#include <charconv>

#include "template/go_lexer.h"
#include "template/go_tree.h"
#include "template/unicode.h"

namespace hearth::templates::go {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(lex(source)) {}

  Tree run() {
    try {
      variables_ = {""};
      tree_.root = list(true);
      if (!is(Token::kEnd)) unexpected();
    } catch (Failure& failure) {
      if (failure.line == 0) failure.line = now().line;
      throw;
    }
    return std::move(tree_);
  }

 private:
  struct Nesting {
    explicit Nesting(int& depth) : depth_(depth) {
      if (++depth_ > kMaxNesting) fail("the template is nested too deeply (more than {} levels)", kMaxNesting);
    }
    ~Nesting() { --depth_; }
    Nesting(const Nesting&) = delete;

   private:
    int& depth_;
  };

  const GoToken& now() const { return tokens_[at_]; }
  const GoToken& take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  bool is(Token kind) const { return now().kind == kind; }
  bool is_sign(std::string_view text) const { return is(Token::kSign) && now().text == text; }
  bool skip_space() { return is(Token::kSpace) && (take(), true); }
  [[noreturn]] void unexpected() const {
    throw Failure{fmt::format("\"{}\" is not expected here", is(Token::kEnd) ? "the end of the template" : now().text),
                  now().line};
  }
  void expect_close() {
    skip_space();
    if (!is(Token::kClose)) unexpected();
    take();
  }
  // The word that an action begins with, if it is one of the language's.
  std::string keyword() const {
    size_t at = at_ + 1;
    while (at < tokens_.size() && tokens_[at].kind == Token::kSpace) ++at;
    return at < tokens_.size() && tokens_[at].kind == Token::kName ? tokens_[at].text : "";
  }
  void take_keyword() {
    take();
    skip_space();
    take();
  }

  // Nodes up to "end" or "else", which are left standing, or the template's end.
  NodeList list(bool top) {
    const Nesting nesting(nesting_);
    NodeList result;
    for (;;) {
      const int line = now().line;
      std::unique_ptr<Node> node;
      if (is(Token::kText)) {
        node = std::make_unique<Node>();
        node->text = take().text;
      } else if (!is(Token::kOpen)) {
        return result;
      } else {
        const std::string word = keyword();
        if (word == "end" || word == "else") {
          if (top) fail("\"{}\" belongs to nothing", word);
          return result;
        }
        if (word == "define") {
          if (!top) fail("\"define\" is inside of another action");
          define();
          continue;
        }
        node = action(word);
      }
      node->line = line;
      result.nodes.push_back(std::move(node));
    }
  }

  std::unique_ptr<Node> action(const std::string& word) {
    if (word == "if") return control(Node::Kind::kIf);
    if (word == "with") return control(Node::Kind::kWith);
    if (word == "range") return control(Node::Kind::kRange);
    if (word == "template") return call();
    if (word == "block") return block();
    if (word == "break" || word == "continue") return jump(word);
    take();
    auto node = std::make_unique<Node>();
    node->kind = Node::Kind::kAction;
    node->pipeline = pipeline(false);
    expect_close();
    return node;
  }

  std::unique_ptr<Node> control(Node::Kind kind) {
    const Nesting nesting(nesting_);
    take_keyword();
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->line = now().line;
    const size_t scope = variables_.size();
    node->pipeline = pipeline(kind == Node::Kind::kRange);
    expect_close();
    loops_ += kind == Node::Kind::kRange ? 1 : 0;
    node->body = list(false);
    loops_ -= kind == Node::Kind::kRange ? 1 : 0;
    const std::string word = keyword();
    if (word == "else")
      otherwise(*node);
    else
      end();
    variables_.resize(scope);
    return node;
  }

  void end() {
    if (!is(Token::kOpen) || keyword() != "end") unexpected();
    take_keyword();
    expect_close();
  }

  void otherwise(Node& node) {
    take();  // "{{"; "else if" continues as "{{if"
    skip_space();
    node.has_otherwise = true;
    const bool chained = node.kind == Node::Kind::kIf && tokens_[at_ + 1].kind == Token::kSpace && keyword() == "if";
    if (chained) {
      node.otherwise.nodes.push_back(control(Node::Kind::kIf));
      return;
    }
    take();
    expect_close();
    node.otherwise = list(false);
    end();
  }

  std::string template_name() {
    skip_space();
    if (!is(Token::kString)) unexpected();
    return take().text;
  }

  std::unique_ptr<Node> call() {
    take_keyword();
    auto node = std::make_unique<Node>();
    node->kind = Node::Kind::kTemplate;
    node->text = template_name();
    skip_space();
    if (!is(Token::kClose)) node->pipeline = pipeline(false);
    expect_close();
    return node;
  }

  std::unique_ptr<Node> block() {
    std::unique_ptr<Node> node = call();
    if (node->pipeline == nullptr) fail("\"block\" needs a value");
    definition(node->text);
    return node;
  }

  void define() {
    take_keyword();
    const std::string name = template_name();
    expect_close();
    definition(name);
  }

  // The body of a template of its own, up to "end". Outer variables are not seen in it.
  void definition(const std::string& name) {
    std::vector<std::string> outer = std::exchange(variables_, {""});
    const int loops = std::exchange(loops_, 0);
    NodeList body = list(false);
    end();
    variables_ = std::move(outer);
    loops_ = loops;
    const auto [known, added] = tree_.templates.try_emplace(name);
    if (!added && !is_blank(known->second) && !is_blank(body)) fail("the template \"{}\" is defined twice", name);
    if (added || is_blank(known->second)) known->second = std::move(body);
  }

  static bool is_blank(const NodeList& list) {
    return std::ranges::all_of(list.nodes, [](const auto& node) {
      return node->kind == Node::Kind::kText && node->text.find_first_not_of(" \t\r\n") == std::string::npos;
    });
  }

  std::unique_ptr<Node> jump(const std::string& word) {
    take_keyword();
    expect_close();
    if (loops_ == 0) fail("\"{}\" belongs into a range", word);
    auto node = std::make_unique<Node>();
    node->kind = word == "break" ? Node::Kind::kBreak : Node::Kind::kContinue;
    return node;
  }

  std::unique_ptr<Pipeline> pipeline(bool in_range) {
    const Nesting nesting(nesting_);
    auto result = std::make_unique<Pipeline>();
    skip_space();
    declarations(*result, in_range);
    for (;;) {
      result->commands.push_back(command());
      check_stage(*result);
      if (!is_sign("|")) break;
      take();
    }
    if (!result->assigns) variables_.insert(variables_.end(), result->variables.begin(), result->variables.end());
    return result;
  }

  // $x := , $x = , and in a range $i, $x := .
  void declarations(Pipeline& result, bool in_range) {
    const size_t begin = at_;
    std::vector<std::string> names;
    while (is(Token::kVariable)) {
      names.push_back(take().text);
      skip_space();
      if (is_sign(":=") || is_sign("=")) {
        if (names.size() > (in_range ? 2u : 1u)) fail("there are too many declarations");
        result.assigns = take().text == "=";
        skip_space();
        if (result.assigns) {
          for (const std::string& name : names) check_variable(name);
        }
        result.variables = std::move(names);
        return;
      }
      if (!is_sign(",")) break;
      if (names.size() >= (in_range ? 2u : 1u)) fail("there are too many declarations");
      take();
      skip_space();
    }
    at_ = begin;
  }

  void check_variable(const std::string& name) const {
    if (std::ranges::find(variables_, name) == variables_.end()) fail("the variable \"${}\" is not defined", name);
  }

  // Behind a "|" only functions, fields and the like can stand: they are given the value before it.
  void check_stage(const Pipeline& pipe) const {
    const Command& last = pipe.commands.back();
    if (last.operands.empty()) fail("a value is missing");
    const Operand::Kind kind = last.operands[0]->kind;
    const bool value = kind == Operand::Kind::kConstant || kind == Operand::Kind::kNil || kind == Operand::Kind::kDot;
    if (pipe.commands.size() > 1 && value) fail("what stands behind \"|\" is no function");
  }

  Command command() {
    Command result;
    for (;;) {
      skip_space();
      if (is(Token::kClose) || is_sign(")") || is_sign("|")) return result;
      result.operands.push_back(operand());
      if (!is(Token::kSpace) && !is(Token::kClose) && !is_sign(")") && !is_sign("|")) unexpected();
    }
  }

  std::unique_ptr<Operand> operand() {
    auto result = std::make_unique<Operand>();
    if (is_sign("(")) {
      take();
      result->kind = Operand::Kind::kParenthesised;
      result->inner = pipeline(false);
      skip_space();
      if (!is_sign(")")) unexpected();
      take();
      fields(*result);
      return result;
    }
    const GoToken token = take();
    switch (token.kind) {
      case Token::kName:
        named(token.text, *result);
        break;
      case Token::kField:
        if (token.text.empty()) break;
        result->kind = Operand::Kind::kField;
        result->fields.push_back(token.text);
        fields(*result);
        return result;
      case Token::kVariable:
        check_variable(token.text);
        result->kind = Operand::Kind::kVariable;
        result->text = token.text;
        fields(*result);
        return result;
      case Token::kString:
        result->kind = Operand::Kind::kConstant;
        result->text = token.text;
        result->string.text = result->text;
        result->constant = Value::string(&result->string);
        break;
      case Token::kNumber:
        result->kind = Operand::Kind::kConstant;
        result->constant = number(token.text);
        break;
      case Token::kCharacter:
        result->kind = Operand::Kind::kConstant;
        result->constant = Value::integer(unicode::decode(token.text));
        break;
      default:
        --at_;
        unexpected();
    }
    if (is(Token::kField)) fail("\".{}\" stands behind what has no fields", now().text);
    return result;
  }

  void named(const std::string& name, Operand& result) {
    if (name == "true" || name == "false") {
      result.kind = Operand::Kind::kConstant;
      result.constant = Value::boolean(name == "true");
    } else if (name == "nil") {
      result.kind = Operand::Kind::kNil;
    } else if (is_function(name)) {
      result.kind = Operand::Kind::kFunction;
      result.text = name;
    } else {
      fail("the function \"{}\" is not defined", name);
    }
  }

  void fields(Operand& result) {
    while (is(Token::kField)) {
      if (now().text.empty()) unexpected();
      result.fields.push_back(take().text);
    }
  }

  static Value number(std::string text) {
    const std::string written = text;
    std::erase(text, '_');
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.erase(0, 1);
    int base = 10;
    if (text.size() > 1 && text[0] == '0') {
      const char letter = static_cast<char>(text[1] | 32);
      base = letter == 'x' ? 16 : letter == 'b' ? 2 : letter == 'o' ? 8 : 10;
      if (base != 10)
        text.erase(0, 2);
      else if (text.find_first_of(".eE") == std::string::npos)
        base = 8;
    }
    const char *begin = text.data(), *end = begin + text.size();
    int64_t integer = 0;
    if (const auto read = std::from_chars(begin, end, integer, base); read.ec == std::errc() && read.ptr == end) {
      return Value::integer(negative ? -integer : integer);
    }
    double real = 0;
    const auto read = std::from_chars(begin, end, real);
    const bool plain = base == 10 && !text.empty() && (text[0] == '.' || (text[0] >= '0' && text[0] <= '9'));
    if (!plain || read.ec != std::errc() || read.ptr != end || text.find_first_of(".eE") == std::string::npos) {
      fail("\"{}\" is no number", written);
    }
    return Value::number(negative ? -real : real);
  }

  std::vector<GoToken> tokens_;
  size_t at_ = 0;
  int nesting_ = 0, loops_ = 0;
  std::vector<std::string> variables_;  // that are in scope; "" is $
  Tree tree_;
};

}  // namespace

Tree parse(std::string_view source) {
  return Parser(source).run();
}

}  // namespace hearth::templates::go
