// What an import refuses: every tensor is accounted for, every behaviour known, or the folder is refused by name.
#include <boost/json.hpp>

#include "base/file.h"
#include "convert/convert.h"
#include "convert/folder.h"

namespace hearth::test {
namespace {

namespace json = boost::json;

class Refusals : public testing::Test {
 protected:
  void SetUp() override {
    config_ = {{"architectures", {"LlamaForCausalLM"}},
               {"num_hidden_layers", 1},
               {"hidden_size", 8},
               {"intermediate_size", 8},
               {"num_attention_heads", 2},
               {"num_key_value_heads", 2},
               {"max_position_embeddings", 128},
               {"vocab_size", 4},
               {"hidden_act", "silu"},
               {"tie_word_embeddings", true}};
    tensors_ = {{"model.embed_tokens.weight", {4, 8}},
                {"model.norm.weight", {8}},
                {"model.layers.0.input_layernorm.weight", {8}},
                {"model.layers.0.post_attention_layernorm.weight", {8}}};
    for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                             "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"})
      tensors_[fmt::format("model.layers.0.{}.weight", name)] = {8, 8};
  }

  Result<convert::ConvertSummary> import() {
    std::filesystem::create_directories(folder_ / "in");
    const auto put = [&](const char* name, const std::string& text) {
      write_text((folder_ / "in" / name).string(), text);
    };
    put("config.json", json::serialize(config_));
    put("tokenizer.json", R"({"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]},)"
                          R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}})");
    SafetensorsWriter writer;
    for (const auto& [name, shape] : tensors_) {
      uint64_t values = 1;
      for (const uint64_t n : shape) values *= n;
      writer.add_f32(name, shape, std::vector<float>(values, value_));
    }
    writer.write((folder_ / "in" / "model.safetensors").string());
    return convert::convert_folder((folder_ / "in").string(), (folder_ / "out.gguf").string(), options_);
  }

  void expect_refused(const std::string& part, ErrorKind kind) {
    const auto done = import();
    ASSERT_FALSE(done.ok()) << part;
    EXPECT_NE(done.error().message.find(part), std::string::npos) << done.error().message;
    EXPECT_NE(done.error().message.find((folder_ / "in").string()), std::string::npos) << done.error().message;
    EXPECT_EQ(done.error().kind, kind) << done.error().message;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      EXPECT_EQ(entry.path().filename(), "in") << "something is left";
  }

  TemporaryFolder folder_;
  json::object config_;
  std::map<std::string, std::vector<uint64_t>> tensors_;
  convert::ConvertOptions options_;
  float value_ = 1;
};

TEST_F(Refusals, NothingOfASoundFolder) {
  const auto done = import();
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_TRUE(done->notes.empty());
}

TEST_F(Refusals, ClassesByName) {
  config_["architectures"] = json::array{"MambaForCausalLM"};
  expect_refused("MambaForCausalLM", ErrorKind::kUnsupported);
  config_["architectures"] = json::array{};
  expect_refused("architectures", ErrorKind::kInvalidData);
  config_.erase("architectures");
  expect_refused("architectures", ErrorKind::kInvalidData);
}

TEST_F(Refusals, TensorsByName) {
  tensors_["model.layers.0.self_attn.gizmo.weight"] = {8, 8};
  expect_refused("'model.layers.0.self_attn.gizmo.weight'", ErrorKind::kUnsupported);
  tensors_.erase("model.layers.0.self_attn.gizmo.weight");
  tensors_.erase("model.layers.0.mlp.up_proj.weight");
  expect_refused("'model.layers.0.mlp.up_proj.weight' is missing", ErrorKind::kInvalidData);
  tensors_["model.layers.0.mlp.up_proj.weight"] = {8, 7};
  expect_refused("has shape [8, 7]; the configuration asks for [8, 8]", ErrorKind::kInvalidData);
}

// What a family's files cannot say.
TEST_F(Refusals, BehavioursOfFamiliesByKey) {
  const auto expect = [&](const char* class_name, const json::object& more, const char* part, ErrorKind kind) {
    const json::object before = config_;
    config_["architectures"] = json::array{class_name};
    for (const auto& member : more) config_[member.key()] = member.value();
    expect_refused(part, kind);
    config_ = before;
  };
  expect("Exaone4ForCausalLM", {{"sliding_window", 16}}, "sliding_window is 16 with 1 layers", ErrorKind::kUnsupported);
  expect("Cohere2ForCausalLM", {{"layer_types", json::array{"full_attention"}}}, "layer_types",
         ErrorKind::kUnsupported);
  expect("GptOssForCausalLM",
         {{"num_local_experts", 2}, {"num_experts_per_tok", 1}, {"head_dim", 4}, {"swiglu_limit", 5.0}},
         "swiglu_limit is 5", ErrorKind::kUnsupported);
  expect("StableLmForCausalLM", {{"use_parallel_residual", true}, {"partial_rotary_factor", 1.0}},
         "use_parallel_residual", ErrorKind::kUnsupported);
  expect("FalconForCausalLM", {{"alibi", true}}, "alibi", ErrorKind::kUnsupported);
  expect("NemotronHForCausalLM", {{"hybrid_override_pattern", "MX"}}, "'X'", ErrorKind::kUnsupported);
  expect("GraniteMoeHybridForCausalLM",
         {{"layer_types", json::array{"convolution"}}, {"mamba_n_heads", 2}, {"mamba_n_groups", 1}}, "'convolution'",
         ErrorKind::kUnsupported);
  expect("Lfm2ForCausalLM", {{"norm_eps", 1e-5}}, "layer_types is missing", ErrorKind::kInvalidData);
  expect("OPTForCausalLM", {{"ffn_dim", 8}, {"activation_function", "gelu"}}, "activation_function is 'gelu'",
         ErrorKind::kUnsupported);
  expect("HunYuanDenseV1ForCausalLM", {{"use_cla", true}}, "use_cla", ErrorKind::kUnsupported);
  const json::object latent = {{"kv_lora_rank", 4},
                               {"qk_rope_head_dim", 2},
                               {"qk_nope_head_dim", 2},
                               {"v_head_dim", 4},
                               {"n_routed_experts", 4},
                               {"num_experts_per_tok", 1},
                               {"moe_intermediate_size", 8},
                               {"n_group", 2},
                               {"topk_group", 1},
                               {"topk_method", "group_limited_greedy"}};
  expect("DeepseekV2ForCausalLM", latent, "group_limited_greedy", ErrorKind::kUnsupported);
  expect("LlamaForCausalLM",
         {{"rope_scaling", json::object{{"type", "yarn"}, {"factor", 4.0}, {"mscale", 1.0}, {"mscale_all_dim", 1.0}}}},
         "mscale", ErrorKind::kUnsupported);
}

