// Repeatedly joins the neighbours with the best priority: the heart of byte pair encoding (Sennrich et
// al. 2016, https://arxiv.org/abs/1508.07909) and of SentencePiece's BPE. n log n in the length of a word.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "text/tokenizer.h"

namespace hearth::text {

// A part of a word that is one token so far (or kNoToken, where no token has these bytes).
struct Symbol {
  uint32_t begin;
  uint32_t bytes;  // 0 once joined into its left neighbour
  Token token;
  uint32_t previous, next;  // kNoSymbol at the ends
};
inline constexpr uint32_t kNoSymbol = 0xFFFFFFFF;

// What joining two symbols gives, if anything. A lower order goes first; among equals, the leftmost.
struct Join {
  uint32_t order;
  Token token = kNoToken;
  bool possible = false;
};

class Merger {
 public:
  void clear() {
    symbols_.clear();
    queue_.clear();
  }
  // Symbols are added in the order of the word, without gaps.
  void add(uint32_t bytes, Token token) {
    const auto i = static_cast<uint32_t>(symbols_.size());
    const uint32_t begin = i == 0 ? 0 : symbols_.back().begin + symbols_.back().bytes;
    if (i > 0) symbols_.back().next = i;
    symbols_.push_back({begin, bytes, token, i == 0 ? kNoSymbol : i - 1, kNoSymbol});
  }

  // join(left, right) -> Join says what two neighbours become.
  template <class JoinPair>
  void run(JoinPair join) {
    for (uint32_t i = 0; i + 1 < symbols_.size(); ++i) consider(i, join);
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), later);
      const QueuedJoin best = queue_.back();
      queue_.pop_back();
      Symbol& left = symbols_[best.left];
      // The pair may have changed since it was queued.
      if (left.bytes == 0 || left.next == kNoSymbol || left.bytes + symbols_[left.next].bytes != best.bytes) continue;
      Symbol& right = symbols_[left.next];
      left.bytes = best.bytes;
      left.token = best.token;
      left.next = right.next;
      right.bytes = 0;
      if (left.next != kNoSymbol) symbols_[left.next].previous = best.left;
      if (left.previous != kNoSymbol) consider(left.previous, join);
      if (left.next != kNoSymbol) consider(best.left, join);
    }
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (uint32_t i = symbols_.empty() ? kNoSymbol : 0; i != kNoSymbol; i = symbols_[i].next) visit(symbols_[i]);
  }

 private:
  struct QueuedJoin {
    uint32_t order, left, bytes;
    Token token;
  };
  static bool later(const QueuedJoin& a, const QueuedJoin& b) {
    return a.order != b.order ? a.order > b.order : a.left > b.left;
  }

  template <class JoinPair>
  void consider(uint32_t left, JoinPair& join) {
    const Symbol &a = symbols_[left], &b = symbols_[a.next];
    const Join joined = join(a, b);
    if (!joined.possible) return;
    queue_.push_back({joined.order, left, a.bytes + b.bytes, joined.token});
    std::push_heap(queue_.begin(), queue_.end(), later);
  }

  std::vector<Symbol> symbols_;
  std::vector<QueuedJoin> queue_;  // a heap
};

}  // namespace hearth::text
