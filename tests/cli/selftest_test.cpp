// `hearth selftest` passes with every instruction set of this machine, and says what is wrong with a damaged model.
#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <random>
#include <sstream>

#include "base/fnv1a.h"
#include "chat/chat_model.h"
#include "cli/process.h"
#include "doctor/selftest_cases.h"
#include "gguf/file.h"
#include "support/support.h"
#include "text/tokenizer.h"

namespace hearth::test {
namespace {

using Args = std::vector<std::string>;

std::filesystem::path demo() {
  return std::filesystem::path(HEARTH_BINARY).parent_path() / "demo.gguf";
}

// "CPU: avx2, generic" of `hearth --version`.
std::vector<std::string> instruction_sets() {
  const std::string text = hearth({"--version"}).out;
  const size_t begin = text.find("CPU: ") + 5;
  std::stringstream list(text.substr(begin, text.find('\n', begin) - begin));
  std::vector<std::string> names;
  for (std::string name; list >> name;) {
    if (name.back() == ',') name.pop_back();
    names.push_back(name);
  }
  return names;
}

boost::json::value report_of(const Finished& done) {
  return boost::json::parse(done.out);
}

// A copy of the demonstration model in which `damage` changed the bytes of one tensor.
template <class Damage>
std::string damaged_copy(const TemporaryFolder& folder, const char* tensor_name, const Damage& damage) {
  std::vector<uint8_t> bytes = read_bytes(demo());
  const auto file = gguf::File::open(demo().string());
  EXPECT_TRUE(file) << file.error().message;
  const gguf::Tensor* tensor = (*file)->tensor(tensor_name);
  EXPECT_NE(tensor, nullptr);
  damage(std::span(bytes).subspan(tensor->offset, tensor->bytes));
  const std::string path = (folder / "demo.gguf").string();
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  return path;
}

TEST(Selftest, PassesWithEveryInstructionSetAndCache) {
  const std::vector<std::string> names = instruction_sets();
  EXPECT_NE(std::find(names.begin(), names.end(), "generic"), names.end());
  for (const std::string& isa : names) {
    for (const char* cache : {"f16", "f32"}) {
      SCOPED_TRACE(isa + ", cache " + cache);
      const Finished done = hearth({"selftest", "--device", "cpu", "--cpu-isa", isa, "--kv-type", cache, "--json"});
      EXPECT_EQ(done.code, 0) << done.out << done.err;
      const boost::json::value report = report_of(done);
      EXPECT_TRUE(report.at("passed").as_bool());
      EXPECT_GT(report.at("logit_error").as_double(), 0);
      EXPECT_LT(report.at("logit_error").as_double(), report.at("logit_tolerance").as_double());
      EXPECT_GT(report.at("decode_tokens_per_s").to_number<double>(), 0);
    }
  }
}

TEST(Selftest, ReadsLikeThis) {
  const Finished done = hearth({"selftest", "--device", "cpu"});
  EXPECT_EQ(done.code, 0) << done.err;
  for (const char* part : {"device    ", "model     ok", "tokens    ok", "logits    ok", "tokens/s", "\npassed\n"})
    EXPECT_NE(done.out.find(part), std::string::npos) << part << "\nin\n" << done.out;
}

TEST(Selftest, FailsWithAModelWhoseWeightsHaveAnotherSign) {
  const TemporaryFolder folder;
  constexpr size_t kBlock = 34;  // Q8_0: two bytes of scale, whose sign is the highest bit, and 32 values
  const std::string path = damaged_copy(folder, "blk.3.attn_output.weight", [](std::span<uint8_t> bytes) {
    for (size_t at = 1; at < bytes.size(); at += kBlock) bytes[at] ^= 0x80;
  });
  const Finished done = hearth({"selftest", "--device", "cpu", "--model", path, "--json"});
  EXPECT_EQ(done.code, 1);
  EXPECT_NE(done.err.find(path), std::string::npos) << done.err;
  EXPECT_NE(done.err.find("damaged"), std::string::npos) << done.err;
  const boost::json::value report = report_of(done);
  EXPECT_FALSE(report.at("passed").as_bool());
  // The computation notices by itself, not only the checksum.
  EXPECT_GT(report.at("logit_error").as_double(), report.at("logit_tolerance").as_double());
}

TEST(Selftest, NoticesASingleBit) {
  const TemporaryFolder folder;
  const std::string path =
      damaged_copy(folder, "blk.7.ffn_down.weight", [](std::span<uint8_t> bytes) { bytes[1000] ^= 1; });
  const Finished done = hearth({"selftest", "--device", "cpu", "--model", path});
  EXPECT_EQ(done.code, 1);
  EXPECT_NE(done.out.find("model     WRONG"), std::string::npos) << done.out;
}

TEST(Selftest, SaysThatTheModelIsMissingOrCut) {
  const TemporaryFolder folder;
  const std::string path = (folder / "demo.gguf").string();
  const Finished missing = hearth({"selftest", "--device", "cpu", "--model", path});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find(path), std::string::npos) << missing.err;
  std::filesystem::copy_file(demo(), path);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  const Finished cut = hearth({"selftest", "--device", "cpu", "--model", path});
  EXPECT_EQ(cut.code, 1);
  EXPECT_NE(cut.err.find(path), std::string::npos) << cut.err;
}

TEST(Selftest, KnowsTheShippedModel) {
  const std::vector<uint8_t> bytes = read_bytes(demo());
  EXPECT_EQ(bytes.size(), doctor::selftest_cases().file_bytes);
  EXPECT_LE(bytes.size(), 6'000'000u);
  EXPECT_EQ(fnv1a({reinterpret_cast<const char*>(bytes.data()), bytes.size()}), doctor::selftest_cases().checksum);
  // Test vectors of the draft.
  EXPECT_EQ(fnv1a(""), 0xcbf29ce484222325u);
  EXPECT_EQ(fnv1a("foobar"), 0x85944171f73967e8u);
}

TEST(Demo, AnswersWithoutAnyOption) {
  for (const auto& [question, answer] : {std::pair("Who are you?", "demonstration model of hearth"),
                                         {"What is the capital of France?", "Paris"},
                                         {"what is the opposite of hot", "cold"}}) {
    const Finished done = hearth({"run", "demo", "--gpu", "off", "--temperature", "0", question});
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_NE(done.out.find(answer), std::string::npos) << done.out;
  }
}

TEST(Demo, TakesAnyText) {
  const auto file = gguf::File::open(demo().string());
  ASSERT_TRUE(file) << file.error().message;
  auto loaded = text::Tokenizer::load(**file);
  ASSERT_TRUE(loaded) << loaded.error().message;
  const std::shared_ptr<const text::Tokenizer> tokenizer = std::move(*loaded);
  const chat::ChatModel chat(chat::read_facts(**file, *tokenizer, {}), tokenizer);
  EXPECT_STREQ(chat.format().family->name, "hermes");
  EXPECT_TRUE(chat.capabilities().tools);
  EXPECT_TRUE(chat.capabilities().parallel_calls);
  EXPECT_GE(tokenizer->size(), 1000u);
  EXPECT_LE(tokenizer->size(), 4000u);
  std::mt19937_64 random(seed());
  std::vector<std::string> texts = {"", " ", "  Gr\u00f6\u00dfe\n\n\u6771\u4eac \U0001f642 12345\t!",
                                    "what's {\"a\": [1, 22, 333]}"};
  for (int i = 0; i < 200; ++i) {
    std::string text;
    for (int k = 0; k < 40; ++k) text += static_cast<char>(random());
    texts.push_back(text);
  }
  for (const std::string& text : texts) EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, {}), false), text);
}

TEST(Demo, CanBeQuantisedToKTypes) {
  const TemporaryFolder folder;
  for (const char* type : {"Q4_K_M", "Q6_K"}) {
    const std::string out = (folder / type).string();
    const Finished done = hearth({"quantize", demo().string(), out, type});
    EXPECT_EQ(done.code, 0) << done.err;
    // Every matrix has whole K-blocks: the norms alone stay as they are.
    for (const char* other : {"Q8_0", "Q5_0", "Q4_0", "F16"})
      EXPECT_EQ(done.out.substr(done.out.find(": " + std::string(type))).find(other), std::string::npos) << done.out;
    EXPECT_LT(std::filesystem::file_size(out), std::filesystem::file_size(demo()));
  }
}

}  // namespace
}  // namespace hearth::test
