// Broken numbers in a model: refused by name where weights are copied, and found by layer where they are read in the
// file, or where there is nothing wrong with the weights.
#include <cmath>

#include "base/finite.h"
#include "models/runner.h"
#include "models/small_model.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

using models::LoadOptions;
using models::Model;

const LoadOptions kOptions{.context = 64, .batch_rows = 32, .logit_rows = 32, .cache = device::CacheType::kF16};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A change of a model, and what it breaks.
struct Damage {
  const char* tensor;
  const char* format;
  float value;
  const char* where;  // as diagnose() says it
};

const Damage kDamages[] = {
    {"token_embd.weight", "F32", NAN, "the token embeddings"},
    {"blk.0.attn_q.weight", "F16", INFINITY, "layer 0 (attention)"},
    {"blk.1.attn_v.weight", "F32", -INFINITY, "layer 1 (attention)"},
    {"blk.0.attn_output.weight", "BF16", NAN, "layer 0 (attention)"},
    {"blk.1.ffn_gate.weight", "F16", INFINITY, "layer 1 (feed-forward)"},
    {"blk.1.ffn_down.weight", "BF16", NAN, "layer 1 (feed-forward)"},
    {"output.weight", "F32", NAN, "the output layer"},
};

SmallModel damaged(const Damage& damage) {
  SmallModel model("llama");
  SmallTensor& tensor = model.tensor(damage.tensor);
  tensor.format = damage.format;
  tensor.values[70] = damage.value;  // of token 1, in the embeddings
  return model;
}

std::string refusal(const SmallModel& model, LoadOptions options) {
  const auto device = cpu::create_device({.threads = 1, .isa = ""});
  const auto loaded = Model::load(model.open(), **device, options);
  if (loaded.ok()) return {};
  EXPECT_EQ(loaded.error().kind, ErrorKind::kInvalidData);
  return loaded.error().message;
}

std::string refusal_of_copy(const SmallModel& model) {
  LoadOptions options = kOptions;
  options.copy_weights = true;
  return refusal(model, options);
}

// Why the logits of these tokens are broken; empty if they are sound.
std::string explanation(const SmallModel& model, device::Device& device, std::vector<int32_t> tokens,
                        const LoadOptions& options = kOptions) {
  const auto loaded = Model::load(model.open(), device, options);
  EXPECT_TRUE(loaded.ok()) << loaded.error().message;
  const std::vector<int32_t> pages = {1};
  device::Batch batch;
  batch.tokens = tokens;
  batch.sequences = {{0, static_cast<uint32_t>(tokens.size()), 0, pages}};
  batch.logit_rows = {static_cast<uint32_t>(tokens.size()) - 1};
  std::vector<float> logits((*loaded)->spec().vocabulary);
  EXPECT_TRUE((*loaded)->forward(batch, logits).ok());
  return all_finite(logits) ? std::string() : (*loaded)->diagnose(batch).message;
}

TEST(BrokenModel, IsRefusedByNameWhereWeightsAreCopied) {
  for (const Damage& damage : kDamages) {
    const std::string message = refusal_of_copy(damaged(damage));
    EXPECT_TRUE(contains(message, std::string("tensor ") + damage.tensor + " has numbers that are not finite"))
        << message;
  }
  SmallModel sound("llama");
  EXPECT_EQ(refusal_of_copy(sound), "");
}

TEST(BrokenModel, ExpertsAreRefusedByNameToo) {
  for (const bool separate : {false, true}) {
    SmallModel model("llama");
    model.use_experts(4, 2);
    SmallTensor& tensor = model.tensor("blk.1.ffn_up_exps.weight");
    tensor.values[tensor.values.size() - 1] = NAN;
    if (separate) model.separate_experts();
    const std::string message = refusal_of_copy(model);
    EXPECT_TRUE(contains(message, separate ? "tensor blk.1.ffn_up.3.weight" : "tensor blk.1.ffn_up_exps.weight"))
        << message;
  }
}

