// Models written as folders of Hugging Face and imported again give the logits that an independent program computed.
#include <boost/json.hpp>

#include "base/file.h"
#include "convert/convert.h"
#include "convert/model_folder.h"
#include "gguf/quantize.h"
#include "models/measure.h"
#include "models/model.h"
#include "models/runner.h"
#include "models/small_model.h"
#include "support/devices.h"
#include "text/tokenizer.h"

namespace hearth::test {
namespace {

namespace json = boost::json;

constexpr const char *kIndex = "golden/logits/index.json", *kIndex_2 = "golden/logits2/index.json";

struct Case {
  const char* model;
  const char* class_name;
  std::function<void(json::object&)> change = [](json::object&) {};  // of config.json
  // Beginnings of names of tensors that an import makes of others, or leaves out.
  std::vector<std::string> elsewhere = {};
  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.model; }
};

json::array layer_types(size_t count, size_t period, const char* most, const char* last) {
  json::array types;
  for (size_t i = 0; i < count; ++i) types.emplace_back((i + 1) % period == 0 ? last : most);
  return types;
}
json::array windows(size_t count, size_t period) {
  return layer_types(count, period, "sliding_attention", "full_attention");
}

// Of models that also see: all but the class in an object of its own.
void nest(json::object& config, const char* model_type) {
  json::object text = config;
  text["model_type"] = model_type;
  config = {{"text_config", text}, {"tie_word_embeddings", config.at("tie_word_embeddings")}};
}

void deepseek2(json::object& config) {
  config.erase("head_dim");
  config["kv_lora_rank"] = 32;
  config["qk_rope_head_dim"] = 8;
  config["qk_nope_head_dim"] = 16;
  config["v_head_dim"] = 16;
  config["first_k_dense_replace"] = 1;
}
json::object deepseek_yarn(double mscale) {
  return {{"type", "yarn"},          {"factor", 40},   {"original_max_position_embeddings", 64},
          {"beta_fast", 32},         {"beta_slow", 1}, {"mscale", mscale},
          {"mscale_all_dim", mscale}};
}

void gpt_oss(json::object& config, size_t layers) {
  config["num_local_experts"] = 4;
  config["num_experts_per_tok"] = 2;
  config["swiglu_limit"] = 7.0;
  config["layer_types"] = windows(layers, 2);
  config["rope_scaling"] =
      json::object{{"rope_type", "yarn"}, {"factor", 32.0},   {"original_max_position_embeddings", 64},
                   {"beta_fast", 32.0},   {"beta_slow", 1.0}, {"truncate", false}};
}

void granite(json::object& config) {
  config["embedding_multiplier"] = 3.0;
  config["residual_multiplier"] = 0.3f;
  config["attention_multiplier"] = 0.0625;
  config["logits_scaling"] = 4.0;
}

void delta_nets(json::object& config, size_t layers) {
  config["linear_num_key_heads"] = 2;
  config["linear_num_value_heads"] = 4;
  config["linear_key_head_dim"] = 16;
  config["linear_value_head_dim"] = 16;
  config["linear_conv_kernel_dim"] = 4;
  config["layer_types"] = layer_types(layers, 4, "linear_attention", "full_attention");
}
void shared_share(json::object& config, int inner, int shared) {
  config["num_experts"] = 6;
  config["num_experts_per_tok"] = 2;
  config["moe_intermediate_size"] = inner;
  config["shared_expert_intermediate_size"] = shared;
}
void qwen35(json::object& config) {
  config["rope_parameters"] = json::object{{"rope_type", "default"},
                                           {"rope_theta", 1e7},
                                           {"partial_rotary_factor", 0.5},
                                           {"mrope_section", json::array{3, 3, 2}},
                                           {"mrope_interleaved", true}};
}

void mamba(json::object& config) {
  config["mamba_num_heads"] = config["num_heads"] = config["mamba_n_heads"] = 4;
  config["mamba_head_dim"] = 32;
  config["n_groups"] = 2;
  config["ssm_state_size"] = config["state_size"] = config["mamba_d_state"] = 16;
  config["conv_kernel"] = config["mamba_d_conv"] = 4;
}
void nemotron(json::object& config, const char* pattern, int inner) {
  mamba(config);
  config["hybrid_override_pattern"] = pattern;
  config["num_key_value_heads"] = 2;
  config["intermediate_size"] = inner;
  config["mlp_hidden_act"] = "relu2";
}

void lfm2(json::object& config, size_t layers) {
  config["layer_types"] = layer_types(layers, 3, "conv", "full_attention");
  config["num_key_value_heads"] = 2;
  config["conv_L_cache"] = 3;
  config["norm_eps"] = config.at("rms_norm_eps");
}

void gemma4(json::object& config, size_t layers) {
  config["layer_types"] = windows(layers, 3);
  config["head_dim"] = 32;
  config["global_head_dim"] = 64;
  config["final_logit_softcapping"] = 30.0;
  config["rope_parameters"] =
      json::object{{"full_attention",
                    json::object{{"rope_type", "proportional"}, {"rope_theta", 1e6}, {"partial_rotary_factor", 0.25}}},
                   {"sliding_attention", json::object{{"rope_type", "default"}, {"rope_theta", 1e4}}}};
}

// What the makers of the models gave each, in the words of config.json.
const Case kCases[] = {
    {"llama", "LlamaForCausalLM"},
    {"llama31", "LlamaForCausalLM",
     [](json::object& config) {
       config["rope_scaling"] = json::object{{"rope_type", "llama3"},
                                             {"factor", 8.0},
                                             {"low_freq_factor", 1.0},
                                             {"high_freq_factor", 4.0},
                                             {"original_max_position_embeddings", 64}};
     }},
    {"deepseek-coder", "LlamaForCausalLM",
     [](json::object& config) {
       config["rope_scaling"] = json::object{{"type", "linear"}, {"factor", 4.0}};
     }},
    {"mixtral", "MixtralForCausalLM",
     [](json::object& config) {
       config["num_local_experts"] = 4;
       config["num_experts_per_tok"] = 2;
     }},
    {"qwen2", "Qwen2ForCausalLM", [](json::object& config) { config["use_sliding_window"] = false; }},
    {"qwen3", "Qwen3ForCausalLM"},
    {"gemma2", "Gemma2ForCausalLM",
     [](json::object& config) {
       config["attn_logit_softcapping"] = 50.0;
       config["final_logit_softcapping"] = 30.0;
     }},
    {"gemma3", "Gemma3ForCausalLM", [](json::object& config) { config["rope_local_base_freq"] = 10000; }},
    {"phi3", "Phi3ForCausalLM"},
    {"gpt2", "GPT2LMHeadModel"},
    {"ernie4_5", "Ernie4_5ForCausalLM"},
    {"granite", "GraniteForCausalLM", granite},
    {"olmo2", "Olmo2ForCausalLM"},
    {"qwen3moe", "Qwen3MoeForCausalLM",
     [](json::object& config) {
       config["num_experts"] = 8;
       config["num_experts_per_tok"] = 3;
       config["moe_intermediate_size"] = 32;
       config["norm_topk_prob"] = true;
     }},
    {"smollm3", "SmolLM3ForCausalLM",
     [](json::object& config) {
       config["no_rope_layers"] = json::array{1, 1, 1, 0, 1};
     }},
    {"olmo3", "Olmo3ForCausalLM",
     [](json::object& config) {
       config["layer_types"] = windows(5, 4);
       config["rope_scaling"] = json::object{{"rope_type", "yarn"},
                                             {"factor", 8.0},
                                             {"original_max_position_embeddings", 64},
                                             {"attention_factor", 1.2079441}};
     }},
    {"exaone4", "Exaone4ForCausalLM"},
    {"glm4", "Glm4ForCausalLM", [](json::object& config) { config["partial_rotary_factor"] = 0.5; }},
    {"cohere2", "Cohere2ForCausalLM",
     [](json::object& config) {
       config["logit_scale"] = 0.25;
       config["layer_types"] = windows(5, 4);
     }},
    {"hunyuan-dense", "HunYuanDenseV1ForCausalLM"},
    {"mistral3", "Mistral3ForConditionalGeneration",
     [](json::object& config) {
       config["rope_parameters"] = json::object{{"type", "yarn"},
                                                {"rope_type", "yarn"},
                                                {"rope_theta", 1e6},
                                                {"factor", 16.0},
                                                {"original_max_position_embeddings", 24},
                                                {"beta_fast", 32.0},
                                                {"beta_slow", 1.0},
                                                {"mscale", 1.0},
                                                {"mscale_all_dim", 1.0},
                                                {"llama_4_scaling_beta", 0.1f}};
       nest(config, "ministral3");
     }},
    {"stablelm", "StableLmForCausalLM",
     [](json::object& config) {
       config["partial_rotary_factor"] = 0.25;
       config["use_qkv_bias"] = true;
     }},
    {"starcoder2", "Starcoder2ForCausalLM", [](json::object& config) { config["hidden_act"] = "gelu_pytorch_tanh"; }},
    {"phi2",
     "PhiForCausalLM",
     [](json::object& config) {
       config["hidden_act"] = "gelu_new";
       config["partial_rotary_factor"] = 0.5;
     },
     {"attn_qkv."}},
    {"falcon", "FalconForCausalLM",
     [](json::object& config) {
       config["multi_query"] = true;
       config["new_decoder_architecture"] = false;
       config["ffn_hidden_size"] = 192;
     }},
    {"opt", "OPTForCausalLM",
     [](json::object& config) {
       config["ffn_dim"] = 192;
       config["activation_function"] = "relu";
       config["do_layer_norm_before"] = true;
       config["word_embed_proj_dim"] = 64;
     }},
    {"opt-350m", "OPTForCausalLM",
     [](json::object& config) {
       config["ffn_dim"] = 192;
       config["activation_function"] = "relu";
       config["do_layer_norm_before"] = false;
       config["word_embed_proj_dim"] = 32;
     }},
    {"qwen2vl", "Qwen2VLForConditionalGeneration",
     [](json::object& config) {
       config["rope_scaling"] = json::object{{"type", "mrope"}, {"mrope_section", json::array{4, 2, 2}}};
     }},
    {"qwen3vl", "Qwen3VLForConditionalGeneration",
     [](json::object& config) {
       config["rope_scaling"] =
           json::object{{"rope_type", "default"}, {"mrope_section", json::array{6, 5, 5}}, {"mrope_interleaved", true}};
       nest(config, "qwen3_vl_text");
     }},
    {"qwen2moe", "Qwen2MoeForCausalLM",
     [](json::object& config) {
       shared_share(config, 32, 48);
       config["norm_topk_prob"] = false;
     }},
    {"ernie4_5-moe", "Ernie4_5_MoeForCausalLM",
     [](json::object& config) {
       config["moe_num_experts"] = 6;
       config["moe_k"] = 2;
       config["moe_intermediate_size"] = 32;
       config["moe_num_shared_experts"] = 2;
       config["moe_layer_start_index"] = 1;
     }},
    {"minimax-m2", "MiniMaxM2ForCausalLM",
     [](json::object& config) {
       config["num_local_experts"] = 6;
       config["num_experts_per_tok"] = 2;
       config["rotary_dim"] = 16;
     }},
    {"glm4moe",
     "Glm4MoeForCausalLM",
     [](json::object& config) {
       config["num_hidden_layers"] = 3;
       config["num_nextn_predict_layers"] = 1;
       config["partial_rotary_factor"] = 0.5;
       config["n_routed_experts"] = 6;
       config["n_shared_experts"] = 1;
       config["num_experts_per_tok"] = 2;
       config["moe_intermediate_size"] = 32;
       config["routed_scaling_factor"] = 1.5;
       config["first_k_dense_replace"] = 1;
       config["norm_topk_prob"] = true;
       config["use_qk_norm"] = true;
     },
     {"blk.3."}},
    {"deepseek2-lite",
     "DeepseekV2ForCausalLM",
     [](json::object& config) {
       deepseek2(config);
       config["q_lora_rank"] = nullptr;
       config["rope_scaling"] = deepseek_yarn(0.707);
       config["n_routed_experts"] = 4;
       config["num_experts_per_tok"] = 2;
       config["moe_intermediate_size"] = 16;
       config["n_shared_experts"] = 2;
       config["scoring_func"] = "softmax";
       config["topk_method"] = "greedy";
     },
     {"attn_kv_b."}},
    {"deepseek2-mla", "DeepseekV3ForCausalLM",
     [](json::object& config) {
       deepseek2(config);
       config["q_lora_rank"] = 24;
       config["rope_scaling"] = deepseek_yarn(1);
       config["n_routed_experts"] = 8;
       config["num_experts_per_tok"] = 3;
       config["moe_intermediate_size"] = 32;
       config["n_shared_experts"] = 1;
       config["n_group"] = 4;
       config["topk_group"] = 2;
       config["scoring_func"] = "sigmoid";
       config["topk_method"] = "noaux_tc";
       config["norm_topk_prob"] = true;
       config["routed_scaling_factor"] = 2.5;
     }},
    {"gpt-oss", "GptOssForCausalLM", [](json::object& config) { gpt_oss(config, 4); }},
    {"gpt-oss-mxfp4", "GptOssForCausalLM",
     [](json::object& config) {
       gpt_oss(config, 2);
       config["quantization_config"] = json::object{{"quant_method", "mxfp4"}};
     }},
    {"granitemoe", "GraniteMoeSharedForCausalLM",
     [](json::object& config) {
       granite(config);
       config["num_local_experts"] = 6;
       config["num_experts_per_tok"] = 3;
       config["shared_intermediate_size"] = 48;
     }},
    {"granitehybrid", "GraniteMoeHybridForCausalLM",
     [](json::object& config) {
       granite(config);
       mamba(config);
       config["num_key_value_heads"] = 2;
       config["num_local_experts"] = 6;
       config["num_experts_per_tok"] = 3;
       config["shared_intermediate_size"] = 48;
       config["mamba_n_groups"] = 1;
       config["position_embedding_type"] = "nope";
       config["layer_types"] = json::array{"mamba", "attention", "mamba", "mamba"};
       config.erase("rope_theta");
     }},
    {"mamba2", "Mamba2ForCausalLM",
     [](json::object& config) {
       mamba(config);
       config["head_dim"] = 32;
       config["layer_norm_epsilon"] = config.at("rms_norm_eps");
     }},
    {"nemotron_h", "NemotronHForCausalLM", [](json::object& config) { nemotron(config, "M-M*-", 128); }},
    {"nemotron_h_moe", "NemotronHForCausalLM",
     [](json::object& config) {
       nemotron(config, "MEM*E", 0);
       config.erase("hybrid_override_pattern");
       config["layers_block_type"] = json::array{"mamba", "moe", "mamba", "attention", "moe"};
       config["intermediate_size"] = 32;
       config["n_routed_experts"] = 6;
       config["num_experts_per_tok"] = 2;
       config["moe_intermediate_size"] = 32;
       config["moe_shared_expert_intermediate_size"] = 48;
       config["moe_latent_size"] = 32;
       config["routed_scaling_factor"] = 2.5;
     }},
    {"lfm2", "Lfm2ForCausalLM",
     [](json::object& config) {
       lfm2(config, 6);
       config["block_ff_dim"] = 190;
       config["block_auto_adjust_ff_dim"] = true;
       config["block_ffn_dim_multiplier"] = 1.0;
       config["block_multiple_of"] = 32;
     }},
    {"lfm2moe", "Lfm2MoeForCausalLM",
     [](json::object& config) {
       lfm2(config, 4);
       config["num_experts"] = 6;
       config["num_experts_per_tok"] = 2;
       config["moe_intermediate_size"] = 32;
       config["num_dense_layers"] = 1;
     }},
    {"qwen3next", "Qwen3NextForCausalLM",
     [](json::object& config) {
       delta_nets(config, 4);
       shared_share(config, 32, 32);
       config["partial_rotary_factor"] = 0.5;
       config["norm_topk_prob"] = true;
     }},
    {"qwen35", "Qwen3_5ForConditionalGeneration",
     [](json::object& config) {
       delta_nets(config, 8);
       qwen35(config);
       nest(config, "qwen3_5_text");
     }},
    {"qwen35moe", "Qwen3_5MoeForConditionalGeneration",
     [](json::object& config) {
       delta_nets(config, 4);
       shared_share(config, 32, 32);
       qwen35(config);
       nest(config, "qwen3_5_moe_text");
     }},
    {"llama4", "Llama4ForConditionalGeneration",
     [](json::object& config) {
       config["intermediate_size_mlp"] = config.at("intermediate_size");
       config["intermediate_size"] = 64;
       config["num_local_experts"] = 4;
       config["num_experts_per_tok"] = 1;
       config["interleave_moe_layer_step"] = 2;
       config["use_qk_norm"] = true;
       nest(config, "llama4_text");
     }},
    {"gemma3n", "Gemma3nForConditionalGeneration",
     [](json::object& config) {
       json::array sparse, inner;
       for (int i = 0; i < 22; ++i)
         sparse.emplace_back(i < 10 ? 0.95 : 0.0), inner.push_back(config.at("intermediate_size"));
       config["layer_types"] = windows(22, 5);
       config["activation_sparsity_pattern"] = sparse;
       config["intermediate_size"] = inner;
       config["num_kv_shared_layers"] = 2;
       config["hidden_size_per_layer_input"] = 256;
       config["vocab_size_per_layer_input"] = 512;
       config["rope_local_base_freq"] = 10000;
       nest(config, "gemma3n_text");
     }},
    {"gemma4", "Gemma4ForConditionalGeneration",
     [](json::object& config) {
       gemma4(config, 8);
       config["intermediate_size"] = 96;
       config["num_kv_shared_layers"] = 2;
       config["use_double_wide_mlp"] = true;
       config["hidden_size_per_layer_input"] = 32;
       config["vocab_size_per_layer_input"] = 512;
       nest(config, "gemma4_text");
     }},
    {"gemma4-moe", "Gemma4ForConditionalGeneration",
     [](json::object& config) {
       gemma4(config, 6);
       config["num_key_value_heads"] = 2;
       config["num_global_key_value_heads"] = 1;
       config["attention_k_eq_v"] = true;
       config["hidden_size_per_layer_input"] = 0;
       config["enable_moe_block"] = true;
       config["num_experts"] = 4;
       config["top_k_experts"] = 2;
       config["moe_intermediate_size"] = 32;
       nest(config, "gemma4_text");
     }},
};

class GoldenImport : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    REQUIRE_SHARED(kIndex);
    json::object index;
    for (const char* path : {kIndex_2, kIndex}) {
      const auto text = read_file(shared(path).string());
      ASSERT_TRUE(text.ok());
      index = json::parse(*text).as_object();
      if (index.at("cases").as_object().contains(GetParam().model)) break;
    }
    const json::object& entry = index.at("cases").at(GetParam().model).as_object();
    tokens_ = json::value_to<std::vector<int32_t>>(index.at("tokens"));
    expected_ = read_npy(shared(std::string(entry.at("logits").as_string()))).values;
    tolerance_ = entry.at("relative_error_at_most").as_double();
    auto file = gguf::File::open(shared(std::string(entry.at("model").as_string())).string());
    ASSERT_TRUE(file.ok()) << file.error().message;
    original_ = *file;
  }

  ModelFolder folder(FolderOptions options = {}) const {
    ModelFolder folder(*original_, std::move(options));
    GetParam().change(folder.changed);
    folder.changed["architectures"] = json::array{GetParam().class_name};
    return folder;
  }

  std::shared_ptr<const gguf::File> import(ModelFolder folder, const convert::ConvertOptions& options = {}) {
    folder.write(temporary_ / "in");
    write_text((temporary_ / "in" / "tokenizer.model").string(), sentencepiece_model(*original_));
    const auto done =
        convert::convert_folder((temporary_ / "in").string(), (temporary_ / "out.gguf").string(), options);
    EXPECT_TRUE(done.ok()) << done.error().message;
    if (!done) return nullptr;
    auto file = gguf::File::open((temporary_ / "out.gguf").string());
    EXPECT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ((*file)->file_bytes(), done->bytes);
    return *file;
  }

  std::vector<float> logits(const std::shared_ptr<const gguf::File>& file) {
    const auto device = real_devices().back().make();
    auto model = models::Model::load(
        file, *device,
        {.context = 128, .batch_rows = 192, .logit_rows = 192, .pages = 16, .cache = device::CacheType::kF32});
    EXPECT_TRUE(model.ok()) << model.error().message;
    return model ? run_in_chunks(**model, tokens_, {64}) : std::vector<float>();
  }

  bool is_elsewhere(const std::string& name) const {
    return std::ranges::any_of(GetParam().elsewhere, [&](const std::string& begin) {
      return name.starts_with(begin) || name.find("." + begin) != std::string::npos;
    });
  }

  TemporaryFolder temporary_;
  std::shared_ptr<const gguf::File> original_;
  std::vector<int32_t> tokens_;
  std::vector<float> expected_;
  double tolerance_ = 0;
};

