// What a sequence's text must obey: a grammar, a schema, a choice of tools. It knows which tokens may come next and
// follows the one that came. src/grammar implements it; Sampler and Engine use it.
//
// One step:   allowed(mask) -> sample among the set bits -> accept(token); once ended(), nothing more is sampled.
// Shortcut:   forced() gives tokens that need no sampling; accept() each of them too.
//
// Thread: one call at a time for each object, from any thread (a worker may build the mask of the next step while the
// device computes its logits: the mask depends on accepted tokens only). Different objects are independent, clones too.
// Cost of allowed(): tens of microseconds on average for 128k tokens, about a millisecond for the worst; accept(),
// rollback(), may_end(): microseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"

namespace hearth::sampling {

// A set of tokens: bit t % 64 of word t / 64 is token t.
using TokenMask = std::span<uint64_t>;

inline constexpr size_t mask_words(size_t vocabulary) {
  return (vocabulary + 63) / 64;
}
inline bool is_set(std::span<const uint64_t> mask, int32_t token) {
  const auto t = static_cast<size_t>(token);
  return t / 64 < mask.size() && (mask[t / 64] >> (t % 64) & 1) != 0;
}

class Constraint {
 public:
  virtual ~Constraint() = default;

  // Overwrites `mask` (mask_words() of the vocabulary or more, a model may have more logits than the tokenizer has
  // tokens) with what may come next. Tokens that end generation are in it only where the text may end there; other
  // control tokens only where the grammar names them.
  // Errors: kUnsupported (following the grammar would take more memory than allowed, or the vocabulary lacks a token
  // for what must come); the request fails with it. On success at least one bit is set, unless ended().
  virtual Status allowed(TokenMask mask) = 0;

  // Whether accept() would take it; cheaper than a mask for a few tokens (the best candidates, a draft's tokens).
  virtual bool is_allowed(int32_t token) = 0;

  // Follows a token of the answer (the prompt's are never shown). False, and nothing changes, if it is not allowed. A
  // token that ends generation makes it ended().
  virtual bool accept(int32_t token) = 0;

  // Undoes the last `count` accepted tokens; not more than were accepted, and not more than kMost_rollback.
  virtual void rollback(size_t count) = 0;
  static constexpr size_t kMost_rollback = 64;

  // The tokens of the text that must come next, as far as one text only is possible and the way to cut it into tokens
  // does not depend on what follows; empty if there is a choice. They are not accepted by this call.
  virtual std::vector<int32_t> forced() = 0;

  // The text so far is complete: generation may end here (and the mask has the tokens that end it).
  virtual bool may_end() const = 0;
  // Nothing may follow: the grammar's text is complete and cannot go on, or a token that ends generation was accepted.
  // The engine then finishes the request as a stop, without computing another token.
  virtual bool ended() const = 0;

  // An independent copy in the same state, for forks (several answers to one prompt, a draft). What is derived from
  // grammar and vocabulary only is shared.
  virtual std::unique_ptr<Constraint> clone() const = 0;
};

}  // namespace hearth::sampling
