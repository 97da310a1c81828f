// Regular languages over bytes, closed under union, intersection, complement and counted repetition. Equal expressions
// have one number, and the derivative of an expression by a byte is an expression again, so that the numbers are the
// states of a deterministic automaton that is built as far as texts go.
// Brzozowski 1964, "Derivatives of Regular Expressions"; Owens, Reppy, Turon 2009, "Regular-expression derivatives
// re-examined". A count is part of a state, so that {0,30000} costs nothing until a text is that long.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/byte_set.h"
#include "grammar/interner.h"

namespace hearth::grammar {

using RegexId = uint32_t;
inline constexpr uint32_t kUnbounded = ~uint32_t{0};

class Regexes {
 public:
  static constexpr RegexId kEmpty = 0;    // no text
  static constexpr RegexId kEpsilon = 1;  // the empty text
  static constexpr RegexId kAll = 2;      // every sequence of bytes

  Regexes();

  // Builders. They simplify, so that what is equal for simple reasons has the same number.
  RegexId bytes(const ByteSet& set);
  RegexId literal(std::string_view text);
  RegexId concat(RegexId first, RegexId second);
  RegexId concat(std::initializer_list<RegexId> parts);
  RegexId either(std::vector<RegexId> alternatives);
  RegexId either(RegexId a, RegexId b) { return either(std::vector{a, b}); }
  RegexId both(std::vector<RegexId> parts);
  RegexId both(RegexId a, RegexId b) { return both(std::vector{a, b}); }
  RegexId complement(RegexId inner);
  RegexId without(RegexId from, RegexId taken) { return both(from, complement(taken)); }
  RegexId repeat(RegexId inner, uint32_t least, uint32_t most);
  RegexId optional(RegexId inner) { return either(inner, kEpsilon); }
  // Decimal numbers without a sign, leading zeros allowed, whose value times 10^scale is a multiple of `divisor` (at
  // least 1, at most 10^17).
  RegexId multiple_of(uint64_t divisor, uint32_t scale);

  bool nullable(RegexId id) const { return nodes_[id].nullable; }
  // Expressions inside each other: derivative() takes so many calls inside each other. It never makes it deeper by more
  // than a few.
  uint32_t depth(RegexId id) const { return nodes_[id].depth; }
  RegexId derivative(RegexId id, uint8_t byte);
  // Whether any text is in the language. Exact as long as no more than a few hundred thousand states have to be looked
  // at, else true.
  bool alive(RegexId id);
  // The bytes with which its texts may begin (for intersections and complements: at most these).
  ByteSet first(RegexId id);
  bool matches(RegexId id, std::string_view text);

  // Bytes that no expression tells apart form a class. The classes become finer as expressions are built by bytes(),
  // literal() and multiple_of(); after freeze() they stay and step() may be used.
  void freeze();
  uint8_t class_of(uint8_t byte) const { return classes_[byte]; }
  size_t class_count() const { return representatives_.size(); }
  uint8_t representative(size_t byte_class) const { return representatives_[byte_class]; }

  // The derivative by a byte of that class, kEmpty if nothing is alive after it; in the lowest bit whether it is
  // nullable.
  uint32_t step(RegexId id, uint8_t byte_class) {
    const uint32_t row = nodes_[id].row;
    if (row != kNoRow) {
      const uint32_t next = rows_[row + byte_class];
      if (next != kUnknown) return next;
    }
    return step_slowly(id, byte_class);
  }

  // If the expression is X{least,most} T, where the texts of X are a prefix code (no text begins another) and T cannot
  // begin as X can: then how often X was read, and where it ends, is plain from the text.
  struct Counted {
    RegexId unit, tail;
    uint32_t least, most;
  };
  bool counted(RegexId id, Counted* out);

  // Whether all its texts begin with the same byte, for reasons that are simple to see.
  bool begins_with_one(RegexId id, uint8_t* byte) const;

  // If the expression is X without some texts, and then T: X T, else nothing.
  std::optional<RegexId> with_exceptions(RegexId id);

