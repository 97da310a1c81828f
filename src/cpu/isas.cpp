// Which instruction sets this machine has.
#include <string>

#include "cpu/cpu_device.h"
#include "cpu/kernel_table.h"

namespace hearth::cpu {

KernelTable::~KernelTable() = default;

std::vector<std::string> supported_isas() {
  std::vector<std::string> isas;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
                    __builtin_cpu_supports("bmi2");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
    isas.push_back("avx512");
  if (avx2) isas.push_back("avx2");
#endif
  isas.push_back("generic");
  return isas;
}

}  // namespace hearth::cpu
