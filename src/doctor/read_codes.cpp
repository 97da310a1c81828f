// Codes of the CUDA driver: those that calls answered, and those that logs print as numbers, names or texts.
#include <algorithm>

#include "doctor/read_facts.h"
#include "driver/errors.h"

namespace hearth::doctor {
namespace {

struct Text {
  const char* text;
  int code;
};
// What the runtime prints in place of the number (cudaGetErrorString()).
constexpr Text kTexts[] = {
    {"out of memory", 2},
    {"initialization error", 3},
    {"CUDA driver is a stub library", 34},
    {"CUDA driver version is insufficient for CUDA runtime version", 35},
    {"CUDA-capable device(s) is/are busy or unavailable", 46},
    {"no CUDA-capable device is detected", 100},
    {"invalid device ordinal", 101},
    {"no kernel image is available for execution on the device", 209},
    {"uncorrectable ECC error encountered", 214},
    {"a PTX JIT compilation failed", 218},
    {"PTX JIT compiler library not found", 221},
    {"the provided PTX was compiled with an unsupported toolchain", 222},
    {"PTX JIT compilation was disabled", 223},
    {"OS call failed or operation not supported on this OS", 304},
    {"an illegal memory access was encountered", 700},
    {"unspecified launch failure", 719},
    {"operation not permitted", 800},
    {"operation not supported", 801},
    {"system not yet initialized", 802},
    {"system has unsupported display driver / cuda driver combination", 803},
    {"forward compatibility was attempted on non supported HW", 804},
    {"unknown error", 999},
};

int code_of_text(const std::string& text) {
  for (const Text& entry : kTexts)
    if (text.find(entry.text) != std::string::npos) return entry.code;
  return 0;
}

// Patterns whose line is about starting to use the GPU: void if a GPU was used afterwards.
constexpr const char* kAtStart[] = {"L3", "L5.unknown", "L17", "code.runtime", "code", "code.name", "code.text"};

bool overtaken(const LogFacts& log, const std::string& pattern, const Hit& hit) {
  if (std::ranges::find(kAtStart, pattern) == std::end(kAtStart)) return false;
  for (const char* later : {"compute.gpu", "L11"}) {
    const Hit* found = log.last(later);
    if (found == nullptr || found->number <= hit.number) continue;
    if (std::string_view(later) == "compute.gpu" || found->groups[0] != "0") return true;
  }
  return false;
}

int code_in(const std::string& pattern, const Hit& hit) {
  if (pattern == "L3") return static_cast<int>(to_number(hit.groups[1]).value_or(0));
  if (pattern == "L4" || pattern == "L33" || pattern == "code")
    return static_cast<int>(to_number(hit.groups[0]).value_or(0));
  if (pattern == "L5.unknown") return 999;
  if (pattern == "L20") return 2;
  if (pattern == "L21") return 209;
  if (pattern == "code.name") return driver::code_of_name(hit.groups[0]).value_or(0);
  if (pattern == "L17" || pattern == "code.text") return code_of_text(hit.groups[0]);
  if (pattern == "code.runtime") return code_of_text(hit.line);
  return 0;
}

void add_log_codes(Facts& facts) {
  for (const char* pattern :
       {"L3", "L4", "L5.unknown", "L17", "L20", "L21", "L33", "code", "code.name", "code.text", "code.runtime"}) {
    const Hit* hit = facts.log.last(pattern);
    if (hit == nullptr || overtaken(facts.log, pattern, *hit)) continue;
    const int code = code_in(pattern, *hit);
    if (code != 0) facts.codes.try_emplace(code, Evidence{hit->line, "log line " + std::to_string(hit->number)});
  }
}

void add_chain(const CudaChain& chain, Facts& facts) {
  if (chain.code == 0) return;
  const std::string name = driver::describe(static_cast<CUresult>(chain.code)).name;
  facts.codes.try_emplace(
      chain.code,
      Evidence{chain.failed_step + " answered " + std::to_string(chain.code) + " (" + name + ")", "CUDA driver"});
}

}  // namespace

void read_codes(Facts& facts) {
  add_chain(facts.cuda, facts);
  add_log_codes(facts);
}

}  // namespace hearth::doctor
