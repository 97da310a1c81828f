// SentencePiece's unigram model as in T5 and XLM-R: a text is normalised, and of all ways to write it as tokens the one
// with the best sum of scores is taken.
// Algorithm: Kudo 2018 (https://arxiv.org/abs/1804.10959);
// https://github.com/google/sentencepiece/blob/master/src/unigram_model.cc
#include <cmath>
#include <limits>

#include "base/error.h"
#include "text/charsmap.h"
#include "text/piece_trie.h"
#include "text/tokenizer_base.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace hearth::text {
namespace {

// Longer words are cut, so that memory stays in proportion.
constexpr size_t kMaxWordBytes = size_t{1} << 24;
// Longer tokens are never found, so that hostile vocabularies cannot make the time quadratic. SentencePiece's trainer
// allows 16 characters unless it is told otherwise.
constexpr size_t kMaxPieceBytes = 512;
// How much worse than the worst token an unknown character is.
constexpr double kUnknownPenalty = 10;
constexpr const char* kCharsmap = "tokenizer.ggml.precompiled_charsmap";

std::vector<Token> pieces_of(const Vocabulary& vocabulary) {
  std::vector<Token> pieces;
  for (Token token = 0; vocabulary.contains(token); ++token) {
    const size_t bytes = vocabulary.bytes(token).size();
    if (vocabulary.type(token) == TokenType::kNormal && bytes > 0 && bytes <= kMaxPieceBytes) pieces.push_back(token);
  }
  return pieces;
}

class Unigram : public TokenizerBase {
 public:
  Unigram(const gguf::File& file, Vocabulary vocabulary, std::vector<float> scores, Charsmap charsmap);

 protected:
  void encode_words(std::string_view text, bool first, std::vector<Token>* out) const override;
  Token find_word(std::string_view bytes) const override;
  bool adds_space() const override { return adds_space_; }

 private:
  // The best way to write the beginning of a word that ends here: its last token (or the unknown one), and the sum.
  struct Best {
    double score = -std::numeric_limits<double>::infinity();
    uint32_t bytes = 0;
    Token token = kNoToken;
  };

  std::string normalise(std::string_view text, bool first) const;
  size_t word_end(std::string_view text, size_t begin) const;
  void encode_word(std::string_view word, std::vector<Best>* best, std::vector<Token>* out) const;
  bool append_bytes(std::string_view bytes, std::vector<Token>* out) const;

