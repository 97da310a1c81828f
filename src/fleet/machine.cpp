#include "fleet/machine.h"

#include "base/host_owner.h"
#include "driver/probe.h"
#include "fleet/gpus.h"

namespace hearth::fleet {

placement::DeviceState host_state() {
  const AvailableMemory memory = HostOwner::of_process()->memory().available();
  return {.name = "CPU", .host = true, .total = memory.bytes, .free = memory.bytes, .granularity = 4096};
}

Result<std::vector<placement::DeviceState>> this_machine(const cuda::CompileProgress& compiling) {
  std::vector<placement::DeviceState> states;
  for (const engine::DeviceFactory& open : find_gpus(compiling).gpus) {
    ASSIGN_OR_RETURN(const std::unique_ptr<device::Device> gpu, open());
    states.push_back(engine::state_of(*gpu));
  }
  add_processes(states);
  states.push_back(host_state());
  return states;
}

void add_processes(std::vector<placement::DeviceState>& states) {
  const driver::Probe found = driver::probe({.open_contexts = false});
  for (const driver::Gpu& gpu : found.gpus) {
    for (placement::DeviceState& state : states) {
      if (state.host || gpu.ordinal < 0 || state.ordinal != gpu.ordinal) continue;
      for (const driver::GpuProcess& process : gpu.state.processes)
        state.others.push_back({process.pid, process.name, process.bytes.value_or(0)});
    }
  }
}

}  // namespace hearth::fleet
