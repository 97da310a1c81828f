// SentencePiece's BPE as in Llama 1 and 2, Mistral, Gemma, Phi-3: neighbours join into the token with the
// best score. Characters without a token become byte tokens.
// Algorithm: https://github.com/google/sentencepiece/blob/master/src/bpe_model.cc
#include <array>
#include <bit>
#include <unordered_set>

#include "base/error.h"
#include "text/merge.h"
#include "text/tokenizer_base.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace hearth::text {
namespace {

// Longer stretches are cut, so that positions fit 32 bits.
constexpr size_t kMaxWordBytes = size_t{1} << 30;

// Maps scores to integers in the opposite order.
uint32_t order_of(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  const uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

class SentencePiece : public TokenizerBase {
 public:
  SentencePiece(const gguf::File& file, Vocabulary vocabulary, const std::vector<float>& scores)
      : TokenizerBase(file, std::move(vocabulary)),
        adds_space_(file.bool_or("tokenizer.ggml.add_space_prefix", true)),
        words_(vocabulary_, vocabulary_.size()) {
    byte_tokens_.fill(vocabulary_.unknown);
    for (const float score : scores) orders_.push_back(order_of(score));
    for (Token token = 0; vocabulary_.contains(token); ++token) add_token(token);
  }

 protected:
  void encode_words(std::string_view text, bool first, std::vector<Token>* out) const override;
  Token find_word(std::string_view bytes) const override { return words_.find(bytes); }
  bool adds_space() const override { return adds_space_; }

 private:
  void add_token(Token token);
  size_t word_end(std::string_view text, size_t begin) const;
  void encode_word(std::string_view word, Merger* merger, std::vector<Token>* out) const;

  bool adds_space_;
  TokenTable words_;
  std::vector<uint32_t> orders_;  // by token
  std::array<Token, 256> byte_tokens_;
  // The last bytes of what stands before a space inside some token: behind any other, a space begins a
  // word that can be tokenized alone.
  std::array<bool, 256> joins_space_ = {};
};

void SentencePiece::add_token(Token token) {
  const std::string_view bytes = vocabulary_.bytes(token);
  const TokenType type = vocabulary_.type(token);
  if (bytes.empty()) return;
  if (type == TokenType::kByte) byte_tokens_[static_cast<uint8_t>(bytes[0])] = token;
  if (type != TokenType::kNormal && type != TokenType::kUserDefined) return;
  if (vocabulary_.is_mark(token)) return;
  words_.insert(token);
  for (size_t i = 1; i < bytes.size(); ++i)
    if (bytes[i] == ' ') joins_space_[static_cast<uint8_t>(bytes[i - 1])] = true;
}

void SentencePiece::encode_words(std::string_view text, bool first, std::vector<Token>* out) const {
  // Tokens are kept with spaces instead of SentencePiece's sign for them, so the text must be, too.
  std::string changed;
  const bool has_sign = text.find("\u2581") != std::string_view::npos;
  if (has_sign || (first && adds_space_)) {
    changed.reserve(text.size() + 1);
    if (first && adds_space_) changed.push_back(' ');
    append_with_spaces(text, &changed);
    text = changed;
  }
  WordCache cache(text, out);
  Merger merger;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = word_end(text, begin);
    cache.append(text.substr(begin, end - begin), [&](std::string_view word) { encode_word(word, &merger, out); });
    begin = end;
  }
}

size_t SentencePiece::word_end(std::string_view text, size_t begin) const {
  size_t end = begin + 1;
  const size_t limit = std::min(text.size(), begin + kMaxWordBytes);
  while (end < limit && (text[end] != ' ' || joins_space_[static_cast<uint8_t>(text[end - 1])])) ++end;
  return end;
}

void SentencePiece::encode_word(std::string_view word, Merger* merger, std::vector<Token>* out) const {
  merger->clear();
  for (size_t at = 0; at < word.size();) {
    const std::string_view symbol = word.substr(at, decode_utf8(word.substr(at)).bytes);
    merger->add(static_cast<uint32_t>(symbol.size()), words_.find(symbol));
    at += symbol.size();
  }
  merger->run([&](const Symbol& left, const Symbol& right) -> Join {
    const Token token = words_.find(word.substr(left.begin, left.bytes + right.bytes));
    if (token == kNoToken) return {};
    return {orders_[static_cast<size_t>(token)], token, true};
  });
  merger->for_each([&](const Symbol& symbol) {
    if (symbol.token != kNoToken) return out->push_back(symbol.token);
    for (const char byte : word.substr(symbol.begin, symbol.bytes)) {
      const Token token = byte_tokens_[static_cast<uint8_t>(byte)];
      if (token != kNoToken) out->push_back(token);
    }
  });
}

Result<std::unique_ptr<Tokenizer>> load(const gguf::File& file) {
  const Vocabulary::Defaults defaults{.bos = 1, .eos = 2, .unknown = 0, .add_bos = true};
  ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::load(file, append_with_spaces, defaults));
  ASSIGN_OR_RETURN(const std::vector<float> scores, load_scores(file, vocabulary.size()));
  return std::unique_ptr<Tokenizer>(std::make_unique<SentencePiece>(file, std::move(vocabulary), scores));
}

const TokenizerKind kKind{"llama", load};
const Register<TokenizerKind> kRegistered(&kKind);

}  // namespace
}  // namespace hearth::text
