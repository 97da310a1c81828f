// The marks of models that fill in the middle between two texts (Bavarian et al. 2022,
// https://arxiv.org/abs/2207.14255).
#pragma once

#include <span>
#include <string_view>

#include "text/tokenizer.h"

namespace hearth::text {

struct FimTokens {
  Token prefix = kNoToken, suffix = kNoToken;
  Token middle = kNoToken;    // none in families that continue the prefix, which stands last
  bool suffix_first = false;  // suffix, prefix, middle ("SPM") instead of prefix, suffix, middle ("PSM")

  bool complete() const { return prefix != kNoToken && suffix != kNoToken && (middle != kNoToken || suffix_first); }
};

// How one family writes its marks.
struct FimTexts {
  std::string_view prefix, suffix;
  std::string_view middle;  // empty: there is none
  bool suffix_first;
  std::string_view pre = {};  // only of vocabularies that are cut into words this way (tokenizer.ggml.pre), if not empty
};
std::span<const FimTexts> known_fim_texts();

}  // namespace hearth::text
