// The frame of the command line: help, version, exit codes, messages, output that fails.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "cli/process.h"
#include "support/support.h"
#include "support/tiny_model.h"

namespace hearth::test {
namespace {

TEST(Cli, VersionNamesTheProgramAndWhatTheBuildCanDo) {
  for (const char* flag : {"--version", "-v"}) {
    const Finished done = hearth({flag});
    EXPECT_EQ(done.code, 0);
    EXPECT_EQ(done.out.find("hearth " HEARTH_VERSION "\n"), 0u) << done.out;
    EXPECT_TRUE(done.out.find("\nCUDA: not in this build\n") != std::string::npos ||
                done.out.find("\nCUDA: kernels ") != std::string::npos)
        << done.out;
    EXPECT_EQ(done.err, "");
  }
}

TEST(Cli, HelpListsTheCommandsAndTheirOptions) {
  const Finished done = hearth({"--help"});
  EXPECT_EQ(done.code, 0);
  for (const char* name : {"run", "tokenize", "logits", "perplexity"})
    EXPECT_NE(done.out.find(name), std::string::npos) << name;
  const Finished run = hearth({"run", "--help"});
  EXPECT_EQ(run.code, 0);
  for (const char* option : {"--ctx",
                             "--threads",
                             "--kv-type",
                             "--cpu-isa",
                             "--gpu",
                             "--verbose",
                             "--temperature",
                             "--top-k",
                             "--top-p",
                             "--min-p",
                             "--typical-p",
                             "--repeat-last-n",
                             "--repeat-penalty",
                             "--presence-penalty",
                             "--frequency-penalty",
                             "--mirostat",
                             "--mirostat-tau",
                             "--mirostat-eta",
                             "--num-predict",
                             "--seed",
                             "--stop",
                             "--logit-bias",
                             "--raw",
                             "--system"}) {
    EXPECT_NE(run.out.find(option), std::string::npos) << option;
  }
}

void expect_usage_error(const std::vector<std::string>& args, const std::string& message) {
  const Finished done = hearth(args);
  EXPECT_EQ(done.code, 2) << done.err;
  EXPECT_EQ(done.out, "");
  EXPECT_EQ(done.err.find("hearth: "), 0u) << done.err;
  EXPECT_NE(done.err.find(message), std::string::npos) << done.err;
  EXPECT_EQ(done.err.find('\n'), done.err.size() - 1) << "one line: " << done.err;
}

TEST(Cli, TheLastOfARepeatedOptionCounts) {
  const Finished once = hearth({"show", "demo", "--ctx", "512"});
  const Finished again = hearth({"show", "demo", "--ctx", "64", "--kv-type", "f16", "--ctx", "512"});
  EXPECT_EQ(again.code, 0) << again.err;
  const auto steady = [](const std::string& page) {  // without the memory that is free now
    return std::regex_replace(page, std::regex("[0-9.]+ .iB available"), "");
  };
  EXPECT_EQ(steady(again.out), steady(once.out));
  EXPECT_NE(steady(again.out), steady(hearth({"show", "demo", "--ctx", "64"}).out)) << "the context does not show";
}

TEST(Cli, WrongUsageIsExitCodeTwoAndOneLine) {
  expect_usage_error({}, "no command given");
  expect_usage_error({""}, "unknown command \"\"");
  expect_usage_error({"rnu"}, "did you mean \"hearth run\"?");
  expect_usage_error({"quantum-leap"}, "\"hearth --help\" lists the commands");
  expect_usage_error({"--frobnicate"}, "--frobnicate");
  expect_usage_error({"run"}, "MODEL");
  expect_usage_error({"run", "m.gguf", "--heat", "3"}, "--heat");
  expect_usage_error({"run", "m.gguf", "x", "--top-p", "2"}, "top_p is \"2\", but must be a number from 0 to 1");
  expect_usage_error({"run", "m.gguf", "x", "--seed", "abc"}, "seed is \"abc\"");
  expect_usage_error({"run", "m.gguf", "x", "--logit-bias", "5"}, "ID=BIAS");
  expect_usage_error({"run", "m.gguf", "x", "--temperature"}, "temperature");
  expect_usage_error({"run", "m.gguf", "x", "--kv-type", "q2_k"}, "kv-type");
  expect_usage_error({"run", "m.gguf", "x", "--ctx", "0"}, "ctx");
  expect_usage_error({"run", "m.gguf", "x", "--threads", "-1"}, "threads");
  expect_usage_error({"run", "m.gguf", "x", "--raw", "--system", "s"}, "system");
  expect_usage_error({"run", "m.gguf", ""}, "the prompt is empty");
  expect_usage_error({"run", "m.gguf", "\xff"}, "not valid UTF-8");
  expect_usage_error({"logits", "m.gguf", "--out", "x.npy"}, "--tokens");
  expect_usage_error({"bench", "m.gguf", "-b", "0"}, "-b: Value 0 not in range");
  expect_usage_error({"bench", "m.gguf", "-b1,0"}, "-b: Value 0 not in range");
  expect_usage_error({"bench", "m.gguf", "--sequences", "0"}, "--sequences: Value 0 not in range");
  expect_usage_error({"bench", "m.gguf", "-n", "many"}, "-n");
  expect_usage_error({"bench", "m.gguf", "-p", "0", "-n", "0"}, "-p 0 -n 0 measures nothing");
  expect_usage_error({"bench", "--kernels", "--competitor"}, "--competitor");
}

TEST(Cli, NumbersThatNothingCanHoldAreRefused) {
  const TinyModel tiny;
  const std::string model = tiny.write();
  expect_usage_error({"bench", model, "--ctx", "1073741824", "-b", "1024", "-p", "1"}, "a smaller --ctx");
  expect_usage_error({"bench", model, "--ctx", "4294967297"}, "--ctx");
  expect_usage_error({"bench", model, "-n", "99999999999999999999"}, "-n");
  expect_usage_error({"plan", model, "--parallel", "99999999999"}, "--parallel");
  expect_usage_error({"run", model, "x", "--ctx", "1073741824"}, "the model has at most 1048576");
  expect_usage_error({"run", model, "x", "--top-k", "3000000000"},
                     "top_k is \"3000000000\", but must be an integer of at most 2147483647");
  expect_usage_error({"run", model, "x", "--num-predict", "-99999999999999999999"},
                     "but must be an integer of at least -2147483648");
  expect_usage_error({"run", model, "x", "--seed", "9007199254740993"}, "of at most 9007199254740992");
  expect_usage_error({"run", model, "x", "--temperature", "1e39"}, "but must be a number of at most 3.4");
}

TEST(Cli, AnEmptyPipeIsAnEmptyPrompt) {
  for (const char* input : {"", "\n", "  \n\n"}) {
    const Finished done = hearth({"run", "m.gguf"}, input);
    EXPECT_EQ(done.code, 2);
    EXPECT_NE(done.err.find("the prompt is empty"), std::string::npos) << done.err;
  }
}

TEST(Cli, BadModelFilesAreExitCodeOneAndNamed) {
  const TemporaryFolder folder;
  const std::string empty = folder / "empty.gguf", foreign = folder / "foreign.gguf", missing = folder / "missing.gguf";
  std::ofstream{empty};
  std::ofstream(foreign) << std::string(4096, 'x');
  for (const std::string& model : {empty, foreign, missing, folder.path().string()}) {
    for (const std::vector<std::string>& args :
         {std::vector<std::string>{"run", model, "hello"}, {"tokenize", model, "hello"}}) {
      const Finished done = hearth(args);
      EXPECT_EQ(done.code, 1) << done.err;
      EXPECT_EQ(done.err.find("hearth: "), 0u) << done.err;
      EXPECT_NE(done.err.find(model), std::string::npos) << done.err;
    }
  }
}

// Exit code and standard error of a shell command.
std::pair<int, std::string> shell(const std::string& command) {
  const TemporaryFolder folder;
  const std::string said = (folder / "said").string();
  const int status = std::system(("( " + command + " ) < /dev/null 2> " + said).c_str());
  std::stringstream text;
  text << std::ifstream(said).rdbuf();
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text.str()};
}

TEST(Cli, TheDemoSaysWhereItShouldBe) {
  const TemporaryFolder folder;
  const std::string alone = (folder / "hearth").string();
  std::filesystem::copy_file(HEARTH_BINARY, alone);  // without the model beside it
  const auto [code, said] = shell(alone + " tokenize demo hello");
  EXPECT_EQ(code, 1);
  EXPECT_NE(said.find((folder / "demo.gguf").string()), std::string::npos) << said;
  EXPECT_NE(said.find("share/hearth"), std::string::npos) << said;
}

TEST(Cli, ASystemThatStartsNoMoreThreadsIsAnErrorNotACrash) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer cannot run with stacks of that size";
#endif
  const TinyModel tiny;  // stacks of 200 TB
  const auto [code, said] =
      shell("ulimit -s 200000000000 && exec " HEARTH_BINARY " run --gpu off " + tiny.write() + " hi");
  EXPECT_EQ(code, 1);
  EXPECT_TRUE(said.starts_with("hearth: the system refuses another thread")) << said;
}

TEST(Cli, AFullDiskFailsAndAClosedPipeEndsQuietly) {
  const std::string binary = HEARTH_BINARY;
  const int full = std::system((binary + " --version > /dev/full 2> /dev/null").c_str());
  EXPECT_EQ(WEXITSTATUS(full), 1);
  Process process({"--help"});
  process.close_output();
  const Finished done = process.finish();
  EXPECT_TRUE(done.code == 1 || done.code == 0) << done.code;  // it may have written before the pipe was closed
  EXPECT_EQ(done.err, "");
  EXPECT_EQ(done.signal, 0);
}

}  // namespace
}  // namespace hearth::test