// They are copied always.
TEST(BrokenModel, NormsAndBiasesAreRefused) {
  SmallModel norm("llama");
  norm.tensor("blk.1.ffn_norm.weight").values[3] = NAN;
  EXPECT_TRUE(contains(refusal(norm, kOptions), "tensor blk.1.ffn_norm.weight has numbers that are not finite"));
  SmallModel bias("qwen2");
  for (const char* part : {"q", "k", "v"})
    bias.add(std::string("blk.0.attn_") + part + ".bias", {part[0] == 'q' ? 64u : 32u}).values[0] = 0;
  bias.tensor("blk.0.attn_k.bias").values[31] = INFINITY;
  EXPECT_TRUE(contains(refusal(bias, kOptions), "tensor blk.0.attn_k.bias has numbers that are not finite"));
  SmallModel zeros("llama");
  zeros.tensor("output_norm.weight").values.assign(SmallModel::kWidth, 0);
  EXPECT_TRUE(contains(refusal(zeros, kOptions), "tensor output_norm.weight is nothing but zeros"));
}

class BrokenModels : public testing::TestWithParam<TestDevice> {};

TEST_P(BrokenModels, AreExplainedByLayerAndTensorWhereTheyAreReadInTheFile) {
  const auto device = GetParam().make();
  if (!device->reads_host_memory()) GTEST_SKIP() << "weights are copied there";
  for (const Damage& damage : kDamages) {
    const std::string message = explanation(damaged(damage), *device, {3, 1, 4});
    EXPECT_TRUE(contains(message, std::string("from ") + damage.where + " on")) << message;
    EXPECT_TRUE(contains(message, std::string("tensor ") + damage.tensor)) << message;
  }
  EXPECT_EQ(explanation(SmallModel("llama"), *device, {3, 1, 4}), "");
  EXPECT_EQ(explanation(damaged(kDamages[0]), *device, {3, 2, 4}), "") << "a token that is not read harms nobody";
}

TEST_P(BrokenModels, NumbersBeyondTheCacheAreExplainedByLayer) {
  SmallModel model("llama");
  for (float& value : model.tensor("blk.1.attn_k.weight").values) value *= 1e6f;
  const auto device = GetParam().make();
  const std::string message = explanation(model, *device, {3, 1, 4});
  EXPECT_TRUE(contains(message, "from layer 1 (attention) on, though its weights there are")) << message;
  EXPECT_TRUE(contains(message, "--kv-type f32")) << message;
  LoadOptions wide = kOptions;
  wide.cache = device::CacheType::kF32;
  EXPECT_EQ(explanation(model, *device, {3, 1, 4}, wide), "");
}

INSTANTIATE_TEST_SUITE_P(Devices, BrokenModels, testing::ValuesIn(all_devices()),
                         [](const auto& test) { return test.param.name; });

TEST(IncompleteFile, ZerosAtItsEndAreNamed) {
  SmallModel model("llama");  // blk.1.ffn_down.weight is its last tensor: 24 KiB
  SmallTensor& last = model.tensor("blk.1.ffn_down.weight");
  std::fill(last.values.end() - 1000, last.values.end(), 0.0f);
  EXPECT_EQ(refusal(model, kOptions), "") << "less than a page of a disk";
  std::fill(last.values.end() - 1100, last.values.end(), 0.0f);
  EXPECT_TRUE(contains(refusal(model, kOptions), "the last 4 KiB of the file are zeros: the download is incomplete"));
  std::fill(last.values.begin(), last.values.end(), 0.0f);
  model.tensor("blk.1.ffn_up.weight").values.assign(last.values.size(), 0.0f);
  EXPECT_EQ(refusal(model, kOptions), "") << "whole matrices of a few kilobytes";
  model.tensor("blk.1.ffn_gate.weight").values.assign(last.values.size(), 0.0f);
  EXPECT_TRUE(contains(refusal(model, kOptions), "the last 72 KiB of the file are zeros"));
}

TEST(IncompleteFile, ZerosThatModelsHaveAreNone) {
  SmallModel bias("llama");
  bias.add("output.bias", {SmallModel::kVocabulary}).values.assign(SmallModel::kVocabulary, 0.0f);
  EXPECT_EQ(refusal(bias, kOptions), "");
  SmallModel tokens("llama");
  tokens.remove("output.weight");
  SmallTensor& table = tokens.add("output.weight", {SmallModel::kWidth, SmallModel::kVocabulary});
  std::fill(table.values.end() - 10 * SmallModel::kWidth, table.values.end(), 0.0f);  // that nobody uses
  EXPECT_EQ(refusal(tokens, kOptions), "");
  std::fill(table.values.end() - 20 * SmallModel::kWidth, table.values.end(), 0.0f);
  EXPECT_TRUE(contains(refusal(tokens, kOptions), "is incomplete"));
}

}  // namespace
}  // namespace hearth::test