// A layer more than the configuration has.
TEST_F(Refusals, LayersThatAreNotAskedFor) {
  tensors_["model.layers.1.input_layernorm.weight"] = {8};
  expect_refused("'model.layers.1.input_layernorm.weight'", ErrorKind::kUnsupported);
}

TEST_F(Refusals, AnOutputThatIsMissing) {
  config_["tie_word_embeddings"] = false;
  expect_refused("'lm_head.weight' is missing", ErrorKind::kInvalidData);
  config_["tie_word_embeddings"] = true;
  tensors_["lm_head.weight"] = {4, 8};  // the embedding once more
  EXPECT_TRUE(import().ok());
}

TEST_F(Refusals, BehavioursByKey) {
  config_["hidden_act"] = "relu";
  expect_refused("hidden_act is 'relu'", ErrorKind::kUnsupported);
  config_["hidden_act"] = "silu";
  config_["rope_scaling"] = json::object{{"type", "dynamic"}, {"factor", 2.0}};
  expect_refused("'dynamic'", ErrorKind::kUnsupported);
  config_["rope_scaling"] = json::object{{"type", "linear"}};
  expect_refused("rope_scaling.factor", ErrorKind::kInvalidData);
  config_.erase("rope_scaling");
  config_["quantization_config"] = json::object{{"quant_method", "awq"}};
  expect_refused("'awq'", ErrorKind::kUnsupported);
}

TEST_F(Refusals, AbsurdDimensions) {
  for (const char* key : {"num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"}) {
    const json::value before = config_[key];
    for (const json::value& value :
         {json::value(0), json::value(-1), json::value(4294967296), json::value("8"), json::value(1.5)}) {
      config_[key] = value;
      expect_refused(key, ErrorKind::kInvalidData);
    }
    config_[key] = before;
  }
}

TEST_F(Refusals, WeightsThatAreNoNumbers) {
  value_ = NAN;
  expect_refused("infinite or not a number", ErrorKind::kInvalidData);
}

// An error of whoever watches ends the work, and nothing is left.
TEST_F(Refusals, AnEndInTheMiddle) {
  options_.progress = [](uint64_t done, uint64_t total, std::string_view) -> Status {
    EXPECT_LE(done, total);
    return Error{ErrorKind::kCancelled, "in the middle of in"};
  };
  EXPECT_FALSE(import().ok());
  options_.progress = {};
  options_.reserve = [](uint64_t bytes) -> Status {
    EXPECT_GT(bytes, 0u);
    return Error{ErrorKind::kIo, "no room"};
  };
  EXPECT_FALSE(import().ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out.gguf"));
}

// Rotation as the formulas of transformers give it: by the keys that the engine reads.
TEST_F(Refusals, NothingOfYarnAndLongrope) {
  config_["rope_scaling"] =
      json::object{{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}};
  ASSERT_TRUE(import().ok());
  auto file = gguf::File::open((folder_ / "out.gguf").string());
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->string_or("llama.rope.scaling.type", ""), "yarn");
  EXPECT_EQ((*file)->f64_or("llama.rope.scaling.factor", 0), 4);
  EXPECT_EQ((*file)->u64_or("llama.rope.scaling.original_context_length", 0), 32u);
  config_["rope_scaling"] = json::object{{"type", "longrope"},
                                         {"long_factor", json::array{2.0, 3.0}},
                                         {"short_factor", json::array{1.0, 1.5}},
                                         {"original_max_position_embeddings", 32}};
  ASSERT_TRUE(import().ok());
  file = gguf::File::open((folder_ / "out.gguf").string());
  ASSERT_TRUE(file.ok());
  ASSERT_NE((*file)->tensor("rope_factors_long.weight"), nullptr);
  EXPECT_NEAR((*file)->f64_or("llama.rope.scaling.attn_factor", 0), std::sqrt(1 + std::log(4.0) / std::log(32.0)),
              1e-6);
}

}  // namespace
}  // namespace hearth::test
