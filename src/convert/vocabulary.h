// A tokenizer's vocabulary on its way from Hugging Face's files to GGUF's keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace hearth::convert {

// tokenizer.ggml.token_type; SentencePiece's model files have the same numbers.
enum class TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct AddedToken {
  uint32_t id = 0;
  std::string text;
  bool special = false;
};

struct Vocabulary {
  std::string model;  // tokenizer.ggml.model: "gpt2", "llama", "t5"
  std::string pre;    // tokenizer.ggml.pre, of "gpt2"
  std::vector<std::string> tokens;
  std::vector<TokenType> types;
  std::vector<float> scores;        // of "llama" and "t5"
  std::vector<std::string> merges;  // of "gpt2"
  std::string charsmap;             // of "t5": the compiled normalisation; may be empty
  std::optional<uint32_t> bos, eos, unknown, padding;
  std::optional<bool> add_bos, add_eos;  // as far as the vocabulary's own file says
  bool add_space = true, merge_spaces = false;

  // Makes them part of the vocabulary. Errors: kInvalidData (numbers beyond all sense).
  Status add(const std::vector<AddedToken>& added);
  std::optional<uint32_t> find(std::string_view text) const;
};

// Ids beyond this are refused: no vocabulary is so large.
inline constexpr uint32_t kMost_tokens = 4 << 20;

// tokenizer.json (https://github.com/huggingface/tokenizers), its added tokens included. `sentencepiece`: the folder
// has a tokenizer.model too, which says more where that is its kind; then only what it lacks is read, and model is
// empty. Errors: kInvalidData, kUnsupported (a step of the tokenizer, by name).
struct TokenizerJson {
  Vocabulary vocabulary;
  std::vector<AddedToken> added;  // for a tokenizer.model; those of `vocabulary` are in it
};
Result<TokenizerJson> parse_tokenizer_json(std::string_view text, const std::string& name, bool sentencepiece);

// tokenizer.model of SentencePiece (sentencepiece_model.proto). Errors: kInvalidData, kUnsupported.
Result<Vocabulary> parse_sentencepiece(std::string_view bytes, const std::string& name);

// vocab.json and merges.txt of byte-level BPE. `pre`: how words are cut, which these files do not say.
Result<Vocabulary> parse_byte_level(std::string_view vocab, std::string_view merges, std::string_view pre,
                                    const std::string& folder);

// The name (tokenizer.ggml.pre) of a tokenizer that cuts words by these steps, each as pre_tokenizer lists it: the
// regular expression of a Split, "digits", "bytes" (ByteLevel with its own expression), "plain bytes" (without). Empty
// if none is known.
std::string_view pretokenizer_of(const std::vector<std::string>& steps, bool ignore_merges);

}  // namespace hearth::convert
