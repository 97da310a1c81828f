#include "convert/tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "convert/vocabulary.h"

namespace hearth::convert {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr uint64_t kMost_small_bytes = 16 << 20, kMost_vocabulary_bytes = 256 << 20;
constexpr float kUnused_score = -1000;

bool exists(const std::string& path) {
  std::error_code failed;
  return fs::exists(path, failed);
}

Result<std::string> read_text(const std::string& path, uint64_t most_bytes) {
  std::error_code failed;
  const uintmax_t bytes = fs::file_size(path, failed);
  if (!failed && bytes > most_bytes)
    return error(ErrorKind::kInvalidData, "{}: has {} bytes; at most {} are expected", path, bytes, most_bytes);
  return read_file(path);
}

// An object that lives here, empty where the file is not there.
class OptionalFile {
 public:
  static Result<OptionalFile> read(const std::string& path) {
    OptionalFile file(path);
    if (exists(path)) {
      ASSIGN_OR_RETURN(file.object_, read_json_object(path, kMost_small_bytes));
    }
    return file;
  }
  Json json() const { return Json(object_, path_); }

 private:
  explicit OptionalFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
  json::object object_;
};

class TokenizerReader {
 public:
  TokenizerReader(std::string folder, const Json& config, Plan& plan)
      : folder_(std::move(folder)), config_(config), plan_(plan) {}

  Status run() {
    ASSIGN_OR_RETURN(const OptionalFile settings, OptionalFile::read(folder_ + "/tokenizer_config.json"));
    ASSIGN_OR_RETURN(const OptionalFile specials, OptionalFile::read(folder_ + "/special_tokens_map.json"));
    ASSIGN_OR_RETURN(const OptionalFile generation, OptionalFile::read(folder_ + "/generation_config.json"));
    TRY(read_vocabulary());
    TRY(add_from_settings(settings.json()));
    TRY(fit_rows());
    TRY(read_roles(settings.json(), specials.json()));
    TRY(read_ends(generation.json()));
    ASSIGN_OR_RETURN(const std::string chat, chat_template(settings.json()));
    write();
    if (!chat.empty()) plan_.writer.set_string("tokenizer.chat_template", chat);
    return {};
  }

 private:
  Status read_vocabulary() {
    const std::string json = folder_ + "/tokenizer.json", model = folder_ + "/tokenizer.model";
    TokenizerJson parsed;
    const bool sentencepiece = exists(model);
    if (exists(json)) {
      ASSIGN_OR_RETURN(const std::string text, read_text(json, kMost_vocabulary_bytes));
      ASSIGN_OR_RETURN(parsed, parse_tokenizer_json(text, json, sentencepiece));
      vocabulary_ = std::move(parsed.vocabulary);
      if (!vocabulary_.model.empty()) return {};
    }
    if (sentencepiece) return read_sentencepiece(model, exists(json), parsed.added);
    if (exists(folder_ + "/vocab.json") && exists(folder_ + "/merges.txt")) return read_byte_level();
    return error(
        ErrorKind::kNotFound,
        "{}: there is no tokenizer in this folder: neither tokenizer.json nor tokenizer.model, nor vocab.json and "
        "merges.txt; get them as well",
        folder_);
  }

  Status read_sentencepiece(const std::string& path, bool has_json, const std::vector<AddedToken>& added) {
    ASSIGN_OR_RETURN(const std::string bytes, read_text(path, kMost_vocabulary_bytes));
    ASSIGN_OR_RETURN(Vocabulary own, parse_sentencepiece(bytes, path));
    if (has_json) {  // what the model's users load
      own.add_space = vocabulary_.add_space;
      own.add_bos = vocabulary_.add_bos;
      own.add_eos = vocabulary_.add_eos;
    } else {
      own.add_bos = true;
    }
    vocabulary_ = std::move(own);
    return vocabulary_.add(added);
  }

  Status read_byte_level() {
    const std::string_view pre = plan_.architecture() == "gpt2"                                       ? "gpt-2"
                                 : plan_.architecture() == "qwen2" || plan_.architecture() == "qwen3" ? "qwen2"
                                                                                                      : "";
    if (pre.empty())
      return error(ErrorKind::kNotFound,
                   "{}: there is no tokenizer.json, and vocab.json does not say how {} cuts words", folder_,
                   plan_.architecture());
    ASSIGN_OR_RETURN(const std::string vocab, read_text(folder_ + "/vocab.json", kMost_vocabulary_bytes));
    ASSIGN_OR_RETURN(const std::string merges, read_text(folder_ + "/merges.txt", kMost_vocabulary_bytes));
    ASSIGN_OR_RETURN(vocabulary_, parse_byte_level(vocab, merges, pre, folder_));
    return {};
  }

