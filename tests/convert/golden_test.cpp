// Models written as folders of Hugging Face and imported again give the logits that an independent program computed.
#include <boost/json.hpp>

#include "base/file.h"
#include "convert/convert.h"
#include "convert/folder.h"
#include "models/model.h"
#include "models/runner.h"
#include "support/devices.h"
#include "text/tokenizer.h"

namespace hearth::test {
namespace {

namespace json = boost::json;

constexpr const char *kIndex = "golden/logits/index.json", *kIndex_2 = "golden/logits2/index.json";

struct Case {
  const char* model;
  const char* class_name;
  std::function<void(json::object&)> change;  // of config.json
  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.model; }
};

// What make_models.py gave each, in the words of config.json.
const Case kCases[] = {
    {"llama", "LlamaForCausalLM", [](json::object&) {}},
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
    {"qwen3", "Qwen3ForCausalLM", [](json::object&) {}},
    {"gemma2", "Gemma2ForCausalLM",
     [](json::object& config) {
       config["attn_logit_softcapping"] = 50.0;
       config["final_logit_softcapping"] = 30.0;
     }},
    {"gemma3", "Gemma3ForCausalLM", [](json::object& config) { config["rope_local_base_freq"] = 10000; }},
    {"phi3", "Phi3ForCausalLM", [](json::object&) {}},
    {"gpt2", "GPT2LMHeadModel", [](json::object&) {}},
    {"ernie4_5", "Ernie4_5ForCausalLM", [](json::object&) {}},
    {"granite", "GraniteForCausalLM",
     [](json::object& config) {
       config["embedding_multiplier"] = 3.0;
       config["residual_multiplier"] = 0.3f;
       config["attention_multiplier"] = 0.0625;
       config["logits_scaling"] = 4.0;
     }},
    {"olmo2", "Olmo2ForCausalLM", [](json::object&) {}},
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
    folder.more["architectures"] = json::array{GetParam().class_name};
    GetParam().change(folder.more);
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
  for (const gguf::Tensor& tensor : original_->tensors()) {
    const gguf::Tensor* imported = file->tensor(tensor.name);
    ASSERT_NE(imported, nullptr) << tensor.name;
    EXPECT_EQ(imported->shape, tensor.shape) << tensor.name;
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
  EXPECT_EQ(file->tensors().size(), original_->tensors().size());
  EXPECT_EQ(file->u64_or("general.file_type", 0), 32u);
}

TEST_P(GoldenImport, QuantisesOnTheWay) {
  const auto recipe = gguf::find_recipe("Q8_0");
  convert::ConvertOptions options;
  options.recipe = *recipe;
  options.threads = 2;
  const auto file = import(folder(), options);
  ASSERT_NE(file, nullptr);
  EXPECT_STREQ(file->tensor("token_embd.weight")->format->name, "Q8_0");
  EXPECT_EQ(file->u64_or("general.file_type", 0), recipe->file_type);
  EXPECT_LE(relative_error(logits(file), expected_),
            0.1);  // eight bits of a random model; a wrong row gives 1 and more
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

INSTANTIATE_TEST_SUITE_P(Models, GoldenImport, testing::ValuesIn(kCases), [](const auto& test) {
  std::string name = test.param.model;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace hearth::test