TEST_P(GoldenImport, GivesTheLogitsOfTheReference) {
  const auto file = import(folder());
  ASSERT_NE(file, nullptr);
  const std::vector<float> got = logits(file);
  ASSERT_EQ(got.size(), expected_.size());
  EXPECT_LE(relative_error(got, expected_), tolerance_);
}

// Parts, and matrices of BF16: what is imported has exactly the weights of what was written.
TEST_P(GoldenImport, OfPartsKeepsTheTypeOfTheWeights) {
  const auto file = import(folder({.dtype = "BF16", .files = 3}));
  ASSERT_NE(file, nullptr);
  size_t elsewhere = 0;
  for (const gguf::Tensor& tensor : original_->tensors()) {
    const gguf::Tensor* imported = file->tensor(tensor.name);
    if (is_elsewhere(tensor.name)) {
      EXPECT_EQ(imported, nullptr) << tensor.name;
      ++elsewhere;
      continue;
    }
    ASSERT_NE(imported, nullptr) << tensor.name;
    EXPECT_EQ(imported->shape, tensor.shape) << tensor.name;
    if (std::string_view(tensor.format->name) == "MXFP4") {
      std::vector<std::byte> was(tensor.bytes), is(imported->bytes);
      ASSERT_TRUE(original_->read(tensor, 0, was) && file->read(*imported, 0, is));
      EXPECT_EQ(is, was) << tensor.name;
      continue;
    }
    if (!gguf::is_quantised(tensor)) {
      EXPECT_STREQ(imported->format->name, "F32") << tensor.name;
      continue;
    }
    EXPECT_STREQ(imported->format->name, "BF16") << tensor.name;
    std::vector<std::byte> bytes(tensor.bytes), got(imported->bytes);
    ASSERT_TRUE(original_->read(tensor, 0, bytes) && file->read(*imported, 0, got));
    std::vector<float> values(tensor.values());
    tensor.format->decode(reinterpret_cast<const uint8_t*>(bytes.data()), values.size(), values.data());
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits = 0;
      std::memcpy(&bits, got.data() + 2 * i, 2);
      ASSERT_EQ(bits, float_to_bfloat(values[i])) << tensor.name << " " << i;
    }
  }
  if (elsewhere == 0) {
    EXPECT_EQ(file->tensors().size(), original_->tensors().size());
  }
  EXPECT_EQ(file->u64_or("general.file_type", 0), 32u);  // most of it is BF16
}

