// Matrices of 4 bits are multiplied with activations of 8, which moves the scores of routers. Where two experts are
// closer to each other than that, another one may be chosen, and the row is another text's: no fault, and nowhere else.
#include <cmath>
#include <fstream>

#include "gguf/quantize.h"
#include "models/runner.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

// Of sizes and a seed by which a choice hangs on 0.037; with the distance of each row's choice from the next expert.
constexpr const char* kScript = R"(
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, models, forward
folder = sys.argv[2]
class Watched(forward.Model):
    def route(self, logits, b, used):
        ranked = -np.sort(-logits, -1)
        margin = ranked[:, used - 1] - ranked[:, used]
        self.margins = np.minimum(getattr(self, "margins", margin), margin)
        return super().route(logits, b, used)
models.build("gpt-oss-mxfp4", folder + "/model.gguf", 70, True)
model = Watched(folder + "/model.gguf")
tokens = [1] + np.random.default_rng(7).integers(3, 512, 47).tolist()
for name, values in (("logits", model.logits(tokens)), ("margins", model.margins), ("tokens", tokens)):
    np.save(folder + "/" + name + ".npy", np.asarray(values, np.float32))
)";
constexpr double kTolerance = 0.15;  // of a row: what roundings to 8 bits may do to it, by the index of golden logits

class Routing : public testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_SHARED("tools/tiny2/models.py");
    if (std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
      note_skipped();
      GTEST_SKIP() << "python3-numpy is not installed";
    }
    std::ofstream(folder_ / "make.py") << kScript;
    const std::string command = fmt::format("/usr/bin/python3 -B '{}' '{}' '{}'", (folder_ / "make.py").string(),
                                            shared("tools/tiny2").string(), folder_.path().string());
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    margins_ = read_npy(folder_ / "margins.npy").values;
  }

  // How far each row is from what it should be.
  std::vector<double> errors(const std::string& path, device::Device& device) {
    const std::vector<float> expected = read_npy(folder_ / "logits.npy").values;
    std::vector<int32_t> tokens;
    for (const float token : read_npy(folder_ / "tokens.npy").values) tokens.push_back(static_cast<int32_t>(token));
    auto model = models::Model::load(
        *gguf::File::open(path), device,
        {.context = 128, .batch_rows = 64, .logit_rows = 64, .pages = 8, .cache = device::CacheType::kF32});
    EXPECT_TRUE(model.ok()) << model.error().message;
    const std::vector<float> got = run_in_chunks(**model, tokens, {48});
    const size_t width = got.size() / tokens.size();
    std::vector<double> errors;
    for (size_t at = 0; at < got.size(); at += width)
      errors.push_back(relative_error(std::span(got).subspan(at, width), std::span(expected).subspan(at, width)));
    return errors;
  }

  // Of the rows of all routers the largest norm.
  double largest_router() const {
    const auto file = *gguf::File::open(folder_ / "model.gguf");
    double largest = 0;
    for (const gguf::Tensor& tensor : file->tensors()) {
      if (!tensor.name.ends_with("ffn_gate_inp.weight")) continue;
      std::vector<float> values(tensor.values());
      EXPECT_TRUE(file->read(tensor, 0, std::as_writable_bytes(std::span(values))).ok());
      for (size_t at = 0; at < values.size(); at += tensor.shape[0]) {
        double squares = 0;
        for (size_t i = 0; i < tensor.shape[0]; ++i)
          squares += static_cast<double>(values[at + i]) * static_cast<double>(values[at + i]);
        largest = std::max(largest, std::sqrt(squares));
      }
    }
    return largest;
  }

  TemporaryFolder folder_;
  std::vector<float> margins_;
};

// A score is the product of a router's row with x, which is normalised: roundings that are a part e of x, in no
// direction that is preferred, move it by e times the row's norm, and the distance of two by the root of 2 more.
TEST_F(Routing, RoundingChoosesOtherExpertsOnlyWhereTheyAreClose) {
  for (const TestDevice& device : real_devices()) {
    std::vector<double> errors = this->errors(folder_ / "model.gguf", *device.make()), sorted = errors;
    std::ranges::sort(sorted);
    const double usual = sorted[sorted.size() / 2], moved = usual * largest_router() * std::sqrt(2);
    size_t others = 0;
    for (size_t row = 0; row < errors.size(); ++row) {
      if (errors[row] <= kTolerance) continue;
      ++others;
      EXPECT_LT(static_cast<double>(margins_[row]), 3 * moved) << device.name << " row " << row << ": " << errors[row];
    }
    EXPECT_LE(others, errors.size() / 8) << device.name;
    EXPECT_LE(usual, kTolerance / 3) << device.name;
  }
}

// The same weights as 32-bit numbers, whose activations are not rounded.
TEST_F(Routing, ExactActivationsChooseTheSameExperts) {
  const std::string plain = folder_ / "plain.gguf";
  ASSERT_TRUE(gguf::quantize_file(folder_ / "model.gguf", plain, *gguf::find_recipe("F32"), {}).ok());
  for (const TestDevice& device : real_devices())
    for (const double error : errors(plain, *device.make())) EXPECT_LE(error, 6e-4) << device.name;
}

}  // namespace
}  // namespace hearth::test
