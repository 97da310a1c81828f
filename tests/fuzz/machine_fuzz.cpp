// Any text as a profile of a simulated machine, and as a fault script: read or refused with a reason.
#include <cstdlib>

#include "fuzz/seeds.h"
#include "sim/machine/faults.h"
#include "sim/machine/profile.h"

using namespace hearth;

namespace {

void require_reason(const auto& result) {
  if (!result && result.error().message.empty()) std::abort();
}

void check(const sim::Profile& profile) {
  for (const sim::OtherProcess& process : profile.processes) {
    if (process.device < 0 || static_cast<size_t>(process.device) >= profile.devices.size()) std::abort();
  }
  for (const sim::DeviceProfile& device : profile.devices) {
    if (device.reserved_bytes > device.memory_bytes || device.context_bytes > device.cuda_total()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  fuzz::use_seeds(
      {R"({"description":"d","driver":"570.86.16","devices":[{"name":"NVIDIA T4","compute_capability":"7.5","memory_mib":15360}]})",
       R"({"driver":"525.60.13","devices":[{"name":"a","compute_capability":"8.6","memory_mib":6144,"reserved_mib":300,)"
       R"("context_mib":200,"ecc":true,"sensors":{"temperature_c":-1}}],"processes":[{"name":"chrome","pid":7,"mib":856,)"
       R"("graphics":true,"from":{"second":3},"until":{"launch":40}}]})",
       "oom at=3+; fail call=cuInit error=304; sticky launch=7 error=700",
       "lost second=1.5 until-second=3; no-reset; stub",
       "take mib=30 file=/tmp/chrome name=x until-call=cuInit#2; slow-copy mib-per-s=10; slow-compile seconds=0.5; missing call=cuInit",
       R"([{"fault":"oom","at":3},{"fault":"lost","launch":20}])"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto profile = sim::parse_profile(text, "fuzz");
  require_reason(profile);
  if (profile) check(*profile);
  require_reason(sim::parse_faults(text));
  return 0;
}