  // added_tokens.json: {"<pad>": 32000}; tokenizer_config.json: "added_tokens_decoder": {"32000": {"content": ...}}.
  Status add_from_settings(const Json& settings) {
    std::vector<AddedToken> added;
    ASSIGN_OR_RETURN(const OptionalFile file, OptionalFile::read(folder_ + "/added_tokens.json"));
    for (const json::key_value_pair& member : file.json().object()) {
      AddedToken token{0, std::string(member.key()), false};
      ASSIGN_OR_RETURN(token.id, file.json().count(token.text, 0, kMost_tokens - 1));
      // Where the vocabulary has it already it is as it says.
      if (token.id >= vocabulary_.tokens.size() || vocabulary_.tokens[token.id] != token.text)
        added.push_back(std::move(token));
    }
    ASSIGN_OR_RETURN(const std::optional<Json> decoder, settings.child("added_tokens_decoder"));
    if (decoder) {
      for (const json::key_value_pair& member : decoder->object()) {
        const std::string_view key(member.key());
        if (key.empty() || key.size() > 9 || key.find_first_not_of("0123456789") != std::string_view::npos)
          return decoder->invalid(key, "is no token's number");
        ASSIGN_OR_RETURN(const std::optional<Json> value, decoder->child(key));
        if (!value) continue;
        AddedToken token{static_cast<uint32_t>(std::stoul(std::string(key))), {}, false};
        ASSIGN_OR_RETURN(token.text, value->text("content"));
        ASSIGN_OR_RETURN(token.special, value->boolean_or("special", false));
        added.push_back(std::move(token));
      }
    }
    return vocabulary_.add(added);
  }

  // Rows beyond the vocabulary are padding; tokens beyond the rows cannot be used.
  Status fit_rows() {
    const size_t rows = plan_.vocabulary, tokens = vocabulary_.tokens.size();
    if (tokens > rows) {
      for (size_t id = rows; id < tokens; ++id)
        if (vocabulary_.types[id] == TokenType::kNormal)
          return error(ErrorKind::kInvalidData, "{}: the tokenizer has {} tokens, but the model has rows for {}",
                       folder_, tokens, rows);
      plan_.notes.push_back(fmt::format("{} added tokens are left out: the model has no rows for them", tokens - rows));
    }
    vocabulary_.tokens.resize(rows);
    vocabulary_.types.resize(rows, TokenType::kUnused);
    if (vocabulary_.model != "gpt2") vocabulary_.scores.resize(rows, kUnused_score);
    for (size_t id = tokens; id < rows; ++id) vocabulary_.tokens[id] = fmt::format("[PAD{}]", id);
    return {};
  }

  // "bos_token": "<s>", or {"content": "<s>", ...}.
  Result<std::optional<uint32_t>> role(const Json& file, const char* key) const {
    const json::value* value = file.find(key);
    if (value == nullptr) return std::optional<uint32_t>();
    if (value->is_object()) value = value->get_object().if_contains("content");
    if (value == nullptr || !value->is_string()) return file.invalid(key, "is no token");
    return vocabulary_.find(std::string_view(value->get_string()));
  }

  Status read_roles(const Json& settings, const Json& specials) {
    struct Role {
      const char *token, *id;
      std::optional<uint32_t>* to;
    };
    for (const Role& one : {Role{"bos_token", "bos_token_id", &vocabulary_.bos},
                            {"eos_token", "eos_token_id", &vocabulary_.eos},
                            {"unk_token", nullptr, &vocabulary_.unknown},
                            {"pad_token", "pad_token_id", &vocabulary_.padding}}) {
      std::optional<uint32_t> found;
      ASSIGN_OR_RETURN(found, role(settings, one.token));
      if (!found) {
        ASSIGN_OR_RETURN(found, role(specials, one.token));
      }
      // config.json may have a list of ends, the first of which is the usual one.
      const bool numbered = !found && !one.to->has_value() && one.id != nullptr;
      if (const json::value* id = numbered ? config_.find(one.id) : nullptr; id != nullptr) {
        if (id->is_array() && !id->get_array().empty()) id = &id->get_array()[0];
        found = number(*id);
      }
      if (found) *one.to = found;
    }
    ASSIGN_OR_RETURN(const bool bos, settings.boolean_or("add_bos_token", vocabulary_.add_bos.value_or(false)));
    ASSIGN_OR_RETURN(const bool eos, settings.boolean_or("add_eos_token", vocabulary_.add_eos.value_or(false)));
    // What tokenizer.json does counts; some files of settings are left over from another tokenizer.
    if (!vocabulary_.add_bos) vocabulary_.add_bos = bos;
    if (!vocabulary_.add_eos) vocabulary_.add_eos = eos;
    return {};
  }

