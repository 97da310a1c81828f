// What a file may lack or have too much of, and what is said about it.
#include <filesystem>
#include <functional>

#include "models/runner.h"
#include "models/small_model.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

using models::LoadOptions;
using models::Model;

testing::AssertionResult says(const std::string& message, const std::string& part) {
  if (message.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << message << "' does not say '" << part << "'";
}

const LoadOptions kSmall{.context = 64, .batch_rows = 32, .logit_rows = 32, .cache = device::CacheType::kF32};

class Loading : public testing::Test {
 protected:
  Error failure(const SmallModel& model, const LoadOptions& options = kSmall) {
    const auto file = model.open();
    auto loaded = Model::load(file, device_, options);
    EXPECT_FALSE(loaded.ok()) << "loads, though it should not";
    if (loaded.ok()) return {ErrorKind::kUsage, ""};
    EXPECT_EQ(device_.allocated_bytes(), 0u);
    EXPECT_TRUE(says(loaded.error().message, file->path()));
    auto estimate = models::estimate_memory(*file, device_, options);
    if (loaded.error().kind != ErrorKind::kNoMemory) {
      EXPECT_FALSE(estimate.ok());
    }
    return loaded.error();
  }

  std::unique_ptr<Model> load(const SmallModel& model, const LoadOptions& options = kSmall) {
    auto loaded = Model::load(model.open(), device_, options);
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    return std::move(*loaded);
  }

  std::vector<float> logits(const SmallModel& model) {
    const std::vector<int32_t> tokens = {1, 7, 49, 0, 12, 33, 2, 2};
    return run_in_chunks(*load(model), tokens, {8});
  }

  ReferenceDevice device_;
};

TEST_F(Loading, MissingTensorIsNamed) {
  SmallModel model("llama");
  model.remove("blk.1.ffn_up.weight");
  const Error error = failure(model);
  EXPECT_EQ(error.kind, ErrorKind::kInvalidData);
  EXPECT_TRUE(says(error.message, "tensor blk.1.ffn_up.weight is missing"));
}

TEST_F(Loading, WrongShapeIsNamedWithWhatWasExpected) {
  SmallModel model("llama");
  model.remove("blk.0.attn_k.weight");
  model.add("blk.0.attn_k.weight", {64, 16});
  const Error error = failure(model);
  EXPECT_EQ(error.kind, ErrorKind::kInvalidData);
  EXPECT_TRUE(says(error.message, "tensor blk.0.attn_k.weight has shape [64, 16]; expected [64, 32]"));
}

TEST_F(Loading, BiasOfWrongShapeIsNamed) {
  SmallModel model("qwen2");
  model.add("blk.0.attn_k.bias", {64});
  EXPECT_TRUE(says(failure(model).message, "tensor blk.0.attn_k.bias has shape [64]; expected [32]"));
}

TEST_F(Loading, UnknownArchitectureIsNamedWithTheKnownOnes) {
  SmallModel model("mamba");
  const Error error = failure(model);
  EXPECT_EQ(error.kind, ErrorKind::kUnsupported);
  EXPECT_TRUE(says(error.message, "'mamba'"));
  for (const char* known : {"supported: cohere2, ", ", gemma2, gemma3, ", ", llama, ", "qwen3moe"})
    EXPECT_TRUE(says(error.message, known)) << known;
}

TEST_F(Loading, TensorThatNothingUsesIsRefused) {
  SmallModel model("llama");
  model.add_head_norms();
  const Error error = failure(model);
  EXPECT_EQ(error.kind, ErrorKind::kUnsupported);
  EXPECT_TRUE(says(error.message, "blk.0.attn_q_norm.weight is not known for architecture llama"));
}

TEST_F(Loading, LayerBeyondTheLastIsRefused) {
  SmallModel model("llama");
  model.set("block_count", 1u);
  EXPECT_TRUE(says(failure(model).message, "blk.1.attn_norm.weight is not known"));
}

TEST_F(Loading, ObsoleteAndImageTensorsAreLeftAlone) {
  SmallModel llama("llama");
  const auto before = logits(llama);
  llama.add("blk.0.attn_rot_embd.freqs", {8});
  llama.add("rope.freqs", {8});
  EXPECT_EQ(logits(llama), before);

  SmallModel gemma("gemma3");
  gemma.set("attention.sliding_window", 16u);
  gemma.add_head_norms();
  for (uint32_t i = 0; i < SmallModel::kLayers; ++i) {
    gemma.add(SmallModel::block(i) + "post_attention_norm.weight", {SmallModel::kWidth});
    gemma.add(SmallModel::block(i) + "post_ffw_norm.weight", {SmallModel::kWidth});
  }
  const auto text_only = logits(gemma);
  gemma.add("v.patch_embedding.weight", {4, 4});
  gemma.add("mm.input_projection.weight", {4, 4});
  EXPECT_EQ(logits(gemma), text_only);
}

TEST_F(Loading, SeparateExpertsOfOneLayerMustAgree) {
  SmallModel model("llama");
  model.use_experts(3, 1);
  model.separate_experts();
  model.tensor("blk.1.ffn_up.2.weight").format = "F16";
  const Error error = failure(model);
  EXPECT_EQ(error.kind, ErrorKind::kUnsupported);
  EXPECT_TRUE(says(error.message, "blk.1.ffn_up.2.weight is of type F16, but blk.1.ffn_up.0.weight of F32"));
  model.remove("blk.1.ffn_up.2.weight");
  EXPECT_TRUE(says(failure(model).message, "blk.1.ffn_up.2.weight is missing"));
}

TEST_F(Loading, AbsurdMetadataIsNamed) {
  const std::tuple<const char*, SmallModel::Key, const char*> cases[] = {
      {"block_count", 0u, "llama.block_count is 0; expected 1 to"},
      {"block_count", 4000000000u, "llama.block_count is 4000000000"},
      {"embedding_length", 0u, "llama.embedding_length is 0"},
      {"embedding_length", std::string("64"), "llama.embedding_length is not a whole number"},
      {"attention.head_count", 65u, "llama.attention.head_count is 65"},
      {"attention.head_count_kv", 3u, "does not divide the 4 query heads"},
      {"attention.key_length", 1u << 31, "llama.attention.key_length is 2147483648"},
      {"rope.dimension_count", 7u, "llama.rope.dimension_count is 7; expected an even number"},
      {"rope.dimension_count", 18u, "llama.rope.dimension_count is 18; expected 2 to 16"},
      {"rope.freq_base", 0.0f, "llama.rope.freq_base is 0"},
      {"rope.freq_base", NAN, "llama.rope.freq_base is nan"},
      {"attention.layer_norm_rms_epsilon", -1.0f, "llama.attention.layer_norm_rms_epsilon is -1"},
      {"context_length", 0u, "llama.context_length is 0"},
  };
  for (const auto& [key, value, message] : cases) {
    SmallModel model("llama");
    if (std::string_view(key) == "attention.head_count") model.unset("attention.head_count_kv");
    model.set(key, value);
    const Error error = failure(model);
    EXPECT_EQ(error.kind, ErrorKind::kInvalidData) << key;
    EXPECT_TRUE(says(error.message, message));
  }
}

TEST_F(Loading, MissingKeyIsNamed) {
  for (const char* key : {"block_count", "embedding_length", "context_length", "feed_forward_length",
                          "attention.head_count", "attention.layer_norm_rms_epsilon"}) {
    SmallModel model("llama");
    model.unset(key);
    EXPECT_TRUE(says(failure(model).message, std::string("llama.") + key + " is missing"));
  }
}

TEST_F(Loading, BehavioursThatNothingImplementsAreRefusedByKey) {
  const std::pair<const char*, SmallModel::Key> cases[] = {{"attention.clamp_kqv", 8.0f},
                                                           {"attention.max_alibi_bias", 8.0f},
                                                           {"attention.causal", false},
                                                           {"logit_scale", 0.5f},
                                                           {"residual_scale", 0.5f},
                                                           {"expert_shared_count", 1u},
                                                           {"use_parallel_residual", true},
                                                           {"attention.temperature_scale", 0.1f},
                                                           {"rope.scaling.type", std::string("dynamic")}};
  for (const auto& [key, value] : cases) {
    SmallModel model("llama");
    model.set(key, value);
    const Error error = failure(model);
    EXPECT_EQ(error.kind, ErrorKind::kUnsupported) << key;
    EXPECT_TRUE(says(error.message, std::string("llama.") + key));
  }
  SmallModel neutral("llama");
  neutral.set("attention.clamp_kqv", 0.0f);
  neutral.set("logit_scale", 1.0f);
  neutral.set("attention.causal", true);
  EXPECT_EQ(logits(neutral), logits(SmallModel("llama")));
}

TEST_F(Loading, ContextLargerThanTheModels) {
  const Error error = failure(SmallModel("llama"), {.context = 129});
  EXPECT_EQ(error.kind, ErrorKind::kUsage);
  EXPECT_TRUE(says(error.message, "a context of 129 tokens was asked for, but the model has at most 128"));
}

TEST_F(Loading, EmptyAndHugeBatchesAreRefused) {
  for (const uint32_t rows : {0u, 1u << 20}) {
    const Error error = failure(SmallModel("llama"), {.batch_rows = rows});
    EXPECT_EQ(error.kind, ErrorKind::kUsage);
    EXPECT_TRUE(says(error.message, std::to_string(rows)));
  }
}

TEST_F(Loading, TooLittleMemorySaysNeededAndAvailableBeforeAllocating) {
  SmallModel model("llama");
  const auto file = model.open();
  auto needed = models::estimate_memory(*file, device_, kSmall);
  ASSERT_TRUE(needed.ok());

  ReferenceDevice exactly(needed->total());
  EXPECT_TRUE(Model::load(file, exactly, kSmall).ok());

  LoadOptions copied = kSmall;
  copied.copy_weights = true;
  ReferenceDevice less(needed->total() - 1);
  auto loaded = Model::load(file, less, copied);
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().kind, ErrorKind::kNoMemory);
  EXPECT_TRUE(says(loaded.error().message, "needed"));
  EXPECT_TRUE(says(loaded.error().message, "reference has"));

  EXPECT_TRUE(Model::load(file, less, kSmall).ok()) << "pages of a mapped file come and go";
  ReferenceDevice nothing(needed->total() - needed->weights - 1);
  EXPECT_FALSE(Model::load(file, nothing, kSmall).ok()) << "the cache does not";
}

