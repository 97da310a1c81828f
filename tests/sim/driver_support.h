// The simulated driver as a program sees it: loaded with dlopen, its functions by their exported names.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "driver/cuda_abi.h"
#include "driver/nvml_abi.h"

namespace hearth::sim {

// Kernels of the tests. scale: p[i] *= factor; fill: p[i] = value; add: c[i] = a[i] + b[i]; for i < n.
inline constexpr const char* kKernels = R"(.version 7.0
.target sm_75
.address_size 64
.visible .global .align 4 .u32 table[4] = {1, 2, 3, 4};
.visible .entry fill(.param .u64 p, .param .u32 n, .param .u32 value)
{
  .reg .pred %p<2>;
  .reg .b32 %r<8>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [p];
  ld.param.u32 %r1, [n];
  ld.param.u32 %r2, [value];
  mov.u32 %r3, %ctaid.x;
  mov.u32 %r4, %ntid.x;
  mov.u32 %r5, %tid.x;
  mad.lo.s32 %r6, %r3, %r4, %r5;
  setp.ge.u32 %p1, %r6, %r1;
  @%p1 bra DONE;
  mul.wide.u32 %rd2, %r6, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r2;
DONE:
  ret;
}
.visible .entry scale(.param .u64 p, .param .u32 n, .param .u32 factor)
{
  .reg .pred %p<2>;
  .reg .b32 %r<10>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [p];
  ld.param.u32 %r1, [n];
  ld.param.u32 %r2, [factor];
  mov.u32 %r3, %ctaid.x;
  mov.u32 %r4, %ntid.x;
  mov.u32 %r5, %tid.x;
  mad.lo.s32 %r6, %r3, %r4, %r5;
  setp.ge.u32 %p1, %r6, %r1;
  @%p1 bra DONE;
  mul.wide.u32 %rd2, %r6, 4;
  add.s64 %rd3, %rd1, %rd2;
  ld.global.u32 %r7, [%rd3];
  mul.lo.u32 %r8, %r7, %r2;
  st.global.u32 [%rd3], %r8;
DONE:
  ret;
}
)";

// A folder of its own for the state, the leaks and the copies of the libraries, gone with the object.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/hearth-sim-test-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// One life of the library: its own copy of the file, so that each starts with fresh state. Ends (and reports leaks)
// with end() or the object.
class Sim {
 public:
  explicit Sim(const std::string& profile, const std::string& faults = "", std::uint64_t seed = 0,
               const char* visible = nullptr) {
    if (visible != nullptr) {
      setenv("CUDA_VISIBLE_DEVICES", visible, 1);
    } else {
      unsetenv("CUDA_VISIBLE_DEVICES");
    }
    setenv("HEARTH_SIM_PROFILE", profile.c_str(), 1);
    setenv("HEARTH_SIM_PROFILES", HEARTH_SIM_FOLDER "/profiles", 1);
    setenv("HEARTH_SIM_FAULTS", faults.c_str(), 1);
    setenv("HEARTH_SIM_SEED", std::to_string(seed).c_str(), 1);
    setenv("HEARTH_SIM_STATE", (folder_ / "state").c_str(), 1);
    setenv("HEARTH_SIM_LEAKS", (folder_ / "leaks").c_str(), 1);
    setenv("HEARTH_SIM_LOG", (folder_ / "log").c_str(), 1);
    setenv("HEARTH_SIM_TRACE", (folder_ / "trace").c_str(), 1);
    cuda_ = load("libcuda.so.1");
#define CUDA_FUNCTION(name, symbol, parameters) name = reinterpret_cast<CUresult(*) parameters>(dlsym(cuda_, #symbol));
#define CUDA_OPTIONAL CUDA_FUNCTION
#include "driver/cuda_api.def"
  }
  ~Sim() {
    end();
  }
  Sim(const Sim&) = delete;
  Sim& operator=(const Sim&) = delete;

  void* load(const std::string& name) {
    const std::string copy = folder_ / name;
    std::filesystem::copy_file(HEARTH_SIM_FOLDER "/" + name, copy);
    void* library = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) ADD_FAILURE() << dlerror();
    return library;
  }
  template <class Signature>
  Signature* find(const char* symbol) const {
    return reinterpret_cast<Signature*>(dlsym(cuda_, symbol));
  }

  // Initialises and makes the primary context of the device current.
  CUcontext start(int device = 0) {
    EXPECT_EQ(cuInit(0), CUDA_SUCCESS);
    CUcontext context = nullptr;
    EXPECT_EQ(cuDevicePrimaryCtxRetain(&context, device), CUDA_SUCCESS);
    EXPECT_EQ(cuCtxSetCurrent(context), CUDA_SUCCESS);
    return context;
  }
  CUmodule load_kernels() {
    CUmodule module = nullptr;
    EXPECT_EQ(cuModuleLoadDataEx(&module, kKernels, 0, nullptr, nullptr), CUDA_SUCCESS);
    return module;
  }
  CUfunction function(CUmodule module, const char* name) {
    CUfunction result = nullptr;
    EXPECT_EQ(cuModuleGetFunction(&result, module, name), CUDA_SUCCESS);
    return result;
  }
  // One of kKernels over n elements.
  CUresult run(CUfunction f, CUdeviceptr p, unsigned n, unsigned value, CUstream stream = nullptr) {
    void* arguments[] = {&p, &n, &value};
    return cuLaunchKernel(f, (n + 63) / 64, 1, 1, 64, 1, 1, 0, stream, arguments, nullptr);
  }
  CUdeviceptr allocate(std::size_t bytes) {
    CUdeviceptr address = 0;
    EXPECT_EQ(cuMemAlloc(&address, bytes), CUDA_SUCCESS);
    return address;
  }
  std::vector<unsigned> read(CUdeviceptr from, std::size_t count) {
    std::vector<unsigned> values(count);
    EXPECT_EQ(cuMemcpyDtoH(values.data(), from, count * sizeof(unsigned)), CUDA_SUCCESS);
    return values;
  }
  std::size_t free_bytes() {
    std::size_t free = 0, total = 0;
    EXPECT_EQ(cuMemGetInfo(&free, &total), CUDA_SUCCESS);
    return free;
  }

  void end() {
    if (cuda_ != nullptr) dlclose(cuda_);
    cuda_ = nullptr;
  }
  // What the library says was never freed, after end().
  std::string leaks() const {
    return read_text(folder_ / "leaks");
  }
  std::string log() const {
    return read_text(folder_ / "log");
  }
  std::string trace() const {
    return read_text(folder_ / "trace");
  }
  const Folder& folder() const {
    return folder_;
  }

#define CUDA_FUNCTION(name, symbol, parameters) CUresult(*name) parameters = nullptr;
#define CUDA_OPTIONAL CUDA_FUNCTION
#include "driver/cuda_api.def"

 private:
  Folder folder_;
  void* cuda_ = nullptr;
};

inline constexpr std::size_t kMiB = 1 << 20;

}  // namespace hearth::sim
