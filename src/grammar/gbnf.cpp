#include "grammar/gbnf.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "grammar/char_set.h"
#include "text/utf8.h"

namespace hearth::grammar {
namespace {

constexpr size_t kMost_bytes = 1 << 20, kMost_rules = 10'000;
constexpr int kMost_nesting = 200;
constexpr size_t kMost_part_size = 400;  // of a rule that is written out where it is used

struct Expression {
  enum class Kind { kText, kChars, kRule, kSequence, kChoice, kRepeat } kind;
  std::string text = {};
  CharSet chars = {};
  size_t rule = 0;
  std::vector<Expression> children = {};
  uint32_t least = 0, most = 0;
};

struct Definition {
  std::string name;
  size_t line = 0;  // where it is first spoken of
  std::optional<Expression> body = {};
};

struct Failure {
  Error error;
};

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<Definition> parse() {
    if (text_.size() > kMost_bytes) fail(ErrorKind::kUnsupported, "is longer than 1 MiB");
    skip_blanks(true);
    while (more()) parse_rule();
    for (const Definition& rule : rules_) {
      if (rule.body) continue;
      line_ = rule.line;
      fail(ErrorKind::kUsage, fmt::format("uses the rule \"{}\", which is not defined", rule.name));
    }
    return std::move(rules_);
  }

 private:
  [[noreturn]] void fail(ErrorKind kind, std::string_view what) const {
    throw Failure{error(kind, "the grammar {} (line {})", what, line_)};
  }
  bool more() const { return at_ < text_.size(); }
  char peek() const { return more() ? text_[at_] : '\0'; }
  bool take(std::string_view part) {
    if (!text_.substr(at_).starts_with(part)) return false;
    at_ += part.size();
    return true;
  }

  void skip_blanks(bool lines) {
    for (; more(); ++at_) {
      const char c = peek();
      if (c == '#') at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
      if (peek() == '\n' && lines) ++line_;
      const bool blank = peek() == ' ' || peek() == '\t' || (lines && (peek() == '\n' || peek() == '\r'));
      if (!blank || !more()) return;
    }
  }

  std::string_view take_name() {
    const size_t start = at_;
    while (more() && is_name_char(peek())) ++at_;
    return text_.substr(start, at_ - start);
  }

  size_t rule_named(std::string_view name) {
    const auto [entry, added] = numbers_.emplace(std::string(name), rules_.size());
    if (added) {
      if (rules_.size() == kMost_rules) fail(ErrorKind::kUnsupported, "has more than 10000 rules");
      rules_.push_back({.name = std::string(name), .line = line_});
    }
    return entry->second;
  }

  void parse_rule() {
    const std::string_view name = take_name();
    if (name.empty()) fail(ErrorKind::kUsage, fmt::format("has \"{}\" where a rule's name should be", here()));
    const size_t rule = rule_named(name);
    skip_blanks(false);
    if (!take("::=")) fail(ErrorKind::kUsage, fmt::format("has no ::= behind the name \"{}\"", name));
    if (rules_[rule].body) fail(ErrorKind::kUsage, fmt::format("defines the rule \"{}\" twice", name));
    skip_blanks(true);
    Expression body = parse_choice(false);
    rules_[rule].body = std::move(body);
    if (more() && peek() != '\n' && peek() != '\r') {
      fail(ErrorKind::kUsage, peek() == ')' ? "has an unmatched )" : fmt::format("has \"{}\" in a rule", here()));
    }
    skip_blanks(true);
  }
  // What stands here, for messages.
  std::string here() const {
    std::string_view rest = text_.substr(at_, 12);
    rest = rest.substr(0, rest.find_first_of("\r\n"));
    while (!rest.empty() && (static_cast<uint8_t>(rest.back()) & 0xC0) == 0x80) rest.remove_suffix(1);
    return std::string(rest);
  }

