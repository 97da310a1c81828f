// hearth show and hearth quantize, as a user sees them.
#include "cli/process.h"
#include "cli/tiny_model.h"
#include "gguf/file.h"
#include "support/support.h"

namespace hearth::test {
namespace {

void expect_parts(const Finished& shown, const std::vector<std::string>& parts) {
  EXPECT_EQ(shown.code, 0) << shown.err;
  for (const std::string& part : parts)
    EXPECT_NE(shown.out.find(part), std::string::npos) << part << " in\n" << shown.out;
}

TEST(Show, TellsWhatAModelIsAndWhatItNeeds) {
  TinyModel tiny;
  tiny.context = 2048;
  const std::string path = tiny.write();
  expect_parts(
      hearth({"show", path}),
      {"architecture      llama\n", "context           2048 tokens\n", "layers            1\n",
       "heads             2 for queries, 2 for keys and values, 16 wide\n", "parameters        26.9 K\n",
       "F32              12      26.9 K   105 KiB 100.0 %        32.00\n", "vocabulary        259 tokens\n",
       "start token       1 <s>, added to every prompt\n", "end token         2 </s>\n", "chat template     none\n",
       "context           2048 tokens, f16 cache\n", "cache             256 KiB\n"});
  expect_parts(hearth({"show", path, "--ctx", "1024", "--kv-type", "f32"}),
               {"context           1024 tokens, f32 cache\n", "cache             256 KiB\n"});
  EXPECT_EQ(hearth({"show", path}).out.find("blk.0.ffn_up.weight"), std::string::npos);
  expect_parts(hearth({"show", path, "--tensors"}), {"blk.0.ffn_up.weight       F32          8 KiB  32 x 64\n"});
}

TEST(Show, AContextBeyondTheModelsIsAUsageError) {
  TinyModel tiny;
  tiny.context = 2048;
  const Finished shown = hearth({"show", tiny.write(), "--ctx", "4096"});
  EXPECT_EQ(shown.code, 2);
  EXPECT_NE(shown.err.find("2048"), std::string::npos) << shown.err;
}

TEST(Show, AModelThatCannotBeRunIsStillShown) {
  const TemporaryFolder folder;
  const std::string path = folder / "m.gguf";
  gguf::Writer writer;
  writer.set_string("general.architecture", "clip\x1b[2J");
  writer.add_tensor("v.weight", *quant::find_name("F16"), std::vector<uint64_t>{8, 8});
  const std::vector<uint8_t> data(128);
  ASSERT_TRUE(writer.begin(path).ok());
  ASSERT_TRUE(writer.write(std::as_bytes(std::span(data))).ok());
  ASSERT_TRUE(writer.finish().ok());
  const Finished shown = hearth({"show", path});
  expect_parts(shown, {"F16               1          64     128 B 100.0 %        16.00\n", "cannot be used",
                       "cannot be run", "is not supported"});
  EXPECT_EQ(shown.out.find('\x1b'), std::string::npos) << "a file must not steer the terminal";
}

TEST(Quantize, WritesAModelThatRuns) {
  const TinyModel tiny;
  const std::string in = tiny.write(), out = tiny.file("out.gguf");
  const Finished done = hearth({"quantize", in, out, "q8_0", "--threads", "2"});
  expect_parts(done, {"out.gguf: Q8_0, ", "Q8_0 28 KiB"});
  EXPECT_EQ(done.err, "");
  expect_parts(hearth({"show", out}), {"quantisation      Q8_0, "});
  expect_parts(hearth({"run", out, "hi", "--num-predict", "3", "--temperature", "0"}), {});
}

TEST(Quantize, SaysWhatStandsInForWhatDoesNotFit) {
  const TinyModel tiny;  // rows of 32: no whole blocks of 256
  const Finished done = hearth({"quantize", tiny.write(), tiny.file("out.gguf"), "Q4_K_M"});
  expect_parts(done, {"note: blk.0.attn_q.weight: rows of 32 values are not whole blocks of Q4_K: Q5_0 instead\n"});
}

TEST(Quantize, WrongUseIsExplained) {
  const TinyModel tiny;
  const std::string in = tiny.write();
  const Finished type = hearth({"quantize", in, tiny.file("out.gguf"), "Q9"});
  EXPECT_EQ(type.code, 2);
  EXPECT_NE(type.err.find("unknown type 'Q9'; the types are F32, "), std::string::npos) << type.err;
  const Finished same = hearth({"quantize", in, in, "Q8_0"});
  EXPECT_EQ(same.code, 2);
  EXPECT_NE(same.err.find("is the file to read"), std::string::npos) << same.err;
  EXPECT_EQ(hearth({"quantize", tiny.file("absent.gguf"), in, "Q8_0"}).code, 1);
  EXPECT_FALSE(std::filesystem::exists(tiny.file("out.gguf")));
}

}  // namespace
}  // namespace hearth::test
