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

// A made-up kernel with PTX for 7.5, 8.0 and exactly 9.0, and machine code for 7.5, 8.0, 8.6, 9.0 and exactly 9.0; that
// for 8.6 by two toolkits.
class Candidates : public testing::Test {
 protected:
  static Image ptx(int capability, bool exact = false) {
    return {"a", capability, exact, ImageKind::kPtx, 0, nullptr, nullptr};
  }
  static Image code(int capability, bool exact = false, int toolkit = 13) {
    return {"a", capability, exact, ImageKind::kMachineCode, toolkit, nullptr, nullptr};
  }
  static std::vector<std::string> of(int capability) {
    const Image images[] = {ptx(75),        ptx(80),
                            ptx(90, true),  code(75),
                            code(80),       code(86, false, 11),
                            code(86),       code(90),
                            code(90, true), {"b", 75, false, ImageKind::kPtx, 0, nullptr, nullptr}};
    std::vector<std::string> found;
    for (const Image* candidate : candidates(images, "a", capability)) {
      std::string& name = found.emplace_back(candidate->kind == ImageKind::kPtx ? "ptx " : "code ");
      name += std::to_string(candidate->compute_capability) + (candidate->exact ? "a" : "");
      if (candidate->toolkit != 0 && candidate->toolkit != 13) name += " by " + std::to_string(candidate->toolkit);
    }
    return found;
  }
  using Names = std::vector<std::string>;
};

TEST_F(Candidates, MachineCodeOfTheSameGenerationComesFirst) {
  EXPECT_EQ(of(75), (Names{"code 75", "ptx 75"}));
  EXPECT_EQ(of(80), (Names{"code 80", "ptx 80", "ptx 75"}));
}

TEST_F(Candidates, ThatOfAnOlderToolkitIsThereForOlderDrivers) {
  EXPECT_EQ(of(86), (Names{"code 86", "code 86 by 11", "code 80", "ptx 80", "ptx 75"}));
  EXPECT_EQ(of(89), (Names{"code 86", "code 86 by 11", "code 80", "ptx 80", "ptx 75"}));
}

TEST_F(Candidates, ExactOnesRunOnTheirOwnCapabilityAloneAndComeFirstThere) {
  EXPECT_EQ(of(90), (Names{"code 90a", "code 90", "ptx 90a", "ptx 80", "ptx 75"}));
  EXPECT_EQ(of(91), (Names{"code 90", "ptx 80", "ptx 75"}));
  EXPECT_EQ(of(120), (Names{"ptx 80", "ptx 75"}));
}

TEST_F(Candidates, OlderGpusHaveNone) {
  EXPECT_EQ(of(61), Names{});
}

}  // namespace
}  // namespace hearth::cuda
