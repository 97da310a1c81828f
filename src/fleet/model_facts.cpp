#include "fleet/model_facts.h"

#include "gguf/quantization_recipe.h"
#include "models/architecture.h"
#include "quant/bits_per_weight.h"

namespace hearth::fleet {
ModelFacts facts_of(const gguf::File& file) {
  ModelFacts facts{.title = std::string(file.string_or("general.name", "")),
                   .architecture = std::string(file.string_or("general.architecture", "(not given)")),
                   .recipe = std::string(gguf::recipe_of_file_type(file.u64_or("general.file_type", UINT64_MAX))),
                   .spec = models::read_spec(file)};
  for (const gguf::Tensor& tensor : file.tensors()) {
    facts.parameters += tensor.values();
    facts.weight_bytes += tensor.bytes;
  }
  if (facts.parameters > 0) facts.bits_per_weight = quant::bits_per_weight(facts.weight_bytes, facts.parameters);
  return facts;
}

}  // namespace hearth::fleet
