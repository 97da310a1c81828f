// Any GGUF file as a model that is loaded and computes: whatever its metadata and weights are, a forward pass gives
// finite logits or an error that says why not.
#include <cstdlib>

#include "base/finite.h"
#include "cpu/cpu_device.h"
#include "fuzz/model_seed.h"
#include "fuzz/seeds.h"
#include "models/architecture.h"
#include "models/model.h"

using namespace hearth;

namespace {

constexpr uint32_t kPrompt = 5;  // tokens

void require(bool condition) {
  if (!condition) std::abort();
}

models::LoadOptions options(bool copy, device::CacheType cache) {
  models::LoadOptions options;
  options.context = 2 * kPrompt;
  options.batch_rows = options.logit_rows = 2 * kPrompt;
  options.pages = 2;
  options.cache = cache;
  options.copy_weights = copy;
  return options;
}

// Two sequences, first a prompt each, then one token each.
void compute(models::Model& model) {
  const uint32_t vocabulary = model.spec().vocabulary;
  std::vector<int32_t> tokens(2 * kPrompt);
  for (uint32_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i % vocabulary);
  const std::vector<int32_t> pages[2] = {{1}, {0}};
  for (const auto& [rows, position] : {std::pair(kPrompt, 0u), {1u, kPrompt}}) {
    device::Batch batch;
    batch.tokens = std::span(tokens).first(2 * rows);
    batch.sequences = {{0, rows, position, pages[0]}, {rows, rows, position, pages[1]}};
    batch.logit_rows = {rows - 1, 2 * rows - 1};
    std::vector<float> logits(size_t{2} * vocabulary);
    if (const Status status = model.forward(batch, logits); !status) return require(!status.error().message.empty());
    if (all_finite(logits)) continue;
    require(!model.diagnose(batch).message.empty());
    return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  std::vector<std::string> seeds;
  for (const models::Architecture* architecture : models::RegisterArchitecture::all()) {
    constexpr uint32_t kQ8_0 = 8;
    for (const uint32_t type : {0u, kQ8_0}) seeds.push_back(fuzz::ModelSeed(architecture->name, type).bytes());
  }
  for (const fuzz::ModelSeed& seed : fuzz::whole_models()) seeds.push_back(seed.bytes());
  hearth::fuzz::use_seeds(seeds, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto device = std::move(*cpu::create_device({.threads = 1, .isa = ""}));
  const auto file = gguf::File::parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file) return 0;
  using device::CacheType;
  for (const auto& [copy, cache] : {std::pair(false, CacheType::kF16), {true, CacheType::kF32}}) {
    const auto model = models::Model::load(*file, *device, options(copy, cache));
    if (model)
      compute(**model);
    else
      require(!model.error().message.empty());
  }
  return 0;
}