// What is quantised while it comes in is what `hearth quantize` makes of the original.
TEST_P(GoldenImport, QuantisesOnTheWay) {
  const auto recipe = gguf::find_recipe("Q8_0");
  convert::ConvertOptions options;
  options.recipe = *recipe;
  options.threads = 2;
  const auto file = import(folder(), options);
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->u64_or("general.file_type", 0), recipe->file_type);
  const std::string path = temporary_ / "quantised.gguf";
  ASSERT_TRUE(gguf::quantize_file(original_->path(), path, *recipe, {}).ok());
  const auto expected = *gguf::File::open(path);
  size_t compared = 0;
  for (const gguf::Tensor& tensor : expected->tensors()) {
    if (!gguf::is_quantised(tensor) || is_elsewhere(tensor.name)) continue;
    const gguf::Tensor* imported = file->tensor(tensor.name);
    ASSERT_NE(imported, nullptr) << tensor.name;
    ASSERT_STREQ(imported->format->name, tensor.format->name) << tensor.name;
    std::vector<std::byte> want(tensor.bytes), got(imported->bytes);
    ASSERT_TRUE(expected->read(tensor, 0, want) && file->read(*imported, 0, got));
    EXPECT_EQ(got, want) << tensor.name;
    ++compared;
  }
  EXPECT_GT(compared, 3u);
  EXPECT_EQ(logits(file).size(), expected_.size());
}

