// What a model in an Ollama folder brings along for its answers.
#include "fleet/model_defaults.h"

#include "support/support.h"

namespace hearth::fleet {
namespace {

using Ignored = std::vector<std::string>;

TEST(ModelDefaults, SetsWhatSamplingKnows) {
  sampling::Options options;
  EXPECT_EQ(apply_model_parameters({{"temperature", "0.25"}, {"top_k", "7"}, {"stop", "<end>"}}, options), Ignored());
  EXPECT_EQ(options.temperature, 0.25f);
  EXPECT_EQ(options.top_k, 7);
  EXPECT_EQ(options.stop, std::vector<std::string>{"<end>"});
}

TEST(ModelDefaults, AFractionWhereAnIntegerIsNeededIsCut) {
  sampling::Options options;
  EXPECT_EQ(apply_model_parameters({{"top_k", "20.9"}}, options), Ignored());
  EXPECT_EQ(options.top_k, 20);
}

TEST(ModelDefaults, SaysWhatIsIgnoredButNotWhatConcernsTheLoad) {
  sampling::Options options;
  EXPECT_EQ(
      apply_model_parameters({{"num_ctx", "2048"}, {"mood", "bright"}, {"top_k", "many"}, {"num_gpu", "99"}}, options),
      (Ignored{"mood bright", "top_k many"}));
  EXPECT_EQ(options.top_k, sampling::Options().top_k);
}

}  // namespace
}  // namespace hearth::fleet
