#include "text/vocabulary.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"

namespace hearth::text {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr size_t kMaxTokens = 1u << 30;

// Texts of tokens that end an answer, from the tokenizer_config.json of the models named. Files often
// name only one of several in tokenizer.ggml.eos_token_id.
// clang-format off
const std::unordered_set<std::string_view> kEndTexts = {
    // Llama 3, Llama 4
    "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|eom|>",
    // ChatML: Qwen, Yi, SmolLM, Kimi, LFM2
    "<|im_end|>",
    // Phi-3; gpt-oss; Solar Open
    "<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>",
    // Gemma, Gemma 4
    "<end_of_turn>", "<eos>", "<turn|>", "<|tool_response>",
    // GPT-2, Granite
    "<|endoftext|>", "<|end_of_text|>",
    // Code completion, where the next file begins: Qwen, StarCoder
    "<|fim_pad|>", "<|repo_name|>", "<|fim_repo|>", "<|file_sep|>", "<fim_pad>", "<repo_name>", "<file_sep>",
    // CodeLlama, deepseek-coder, Kimi
    "<EOT>", "_<EOT>", " <EOT>", "\u2581<EOT>", "<|EOT|>", "[EOT]", "[EOS]",
    // SmolVLM, DeepSeek, Command R
    "<end_of_utterance>", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>", "<|END_OF_TURN_TOKEN|>",
    // GLM (and <|user|>, see find_ends), MiniMax, Seed-OSS
    "<|observation|>", "[e~[", "<seed:eos>",
    // EXAONE, ERNIE, OpenChat, Apertus
    "[|endofturn|]", "<|end_of_sentence|>", "<|end_of_turn|>", "<|assistant_end|>",
    // Hunyuan, Nemotron Nano 2
    "<|eos|>", "<\uFF5Chy_place\u2581holder\u2581no\u25812\uFF5C>", "<SPECIAL_12>",
};
// clang-format on

bool begins_with_any(std::string_view text, std::initializer_list<std::string_view> all) {
  return std::any_of(all.begin(), all.end(), [&](std::string_view one) { return text.starts_with(one); });
}
bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> all) {
  return std::any_of(all.begin(), all.end(), [&](std::string_view one) { return text.ends_with(one); });
}

// Whether the text may be one of those above, or of FIM: nearly all tokens are sorted out by this.
bool ends_like_mark(std::string_view text) {
  return text.size() > 2 && (text.back() == '>' || text.back() == ']' || text.back() == '[');
}

// <think>, [INST], <|"|>, <\uFF5CUser\uFF5C>, >>TITLE<<, ]~b], \u25C1think\u25B7, also behind a space.
bool is_bracketed(std::string_view text) {
  for (const std::string_view space : {" ", "\u2581"})
    if (text.starts_with(space)) text.remove_prefix(space.size());
  return text.size() > 2 && begins_with_any(text, {"<", "[", "]", ">>", "|", "\uFF5C", "\u25C1"}) &&
         ends_with_any(text, {">", "]", "[", "<<", "|", "\uFF5C", "\u25B7"});
}

// Elements of HTML that are ordinary text in Gemma's vocabulary. Not <s>: most others begin a text with it.
bool is_html(std::string_view text) {
  static const std::unordered_set<std::string_view> kElements = {
      "table", "caption", "thead", "tbody", "tfoot", "tr",  "th",         "td",   "h1",    "h2",    "h3",
      "h4",    "h5",      "h6",    "p",     "br",    "hr",  "blockquote", "ul",   "ol",    "li",    "dl",
      "dt",    "dd",      "b",     "i",     "u",     "em",  "del",        "ins",  "mark",  "small", "sub",
      "sup",   "code",    "pre",   "kbd",   "a",     "img", "div",        "span", "strong"};
  if (!text.starts_with('<') || !text.ends_with('>')) return false;
  text = text.substr(1, text.size() - 2);
  if (text.starts_with('/')) text.remove_prefix(1);
  return kElements.contains(text);
}

// "<0x0A>" as 10; -1 if the text is not of this form.
int byte_of(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int value = -1;
  const auto parsed = std::from_chars(text.data() + 3, text.data() + 5, value, 16);
  return parsed.ptr == text.data() + 5 ? value : -1;
}

}  // namespace

void append_with_spaces(std::string_view text, std::string* out) {
  constexpr std::string_view kSpaceSign = "\u2581";
  for (size_t at = text.find(kSpaceSign); at != std::string_view::npos; at = text.find(kSpaceSign)) {
    out->append(text.substr(0, at)).push_back(' ');
    text.remove_prefix(at + kSpaceSign.size());
  }
  out->append(text);
}

