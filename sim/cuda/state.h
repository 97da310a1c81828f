// The state of the simulated driver in this process. Everything here is guarded by driver_mutex() (entry.h).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "driver/cuda_abi.h"
#include "sim/cuda/extra_abi.h"
#include "sim/cuda/handles.h"
#include "sim/cuda/memory.h"
#include "sim/cuda/visible.h"
#include "sim/cuda/work.h"
#include "sim/machine/machine.h"

namespace hearth::sim::cuda {

struct Capture;
struct Graph;
struct GraphExec;
struct GraphNode;
struct LoadedModule;
struct LoadedFunction;

struct Stream {
  std::weak_ptr<Context> context;
  unsigned flags = 0;
  bool legacy = false;  // the default stream
  unsigned weight = 1;
  std::deque<Work> queue;
  Ticket last;                                   // of the work queued last, or nullptr
  std::shared_ptr<Capture> capture;              // while the stream is being captured
  std::vector<std::shared_ptr<GraphNode>> tail;  // what the next captured node depends on
};

struct Event {
  std::weak_ptr<Context> context;
  unsigned flags = 0;
  Ticket recorded;                               // nullptr: never recorded
  std::shared_ptr<Capture> capture;              // recorded in a stream under capture
  std::vector<std::shared_ptr<GraphNode>> tail;  // what it then stands for
};

struct Context {
  int device = 0;
  bool primary = false;
  CUcontext handle = nullptr;
  unsigned flags = 0;
  bool destroyed = false;
  CUresult sticky = CUDA_SUCCESS;
  std::set<int> peers;  // devices whose memory this one's kernels may touch
  std::shared_ptr<Stream> legacy;
  std::shared_ptr<Stream> per_thread;  // the per-thread default stream: one is enough for what is promised
};

// What a stream or a graph node does.
struct KernelLaunch {
  std::shared_ptr<LoadedFunction> function;
  std::array<unsigned, 3> grid{1, 1, 1};
  std::array<unsigned, 3> block{1, 1, 1};
  unsigned shared_bytes = 0;
  std::vector<std::byte> arguments;
};
struct CopyEnd {
  bool host = false;
  std::uint64_t address = 0;                       // of the first byte
  std::size_t pitch = 0;                           // bytes from row to row
  std::size_t slice = 0;                           // and from slice to slice
  std::shared_ptr<std::vector<std::byte>> staged;  // the bytes of pageable memory, taken when the copy was queued
};
struct Copy {
  CopyEnd to, from;
  std::size_t width = 0, height = 1, depth = 1;
  bool waited_for = false;  // host memory need not be pinned: the caller waits, or promises that it stays
};
struct Fill {
  std::uint64_t to = 0;
  std::size_t count = 0;
  unsigned value = 0;
  unsigned unit = 1;  // bytes of the value
};
struct HostCall {
  CUhostFn function = nullptr;
  void* data = nullptr;
};
struct Nothing {};
using Operation = std::variant<Nothing, KernelLaunch, Copy, Fill, HostCall>;
CUresult execute(const Operation& operation, Context& context);

class Driver {
 public:
  static Driver& instance();

  Machine& machine;
  const VisibleDevices visible;
  bool initialised = false;
  std::array<std::int64_t, 512> calls{};  // per Function
  std::int64_t compilations = 0;          // of PTX
  std::int64_t device_allocations = 0;    // asked for, for the script's oom
  std::set<const StickyFault*> raised;
  Scheduler scheduler;
  Memory memory;
  Handles<CUcontext, Context> contexts;
  struct Primary {
    std::shared_ptr<Context> context;  // nullptr: not active
    unsigned references = 0;           // outlast a reset
    CUresult broken = CUDA_SUCCESS;    // by a sticky error that only the end of the process cures (no-reset)
    unsigned flags = 0;
  };
  std::array<Primary, kMaxDevices> primary;
  Handles<CUstream, Stream> streams;
  Handles<CUevent, Event> events;
  Handles<CUmodule, LoadedModule> modules;
  Handles<CUfunction, LoadedFunction> functions;
  Handles<CUgraph, Graph> graphs;
  Handles<CUgraphNode, GraphNode> nodes;
  Handles<CUgraphExec, GraphExec> executables;

  const std::vector<DeviceProfile>& devices() const { return visible.devices; }
  bool is_device(int device) const { return device >= 0 && static_cast<std::size_t>(device) < devices().size(); }
  // What other processes, NVML and fault scripts call it.
  int on_machine(int device) const { return visible.on_machine[static_cast<std::size_t>(device)]; }
  std::optional<int> lost(int device) const { return machine.lost(on_machine(device)); }

  // A new context on the device; OUT_OF_MEMORY if its own memory does not fit.
  CUresult create_context(int device, unsigned flags, bool primary_context, std::shared_ptr<Context>& context);
  // Frees all that the context holds, says what the program should have freed itself.
  void destroy_context(const std::shared_ptr<Context>& context);

  // The error with which every call on the context answers: broken, lost or destroyed; or CUDA_SUCCESS.
  CUresult state_of(const Context& context) const;
  // Breaks the context: the reason is said, its work is dropped.
  void raise(Context& context, CUresult code, const std::string& reason);

  // A device's memory that this process takes, its contexts included, and what is free there for it.
  std::uint64_t used_bytes(int device) const;
  std::uint64_t free_bytes(int device) const;
  void publish_used(int device);  // to the machine, after each change

 private:
  Driver();
};

// The calling thread's contexts; the last one is current.
std::vector<CUcontext> context_stack();
bool push_context(CUcontext context);  // false: too many
std::optional<CUcontext> pop_context();
void set_current_context(CUcontext context);  // null: none

// The current context if calls on it can succeed; otherwise the result that the call must return.
struct Current {
  CUresult result = CUDA_SUCCESS;
  std::shared_ptr<Context> context;
};
Current current_context();

// The stream of a handle (null and the special ones: the current context's default streams) and its context.
struct StreamRef {
  CUresult result = CUDA_SUCCESS;
  std::shared_ptr<Stream> stream;
  std::shared_ptr<Context> context;
};
StreamRef stream_of(CUstream handle);

// Queues an operation on the stream, or adds it to the graph that the stream is being captured into.
CUresult submit(const StreamRef& ref, Operation operation);
// What a blocking call does: the operation in the legacy default stream, and waits for it.
CUresult submit_and_wait(const std::shared_ptr<Context>& context, Operation operation);
// Waits for all that the context has queued.
CUresult synchronize(Context& context);

// Inside a capture that forbids it: invalidates the capture and returns the error; otherwise CUDA_SUCCESS.
CUresult forbid_in_capture(const Stream& stream);
CUresult forbid_unsafe_call();

// What was never freed: said, and as lines of the file HEARTH_SIM_LEAKS, which tests look at; empty: nothing.
void report_leaks(const std::string& where, const std::vector<std::string>& kinds);
// When the process ends.
void report_process_leaks();

}  // namespace hearth::sim::cuda

// Returns from the calling function unless the thread has a usable current context, which is then `name`.
#define CURRENT_CONTEXT(name)                                          \
  const hearth::sim::cuda::Current name##_found = current_context();   \
  if (name##_found.result != CUDA_SUCCESS) return name##_found.result; \
  [[maybe_unused]] const std::shared_ptr<Context>& name = name##_found.context