  std::optional<uint32_t> number(const json::value& value) const {
    boost::system::error_code failed;
    const uint64_t id = value.is_number() ? value.to_number<uint64_t>(failed) : UINT64_MAX;
    return failed || id >= vocabulary_.tokens.size() ? std::nullopt : std::optional(static_cast<uint32_t>(id));
  }

  // All tokens that end an answer: chat models have several.
  Status read_ends(const Json& generation) {
    const json::value* ends = generation.find("eos_token_id");
    if (ends == nullptr) return {};
    const json::array list = ends->is_array() ? ends->get_array() : json::array{*ends};
    for (const json::value& value : list) {
      const auto id = number(value);
      if (!id) continue;
      if (!vocabulary_.eos) vocabulary_.eos = id;
      if (*id != vocabulary_.eos && std::find(more_ends_.begin(), more_ends_.end(), *id) == more_ends_.end())
        more_ends_.push_back(*id);
    }
    return {};
  }

  // A text; of several (tools, RAG) the one named "default".
  Result<std::string> chat_template(const Json& settings) const {
    const std::string jinja = folder_ + "/chat_template.jinja";
    if (exists(jinja)) return read_text(jinja, kMost_small_bytes);
    const json::value* value = settings.find("chat_template");
    ASSIGN_OR_RETURN(const OptionalFile file, OptionalFile::read(folder_ + "/chat_template.json"));
    if (value == nullptr) value = file.json().find("chat_template");
    if (value == nullptr) return std::string();
    if (value->is_string()) return std::string(value->get_string());
    if (!value->is_array()) return settings.invalid("chat_template", "is neither a text nor a list");
    for (const json::value& one : value->get_array()) {
      const json::object* object = one.if_object();
      const json::value* name = object == nullptr ? nullptr : object->if_contains("name");
      const json::value* text = object == nullptr ? nullptr : object->if_contains("template");
      if (name != nullptr && *name == "default" && text != nullptr && text->is_string())
        return std::string(text->get_string());
    }
    return std::string();
  }

  void set_id(const char* key, std::optional<uint32_t> id) {
    if (id && *id < vocabulary_.tokens.size()) plan_.writer.set_u32(std::string("tokenizer.ggml.") + key, *id);
  }

  void write() {
    gguf::Writer& writer = plan_.writer;
    writer.set_string("tokenizer.ggml.model", vocabulary_.model);
    writer.set_string("tokenizer.ggml.pre", vocabulary_.pre.empty() ? "default" : vocabulary_.pre);
    writer.set_strings("tokenizer.ggml.tokens", {vocabulary_.tokens.begin(), vocabulary_.tokens.end()});
    if (vocabulary_.model != "gpt2")
      writer.set("tokenizer.ggml.scores",
                 gguf::Value::numbers(gguf::Type::kF32, std::as_bytes(std::span(vocabulary_.scores))));
    writer.set("tokenizer.ggml.token_type",
               gguf::Value::numbers(gguf::Type::kI32, std::as_bytes(std::span(vocabulary_.types))));
    if (vocabulary_.model == "gpt2")
      writer.set_strings("tokenizer.ggml.merges", {vocabulary_.merges.begin(), vocabulary_.merges.end()});
    if (!vocabulary_.charsmap.empty())
      writer.set("tokenizer.ggml.precompiled_charsmap",
                 gguf::Value::numbers(gguf::Type::kU8, std::as_bytes(std::span(vocabulary_.charsmap))));
    set_id("bos_token_id", vocabulary_.bos);
    set_id("eos_token_id", vocabulary_.eos);
    set_id("unknown_token_id", vocabulary_.unknown);
    set_id("padding_token_id", vocabulary_.padding);
    if (!more_ends_.empty()) set_id("eot_token_id", more_ends_[0]);
    if (more_ends_.size() > 1) set_id("eom_token_id", more_ends_[1]);
    writer.set_bool("tokenizer.ggml.add_bos_token", vocabulary_.add_bos.value_or(false));
    writer.set_bool("tokenizer.ggml.add_eos_token", vocabulary_.add_eos.value_or(false));
    if (vocabulary_.model == "gpt2") return;
    writer.set_bool("tokenizer.ggml.add_space_prefix", vocabulary_.add_space);
    if (vocabulary_.model == "t5") writer.set_bool("tokenizer.ggml.remove_extra_whitespaces", vocabulary_.merge_spaces);
  }

  const std::string folder_;
  const Json& config_;
  Plan& plan_;
  Vocabulary vocabulary_;
  std::vector<uint32_t> more_ends_;
};

}  // namespace

Status add_tokenizer(const std::string& folder, const Json& config, Plan& plan) {
  return TokenizerReader(folder, config, plan).run();
}

}  // namespace hearth::convert
