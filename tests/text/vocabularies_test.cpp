// The vocabularies of real models against tokens that other programs made.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <ctime>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "boost/json.hpp"
#include "support/support.h"
#include "text/tokenizer.h"

namespace hearth::text {
namespace {

constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};

std::shared_ptr<const gguf::File> open(const std::string& name) {
  auto file = gguf::File::open(test::shared("models/vocab/ggml-vocab-" + name + ".gguf"));
  if (!file) throw std::runtime_error(file.error().message);
  return *file;
}

std::unique_ptr<Tokenizer> load(const std::string& name) {
  auto tokenizer = Tokenizer::load(*open(name));
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return std::move(tokenizer).value();
}

std::string read_text(const std::filesystem::path& path) {
  const std::vector<uint8_t> bytes = test::read_bytes(path);
  return {bytes.begin(), bytes.end()};
}

// The texts of a .inp file: separated by a line of their own, the last one ended by a line break.
std::vector<std::string> split_texts(std::string all) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  size_t at = 0;
  for (size_t next = all.find(separator); next != std::string::npos; next = all.find(separator, at)) {
    texts.push_back(all.substr(at, next - at));
    at = next + separator.size();
  }
  return texts;
}

std::vector<std::vector<Token>> read_tokens(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::vector<std::vector<Token>> all;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    all.emplace_back(std::istream_iterator<Token>(words), std::istream_iterator<Token>());
  }
  return all;
}

