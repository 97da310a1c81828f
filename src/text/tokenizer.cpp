#include "text/tokenizer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "text/tokenizer_base.h"

namespace hearth::text {
namespace {

// Phi-3's tokenizer.json says of its special tokens that they take the white space behind them; GGUF has
// no key for it, so the name must do.
bool strips_after_special(const gguf::File& file) {
  std::string name(file.string_or("general.name", ""));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
}

bool keeps_space_behind(std::string_view special) {
  return special == "<unk>" || special == "<s>" || special == "<|endoftext|>";
}

// Keys of another type than theirs are taken for absent.
bool has_type(const gguf::Value& value, gguf::Type type) {
  return type == gguf::Type::kString ? value.as_string().has_value() : value.as_bool().has_value();
}

std::vector<std::string> assumptions(const gguf::File& file, std::string_view model) {
  std::vector<std::string> notes;
  const auto note = [&](std::string_view key, std::string_view what) {
    notes.push_back(fmt::format("{}: {} {}", file.path(), key, what));
  };
  if (model == "gpt2" && file.find("tokenizer.ggml.pre") == nullptr) {
    note("tokenizer.ggml.pre",
         "is missing, so \"default\" is assumed; if that is wrong, answers are poor: get a newer file of this model");
  }
  if (file.find("tokenizer.ggml.token_type") == nullptr)
    note("tokenizer.ggml.token_type", "is missing, so which tokens are control tokens is guessed");
  for (const auto& [key, type] : {std::pair("tokenizer.ggml.pre", gguf::Type::kString),
                                  {"tokenizer.ggml.add_bos_token", gguf::Type::kBool},
                                  {"tokenizer.ggml.add_eos_token", gguf::Type::kBool},
                                  {"tokenizer.ggml.add_space_prefix", gguf::Type::kBool},
                                  {"tokenizer.ggml.remove_extra_whitespaces", gguf::Type::kBool},
                                  {"tokenizer.chat_template", gguf::Type::kString}}) {
    const gguf::Value* value = file.find(key);
    if (value != nullptr && !has_type(*value, type))
      note(key, fmt::format("is no {}, so it is ignored", type_name(type)));
  }
  return notes;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const gguf::File& file) {
  ASSIGN_OR_RETURN(const std::string_view model, file.get_string("tokenizer.ggml.model"));
  std::set<std::string_view> known;
  for (const TokenizerKind* kind : Register<TokenizerKind>::all()) {
    if (model == kind->model) {
      ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, kind->load(file));
      tokenizer->notes_ = assumptions(file, model);
      return tokenizer;
    }
    known.insert(kind->model);
  }
  return error(ErrorKind::kUnsupported, "{}: tokenizer '{}' is not supported; supported are: {}", file.path(), model,
               fmt::join(known, ", "));
}

size_t Tokenizer::longest_piece_bytes() const {
  std::call_once(measured_, [this] {
    for (size_t token = 0; token < size(); ++token)
      longest_piece_bytes_ = std::max(longest_piece_bytes_, piece(static_cast<Token>(token), true).size());
  });
  return longest_piece_bytes_;
}

TokenizerBase::TokenizerBase(const gguf::File& file, Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)), specials_(vocabulary_), strips_after_special_(strips_after_special(file)) {}

std::vector<Token> TokenizerBase::encode(std::span<const Span> spans, bool add_special) const {
  std::vector<Token> out;
  if (add_special && vocabulary_.add_bos) out.push_back(vocabulary_.bos);
  encode_text(spans, true, &out);
  if (add_special && vocabulary_.add_eos) out.push_back(vocabulary_.eos);
  return out;
}

// `first`: the text stands at the start, see encode_words().
void TokenizerBase::encode_text(std::span<const Span> spans, bool first, std::vector<Token>* out) const {
  std::string joined;
  std::string_view text;
  if (spans.size() == 1) {
    text = spans[0].text;
  } else {
    for (const Span& span : spans) joined += span.text;
    text = joined;
  }
  SpecialTokens::Finder specials(specials_, text, spans);
  out->reserve(out->size() + text.size() / 3 + 8);
  for (size_t at = 0; at < text.size();) {
    const SpecialTokens::Match special = specials.next(at);
    if (special.begin > at) encode_words(text.substr(at, special.begin - at), first, out);
    at = special.end;
    if (special.token == kNoToken) break;
    out->push_back(special.token);
    first = true;
    if (strips_after_special_ && !keeps_space_behind(vocabulary_.bytes(special.token)))
      at = std::min(text.find_first_not_of(" \t\n\v\f\r", at), text.size());
  }
}

std::string TokenizerBase::piece(Token token, bool special) const {
  if (!vocabulary_.contains(token) || vocabulary_.type(token) == TokenType::kUnused) return {};
  if (vocabulary_.is_control(token) && !special) return {};
  return std::string(vocabulary_.bytes(token));
}

std::string TokenizerBase::decode(std::span<const Token> tokens, bool special) const {
  std::string out;
  bool first = adds_space();
  for (const Token token : tokens) {
    std::string text = piece(token, special);
    if (first && vocabulary_.contains(token) && !vocabulary_.is_control(token)) {
      if (text.starts_with(' ')) text.erase(0, 1);
      first = false;
    }
    out += text;
  }
  return out;
}

Token TokenizerBase::find(std::string_view text) const {
  const Token special = specials_.find(text);
  return special != kNoToken ? special : find_word(text);
}

}  // namespace hearth::text