  Charsmap charsmap_;
  std::vector<float> scores_;
  PieceTrie pieces_;
  double unknown_score_ = 0;
  bool adds_space_, merges_spaces_;
  bool spaces_begin_words_ = true;  // no token has a space behind another character
  std::vector<Token> byte_tokens_;  // of each byte, or empty where one is missing
};

Unigram::Unigram(const gguf::File& file, Vocabulary vocabulary, std::vector<float> scores, Charsmap charsmap)
    : TokenizerBase(file, std::move(vocabulary)),
      charsmap_(std::move(charsmap)),
      scores_(std::move(scores)),
      pieces_(vocabulary_, pieces_of(vocabulary_)),
      adds_space_(file.bool_or("tokenizer.ggml.add_space_prefix", true)),
      merges_spaces_(file.bool_or("tokenizer.ggml.remove_extra_whitespaces", false)),
      byte_tokens_(256, kNoToken) {
  for (Token token = 0; vocabulary_.contains(token); ++token) {
    const std::string_view bytes = vocabulary_.bytes(token);
    if (vocabulary_.type(token) == TokenType::kByte && bytes.size() == 1)
      byte_tokens_[static_cast<uint8_t>(bytes[0])] = token;
    if (vocabulary_.type(token) != TokenType::kNormal) continue;
    unknown_score_ = std::min<double>(unknown_score_, scores_[static_cast<size_t>(token)]);
    if (bytes.find(' ', 1) != std::string_view::npos) spaces_begin_words_ = false;
  }
  unknown_score_ -= kUnknownPenalty;
  if (std::count(byte_tokens_.begin(), byte_tokens_.end(), kNoToken) > 0) byte_tokens_.clear();
}

// With spaces in place of SentencePiece's sign for them, as the tokens are kept.
std::string Unigram::normalise(std::string_view text, bool first) const {
  std::string mapped;
  mapped.reserve(text.size() + text.size() / 8);
  for (size_t at = 0; at < text.size();) at += charsmap_.replace_first(text.substr(at), &mapped);

  std::string out;
  out.reserve(mapped.size() + 1);
  bool space = first && adds_space_;  // one is due before the next character
  if (merges_spaces_) {
    if (!first) space = mapped.starts_with(' ');
    for (size_t at = 0; at < mapped.size();) {
      at = std::min(mapped.find_first_not_of(' ', at), mapped.size());
      const size_t end = std::min(mapped.find(' ', at), mapped.size());
      if (end > at && space) out.push_back(' ');
      if (end > at) space = true;
      append_with_spaces(std::string_view(mapped).substr(at, end - at), &out);
      at = end;
    }
    return out;
  }
  if (space) out.push_back(' ');
  append_with_spaces(mapped, &out);
  return out;
}

void Unigram::encode_words(std::string_view text, bool first, std::vector<Token>* out) const {
  const std::string normalised = normalise(text, first);
  const size_t before = out->size();
  WordCache cache(normalised, out);
  std::vector<Best> best;
  for (size_t begin = 0; begin < normalised.size();) {
    const size_t end = word_end(normalised, begin);
    cache.append(std::string_view(normalised).substr(begin, end - begin),
                 [&](std::string_view word) { encode_word(word, &best, out); });
    begin = end;
  }
  // Neighbouring unknown characters are one unknown token.
  const auto both_unknown = [&](Token a, Token b) { return a == b && a == vocabulary_.unknown; };
  out->erase(std::unique(out->begin() + static_cast<ptrdiff_t>(before), out->end(), both_unknown), out->end());
}

size_t Unigram::word_end(std::string_view text, size_t begin) const {
  size_t end = spaces_begin_words_ ? std::min(text.find(' ', begin + 1), text.size()) : text.size();
  if (end - begin <= kMaxWordBytes) return end;
  end = begin + kMaxWordBytes;
  while (end > begin + 1 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) --end;
  return end;
}

void Unigram::encode_word(std::string_view word, std::vector<Best>* best, std::vector<Token>* out) const {
  best->assign(word.size() + 1, Best());
  (*best)[0].score = 0;
  const auto offer = [&](size_t from, size_t bytes, double score, Token token) {
    Best& now = (*best)[from + bytes];
    const double sum = (*best)[from].score + score;
    if (now.bytes == 0 || sum > now.score) now = {sum, static_cast<uint32_t>(bytes), token};
  };
  for (size_t at = 0; at < word.size();) {
    const size_t character = decode_utf8(word.substr(at)).bytes;
    bool known = false;
    pieces_.for_each_prefix(word.substr(at), [&](size_t bytes, Token token) {
      known = known || bytes == character;
      offer(at, bytes, scores_[static_cast<size_t>(token)], token);
    });
    if (!known) offer(at, character, unknown_score_, vocabulary_.unknown);
    at += character;
  }

  const size_t begin = out->size();
  for (size_t end = word.size(); end > 0;) {
    const Best& last = (*best)[end];
    end -= last.bytes;
    if (last.token == vocabulary_.unknown && append_bytes(word.substr(end, last.bytes), out)) continue;
    if (last.token != kNoToken) out->push_back(last.token);
  }
  std::reverse(out->begin() + static_cast<ptrdiff_t>(begin), out->end());
}

// Backwards, as the tokens of a word are found. False: the vocabulary has no tokens for bytes.
bool Unigram::append_bytes(std::string_view bytes, std::vector<Token>* out) const {
  if (byte_tokens_.empty()) return false;
  for (size_t i = bytes.size(); i > 0; --i) out->push_back(byte_tokens_[static_cast<uint8_t>(bytes[i - 1])]);
  return true;
}

Token Unigram::find_word(std::string_view bytes) const {
  Token found = kNoToken;
  pieces_.for_each_prefix(bytes, [&](size_t length, Token token) {
    if (length == bytes.size()) found = token;
  });
  return found;
}

Result<std::unique_ptr<Tokenizer>> load(const gguf::File& file) {
  const Vocabulary::Defaults defaults{.eos = 1, .unknown = 2, .add_eos = true};
  ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::load(file, append_with_spaces, defaults));
  ASSIGN_OR_RETURN(std::vector<float> scores, load_scores(file, vocabulary.size()));
  for (size_t i = 0; i < scores.size(); ++i)
    if (!std::isfinite(scores[i]))
      return error(ErrorKind::kInvalidData, "{}: tokenizer.ggml.scores of token {} is not finite", file.path(), i);
  std::span<const std::byte> bytes;
  if (const gguf::Value* value = file.find(kCharsmap); value != nullptr) {
    if (!value->is_array() || (value->element_type() != gguf::Type::kU8 && value->element_type() != gguf::Type::kI8))
      return error(ErrorKind::kInvalidData, "{}: {} must be a list of bytes", file.path(), kCharsmap);
    bytes = value->bytes();
  }
  Result<Charsmap> charsmap = Charsmap::parse(bytes);
  if (!charsmap) return error(ErrorKind::kInvalidData, "{}: {} {}", file.path(), kCharsmap, charsmap.error().message);
  return std::unique_ptr<Tokenizer>(
      std::make_unique<Unigram>(file, std::move(vocabulary), std::move(scores), std::move(charsmap).value()));
}

const TokenizerKind kKind{"t5", load};
const Register<TokenizerKind> kRegistered(&kKind);

}  // namespace
}  // namespace hearth::text
