// Byte pair encoding. As in GPT-2, Llama 3, Qwen: the text is cut into words, and the bytes of a word join in the order
// of the learned merges. As in Gemma 4: lines are the words, spaces have SentencePiece's sign, and characters join;
// what has no token goes out as byte tokens. Algorithm: Radford et al. 2019, section 2.2;
// https://github.com/openai/gpt-2/blob/master/src/encoder.py
#include <fmt/ranges.h>

#include <array>
#include <unordered_map>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/merge_table.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_base.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace hearth::text {
namespace {

constexpr std::string_view kMerges = "tokenizer.ggml.merges";
// Longer words are cut, so that positions fit 32 bits.
constexpr size_t kMaxWordBytes = size_t{1} << 30;
constexpr size_t kMergesAtOnce = 64;

// How a file writes the texts of tokens and merges, and what joins first.
struct Units {
  void (*decode)(std::string_view text, std::string* out);
  bool characters;  // else bytes
};
constexpr Units kBytes{append_byte_alphabet, false}, kCharacters{append_with_spaces, true};

class BytePair : public TokenizerBase {
 public:
  BytePair(const gguf::File& file, Vocabulary vocabulary, const Units& units, const Pretokenizer& pretokenizer,
           std::span<const std::string_view> merges);

 protected:
  void encode_words(std::string_view text, bool first, std::vector<Token>* out) const override;
  Token find_word(std::string_view bytes) const override { return words_.find(bytes); }
  bool adds_space() const override { return false; }

 private:
  void add_merges(std::span<const std::string_view> merges, uint32_t first_rank);
  Token next_joined(std::string_view bytes);
  Token intern(std::string_view bytes, TextKey key);
  Token find_character(std::string_view character) const;
  void add_symbols(std::string_view word, Merger* merger) const;
  void encode_word(std::string_view word, Merger* merger, std::vector<Token>* out) const;
  void append_bytes(std::string_view bytes, std::vector<Token>* out) const;

