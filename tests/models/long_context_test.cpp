// Contexts beyond chunks and windows. Llama 4, of which most is in no key, against a forward pass written here, in
// double and over the whole text at once; families with windows against the reference device.
#include <cmath>

#include "models/runner.h"
#include "models/small_model.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

constexpr uint32_t kWidth = SmallModel::kWidth, kInner = SmallModel::kInner, kLayers = 4, kHead = 8,
                   kVocabulary = SmallModel::kVocabulary, kLlama4_growth = 8192;
constexpr double kEpsilon = 1e-5f, kBase = 10000;

using Rows = std::vector<std::vector<float>>;

// One head, so that texts of thousands of tokens take seconds; the fourth layer sees all of them.
SmallModel llama4(uint32_t chunk, uint32_t context) {
  SmallModel model("llama4");
  model.set("block_count", kLayers);
  model.set("context_length", context);
  model.set("attention.head_count", 1u);
  model.set("attention.head_count_kv", 1u);
  model.set("attention.key_length", kHead);
  model.set("attention.value_length", kHead);
  model.set("attention.chunk_size", chunk);
  for (uint32_t i = 0; i < kLayers; ++i) {
    const std::string block = SmallModel::block(i);
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_output"})
      if (i < SmallModel::kLayers) model.remove(block + part + ".weight");
    for (const char* part : {"attn_q", "attn_k", "attn_v"}) model.add(block + part + ".weight", {kWidth, kHead});
    model.add(block + "attn_output.weight", {kHead, kWidth});
    if (i < SmallModel::kLayers) continue;
    for (const char* norm : {"attn_norm", "ffn_norm"}) model.add(block + norm + ".weight", {kWidth});
    for (const char* part : {"ffn_gate", "ffn_up"}) model.add(block + part + ".weight", {kWidth, kInner});
    model.add(block + "ffn_down.weight", {kInner, kWidth});
  }
  return model;
}

class Plain {
 public:
  Plain(SmallModel& model, uint32_t chunk) : model_(model), chunk_(chunk) {}

  // Logits of the last `count` rows.
  std::vector<float> logits(const std::vector<int32_t>& tokens, size_t count) {
    const std::vector<float>& table = model_.tensor("token_embd.weight").values;
    Rows x;
    for (const int32_t token : tokens) {
      const auto row = table.begin() + ptrdiff_t{token} * kWidth;
      x.emplace_back(row, row + kWidth);
    }
    for (uint32_t layer = 0; layer < kLayers; ++layer) run(layer, x);
    std::vector<float> all;
    for (size_t i = x.size() - count; i < x.size(); ++i) {
      const std::vector<float> row = product("output.weight", norm(x[i], "output_norm.weight"));
      all.insert(all.end(), row.begin(), row.end());
    }
    return all;
  }

 private:
  void run(uint32_t layer, Rows& x) {
    const std::string block = SmallModel::block(layer);
    const bool sees_all = layer % 4 == 3;
    Rows q, k, v;
    for (size_t p = 0; p < x.size(); ++p) {
      const std::vector<float> in = norm(x[p], block + "attn_norm.weight");
      q.push_back(product(block + "attn_q.weight", in));
      k.push_back(product(block + "attn_k.weight", in));
      v.push_back(product(block + "attn_v.weight", in));
      if (sees_all)
        for (float& value : q.back())
          value *=
              static_cast<float>(1 + 0.1 * std::log(std::floor((static_cast<double>(p) + 1) / kLlama4_growth) + 1));
      else
        for (std::vector<float>* row : {&q.back(), &k.back()}) rotate(*row, p), *row = norm(*row, "");
    }
    for (size_t p = 0; p < x.size(); ++p) {
      const size_t first = sees_all ? 0 : p / chunk_ * chunk_;
      add(x[p], product(block + "attn_output.weight", attend(q[p], k, v, first, p)));
      const std::vector<float> in = norm(x[p], block + "ffn_norm.weight");
      std::vector<float> gate = product(block + "ffn_gate.weight", in), up = product(block + "ffn_up.weight", in);
      for (size_t i = 0; i < gate.size(); ++i) up[i] *= gate[i] / (1 + std::exp(-gate[i]));
      add(x[p], product(block + "ffn_down.weight", up));
    }
  }

  static std::vector<float> attend(const std::vector<float>& q, const Rows& k, const Rows& v, size_t first,
                                   size_t last) {
    std::vector<float> scores;
    float highest = -INFINITY;
    for (size_t p = first; p <= last; ++p) {
      float score = 0;
      for (uint32_t i = 0; i < kHead; ++i) score += q[i] * k[p][i];
      scores.push_back(score / std::sqrt(float{kHead}));
      highest = std::max(highest, scores.back());
    }
    double total = 0, sums[kHead] = {};
    for (size_t p = first; p <= last; ++p) {
      const double weight = std::exp(scores[p - first] - highest);
      total += weight;
      for (uint32_t i = 0; i < kHead; ++i) sums[i] += weight * v[p][i];
    }
    std::vector<float> out;
    for (const double sum : sums) out.push_back(static_cast<float>(sum / total));
    return out;
  }