Result<std::vector<float>> load_scores(const gguf::File& file, size_t tokens) {
  const gguf::Value* value = file.find(kScores);
  if (value == nullptr || !value->is_array() || value->element_type() != gguf::Type::kF32 || value->size() != tokens)
    return error(ErrorKind::kInvalidData, "{}: {} must hold one float for each of the {} tokens", file.path(), kScores,
                 tokens);
  std::vector<float> scores(tokens);
  std::memcpy(scores.data(), value->bytes().data(), tokens * sizeof(float));
  return scores;
}

Result<Vocabulary> Vocabulary::load(const gguf::File& file, Decode decode, const Defaults& defaults) {
  const gguf::Value* tokens = file.find(kTokens);
  if (tokens == nullptr)
    return error(ErrorKind::kInvalidData, "{}: {} is missing: the file has no vocabulary", file.path(), kTokens);
  const std::span<const std::string_view> texts = tokens->as_strings();
  if (texts.empty() || texts.size() > kMaxTokens)
    return error(ErrorKind::kInvalidData, "{}: {} must be a list of texts that is neither empty nor absurdly long",
                 file.path(), kTokens);

  Vocabulary vocabulary;
  vocabulary.model = file.string_or("tokenizer.ggml.model", "");
  vocabulary.pre = file.string_or("tokenizer.ggml.pre", "");
  vocabulary.types_.assign(texts.size(), TokenType::kNormal);
  vocabulary.ends_generation_.assign(texts.size(), false);
  if (file.find(kTypes) != nullptr) {
    TRY(vocabulary.load_types(file));
  } else {
    for (size_t i = 0; i < texts.size(); ++i)
      if (vocabulary.model == "llama" && byte_of(texts[i]) >= 0) vocabulary.types_[i] = TokenType::kByte;
  }
  vocabulary.load_bytes(texts, decode);
  TRY(vocabulary.load_roles(file, defaults));
  return vocabulary;
}

Status Vocabulary::load_types(const gguf::File& file) {
  const gguf::Value* value = file.find(kTypes);
  if (!value->is_array() || !value->as_strings().empty() || value->size() != size())
    return error(ErrorKind::kInvalidData, "{}: {} must hold one number for each of the {} tokens", file.path(), kTypes,
                 size());
  for (size_t i = 0; i < size(); ++i) {
    const int64_t type = value->at_i64(i);
    if (type < 0 || type > static_cast<int64_t>(TokenType::kByte))
      return error(ErrorKind::kInvalidData, "{}: {} of token {} is {}, which is no type", file.path(), kTypes, i, type);
    types_[i] = type == 0 ? TokenType::kNormal : static_cast<TokenType>(type);
  }
  return {};
}

void Vocabulary::load_bytes(std::span<const std::string_view> texts, Decode decode) {
  size_t total = 0;
  for (const std::string_view text : texts) total += text.size();
  arena_.reserve(total);
  ends_.reserve(texts.size() + 1);
  ends_.push_back(0);
  for (size_t i = 0; i < texts.size(); ++i) {
    const int byte = types_[i] == TokenType::kByte ? byte_of(texts[i]) : -1;
    if (byte >= 0) {
      arena_.push_back(static_cast<char>(byte));
    } else if (types_[i] == TokenType::kNormal) {
      decode(texts[i], &arena_);
    } else {
      arena_.append(texts[i]);
    }
    ends_.push_back(arena_.size());
  }
}

bool Vocabulary::is_mark(Token token) const {
  if (is_control(token)) return true;
  const std::string_view text = bytes(token);
  return type(token) == TokenType::kUserDefined && (ends_generation(token) || (is_bracketed(text) && !is_html(text)));
}

Status Vocabulary::read_id(const gguf::File& file, std::string_view key, Token* id) const {
  constexpr uint64_t kNone = 0xFFFFFFFF;  // how converters write "no such token"
  const gguf::Value* value = file.find(key);
  if (value == nullptr) return {};
  const std::optional<uint64_t> number = value->as_u64();
  if (number == kNone || value->as_i64() == -1) {
    *id = kNoToken;
  } else if (!number || *number >= size()) {
    return error(ErrorKind::kInvalidData, "{}: {} names no token (the vocabulary has {})", file.path(), key, size());
  } else {
    *id = static_cast<Token>(*number);
  }
  return {};
}

