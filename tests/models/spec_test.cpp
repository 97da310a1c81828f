// What the architectures read from metadata.
#include <cmath>

#include "gguf/writer.h"
#include "models/architecture.h"
#include "models/recurrent.h"
#include "models/small_model.h"

namespace hearth::test {
namespace {

models::Spec spec_of(const SmallModel& model, uint32_t context = 0) {
  const auto file = model.open();
  auto spec = models::read_spec(*file, {.context = context});
  EXPECT_TRUE(spec.ok()) << spec.error().message;
  return *spec;
}

TEST(Spec, SizesOfLlama) {
  const models::Spec spec = spec_of(SmallModel("llama"));
  EXPECT_EQ(spec.heads, 4u);
  EXPECT_EQ(spec.kv_heads, 2u);
  EXPECT_EQ(spec.key_dim, 16u);
  EXPECT_EQ(spec.value_dim, 16u);
  EXPECT_FLOAT_EQ(spec.attention_scale, 0.25f);
  ASSERT_EQ(spec.ropes.size(), 1u);
  EXPECT_EQ(spec.ropes[0].pairs, device::Rope::Pairs::kAdjacent);
  EXPECT_EQ(spec.ropes[0].dims, 16u);
  EXPECT_FLOAT_EQ(spec.ropes[0].inverse_frequency[0], 1);
  EXPECT_FLOAT_EQ(spec.ropes[0].inverse_frequency[4], 0.01f);  // 10000 ^ -(8/16)
}

TEST(Spec, QwenRotatesHalves) {
  EXPECT_EQ(spec_of(SmallModel("qwen2")).ropes[0].pairs, device::Rope::Pairs::kHalves);
}

// Each would change what a model computes, silently.
TEST(Spec, KeysThatAskForWhatIsNotImplementedAreRefused) {
  const std::pair<const char*, float> kNeutral[] = {{"attention.clamp_kqv", 0},
                                                    {"attention.max_alibi_bias", 0},
                                                    {"attention.temperature_scale", 0},
                                                    {"attention.shared_kv_layers", 0},
                                                    {"attention.kv_lora_rank", 0},
                                                    {"moe_latent_size", 0},
                                                    {"embedding_length_per_layer_input", 0},
                                                    {"embedding_scale", 1},
                                                    {"residual_scale", 1},
                                                    {"logit_scale", 1},
                                                    {"use_parallel_residual", 0},
                                                    {"expert_shared_count", 0},
                                                    {"expert_group_used_count", 1},
                                                    {"expert_gating_func", 1},
                                                    {"nextn_predict_layers", 0},
                                                    {"rope.scaling.yarn_log_multiplier", 0}};
  const auto read = [](const std::string& key, SmallModel::Key value) {
    SmallModel model("llama");
    model.set(key, std::move(value));
    const auto file = model.open();
    return models::read_spec(*file);
  };
  for (const auto& [key, neutral] : kNeutral) {
    for (const float harmless : {0.0f, neutral}) EXPECT_TRUE(read(key, harmless).ok()) << key << " = " << harmless;
    const auto refused = read(key, 2.0f);
    ASSERT_FALSE(refused.ok()) << key;
    EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported) << key;
    EXPECT_NE(refused.error().message.find(std::string("llama.") + key + " = 2"), std::string::npos)
        << refused.error().message;
  }
  EXPECT_FALSE(read("use_parallel_residual", true).ok());
  EXPECT_FALSE(read("attention.causal", false).ok());
}

// With another value than the one that holds anyway they would change something.
TEST(Spec, KeysThatSayWhatHoldsAnywayAreTaken) {
  using Keys = std::vector<std::pair<const char*, SmallModel::Key>>;
  const auto reads = [](const Keys& keys) {
    SmallModel model("llama");
    for (const auto& [key, value] : keys) model.set(key, value);
    const auto file = model.open();
    return models::read_spec(*file).ok();
  };
  for (const char* key : {"head_dim", "attention.head_dim"}) {
    EXPECT_TRUE(reads({{key, 16u}})) << key;
    EXPECT_FALSE(reads({{key, 32u}})) << key;
  }
  EXPECT_TRUE(reads({{"rope.freq_base", 1e6f}, {"rope.freq_base_swa", 1e6f}}));
  EXPECT_FALSE(reads({{"rope.freq_base", 1e6f}, {"rope.freq_base_swa", 1e4f}}));
  EXPECT_FALSE(reads({{"rope.freq_base_swa", 1e4f}}));
  EXPECT_TRUE(reads({{"attention.key_length", 16u}, {"attention.key_length_swa", 16u}}));
  EXPECT_FALSE(reads({{"attention.key_length", 16u}, {"attention.key_length_swa", 8u}}));
  EXPECT_TRUE(reads({{"expert_count", 4u}, {"expert_used_count", 2u}, {"expert_group_count", 1u}}));
  EXPECT_FALSE(reads({{"expert_count", 4u}, {"expert_used_count", 2u}, {"expert_group_count", 2u}}));
  EXPECT_TRUE(reads({{"vision_start_token_id", 7u}, {"rope.scaling.beta_fast", 32.0f}}));
}

// Names that only Ollama's converter writes.
TEST(Spec, KeysOfOllamaThatDecide) {
  SmallModel experts("qwen3moe");
  experts.use_experts(4, 2);
  EXPECT_TRUE(spec_of(experts).normalise_experts);
  experts.set("norm_top_k_prob", false);
  EXPECT_FALSE(spec_of(experts).normalise_experts);

  SmallModel llama4("llama4");
  EXPECT_EQ(spec_of(llama4).qk_norm, models::QkNorm::kPlainAfterRotation);
  llama4.set("use_qk_norm", false);
  EXPECT_EQ(spec_of(llama4).qk_norm, models::QkNorm::kNone);

  SmallModel gemma3n("gemma3n");
  gemma3n.set("attention.sliding_window", 16u);
  gemma3n.set("rope.freq_base_local", 1e6f);
  gemma3n.set("head_dim", 16u);
  gemma3n.set("altup.lr_multiplier", 1.0f);
  gemma3n.set("altup.correct_scale", true);
  EXPECT_FLOAT_EQ(spec_of(gemma3n).ropes[1].inverse_frequency[4], 1e-3f);
  gemma3n.set("altup.correct_scale", false);
  EXPECT_FALSE(models::read_spec(*gemma3n.open()).ok());
}

// The quantile of the normal distribution below which gates count for nothing is -infinity where all count.
TEST(Spec, GatesOfGemma3nThatAllCount) {
  SmallModel model("gemma3n");
  model.set("attention.sliding_window", 16u);
  for (const auto& [written, read] : {std::pair(-INFINITY, 0.0f), {0.0f, 0.0f}, {1.5f, 1.5f}}) {
    model.set("activation_sparsity_scale", written);
    EXPECT_EQ(spec_of(model).per_layer[0].gate_deviations, read) << written;
  }
  for (const float bad : {NAN, INFINITY}) {
    model.set("activation_sparsity_scale", bad);
    EXPECT_FALSE(models::read_spec(*model.open()).ok()) << bad;
  }
}

// Writers say so of all models whose configuration does not speak of it.
TEST(Spec, StableLmIsSideBySideWhereItHasNoSecondNorm) {
  SmallModel model("stablelm");
  model.unset("attention.layer_norm_rms_epsilon");
  model.set("attention.layer_norm_epsilon", 1e-5f);
  model.set("use_parallel_residual", true);
  EXPECT_FALSE(spec_of(model).side_by_side);
  model.remove("blk.0.ffn_norm.weight");
  EXPECT_TRUE(spec_of(model).side_by_side);
}

// What no code here knows may change what a model computes: of every family that there is a model of.
class UnknownKeys : public testing::TestWithParam<const char*> {};

TEST_P(UnknownKeys, AreRefusedByNameUnlessTheyAskForNothing) {
  const std::string path = std::string("models/") + GetParam() + ".gguf";
  REQUIRE_SHARED(path);
  const auto file = *gguf::File::open(shared(path).string());
  const std::string architecture(file->string_or("general.architecture", ""));
  const auto read = [&](const std::string& key, std::optional<float> number) {
    gguf::Writer writer;
    for (const auto& [name, value] : file->metadata())
      if (!name.starts_with("tokenizer.")) writer.set(name, value);
    if (number) writer.set_f32(architecture + "." + key, *number);
    for (const gguf::Tensor& tensor : file->tensors())
      writer.add_tensor(tensor.name, *tensor.format, std::span(tensor.shape).first(tensor.dimensions));
    const TemporaryFolder folder;
    const std::string out = (folder / "model.gguf").string();
    EXPECT_TRUE(writer.begin(out).ok());
    for (const gguf::Tensor& tensor : file->tensors()) {
      std::vector<std::byte> bytes(tensor.bytes);
      EXPECT_TRUE(file->read(tensor, 0, bytes).ok() && writer.write(bytes).ok());
    }
    EXPECT_TRUE(writer.finish().ok());
    return models::read_spec(**gguf::File::open(out));
  };
  EXPECT_TRUE(read("", std::nullopt).ok());
  for (const char* key : {"attention.of_another_kind", "router_logit_softcapping", "swin_norm", "clamp_of_gates"}) {
    EXPECT_TRUE(read(key, 0.0f).ok()) << key;
    const auto refused = read(key, 2.0f);
    ASSERT_FALSE(refused.ok()) << key;
    EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(refused.error().message.find(architecture + "." + key), std::string::npos) << refused.error().message;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Families, UnknownKeys,
    testing::Values("tiny/llama", "tiny/qwen2", "tiny/qwen3", "tiny/gemma2", "tiny/gemma3", "tiny/phi3", "tiny/gpt2",
                    "tiny2/cohere2", "tiny2/deepseek2-lite", "tiny2/deepseek2-mla", "tiny2/ernie4_5",
                    "tiny2/ernie4_5-moe", "tiny2/exaone4", "tiny2/falcon", "tiny2/gemma3n", "tiny2/gemma4",
                    "tiny2/gemma4-moe", "tiny2/glm4", "tiny2/glm4moe", "tiny2/gpt-oss", "tiny2/granite",
                    "tiny2/granitehybrid", "tiny2/granitemoe", "tiny2/hunyuan-dense", "tiny2/lfm2", "tiny2/lfm2moe",
                    "tiny2/llama4", "tiny2/mamba2", "tiny2/minimax-m2", "tiny2/mistral3", "tiny2/nemotron_h",
                    "tiny2/nemotron_h_moe", "tiny2/olmo2", "tiny2/olmo3", "tiny2/opt", "tiny2/opt-350m", "tiny2/phi2",
                    "tiny2/qwen2moe", "tiny2/qwen2vl", "tiny2/qwen35", "tiny2/qwen35moe", "tiny2/qwen3moe",
                    "tiny2/qwen3next", "tiny2/qwen3vl", "tiny2/smollm3", "tiny2/stablelm", "tiny2/starcoder2"),
    [](const auto& test) {
      std::string name = test.param;
      for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
      return name;
    });

TEST(Spec, LinearScalingUnderBothNamesAndNone) {
  for (const char* key : {"rope.scaling.factor", "rope.scale_linear"}) {
    SmallModel model("llama");
    model.set(key, 4.0f);
    EXPECT_FLOAT_EQ(spec_of(model).ropes[0].inverse_frequency[0], 0.25f);
    model.set("rope.scaling.type", std::string("none"));
    EXPECT_FLOAT_EQ(spec_of(model).ropes[0].inverse_frequency[0], 1);
  }
}

// By hand, for 16 dimensions, base 10000 and an original context of 4096: dimension d turns
// 4096 / (2 pi 10000^(2d/16)) times, which is 32 at d = 2.62 and 1 at d = 5.63; so pairs 0 to 2 are kept,
// from 6 on they are divided, and 4 is half way.
TEST(Spec, YarnKeepsFastPairsAndStretchesSlowOnes) {
  SmallModel model("llama");
  const std::vector<float> plain = spec_of(model).ropes[0].inverse_frequency;
  model.set("rope.scaling.type", std::string("yarn"));
  model.set("rope.scaling.factor", 8.0f);
  model.set("rope.scaling.original_context_length", 4096u);
  const device::Rope rope = spec_of(model).ropes[0];
  for (const size_t kept : {0, 1, 2}) EXPECT_FLOAT_EQ(rope.inverse_frequency[kept], plain[kept]);
  EXPECT_FLOAT_EQ(rope.inverse_frequency[4], plain[4] * (0.5f + 0.5f / 8));
  for (const size_t stretched : {6, 7}) EXPECT_FLOAT_EQ(rope.inverse_frequency[stretched], plain[stretched] / 8);
  EXPECT_FLOAT_EQ(rope.magnitude, 0.1f * std::log(8.0f) + 1);
}

TEST(Spec, RopeFactorsDivideFrequencies) {
  SmallModel model("llama");
  model.add("rope_freqs.weight", {8}).values = {1, 1, 1, 2, 4, 8, 8, 8};
  const std::vector<float> plain = spec_of(SmallModel("llama")).ropes[0].inverse_frequency;
  const std::vector<float> scaled = spec_of(model).ropes[0].inverse_frequency;
  EXPECT_FLOAT_EQ(scaled[0], plain[0]);
  EXPECT_FLOAT_EQ(scaled[4], plain[4] / 4);
}

TEST(Spec, BadRopeFactorsAreNamed) {
  for (const std::vector<float>& factors :
       {std::vector<float>{1, 1, 1, 0, 1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, NAN, 1, 1, 1, 1}}) {
    SmallModel model("llama");
    model.add("rope_freqs.weight", {factors.size()}).values = factors;
    const auto file = model.open();
    auto spec = models::read_spec(*file);
    ASSERT_FALSE(spec.ok());
    EXPECT_EQ(spec.error().kind, ErrorKind::kInvalidData);
    EXPECT_NE(spec.error().message.find("rope_freqs.weight"), std::string::npos);
  }
}

TEST(Spec, Gemma2) {
  const models::Spec spec = spec_of(SmallModel("gemma2"));
  EXPECT_FLOAT_EQ(spec.embedding_scale, 8);
  EXPECT_FLOAT_EQ(spec.attention_soft_cap, 50);
  EXPECT_FLOAT_EQ(spec.logit_soft_cap, 30);
  EXPECT_EQ(spec.per_layer[0].window, 4096u);
  EXPECT_EQ(spec.per_layer[1].window, 0u);
  EXPECT_EQ(spec.activation, device::Activation::kGeluTanh);
}

TEST(Spec, LargestGemmasScaleAttentionByTheirWidth) {
  for (const auto& [name, layers] : {std::pair{"gemma2", 46u}, {"gemma3", 62u}}) {
    SmallModel model(name);
    model.set("attention.sliding_window", 16u);
    model.set("attention.key_length", 32u);
    EXPECT_FLOAT_EQ(spec_of(model).attention_scale, 1 / std::sqrt(32.0f));
    model.set("block_count", layers);
    EXPECT_FLOAT_EQ(spec_of(model).attention_scale, 1 / std::sqrt(16.0f));  // 64 wide, 4 heads
  }
}

TEST(Spec, Gemma3HasFiveLocalLayersToOneGlobal) {
  SmallModel model("gemma3");
  model.set("block_count", 13u);
  model.set("attention.sliding_window", 16u);
  model.set("rope.freq_base", 1e6f);
  model.set("rope.scaling.type", std::string("linear"));
  model.set("rope.scaling.factor", 8.0f);
  const models::Spec spec = spec_of(model);
  for (const uint32_t layer : {0, 4, 6, 10, 12}) {
    EXPECT_EQ(spec.per_layer[layer].window, 16u) << layer;
    EXPECT_FLOAT_EQ(spec.ropes[spec.per_layer[layer].rope].inverse_frequency[4], 0.01f) << layer;
  }
  for (const uint32_t layer : {5, 11}) {
    EXPECT_EQ(spec.per_layer[layer].window, 0u) << layer;
    EXPECT_FLOAT_EQ(spec.ropes[spec.per_layer[layer].rope].inverse_frequency[4], 0.001f / 8) << layer;
  }
}

TEST(Spec, Gemma3OfOllamaNamesItsBasesDifferently) {
  SmallModel model("gemma3");
  model.set("attention.sliding_window", 16u);
  model.set("rope.global.freq_base", 1e8f);
  model.set("rope.local.freq_base", 1e6f);
  const models::Spec spec = spec_of(model);
  EXPECT_FLOAT_EQ(spec.ropes[0].inverse_frequency[4], 1e-4f);
  EXPECT_FLOAT_EQ(spec.ropes[1].inverse_frequency[4], 1e-3f);
}

TEST(Spec, PhiLongRopeDependsOnTheContextInUse) {
  SmallModel model("phi3");
  model.set("rope.scaling.original_context_length", 32u);
  model.set("rope.scaling.attn_factor", 1.2f);
  model.add("rope_factors_short.weight", {8}).values.assign(8, 2);
  model.add("rope_factors_long.weight", {8}).values.assign(8, 5);
  EXPECT_FLOAT_EQ(spec_of(model, 32).ropes[0].inverse_frequency[0], 0.5f);
  EXPECT_FLOAT_EQ(spec_of(model, 33).ropes[0].inverse_frequency[0], 0.2f);
  EXPECT_FLOAT_EQ(spec_of(model).ropes[0].inverse_frequency[0], 0.2f);
  EXPECT_FLOAT_EQ(spec_of(model).ropes[0].magnitude, 1.2f);
}

TEST(Spec, EarlyPhiFilesLackTheirWindow) {
  SmallModel model("phi3");
  EXPECT_EQ(spec_of(model).per_layer[0].window, 0u);
  model.set("block_count", 32u);
  model.set("context_length", 4096u);
  EXPECT_EQ(spec_of(model).per_layer[0].window, 2047u);
  model.set("attention.sliding_window", 0u);
  EXPECT_EQ(spec_of(model).per_layer[0].window, 0u);
}

TEST(Spec, DeepSeekCachesOneVectorForAllHeads) {
  SmallModel model("deepseek2");
  model.set("attention.kv_lora_rank", 32u);
  model.set("attention.key_length", 24u);
  model.set("attention.value_length", 16u);
  model.set("rope.dimension_count", 8u);
  model.set("rope.scaling.type", std::string("yarn"));
  model.set("rope.scaling.factor", 40.0f);
  model.set("rope.scaling.original_context_length", 64u);
  model.set("rope.scaling.yarn_log_multiplier", 0.0707f);
  const models::Spec spec = spec_of(model);
  EXPECT_EQ(spec.kv_heads, 1u);
  EXPECT_EQ(spec.key_dim, 40u);
  EXPECT_EQ(spec.value_dim, 32u);
  EXPECT_EQ(spec.latent.key, 16u);
  EXPECT_EQ(spec.ropes[0].first, 32u);
  EXPECT_EQ(spec.ropes[0].dims, 8u);
  EXPECT_FLOAT_EQ(spec.ropes[0].magnitude, 1);
  const float growth = 1 + 0.0707f * std::log(40.0f);
  EXPECT_FLOAT_EQ(spec.attention_scale, growth * growth / std::sqrt(24.0f));
}

TEST(Spec, Llama4SeesChunksInThreeOfFourLayers) {
  SmallModel model("llama4");
  model.set("block_count", 4u);
  const models::Spec spec = spec_of(model);
  for (const uint32_t layer : {0, 1, 2}) {
    EXPECT_EQ(spec.per_layer[layer].window, 8192u);
    EXPECT_TRUE(spec.per_layer[layer].chunked);
    EXPECT_EQ(spec.per_layer[layer].growth.factor, 0);
  }
  EXPECT_EQ(spec.per_layer[3].window, 0u);
  EXPECT_EQ(spec.per_layer[3].rope, models::kNo_rope);
  EXPECT_FLOAT_EQ(spec.per_layer[3].growth.factor, 0.1f);
}

// By hand: 3 x 128 numbers of the convolution and 4 x 16 x 16 of the scan.
TEST(Spec, StatesTakeAboutWhatKeysAndValuesDo) {
  SmallModel model("qwen3next");
  model.set("block_count", 4u);
  for (const auto& [key, value] : {std::pair("conv_kernel", 4u),
                                   {"inner_size", 64u},
                                   {"state_size", 16u},
                                   {"group_count", 2u},
                                   {"time_step_rank", 4u}})
    model.set(std::string("ssm.") + key, value);
  const models::Spec spec = spec_of(model);
  for (const uint32_t layer : {0, 1, 2}) EXPECT_EQ(spec.per_layer[layer].mixer, models::Mixer::kDeltaNet);
  EXPECT_EQ(spec.per_layer[3].mixer, models::Mixer::kAttention);
  EXPECT_EQ(spec.recurrent.channels, 128u);
  EXPECT_EQ(spec.recurrent.state(), 1408u);
  EXPECT_EQ(models::pages_of_state(spec, 8192, 4096), 4u);    // 16896 bytes of states to 8192 of keys and values
  EXPECT_EQ(models::pages_of_state(spec, 64, 4096), 32u);     // four states in the context
  EXPECT_EQ(models::pages_of_state(spec, 64, 1 << 20), 64u);  // 2048 tokens
  EXPECT_EQ(models::pages_of_state(spec_of(SmallModel("llama")), 8192, 4096), 1u);
}

}  // namespace
}  // namespace hearth::test
