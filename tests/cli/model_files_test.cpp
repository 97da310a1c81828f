// Where a model comes from, and what happens to it meanwhile: an Ollama folder, a mapped file, a file that is cut.
#include <filesystem>
#include <fstream>

#include "cli/process.h"
#include "support/tiny_model.h"
#include "support/support.h"

namespace hearth::test {
namespace {

using Args = std::vector<std::string>;

Finished hearth_with(const std::string& variable, const Args& args) {
  return Process(args, Process::Streams::kNoInput, {variable}).finish();
}

// A model folder as Ollama lays it out, with the model "own", whose system message is "Be brief.".
class OllamaFolder {
 public:
  explicit OllamaFolder(const std::string& model) {
    std::filesystem::create_directories(folder_ / "blobs");
    const std::string layers = layer("model", model) + "," + layer("system", "", "Be brief.");
    const auto manifest = folder_ / "manifests/registry.ollama.ai/library/own/latest";
    std::filesystem::create_directories(manifest.parent_path());
    std::ofstream(manifest) << R"({"schemaVersion":2,"config":null,"layers":[)" << layers << "]}";
  }
  std::string variable() const { return "OLLAMA_MODELS=" + folder_.path().string(); }

 private:
  // A blob with the bytes of this file, or with this text, under a made-up digest; returns its entry for a manifest.
  std::string layer(const std::string& kind, const std::string& file, const std::string& text = "") {
    const std::string hex = fmt::format("{:064}", ++blobs_), path = folder_ / ("blobs/sha256-" + hex);
    if (!file.empty()) std::filesystem::copy_file(file, path);
    if (file.empty()) std::ofstream(path) << text;
    return fmt::format(R"({{"mediaType":"application/vnd.ollama.image.{}","digest":"sha256:{}","size":{}}})", kind, hex,
                       std::filesystem::file_size(path));
  }

  TemporaryFolder folder_;
  int blobs_ = 0;
};

TEST(ModelFiles, AnEmptySystemMessageTakesTheModelsOwnAway) {
  TinyModel tiny;
  tiny.chat_template = "{% for m in messages %}{{'<|im_start|>' + m['role']}}{% endfor %}";
  const std::string file = tiny.write();
  const OllamaFolder folder(file);
  const auto answer = [&](const std::string& model, std::optional<std::string> system = {}) {
    Args args = {"run",           model, "hi",           "--temperature",       "0",
                 "--num-predict", "10",  "--logit-bias", TinyModel::kNeverEnds, "--verbose"};
    if (system) args.insert(args.end(), {"--system", *system});
    const Finished done = hearth_with(folder.variable(), args);
    EXPECT_EQ(done.code, 0) << done.err;
    const size_t at = done.err.find("prompt eval count:");
    return done.out + done.err.substr(at, done.err.find('\n', at) - at);
  };
  const std::string bare = answer(file), brief = answer(file, "Be brief.");
  EXPECT_NE(bare, brief);
  EXPECT_EQ(answer("own"), brief);
  EXPECT_EQ(answer("own", ""), bare);
  EXPECT_EQ(answer("own", "Be quick"), answer(file, "Be quick"));
}

TEST(ModelFiles, AMappedModelAnswersAsACopiedOne) {
  const TinyModel tiny;
  const Args base = {"run",           tiny.write(), "hello",        "--temperature",       "0",
                     "--num-predict", "20",         "--logit-bias", TinyModel::kNeverEnds, "--mmap"};
  const auto answer = [&](const char* mode) {
    Args args = base;
    args.push_back(mode);
    return hearth(args);
  };
  const Finished copied = answer("off"), mapped = answer("on");
  EXPECT_EQ(copied.code, 0) << copied.err;
  EXPECT_EQ(mapped.code, 0) << mapped.err;
  EXPECT_GT(copied.out.size(), 5u);
  EXPECT_EQ(mapped.out, copied.out);
  EXPECT_EQ(mapped.err, TinyModel::kNote);
  EXPECT_EQ(answer("maybe").code, 2);
}

TEST(ModelFiles, AModelThatIsCutWhileItRunsIsOneErrorAndNoCrash) {
  const TinyModel tiny;
  const std::string model = tiny.write();
  for (const uintmax_t left : {uintmax_t{0}, std::filesystem::file_size(model) / 2}) {
    tiny.write();
    Process process({"run", model, "hello", "--mmap", "on", "--ctx", "1000000", "--logit-bias", TinyModel::kNeverEnds},
                    Process::Streams::kNoInput);
    EXPECT_TRUE(process.wait_for_output());
    std::filesystem::resize_file(model, left);
    const Finished done = process.finish();
    EXPECT_EQ(done.code, 1) << "signal " << done.signal;
    const std::string said = "hearth: " + model + " became shorter while it was in use";
    EXPECT_NE(done.err.find(said), std::string::npos) << done.err;
    EXPECT_EQ(done.err.find("hearth: "), done.err.rfind("hearth: ")) << done.err;
  }
}

}  // namespace
}  // namespace hearth::test
