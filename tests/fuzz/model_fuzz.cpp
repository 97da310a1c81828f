// Any GGUF file as a model: its metadata is read by its architecture, its tokenizer is loaded, its chat template
// recognised; a model that is accepted has dimensions that a forward pass may trust.
#include <cstdlib>

#include "fuzz/seeds.h"
#include "gguf/draft.h"
#include "models/architecture.h"
#include "models/measure.h"
#include "text/chat.h"
#include "text/tokenizer.h"

using namespace hearth;

namespace {

using gguf::test::Draft;
using gguf::test::string_value;

void require(bool condition) {
  if (!condition) std::abort();
}

class Seed {
 public:
  explicit Seed(const std::string& architecture) : prefix_(architecture + ".") {
    draft_.metadata = {{"general.architecture", string_value(architecture)}};
    draft_.tensors.clear();
    for (const auto& [key, value] : {std::pair("context_length", 64u),
                                     {"block_count", 1u},
                                     {"embedding_length", 32u},
                                     {"feed_forward_length", 16u},
                                     {"attention.head_count", 4u},
                                     {"attention.head_count_kv", 2u},
                                     {"attention.sliding_window", 16u}})
      set(key, value);
    for (const char* key : {"attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"})
      draft_.metadata.push_back({prefix_ + key, gguf::test::value_of<float>(6, 1e-5f)});
    draft_.metadata.push_back({"tokenizer.chat_template", string_value("{{'<|im_start|>' + message.role}}")});
    add_tensors();
  }
  void set(const std::string& key, uint32_t value) {
    draft_.metadata.push_back({prefix_ + key, gguf::test::value_of<uint32_t>(4, value)});
  }
  void set(const std::string& key, const std::string& value) {
    draft_.metadata.push_back({prefix_ + key, string_value(value)});
  }
  void add(const std::string& name, std::vector<uint64_t> shape) {
    uint64_t bytes = 4;
    for (const uint64_t n : shape) bytes *= n;
    draft_.tensors.push_back({name, std::move(shape), 0, offset_, bytes});
    offset_ += (bytes + 31) / 32 * 32;
  }
  std::string bytes() const { return draft_.bytes(); }

 private:
  void add_tensors() {
    add("token_embd.weight", {32, 3});
    add("output_norm.weight", {32});
    for (const char* norm : {"attn_norm", "ffn_norm"}) add(std::string("blk.0.") + norm + ".weight", {32});
    for (const auto& [part, rows] : {std::pair("attn_q", 32),
                                     {"attn_k", 16},
                                     {"attn_v", 16},
                                     {"attn_output", 32},
                                     {"ffn_gate", 16},
                                     {"ffn_up", 16}})
      add(std::string("blk.0.") + part + ".weight", {32, static_cast<uint64_t>(rows)});
    add("blk.0.ffn_down.weight", {16, 32});
  }

  std::string prefix_;
  Draft draft_;
  uint64_t offset_ = 0;
};

void check(const models::Outline& outline) {
  const models::Spec& spec = outline.spec;
  require(spec.per_layer.size() == spec.layers && outline.weights.layers.size() == spec.layers);
  require(spec.heads % spec.kv_heads == 0 && spec.key_dim > 0 && spec.value_dim > 0 && spec.vocabulary > 0);
  require(spec.experts_used <= spec.experts);
  for (const models::LayerSpec& layer : spec.per_layer) require(spec.ropes.empty() || layer.rope < spec.ropes.size());
  for (const device::Rope& rope : spec.ropes)
    require(rope.dims <= spec.key_dim && rope.inverse_frequency.size() * 2 == rope.dims);
}

bool is_model(const std::string& bytes) {
  const auto file = gguf::File::parse(std::as_bytes(std::span(bytes)), "seed");
  return file && models::outline(**file, {}).ok();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  std::vector<std::string> seeds;
  for (const models::Architecture* architecture : models::RegisterArchitecture::all()) {
    Seed plain(architecture->name), scaled(architecture->name), experts(architecture->name);
    scaled.set("rope.scaling.type", "yarn");
    scaled.set("rope.scaling.original_context_length", 32);
    scaled.add("rope_freqs.weight", {4});
    experts.set("expert_count", 2);
    experts.set("expert_used_count", 1);
    for (const Seed* seed : {&plain, &scaled, &experts}) seeds.push_back(seed->bytes());
    // The others lack tensors of their own; what they have is enough to begin with.
    if (architecture->name == std::string_view("llama")) require(is_model(seeds[seeds.size() - 3]));
  }
  hearth::fuzz::use_seeds(seeds, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = gguf::File::parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file) return 0;
  const auto outline = models::outline(**file, {});
  require(outline.ok() || !outline.error().message.empty());
  if (outline) check(*outline);
  if (const auto tokenizer = text::Tokenizer::load(**file)) {
    for (const text::Token token :
         (*tokenizer)->encode("Hello <s> \xC3\xA9\n12", {.add_special = true, .parse_special = true}))
      require(token >= 0 && static_cast<size_t>(token) < (*tokenizer)->size());
  }
  if (const text::ChatTemplate* chat = text::find_chat_template(**file)) {
    const text::Message message{"user", "hi"};
    require(!chat->render({&message, 1}).empty());
  }
  return 0;
}
