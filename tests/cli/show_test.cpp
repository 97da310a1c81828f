// hearth show, as a user sees it.
#include "cli/process.h"
#include "support/tiny_model.h"
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
  expect_parts(hearth({"show", path}),
               {"architecture      llama\n", "context           2048 tokens\n", "layers            1\n",
                "heads             2 for queries, 2 for keys and values, 16 wide\n", "parameters        26.9 K\n",
                "F32              12      26.9 K   105 KiB 100.0 %        32.00\n", "vocabulary        259 tokens\n",
                "start token       1 <s>, added to every prompt\n", "end token         2 </s>\n",
                "template          none: texts are put one after the other\n", "family            plain: ",
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

}  // namespace
}  // namespace hearth::test
