// Any GGUF file as a model: its metadata is read by its architecture, its tokenizer is loaded, its chat template
// recognised; a model that is accepted has dimensions that a forward pass may trust.
#include <cstdlib>

#include "chat/chat_model.h"
#include "fuzz/model_seed.h"
#include "fuzz/seeds.h"
#include "models/architecture.h"
#include "models/measure.h"
#include "text/tokenizer.h"

using namespace hearth;

namespace {

using fuzz::ModelSeed;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const models::LoadPlan& load_plan) {
  const models::Spec& spec = load_plan.spec;
  require(spec.per_layer.size() == spec.layers && load_plan.weights.layers.size() == spec.layers);
  require(spec.heads == 0 || (spec.heads % spec.kv_heads == 0 && spec.key_dim > 0 && spec.value_dim > 0));
  require(spec.vocabulary > 0);
  require(spec.experts_used <= spec.experts);
  for (const models::LayerSpec& layer : spec.per_layer)
    require(spec.ropes.empty() || layer.rope == models::kNo_rope || layer.rope < spec.ropes.size());
  for (const device::Rope& rope : spec.ropes)
    require(rope.first + rope.dims <= spec.key_dim && rope.inverse_frequency.size() * 2 == rope.dims);
}

bool is_model(const std::string& bytes) {
  const auto file = gguf::File::parse(std::as_bytes(std::span(bytes)), "seed");
  return file && models::plan_load(**file, {}).ok();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  std::vector<std::string> seeds;
  for (const models::Architecture* architecture : models::RegisterArchitecture::all()) {
    ModelSeed plain(architecture->name), scaled(architecture->name), experts(architecture->name),
        states(architecture->name);
    scaled.set("rope.scaling.type", "yarn");
    scaled.set("rope.scaling.original_context_length", 32);
    scaled.add("rope_freqs.weight", {4});
    experts.set("expert_count", 2);
    experts.set("expert_used_count", 1);
    for (const char* key : {"ssm.conv_kernel", "shortconv.l_cache"}) states.set(key, 3);
    for (const auto& [key, value] : {std::pair("ssm.inner_size", 32u),
                                     {"ssm.state_size", 8u},
                                     {"ssm.group_count", 2u},
                                     {"ssm.time_step_rank", 4u},
                                     {"attention.kv_lora_rank", 16u},
                                     {"rope.dimension_count", 4u}})
      states.set(key, value);
    for (const ModelSeed* seed : {&plain, &scaled, &experts, &states}) seeds.push_back(seed->bytes());
    // Some lack tensors of their own; what they have is enough to begin with.
  }
  for (const ModelSeed& seed : fuzz::whole_models()) {
    seeds.push_back(seed.bytes());
    require(is_model(seeds.back()));
  }
  hearth::fuzz::use_seeds(seeds, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = gguf::File::parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file) return 0;
  const auto load_plan = models::plan_load(**file, {});
  require(load_plan.ok() || !load_plan.error().message.empty());
  if (load_plan) check(*load_plan);
  if (auto tokenizer = text::Tokenizer::load(**file)) {
    for (const text::Token token :
         (*tokenizer)->encode("Hello <s> \xC3\xA9\n12", {.add_special = true, .parse_special = true}))
      require(token >= 0 && static_cast<size_t>(token) < (*tokenizer)->size());
    chat::ChatFacts facts = chat::read_facts(**file, **tokenizer, {});
    const chat::ChatModel chat(std::move(facts), std::move(*tokenizer));
    const chat::Message message{.role = "user", .content = "hi"};
    const auto prompt = chat.prompt({.messages = {&message, 1}});
    require(prompt.ok() || !prompt.error().message.empty());
    if (prompt) chat.encode(prompt->rendered);
  }
  return 0;
}
