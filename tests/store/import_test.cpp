// Models of other programs: found where those put them, and brought in without a copy where that goes.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/file.h"
#include "disk/guard.h"
#include "store/blobs.h"
#include "store/edit_models.h"
#include "store/import_model.h"
#include "store/ollama_models.h"
#include "store/pins.h"
#include "support/support.h"
#include "support/tiny_model.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

class Import : public testing::Test {
 protected:
  Import() { disk::set_policy({0}); }
  ~Import() override { disk::set_policy({}); }

  fs::path put(const std::string& path, const std::string& from) {
    fs::create_directories((home_ / path).parent_path());
    fs::copy_file(from, home_ / path);
    return home_ / path;
  }
  Environment environment() {
    return [this](const std::string& name) -> std::optional<std::string> {
      if (name == "HOME") return home_.path().string();
      const auto found = variables_.find(name);
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    };
  }
  std::vector<FoundModel> find() { return find_models(store_.path().string(), environment()); }
  static ino_t inode(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_ino;
  }

  test::TinyModel tiny_;
  test::TemporaryFolder home_, store_;
  std::map<std::string, std::string> variables_;
  std::vector<std::string> folders_ = {store_.path().string()};
};

TEST_F(Import, FindsModelsWhereProgramsPutThem) {
  const std::string file = tiny_.write();
  put(".lmstudio/models/lmstudio-community/Qwen2.5-7B-Instruct-GGUF/Qwen2.5-7B-Instruct-Q4_K_M.gguf", file);
  put(".lmstudio/models/lmstudio-community/Qwen2.5-7B-Instruct-GGUF/mmproj-model-f16.gguf", file);
  put(".cache/llama.cpp/ggml-org_gemma-3-1b-it-GGUF_gemma-3-1b-it-Q8_0.gguf", file);
  put(".local/share/nomic.ai/GPT4All/mistral-7b.Q4_0.gguf", file);
  // A cache of Hugging Face: a blob, and a link to it in the snapshot that refs/main names.
  const fs::path repository = home_ / ".cache/huggingface/hub/models--bartowski--Tiny-GGUF";
  put(".cache/huggingface/hub/models--bartowski--Tiny-GGUF/blobs/abc", file);
  fs::create_directories(repository / "snapshots/1234");
  fs::create_directories(repository / "refs");
  std::ofstream(repository / "refs/main") << "1234";
  fs::create_symlink("../../blobs/abc", repository / "snapshots/1234/Tiny-IQ4_XS.gguf");
  put(".cache/huggingface/hub/models--org--Full/snapshots/1/config.json", file);
  put(".cache/huggingface/hub/models--org--Full/snapshots/1/model.safetensors", file);

  std::map<std::string, FoundModel> found;
  for (const FoundModel& model : find()) found[model.name] = model;
  ASSERT_TRUE(found.contains("hf.co/lmstudio-community/Qwen2.5-7B-Instruct-GGUF:Q4_K_M"));
  EXPECT_TRUE(
      found["hf.co/lmstudio-community/Qwen2.5-7B-Instruct-GGUF:Q4_K_M"].projector.ends_with("mmproj-model-f16.gguf"));
  EXPECT_EQ(found["ggml-org_gemma-3-1b-it-GGUF_gemma-3-1b-it:Q8_0"].program, "llama.cpp");
  EXPECT_EQ(found["mistral-7b:Q4_0"].program, "GPT4All");
  EXPECT_EQ(found["hf.co/bartowski/Tiny-GGUF:IQ4_XS"].program, "Hugging Face");
  EXPECT_EQ(found["hf.co/org/Full:latest"].kind, FoundModel::Kind::kSafetensors);
  EXPECT_EQ(found.size(), 5u);
  EXPECT_EQ(find_weights(environment()).size(), 0u) << "none of them is large";
}

TEST_F(Import, LinksInsteadOfCopying) {
  const fs::path file = put(".cache/llama.cpp/tiny-Q4_0.gguf", tiny_.write());
  const std::vector<FoundModel> found = find();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(*likely_share(found[0].path, folders_[0]), Share::kLinked);
  const auto done = import_model(found[0], folders_[0], {});
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(*done, Share::kLinked);
  const auto model = resolve_name("tiny:q4_0", folders_);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(inode(model->model), inode(file.string()));
  // What the store drops stays with its owner.
  ASSERT_TRUE(remove_model("tiny:Q4_0", folders_).ok());
  EXPECT_TRUE(fs::exists(file));
}

