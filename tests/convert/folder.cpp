#include "convert/folder.h"

#include <openssl/evp.h>

#include <algorithm>

namespace hearth::test {
namespace {

namespace json = boost::json;

// Protocol buffers, written from their definition.
std::string number(uint64_t value) {
  std::string out;
  for (; value >= 128; value >>= 7) out += static_cast<char>(static_cast<uint8_t>(value) | 0x80);
  return out + static_cast<char>(value);
}
std::string number_field(uint32_t id, uint64_t value) {
  return number(id << 3) + number(value);
}
std::string bytes_field(uint32_t id, const std::string& bytes) {
  return number(id << 3 | 2) + number(bytes.size()) + bytes;
}
std::string float_field(uint32_t id, float value) {
  return number(id << 3 | 5) + std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

std::span<const std::string_view> tokens_of(const gguf::File& file) {
  return file.find("tokenizer.ggml.tokens")->as_strings();
}
int64_t type_of(const gguf::File& file, size_t id) {
  return file.find("tokenizer.ggml.token_type")->at_i64(id);
}

// Control, unknown and user-defined tokens.
json::array added_tokens(const gguf::File& file) {
  json::array added;
  const auto tokens = tokens_of(file);
  for (size_t id = 0; id < tokens.size(); ++id) {
    const int64_t type = type_of(file, id);
    if (type < 2 || type > 4) continue;
    added.push_back(json::object{{"id", id}, {"content", tokens[id]}, {"special", type != 4}});
  }
  return added;
}

}  // namespace

std::string sentencepiece_model(const gguf::File& file) {
  const auto tokens = tokens_of(file);
  std::string out;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto score = static_cast<float>(file.find("tokenizer.ggml.scores")->at_f64(id));
    out += bytes_field(1, bytes_field(1, std::string(tokens[id])) + float_field(2, score) +
                              number_field(3, static_cast<uint64_t>(type_of(file, id))));
  }
  const bool bpe = file.string_or("tokenizer.ggml.model", "") == "llama";
  std::string trainer = number_field(3, bpe ? 2 : 1);
  const auto role = [&](uint32_t field, const char* key) {
    const auto* id = file.find(key);
    trainer += number_field(field, id == nullptr ? UINT64_MAX : *id->as_u64());  // -1: none
  };
  role(40, "tokenizer.ggml.unknown_token_id");
  role(41, "tokenizer.ggml.bos_token_id");
  role(42, "tokenizer.ggml.eos_token_id");
  out += bytes_field(2, trainer);
  std::string normalizer = bytes_field(1, "identity");
  if (const auto* charsmap = file.find("tokenizer.ggml.precompiled_charsmap")) {
    const auto bytes = charsmap->bytes();
    normalizer += bytes_field(2, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  normalizer += number_field(3, file.bool_or("tokenizer.ggml.add_space_prefix", true));
  normalizer += number_field(4, file.bool_or("tokenizer.ggml.remove_extra_whitespaces", false));
  return out + bytes_field(3, normalizer);
}

std::string byte_level_json(const gguf::File& file, const json::value& pre_tokenizer, bool ignore_merges) {
  json::object vocab;
  const auto tokens = tokens_of(file);
  for (size_t id = 0; id < tokens.size(); ++id)
    if (type_of(file, id) == 1) vocab[tokens[id]] = id;
  json::array merges;
  for (const std::string_view merge : file.find("tokenizer.ggml.merges")->as_strings()) merges.emplace_back(merge);
  return json::serialize(json::object{
      {"added_tokens", added_tokens(file)},
      {"normalizer", json::object{{"type", "NFC"}}},
      {"pre_tokenizer", pre_tokenizer},
      {"model",
       json::object{{"type", "BPE"}, {"ignore_merges", ignore_merges}, {"vocab", vocab}, {"merges", merges}}}});
}

std::string spaced_json(const gguf::File& file) {
  const auto tokens = tokens_of(file);
  json::object vocab;
  for (size_t id = 0; id < tokens.size(); ++id) vocab[tokens[id]] = id;
  // All ways to make a token of two others, best score first, as transformers converts such vocabularies.
  struct Merge {
    double score;
    std::string_view left, right;
  };
  std::vector<Merge> merges;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (type_of(file, id) != 1) continue;
    for (size_t cut = 1; cut < tokens[id].size(); ++cut) {
      const std::string_view left = tokens[id].substr(0, cut), right = tokens[id].substr(cut);
      if (!vocab.contains(left) || !vocab.contains(right)) continue;
      merges.push_back({file.find("tokenizer.ggml.scores")->at_f64(id), left, right});
    }
  }
  std::ranges::stable_sort(merges, [](const Merge& a, const Merge& b) { return a.score > b.score; });
  json::array list;
  for (const Merge& merge : merges) list.push_back(json::array{merge.left, merge.right});
  return json::serialize(json::object{
      {"added_tokens", added_tokens(file)},
      {"normalizer", json::object{{"type", "Sequence"},
                                  {"normalizers", json::array{json::object{{"type", "Prepend"}, {"prepend", "\u2581"}},
                                                              json::object{{"type", "Replace"},
                                                                           {"pattern", json::object{{"String", " "}}},
                                                                           {"content", "\u2581"}}}}}},
      {"post_processor",
       json::object{{"type", "TemplateProcessing"},
                    {"single", json::array{json::object{{"SpecialToken", json::object{{"id", "<s>"}, {"type_id", 0}}}},
                                           json::object{{"Sequence", json::object{{"id", "A"}, {"type_id", 0}}}}}}}},
      {"model",
       json::object{
           {"type", "BPE"}, {"unk_token", "<unk>"}, {"byte_fallback", true}, {"vocab", vocab}, {"merges", list}}}});
}

std::string unigram_json(const gguf::File& file) {
  const auto tokens = tokens_of(file);
  json::array vocab;
  for (size_t id = 0; id < tokens.size(); ++id)
    vocab.push_back(json::array{tokens[id], file.find("tokenizer.ggml.scores")->at_f64(id)});
  const auto bytes = file.find("tokenizer.ggml.precompiled_charsmap")->bytes();
  std::string encoded(bytes.size() / 3 * 4 + 8, '\0');
  encoded.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                                     static_cast<int>(bytes.size()))));
  return json::serialize(json::object{
      {"added_tokens", added_tokens(file)},
      {"normalizer", json::object{{"type", "Precompiled"}, {"precompiled_charsmap", encoded}}},
      {"pre_tokenizer",
       json::object{{"type", "Sequence"},
                    {"pretokenizers", json::array{json::object{{"type", "WhitespaceSplit"}},
                                                  json::object{{"type", "Metaspace"}, {"prepend_scheme", "always"}}}}}},
      {"model", json::object{{"type", "Unigram"}, {"unk_id", 3}, {"vocab", vocab}}}});
}

}  // namespace hearth::test
