// The process's driver state and its contexts' life.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "sim/cuda/counts.h"
#include "sim/cuda/entry.h"
#include "sim/cuda/graph.h"
#include "sim/cuda/module.h"
#include "sim/cuda/state.h"
#include "sim/machine/forever.h"
#include "sim/machine/say.h"

namespace hearth::sim::cuda {
namespace {

// Trivial, so that a thread's end needs nothing of this library.
struct ContextStack {
  static constexpr int kDepth = 32;
  CUcontext contexts[kDepth];
  int size;
};
thread_local ContextStack stack{};

std::uint64_t choose_seed() {
  if (const char* text = std::getenv("HEARTH_SIM_SEED"); text != nullptr && *text != '\0') {
    return std::strtoull(text, nullptr, 10);
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  const std::uint64_t seed = static_cast<std::uint64_t>(now) / 1000 % 1'000'000;
  say(fmt::format("streams are ordered by HEARTH_SIM_SEED={}", seed));
  return seed;
}

template <class Table>
std::size_t owned(const Table& table, const Context& context) {
  std::size_t count = 0;
  table.for_each([&](auto, const auto& object) { count += object->context.lock().get() == &context ? 1 : 0; });
  return count;
}

void count_kind(std::vector<std::string>& kinds, std::size_t count, const char* kind, std::uint64_t bytes = 0) {
  if (count == 0) return;
  kinds.push_back(bytes == 0 ? fmt::format("{} {}", count, kind) : fmt::format("{} {} ({} bytes)", count, kind, bytes));
}

}  // namespace

std::uint64_t next_handle() {
  static std::uint64_t next = 0x7a0000000010;
  return next += 16;
}

Driver& Driver::instance() {
  static Driver& driver = forever(new Driver);
  return driver;
}

Driver::Driver()
    : machine(Machine::instance()),
      visible(visible_devices(machine.profile().devices, std::getenv("CUDA_VISIBLE_DEVICES"))),
      memory(static_cast<int>(devices().size())) {
  if (!devices().empty()) scheduler.set_seed(choose_seed());
}

std::uint64_t Driver::used_bytes(int device) const {
  std::uint64_t bytes = memory.used_bytes(device);
  contexts.for_each([&](CUcontext, const std::shared_ptr<Context>& context) {
    if (context->device == device) bytes += devices()[static_cast<std::size_t>(device)].context_bytes;
  });
  return bytes;
}

std::uint64_t Driver::free_bytes(int device) const {
  const std::uint64_t total = devices()[static_cast<std::size_t>(device)].cuda_total();
  const std::uint64_t taken = machine.foreign_bytes(on_machine(device)) + used_bytes(device);
  return taken >= total ? 0 : total - taken;
}

void Driver::publish_used(int device) {
  machine.set_own_bytes(on_machine(device), used_bytes(device));
}

CUresult Driver::create_context(int device, unsigned flags, bool primary_context, std::shared_ptr<Context>& context) {
  const DeviceProfile& profile = devices()[static_cast<std::size_t>(device)];
  if (const auto code = lost(device)) return static_cast<CUresult>(*code);
  if (profile.compute_mode == CU_COMPUTEMODE_PROHIBITED) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  if (profile.compute_mode == CU_COMPUTEMODE_EXCLUSIVE_PROCESS) {
    for (const RunningProcess& process : machine.running(on_machine(device))) {
      const bool own = process.pid == machine.own_pid();
      if (!process.graphics && !own) return CUDA_ERROR_DEVICE_UNAVAILABLE;
    }
  }
  if (free_bytes(device) < profile.context_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  context = std::make_shared<Context>();
  context->device = device;
  context->flags = flags;
  context->primary = primary_context;
  for (std::shared_ptr<Stream>* stream : {&context->legacy, &context->per_thread}) {
    *stream = std::make_shared<Stream>();
    (*stream)->context = context;
    (*stream)->weight = scheduler.new_weight();
  }
  context->legacy->legacy = true;
  context->handle = contexts.add(context);
  publish_used(device);
  return CUDA_SUCCESS;
}

void Driver::destroy_context(const std::shared_ptr<Context>& context) {
  scheduler.drop(*context);
  std::vector<std::string> kinds;
  const Memory::Holding held = memory.held_by(context.get());
  count_kind(kinds, held.device_count, "device allocations", held.device_bytes);
  count_kind(kinds, held.host_count, "pinned host allocations", held.host_bytes);
  count_kind(kinds, held.registered_count, "host registrations", held.registered_bytes);
  count_kind(kinds, owned(modules, *context), "modules");
  count_kind(kinds, owned(streams, *context), "streams");
  count_kind(kinds, owned(events, *context), "events");
  // A broken context cannot be tidied up by anybody: what is left then is no leak.
  if (context->sticky == CUDA_SUCCESS && !lost(context->device)) {
    report_leaks(fmt::format("context of device {}", context->device), kinds);
  }
  const auto is_ours = [&](const auto& object) { return object.context.lock() == context; };
  functions.remove_if([&](const LoadedFunction& function) { return is_ours(*function.module); });
  modules.for_each([&](CUmodule, const std::shared_ptr<LoadedModule>& module) {
    if (is_ours(*module)) free_variables(*module, context->device);
  });
  modules.remove_if(is_ours);
  streams.remove_if(is_ours);
  events.remove_if(is_ours);
  memory.free_all_of(context.get());
  context->destroyed = true;
  contexts.remove(context->handle);
  publish_used(context->device);
}

CUresult Driver::state_of(const Context& context) const {
  if (context.destroyed) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  if (const auto code = lost(context.device)) return static_cast<CUresult>(*code);
  return context.sticky;
}

void Driver::raise(Context& context, CUresult code, const std::string& reason) {
  if (context.sticky == CUDA_SUCCESS && !lost(context.device)) {
    context.sticky = code;
    if (!reason.empty()) {
      say(fmt::format("device {}: error {}: {}", context.device, static_cast<int>(code), reason));
    }
  }
  scheduler.drop(context);
}

std::vector<CUcontext> context_stack() {
  return {stack.contexts, stack.contexts + stack.size};
}

bool push_context(CUcontext context) {
  if (stack.size == ContextStack::kDepth) return false;
  stack.contexts[stack.size++] = context;
  return true;
}

std::optional<CUcontext> pop_context() {
  if (stack.size == 0) return std::nullopt;
  return stack.contexts[--stack.size];
}

void set_current_context(CUcontext context) {
  if (stack.size > 0) --stack.size;
  if (context != nullptr) stack.contexts[stack.size++] = context;
}

Current current_context() {
  Driver& driver = Driver::instance();
  if (stack.size == 0) return {CUDA_ERROR_INVALID_CONTEXT, nullptr};
  const std::shared_ptr<Context> context = driver.contexts.find(stack.contexts[stack.size - 1]);
  if (context == nullptr) return {CUDA_ERROR_CONTEXT_IS_DESTROYED, nullptr};
  return {driver.state_of(*context), context};
}

void report_leaks(const std::string& where, const std::vector<std::string>& kinds) {
  if (kinds.empty()) return;
  const std::string line = fmt::format("{}: never freed: {}", where, fmt::join(kinds, ", "));
  say(line);
  const char* path = std::getenv("HEARTH_SIM_LEAKS");
  if (path == nullptr || *path == '\0') return;
  if (std::FILE* file = std::fopen(path, "a")) {
    std::fprintf(file, "%s\n", line.c_str());
    std::fclose(file);
  }
}

void report_process_leaks() {
  Driver& driver = Driver::instance();
  std::vector<std::shared_ptr<Context>> alive;
  driver.contexts.for_each([&](CUcontext, const std::shared_ptr<Context>& context) { alive.push_back(context); });
  std::vector<std::string> kinds;
  count_kind(kinds, alive.size(), "contexts");
  for (const auto& context : alive) driver.destroy_context(context);
  const Memory::VirtualHolding held = driver.memory.virtual_holding();
  count_kind(kinds, held.reservations, "address reservations", held.reserved_bytes);
  count_kind(kinds, held.mappings, "mappings", held.mapped_bytes);
  count_kind(kinds, held.physical, "physical allocations", held.physical_bytes);
  count_kind(kinds, driver.graphs.size(), "graphs");
  count_kind(kinds, driver.executables.size(), "executable graphs");
  report_leaks("process", kinds);
}

namespace {
// Runs after the program's own static objects are gone, or when the library is unloaded.
__attribute__((destructor)) void at_end() {
  const std::scoped_lock lock(driver_mutex());
  if (!Driver::instance().initialised) return Machine::instance().shut_down();
  report_process_leaks();
  write_counts();
  Machine::instance().shut_down();
}
}  // namespace

}  // namespace hearth::sim::cuda
