// WordPiece as in BERT: words without accents and capitals, each cut into the longest known beginnings.
// Algorithm: Wu et al. 2016 (https://arxiv.org/abs/1609.08144); details as in BERT's own tokenization.py.
// In GGUF a token that begins a word has U+2581 in front; the others have lost their "##".
#include "base/error.h"
#include "text/tokenizer_base.h"
#include "text/unicode.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace hearth::text {
namespace {

// Longer words are unknown, as in BERT (max_input_chars_per_word).
constexpr size_t kMaxWordChars = 100;

// The blocks whose characters BERT takes for words, one each.
bool is_ideograph(uint32_t code) {
  return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
         (code >= 0xF900 && code <= 0xFAFF) || (code >= 0x20000 && code <= 0x2A6DF) ||
         (code >= 0x2A700 && code <= 0x2CEAF) || (code >= 0x2F800 && code <= 0x2FA1F);
}

bool is_word_alone(uint32_t code, CharFlags flags) {
  // BERT counts ASCII symbols as punctuation.
  return (flags & kPunctuation) != 0 || (code < 0x80 && (flags & kSymbol) != 0) || is_ideograph(code);
}

// The text with its words in lower case without accents, each behind one space.
std::string normalise(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  std::u32string plain;
  bool in_word = false;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char next = decode_utf8(text.substr(at));
    at += next.bytes;
    plain.clear();
    append_without_accents(next.code, &plain);
    for (const uint32_t code : plain) {
      const CharFlags flags = char_flags(code);
      if ((flags & kSpace) != 0) {
        in_word = false;
      } else if (code != kReplacement && (flags & kControlChar) == 0) {
        const bool alone = is_word_alone(code, flags);
        if (!in_word || alone) out.push_back(' ');
        append_utf8(to_lower(code), &out);
        in_word = !alone;
      }
    }
  }
  return out;
}

class WordPiece : public TokenizerBase {
 public:
  WordPiece(const gguf::File& file, Vocabulary vocabulary)
      : TokenizerBase(file, std::move(vocabulary)), words_(vocabulary_, vocabulary_.size()) {
    for (Token token = 0; vocabulary_.contains(token); ++token) {
      const std::string_view bytes = vocabulary_.bytes(token);
      if (vocabulary_.type(token) != TokenType::kNormal || bytes.empty()) continue;
      words_.insert(token);
      longest_bytes_ = std::max(longest_bytes_, bytes.size());
    }
  }

 protected:
  void encode_words(std::string_view text, bool first, std::vector<Token>* out) const override;
  Token find_word(std::string_view bytes) const override { return words_.find(bytes); }
  bool adds_space() const override { return true; }

 private:
  void encode_word(std::string_view word, std::vector<Token>* out) const;

  TokenTable words_;
  size_t longest_bytes_ = 0;
};

void WordPiece::encode_words(std::string_view text, bool, std::vector<Token>* out) const {
  const std::string words = normalise(text);
  WordCache cache(words, out);
  for (size_t begin = 0; begin < words.size();) {
    const size_t end = std::min(words.find(' ', begin + 1), words.size());
    cache.append(std::string_view(words).substr(begin, end - begin),
                 [&](std::string_view word) { encode_word(word, out); });
    begin = end;
  }
}

void WordPiece::encode_word(std::string_view word, std::vector<Token>* out) const {
  const size_t first = out->size();
  const auto begins_char = [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; };
  // Its space is no character of the word.
  if (static_cast<size_t>(std::count_if(word.begin(), word.end(), begins_char)) > kMaxWordChars + 1) {
    if (vocabulary_.unknown != kNoToken) out->push_back(vocabulary_.unknown);
    return;
  }
  while (!word.empty()) {
    size_t bytes = std::min(word.size(), longest_bytes_);
    Token token = kNoToken;
    for (; bytes > 0; --bytes) {
      token = words_.find(word.substr(0, bytes));
      if (token != kNoToken) break;
    }
    if (token == kNoToken) {  // no way to write the rest: the whole word is unknown
      out->resize(first);
      if (vocabulary_.unknown != kNoToken) out->push_back(vocabulary_.unknown);
      return;
    }
    out->push_back(token);
    word.remove_prefix(bytes);
  }
}

Result<std::unique_ptr<Tokenizer>> load(const gguf::File& file) {
  ASSIGN_OR_RETURN(Vocabulary vocabulary,
                   Vocabulary::load(file, append_with_spaces, {.bos = 101, .unknown = 100, .add_bos = true}));
  if (vocabulary.separator == kNoToken && vocabulary.contains(102)) vocabulary.separator = 102;
  // What ends a text is the separator; an answer never comes from these models.
  vocabulary.eos = vocabulary.separator;
  vocabulary.add_eos = vocabulary.eos != kNoToken;
  return std::unique_ptr<Tokenizer>(std::make_unique<WordPiece>(file, std::move(vocabulary)));
}

const TokenizerKind kKind{"bert", load};
const Register<TokenizerKind> kRegistered(&kKind);

}  // namespace
}  // namespace hearth::text
