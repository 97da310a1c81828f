// The kernels inside the binary, and which of them a GPU gets.
#include <gtest/gtest.h>

#include <set>

#include "cuda/cuda_device.h"
#include "cuda/modules.h"

namespace hearth::cuda {
namespace {

TEST(Images, EverySourceHasPtxForTheOldestGpus) {
  if (!has_kernels()) GTEST_SKIP() << "built without nvcc";
  std::set<std::string> sources, with_ptx;
  for (const Image& image : embedded_images()) {
    sources.insert(image.source);
    if (image.kind == ImageKind::kPtx && image.compute_capability == 75) with_ptx.insert(image.source);
  }
  EXPECT_GT(sources.size(), 5u);
  EXPECT_EQ(sources, with_ptx);
}

// ISA 8.0 is what the drivers of branch 525 accept.
TEST(Images, PtxIsOfAnIsaVersionThatOldDriversAccept) {
  for (const Image& image : embedded_images()) {
    if (image.kind != ImageKind::kPtx) continue;
    const std::string text = image.content();
    EXPECT_NE(text.find("\n.version 8.0\n"), std::string::npos) << image.source;
    const std::string target = ".target sm_" + std::to_string(image.compute_capability) + (image.exact ? "a" : "");
    EXPECT_NE(text.find("\n" + target + "\n"), std::string::npos) << image.source;
  }
}

// The binary has a tenth of the PTX, and a start takes what it needs of it.
TEST(Images, AreSmall) {
  size_t compressed = 0, content = 0;
  for (const Image& image : embedded_images()) {
    if (image.kind != ImageKind::kPtx) continue;
    compressed += static_cast<size_t>(image.end - image.begin);
    content += image.content().size();
  }
  EXPECT_LE(compressed, content / 5);
}

TEST(Images, MachineCodeIsElf) {
  for (const Image& image : embedded_images()) {
    if (image.kind != ImageKind::kMachineCode) continue;
    EXPECT_EQ(image.content().substr(0, 4), "\x7f\x45\x4c\x46") << image.source;
  }
}

// A made-up kernel with PTX for 7.5, 8.0 and exactly 9.0, and machine code for 7.5, 8.0, 8.6 and 9.0.
class Candidates : public testing::Test {
 protected:
  static Image image(int capability, ImageKind kind, bool exact = false) {
    return {"a", capability, exact, kind, nullptr, nullptr};
  }
  static std::vector<std::string> of(int capability) {
    const Image images[] = {image(75, ImageKind::kPtx),         image(80, ImageKind::kPtx),
                            image(90, ImageKind::kPtx, true),   image(75, ImageKind::kMachineCode),
                            image(80, ImageKind::kMachineCode), image(86, ImageKind::kMachineCode),
                            image(90, ImageKind::kMachineCode), {"b", 75, false, ImageKind::kPtx, nullptr, nullptr}};
    std::vector<std::string> found;
    for (const Image* candidate : candidates(images, "a", capability))
      found.push_back((candidate->kind == ImageKind::kPtx ? "ptx " : "code ") +
                      std::to_string(candidate->compute_capability) + (candidate->exact ? "a" : ""));
    return found;
  }
  using Names = std::vector<std::string>;
};

TEST_F(Candidates, MachineCodeOfTheSameGenerationComesFirst) {
  EXPECT_EQ(of(75), (Names{"code 75", "ptx 75"}));
  EXPECT_EQ(of(86), (Names{"code 86", "code 80", "ptx 80", "ptx 75"}));
  EXPECT_EQ(of(89), (Names{"code 86", "code 80", "ptx 80", "ptx 75"}));
}

TEST_F(Candidates, ExactPtxRunsOnItsOwnCapabilityAlone) {
  EXPECT_EQ(of(90), (Names{"code 90", "ptx 90a", "ptx 80", "ptx 75"}));
  EXPECT_EQ(of(120), (Names{"ptx 80", "ptx 75"}));
}

TEST_F(Candidates, OlderGpusHaveNone) {
  EXPECT_EQ(of(61), Names{});
}

}  // namespace
}  // namespace hearth::cuda
