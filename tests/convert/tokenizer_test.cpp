// Vocabularies of real models, written as the files that they come with, and imported again: the same tokens.
#include "text/tokenizer.h"

#include <boost/json.hpp>
#include <fstream>

#include "base/file.h"
#include "convert/convert.h"
#include "convert/folder.h"
#include "convert/vocabulary.h"
#include "text/pretokenizer.h"

namespace hearth::test {
namespace {

namespace json = boost::json;

std::shared_ptr<const gguf::File> open_vocabulary(const std::string& name) {
  auto file = gguf::File::open(shared("models/vocab/ggml-vocab-" + name + ".gguf").string());
  EXPECT_TRUE(file.ok());
  return *file;
}

// A model of two numbers a token.
void write_model(const std::filesystem::path& folder, uint64_t rows, const std::string& class_name) {
  std::filesystem::create_directories(folder);
  write_text((folder / "config.json").string(), json::serialize(json::object{{"architectures", {class_name}},
                                                                             {"num_hidden_layers", 1},
                                                                             {"hidden_size", 2},
                                                                             {"intermediate_size", 2},
                                                                             {"num_attention_heads", 1},
                                                                             {"head_dim", 2},
                                                                             {"max_position_embeddings", 128},
                                                                             {"vocab_size", rows},
                                                                             {"tie_word_embeddings", true}}));
  SafetensorsWriter writer;
  writer.add_f32("model.embed_tokens.weight", {rows, 2}, std::vector<float>(2 * rows, 1));
  writer.add_f32("model.norm.weight", {2}, {1, 1});
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
    writer.add_f32(fmt::format("model.layers.0.{}.weight", norm), {2}, {1, 1});
  for (const char* matrix : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                             "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"})
    writer.add_f32(fmt::format("model.layers.0.{}.weight", matrix), {2, 2}, {1, 2, 3, 4});
  writer.write((folder / "model.safetensors").string());
}

Result<std::shared_ptr<const gguf::File>> import(const TemporaryFolder& folder) {
  const std::string out = (folder / "out.gguf").string();
  const auto done = convert::convert_folder((folder / "in").string(), out, {});
  if (!done) return done.error();
  return gguf::File::open(out);
}

std::vector<std::string> texts_of(const std::string& name) {
  const auto all = read_file(shared("models/vocab/ggml-vocab-" + name + ".gguf.inp").string());
  EXPECT_TRUE(all.ok());
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  size_t at = 0;
  for (size_t next = all->find(separator); next != std::string::npos; next = all->find(separator, at)) {
    texts.push_back(all->substr(at, next - at));
    at = next + separator.size();
  }
  EXPECT_GT(texts.size(), 10u);
  return texts;
}

void expect_same_tokens(const gguf::File& ours, const gguf::File& theirs, const std::string& name) {
  const auto a = text::Tokenizer::load(ours), b = text::Tokenizer::load(theirs);
  ASSERT_TRUE(a.ok()) << a.error().message;
  ASSERT_TRUE(b.ok()) << b.error().message;
  EXPECT_EQ((*a)->size(), (*b)->size());
  EXPECT_EQ((*a)->bos(), (*b)->bos());
  EXPECT_EQ((*a)->eos(), (*b)->eos());
  EXPECT_EQ((*a)->adds_bos(), (*b)->adds_bos());
  for (const std::string& text : texts_of(name)) EXPECT_EQ((*a)->encode(text, {}), (*b)->encode(text, {})) << text;
  for (text::Token token = 0; token < static_cast<text::Token>((*b)->size()); ++token)
    ASSERT_EQ((*a)->piece(token, true), (*b)->piece(token, true)) << token;
}

std::string settings_of(const gguf::File& file) {
  json::object settings;
  const auto tokens = file.find("tokenizer.ggml.tokens")->as_strings();
  for (const auto& [key, role] : {std::pair("bos_token_id", "bos_token"), {"eos_token_id", "eos_token"}})
    if (const auto* id = file.find(std::string("tokenizer.ggml.") + key)) settings[role] = tokens[*id->as_u64()];
  if (file.find("tokenizer.ggml.add_bos_token") != nullptr)
    settings["add_bos_token"] = file.bool_or("tokenizer.ggml.add_bos_token", false);
  return json::serialize(settings);
}

json::object split(const std::string& regex) {
  return {{"type", "Split"}, {"pattern", json::object{{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
}
json::object sequence(json::array steps) {
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}
json::object bytes(bool own_words) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", own_words}};
}

// As the tokenizer.json of each has it.
const std::string kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

const std::string kDeepSeek_letters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";

json::value pre_tokenizer_of(const std::string& name) {
  if (name == "gpt-2") return bytes(true);
  if (name == "starcoder")
    return sequence({json::object{{"type", "Digits"}, {"individual_digits", true}}, bytes(true)});
  if (name == "llama-bpe") return sequence({split(kLlama3), bytes(false)});
  if (name == "deepseek-coder")
    return sequence({split("[\r\n]"), split(R"(\s?\p{L}+)"), split(R"(\s?\p{P}+)"), split("[一-龥ࠀ-一가-퟿]+"),
                     json::object{{"type", "Digits"}, {"individual_digits", true}}, bytes(false)});
  if (name == "deepseek-llm")
    return sequence({split("[\r\n]"), split(kDeepSeek_letters), split(R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)"),
                     split(R"(\s+$)"), split("[一-龥ࠀ-一가-퟿]+"),
                     json::object{{"type", "Digits"}, {"individual_digits", true}}, bytes(false)});
  return sequence({split(kQwen2), bytes(false)});
}

class ByteLevel : public testing::TestWithParam<const char*> {};

TEST_P(ByteLevel, GivesTheSameTokens) {
  REQUIRE_SHARED("models/vocab");
  const auto file = open_vocabulary(GetParam());
  const TemporaryFolder folder;
  write_model(folder / "in", file->find("tokenizer.ggml.tokens")->size(), "Qwen2ForCausalLM");
  const std::string name = GetParam();
  write_text((folder / "in" / "tokenizer.json").string(),
             byte_level_json(*file, pre_tokenizer_of(name), name == "llama-bpe"));
  write_text((folder / "in" / "tokenizer_config.json").string(), settings_of(*file));
  const auto imported = import(folder);
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  EXPECT_EQ((*imported)->string_or("tokenizer.ggml.pre", ""), name);
  expect_same_tokens(**imported, *file, name);
}
INSTANTIATE_TEST_SUITE_P(Vocabularies, ByteLevel,
                         testing::Values("gpt-2", "starcoder", "llama-bpe", "qwen2", "deepseek-coder", "deepseek-llm"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

class SentencePieceFiles : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(SentencePieceFiles, GiveTheSameTokens) {
  REQUIRE_SHARED("models/vocab");
  const auto [name, form] = GetParam();
  const auto file = open_vocabulary(name);
  const TemporaryFolder folder;
  write_model(folder / "in", file->find("tokenizer.ggml.tokens")->size(), "LlamaForCausalLM");
  const bool unigram = std::string(name) == "unigram";
  if (form != std::string("json")) write_text((folder / "in" / "tokenizer.model").string(), sentencepiece_model(*file));
  if (form != std::string("model"))
    write_text((folder / "in" / "tokenizer.json").string(), unigram ? unigram_json(*file) : spaced_json(*file));
  json::object settings = json::parse(settings_of(*file)).as_object();
  if (unigram) settings["add_eos_token"] = true;
  write_text((folder / "in" / "tokenizer_config.json").string(), json::serialize(settings));
  const auto imported = import(folder);
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  expect_same_tokens(**imported, *file, name);
}
INSTANTIATE_TEST_SUITE_P(Vocabularies, SentencePieceFiles,
                         testing::Combine(testing::Values("llama-spm", "unigram"),
                                          testing::Values("json", "model", "both")),
                         [](const auto& test) {
                           std::string name = std::string(std::get<0>(test.param)) + "_" + std::get<1>(test.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// DialoGPT comes without a tokenizer.json.
TEST(ByteLevelFiles, GiveTheSameTokens) {
  REQUIRE_SHARED("models/vocab");
  const auto file = open_vocabulary("gpt-2");
  const TemporaryFolder folder;
  const auto tokens = file->find("tokenizer.ggml.tokens")->as_strings();
  std::filesystem::create_directories(folder / "in");
  SafetensorsWriter writer;
  const uint64_t rows = tokens.size();
  writer.add_f32("transformer.wte.weight", {rows, 2}, std::vector<float>(2 * rows, 1));
  writer.add_f32("transformer.wpe.weight", {8, 2}, std::vector<float>(16, 1));
  writer.add_f32("transformer.h.0.attn.bias", {1, 1, 8, 8}, std::vector<float>(64, 1));  // the mask, of no use
  for (const char* norm : {"transformer.h.0.ln_1", "transformer.h.0.ln_2", "transformer.ln_f"})
    for (const char* part : {".weight", ".bias"}) writer.add_f32(std::string(norm) + part, {2}, {1, 1});
  for (const auto& [name, in, out] : {std::tuple("attn.c_attn", 2ul, 6ul),
                                      {"attn.c_proj", 2ul, 2ul},
                                      {"mlp.c_fc", 2ul, 8ul},
                                      {"mlp.c_proj", 8ul, 2ul}}) {
    writer.add_f32(fmt::format("transformer.h.0.{}.weight", name), {in, out}, std::vector<float>(in * out, 1));
    writer.add_f32(fmt::format("transformer.h.0.{}.bias", name), {out}, std::vector<float>(out, 1));
  }
  writer.write((folder / "in" / "model.safetensors").string());
  write_text((folder / "in" / "config.json").string(),
             R"({"architectures":["GPT2LMHeadModel"],"n_layer":1,"n_embd":2,"n_head":1,"n_positions":8,)"
             R"("vocab_size":50257,"bos_token_id":50256,"eos_token_id":50256})");
  json::object vocab;
  for (size_t id = 0; id < tokens.size(); ++id) vocab[tokens[id]] = id;
  std::string merges = "#version: 0.2\n";
  for (const std::string_view merge : file->find("tokenizer.ggml.merges")->as_strings())
    merges += std::string(merge) + "\n";
  write_text((folder / "in" / "vocab.json").string(), json::serialize(vocab));
  write_text((folder / "in" / "merges.txt").string(), merges);
  const auto imported = import(folder);
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  EXPECT_EQ((*imported)->string_or("tokenizer.ggml.pre", ""), "gpt-2");
  for (const std::string& text : texts_of("gpt-2"))
    EXPECT_EQ((*text::Tokenizer::load(**imported))->encode(text, {}),
              (*text::Tokenizer::load(*file))->encode(text, {}));
}

// --- what else the files say

class SmallTokenizer : public testing::Test {
 protected:
  void SetUp() override { write_model(folder_ / "in", 8, "LlamaForCausalLM"); }
  void put(const std::string& name, const std::string& text) { write_text((folder_ / "in" / name).string(), text); }
  // Four letters, their joins, and what `more` adds.
  void put_tokenizer(const std::string& more = "") {
    put("tokenizer.json",
        R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]},"pre_tokenizer":)" +
            json::serialize(sequence({split(kLlama3), bytes(false)})) + more + "}");
  }
  std::shared_ptr<const gguf::File> expect_import() {
    const auto imported = import(folder_);
    EXPECT_TRUE(imported.ok()) << imported.error().message;
    return imported ? *imported : nullptr;
  }
  void expect_refused(const std::string& part, ErrorKind kind) {
    const auto imported = import(folder_);
    ASSERT_FALSE(imported.ok()) << part;
    EXPECT_NE(imported.error().message.find(part), std::string::npos) << imported.error().message;
    EXPECT_EQ(imported.error().kind, kind) << imported.error().message;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out.gguf"));
  }
  TemporaryFolder folder_;
};

TEST_F(SmallTokenizer, TakesSpecialTokensEndsAndChatTemplateAlong) {
  put_tokenizer(R"(,"added_tokens":[{"id":3,"content":"<s>","special":true},{"id":4,"content":"</s>","special":true},)"
                R"({"id":5,"content":"<|end|>","special":true},{"id":6,"content":"<tool>","special":false}])"
                R"(,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},)"
                R"({"Sequence":{"id":"A","type_id":0}}]})");
  put("tokenizer_config.json", R"({"bos_token":{"content":"<s>"},"eos_token":"</s>","chat_template":"{{ hi }}"})");
  put("generation_config.json", R"({"eos_token_id":[4,5],"do_sample":true,"temperature":0.6,"top_k":20})");
  const auto file = expect_import();
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->u64_or("tokenizer.ggml.bos_token_id", 99), 3u);
  EXPECT_EQ(file->u64_or("tokenizer.ggml.eos_token_id", 99), 4u);
  EXPECT_EQ(file->u64_or("tokenizer.ggml.eot_token_id", 99), 5u);
  EXPECT_TRUE(file->bool_or("tokenizer.ggml.add_bos_token", false));
  EXPECT_EQ(file->string_or("tokenizer.chat_template", ""), "{{ hi }}");
  const auto* types = file->find("tokenizer.ggml.token_type");
  EXPECT_EQ(types->at_i64(5), 3);
  EXPECT_EQ(types->at_i64(6), 4);
  EXPECT_EQ(types->at_i64(7), 5);  // a row without a token
  const auto done = convert::convert_folder((folder_ / "in").string(), (folder_ / "out.gguf").string(), {});
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->parameters, (std::vector<std::pair<std::string, double>>{{"temperature", 0.6}, {"top_k", 20}}));
}

TEST_F(SmallTokenizer, TakesTheTemplateNamedDefault) {
  put_tokenizer();
  put("tokenizer_config.json",
      R"({"chat_template":[{"name":"tool_use","template":"T"},{"name":"default","template":"D"}]})");
  EXPECT_EQ(expect_import()->string_or("tokenizer.chat_template", ""), "D");
  put("chat_template.jinja", "J");
  EXPECT_EQ(expect_import()->string_or("tokenizer.chat_template", ""), "J");
}

TEST_F(SmallTokenizer, RefusesByNameWhatItDoesNotKnow) {
  expect_refused("there is no tokenizer", ErrorKind::kNotFound);
  const std::string model = R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"pre_tokenizer":)";
  put("tokenizer.json", model + json::serialize(sequence({split("[xyz]+"), bytes(false)})) + "}");
  expect_refused("[xyz]+", ErrorKind::kUnsupported);
  put("tokenizer.json", R"({"model":{"type":"WordPiece","vocab":{"a":0}}})");
  expect_refused("WordPiece", ErrorKind::kUnsupported);
  put("tokenizer.json", model + json::serialize(bytes(true)) + R"(,"normalizer":{"type":"Lowercase"}})");
  expect_refused("Lowercase", ErrorKind::kUnsupported);
}

TEST_F(SmallTokenizer, RefusesBrokenFiles) {
  for (const char* text :
       {"", "[", "[]", "{}", R"({"model":7})", R"({"model":{"type":"BPE","vocab":{"a":-1}}})",
        R"({"model":{"type":"BPE","vocab":{"a":4294967296}}})",
        R"({"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}})",
        R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["ab"]}})",
        R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[["a","a"]]}})",
        R"({"model":{"type":"Unigram","vocab":[["a"]]}})",
        R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"added_tokens":[{"id":5000000,"content":"x"}]})",
        R"({"model":{"type":"Unigram","unk_id":4,"vocab":[["a",0]]}})"}) {
    put("tokenizer.json", text);
    expect_refused("tokenizer.json", ErrorKind::kInvalidData);
  }
  std::filesystem::remove(folder_ / "in" / "tokenizer.json");
  for (const std::string& bytes :
       {std::string("not a model"), std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10),
        std::string("\x0a\x03\x0a\x01", 4), std::string()}) {
    put("tokenizer.model", bytes);
    expect_refused("tokenizer.model", ErrorKind::kInvalidData);
  }
}

