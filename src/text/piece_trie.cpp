#include "text/piece_trie.h"

#include <algorithm>

namespace hearth::text {

// The sorted tokens that share the first `depth` bytes, those of the path to `node`.
struct PieceTrie::Range {
  uint32_t node;
  size_t begin, end, depth;
};

PieceTrie::PieceTrie(const Vocabulary& vocabulary, std::vector<Token> tokens) : nodes_(1) {
  std::stable_sort(tokens.begin(), tokens.end(),
                   [&](Token a, Token b) { return vocabulary.bytes(a) < vocabulary.bytes(b); });
  std::vector<Range> open = {{0, 0, tokens.size(), 0}};
  while (!open.empty()) {
    const Range range = open.back();
    open.pop_back();
    add_children(vocabulary, tokens, range, &open);
  }
}

void PieceTrie::add_children(const Vocabulary& vocabulary, const std::vector<Token>& tokens, const Range& range,
                             std::vector<Range>* next) {
  size_t i = range.begin;
  for (; i < range.end && vocabulary.bytes(tokens[i]).size() == range.depth; ++i)
    if (nodes_[range.node].token == kNoToken) nodes_[range.node].token = tokens[i];
  nodes_[range.node].first_child = static_cast<uint32_t>(nodes_.size());
  while (i < range.end) {
    const char byte = vocabulary.bytes(tokens[i])[range.depth];
    size_t end = i + 1;
    while (end < range.end && vocabulary.bytes(tokens[end])[range.depth] == byte) ++end;
    next->push_back({static_cast<uint32_t>(nodes_.size()), i, end, range.depth + 1});
    nodes_.push_back({.label = static_cast<uint8_t>(byte)});
    ++nodes_[range.node].children;
    i = end;
  }
}

uint32_t PieceTrie::child(uint32_t node, uint8_t label) const {
  const auto begin = nodes_.begin() + nodes_[node].first_child, end = begin + nodes_[node].children;
  const auto at = std::lower_bound(begin, end, label, [](const Node& one, uint8_t byte) { return one.label < byte; });
  return at != end && at->label == label ? static_cast<uint32_t>(at - nodes_.begin()) : 0;
}

}  // namespace hearth::text
