#include "serve/inference_compute.h"

#include "base/log.h"
#include "base/text.h"
#include "fleet/machine.h"

namespace hearth::serve {

void log_inference_compute(fleet::GpuPolicy policy) {
  const auto on_cpu = [](const std::string& why) {
    const placement::DeviceState host = fleet::host_state();
    log_info("inference compute id=cpu library=cpu name=CPU available=\"{}\" reason=\"{}\"", size_text(host.free), why);
  };
  if (policy == fleet::GpuPolicy::kOff) return on_cpu("--gpu off");
  const fleet::GpuSearch search = fleet::find_gpus();
  size_t usable = 0;
  std::string why = text_of(search.problem);
  for (const engine::DeviceFactory& open : search.gpus) {
    const auto gpu = open();
    if (!gpu) {
      why = gpu.error().message;
      continue;
    }
    ++usable;
    const placement::DeviceState state = engine::state_of(**gpu);
    log_info("inference compute id={} library=CUDA name=\"{}\" total=\"{}\" available=\"{}\"", state.id,
             state.name, size_text(state.total), size_text(state.free));
  }
  if (usable == 0) on_cpu(why);
}

}  // namespace hearth::serve