  // If the expression is (X{l,m} and others) T, where only one part has such an m: that. And the expression with
  // another m, which has more texts the larger it is.
  std::optional<uint32_t> limit(RegexId id) const;
  RegexId with_limit(RegexId id, uint32_t most);

  // X* such that the expression can go on behind every text of X*, and ends with none of them; X is a prefix code.
  std::optional<RegexId> cover(RegexId id);

  // What leads from an expression back to itself: bytes, and all characters beyond ASCII in UTF-8.
  struct Loops {
    ByteSet bytes;
    bool characters = false;
  };
  Loops loops(RegexId id);

  // Any two expressions with the same text are equal, also of different Regexes.
  std::string text(RegexId id) const;
  size_t memory_bytes() const;
  size_t size() const { return nodes_.size(); }
  // Copies an expression from another collection (with the same classes, if frozen).
  RegexId import(const Regexes& from, RegexId id, std::unordered_map<RegexId, RegexId>& done);

 private:
  enum class Kind : uint8_t {
    kEmpty,
    kEpsilon,
    kAll,
    kBytes,
    kLiteral,
    kConcat,
    kEither,
    kBoth,
    kNot,
    kRepeat,
    kMultiple
  };
  static constexpr uint32_t kNoRow = ~uint32_t{0}, kUnknown = ~uint32_t{0};
  struct Node {
    Kind kind;
    bool nullable = false;
    bool logical = false;  // whether it may be empty although it does not look so
    // Children: [first, first + count) of children_; bytes: sets_[first]; literal: that part of texts_; multiple:
    // multiples_[first].
    uint32_t first = 0, count = 0;
    uint32_t least = 0, most = 0;
    uint32_t row = kNoRow;
    uint32_t depth = 0;
  };
  struct Multiple {
    uint64_t divisor, remainder;
    uint32_t scale, places;  // places: digits read after the point
    bool point;              // whether the point was read
    bool digits;             // whether a digit was read since the start or the point
    bool operator==(const Multiple&) const = default;
  };

  RegexId intern(Node node, std::span<const RegexId> children);
  RegexId intern_multiple(const Multiple& multiple);
  RegexId concat_all(std::span<const RegexId> parts);
  std::vector<RegexId> flatten(Kind kind, const std::vector<RegexId>& parts) const;
  std::span<const RegexId> children(const Node& node) const {
    return std::span(children_).subspan(node.first, node.count);
  }
  std::string_view literal_text(const Node& node) const {
    return std::string_view(texts_).substr(node.first, node.count);
  }
  RegexId derive(RegexId id, uint8_t byte);
  RegexId derive_multiple(const Multiple& multiple, uint8_t byte);
  bool search_alive(RegexId start);
  uint32_t step_slowly(RegexId id, uint8_t byte_class);
  bool returns(RegexId id, RegexId home, uint8_t first, uint8_t last, int more, std::vector<uint64_t>& seen);
  const RegexId* limited_part(RegexId id) const;
  bool is_prefix_code(RegexId id);
  bool may_meet(RegexId a, RegexId b);
  void refine(const ByteSet& set);

  std::vector<Node> nodes_;
  std::vector<RegexId> children_;
  std::vector<ByteSet> sets_;
  std::string texts_;
  std::vector<Multiple> multiples_;
  Interner interner_;
  boost::unordered_flat_map<uint64_t, RegexId> derivatives_;  // of (expression, byte)
  std::vector<int8_t> alive_;                                 // by expression: -1 unknown, 0, 1
  std::unordered_map<RegexId, bool> prefix_codes_;
  std::unordered_map<uint64_t, bool> apart_;  // by (unit, tail) of Counted
  std::unordered_map<RegexId, bool> meet_;    // see may_meet(), by the intersection
  std::array<uint8_t, 256> classes_{};
  std::vector<uint8_t> representatives_{0};
  std::vector<uint32_t> rows_;
  bool frozen_ = false;
};

}  // namespace hearth::grammar
