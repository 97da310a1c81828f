#include "store/edit_models.h"

#include <filesystem>
#include <fstream>

#include "base/sha256.h"
#include "store/ollama_models.h"
#include "store/put_blob.h"
#include "support/support.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

// A model folder with what each test puts there.
class EditModels : public testing::Test {
 protected:
  std::string put(const std::string& content) {
    const std::string digest = "sha256:" + sha256_hex(content);
    EXPECT_TRUE(put_blob(folders_[0], digest, content));
    return digest;
  }
  void add(const std::string& name, const std::vector<std::string>& contents) {
    std::string layers;
    for (const std::string& content : contents)
      layers += fmt::format("{}{{\"mediaType\":\"application/vnd.ollama.image.model\",\"digest\":\"{}\",\"size\":{}}}",
                            layers.empty() ? "" : ",", put(content), content.size());
    const fs::path path = folder_.path() / "manifests/registry.ollama.ai/library" / name / "latest";
    fs::create_directories(path.parent_path());
    std::ofstream(path) << "{\"config\":null,\"layers\":[" << layers << "]}";
  }
  bool has(const std::string& content) { return *has_blob("sha256:" + sha256_hex(content), folders_); }

  hearth::test::TemporaryFolder folder_;
  std::vector<std::string> folders_ = {folder_.path().string()};
};

TEST_F(EditModels, ACopyIsTheSameModelUnderAnotherName) {
  add("a", {"weights"});
  ASSERT_TRUE(copy_model("A", "me/b:q4", folders_).ok());
  EXPECT_EQ(list_models(folders_), (std::vector<std::string>{"a:latest", "me/b:q4"}));
  EXPECT_EQ(model_digest("a", folders_), model_digest("me/b:q4", folders_));
  EXPECT_EQ(model_digest("a", folders_).size(), 64u);
  EXPECT_EQ(copy_model("x", "y", folders_).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(copy_model("a", "../y", folders_).error().message, "destination \"../y\" is invalid");
}

TEST_F(EditModels, RemovesWhatNoOtherModelUses) {
  add("a", {"shared", "own"});
  add("b", {"shared"});
  ASSERT_TRUE(remove_model("a", folders_).ok());
  EXPECT_EQ(list_models(folders_), (std::vector<std::string>{"b:latest"}));
  EXPECT_FALSE(fs::exists(folder_.path() / "manifests/registry.ollama.ai/library/a"));
  EXPECT_TRUE(has("shared"));
  EXPECT_FALSE(has("own"));
  EXPECT_EQ(remove_model("a", folders_).error().message, "model 'a' not found");
}

// A blob is the same in whatever letters a manifest spells its digest.
TEST_F(EditModels, NothingGoesThatAnotherModelSpellsOtherwise) {
  add("a", {"shared"});
  std::string hex = sha256_hex("shared");
  for (char& c : hex) c = static_cast<char>(std::toupper(c));
  const fs::path other = folder_.path() / "manifests/registry.ollama.ai/library/b/latest";
  fs::create_directories(other.parent_path());
  std::ofstream(other) << "{\"config\":null,\"layers\":[{\"mediaType\":\"x\",\"digest\":\"sha256:" << hex
                       << "\",\"size\":6}]}";
  ASSERT_TRUE(remove_model("a", folders_).ok());
  EXPECT_TRUE(has("shared"));
}

TEST_F(EditModels, NothingGoesThatAManifestWhichCannotBeReadMayUse) {
  add("a", {"own"});
  const fs::path broken = folder_.path() / "manifests/registry.ollama.ai/library/b/latest";
  fs::create_directories(broken.parent_path());
  std::ofstream(broken) << "{";
  ASSERT_TRUE(remove_model("a", folders_).ok());
  EXPECT_TRUE(has("own"));
}

TEST_F(EditModels, BlobsAreWhatTheirDigestSays) {
  const std::string digest = "sha256:" + sha256_hex("data");
  EXPECT_FALSE(*has_blob(digest, folders_));
  EXPECT_TRUE(put_blob(folders_[0], digest, "data"));
  EXPECT_TRUE(*has_blob(digest, folders_));
  EXPECT_EQ(put_blob(folders_[0], "sha256:" + std::string(64, 'a'), "data").error().message,
            "digest mismatch, expected \"sha256:" + std::string(64, 'a') + "\", got \"" + digest + "\"");
  EXPECT_EQ(put_blob(folders_[0], "sha256:../../x", "data").error().message, "invalid digest format");
  const auto huge = NewBlob::create(folders_[0], digest, uint64_t{1} << 50);
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().kind, ErrorKind::kNoSpace);
  EXPECT_TRUE(fs::is_empty(folder_.path() / "hearth/staging")) << "nothing stays of what was refused";
  EXPECT_EQ(has_blob("sha256:../../x", folders_).error().message, "invalid digest format");
}

}  // namespace
}  // namespace hearth::store
