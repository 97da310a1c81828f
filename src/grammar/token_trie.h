// The texts of a vocabulary as a tree of bytes, laid out so that a walk over it reads memory in order. Made once for
// each tokenizer; immutable but for a cache, safe to use from several threads.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/byte_set.h"
#include "text/tokenizer.h"

namespace hearth::grammar {

class Regexes;

// Control tokens have no text of their own, and others none that a text in UTF-8 could have. In grammars such a token
// is kTokenMark, its number in decimal, kTokenMark: a byte that is not in UTF-8.
inline constexpr uint8_t kTokenMark = 0xFF;
std::string token_mark(int32_t token);

// Tokens by how many units (characters, say) they hold: the whole units and one that has begun.
struct UnitCounts {
  // Those within the units: by count, the fewest first; ends[c]: how many have at most c.
  std::vector<int32_t> inside;
  std::vector<uint32_t> ends;
  std::vector<uint64_t> all;  // all of them, as a mask
  // at_most[c]: those with at most c, as a mask, for the first few c.
  std::vector<std::vector<uint64_t>> at_most;
  // Those that go on with something else: what follows the units, as a tree in the form of TokenTrie's; at its nodes,
  // the tokens that end there with the count of their units.
  struct Node {
    uint8_t byte;
    uint16_t depth;
    uint32_t end;           // behind its subtree
    uint32_t first, count;  // of leaving
  };
  std::vector<Node> rest;
  std::vector<std::pair<uint32_t, int32_t>> leaving;  // (units, token)
};

using Ranges = std::vector<std::pair<uint32_t, uint32_t>>;  // sorted, disjoint: from the first to before the second

// What a vocabulary's tokens do to an expression.
struct RegexMask {
  // Those that it can go on with: either these ...
  std::vector<int32_t> tokens;
  std::vector<uint64_t> bits;  // ... or these.
  Ranges exits;                // nodes of the trie where the expression may end

  bool operator==(const RegexMask&) const = default;
  size_t bytes() const { return tokens.size() * 4 + bits.size() * 8 + exits.size() * 8 + 100; }
};

class TokenTrie {
 public:
  struct Node {
    uint32_t end;    // the number of the node behind its subtree
    int32_t token;   // that ends here, or -1
    uint16_t depth;  // bytes from the root
    uint8_t byte;
  };

  explicit TokenTrie(const text::Tokenizer& tokenizer);
  TokenTrie(const TokenTrie&) = delete;

  // In depth-first order; node 0 is the root.
  std::span<const Node> nodes() const { return nodes_; }
  // The tokens as their nodes are; the first of them that ends at a node or behind it (one more node than there are).
  std::span<const int32_t> in_order() const { return in_order_; }
  uint32_t first_token(uint32_t node) const { return first_token_[node]; }
  // What tokens have behind a node, if that is the end of a character: a bit for each kind of byte, see kind_of().
  uint64_t kinds_below(uint32_t node) const { return kinds_below_[node]; }
  // The kind of an ASCII byte; two more: characters beyond ASCII, of which the last may be cut, and bytes that are part
  // of none.
  static constexpr int kCharacters = 62, kStray_bytes = 63;
  static int kind_of(uint8_t byte);
  size_t most_bytes() const { return most_bytes_; }  // of a token
  size_t vocabulary() const { return texts_.size(); }
  // Empty for tokens that end generation.
  std::string_view text(int32_t token) const { return texts_[static_cast<size_t>(token)]; }
  // The next token with the same text, or -1.
  int32_t same_text(int32_t token) const { return same_text_[static_cast<size_t>(token)]; }
  std::span<const int32_t> ends() const { return ends_; }  // tokens that end generation
  bool is_end(int32_t token) const;
  // The token of exactly this text, or -1; the longest token that begins `text`, or -1.
  int32_t find(std::string_view text) const;
  int32_t longest(std::string_view text) const;
  uint32_t child(uint32_t node, uint8_t byte) const;  // 0 if there is none
  std::vector<int32_t> encode(std::string_view text) const;
  // A text as a template would write it, for a grammar: special tokens by their marks; those that end generation are
  // left out.
  std::string mark_special(std::string_view text) const;

  // Masks that many grammars need, by the text of their expressions; null for one that is not known.
  std::shared_ptr<const RegexMask> find_mask(const std::string& regex) const;
  void keep_mask(const std::string& regex, const RegexMask& mask) const;
  // What callers have made for this vocabulary and may need again, by any text; the last few are kept.
  std::shared_ptr<void> find_kept(const std::string& key) const;
  void keep(const std::string& key, std::shared_ptr<void> made) const;
  // How the tokens are made of texts of `unit` (a prefix code) and may leave it with a byte of `leave`. Cached;
  // `visited`: the nodes that had to be visited are added.
  std::shared_ptr<const UnitCounts> unit_counts(Regexes& regexes, uint32_t unit, const ByteSet& leave,
                                                uint64_t* visited) const;

 private:
  void encode_unmarked(std::string_view text, std::vector<int32_t>& tokens) const;
  void find_kinds();
  std::shared_ptr<UnitCounts> count_units(Regexes& regexes, uint32_t unit, const ByteSet& leave) const;

  std::vector<Node> nodes_;
  std::array<uint32_t, 256> root_children_{};  // by their bytes; 0: none
  std::vector<int32_t> in_order_;              // the tokens, as their nodes are
  std::vector<uint32_t> first_token_;          // of in_order_, by node
  std::vector<uint64_t> kinds_below_;
  std::vector<std::string> texts_;
  std::vector<int32_t> same_text_, ends_;
  size_t most_bytes_ = 0;
  std::map<std::string, int32_t, std::less<>> special_;  // control tokens by the texts that templates write
  const text::Tokenizer* tokenizer_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<const UnitCounts>> counts_;
  mutable std::map<std::string, std::shared_ptr<const RegexMask>> common_masks_;
  mutable std::deque<std::pair<std::string, std::shared_ptr<void>>> kept_;  // the last used last
};

}  // namespace hearth::grammar