TEST_F(Loading, CopiedWeightsLieOnTheDeviceAndGiveTheSame) {
  const SmallModel model("llama");
  const std::vector<int32_t> tokens = {1, 7, 49, 0, 12, 33, 2, 2};
  const std::vector<float> expected = run_in_chunks(*load(model), tokens, {8});
  const auto file = model.open();
  LoadOptions copying = kSmall;
  copying.copy_weights = true;
  const auto copied = Model::load(file, device_, copying);
  ASSERT_TRUE(copied.ok()) << copied.error().message;
  EXPECT_EQ(run_in_chunks(**copied, tokens, {8}), expected);
  EXPECT_EQ(device_.allocated_bytes(), (*copied)->memory().total());
  uint64_t in_file = 0;
  for (const gguf::Tensor& tensor : file->tensors()) in_file += tensor.bytes;
  EXPECT_GE((*copied)->memory().weights, in_file);
}

TEST_F(Loading, PagesBeyondAnyMemory) {
  LoadOptions options = kSmall;
  options.pages = UINT32_MAX;
  EXPECT_EQ(failure(SmallModel("llama"), options).kind, ErrorKind::kNoMemory);
}

TEST_F(Loading, TheEstimateIsExact) {
  const auto file = SmallModel("llama").open();
  const auto model = load(SmallModel("llama"));
  const models::Memory memory = model->memory();
  auto estimate = models::estimate_memory(*file, device_, kSmall);
  ASSERT_TRUE(estimate.ok());
  EXPECT_EQ(estimate->total(), memory.total());
  EXPECT_EQ(estimate->cache, 2u * 2 * 32 * 2 * (16 + 16) * 4);  // layers, pages, tokens, kv heads, sizes, bytes
  const uint64_t norms = 5 * 64 * 4;                            // uploaded; the rest stays in the file
  uint64_t matrices = 0;
  for (const gguf::Tensor& tensor : file->tensors())
    if (tensor.dimensions > 1) matrices += tensor.bytes;
  EXPECT_EQ(memory.weights, matrices + norms);
  EXPECT_EQ(device_.allocated_bytes(), memory.total() - matrices);
}