TEST_F(Import, TakesAModelOfAnotherStoreWithAllItsLayers) {
  const test::TemporaryFolder other;
  variables_["OLLAMA_MODELS"] = other.path().string();
  const fs::path file = put(".cache/llama.cpp/tiny-Q4_0.gguf", tiny_.write());
  FoundModel seed{FoundModel::Kind::kGguf, "x", "ours", file.string(), "", 1};
  ASSERT_TRUE(import_model(seed, other.path().string(), {}).ok());
  fs::remove(file);
  const std::vector<FoundModel> found = find();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, FoundModel::Kind::kStore);
  ASSERT_TRUE(import_model(found[0], folders_[0], {}).ok());
  const std::vector<std::string> others = {other.path().string()};
  EXPECT_EQ(model_digest("ours", folders_), model_digest("ours", others)) << "the manifest is the same, byte for byte";
  EXPECT_EQ(inode(resolve_name("ours", folders_)->model), inode(resolve_name("ours", others)->model));
  // One that is damaged is not taken for whole.
  ASSERT_TRUE(remove_model("ours", folders_).ok());
  std::ofstream(resolve_name("ours", others)->model, std::ios::in | std::ios::out) << "XXXX";
  const auto damaged = import_model(found[0], folders_[0], {});
  ASSERT_FALSE(damaged.ok());
  EXPECT_NE(damaged.error().message.find("is damaged"), std::string::npos) << damaged.error().message;
  EXPECT_TRUE(list_models(folders_).empty());
}

TEST_F(Import, RefusesWhatIsNoModel) {
  fs::create_directories(home_ / ".cache/llama.cpp");
  std::ofstream(home_ / ".cache/llama.cpp/broken.gguf") << "nothing";
  const auto done = import_model(find().at(0), folders_[0], {});
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().message.find("not in GGUF format"), std::string::npos) << done.error().message;
  EXPECT_TRUE(list_models(folders_).empty());
}

TEST_F(Import, FileNamesBecomeNames) {
  for (const auto& [file, name, tag] : {std::tuple("Qwen2.5-7B-Instruct-Q4_K_M.gguf", "Qwen2.5-7B-Instruct", "Q4_K_M"),
                                        {"model.Q8_0.gguf", "model", "Q8_0"},
                                        {"gemma-3-4b-it-q4_0.gguf", "gemma-3-4b-it", "q4_0"},
                                        {"plain.gguf", "plain", "latest"},
                                        {"big-BF16-00001-of-00003.gguf", "big", "BF16"},
                                        {"../../etc/x-Q4_0.gguf", "etc-x", "Q4_0"},
                                        {"Qwen_Q3-x.gguf", "Qwen_Q3-x", "latest"},
                                        {"\xff\xfe.gguf", "model", "latest"}}) {
    const NameAndTag got = split_file_name(file);
    EXPECT_EQ(got.name, name) << file;
    EXPECT_EQ(got.tag, tag) << file;
    EXPECT_TRUE(ModelName::parse(got.name + ":" + got.tag).ok()) << file;
  }
}

TEST_F(Import, DuplicatesShareTheirBytes) {
  const std::string large(2 << 20, 'x'), other(2 << 20, 'y');
  const std::string blob = (store_ / "blobs" / ("sha256-" + std::string(64, 'a'))).string();
  fs::create_directories(store_ / "blobs");
  std::ofstream(blob) << large;
  for (const auto& [name, text] : {std::pair("a.gguf", &large), {"b.gguf", &other}})
    std::ofstream(home_ / name) << *text;
  fs::create_hard_link(home_ / "b.gguf", home_ / "c.gguf");
  const std::vector<std::string> others = {(home_ / "a.gguf").string(), (home_ / "b.gguf").string(),
                                           (home_ / "c.gguf").string()};
  const auto found = find_duplicates(folders_[0], others, {});
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 1u) << "equal in size is not equal, and one file with two names is no duplicate";
  EXPECT_EQ(found->at(0).keep, blob);
  EXPECT_EQ(found->at(0).replace, others[0]);
  EXPECT_GE(found->at(0).bytes, large.size());
  EXPECT_EQ(found->at(0).obstacle, "");
  // Not if it has changed since.
  std::ofstream(others[0]) << other;
  const Status changed = replace_duplicate(found->at(0));
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(*read_file(others[0]), other);
  std::ofstream(others[0]) << large;
  ASSERT_TRUE(replace_duplicate(found->at(0)).ok());
  EXPECT_EQ(*read_file(others[0]), large);
  EXPECT_TRUE(find_duplicates(folders_[0], others, {})->empty());
}

TEST_F(Import, PinnedModelsStay) {
  FoundModel seed{FoundModel::Kind::kGguf, "x", "ours", tiny_.write(), "", 1};
  ASSERT_TRUE(import_model(seed, folders_[0], {}).ok());
  EXPECT_EQ(pin_model("absent", folders_).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(pin_model("../x", folders_).error().kind, ErrorKind::kUsage);
  ASSERT_TRUE(pin_model("OURS", folders_).ok());
  EXPECT_EQ(pinned_models(folders_[0]), (std::set<std::string>{"OURS:latest"}));
  const Status kept = remove_model("ours", folders_);
  ASSERT_FALSE(kept.ok());
  EXPECT_EQ(kept.error().message, "model 'ours' is pinned; \"hearth store unpin ours\" first");
  ASSERT_TRUE(unpin_model("ours", folders_).ok());
  EXPECT_EQ(unpin_model("ours", folders_).error().kind, ErrorKind::kNotFound);
  EXPECT_TRUE(remove_model("ours", folders_).ok());
}

}  // namespace
}  // namespace hearth::store
