// hearth create, as a user sees it.
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "cli/process.h"
#include "support/tiny_model.h"

namespace hearth::test {
namespace {

class CreateCommand : public testing::Test {
 protected:
  void SetUp() override { ::setenv("OLLAMA_MODELS", (folder_ / "store").c_str(), 1); }
  void TearDown() override { ::unsetenv("OLLAMA_MODELS"); }
  std::string put(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  void expect_refused(const std::string& modelfile, int code, const std::string& message) {
    const Finished done = hearth({"create", "mine", "-f", put("Modelfile", modelfile)});
    EXPECT_EQ(done.code, code) << done.err;
    EXPECT_NE(done.err.find(message), std::string::npos) << done.err;
    EXPECT_EQ(hearth({"list"}).out.find("mine"), std::string::npos);
  }
  TemporaryFolder folder_;
};

TEST_F(CreateCommand, MakesAModelThatRuns) {
  const TinyModel tiny;
  std::filesystem::copy_file(tiny.write(), folder_ / "weights.gguf");
  const std::string file =
      put("Modelfile", "FROM ./weights.gguf\nSYSTEM Be brief.\nPARAMETER num_predict 3\nLICENSE MIT\n");
  const Finished done = hearth({"create", "mine", "-f", file, "--quantize", "q8_0"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out, "created mine:latest\n");
  EXPECT_EQ(done.err, "");
  EXPECT_EQ(hearth({"run", "mine", "hi", "--temperature", "0"}).code, 0);
  const Finished shown = hearth({"show", "mine"});
  EXPECT_NE(shown.out.find("quantisation      Q8_0, "), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("num_predict       3"), std::string::npos) << shown.out;
  put("Child", "FROM mine\nSYSTEM Be long.\n");
  EXPECT_EQ(hearth({"create", "me/child:v1", "-f", (folder_ / "Child").string()}).out, "created me/child:v1\n");
  const Finished list = hearth({"list"});
  EXPECT_NE(list.out.find("me/child:v1"), std::string::npos) << list.out;
}

TEST_F(CreateCommand, SaysWhatIsWrong) {
  expect_refused("SYSTEM x", 2, "Modelfile: no FROM line");
  expect_refused("FROM a\nFOO b", 2, "Modelfile: (line 2): 'FOO' is no instruction");
  expect_refused("FROM ./absent.gguf", 1, "absent.gguf does not exist");
  expect_refused("FROM 127.0.0.1:1/library/absent", 1, "pull model manifest: nobody answers");
  expect_refused("FROM a\nADAPTER ./x", 1, "adapters (LoRA) are not supported");
  const TinyModel tiny;
  expect_refused("FROM " + tiny.write() + "\nTEMPLATE {{ .Prompt\n", 2, "template error: ");
  const Finished name = hearth({"create", "../mine", "-f", put("Modelfile", "FROM a")});
  EXPECT_EQ(name.code, 2);
  EXPECT_NE(name.err.find("no valid model name"), std::string::npos) << name.err;
}

}  // namespace
}  // namespace hearth::test