// More tokens than rows: added ones are left out, others are an error.
TEST_F(SmallTokenizer, RefusesMoreTokensThanRows) {
  put_tokenizer(R"(,"added_tokens":[{"id":9,"content":"<late>","special":true}])");
  const auto done = convert::convert_folder((folder_ / "in").string(), (folder_ / "out.gguf").string(), {});
  ASSERT_TRUE(done.ok()) << done.error().message;
  ASSERT_EQ(done->notes.size(), 1u);
  EXPECT_NE(done->notes[0].find("2 added tokens are left out"), std::string::npos) << done->notes[0];
  std::filesystem::remove(folder_ / "out.gguf");
  put("tokenizer.json", R"({"model":{"type":"BPE","vocab":{"a":0,"b":11},"merges":[]},"pre_tokenizer":)" +
                            json::serialize(bytes(true)) + "}");
  expect_refused("has 12 tokens, but the model has rows for 8", ErrorKind::kInvalidData);
}

// Every name that an import may write is one that the tokenizers know.
TEST(Pretokenizers, AreKnown) {
  for (const auto& steps : {std::vector<std::string>{"bytes"}, {"digits", "bytes"}, {kQwen2, "plain bytes"}}) {
    const std::string_view name = convert::pretokenizer_of(steps, false);
    ASSERT_FALSE(name.empty());
    EXPECT_NE(text::find_pretokenizer(name), nullptr) << name;
  }
  EXPECT_EQ(convert::pretokenizer_of({kLlama3, "plain bytes"}, true), "llama-bpe");
  EXPECT_EQ(convert::pretokenizer_of({kLlama3, "plain bytes"}, false), "dbrx");
  EXPECT_TRUE(convert::pretokenizer_of({}, false).empty());
}

}  // namespace
}  // namespace hearth::test
