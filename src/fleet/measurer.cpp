#include "fleet/measurer.h"

#include <algorithm>

#include "fleet/model_options.h"
#include "gguf/quantization_recipe.h"
#include "models/measure.h"

namespace hearth::fleet {

const std::vector<std::string>& offered_recipes() {
  static const std::vector<std::string> recipes = {"Q8_0",   "Q6_K",   "Q5_K_M", "Q4_K_M",
                                                   "Q4_K_S", "IQ4_XS", "Q3_K_M", "Q2_K"};
  return recipes;
}

Result<std::vector<placement::ModelSizes>> Measurer::measure(const placement::ServingOptions& serving) const {
  std::optional<gguf::QuantizationRecipe> recipe;
  if (!serving.recipe.empty()) {
    ASSIGN_OR_RETURN(recipe, gguf::find_recipe(serving.recipe));
  }
  const gguf::QuantizationRecipe* chosen = recipe ? &*recipe : nullptr;
  models::LoadOptions load = load_;
  load.context = serving.context;
  load.cache = cache_type(serving.kv_type);
  load.logit_rows = std::max(load.logit_rows, serving.parallel);
  load.sequences = std::max(load.sequences, serving.parallel);
  ASSIGN_OR_RETURN(load.pages, pages_for(serving.parallel, serving.context));
  ASSIGN_OR_RETURN(const models::LoadPlan load_plan, models::plan_load(*file_, load, chosen));
  std::vector<placement::ModelSizes> sizes;
  if (gpus_ > 0) {
    ASSIGN_OR_RETURN(const placement::ModelSizes gpu, models::measure(*file_, load_plan, cuda_, chosen));
    sizes.assign(gpus_, gpu);
  }
  ASSIGN_OR_RETURN(sizes.emplace_back(), models::measure(*file_, load_plan, host_, chosen));
  return sizes;
}

placement::Measure Measurer::function() const {
  return [this](const placement::ServingOptions& serving) {
    Result<std::vector<placement::ModelSizes>> sizes = measure(serving);
    if (sizes.ok()) return std::move(*sizes);
    placement::ModelSizes impossible;
    impossible.layers.resize(1);
    impossible.output = uint64_t{1} << 60;
    return std::vector<placement::ModelSizes>(gpus_ + 1, impossible);
  };
}

}  // namespace hearth::fleet
