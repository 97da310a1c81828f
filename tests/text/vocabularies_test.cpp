// The vocabularies of real models against tokens that other programs made.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <ctime>
#include <fstream>
#include <sstream>

#include "boost/json.hpp"
#include "support/support.h"
#include "text/tokenizer.h"

namespace hearth::text {
namespace {

constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};

std::unique_ptr<Tokenizer> load(const std::string& name) {
  auto file = gguf::File::open(test::shared("models/vocab/ggml-vocab-" + name + ".gguf"));
  if (!file) throw std::runtime_error(file.error().message);
  auto tokenizer = Tokenizer::load(**file);
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

INSTANTIATE_TEST_SUITE_P(Real, Vocabularies,
                         testing::Values("llama-bpe", "qwen2", "llama-spm", "phi-3", "gpt-2", "deepseek-coder",
                                         "deepseek-llm", "falcon", "starcoder", "bert-bge"),
                         [](const auto& test_case) {
                           std::string name = test_case.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace hearth::text