TEST_P(GoldenImport, TakesTheVocabularyAlong) {
  const auto file = import(folder());
  ASSERT_NE(file, nullptr);
  const auto ours = text::Tokenizer::load(*file), theirs = text::Tokenizer::load(*original_);
  ASSERT_TRUE(ours.ok() && theirs.ok());
  for (const char* text : {"Hello, world", "  two  spaces", "é\n", "<s>Hi</s>"})
    for (const bool special : {false, true})
      EXPECT_EQ((*ours)->encode(text, {true, special}), (*theirs)->encode(text, {true, special})) << text;
}

// Of which there is no golden model: what comes back is to the bit what was written.
std::shared_ptr<const gguf::File> there_and_back(const SmallModel& small, const char* class_name,
                                                 const std::function<void(json::object&)>& change) {
  const auto original = small.open();
  const TemporaryFolder temporary;
  ModelFolder folder(*original);
  folder.changed["rope_theta"] = 10000.0;
  folder.changed["vocab_size"] = SmallModel::kVocabulary;
  change(folder.changed);
  folder.changed["architectures"] = json::array{class_name};
  folder.write(temporary / "in");
  write_text((temporary / "in" / "tokenizer.json").string(),
             R"({"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]},)"
             R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}})");
  const std::string out = temporary / "out.gguf";
  const auto done = convert::convert_folder((temporary / "in").string(), out, {});
  EXPECT_TRUE(done.ok()) << done.error().message;
  if (!done) return nullptr;
  const auto imported = *gguf::File::open(out);
  EXPECT_TRUE(models::plan_load(*imported, {}).ok());
  EXPECT_EQ(imported->tensors().size(), original->tensors().size());
  for (const gguf::Tensor& tensor : original->tensors()) {
    const gguf::Tensor* back = imported->tensor(tensor.name);
    EXPECT_TRUE(back != nullptr && back->shape == tensor.shape) << tensor.name;
    if (back == nullptr || back->bytes != tensor.bytes) continue;
    std::vector<std::byte> was(tensor.bytes), is(tensor.bytes);
    EXPECT_TRUE(original->read(tensor, 0, was) && imported->read(*back, 0, is));
    EXPECT_EQ(is, was) << tensor.name;
  }
  return imported;
}

