// hearth quantize, as a user sees it: what it writes, what it refuses, and that it leaves nothing when it does not end.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "cli/process.h"
#include "support/tiny_model.h"
#include "support/support.h"

namespace hearth::test {
namespace {

std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

TEST(Quantize, WritesAModelThatRuns) {
  const TinyModel tiny;
  const std::string in = tiny.write(), out = tiny.file("out.gguf");
  const Finished done = hearth({"quantize", in, out, "q8_0", "--threads", "2"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out.find("out.gguf: Q8_0, "), std::string::npos) << done.out;
  EXPECT_NE(done.out.find("Q8_0 28 KiB"), std::string::npos) << done.out;
  EXPECT_EQ(done.err, "");
  const Finished shown = hearth({"show", out});
  EXPECT_NE(shown.out.find("quantisation      Q8_0, "), std::string::npos) << shown.out;
  EXPECT_EQ(hearth({"run", out, "hi", "--num-predict", "3", "--temperature", "0"}).code, 0);
}

TEST(Quantize, SaysWhatStandsInForWhatDoesNotFit) {
  const TinyModel tiny;  // rows of 32: no whole blocks of 256
  const Finished done = hearth({"quantize", tiny.write(), tiny.file("out.gguf"), "Q4_K_M"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out.find("note: blk.0.attn_q.weight: rows of 32 values are not whole blocks of Q4_K: Q5_0 instead\n"),
            std::string::npos)
      << done.out;
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

TEST(Quantize, DoesNotWriteToStandardOutput) {
  const TinyModel tiny;
  const Finished done = hearth({"quantize", tiny.write(), "-", "Q8_0"});
  EXPECT_EQ(done.code, 2);
  EXPECT_NE(done.err.find("it cannot go to standard output; give a path"), std::string::npos) << done.err;
  EXPECT_EQ(done.out, "");
  EXPECT_FALSE(std::filesystem::exists("-"));
}

TEST(Quantize, ASignalLeavesNothing) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const TemporaryFolder folder;
    // It searches grids, which takes a hundred times as long as it takes to see the file.
    Process process({"quantize", "demo", folder / "out.gguf", "IQ1_S", "--threads", "1"});
    while (files_in(folder.path()).empty() && process.runs()) ::usleep(1000);
    process.send(signal);
    const Finished done = process.finish();
    EXPECT_EQ(done.signal, signal) << done.err;
    EXPECT_EQ(files_in(folder.path()), std::vector<std::string>());
  }
}

TEST(Quantize, AFileThatMayNotGrowSoLargeIsAnErrorAndLeavesNothing) {
  const TinyModel tiny;
  const TemporaryFolder folder, said;
  const std::string command = "ulimit -f 8 && exec " HEARTH_BINARY " quantize " + tiny.write() + " " +
                              (folder / "out.gguf").string() + " F16 2> " + (said / "err").string();
  const int status = std::system(("bash -c '" + command + "' > /dev/null").c_str());
  std::stringstream text;
  text << std::ifstream(said / "err").rdbuf();
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_EQ(text.str(), "hearth: cannot write " + (folder / "out.gguf").string() +
                            ": it would be larger than files may be here (see ulimit -f)\n");
  EXPECT_EQ(files_in(folder.path()), std::vector<std::string>());
}

}  // namespace
}  // namespace hearth::test