TEST_F(Loading, TheEstimateOfSeparateExpertsIsExact) {
  SmallModel model("llama");
  model.use_experts(4, 2);
  model.separate_experts();
  const auto estimate = models::estimate_memory(*model.open(), device_, kSmall);
  ASSERT_TRUE(estimate.ok());
  const auto loaded = load(model);
  EXPECT_EQ(estimate->total(), loaded->memory().total());
  const uint64_t experts = 2 * 3 * 4 * SmallModel::kWidth * SmallModel::kInner * 4;  // put together in memory
  EXPECT_GT(device_.allocated_bytes(), experts);
}

TEST_F(Loading, ZeroOptionsAreFilledIn) {
  const auto model = load(SmallModel("llama"), {});
  EXPECT_EQ(model->options().context, SmallModel::kContext);
  EXPECT_EQ(model->options().pages, 4u);
  EXPECT_EQ(model->spec().vocabulary, SmallModel::kVocabulary);
}

TEST_F(Loading, WithoutAnOutputMatrixTheEmbeddingServes) {
  SmallModel tied("llama"), copied("llama");
  tied.remove("output.weight");
  copied.tensor("output.weight").values = copied.tensor("token_embd.weight").values;
  EXPECT_EQ(logits(tied), logits(copied));
}

TEST_F(Loading, TokensAndPositionsOutOfRangeAreErrorsNotCrashes) {
  const auto model = load(SmallModel("llama"), {.context = 128, .batch_rows = 8, .logit_rows = 1, .pages = 8});
  const std::vector<int32_t> pages = {0, 1, 2, 3, 4};
  std::vector<float> row(SmallModel::kVocabulary);
  for (const int32_t token : {-1, 50, INT32_MAX}) {
    device::Batch batch{.tokens = {&token, 1}, .sequences = {{0, 1, 0, pages}}, .logit_rows = {0}};
    const Status status = model->forward(batch, row);
    ASSERT_FALSE(status.ok());
    EXPECT_TRUE(says(status.error().message, "token " + std::to_string(token)));
  }
  const int32_t token = 1;
  device::Batch beyond{.tokens = {&token, 1}, .sequences = {{0, 1, 128, pages}}, .logit_rows = {0}};
  EXPECT_TRUE(says(model->forward(beyond, row).error().message, "position 128"));
}

