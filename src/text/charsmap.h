// The precompiled character map of SentencePiece models: which stretches of a text are replaced by what before it is
// tokenized (NFKC and more). A double array of Darts-clone, then texts that end with a zero byte.
// Format: https://github.com/google/sentencepiece/blob/master/src/normalizer.cc,
// https://github.com/s-yata/darts-clone
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::text {

class Charsmap {
 public:
  // No bytes: nothing is replaced. Errors: kInvalidData.
  static Result<Charsmap> parse(std::span<const std::byte> bytes);

  // Appends what the beginning of `text`, which is not empty, becomes, and returns how many bytes that beginning has:
  // the longest stretch of the map, or else one character (U+FFFD in place of an invalid one).
  size_t replace_first(std::string_view text, std::string* out) const;

  // Longer keys and texts are not taken from a map; those of NFKC have at most a few dozen bytes. This bounds the work
  // and the result for each byte of a text, whatever a file holds.
  static constexpr size_t kMaxKeyBytes = 256, kMaxTextBytes = 256;

 private:
  std::vector<uint32_t> units_;
  std::string texts_;
};

}  // namespace hearth::text
