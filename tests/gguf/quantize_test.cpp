#include "gguf/quantize.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "gguf/draft.h"
#include "gguf/writer.h"
#include "support/support.h"

namespace hearth::gguf {
namespace {

// A model of names and shapes only, for the rules.
struct Plan {
  ModelProperties properties;
  QuantizationRecipe recipe;

  std::string operator()(const std::string& name, uint64_t columns = 2048) const {
    const Tensor tensor{name, quant::find_name("F16"), 2, {columns, 64, 1, 1}, 0, 0, 0};
    return is_quantised(tensor) ? choose_format(recipe, properties, tensor).format->name : "as it is";
  }
  // The layers of 0 .. L-1 in which a tensor gets this format: "0 1 4".
  std::string layers(const std::string& name, const std::string& format) const {
    std::string out;
    for (uint64_t i = 0; i < properties.layers; ++i) {
      if ((*this)(fmt::format("blk.{}.{}", i, name)) == format) out += fmt::format("{}{}", out.empty() ? "" : " ", i);
    }
    return out;
  }
};

Plan plan(const char* recipe, ModelProperties properties) {
  return {properties, *find_recipe(recipe)};
}

const ModelProperties kTinyLlama = {.layers = 22, .queries_per_value = 8, .experts = 0, .has_output = true};
const ModelProperties kMixtral = {.layers = 32, .queries_per_value = 4, .experts = 8, .has_output = true};

// Expected: what llama.cpp's llama_model_quantize (February 2025) gives for the same shapes.
TEST(QuantizationRecipe, GivesMoreBitsWhereTheyMatter) {
  const Plan q4_k_m = plan("Q4_K_M", kTinyLlama);
  EXPECT_EQ(q4_k_m("output.weight"), "Q6_K");
  EXPECT_EQ(q4_k_m("token_embd.weight"), "Q4_K");
  EXPECT_EQ(q4_k_m.layers("attn_v.weight", "Q6_K"), "0 1 4 7 10 13 16 19 20 21");
  EXPECT_EQ(q4_k_m.layers("ffn_down.weight", "Q6_K"), "0 1 4 7 10 13 16 19 20 21");
  EXPECT_EQ(q4_k_m.layers("attn_v.weight", "Q4_K"), "2 3 5 6 8 9 11 12 14 15 17 18");
  EXPECT_EQ(q4_k_m("blk.0.attn_q.weight"), "Q4_K");
  EXPECT_EQ(q4_k_m("blk.0.attn_qkv.weight"), "Q5_K");

  const Plan q4_k_s = plan("Q4_K_S", kTinyLlama);
  EXPECT_EQ(q4_k_s.layers("attn_v.weight", "Q5_K"), "0 1 2 3");
  EXPECT_EQ(q4_k_s.layers("ffn_down.weight", "Q5_K"), "0 1");

  const Plan q3_k_m = plan("Q3_K_M", kTinyLlama);
  EXPECT_EQ(q3_k_m.layers("attn_v.weight", "Q5_K"), "0 1");
  EXPECT_EQ(q3_k_m("blk.5.attn_v.weight"), "Q4_K");
  EXPECT_EQ(q3_k_m.layers("ffn_down.weight", "Q5_K"), "0");
  EXPECT_EQ(q3_k_m("blk.5.attn_output.weight"), "Q4_K");

  const Plan q2_k = plan("Q2_K", kTinyLlama);
  EXPECT_EQ(q2_k("blk.5.attn_v.weight"), "Q4_K");
  EXPECT_EQ(q2_k("blk.5.ffn_down.weight"), "Q3_K");
  EXPECT_EQ(q2_k("blk.5.ffn_up.weight"), "Q2_K");

  const Plan q4_0 = plan("Q4_0", kTinyLlama);
  EXPECT_EQ(q4_0("output.weight"), "Q6_K");
  EXPECT_EQ(q4_0("blk.0.attn_v.weight"), "Q4_0");
  EXPECT_EQ(plan("Q8_0", kTinyLlama)("output.weight"), "Q8_0");
  EXPECT_EQ(plan("F16", kTinyLlama)("output.weight"), "F16");
}

TEST(QuantizationRecipe, KnowsTiedEmbeddingsAndExperts) {
  ModelProperties tied = kTinyLlama;
  tied.has_output = false;
  EXPECT_EQ(plan("Q4_K_M", tied)("token_embd.weight"), "Q6_K");

  const Plan mixtral = plan("Q4_K_M", kMixtral);
  EXPECT_EQ(mixtral("blk.9.attn_v.weight"), "Q8_0");
  EXPECT_EQ(mixtral("blk.9.attn_k.weight"), "Q8_0");
  EXPECT_EQ(mixtral("blk.9.attn_output.weight"), "Q5_K");
  EXPECT_EQ(mixtral("blk.9.ffn_down_exps.weight"), "Q6_K");
  EXPECT_EQ(mixtral("blk.9.ffn_gate_inp.weight"), "as it is");

  const Plan mxfp4_moe = plan("MXFP4_MOE", kMixtral);
  EXPECT_EQ(mxfp4_moe("blk.9.ffn_up_exps.weight"), "MXFP4");
  EXPECT_EQ(mxfp4_moe("blk.9.attn_q.weight"), "Q8_0");
}

// The one architecture that llama.cpp names in its rules.
TEST(QuantizationRecipe, FalconHasMixesOfItsOwn) {
  const ModelProperties falcon = {.layers = 32, .queries_per_value = 71, .is_falcon = true, .has_output = true};
  const Plan q4_k_m = plan("Q4_K_M", falcon);
  EXPECT_EQ(q4_k_m("output.weight"), "Q8_0");
  EXPECT_EQ(q4_k_m.layers("ffn_down.weight", "Q6_K"), "0 1");
  EXPECT_EQ(q4_k_m.layers("ffn_down.weight", "Q5_K"), "2 3 6 9 12 15 18 21 24 27 28 29 30 31");
  EXPECT_EQ(q4_k_m("blk.5.ffn_down.weight"), "Q4_K");
  EXPECT_EQ(q4_k_m("blk.0.attn_qkv.weight"), "Q5_K");
  const Plan q3_k_m = plan("Q3_K_M", falcon);
  EXPECT_EQ(q3_k_m.layers("ffn_down.weight", "Q5_K"), "0 1");
  EXPECT_EQ(q3_k_m("blk.6.ffn_down.weight"), "Q4_K");
  EXPECT_EQ(q3_k_m("blk.5.ffn_down.weight"), "Q3_K");
  EXPECT_EQ(q3_k_m("blk.5.attn_output.weight"), "Q3_K");
  EXPECT_EQ(plan("Q3_K_L", falcon)("blk.5.ffn_down.weight"), "Q4_K");
  EXPECT_EQ(plan("Q4_K_S", falcon)("blk.0.ffn_down.weight"), "Q4_K");
}

TEST(QuantizationRecipe, LeavesExpertsAsTheyWereTrained) {
  const Tensor tensor{"blk.0.ffn_up_exps.weight", quant::find_name("MXFP4"), 3, {2880, 2880, 32, 1}, 0, 0, 0};
  for (const char* recipe : {"Q4_K_M", "Q8_0", "IQ2_XXS", "MXFP4_MOE"})
    EXPECT_STREQ(choose_format(*find_recipe(recipe), kMixtral, tensor).format->name, "MXFP4") << recipe;
  for (const char* recipe : {"F32", "F16", "BF16"})
    EXPECT_STREQ(choose_format(*find_recipe(recipe), kMixtral, tensor).format->name, recipe);
}

TEST(QuantizationRecipe, LeavesSmallTensorsAlone) {
  const Plan any = plan("Q4_K_M", kTinyLlama);
  for (const char* name : {"blk.0.attn_norm.weight", "position_embd.weight", "token_types.weight", "rope_freqs.weight",
                           "blk.0.attn_q.bias", "blk.0.ffn_gate_inp.weight", "blk.0.altup_router.weight",
                           "altup_proj.weight", "blk.0.laurel_l.weight", "per_layer_model_proj.weight"}) {
    EXPECT_EQ(any(name), "as it is") << name;
  }
}

TEST(QuantizationRecipe, RowsThatAreNotWholeBlocksGetANamedStandIn) {
  EXPECT_EQ(plan("Q4_K_M", kTinyLlama)("blk.3.ffn_up.weight", 96), "Q5_0");
  EXPECT_EQ(plan("Q4_K_M", kTinyLlama)("blk.3.ffn_up.weight", 100), "F16");
  EXPECT_EQ(plan("Q4_K_M", kTinyLlama)("output.weight", 96), "Q8_0");
  EXPECT_EQ(plan("Q3_K_S", kTinyLlama)("blk.3.ffn_up.weight", 96), "IQ4_NL");
  EXPECT_EQ(plan("Q5_K_S", kTinyLlama)("blk.3.ffn_up.weight", 96), "Q5_1");
  EXPECT_EQ(plan("Q4_0", kTinyLlama)("blk.3.ffn_up.weight", 100), "F16");
}

TEST(QuantizationRecipe, NamesAreCaseInsensitiveAndCompleteAndFormatsCount) {
  EXPECT_EQ(find_recipe("q4_k_m")->file_type, 15u);
  EXPECT_EQ(find_recipe("Q4_K")->name, "Q4_K_M");
  for (const std::string& name : recipe_names()) EXPECT_NE(find_recipe(name)->base->encode, nullptr) << name;
  const auto unknown = find_recipe("Q4_K_XXL");
  EXPECT_EQ(unknown.error().kind, ErrorKind::kUsage);
  EXPECT_NE(unknown.error().message.find("Q4_K_M"), std::string::npos) << unknown.error().message;
}

// A small model with random weights; `rows` x `columns` matrices.
void write_model(const std::string& path, uint64_t columns, std::vector<float>* weights,
                 const std::string& format = "F32") {
  const quant::Format& kind = *quant::find_name(format);
  std::mt19937_64 random(hearth::test::seed());
  std::normal_distribution<float> normal(0, 0.02f);
  Writer writer;
  writer.set_string("general.architecture", "llama");
  writer.set_u32("llama.block_count", 1);
  writer.set_u32("split.count", 1);
  const uint64_t rows = 48;
  const std::vector<std::string> names = {"token_embd.weight", "output.weight", "blk.0.attn_v.weight",
                                          "blk.0.attn_q.weight"};
  writer.add_tensor("blk.0.attn_norm.weight", *quant::find_name("F32"), std::vector<uint64_t>{columns});
  for (const std::string& name : names) writer.add_tensor(name, kind, std::vector<uint64_t>{columns, rows});
  ASSERT_TRUE(writer.begin(path).ok());
  const std::vector<float> norm(columns, 1.0f);
  ASSERT_TRUE(writer.write(std::as_bytes(std::span(norm))).ok());
  for (size_t i = 0; i < names.size(); ++i) {
    std::vector<float> values(columns * rows);
    for (float& value : values) value = normal(random);
    std::vector<uint8_t> blocks(kind.bytes(values.size()));
    kind.encode(values.data(), values.size(), nullptr, blocks.data());
    ASSERT_TRUE(writer.write(std::as_bytes(std::span(blocks))).ok());
    weights->insert(weights->end(), values.begin(), values.end());
  }
  ASSERT_TRUE(writer.finish().ok());
}

std::vector<float> read_weights(const File& file) {
  std::vector<float> out;
  for (const Tensor& tensor : file.tensors()) {
    if (tensor.dimensions < 2) continue;
    std::vector<float> values(tensor.values());
    tensor.format->decode(test::tensor_bytes(file, tensor).data(), values.size(), values.data());
    out.insert(out.end(), values.begin(), values.end());
  }
  return out;
}

TEST(Quantize, EveryTypeGivesAReadableFileCloseToTheOriginal) {
  const hearth::test::TemporaryFolder folder;
  const std::string in = folder / "in.gguf", out = folder / "out.gguf";
  std::vector<float> weights;
  write_model(in, 256, &weights);
  for (const auto& [type, error_allowed] : {std::pair{"F32", 0.0},
                                            {"F16", 0.0005},
                                            {"BF16", 0.005},
                                            {"Q8_0", 0.01},
                                            {"Q6_K", 0.03},
                                            {"Q5_K_M", 0.06},
                                            {"Q4_K_M", 0.1},
                                            {"Q4_0", 0.12},
                                            {"IQ4_XS", 0.1},
                                            {"MXFP4", 0.15},
                                            {"Q3_K_M", 0.2},
                                            {"Q2_K", 0.4},
                                            {"TQ2_0", 0.9}}) {
    const auto summary = quantize_file(in, out, *find_recipe(type), {.threads = 2});
    ASSERT_TRUE(summary.ok()) << type << ": " << summary.error().message;
    const auto file = File::open(out);
    ASSERT_TRUE(file.ok()) << type << ": " << file.error().message;
    EXPECT_EQ((*file)->file_bytes(), summary->bytes_after);
    EXPECT_EQ(*(*file)->get_u64("general.file_type"), find_recipe(type)->file_type);
    EXPECT_EQ(*(*file)->get_u64("general.quantization_version"), 2u);
    EXPECT_EQ((*file)->find("split.count"), nullptr);
    EXPECT_STREQ((*file)->tensor("blk.0.attn_norm.weight")->format->name, "F32");
    EXPECT_LE(hearth::test::relative_error(read_weights(**file), weights), error_allowed) << type;
  }
}

TEST(Quantize, ThreadsDoNotChangeTheResult) {
  const hearth::test::TemporaryFolder folder;
  std::vector<float> weights;
  write_model(folder / "in.gguf", 512, &weights);
  ASSERT_TRUE(quantize_file(folder / "in.gguf", folder / "1.gguf", *find_recipe("Q4_K_M"), {.threads = 1}).ok());
  ASSERT_TRUE(quantize_file(folder / "in.gguf", folder / "5.gguf", *find_recipe("Q4_K_M"), {.threads = 5}).ok());
  EXPECT_EQ(hearth::test::read_bytes(folder / "1.gguf"), hearth::test::read_bytes(folder / "5.gguf"));
}

TEST(Quantize, SaysWhatIsNotAsAskedFor) {
  const hearth::test::TemporaryFolder folder;
  std::vector<float> weights;
  write_model(folder / "in.gguf", 96, &weights, "Q8_0");
  const auto summary = quantize_file(folder / "in.gguf", folder / "out.gguf", *find_recipe("Q4_K_S"), {});
  ASSERT_TRUE(summary.ok()) << summary.error().message;
  ASSERT_EQ(summary->notes.size(), 5u);  // four tensors, and that they were quantised before
  EXPECT_EQ(summary->notes[0], "token_embd.weight: rows of 96 values are not whole blocks of Q4_K: Q5_0 instead");
  EXPECT_EQ(summary->notes[4], "3 tensors were quantised before: the result is worse than from the original");

  write_model(folder / "in2.gguf", 256, &weights);
  const auto low = quantize_file(folder / "in2.gguf", folder / "out.gguf", *find_recipe("TQ1_0"), {});
  ASSERT_TRUE(low.ok());
  EXPECT_EQ(low->notes,
            (std::vector<std::string>{"2 tensors get under 2.6 bits per weight without an importance matrix: "
                                      "expect poor text, unless the model was trained for it"}));
}

TEST(Quantize, RefusesToOverwriteItsInput) {
  const hearth::test::TemporaryFolder folder;
  std::vector<float> weights;
  write_model(folder / "in.gguf", 256, &weights);
  std::filesystem::create_symlink(folder / "in.gguf", folder / "link.gguf");
  for (const char* out : {"in.gguf", "./in.gguf", "link.gguf"}) {
    const auto summary = quantize_file(folder / "in.gguf", folder / out, *find_recipe("Q8_0"), {});
    ASSERT_FALSE(summary.ok()) << out;
    EXPECT_EQ(summary.error().kind, ErrorKind::kUsage);
  }
}

TEST(Quantize, WeightsThatAreNoNumbersAreRefused) {
  const hearth::test::TemporaryFolder folder;
  for (const auto& [value, type, message] :
       {std::tuple{std::numeric_limits<float>::quiet_NaN(), "Q8_0",
                   "tensor 'a.weight' holds values that are infinite or not a number"},
        std::tuple{std::numeric_limits<float>::infinity(), "Q4_K_M",
                   "tensor 'a.weight' holds values that are infinite"},
        std::tuple{1e6f, "F16", "tensor 'a.weight' holds values beyond F16's largest"}}) {
    std::vector<float> values(512, 0.5f);
    values[300] = value;
    Writer writer;
    writer.add_tensor("a.weight", *quant::find_name("F32"), std::vector<uint64_t>{256, 2});
    ASSERT_TRUE(writer.begin(folder / "in.gguf").ok());
    ASSERT_TRUE(writer.write(std::as_bytes(std::span(values))).ok());
    ASSERT_TRUE(writer.finish().ok());
    const auto summary = quantize_file(folder / "in.gguf", folder / "out.gguf", *find_recipe(type), {});
    ASSERT_FALSE(summary.ok());
    EXPECT_NE(summary.error().message.find(message), std::string::npos) << summary.error().message;
    EXPECT_FALSE(std::filesystem::exists(folder / "out.gguf"));
  }
}

TEST(Quantize, CanBeCancelledAndReportsProgress) {
  const hearth::test::TemporaryFolder folder;
  std::vector<float> weights;
  write_model(folder / "in.gguf", 256, &weights);
  uint64_t last = 0, all = 0;
  QuantizeOptions options;
  options.progress = [&](uint64_t done, uint64_t total, std::string_view) -> Status {
    EXPECT_GT(done, last);
    last = done;
    all = total;
    return {};
  };
  ASSERT_TRUE(quantize_file(folder / "in.gguf", folder / "out.gguf", *find_recipe("Q8_0"), options).ok());
  EXPECT_EQ(last, all);
  options.progress = [](uint64_t, uint64_t, std::string_view) -> Status {
    return Error{ErrorKind::kCancelled, "enough"};
  };
  const auto summary = quantize_file(folder / "in.gguf", folder / "out2.gguf", *find_recipe("Q8_0"), options);
  EXPECT_EQ(summary.error().message, "enough");
  EXPECT_FALSE(std::filesystem::exists(folder / "out2.gguf"));
}

TEST(Quantize, AFolderThatIsNotThereIsNamed) {
  const hearth::test::TemporaryFolder folder;
  std::vector<float> weights;
  write_model(folder / "in.gguf", 256, &weights);
  const auto summary = quantize_file(folder / "in.gguf", folder / "absent/out.gguf", *find_recipe("Q8_0"), {});
  ASSERT_FALSE(summary.ok());
  EXPECT_NE(summary.error().message.find("absent"), std::string::npos) << summary.error().message;
}

}  // namespace
}  // namespace hearth::gguf