Status Vocabulary::load_roles(const gguf::File& file, const Defaults& defaults) {
  const auto if_present = [&](Token token) { return contains(token) ? token : kNoToken; };
  bos = if_present(defaults.bos);
  eos = if_present(defaults.eos);
  unknown = if_present(defaults.unknown);
  Token eot = kNoToken, eom = kNoToken, pad = kNoToken, repository = kNoToken, next_file = kNoToken;
  TRY(read_id(file, "tokenizer.ggml.bos_token_id", &bos));
  if (model == "bert") TRY(read_id(file, "tokenizer.ggml.cls_token_id", &bos));
  TRY(read_id(file, "tokenizer.ggml.eos_token_id", &eos));
  TRY(read_id(file, "tokenizer.ggml.eot_token_id", &eot));
  TRY(read_id(file, "tokenizer.ggml.eom_token_id", &eom));
  TRY(read_id(file, "tokenizer.ggml.fim_pad_token_id", &pad));
  TRY(read_id(file, "tokenizer.ggml.fim_rep_token_id", &repository));
  TRY(read_id(file, "tokenizer.ggml.fim_sep_token_id", &next_file));
  TRY(read_id(file, "tokenizer.ggml.unknown_token_id", &unknown));
  TRY(read_id(file, "tokenizer.ggml.seperator_token_id", &separator));  // the key is spelled so
  add_bos = file.bool_or("tokenizer.ggml.add_bos_token", defaults.add_bos) && bos != kNoToken;
  add_eos = file.bool_or("tokenizer.ggml.add_eos_token", defaults.add_eos) && eos != kNoToken;
  if (file.find(kTypes) == nullptr) {
    for (const Token token : {bos, eos})
      if (token != kNoToken) types_[static_cast<size_t>(token)] = TokenType::kControl;
    if (unknown != kNoToken) types_[static_cast<size_t>(unknown)] = TokenType::kUnknown;
  }
  find_ends(std::array{eos, eot, eom, pad, repository, next_file});
  return find_fim(file);
}

Status Vocabulary::find_fim(const gguf::File& file) {
  FimTokens found;
  for (const char* key : {"tokenizer.ggml.prefix_token_id", "tokenizer.ggml.fim_pre_token_id"})
    TRY(read_id(file, key, &found.prefix));
  for (const char* key : {"tokenizer.ggml.suffix_token_id", "tokenizer.ggml.fim_suf_token_id"})
    TRY(read_id(file, key, &found.suffix));
  for (const char* key : {"tokenizer.ggml.middle_token_id", "tokenizer.ggml.fim_mid_token_id"})
    TRY(read_id(file, key, &found.middle));

  std::unordered_map<std::string_view, Token> known;
  for (const FimTexts& family : known_fim_texts())
    for (const std::string_view text : {family.prefix, family.suffix, family.middle}) known.emplace(text, kNoToken);
  for (Token token = 0; contains(token); ++token) {
    if (!ends_like_mark(bytes(token))) continue;
    const auto one = known.find(bytes(token));
    if (one != known.end() && one->second == kNoToken) one->second = token;
  }
  // The file's keys say which tokens, never in which order.
  for (const FimTexts& family : known_fim_texts()) {
    if (!family.pre.empty() && family.pre != pre) continue;
    const FimTokens tokens{known[family.prefix], known[family.suffix], known[family.middle], family.suffix_first};
    if (!tokens.complete() || (tokens.middle == kNoToken && !family.middle.empty())) continue;
    if (found.prefix != kNoToken && found.prefix != tokens.prefix) continue;
    if (found.suffix != kNoToken && found.suffix != tokens.suffix) continue;
    found = tokens;
    break;
  }
  if (!found.complete()) return {};
  fim = found;
  for (const Token token : {fim.prefix, fim.suffix, fim.middle})
    if (token != kNoToken) types_[static_cast<size_t>(token)] = TokenType::kControl;
  return {};
}

void Vocabulary::find_ends(std::span<const Token> from_metadata) {
  std::vector<Token> ends;
  std::unordered_set<std::string_view> texts;
  for (Token token = 0; contains(token); ++token) {
    const std::string_view text = bytes(token);
    // "</s>" is an HTML tag to some vocabularies, and <|user|> might be anything.
    if (!ends_like_mark(text)) continue;
    if (!kEndTexts.contains(text) && !((text == "</s>" || text == "<|user|>") && is_control(token))) continue;
    types_[static_cast<size_t>(token)] = TokenType::kControl;
    ends.push_back(token);
    texts.insert(text);
  }
  const auto has = [&](std::string_view text) { return texts.contains(text); };
  std::unordered_set<std::string_view> no_ends;
  // gpt-oss, Solar Open: <|end|> ends one message of several in an answer.
  if ((has("<|return|>") && has("<|call|>")) || (has("<|calls|>") && has("<|flush|>"))) no_ends.insert("<|end|>");
  if (has("<|tool_response>")) no_ends.insert("</s>");
  // GLM hands over to the user or a tool with the head of their turn; for others <|user|> ends nothing.
  if (!has("<|observation|>")) no_ends.insert("<|user|>");
  for (const Token token : ends) ends_generation_[static_cast<size_t>(token)] = !no_ends.contains(bytes(token));
  for (const Token token : from_metadata)
    if (token != kNoToken) ends_generation_[static_cast<size_t>(token)] = true;
}

}  // namespace hearth::text