std::string sha256(const std::vector<Token>& tokens) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  EVP_Digest(tokens.data(), tokens.size() * sizeof(Token), digest, &bytes, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned int i = 0; i < bytes; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

class Vocabularies : public testing::TestWithParam<const char*> {};

TEST_P(Vocabularies, GiveTheTokensOfTheReference) {
  REQUIRE_SHARED("models/vocab");
  const std::string path = std::string("models/vocab/ggml-vocab-") + GetParam() + ".gguf";
  const auto tokenizer = load(GetParam());
  const auto texts = split_texts(read_text(test::shared(path + ".inp")));
  const auto expected = read_tokens(test::shared(path + ".out"));
  ASSERT_EQ(texts.size(), 46u);
  ASSERT_EQ(expected.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(tokenizer->encode(texts[i], kPlain), expected[i]) << texts[i];
}

TEST_P(Vocabularies, GiveTheTokensOfTheReferenceForALongText) {
  REQUIRE_SHARED("golden/long_text_tokens.json");
  const auto golden = boost::json::parse(read_text(test::shared("golden/long_text_tokens.json")));
  const std::string text = read_text(test::shared("text/war-and-peace.txt"));
  const auto& expected = golden.at("vocabularies").at(GetParam());

  const double load_start = processor_seconds();
  const auto tokenizer = load(GetParam());
  const double start = processor_seconds();
  const std::vector<Token> tokens = tokenizer->encode(text, kPlain);
  const double end = processor_seconds();
  std::cout << fmt::format("{}: loads in {:.1f} ms, encodes {:.1f} MB/s\n", GetParam(), (start - load_start) * 1e3,
                           static_cast<double>(text.size()) / 1e6 / (end - start));

  EXPECT_EQ(tokens.size(), expected.at("count").to_number<size_t>());
  EXPECT_EQ(sha256(tokens), expected.at("sha256_of_int32_le").as_string());
  const auto& first = expected.at("first").as_array();
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(tokens.at(i), first[i].to_number<Token>()) << i;
}

// The tokens that the file says are special, and their texts. Not single letters that some converters declare
// user-defined.
std::map<Token, std::string_view> special_texts(const gguf::File& file) {
  const gguf::Value* types = file.find("tokenizer.ggml.token_type");
  const auto texts = file.find("tokenizer.ggml.tokens")->as_strings();
  std::map<Token, std::string_view> found;
  for (size_t i = 0; i < texts.size(); ++i) {
    const int64_t type = types->at_i64(i);
    if (type >= 2 && type <= 4 && texts[i].size() > 2) found[static_cast<Token>(i)] = texts[i];
  }
  return found;
}

TEST_P(Vocabularies, MakeNoSpecialTokenOfWhatAUserSays) {
  REQUIRE_SHARED("models/vocab");
  const auto file = open(GetParam());
  const auto tokenizer = load(GetParam());
  const auto specials = special_texts(*file);
  const bool keeps_text = tokenizer->model_name() == "gpt2" || tokenizer->model_name() == "llama";
  const auto unknown = static_cast<Token>(file->find("tokenizer.ggml.unknown_token_id") == nullptr
                                              ? kNoToken
                                              : *file->find("tokenizer.ggml.unknown_token_id")->as_i64());
  const auto [mark, mark_text] = *specials.begin();
  const auto check = [&](const std::string& message) {
    const std::vector<Span> user = {{message, false}};
    const std::vector<Token> tokens = tokenizer->encode(user, false);
    for (const Token token : tokens)
      EXPECT_TRUE(!specials.contains(token) || (token == unknown && !keeps_text)) << message << " gives " << token;
    if (keeps_text) {
      EXPECT_EQ(tokenizer->decode(tokens, true), message);
    }
    // A mark of the template before and behind.
    const std::vector<Span> turn = {{mark_text, true}, {message, false}, {mark_text, true}};
    std::vector<Token> expected = tokens;
    expected.insert(expected.begin(), mark);
    expected.push_back(mark);
    EXPECT_EQ(tokenizer->encode(turn, false), expected) << message;
  };
  std::string all;
  for (const auto& [token, text] : specials) {
    check("What does " + std::string(text) + "mean?");
    check(std::string(text));
    all += text;
    EXPECT_EQ(tokenizer->encode(text, {.add_special = false, .parse_special = true}), std::vector{token});
  }
  check(all);
}

TEST_P(Vocabularies, MakeNoFimMarkOfWhatAUserSays) {
  REQUIRE_SHARED("models/vocab");
  const auto tokenizer = load(GetParam());
  const bool coder = std::set<std::string>{"qwen2", "deepseek-coder", "starcoder"}.contains(GetParam());
  EXPECT_EQ(tokenizer->has_fim(), coder);
  if (!coder) return;
  const auto file = open(GetParam());  // holds the texts
  const auto specials = special_texts(*file);
  std::string all;
  for (const auto& [token, text] : specials) all += text;
  const FimPrompt fim = tokenizer->encode_fim("def f():" + all, all + "return 1", 1 << 20);
  size_t marks = 0;
  for (const Token token : fim.tokens) marks += specials.contains(token);
  EXPECT_EQ(marks, tokenizer->adds_bos() ? 4u : 3u);
  EXPECT_EQ(fim.stops.size(), 3u);
}

// The texts of the marks, from the models' cards.
TEST(Fim, IsWrittenAsEachFamilyWasTrained) {
  REQUIRE_SHARED("models/vocab");
  const std::string prefix = "def add(a, b):\n    return ", suffix = "\n\nprint(add(1, 2))\n";
  for (const auto& [name, before, between, behind] :
       {std::tuple("qwen2", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
        {"starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
        {"deepseek-coder", "<｜begin▁of▁sentence｜><｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"}}) {
    const auto tokenizer = load(name);
    const FimPrompt fim = tokenizer->encode_fim(prefix, suffix, 1000);
    EXPECT_EQ(tokenizer->decode(fim.tokens, true), before + prefix + between + suffix + behind) << name;
    EXPECT_EQ(fim.dropped_prefix + fim.dropped_suffix, 0u);
  }
}

// Hugging Face's tokens for WordPiece, with its rule of 100 characters; SentencePiece's for XLM-R.
TEST(Embedders, GiveTheTokensOfTheReference) {
  REQUIRE_SHARED("golden/embeddings/index.json");
  const auto index = boost::json::parse(read_text(test::shared("golden/embeddings/index.json")));
  for (const auto& [name, model] : index.at("embeddings").as_object()) {
    const auto file = gguf::File::open(test::shared(std::string(model.at("model").as_string())));
    ASSERT_TRUE(file) << file.error().message;
    const auto tokenizer = Tokenizer::load(**file);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    for (const auto& row : model.at("rows").as_array()) {
      const auto* parse = row.as_object().if_contains("parse_special");
      std::vector<Token> expected;
      for (const auto& token : row.at("tokens").as_array()) expected.push_back(token.to_number<Token>());
      EXPECT_EQ((*tokenizer)
                    ->encode(std::string_view(row.at("text").as_string()),
                             {.add_special = true, .parse_special = parse == nullptr || parse->as_bool()}),
                expected)
          << std::string_view(name) << ": " << row.at("name");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Real, Vocabularies,
                         testing::Values("llama-bpe", "qwen2", "llama-spm", "phi-3", "gpt-2", "deepseek-coder",
                                         "deepseek-llm", "falcon", "starcoder", "bert-bge", "unigram"),
                         [](const auto& test_case) {
                           std::string name = test_case.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace hearth::text
