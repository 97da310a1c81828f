// Which instruction sets this machine has.
#include <string>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "cpu/cpu_device.h"
#include "cpu/kernel_table.h"

namespace hearth::cpu {

#if defined(__x86_64__)
namespace {

// clang 14's __builtin_cpu_supports does not know "f16c".
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

}  // namespace
#endif

KernelTable::~KernelTable() = default;

std::vector<std::string> supported_isas() {
  std::vector<std::string> isas;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") && has_f16c();
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
    isas.push_back("avx512");
  if (avx2) isas.push_back("avx2");
#endif
  isas.push_back("generic");
  return isas;
}

}  // namespace hearth::cpu