  Expression parse_choice(bool nested) {
    if (++depth_ > kMost_nesting) fail(ErrorKind::kUnsupported, "has too many groups inside each other");
    Expression choice{.kind = Expression::Kind::kChoice};
    do {
      skip_blanks(true);
      choice.children.push_back(parse_sequence(nested));
    } while (take_bar(nested));
    --depth_;
    return choice.children.size() == 1 ? std::move(choice.children[0]) : choice;
  }

  // Also at the beginning of the next line.
  bool take_bar(bool nested) {
    if (take("|")) return true;
    if (nested) return false;
    const size_t at = at_, line = line_;
    skip_blanks(true);
    if (take("|")) return true;
    at_ = at;
    line_ = line;
    return false;
  }

  Expression parse_sequence(bool nested) {
    Expression sequence{.kind = Expression::Kind::kSequence};
    for (;;) {
      skip_blanks(nested);
      if (!more() || peek() == '|' || peek() == ')' || peek() == '\n' || peek() == '\r') break;
      sequence.children.push_back(parse_repeated());
    }
    return sequence.children.size() == 1 ? std::move(sequence.children[0]) : sequence;
  }

  Expression parse_repeated() {
    Expression part = parse_atom();
    uint32_t least, most;
    for (int count = 0; take_quantifier(&least, &most); ++count) {
      if (count == kMost_nesting) fail(ErrorKind::kUnsupported, "has too many repetitions of one part");
      Expression repeat{.kind = Expression::Kind::kRepeat, .least = least, .most = most};
      repeat.children.push_back(std::move(part));
      part = std::move(repeat);
    }
    return part;
  }

  bool take_quantifier(uint32_t* least, uint32_t* most) {
    const size_t start = at_;
    skip_blanks(false);
    *least = 0;
    *most = kUnbounded;
    if (take("*")) return true;
    if (take("+")) return *least = 1, true;
    if (take("?")) return *most = 1, true;
    if (!take("{")) {
      at_ = start;
      return false;
    }
    *least = take_count();
    if (!take(",")) {
      *most = *least;
    } else if (skip_blanks(false); peek() != '}') {
      *most = take_count();
    }
    if (!take("}")) fail(ErrorKind::kUsage, "has an unmatched {");
    if (*most < *least) fail(ErrorKind::kUsage, "has a range of counts that is out of order");
    return true;
  }

  uint32_t take_count() {
    skip_blanks(false);
    uint64_t value = 0;
    const size_t start = at_;
    for (; more() && peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + static_cast<uint64_t>(peek() - '0');
      if (value > 1'000'000'000) fail(ErrorKind::kUnsupported, "has a count of more than 1000000000");
    }
    if (at_ == start) fail(ErrorKind::kUsage, "has no number where a count should be");
    skip_blanks(false);
    return static_cast<uint32_t>(value);
  }

  Expression parse_atom() {
    if (take("\"")) return parse_text();
    if (take("[")) return parse_class();
    if (take(".")) return {.kind = Expression::Kind::kChars, .chars = CharSet::any()};
    if (take("(")) {
      Expression inner = parse_choice(true);
      if (!take(")")) fail(ErrorKind::kUsage, "has an unmatched (");
      return inner;
    }
    if (is_name_char(peek())) {
      const size_t rule = rule_named(take_name());
      return {.kind = Expression::Kind::kRule, .rule = rule};
    }
    if (peek() == '<' || text_.substr(at_).starts_with("!<"))
      fail(ErrorKind::kUnsupported, fmt::format("refers to a token, \"{}\", which is not supported", here()));
    const bool repeats = std::string_view("*+?{").find(peek()) != std::string_view::npos;
    fail(ErrorKind::kUsage, repeats ? "has nothing to repeat" : fmt::format("has \"{}\" in a rule", here()));
  }

  Expression parse_text() {
    Expression text{.kind = Expression::Kind::kText};
    while (!take("\"")) text::append_utf8(take_char("an unmatched \""), &text.text);
    return text;
  }

  Expression parse_class() {
    const bool negated = take("^");
    CharSet set;
    while (!take("]")) {
      const uint32_t first = take_char("an unmatched [");
      uint32_t last = first;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        last = take_char("an unmatched [");
        if (last < first) fail(ErrorKind::kUsage, "has a range of characters that is out of order");
      }
      set.add(first, last);
    }
    return {.kind = Expression::Kind::kChars, .chars = negated ? set.complement() : set};
  }