  const Units& units_;
  const Pretokenizer& pretokenizer_;
  TokenTable words_;
  MergeTable merges_;
  std::array<Token, 256> byte_tokens_;
  // Texts that merges speak of, but that are no tokens: they get numbers behind the vocabulary, and if one
  // is left at the end, its bytes go out one by one.
  std::unordered_map<std::string, Token> not_tokens_;
  Token joined_ = kNoToken;  // while merges are added: what the last one made
};

BytePair::BytePair(const gguf::File& file, Vocabulary vocabulary, const Units& units, const Pretokenizer& pretokenizer,
                   std::span<const std::string_view> merges)
    : TokenizerBase(file, std::move(vocabulary)),
      units_(units),
      pretokenizer_(pretokenizer),
      words_(vocabulary_, vocabulary_.size()),
      merges_(merges.size()) {
  byte_tokens_.fill(kNoToken);
  for (Token token = 0; vocabulary_.contains(token); ++token) {
    if (vocabulary_.type(token) == TokenType::kNormal && !vocabulary_.bytes(token).empty()) words_.insert(token);
    if (vocabulary_.type(token) == TokenType::kByte)
      byte_tokens_[static_cast<uint8_t>(vocabulary_.bytes(token)[0])] = token;
  }
  for (size_t rank = 0; rank < merges.size(); rank += kMergesAtOnce)
    add_merges(merges.subspan(rank, std::min(kMergesAtOnce, merges.size() - rank)), static_cast<uint32_t>(rank));
  for (int byte = 0; byte < 256 && !units_.characters; ++byte) {
    const char text = static_cast<char>(byte);
    byte_tokens_[byte] = intern({&text, 1}, key_of({&text, 1}));
  }
}

// Hundreds of thousands of merges are looked up and stored in tables larger than the processor's caches:
// going in small steps over a batch lets it load many entries at a time.
void BytePair::add_merges(std::span<const std::string_view> merges, uint32_t first_rank) {
  struct Merge {
    std::string_view left, right, both;
    TextKey left_key, right_key;
    Token left_token, right_token;
  };
  std::array<Merge, kMergesAtOnce> batch;
  std::string bytes;
  size_t total = 0;
  for (const std::string_view merge : merges) total += merge.size();
  bytes.reserve(total);  // the views into it must last
  for (size_t i = 0; i < merges.size(); ++i) {
    const size_t space = std::min(merges[i].find(' ', 1), merges[i].size());
    const size_t begin = bytes.size();
    units_.decode(merges[i].substr(0, space), &bytes);
    const size_t middle = bytes.size();
    if (space < merges[i].size()) units_.decode(merges[i].substr(space + 1), &bytes);
    const std::string_view all = bytes;
    const std::string_view left = all.substr(begin, middle - begin), right = all.substr(middle);
    batch[i] = {left, right, all.substr(begin), key_of(left), key_of(right), kNoToken, kNoToken};
    words_.prefetch(batch[i].left_key);
    words_.prefetch(batch[i].right_key);
  }
  for (size_t i = 0; i < merges.size(); ++i) {
    Merge& merge = batch[i];
    merge.left_token = intern(merge.left, merge.left_key);
    merge.right_token = intern(merge.right, merge.right_key);
    merges_.prefetch(merge.left_token, merge.right_token);
  }
  for (size_t i = 0; i < merges.size(); ++i) {
    const Merge& merge = batch[i];
    if (merge.left.empty() || merge.right.empty()) continue;
    joined_ = next_joined(merge.both);
    merges_.insert(merge.left_token, merge.right_token, first_rank + static_cast<uint32_t>(i), joined_);
  }
}

// Merges come in the order of the tokens that they make, often several for one.
Token BytePair::next_joined(std::string_view bytes) {
  for (const Token guess : {joined_, joined_ + 1})
    if (vocabulary_.contains(guess) && vocabulary_.type(guess) == TokenType::kNormal &&
        vocabulary_.bytes(guess) == bytes)
      return guess;
  return intern(bytes, key_of(bytes));
}

Token BytePair::intern(std::string_view bytes, TextKey key) {
  const Token token = words_.find(bytes, key);
  if (token != kNoToken) return token;
  const auto next = static_cast<Token>(vocabulary_.size() + not_tokens_.size());
  return not_tokens_.try_emplace(std::string(bytes), next).first->second;
}

Token BytePair::find_character(std::string_view character) const {
  if (const Token token = words_.find(character); token != kNoToken) return token;
  const auto found = not_tokens_.find(std::string(character));
  return found == not_tokens_.end() ? kNoToken : found->second;
}

void BytePair::add_symbols(std::string_view word, Merger* merger) const {
  merger->clear();
  if (!units_.characters) {
    for (const char byte : word) merger->add(1, byte_tokens_[static_cast<uint8_t>(byte)]);
    return;
  }
  for (size_t at = 0; at < word.size();) {
    const std::string_view character = word.substr(at, decode_utf8(word.substr(at)).bytes);
    merger->add(static_cast<uint32_t>(character.size()), find_character(character));
    at += character.size();
  }
}

void BytePair::encode_words(std::string_view text, bool, std::vector<Token>* out) const {
  std::string changed;
  if (units_.characters && text.find("\u2581") != std::string_view::npos) {
    append_with_spaces(text, &changed);
    text = changed;
  }
  WordCache cache(text, out);
  Merger merger;
  for (size_t begin = 0; begin < text.size(); begin += kMaxWordBytes) {
    split_words(pretokenizer_.passes, text.substr(begin, kMaxWordBytes), [&](std::string_view piece) {
      cache.append(piece, [&](std::string_view word) { encode_word(word, &merger, out); });
    });
  }
}

void BytePair::encode_word(std::string_view word, Merger* merger, std::vector<Token>* out) const {
  if (pretokenizer_.ignore_merges || (units_.characters && word[0] == '\n')) {
    const Token token = words_.find(word);
    if (token != kNoToken) return out->push_back(token);
  }
  add_symbols(word, merger);
  merger->run([&](const Symbol& left, const Symbol& right) {
    return left.token == kNoToken || right.token == kNoToken ? Join{} : merges_.find(left.token, right.token);
  });
  merger->for_each([&](const Symbol& symbol) {
    if (vocabulary_.contains(symbol.token)) return out->push_back(symbol.token);
    append_bytes(word.substr(symbol.begin, symbol.bytes), out);
  });
}

void BytePair::append_bytes(std::string_view bytes, std::vector<Token>* out) const {
  for (const char byte : bytes) {
    const Token token = byte_tokens_[static_cast<uint8_t>(byte)];
    if (vocabulary_.contains(token)) {
      out->push_back(token);
    } else if (vocabulary_.unknown != kNoToken) {
      out->push_back(vocabulary_.unknown);
    }
  }
}

Error unknown_pretokenizer(const gguf::File& file, std::string_view name) {
  std::vector<std::string_view> known;
  for (const Pretokenizer& entry : all_pretokenizers())
    known.insert(known.end(), entry.names.begin(), entry.names.end());
  return error(ErrorKind::kUnsupported,
               "{}: pre-tokenizer '{}' (tokenizer.ggml.pre) is not supported; supported are: {}", file.path(), name,
               fmt::join(known, ", "));
}

Result<std::unique_ptr<Tokenizer>> load_with(const gguf::File& file, const Units& units, std::string_view name) {
  const Pretokenizer* pretokenizer = find_pretokenizer(name);
  if (pretokenizer == nullptr) return unknown_pretokenizer(file, name);
  const gguf::Value* merges = file.find(kMerges);
  if (merges == nullptr || !merges->is_array() || merges->element_type() != gguf::Type::kString)
    return error(ErrorKind::kInvalidData,
                 "{}: {} must be a list of texts: without merges there is no byte pair encoding", file.path(), kMerges);
  ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::load(file, units.decode, {.add_bos = pretokenizer->adds_bos}));
  // The first files of Gemma 4 deny that it begins with its start token (llama.cpp's pull request 21500).
  if (units.characters) vocabulary.add_bos = vocabulary.bos != kNoToken;
  return std::unique_ptr<Tokenizer>(
      std::make_unique<BytePair>(file, std::move(vocabulary), units, *pretokenizer, merges->as_strings()));
}

Result<std::unique_ptr<Tokenizer>> load(const gguf::File& file) {
  // Old converters did not write the key; what they made was cut as "default" says.
  const std::string_view name = file.string_or("tokenizer.ggml.pre", "default");
  return load_with(file, name == "gemma4" ? kCharacters : kBytes, name);
}

Result<std::unique_ptr<Tokenizer>> load_gemma4(const gguf::File& file) {
  return load_with(file, kCharacters, "gemma4");
}

const TokenizerKind kKinds[] = {{"gpt2", load}, {"gemma4", load_gemma4}};
const Register<TokenizerKind> kRegistered[] = {Register<TokenizerKind>(&kKinds[0]),
                                               Register<TokenizerKind>(&kKinds[1])};

}  // namespace
}  // namespace hearth::text
