// Owned objects of the CUDA driver. Each is destroyed with its C++ object. Except for DeviceMemory an object is
// made, used and destroyed on a thread whose current context is the one it was made in (CurrentContext), and
// before that context is released. Errors of calls: see check(); after a sticky one all fail with kDeviceLost.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "driver/cuda.h"

namespace hearth::driver {

// One raw handle and the function that destroys it. What destroying answers is not looked at: in a broken context
// it cannot succeed, and nothing could be done about it.
template <class Raw, CUresult (*Cuda::*kDestroy)(Raw)>
class Handle {
 public:
  Handle() = default;
  Handle(const Cuda& cuda, Raw raw) : cuda_(&cuda), raw_(raw) {}
  Handle(Handle&& other) noexcept : cuda_(std::exchange(other.cuda_, nullptr)), raw_(std::exchange(other.raw_, {})) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(cuda_, other.cuda_);
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Handle() {
    if (cuda_ != nullptr) (void)(cuda_->*kDestroy)(raw_);
  }

  Raw get() const { return raw_; }
  explicit operator bool() const { return cuda_ != nullptr; }

 protected:
  const Cuda* cuda_ = nullptr;
  Raw raw_{};
};

// A device's primary context: one per process and device, shared by all who retain it.
class Context {
 public:
  Context() = default;
  Context(Context&& other) noexcept;
  Context& operator=(Context&& other) noexcept;
  ~Context();

  // Host threads that wait for the device sleep instead of spinning. Errors: those of a start-up.
  static Result<Context> retain(const Cuda& cuda, int ordinal);

  // Destroys everything in the context, for all who share it, and makes the device usable again after a sticky
  // error, if the driver can do that. Objects made in it must be destroyed first. The new context is current then.
  Status reset();

  struct Memory {
    size_t free_bytes, total_bytes;
  };
  Result<Memory> memory() const;  // as the driver sees it now; the context must be current
  Status synchronize() const;     // waits for all work in the context, which must be current

  CUcontext get() const { return raw_; }
  CUdevice device() const { return device_; }
  const Cuda& cuda() const { return *cuda_; }

 private:
  const Cuda* cuda_ = nullptr;
  CUdevice device_ = 0;
  CUcontext raw_ = nullptr;
};

// Makes a context current on this thread for as long as the object lives.
class CurrentContext {
 public:
  explicit CurrentContext(const Context& context);
  CurrentContext(const CurrentContext&) = delete;
  ~CurrentContext();

  Status status() const { return check(result_, "entering the GPU's context"); }

 private:
  const Cuda& cuda_;
  CUcontext before_ = nullptr;
  CUresult result_;
};

class Event;

class Stream : public Handle<CUstream, &Cuda::cuStreamDestroy> {
 public:
  using Handle::Handle;
  static Result<Stream> create(const Cuda& cuda);  // does not wait for the default stream

  // Waits for all work queued so far. For `spin` it asks again and again, which sees the end at once; then it sleeps,
  // and is woken some tens of microseconds late.
  Status synchronize(std::chrono::microseconds spin = {}) const;
  Result<bool> idle() const;
  Status wait(const Event& event) const;  // later work on this stream waits for the event's last record
};

class Event : public Handle<CUevent, &Cuda::cuEventDestroy> {
 public:
  using Handle::Handle;
  static Result<Event> create(const Cuda& cuda, bool timing = false);

  Status record(const Stream& stream) const;
  Status synchronize() const;
  Result<bool> done() const;
  static Result<float> elapsed_ms(const Event& from, const Event& to);  // both made with timing, both done
};

// What the driver did to load a module.
struct LoadReport {
  float compile_ms = 0;  // its own compilation of PTX; 0 for machine code
  std::string log;       // what its compiler wrote, errors first
};

class Module : public Handle<CUmodule, &Cuda::cuModuleUnload> {
 public:
  using Handle::Handle;
  // `image`: a fat binary, machine code (cubin), or PTX with its final zero byte.
  // Errors: kUnsupported if the driver cannot use this image (209, 218, 221-223, 300...), with its compiler's words.
  static Result<Module> load(const Cuda& cuda, const void* image, LoadReport* report = nullptr);

  Result<CUfunction> function(const std::string& name) const;
  struct Global {
    CUdeviceptr address;
    size_t bytes;
  };
  Result<Global> global(const std::string& name) const;
};

class GraphExec : public Handle<CUgraphExec, &Cuda::cuGraphExecDestroy> {
 public:
  using Handle::Handle;
  Status launch(const Stream& stream) const;
};

// Work as a graph of nodes, instantiated once and launched as often as wanted. A node belongs to its graph.
class Graph : public Handle<CUgraph, &Cuda::cuGraphDestroy> {
 public:
  using Handle::Handle;
  static Result<Graph> create(const Cuda& cuda);
  // Each runs after those that it `waits_for`.
  Result<CUgraphNode> add_kernel(const CUDA_KERNEL_NODE_PARAMS& kernel, std::span<const CUgraphNode> waits_for) const;
  Result<GraphExec> instantiate() const;
};

// Host memory that the device can read and write at full speed while the CPU goes on.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  PinnedMemory(PinnedMemory&& other) noexcept { *this = std::move(other); }
  PinnedMemory& operator=(PinnedMemory&& other) noexcept;
  ~PinnedMemory();
  static Result<PinnedMemory> alloc(const Cuda& cuda, size_t bytes);  // kNoMemory

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  size_t bytes() const { return bytes_; }
  std::span<std::byte> span() const { return {data(), bytes_}; }

 private:
  const Cuda* cuda_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// Device memory that comes and goes in granules. Work that uses a granule must have ended before it goes.
//
// Where the GPU manages virtual memory it is a range of addresses, reserved once and never moving, whose front part has
// physical memory behind it; no context need be current. Elsewhere (profiles of some virtual GPUs) it is an allocation,
// for which the context must be current: growing makes a new one at another address and loses what was in the old one,
// and only shrinking to nothing gives memory back.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  ~DeviceMemory();

  // At most `bytes`, rounded up; takes no memory. Granules are at least `granule_bytes`, rounded up to what the driver
  // can map (2 MiB on today's GPUs).
  static Result<DeviceMemory> reserve(const Cuda& cuda, CUdevice device, size_t bytes, size_t granule_bytes = 1);

  // At least the first `bytes` get memory (not cleared). On an error (kNoMemory) all is as before.
  Status grow(size_t bytes);
  // Gives back whole granules behind the first `bytes`.
  Status shrink(size_t bytes);

  CUdeviceptr address() const { return address_; }
  bool is_virtual() const { return virtual_; }
  size_t granule_bytes() const { return granule_bytes_; }
  size_t reserved_bytes() const { return reserved_bytes_; }
  size_t backed_bytes() const { return backed_bytes_; }  // what it takes of the device's memory

 private:
  Status map_up_to(size_t bytes);
  Status add_granule();
  Status drop_granule();
  Status allocate(size_t bytes);
  Status release();

  const Cuda* cuda_ = nullptr;
  CUdevice device_ = 0;
  bool virtual_ = true;
  CUdeviceptr address_ = 0;
  size_t granule_bytes_ = 0, reserved_bytes_ = 0, backed_bytes_ = 0;
  std::vector<CUmemGenericAllocationHandle> granules_;  // of virtual memory
};

}  // namespace hearth::driver