  uint32_t take_char(std::string_view at_end) {
    if (!more()) fail(ErrorKind::kUsage, fmt::format("has {}", at_end));
    if (take("\\")) return take_escape();
    const text::Utf8Char c = text::decode_utf8(text_.substr(at_));
    if (c.status != text::Utf8Status::kValid) fail(ErrorKind::kUsage, "has bytes that are not UTF-8");
    at_ += c.bytes;
    line_ += c.code == '\n';
    return c.code;
  }

  uint32_t take_escape() {
    const char kind = peek();
    ++at_;
    switch (kind) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return take_hex(2);
      case 'u':
        return take_hex(4);
      case 'U':
        return take_hex(8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<uint8_t>(kind);
      default:
        --at_;
        fail(ErrorKind::kUsage, fmt::format("has the unknown escape \"\\{}\"", here().substr(0, 1)));
    }
  }

  uint32_t take_hex(int digits) {
    uint32_t code = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const size_t value = std::string_view("0123456789abcdef").find(static_cast<char>(std::tolower(peek())));
      if (!more() || value == std::string_view::npos) fail(ErrorKind::kUsage, "has an unfinished escape");
      code = code << 4 | static_cast<uint32_t>(value);
    }
    if (code > kLast_char || (code >= 0xD800 && code < 0xE000))
      fail(ErrorKind::kUsage, "has an escape that is no character");
    return code;
  }

  std::string_view text_;
  size_t at_ = 0, line_ = 1;
  int depth_ = 0;
  std::vector<Definition> rules_;
  std::map<std::string, size_t> numbers_;
};

// Rules that are regular (they lead to no rule that leads back to itself) and not too long are written out: the larger
// an expression, the more of a mask is known before it is asked for.
class Builder {
 public:
  Builder(Grammar& grammar, const std::vector<Definition>& rules) : grammar_(grammar), rules_(rules), found_(rules.size()) {}

  NodeId build(size_t root) {
    for (size_t i = 0; i < rules_.size(); ++i) measure_all(i);
    const NodeId start = rule(root);
    while (!todo_.empty()) {
      const size_t next = todo_.back();
      todo_.pop_back();
      grammar_.set_body(*found_[next].rule, node(*rules_[next].body));
    }
    return start;
  }

 private:
  enum class State : uint8_t { kNew, kOpen, kDone };
  static constexpr size_t kNot_regular = ~size_t{0};
  struct Found {
    State state = State::kNew;
    size_t size = 0;  // written out, or kNot_regular
    std::optional<RegexId> regex = {};
    std::optional<RuleId> rule = {};
  };

  static void called(const Expression& expression, std::vector<size_t>& rules) {
    if (expression.kind == Expression::Kind::kRule) rules.push_back(expression.rule);
    for (const Expression& child : expression.children) called(child, rules);
  }

  // Depth first; a rule that is met again while it is open leads back to itself.
  void measure_all(size_t first) {
    struct Visit {
      size_t rule;
      std::vector<size_t> calls;
      size_t next = 0;
    };
    std::vector<Visit> path;
    const auto open = [&](size_t rule) {
      found_[rule].state = State::kOpen;
      path.push_back({rule, {}});
      called(*rules_[rule].body, path.back().calls);
    };
    if (found_[first].state == State::kNew) open(first);
    while (!path.empty()) {
      Visit& visit = path.back();
      if (visit.next == visit.calls.size()) {
        Found& found = found_[visit.rule];
        found.state = State::kDone;
        if (found.size != kNot_regular) found.size = size(*rules_[visit.rule].body);
        path.pop_back();
        continue;
      }
      const size_t call = visit.calls[visit.next++];
      if (found_[call].state == State::kOpen) found_[call].size = kNot_regular;
      if (found_[call].state == State::kNew) open(call);
    }
  }

