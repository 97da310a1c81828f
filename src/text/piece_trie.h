// The tokens whose bytes a text begins with, all of them at once.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace hearth::text {

class PieceTrie {
 public:
  // Of `tokens`, none of which is empty; of several with the same bytes, the first.
  PieceTrie(const Vocabulary& vocabulary, std::vector<Token> tokens);

  // Calls visit(bytes, token) for each, the shortest first.
  template <class Visit>
  void for_each_prefix(std::string_view text, Visit visit) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<uint8_t>(text[i]));
      if (node == 0) return;
      if (nodes_[node].token != kNoToken) visit(i + 1, nodes_[node].token);
    }
  }

 private:
  struct Node {
    uint32_t first_child = 0;
    Token token = kNoToken;
    uint16_t children = 0;
    uint8_t label = 0;
  };
  struct Range;
  void add_children(const Vocabulary& vocabulary, const std::vector<Token>& tokens, const Range& range,
                    std::vector<Range>* next);
  uint32_t child(uint32_t node, uint8_t label) const;

  std::vector<Node> nodes_;  // the root first; the children of a node side by side, by label
};

}  // namespace hearth::text
