// Follows texts of a grammar as a fuzzer's input chooses them, and stops the program where the machine contradicts
// itself.
#pragma once

#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "grammar/machine.h"
#include "support/letter_tokenizer.h"

namespace hearth::fuzz {

inline std::shared_ptr<const grammar::TokenTrie> letter_trie() {
  static const test::LetterTokenizer tokenizer;
  static const auto trie = std::make_shared<const grammar::TokenTrie>(tokenizer);
  return trie;
}

// From every state that is alive a text goes on or ends, and the mask has the tokens that can be followed, and no other.
inline void walk(const std::shared_ptr<const grammar::Grammar>& compiled, std::string_view choices) {
  const auto trie = letter_trie();
  grammar::Machine machine(compiled, trie);
  grammar::StateId state = machine.start();
  std::vector<uint64_t> mask(sampling::mask_words(trie->vocabulary()));
  for (size_t i = 0; i < choices.size() && i < 48 && machine.continues(state); ++i) {
    machine.mask(state, mask);
    std::vector<int32_t> allowed;
    for (int32_t token = 0; token < static_cast<int32_t>(trie->vocabulary()); ++token) {
      const std::string_view text = trie->text(token);
      const bool follows = !text.empty() && machine.step(state, text) != grammar::Machine::kDead;
      if (machine.overflowed()) return;
      if (follows != sampling::is_set(mask, token)) std::abort();
      if (follows) allowed.push_back(token);
    }
    if (allowed.empty()) std::abort();
    state = machine.step(state, trie->text(allowed[static_cast<uint8_t>(choices[i]) % allowed.size()]));
    if (machine.memory_bytes() > size_t{64} << 20) return;
  }
  if (!machine.continues(state) && !machine.accepts(state)) std::abort();
}

// The part of an input before the first zero byte, and the rest.
inline std::pair<std::string_view, std::string_view> split(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(all.find('\0'), size);
  return {all.substr(0, end), all.substr(std::min(end + 1, size))};
}

}  // namespace hearth::fuzz
