#include "fleet/plan_model.h"

#include <algorithm>

#include "cpu/cpu_device.h"
#include "fleet/model_options.h"
#include "models/measure.h"

namespace hearth::fleet {

Result<PlannedModel> plan_model(const std::shared_ptr<const gguf::File>& file,
                                const std::vector<placement::DeviceState>& devices, placement::ServingOptions serving) {
  ASSIGN_OR_RETURN(auto host, cpu::create_device({}));
  const Measurer measurer(file, devices.size() - 1, *host, answer_load_options(serving.parallel));
  ASSIGN_OR_RETURN(const models::LoadPlan load_plan, models::plan_load(*file, {}));
  serving.context = std::min(serving.context, load_plan.spec.context);
  ASSIGN_OR_RETURN(const std::vector<placement::ModelSizes> sizes, measurer.measure(serving));
  PlannedModel planned{serving, placement::plan(sizes, devices, serving.plan), {}, {}};
  if (planned.plan.whole() || devices.size() == 1) return planned;
  planned.offers = placement::offers(measurer.function(), devices, serving, offered_recipes());
  planned.missing = placement::shortfall(sizes, devices, serving.plan);
  return planned;
}

}  // namespace hearth::fleet