TEST(Import, HunyuanWithExpertsComesBack) {
  SmallModel small("hunyuan-moe");
  small.use_experts(5, 2);
  small.add_head_norms();
  small.add_shared_expert();
  const auto imported = there_and_back(small, "HunYuanMoEV1ForCausalLM", [](json::object& config) {
    config["num_experts"] = 5;
    config["moe_topk"] = json::array{2, 2};
    config["moe_intermediate_size"] = json::array{SmallModel::kInner, SmallModel::kInner};
    config["num_shared_expert"] = json::array{1, 1};
  });
  ASSERT_NE(imported, nullptr);
  EXPECT_EQ(imported->u64_or("hunyuan-moe.expert_shared_feed_forward_length", 0), uint64_t{SmallModel::kInner});
}

TEST(Import, SeeingQwenWithExpertsComesBackFromStacksTurnedOrNot) {
  SmallModel small("qwen3vlmoe");
  small.use_experts(5, 2);
  small.add_head_norms();
  const auto imported = there_and_back(small, "Qwen3VLMoeForConditionalGeneration", [](json::object& config) {
    config["num_experts"] = 5;
    config["num_experts_per_tok"] = 2;
    config["moe_intermediate_size"] = SmallModel::kInner;
    config["rope_scaling"] =
        json::object{{"rope_type", "default"}, {"mrope_section", json::array{4, 2, 2}}, {"mrope_interleaved", true}};
    nest(config, "qwen3_vl_moe_text");
    config["vision_config"] = json::object{{"deepstack_visual_indexes", json::array{1}}};
  });
  ASSERT_NE(imported, nullptr);
  EXPECT_EQ(imported->u64_or("qwen3vlmoe.expert_feed_forward_length", 0), uint64_t{SmallModel::kInner});
  EXPECT_EQ(imported->u64_or("qwen3vlmoe.n_deepstack_layers", 0), 1u);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenImport, testing::ValuesIn(kCases), [](const auto& test) {
  std::string name = test.param.model;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace hearth::test
