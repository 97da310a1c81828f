#include "grammar/pattern.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>

#include "base/error.h"
#include "text/utf8.h"

namespace hearth::grammar {
namespace {

constexpr int kMost_nesting = 200;
constexpr size_t kMost_pattern_bytes = 64 << 10;
constexpr uint32_t kMost_depth = 4000;

struct Node {
  enum class Kind { kChars, kSequence, kChoice, kRepeat, kStart, kEnd, kAhead, kNotAhead } kind;
  CharSet chars = {};
  std::vector<Node> children = {};
  uint32_t least = 0, most = 0;
  bool plain = true;  // holds no anchor and no look-ahead
};

const CharSet& digits() {
  static const CharSet set{{'0', '9'}};
  return set;
}
const CharSet& word_chars() {
  static const CharSet set{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  return set;
}
// ECMA-262: WhiteSpace and LineTerminator.
const CharSet& spaces() {
  static const CharSet set{{9, 13},          {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
                           {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  return set;
}
const CharSet& line_ends() {
  static const CharSet set{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
  return set;
}

// General categories by their short and long names (PropertyValueAliases.txt, gc), as utf8proc numbers them.
struct Category {
  const char *name, *long_name;
  uint32_t members;  // bit c: category c
};
constexpr uint32_t bit(utf8proc_category_t category) {
  return 1u << category;
}
constexpr uint32_t kCased = bit(UTF8PROC_CATEGORY_LU) | bit(UTF8PROC_CATEGORY_LL) | bit(UTF8PROC_CATEGORY_LT);
constexpr uint32_t kMarks = bit(UTF8PROC_CATEGORY_MN) | bit(UTF8PROC_CATEGORY_MC) | bit(UTF8PROC_CATEGORY_ME);
constexpr uint32_t kNumbers = bit(UTF8PROC_CATEGORY_ND) | bit(UTF8PROC_CATEGORY_NL) | bit(UTF8PROC_CATEGORY_NO);
constexpr uint32_t kPunctuation = bit(UTF8PROC_CATEGORY_PC) | bit(UTF8PROC_CATEGORY_PD) | bit(UTF8PROC_CATEGORY_PS) |
                                  bit(UTF8PROC_CATEGORY_PE) | bit(UTF8PROC_CATEGORY_PI) | bit(UTF8PROC_CATEGORY_PF) |
                                  bit(UTF8PROC_CATEGORY_PO);
constexpr uint32_t kSymbols =
    bit(UTF8PROC_CATEGORY_SM) | bit(UTF8PROC_CATEGORY_SC) | bit(UTF8PROC_CATEGORY_SK) | bit(UTF8PROC_CATEGORY_SO);
constexpr uint32_t kSeparators = bit(UTF8PROC_CATEGORY_ZS) | bit(UTF8PROC_CATEGORY_ZL) | bit(UTF8PROC_CATEGORY_ZP);
constexpr uint32_t kOthers = bit(UTF8PROC_CATEGORY_CC) | bit(UTF8PROC_CATEGORY_CF) | bit(UTF8PROC_CATEGORY_CS) |
                             bit(UTF8PROC_CATEGORY_CO) | bit(UTF8PROC_CATEGORY_CN);
constexpr Category kCategories[] = {
    {"L", "Letter", kCased | bit(UTF8PROC_CATEGORY_LM) | bit(UTF8PROC_CATEGORY_LO)},
    {"LC", "Cased_Letter", kCased},
    {"Lu", "Uppercase_Letter", bit(UTF8PROC_CATEGORY_LU)},
    {"Ll", "Lowercase_Letter", bit(UTF8PROC_CATEGORY_LL)},
    {"Lt", "Titlecase_Letter", bit(UTF8PROC_CATEGORY_LT)},
    {"Lm", "Modifier_Letter", bit(UTF8PROC_CATEGORY_LM)},
    {"Lo", "Other_Letter", bit(UTF8PROC_CATEGORY_LO)},
    {"M", "Mark", kMarks},
    {"Mn", "Nonspacing_Mark", bit(UTF8PROC_CATEGORY_MN)},
    {"Mc", "Spacing_Mark", bit(UTF8PROC_CATEGORY_MC)},
    {"Me", "Enclosing_Mark", bit(UTF8PROC_CATEGORY_ME)},
    {"N", "Number", kNumbers},
    {"Nd", "Decimal_Number", bit(UTF8PROC_CATEGORY_ND)},
    {"digit", "digit", bit(UTF8PROC_CATEGORY_ND)},
    {"Nl", "Letter_Number", bit(UTF8PROC_CATEGORY_NL)},
    {"No", "Other_Number", bit(UTF8PROC_CATEGORY_NO)},
    {"P", "Punctuation", kPunctuation},
    {"Pc", "Connector_Punctuation", bit(UTF8PROC_CATEGORY_PC)},
    {"Pd", "Dash_Punctuation", bit(UTF8PROC_CATEGORY_PD)},
    {"Ps", "Open_Punctuation", bit(UTF8PROC_CATEGORY_PS)},
    {"Pe", "Close_Punctuation", bit(UTF8PROC_CATEGORY_PE)},
    {"Pi", "Initial_Punctuation", bit(UTF8PROC_CATEGORY_PI)},
    {"Pf", "Final_Punctuation", bit(UTF8PROC_CATEGORY_PF)},
    {"Po", "Other_Punctuation", bit(UTF8PROC_CATEGORY_PO)},
    {"S", "Symbol", kSymbols},
    {"Sm", "Math_Symbol", bit(UTF8PROC_CATEGORY_SM)},
    {"Sc", "Currency_Symbol", bit(UTF8PROC_CATEGORY_SC)},
    {"Sk", "Modifier_Symbol", bit(UTF8PROC_CATEGORY_SK)},
    {"So", "Other_Symbol", bit(UTF8PROC_CATEGORY_SO)},
    {"Z", "Separator", kSeparators},
    {"Zs", "Space_Separator", bit(UTF8PROC_CATEGORY_ZS)},
    {"Zl", "Line_Separator", bit(UTF8PROC_CATEGORY_ZL)},
    {"Zp", "Paragraph_Separator", bit(UTF8PROC_CATEGORY_ZP)},
    {"C", "Other", kOthers},
    {"Cc", "Control", bit(UTF8PROC_CATEGORY_CC)},
    {"Cf", "Format", bit(UTF8PROC_CATEGORY_CF)},
    {"Cn", "Unassigned", bit(UTF8PROC_CATEGORY_CN)},
    {"Any", "Any", ~0u},
};

CharSet chars_of(uint32_t categories) {
  std::vector<CharSet::Range> ranges;
  uint32_t first = 0;
  bool inside = false;
  for (uint32_t code = 0; code <= kLast_char + 1; ++code) {
    const bool member =
        code <= kLast_char && (categories >> utf8proc_category(static_cast<utf8proc_int32_t>(code)) & 1) != 0;
    if (member && !inside) first = code;
    if (!member && inside) ranges.emplace_back(first, code - 1);
    inside = member;
  }
  return CharSet(std::move(ranges));
}

const CharSet* property(std::string_view name) {
  for (const std::string_view prefix : {"General_Category=", "gc="}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  static std::mutex mutex;
  static std::array<std::unique_ptr<CharSet>, std::size(kCategories)> known;
  for (size_t i = 0; i < std::size(kCategories); ++i) {
    if (name != kCategories[i].name && name != kCategories[i].long_name) continue;
    const std::scoped_lock lock(mutex);
    if (known[i] == nullptr) known[i] = std::make_unique<CharSet>(chars_of(kCategories[i].members));
    return known[i].get();
  }
  return nullptr;
}

struct Failure {
  Error error;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Node parse() {
    if (text_.size() > kMost_pattern_bytes) fail(ErrorKind::kUnsupported, "longer than 64 KiB");
    Node node = parse_choice();
    if (at_ < text_.size()) fail(ErrorKind::kUsage, "an unmatched )");
    return node;
  }

 private:
  [[noreturn]] void fail(ErrorKind kind, std::string_view what) const {
    throw Failure{error(kind, "the regular expression \"{}\" has {} (at byte {})", text_.substr(0, 200), what, at_)};
  }
  bool more() const { return at_ < text_.size(); }
  char peek() const { return more() ? text_[at_] : '\0'; }
  bool take(std::string_view part) {
    if (!text_.substr(at_).starts_with(part)) return false;
    at_ += part.size();
    return true;
  }
  uint32_t take_char() {
    if (!more()) fail(ErrorKind::kUsage, "an unfinished part at its end");
    const text::Utf8Char c = text::decode_utf8(text_.substr(at_));
    if (c.status != text::Utf8Status::kValid) fail(ErrorKind::kUsage, "bytes that are not UTF-8");
    at_ += c.bytes;
    return c.code;
  }

  Node parse_choice() {
    if (++depth_ > kMost_nesting) fail(ErrorKind::kUnsupported, "too many groups inside each other");
    Node choice{.kind = Node::Kind::kChoice};
    do {
      choice.children.push_back(parse_sequence());
      choice.plain &= choice.children.back().plain;
    } while (take("|"));
    --depth_;
    return choice.children.size() == 1 ? std::move(choice.children[0]) : choice;
  }

  Node parse_sequence() {
    Node sequence{.kind = Node::Kind::kSequence};
    while (more() && peek() != '|' && peek() != ')') {
      Node part = parse_repeated();
      sequence.plain &= part.plain;
      if (part.kind == Node::Kind::kSequence) {
        std::ranges::move(part.children, std::back_inserter(sequence.children));
      } else {
        sequence.children.push_back(std::move(part));
      }
    }
    return sequence;
  }

  Node parse_repeated() {
    Node node = parse_atom();
    uint32_t least, most;
    while (take_quantifier(&least, &most)) {
      take("?");  // lazy: the same texts
      if (!node.plain) fail(ErrorKind::kUnsupported, "a repeated group with an anchor or a look-ahead");
      Node repeat{.kind = Node::Kind::kRepeat, .least = least, .most = most};
      repeat.children.push_back(std::move(node));
      node = std::move(repeat);
    }
    return node;
  }

  bool take_quantifier(uint32_t* least, uint32_t* most) {
    *least = 0;
    *most = kUnbounded;
    if (take("*")) return true;
    if (take("+")) return *least = 1, true;
    if (take("?")) return *most = 1, true;
    const size_t start = at_;
    if (!take("{")) return false;
    if (take_number(least)) {
      *most = *least;
      if (take(",") && !take_number(most)) *most = kUnbounded;
      if (take("}")) {
        if (*most < *least) fail(ErrorKind::kUsage, "a range of counts that is out of order");
        return true;
      }
    }
    at_ = start;  // a brace as a character
    return false;
  }

  bool take_number(uint32_t* number) {
    const size_t start = at_;
    uint64_t value = 0;
    while (more() && peek() >= '0' && peek() <= '9') {
      value = value * 10 + static_cast<uint64_t>(text_[at_++] - '0');
      if (value > 1'000'000'000) fail(ErrorKind::kUnsupported, "a count of more than 1000000000");
    }
    *number = static_cast<uint32_t>(value);
    return at_ > start;
  }

  static Node chars(CharSet set) { return {.kind = Node::Kind::kChars, .chars = std::move(set)}; }

  Node parse_atom() {
    if (take("(")) return parse_group();
    if (take("[")) return chars(parse_class());
    if (take("^")) return {.kind = Node::Kind::kStart, .plain = false};
    if (take("$")) return {.kind = Node::Kind::kEnd, .plain = false};
    if (take(".")) return chars(line_ends().complement());
    if (take("\\")) return chars(parse_escape(false));
    if (peek() == '*' || peek() == '+' || peek() == '?') fail(ErrorKind::kUsage, "nothing to repeat");
    const uint32_t code = take_char();
    return chars({{code, code}});
  }

  Node parse_group() {
    Node::Kind ahead = Node::Kind::kSequence;
    if (take("?:")) {
    } else if (take("?=")) {
      ahead = Node::Kind::kAhead;
    } else if (take("?!")) {
      ahead = Node::Kind::kNotAhead;
    } else if (take("?<=") || take("?<!")) {
      fail(ErrorKind::kUnsupported, "a look-behind, which is not supported");
    } else if (take("?<") || take("?P<")) {
      while (more() && peek() != '>') take_char();
      take(">");
    } else if (peek() == '?') {
      fail(ErrorKind::kUnsupported, "a kind of group that is not supported");
    }
    Node inner = parse_choice();
    if (!take(")")) fail(ErrorKind::kUsage, "an unmatched (");
    if (ahead == Node::Kind::kSequence) return inner;
    Node look{.kind = ahead, .plain = false};
    look.children.push_back(std::move(inner));
    return look;
  }

  CharSet parse_class() {
    const bool negated = take("^");
    CharSet set;
    while (!take("]")) {
      if (!more()) fail(ErrorKind::kUsage, "an unmatched [");
      bool single = true;
      CharSet low = class_atom(&single);
      if (single && peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        const size_t dash = at_++;
        bool high_single = true;
        const CharSet high = class_atom(&high_single);
        if (high_single) {
          const uint32_t first = low.ranges()[0].first, last = high.ranges()[0].first;
          if (last < first) fail(ErrorKind::kUsage, "a range of characters that is out of order");
          set.add(first, last);
          continue;
        }
        at_ = dash;  // as in [a-\d]: a dash as a character
      }
      set.add(low);
    }
    return negated ? set.complement() : set;
  }

  CharSet class_atom(bool* single) {
    if (take("\\")) {
      CharSet set = parse_escape(true);
      *single = set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].second;
      return set;
    }
    const uint32_t code = take_char();
    return {{code, code}};
  }

  CharSet parse_escape(bool in_class) {
    const uint32_t c = take_char();
    switch (c) {
      case 'd':
        return digits();
      case 'D':
        return digits().complement();
      case 'w':
        return word_chars();
      case 'W':
        return word_chars().complement();
      case 's':
        return spaces();
      case 'S':
        return spaces().complement();
      case 'n':
        return {{'\n', '\n'}};
      case 'r':
        return {{'\r', '\r'}};
      case 't':
        return {{'\t', '\t'}};
      case 'f':
        return {{'\f', '\f'}};
      case 'v':
        return {{'\v', '\v'}};
      case 'b':
        if (in_class) return {{'\b', '\b'}};
        [[fallthrough]];
      case 'B':
        fail(ErrorKind::kUnsupported, "a word boundary, which is not supported");
      case 'k':
        fail(ErrorKind::kUnsupported, "a reference back to a group, which is not supported");
      case 'c': {
        const uint32_t letter = take_char() & 31;
        return {{letter, letter}};
      }
      case 'x':
        return hex(2);
      case 'u':
        return unicode();
      case 'p':
        return unicode_property();
      case 'P':
        return unicode_property().complement();
      default:
        break;
    }
    if (c == '0' && !(peek() >= '0' && peek() <= '9')) return {{0, 0}};
    if (c >= '0' && c <= '9') fail(ErrorKind::kUnsupported, "a reference back to a group, which is not supported");
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) fail(ErrorKind::kUsage, "an escape that ECMAScript does not have");
    return {{c, c}};
  }

  uint32_t hex_value(int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) fail(ErrorKind::kUsage, "an unfinished escape");
      value = value * 16 + static_cast<uint32_t>(digit);
      ++at_;
    }
    return value;
  }
  CharSet hex(int count) {
    const uint32_t value = hex_value(count);
    return {{value, value}};
  }
  CharSet unicode() {
    uint32_t value = 0;
    if (take("{")) {
      while (!take("}")) {
        value = value * 16 + hex_value(1);
        if (value > kLast_char) fail(ErrorKind::kUsage, "a character past U+10FFFF");
      }
      return {{value, value}};
    }
    value = hex_value(4);
    if (value >= 0xD800 && value < 0xDC00 && take("\\u")) {
      const uint32_t low = hex_value(4);
      value = 0x10000 + ((value - 0xD800) << 10) + ((low - 0xDC00) & 0x3FF);
    }
    return {{value, value}};
  }
  CharSet unicode_property() {
    std::string_view name = text_.substr(at_, 1);
    if (take("{")) {
      const size_t end = text_.find('}', at_);
      if (end == text_.npos) fail(ErrorKind::kUsage, "an unmatched {");
      name = text_.substr(at_, end - at_);
      at_ = end + 1;
    } else {
      take_char();
    }
    const CharSet* set = property(name);
    if (set == nullptr) {
      fail(ErrorKind::kUnsupported, fmt::format("\\p{{{}}}, which is not supported (general categories are)", name));
    }
    return *set;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

class Builder {
 public:
  Builder(Regexes& regexes, CharEncoder encode) : regexes_(regexes), encode_(encode) {
    any_ = regexes.repeat(encode(regexes, CharSet::any()), 0, kUnbounded);
  }

  RegexId any() const { return any_; }

  // The texts of a part without anchors.
  RegexId plain(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kChars:
        return encode_(regexes_, node.chars);
      case Node::Kind::kRepeat:
        return regexes_.repeat(plain(node.children[0]), node.least, node.most);
      case Node::Kind::kSequence: {
        RegexId whole = Regexes::kEpsilon;
        for (size_t i = node.children.size(); i-- > 0;) whole = regexes_.concat(plain(node.children[i]), whole);
        return whole;
      }
      default: {
        std::vector<RegexId> parts;
        for (const Node& child : node.children) parts.push_back(plain(child));
        return regexes_.either(std::move(parts));
      }
    }
  }

  // The texts of a part with what comes behind it; `start`: whether it is at the start of the text for certain, or for
  // certain not.
  RegexId build(const Node& node, RegexId behind, bool start) {
    if (node.plain) return regexes_.concat(plain(node), behind);
    switch (node.kind) {
      case Node::Kind::kStart:
        return start ? behind : Regexes::kEmpty;
      case Node::Kind::kEnd:
        return regexes_.nullable(behind) ? Regexes::kEpsilon : Regexes::kEmpty;
      // `behind` says which characters there are. With any bytes behind what was looked for, it is known at once when
      // nothing can help any more; with characters, that would be a search through the counts in `behind`.
      case Node::Kind::kAhead:
        return regexes_.both(build(node.children[0], Regexes::kAll, start), behind);
      case Node::Kind::kNotAhead:
        return regexes_.without(behind, build(node.children[0], Regexes::kAll, start));
      case Node::Kind::kChoice: {
        std::vector<RegexId> parts;
        for (const Node& child : node.children) parts.push_back(build(child, behind, start));
        return regexes_.either(std::move(parts));
      }
      default:
        return build_sequence(node.children, 0, behind, start);
    }
  }

 private:
  static bool takes_nothing(const Node& node) {
    return node.kind != Node::Kind::kChars && node.kind != Node::Kind::kRepeat && node.kind != Node::Kind::kSequence &&
           node.kind != Node::Kind::kChoice;
  }
  static bool has_start(const Node& node) {
    return node.kind == Node::Kind::kStart || std::ranges::any_of(node.children, has_start);
  }

  RegexId build_sequence(const std::vector<Node>& parts, size_t from, RegexId behind, bool start) {
    if (from == parts.size()) return behind;
    const Node& part = parts[from];
    const bool later_start = std::any_of(parts.begin() + static_cast<long>(from) + 1, parts.end(), has_start);
    if (part.plain && (!start || !later_start)) {
      size_t end = from;
      while (end < parts.size() && parts[end].plain) ++end;
      RegexId whole = build_sequence(parts, end, behind, false);
      while (end > from) whole = regexes_.concat(plain(parts[--end]), whole);
      return whole;
    }
    if (takes_nothing(part) || !start || !later_start) {
      const bool still = start && takes_nothing(part);
      return build(part, build_sequence(parts, from + 1, behind, still), start);
    }
    // A ^ further on holds if this part is empty.
    if (!part.plain)
      throw Failure{error(ErrorKind::kUnsupported, "the regular expression has a ^ behind a group with an anchor")};
    const RegexId texts = plain(part);
    const RegexId moved =
        regexes_.concat(regexes_.without(texts, Regexes::kEpsilon), build_sequence(parts, from + 1, behind, false));
    if (!regexes_.nullable(texts)) return moved;
    return regexes_.either(moved, build_sequence(parts, from + 1, behind, true));
  }

  Regexes& regexes_;
  CharEncoder encode_;
  RegexId any_;
};

std::optional<PatternLanguage::Repeated> repeated_form(const Node& node, bool whole) {
  const Node* part = &node;
  std::vector<const Node*> parts;
  if (node.kind == Node::Kind::kSequence) {
    for (const Node& child : node.children) parts.push_back(&child);
  } else {
    parts.push_back(&node);
  }
  const bool anchored =
      parts.size() == 3 && parts.front()->kind == Node::Kind::kStart && parts.back()->kind == Node::Kind::kEnd;
  if (anchored) {
    part = parts[1];
  } else if (whole && parts.size() == 1) {
    part = parts[0];
  } else {
    return std::nullopt;
  }
  if (part->kind == Node::Kind::kChars) return PatternLanguage::Repeated{part->chars, 1, 1};
  if (part->kind != Node::Kind::kRepeat || part->children[0].kind != Node::Kind::kChars) return std::nullopt;
  return PatternLanguage::Repeated{part->children[0].chars, part->least, part->most};
}

}  // namespace

namespace {

RegexId search(Regexes& regexes, Builder& builder, const Node& node, CharEncoder encode) {
  const RegexId any = builder.any();
  const RegexId at_start = builder.build(node, any, true);
  if (node.plain) return regexes.concat(any, at_start);
  const RegexId some = regexes.repeat(encode(regexes, CharSet::any()), 1, kUnbounded);
  return regexes.either(at_start, regexes.concat(some, builder.build(node, any, false)));
}

}  // namespace

Result<PatternLanguage> compile_pattern(Regexes& regexes, std::string_view pattern, CharEncoder encode, bool whole) {
  try {
    const Node node = Parser(pattern).parse();
    Builder builder(regexes, encode);
    PatternLanguage language;
    language.repeated = repeated_form(node, whole);
    language.regex =
        whole ? builder.build(node, Regexes::kEpsilon, true) : search(regexes, builder, node, encode);
    if (regexes.depth(language.regex) > kMost_depth) {
      return error(ErrorKind::kUnsupported, "the regular expression \"{}\" has too many parts in a row",
                   pattern.substr(0, 200));
    }
    return language;
  } catch (const Failure& failure) {
    return failure.error;
  }
}

}  // namespace hearth::grammar
