#include "sim/cuda/entry.h"

#include <cstdio>
#include <cstdlib>

#include "sim/cuda/state.h"
#include "sim/machine/forever.h"

namespace hearth::sim::cuda {
namespace {

bool works_before_init(Function function) {
  switch (function) {
    case Function::cuInit:
    case Function::cuDriverGetVersion:
    case Function::cuGetErrorName:
    case Function::cuGetErrorString:
    case Function::cuGetProcAddress:
    case Function::cuGetExportTable:
      return true;
    default:
      return false;
  }
}

bool names(const std::string& text, const FunctionFacts& facts) {
  return text == facts.name || text == facts.symbol;
}

// What the script says of this call, the n-th of its function.
CUresult scripted(const Driver& driver, const FunctionFacts& facts, std::int64_t n) {
  for (const FailFault& fault : driver.machine.faults().fail) {
    if (names(fault.function, facts) && fault.range.contains(n)) return static_cast<CUresult>(fault.code);
  }
  return CUDA_SUCCESS;
}

// A context breaks when the moment of the script's sticky fault has come, whatever call comes next.
void raise_scripted(Driver& driver) {
  for (const StickyFault& fault : driver.machine.faults().sticky) {
    if (driver.raised.contains(&fault) || !driver.machine.due(fault)) continue;
    driver.contexts.for_each([&](CUcontext, const std::shared_ptr<Context>& context) {
      if (driver.on_machine(context->device) != fault.device) return;
      driver.raised.insert(&fault);
      driver.raise(*context, static_cast<CUresult>(fault.code), "by the fault script");
    });
  }
}

}  // namespace

std::mutex& driver_mutex() {
  static std::mutex& mutex = forever(new std::mutex);
  return mutex;
}

void trace_call(const char* name, CUresult result) {
  static std::FILE* const file = [] {
    const char* path = std::getenv("HEARTH_SIM_TRACE");
    return path != nullptr && *path != '\0' ? std::fopen(path, "a") : nullptr;
  }();
  if (file == nullptr) return;
  std::fprintf(file, "%s %d\n", name, static_cast<int>(result));
  std::fflush(file);
}

CUresult before_call(Function function) {
  Driver& driver = Driver::instance();
  if (driver.machine.faults().stub) return CUDA_ERROR_STUB_LIBRARY;
  const FunctionFacts& facts = facts_of(function);
  const std::int64_t n = ++driver.calls[static_cast<std::size_t>(function)];
  driver.machine.note_call(facts.name, facts.symbol, n);
  raise_scripted(driver);
  const CUresult result = scripted(driver, facts, n);
  if (result != CUDA_SUCCESS) return result;
  return driver.initialised || works_before_init(function) ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

}  // namespace hearth::sim::cuda
