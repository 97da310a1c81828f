// Behaviours for which there are no golden logits, shown by models that must agree with each other.
#include "support/devices.h"
#include "models/runner.h"
#include "models/small_model.h"

namespace hearth::test {
namespace {

constexpr uint32_t kWidth = SmallModel::kWidth, kInner = SmallModel::kInner;

std::vector<float> logits(const SmallModel& small, uint32_t context = 64,
                          device::CacheType cache = device::CacheType::kF32) {
  ReferenceDevice device;
  auto model = models::Model::load(small.open(), device,
                                   {.context = context, .batch_rows = 64, .logit_rows = 64, .cache = cache});
  EXPECT_TRUE(model.ok()) << model.error().message;
  std::vector<int32_t> tokens(60);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * i * 7 % SmallModel::kVocabulary);
  return run_in_chunks(**model, tokens, {60});
}

// The rows before the first difference; all rows are equal if it is 60.
size_t first_difference(const std::vector<float>& a, const std::vector<float>& b) {
  const auto at = std::mismatch(a.begin(), a.end(), b.begin()).first;
  return static_cast<size_t>(at - a.begin()) / SmallModel::kVocabulary;
}

void append(std::vector<float>& to, const std::vector<float>& from) { to.insert(to.end(), from.begin(), from.end()); }

// q, k and v stacked in one matrix compute what three matrices do.
void fuse_qkv(SmallModel& model, const std::string& end) {
  for (uint32_t i = 0; i < SmallModel::kLayers; ++i) {
    const std::string block = SmallModel::block(i);
    std::vector<float> values;
    uint64_t rows = 0;
    for (const char* part : {"attn_q", "attn_k", "attn_v"}) {
      const SmallTensor& tensor = model.tensor(block + part + end);
      append(values, tensor.values);
      rows += tensor.shape.back();
      model.remove(block + part + end);
    }
    const std::vector<uint64_t> matrix = {kWidth, rows}, vector = {rows};
    model.add(block + "attn_qkv" + end, end == ".weight" ? matrix : vector).values = values;
  }
}

void add_biases(SmallModel& model, std::initializer_list<std::pair<const char*, uint32_t>> parts) {
  for (uint32_t i = 0; i < SmallModel::kLayers; ++i)
    for (const auto& [part, size] : parts) model.add(SmallModel::block(i) + part + ".bias", {size});
}

TEST(Variants, FusedQkvEqualsSeparate) {
  SmallModel separate("qwen2"), fused("qwen2");
  for (SmallModel* model : {&separate, &fused}) add_biases(*model, {{"attn_q", 64}, {"attn_k", 32}, {"attn_v", 32}});
  fuse_qkv(fused, ".weight");
  fuse_qkv(fused, ".bias");
  EXPECT_EQ(logits(fused), logits(separate));
}

TEST(Variants, GateInUpEqualsSeparate) {
  SmallModel phi("phi3"), qwen("qwen2");  // the same but for the layout
  for (uint32_t i = 0; i < SmallModel::kLayers; ++i) {
    const std::string block = SmallModel::block(i);
    std::vector<float> values = phi.tensor(block + "ffn_gate.weight").values;
    append(values, phi.tensor(block + "ffn_up.weight").values);
    phi.remove(block + "ffn_gate.weight");
    phi.remove(block + "ffn_up.weight");
    phi.add(block + "ffn_up.weight", {kWidth, 2 * kInner}).values = values;
  }
  EXPECT_EQ(logits(phi), logits(qwen));
}

TEST(Variants, EveryBiasIsUsed) {
  const std::vector<float> plain = logits(SmallModel("llama"));
  for (const auto& [part, size] : {std::pair{"attn_q", 64u}, {"attn_k", 32u}, {"attn_v", 32u}, {"attn_output", 64u},
                                   {"ffn_gate", 96u}, {"ffn_up", 96u}, {"ffn_down", 64u}, {"attn_norm", 64u}}) {
    SmallModel model("llama");
    add_biases(model, {{part, size}});
    EXPECT_GT(relative_error(logits(model), plain), 1e-3) << part;
    for (uint32_t i = 0; i < SmallModel::kLayers; ++i)
      std::fill_n(model.tensor(SmallModel::block(i) + part + ".bias").values.begin(), size, 0.0f);
    EXPECT_EQ(logits(model), plain) << part;
  }
}

// All experts chosen and all the same: the sum of their weights is 1, so they are one dense layer.
SmallModel same_experts(const std::string& architecture, uint32_t experts, uint32_t used) {
  SmallModel model(architecture);
  model.set("expert_count", experts);
  model.set("expert_used_count", used);
  for (uint32_t i = 0; i < SmallModel::kLayers; ++i) {
    const std::string block = SmallModel::block(i);
    model.add(block + "ffn_gate_inp.weight", {kWidth, experts});
    for (const char* part : {"ffn_gate", "ffn_up", "ffn_down"}) {
      const SmallTensor one = model.tensor(block + part + ".weight");
      model.remove(one.name);
      std::vector<float> values;
      for (uint32_t e = 0; e < experts; ++e) append(values, one.values);
      model.add(block + part + "_exps.weight", {one.shape[0], one.shape[1], experts}).values = values;
    }
  }
  return model;
}

TEST(Variants, EqualExpertsEqualADenseModel) {
  for (const char* architecture : {"llama", "qwen3moe"}) {
    const bool qwen = std::string_view(architecture) == "qwen3moe";
    SmallModel dense(qwen ? "qwen3" : "llama"), experts = same_experts(architecture, 6, 3);
    if (qwen) {
      dense.add_head_norms();
      experts.add_head_norms();
    }
    EXPECT_LT(relative_error(logits(experts), logits(dense)), 1e-6) << architecture;
  }
}

TEST(Variants, ExpertsMayBeNarrowerThanTheDenseLayer) {
  SmallModel model("qwen3moe");
  model.add_head_norms();
  model.set("expert_count", 4u);
  model.set("expert_used_count", 2u);
  model.set("expert_feed_forward_length", 32u);
  for (uint32_t i = 0; i < SmallModel::kLayers; ++i) {
    const std::string block = SmallModel::block(i);
    for (const char* part : {"ffn_gate", "ffn_up", "ffn_down"}) model.remove(block + part + ".weight");
    model.add(block + "ffn_gate_inp.weight", {kWidth, 4});
    model.add(block + "ffn_gate_exps.weight", {kWidth, 32, 4});
    model.add(block + "ffn_up_exps.weight", {kWidth, 32, 4});
    model.add(block + "ffn_down_exps.weight", {32, kWidth, 4});
  }
  const std::vector<float> normalised = logits(model);
  model.set("expert_weights_norm", false);
  EXPECT_GT(relative_error(logits(model), normalised), 1e-3);
}

TEST(Variants, SeparateExpertsEqualStackedOnes) {
  SmallModel stacked("llama"), separate("llama");
  for (SmallModel* model : {&stacked, &separate}) model->use_experts(5, 2);
  separate.separate_experts();
  EXPECT_EQ(logits(separate), logits(stacked));
}

TEST(Variants, SlidingWindowOfMistralHidesOldTokens) {
  SmallModel model("llama");
  model.set("block_count", 1u);
  for (const char* part : {"attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up",
                           "ffn_down"})
    model.remove(std::string("blk.1.") + part + ".weight");
  const std::vector<float> full = logits(model);
  model.set("attention.sliding_window", 24u);
  EXPECT_EQ(first_difference(logits(model), full), 24u);  // position 24 is the first that loses one
  model.set("attention.sliding_window", 60u);
  EXPECT_EQ(logits(model), full);
}

TEST(Variants, LongRopeFactorsApplyOnlyToLongContexts) {
  SmallModel plain("qwen2"), scaled("qwen2");
  scaled.set("rope.scaling.original_context_length", 64u);
  scaled.add("rope_factors_short.weight", {8}).values.assign(8, 1);
  scaled.add("rope_factors_long.weight", {8}).values.assign(8, 4);
  EXPECT_EQ(logits(scaled, 64), logits(plain, 64));
  EXPECT_GT(relative_error(logits(scaled, 65), logits(plain, 65)), 1e-3);
}

TEST(Variants, CacheTypesDifferByTheirRounding) {
  SmallModel model("llama");
  model.set("attention.key_length", 32u);
  model.set("attention.value_length", 32u);
  for (uint32_t i = 0; i < SmallModel::kLayers; ++i) {
    for (const auto& [part, rows] : {std::pair{"attn_q", 128u}, {"attn_k", 64u}, {"attn_v", 64u}}) {
      model.remove(SmallModel::block(i) + part + ".weight");
      model.add(SmallModel::block(i) + part + ".weight", {kWidth, rows});
    }
    model.remove(SmallModel::block(i) + "attn_output.weight");
    model.add(SmallModel::block(i) + "attn_output.weight", {128, kWidth});
  }
  const std::vector<float> exact = logits(model, 64, device::CacheType::kF32);
  const double half = relative_error(logits(model, 64, device::CacheType::kF16), exact);
  const double eight_bits = relative_error(logits(model, 64, device::CacheType::kQ8_0), exact);
  EXPECT_GT(half, 1e-6);
  EXPECT_LT(half, 1e-3);
  EXPECT_GT(eight_bits, half);
  EXPECT_LT(eight_bits, 2e-2);
}

TEST(Variants, NormsMayBeStoredInHalf) {
  SmallModel model("llama");
  const std::vector<float> exact = logits(model);
  model.tensor("output_norm.weight").format = "F16";
  EXPECT_LT(relative_error(logits(model), exact), 1e-3);
}

}  // namespace
}  // namespace hearth::test
