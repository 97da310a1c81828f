// Modules: which images a driver takes, what it says of the others, and launches.
#include <zstd.h>

#include "sim/driver_support.h"
#include "support/machine_code.h"

namespace hearth::sim {
namespace {

// A fat binary as nvcc writes it.
class FatBinary {
 public:
  FatBinary& ptx(int architecture, const std::string& text, bool compressed = false, bool specific = false) {
    std::string payload = text + '\0';
    const std::size_t plain = payload.size();
    if (compressed) {
      std::string out(ZSTD_compressBound(plain), '\0');
      out.resize(ZSTD_compress(out.data(), out.size(), payload.data(), plain, 3));
      payload = out;
    }
    return add(1, architecture, payload, compressed ? plain : 0, specific);
  }
  // Machine code that nobody can run, with the marks by which a driver decides.
  FatBinary& elf(int architecture, const std::string& toolkit = "13.0", bool specific = false) {
    return add(2, architecture, make_elf(architecture, toolkit, specific), 0, specific);
  }
  static std::string make_elf(int architecture, const std::string& toolkit, bool specific = false) {
    return test::machine_code(architecture, toolkit, {"fill", "scale"}, specific);
  }
  const void* data() {
    const std::uint64_t bytes = entries_.size();
    const std::uint32_t magic = 0xBA55ED50;
    const std::uint16_t version = 1, header_bytes = 16;
    whole_.clear();
    put(whole_, magic);
    put(whole_, version);
    put(whole_, header_bytes);
    put(whole_, bytes);
    whole_ += entries_;
    return whole_.data();
  }

 private:
  template <class T>
  static void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  FatBinary& add(std::uint16_t kind, int architecture, std::string payload, std::size_t plain, bool specific) {
    const auto compressed = static_cast<std::uint32_t>(plain != 0 ? payload.size() : 0);
    payload.resize((payload.size() + 7) / 8 * 8);
    put(entries_, kind);
    put(entries_, std::uint16_t{0x101});
    put(entries_, std::uint32_t{64});
    put(entries_, std::uint64_t{payload.size()});
    put(entries_, compressed);
    put(entries_, std::uint32_t{0});
    put(entries_, std::uint16_t{0});
    put(entries_, std::uint16_t{9});
    put(entries_, static_cast<std::uint32_t>(architecture));
    put(entries_, std::uint64_t{0});
    put(entries_, std::uint64_t{0x11u | (compressed != 0 ? 0x8000u : 0u) | (specific ? 0x100000u : 0u)});
    put(entries_, std::uint64_t{0});
    put(entries_, std::uint64_t{plain});
    entries_ += payload;
    return *this;
  }