// Weights that are read in the mapped file: nothing that was computed over its lack is given away as a result.
TEST_F(Loading, AMappedFileThatIsCutOrWrittenToFailsEveryStepFromThenOn) {
  const std::vector<int32_t> pages = {0, 1};
  const int32_t token = 1;
  const device::Batch batch{.tokens = {&token, 1}, .sequences = {{0, 1, 0, pages}}, .logit_rows = {0}};
  std::vector<float> row(SmallModel::kVocabulary);
  const auto cut = [](const std::string& path) { std::filesystem::resize_file(path, 100); };
  const auto touch = [](const std::string& path) {
    std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  };
  for (const auto& harm : std::vector<std::function<void(const std::string&)>>{cut, touch}) {
    SmallModel small("llama");
    const auto model = load(small);
    EXPECT_TRUE(model->forward(batch, row));
    const std::string path = small.path();
    harm(path);
    for (int i = 0; i < 2; ++i) {
      const Status status = model->forward(batch, row);
      ASSERT_FALSE(status.ok());
      EXPECT_EQ(status.error().kind, ErrorKind::kIo);
      EXPECT_TRUE(says(status.error().message, path));
    }
  }
}

TEST_F(Loading, AFileThatIsCutWhileItIsCopiedIsAnError) {
  const SmallModel small("llama");
  const auto file = small.open();
  std::filesystem::resize_file(file->path(), file->file_bytes() / 2);
  LoadOptions copy = kSmall;
  copy.copy_weights = true;
  const auto loaded = Model::load(file, device_, copy);
  ASSERT_FALSE(loaded.ok());
  EXPECT_TRUE(says(loaded.error().message, file->path() + " became shorter while it was read"));
  EXPECT_EQ(device_.allocated_bytes(), 0u);
}

}  // namespace
}  // namespace hearth::test