  static void rotate(std::vector<float>& row, size_t position) {
    for (uint32_t i = 0; i < kHead; i += 2) {
      const double angle = static_cast<double>(position) * std::pow(kBase, -static_cast<double>(i) / kHead);
      const double a = row[i], b = row[i + 1];
      row[i] = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
      row[i + 1] = static_cast<float>(a * std::sin(angle) + b * std::cos(angle));
    }
  }

  // Without a name without weights.
  std::vector<float> norm(std::vector<float> row, const std::string& name) {
    double squares = 0;
    for (const float x : row) squares += double{x} * x;
    const double scale = 1 / std::sqrt(squares / static_cast<double>(row.size()) + kEpsilon);
    const float* weight = name.empty() ? nullptr : model_.tensor(name).values.data();
    for (size_t i = 0; i < row.size(); ++i)
      row[i] = static_cast<float>(row[i] * scale * (weight != nullptr ? weight[i] : 1));
    return row;
  }

  std::vector<float> product(const std::string& name, const std::vector<float>& in) {
    const SmallTensor& tensor = model_.tensor(name);
    std::vector<float> out(tensor.shape[1]);
    for (size_t r = 0; r < out.size(); ++r)
      for (size_t c = 0; c < in.size(); ++c) out[r] += tensor.values[r * in.size() + c] * in[c];
    return out;
  }

  static void add(std::vector<float>& to, const std::vector<float>& from) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  }

  SmallModel& model_;
  const uint32_t chunk_;
};

void compare_llama4(uint32_t chunk, uint32_t count, uint32_t rows_of_step) {
  SmallModel small = llama4(chunk, count);
  std::vector<int32_t> tokens(count);
  std::mt19937 random(static_cast<uint32_t>(seed()));
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % kVocabulary);
  const auto device = std::move(*cpu::create_device({.threads = 2}));
  auto model =
      models::Model::load(small.open(), *device,
                          {.context = count, .batch_rows = 512, .logit_rows = 512, .cache = device::CacheType::kF32});
  ASSERT_TRUE(model.ok()) << model.error().message;
  const std::vector<float> all = run_in_chunks(**model, tokens, {rows_of_step, 1, rows_of_step});
  const size_t compared = std::min<size_t>(count, 300);
  const std::vector<float> expected = Plain(small, chunk).logits(tokens, compared);
  EXPECT_LE(relative_error(std::span(all).last(expected.size()), expected), 1e-4);
}

TEST(LongContext, ChunksOfLlama4) {
  compare_llama4(64, 300, 37);
}

// As trained: beyond 8,192 tokens chunks begin anew, and queries of the layers that see all have grown.
TEST(LongContext, ChunksAndGrownQueriesOfLlama4AsTrained) {
  compare_llama4(8192, 8192 + 96, 512);
}

// Windows of 16 tokens, over many pages.
class Windows : public testing::TestWithParam<const char*> {};

TEST_P(Windows, OfTextsOfHundredsOfTokens) {
  const std::string path = std::string("models/") + GetParam() + ".gguf";
  REQUIRE_SHARED(path);
  const auto file = *gguf::File::open(shared(path).string());
  std::vector<int32_t> tokens(260);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(3 + i * i * 7 % 400);
  const auto run = [&](device::Device& device, std::vector<uint32_t> chunks) {
    auto model = models::Model::load(
        file, device, {.context = 512, .batch_rows = 512, .logit_rows = 512, .cache = device::CacheType::kF32});
    EXPECT_TRUE(model.ok()) << model.error().message;
    return run_in_chunks(**model, tokens, std::move(chunks));
  };
  ReferenceDevice reference;
  const std::vector<float> expected = run(reference, {260});
  const auto host = std::move(*cpu::create_device({.threads = 2}));
  EXPECT_LE(relative_error(run(*host, {70, 1, 33, 5, 64}), expected), 2e-3);
}

INSTANTIATE_TEST_SUITE_P(Models, Windows,
                         testing::Values("tiny/gemma2", "tiny/gemma3", "tiny2/gemma3n", "tiny2/gemma4", "tiny2/gpt-oss",
                                         "tiny2/cohere2", "tiny2/olmo3"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, '-', '_');
                           return name.substr(name.find('/') + 1);
                         });

}  // namespace
}  // namespace hearth::test