  std::string entries_, whole_;
};

std::string ptx(const std::string& version, const std::string& target) {
  std::string text = kKernels;
  text.replace(text.find("7.0"), 3, version);
  text.replace(text.find("sm_75"), 5, target);
  return text;
}

struct Loaded {
  CUresult result = CUDA_SUCCESS;
  std::string log;
  int binary_version = 0;
  float compile_ms = 0;
};
Loaded load(const std::string& profile, const void* image) {
  Sim sim(profile);
  sim.start();
  char errors[4096] = "untouched";
  CUjit_option options[] = {CU_JIT_WALL_TIME, CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {nullptr, errors, reinterpret_cast<void*>(sizeof(errors))};
  CUmodule module = nullptr;
  Loaded loaded;
  loaded.result = sim.cuModuleLoadDataEx(&module, image, 3, options, values);
  loaded.log = errors;
  EXPECT_EQ(reinterpret_cast<std::size_t>(values[2]), loaded.log.size());
  std::memcpy(&loaded.compile_ms, &values[0], sizeof(float));
  if (loaded.result != CUDA_SUCCESS) return loaded;
  const CUfunction f = sim.function(module, "fill");
  EXPECT_EQ(sim.cuFuncGetAttribute(&loaded.binary_version, CU_FUNC_ATTRIBUTE_BINARY_VERSION, f), CUDA_SUCCESS);
  // Whatever was loaded runs.
  const CUdeviceptr p = sim.allocate(4);
  EXPECT_EQ(sim.run(f, p, 1, 42), CUDA_SUCCESS);
  EXPECT_EQ(sim.read(p, 1)[0], 42u);
  return loaded;
}

TEST(SimModule, TakesPtxThatTheDriverKnows) {
  const Loaded loaded = load("tiny-75", ptx("8.0", "sm_75").c_str());
  EXPECT_EQ(loaded.result, CUDA_SUCCESS);
  EXPECT_EQ(loaded.binary_version, 75);
  EXPECT_GT(loaded.compile_ms, 0);
  EXPECT_EQ(load("tiny", ptx("8.0", "sm_75").c_str()).binary_version, 86) << "compiled for the device";
}

TEST(SimModule, RefusesPtxThatIsTooNew) {
  const Loaded newer = load("tiny-75", ptx("9.0", "sm_75").c_str());
  EXPECT_EQ(newer.result, CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  EXPECT_NE(newer.log.find("9.0"), std::string::npos) << newer.log;
  EXPECT_EQ(load("tiny-75,driver=580.65.06", ptx("9.0", "sm_75").c_str()).result, CUDA_SUCCESS);
  const Loaded target = load("tiny-75", ptx("8.0", "sm_80").c_str());
  EXPECT_EQ(target.result, CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_NE(target.log.find("8.0"), std::string::npos) << target.log;
}

TEST(SimModule, RefusesWhatIsNoModule) {
  std::string broken = kKernels;
  broken.replace(broken.find("mul.lo.u32"), 10, "frobnicate");
  const Loaded loaded = load("tiny", broken.c_str());
  EXPECT_EQ(loaded.result, CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(loaded.log.find("frobnicate"), std::string::npos) << loaded.log;
  EXPECT_EQ(load("tiny", "GGUF and not PTX").result, CUDA_ERROR_INVALID_IMAGE);
  EXPECT_EQ(load("tiny", "").result, CUDA_ERROR_INVALID_IMAGE);
}

TEST(SimModule, PrefersMachineCodeOfAFatBinary) {
  FatBinary fat;
  fat.elf(75).elf(80).elf(86).ptx(75, ptx("8.0", "sm_75"));
  EXPECT_EQ(load("tiny,driver=580.65.06", fat.data()).binary_version, 86);
  EXPECT_EQ(load("tiny,driver=580.65.06,compute_capability=8.9", fat.data()).binary_version, 86);
  EXPECT_EQ(load("tiny,driver=580.65.06,compute_capability=9.0", fat.data()).binary_version, 90) << "from PTX";
  EXPECT_EQ(load("tiny,driver=580.65.06", fat.data()).compile_ms, 0) << "machine code is not compiled";
}

TEST(SimModule, AnOlderDriverFallsBackToPtx) {
  FatBinary fat;
  fat.elf(86, "13.0").ptx(75, ptx("8.0", "sm_75"), true);
  const Loaded old = load("tiny", fat.data());  // driver 570: CUDA 12.8
  EXPECT_EQ(old.result, CUDA_SUCCESS);
  EXPECT_GT(old.compile_ms, 0);
  FatBinary same_major;
  same_major.elf(86, "12.9").ptx(75, ptx("8.0", "sm_75"));
  EXPECT_EQ(load("tiny", same_major.data()).compile_ms, 0) << "12.9 on 12.8: minor versions are compatible";
}

TEST(SimModule, SaysWhyNoImageFits) {
  FatBinary fat;
  fat.elf(90).elf(90, "13.0", true).ptx(90, ptx("8.0", "sm_90"));
  const Loaded loaded = load("tiny", fat.data());
  EXPECT_EQ(loaded.result, CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_NE(loaded.log.find("machine code sm_90a"), std::string::npos) << loaded.log;
  FatBinary newer;
  newer.elf(86).ptx(75, ptx("9.0", "sm_75"));
  EXPECT_EQ(load("tiny", newer.data()).result, CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
}

TEST(SimModule, ACubinAloneNeedsPtxForTheSimulator) {
  const std::string elf = FatBinary::make_elf(86, "12.8");
  EXPECT_EQ(load("tiny", elf.data()).result, CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_EQ(load("tiny", FatBinary::make_elf(75, "12.8").data()).result, CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_EQ(load("tiny", FatBinary::make_elf(86, "13.0").data()).result, CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  const std::string exact = FatBinary::make_elf(86, "12.8", true);
  // A folder of PTX: what has the same kernels stands in, the newest that is not too new.
  Folder folder;
  std::ofstream(folder / "older.ptx") << ptx("8.0", "sm_75");
  std::ofstream(folder / "newer.ptx") << ptx("8.0", "sm_90");
  std::ofstream(folder / "other.ptx")
      << ".version 8.0\n.target sm_86\n.address_size 64\n.visible .entry x() { ret; }\n";
  setenv("HEARTH_SIM_PTX", (folder / "").c_str(), 1);
  EXPECT_EQ(load("tiny", elf.data()).binary_version, 86);
  EXPECT_EQ(load("tiny", exact.data()).binary_version, 86);
  EXPECT_EQ(load("tiny,compute_capability=8.9", exact.data()).result, CUDA_ERROR_NO_BINARY_FOR_GPU)
      << "an \"a\" target";
  unsetenv("HEARTH_SIM_PTX");
}

TEST(SimModule, ObeysTheJitVariables) {
  setenv("CUDA_DISABLE_PTX_JIT", "1", 1);
  EXPECT_EQ(load("tiny", kKernels).result, CUDA_ERROR_JIT_COMPILATION_DISABLED);
  unsetenv("CUDA_DISABLE_PTX_JIT");
  FatBinary fat;
  fat.elf(86, "12.8").ptx(75, kKernels);
  setenv("CUDA_FORCE_PTX_JIT", "1", 1);
  EXPECT_GT(load("tiny", fat.data()).compile_ms, 0);
  unsetenv("CUDA_FORCE_PTX_JIT");
}

TEST(SimModule, FindsFunctionsAndVariables) {
  Sim sim("tiny");
  sim.start();
  const CUmodule module = sim.load_kernels();
  CUfunction f = nullptr, again = nullptr;
  ASSERT_EQ(sim.cuModuleGetFunction(&f, module, "fill"), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuModuleGetFunction(&again, module, "fill"), CUDA_SUCCESS);
  EXPECT_EQ(f, again);
  EXPECT_EQ(sim.cuModuleGetFunction(&f, module, "none"), CUDA_ERROR_NOT_FOUND);
  CUdeviceptr table = 0;
  std::size_t bytes = 0;
  ASSERT_EQ(sim.cuModuleGetGlobal(&table, &bytes, module, "table"), CUDA_SUCCESS);
  EXPECT_EQ(bytes, 16u);
  EXPECT_EQ(sim.read(table, 4), (std::vector<unsigned>{1, 2, 3, 4}));
  EXPECT_EQ(sim.cuModuleGetGlobal(&table, &bytes, module, "chair"), CUDA_ERROR_NOT_FOUND);
  ASSERT_EQ(sim.cuModuleUnload(module), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(sim.run(again, table, 1, 1), CUDA_ERROR_INVALID_HANDLE);
}

TEST(SimLaunch, RefusesImpossibleShapes) {
  Sim sim("tiny");
  sim.start();
  const CUfunction f = sim.function(sim.load_kernels(), "fill");
  const CUdeviceptr p = sim.allocate(4);
  unsigned n = 1, value = 1;
  void* arguments[] = {const_cast<CUdeviceptr*>(&p), &n, &value};
  const auto launch = [&](unsigned grid_x, unsigned grid_y, unsigned block_x, unsigned block_z, unsigned shared) {
    return sim.cuLaunchKernel(f, grid_x, grid_y, 1, block_x, 1, block_z, shared, nullptr, arguments, nullptr);
  };
  EXPECT_EQ(launch(0, 1, 1, 1, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(1, 65536, 1, 1, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(1, 1, 1025, 1, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(1, 1, 512, 4, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(1, 1, 1, 65, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(1, 1, 1, 1, 48 * 1024 + 1), CUDA_ERROR_INVALID_VALUE) << "more shared memory than without asking";
  EXPECT_EQ(sim.cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 99 * 1024 + 1),
            CUDA_ERROR_INVALID_VALUE);
  ASSERT_EQ(sim.cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 99 * 1024), CUDA_SUCCESS);
  EXPECT_EQ(launch(1, 1, 1, 1, 99 * 1024), CUDA_SUCCESS);
  int blocks = 0;
  ASSERT_EQ(sim.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, f, 256, 0), CUDA_SUCCESS);
  EXPECT_EQ(blocks, 6) << "1536 threads";
  ASSERT_EQ(sim.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, f, 256, 40 * 1024), CUDA_SUCCESS);
  EXPECT_EQ(blocks, 2) << "100 KiB of shared memory, 41 each";
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
}

TEST(SimLaunch, TakesArgumentsAsOneBuffer) {
  Sim sim("tiny");
  sim.start();
  const CUfunction f = sim.function(sim.load_kernels(), "fill");
  struct {
    CUdeviceptr p;
    unsigned n, value;
  } arguments{sim.allocate(8), 2, 11};
  std::size_t bytes = sizeof(arguments);
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &arguments, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                   CU_LAUNCH_PARAM_END};
  ASSERT_EQ(sim.cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra), CUDA_SUCCESS);
  EXPECT_EQ(sim.read(arguments.p, 2), (std::vector<unsigned>{11, 11}));
  bytes = 8;
  EXPECT_EQ(sim.cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST(SimLaunch, AnIllegalAddressBreaksTheContextUntilItsReset) {
  Sim sim("tiny-two");
  sim.start(0);
  const CUmodule module = sim.load_kernels();
  const CUdeviceptr p = sim.allocate(40);
  ASSERT_EQ(sim.run(sim.function(module, "fill"), p, 11, 1), CUDA_SUCCESS);  // one element too many
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_NE(sim.log().find("0 bytes behind the end of 40 bytes"), std::string::npos) << sim.log();
  EXPECT_NE(sim.log().find("in kernel fill"), std::string::npos) << sim.log();
  CUdeviceptr other = 0;
  unsigned value = 0;
  CUstream stream = nullptr;
  EXPECT_EQ(sim.cuMemAlloc(&other, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(sim.cuMemcpyDtoH(&value, p, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(sim.cuStreamCreate(&stream, 0), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(sim.cuModuleUnload(module), CUDA_ERROR_ILLEGAL_ADDRESS);
  int count = 0;
  EXPECT_EQ(sim.cuDeviceGetCount(&count), CUDA_SUCCESS) << "not a call on the context";

  CUcontext second = nullptr;
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&second, 1), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuCtxSetCurrent(second), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS) << "the other device is well";

  ASSERT_EQ(sim.cuDevicePrimaryCtxReset(0), CUDA_SUCCESS);
  CUcontext fresh = nullptr;
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&fresh, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuCtxSetCurrent(fresh), CUDA_SUCCESS);
  const CUdeviceptr again = sim.allocate(4);
  ASSERT_EQ(sim.run(sim.function(sim.load_kernels(), "fill"), again, 1, 8), CUDA_SUCCESS);
  EXPECT_EQ(sim.read(again, 1)[0], 8u);
}

}  // namespace
}  // namespace hearth::sim