  size_t size(const Expression& expression) const {
    if (expression.kind == Expression::Kind::kRule) {
      const Found& found = found_[expression.rule];
      return found.state == State::kDone && found.size <= kMost_part_size ? found.size : kNot_regular;
    }
    size_t sum = 1;
    for (const Expression& child : expression.children) {
      const size_t part = size(child);
      if (part == kNot_regular) return kNot_regular;
      sum += part;
    }
    return sum;
  }

  RegexId regex(const Expression& expression) {
    Regexes& regexes = grammar_.regexes;
    switch (expression.kind) {
      case Expression::Kind::kText:
        return regexes.literal(expression.text);
      case Expression::Kind::kChars:
        return utf8_char(regexes, expression.chars);
      case Expression::Kind::kRule: {
        Found& found = found_[expression.rule];
        if (!found.regex) found.regex = regex(*rules_[expression.rule].body);
        return *found.regex;
      }
      case Expression::Kind::kRepeat:
        return regexes.repeat(regex(expression.children[0]), expression.least, expression.most);
      case Expression::Kind::kSequence: {
        RegexId whole = Regexes::kEpsilon;
        for (size_t i = expression.children.size(); i-- > 0;)
          whole = regexes.concat(regex(expression.children[i]), whole);
        return whole;
      }
      case Expression::Kind::kChoice:
        break;
    }
    std::vector<RegexId> ways;
    for (const Expression& child : expression.children) ways.push_back(regex(child));
    return regexes.either(std::move(ways));
  }

  NodeId node(const Expression& expression) {
    if (size(expression) <= kMost_part_size) return grammar_.term(regex(expression));
    switch (expression.kind) {
      case Expression::Kind::kText:
      case Expression::Kind::kChars:
        return grammar_.term(regex(expression));
      case Expression::Kind::kRule:
        return rule(expression.rule);
      case Expression::Kind::kRepeat:
        return grammar_.repeat(node(expression.children[0]), expression.least, expression.most);
      case Expression::Kind::kSequence:
        return sequence(expression.children);
      case Expression::Kind::kChoice:
        break;
    }
    std::vector<NodeId> ways;
    for (const Expression& child : expression.children) ways.push_back(node(child));
    return grammar_.choice(std::move(ways));
  }

  // Neighbours that are regular become one expression.
  NodeId sequence(const std::vector<Expression>& parts) {
    NodeId whole = Grammar::kEpsilon;
    RegexId run = Regexes::kEpsilon;
    size_t run_size = 0;
    for (size_t i = parts.size(); i-- > 0;) {
      const size_t size = this->size(parts[i]);
      const bool regular = size <= kMost_part_size;
      if (!regular || run_size + size > kMost_part_size) {
        whole = grammar_.sequence(grammar_.term(std::exchange(run, Regexes::kEpsilon)), whole);
        run_size = 0;
      }
      if (regular) {
        run = grammar_.regexes.concat(regex(parts[i]), run);
        run_size += size;
      } else {
        whole = grammar_.sequence(node(parts[i]), whole);
      }
    }
    return grammar_.sequence(grammar_.term(run), whole);
  }

  NodeId rule(size_t number) {
    Found& found = found_[number];
    if (!found.rule) {
      found.rule = grammar_.add_rule(rules_[number].name);
      todo_.push_back(number);
    }
    return grammar_.rule_node(*found.rule);
  }

  Grammar& grammar_;
  const std::vector<Definition>& rules_;
  std::vector<Found> found_;
  std::vector<size_t> todo_;
};

}  // namespace

Result<NodeId> add_gbnf(Grammar& grammar, std::string_view text) {
  try {
    const std::vector<Definition> rules = Parser(text).parse();
    const auto root = std::ranges::find(rules, "root", &Definition::name);
    if (root == rules.end()) return error(ErrorKind::kUsage, "the grammar has no rule \"root\"");
    return Builder(grammar, rules).build(static_cast<size_t>(root - rules.begin()));
  } catch (const Failure& failure) {
    return failure.error;
  }
}

}  // namespace hearth::grammar
