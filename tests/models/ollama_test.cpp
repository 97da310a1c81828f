// Files as Ollama's own converter writes them: other keys and names of tensors, an encoder of images beside the text.
// The numbers are those of the models that the golden logits are of, so that the results must be the same to the bit.
#include <boost/json.hpp>

#include "gguf/writer.h"
#include "models/runner.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

struct Renamed {
  const char* model;
  const char* architecture;  // null: the same
  std::vector<std::string> dropped = {};
  std::vector<std::pair<std::string, std::string>> keys = {}, tensors = {};  // old and new parts of names
  bool vision = false;                                                       // has tensors that text does not need

  friend void PrintTo(const Renamed& renamed, std::ostream* out) { *out << renamed.model; }
};

std::string replaced(std::string text, const std::vector<std::pair<std::string, std::string>>& pairs) {
  for (const auto& [old, fresh] : pairs)
    if (const size_t at = text.find(old); at != std::string::npos) return text.replace(at, old.size(), fresh);
  return text;
}

std::string rewrite(const Renamed& renamed, const TemporaryFolder& folder) {
  const auto file = *gguf::File::open(shared(renamed.model).string());
  const std::string old(file->string_or("general.architecture", ""));
  const std::string fresh = renamed.architecture != nullptr ? renamed.architecture : old;
  gguf::Writer writer;
  for (const auto& [key, value] : file->metadata()) {
    if (!key.starts_with(old + ".")) {
      writer.set(key, value);
      continue;
    }
    const std::string own = key.substr(old.size() + 1);
    if (std::find(renamed.dropped.begin(), renamed.dropped.end(), own) != renamed.dropped.end()) continue;
    writer.set(fresh + "." + replaced(own, renamed.keys), value);
  }
  writer.set_string("general.architecture", fresh);
  for (const gguf::Tensor& tensor : file->tensors())
    writer.add_tensor(replaced(tensor.name, renamed.tensors), *tensor.format,
                      std::span(tensor.shape).first(tensor.dimensions));
  const std::vector<uint64_t> image{4};
  if (renamed.vision) writer.add_tensor("v.blk.0.attn_norm.weight", *quant::find_name("F32"), image);
  const std::string path = (folder / "ollama.gguf").string();
  EXPECT_TRUE(writer.begin(path).ok());
  for (const gguf::Tensor& tensor : file->tensors()) {
    std::vector<std::byte> bytes(tensor.bytes);
    EXPECT_TRUE(file->read(tensor, 0, bytes).ok());
    EXPECT_TRUE(writer.write(bytes).ok());
  }
  const std::vector<float> ones(4, 1);
  if (renamed.vision) {
    EXPECT_TRUE(writer.write(std::as_bytes(std::span(ones))).ok());
  }
  EXPECT_TRUE(writer.finish().ok());
  return path;
}

std::vector<float> logits_of(const std::string& path) {
  auto file = gguf::File::open(path);
  EXPECT_TRUE(file.ok());
  auto device = *cpu::create_device({.threads = 1});
  auto model = models::Model::load(*file, *device, {.context = 64, .batch_rows = 64, .logit_rows = 64});
  EXPECT_TRUE(model.ok()) << model.error().message;
  if (!model.ok()) return {};
  std::vector<int32_t> tokens(60);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(3 + i * i * 7 % 200);
  return run_in_chunks(**model, tokens, {60});
}

class OfOllama : public testing::TestWithParam<Renamed> {};

TEST_P(OfOllama, ComputesWhatTheUsualFileDoes) {
  REQUIRE_SHARED(GetParam().model);
  const TemporaryFolder folder;
  EXPECT_EQ(logits_of(rewrite(GetParam(), folder)), logits_of(shared(GetParam().model).string()));
}

const Renamed kRenamed[] = {
    {"models/tiny2/gpt-oss.gguf",
     "gptoss",
     {"expert_feed_forward_length", "rope.scaling.type"},
     {},
     {{".attn_output", ".attn_out"}, {".attn_sinks.weight", ".attn_sinks"}, {".post_attention_norm", ".ffn_norm"}}},
    {"models/tiny2/olmo3.gguf", "olmo3"},
    {"models/tiny2/lfm2.gguf", nullptr, {}, {}, {{"token_embd_norm", "output_norm"}}},
    {"models/tiny2/qwen3next.gguf", nullptr, {}, {}, {{"ssm_dt.bias", "ssm_dt"}}},
    {"models/tiny2/qwen35.gguf", nullptr, {}, {}, {{"ssm_dt.bias", "ssm_dt"}}},
    {"models/tiny/gemma3.gguf", nullptr, {"attention.layer_norm_rms_epsilon", "rope.freq_base"}, {}, {}, true},
    {"models/tiny2/mistral3.gguf",
     nullptr,
     {},
     {{"rope.scaling.yarn_beta_fast", "rope.scaling.beta_fast"},
      {"rope.scaling.yarn_beta_slow", "rope.scaling.beta_slow"},
      {"rope.scaling.yarn_log_multiplier", "rope.scaling.mscale_all_dim"},
      {"attention.temperature_scale", "rope.scaling_beta"}},
     {},
     true},
    {"models/tiny2/qwen2vl.gguf", "qwen25vl", {}, {{"rope.dimension_sections", "rope.mrope_section"}}, {}, true},
};

// The files that an independent program makes of the same models, whole: text and pictures in one.
class MadeForOllama : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(MadeForOllama, ComputesWhatTheUsualFileDoes) {
  const auto& [kind, model] = GetParam();
  const std::string tool = "tools/tiny2/ollama.py";
  REQUIRE_SHARED(tool);
  if (std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
    note_skipped();
    GTEST_SKIP() << "python3-numpy is not installed";
  }
  const TemporaryFolder folder;
  const std::string out = (folder / "ollama.gguf").string(), text = shared(model).string();
  const char* encoders[][2] = {
      {"gemma3", "mmproj-gemma3"}, {"mistral3", "mmproj-mistral3"}, {"qwen25vl", "mmproj-qwen2.5vl"}};
  std::string encoder;
  for (const auto& [name, file] : encoders)
    if (std::string_view(kind) == name) encoder = shared(std::string("models/vision/") + file + ".gguf").string();
  const std::string command = fmt::format("/usr/bin/python3 -B '{}' {} '{}' '{}' {}", shared(tool).string(), kind, text,
                                          out, encoder.empty() ? "" : "'" + encoder + "'");
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  EXPECT_EQ(logits_of(out), logits_of(text));
}

INSTANTIATE_TEST_SUITE_P(Files, MadeForOllama,
                         testing::Values(std::pair("gptoss", "models/tiny2/gpt-oss.gguf"),
                                         std::pair("lfm2", "models/tiny2/lfm2.gguf"),
                                         std::pair("olmo3", "models/tiny2/olmo3.gguf"),
                                         std::pair("qwen3next", "models/tiny2/qwen3next.gguf"),
                                         std::pair("qwen35", "models/tiny2/qwen35.gguf"),
                                         std::pair("gemma3", "models/tiny/gemma3.gguf"),
                                         std::pair("mistral3", "models/tiny2/mistral3.gguf"),
                                         std::pair("qwen25vl", "models/tiny2/qwen2vl.gguf")),
                         [](const auto& test) { return std::string(test.param.first); });

INSTANTIATE_TEST_SUITE_P(Files, OfOllama, testing::ValuesIn(kRenamed), [](const auto& test) {
  const std::string model = test.param.model;
  std::string name = model.substr(model.rfind('/') + 1);
  name.resize(name.find('.'));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace hearth::test
