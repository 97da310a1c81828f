// A plain CUDA program against NVIDIA's own cuda.h, linked with -lcuda: vector addition, a reduction, a matrix product.
// It knows nothing of hearth or of the simulator. Usage: sample KERNELS.fatbin; exit code 0: all results are right.
#include <cuda.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

void check(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  const char* name = "unknown";
  cuGetErrorName(result, &name);
  std::fprintf(stderr, "%s: %s\n", what, name);
  std::exit(1);
}
#define CHECK(call) check(call, #call)

class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : bytes_(count * sizeof(float)) { CHECK(cuMemAlloc(&address_, bytes_)); }
  explicit DeviceArray(const std::vector<float>& values) : DeviceArray(values.size()) {
    CHECK(cuMemcpyHtoD(address_, values.data(), bytes_));
  }
  ~DeviceArray() { cuMemFree(address_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  CUdeviceptr address() const { return address_; }
  std::vector<float> values() const {
    std::vector<float> out(bytes_ / sizeof(float));
    CHECK(cuMemcpyDtoH(out.data(), address_, bytes_));
    return out;
  }

 private:
  CUdeviceptr address_ = 0;
  std::size_t bytes_;
};

std::vector<float> ramp(int n, float step) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = step * static_cast<float>(i % 17 - 8);
  return values;
}

CUfunction find(CUmodule module, const char* name) {
  CUfunction function = nullptr;
  CHECK(cuModuleGetFunction(&function, module, name));
  return function;
}

bool add_vectors(CUmodule module) {
  int n = 10000;
  const std::vector<float> a = ramp(n, 0.5f), b = ramp(n, -2);
  const DeviceArray on_a(a), on_b(b), on_c(a.size());
  CUdeviceptr pa = on_a.address(), pb = on_b.address(), pc = on_c.address();
  void* arguments[] = {&pa, &pb, &pc, &n};
  CHECK(cuLaunchKernel(find(module, "vector_add"), (n + 255) / 256, 1, 1, 256, 1, 1, 0, nullptr, arguments, nullptr));
  const std::vector<float> c = on_c.values();
  for (std::size_t i = 0; i < c.size(); ++i) {
    if (c[i] != a[i] + b[i]) return false;
  }
  return true;
}

bool reduce(CUmodule module) {
  int n = 5000;
  const std::vector<float> values(static_cast<std::size_t>(n), 0.25f);  // the sum is exact in every order
  const DeviceArray on_values(values), on_sum(std::vector<float>{0});
  CUdeviceptr pv = on_values.address(), ps = on_sum.address();
  void* arguments[] = {&pv, &n, &ps};
  CHECK(cuLaunchKernel(find(module, "reduce"), 8, 1, 1, 256, 1, 1, 0, nullptr, arguments, nullptr));
  return on_sum.values()[0] == 0.25f * static_cast<float>(n);
}

bool multiply_matrices(CUmodule module) {
  int n = 50;  // not a multiple of the tile
  const std::vector<float> a = ramp(n * n, 0.5f), b = ramp(n * n, 0.25f);
  const DeviceArray on_a(a), on_b(b), on_c(a.size());
  CUdeviceptr pa = on_a.address(), pb = on_b.address(), pc = on_c.address();
  void* arguments[] = {&pa, &pb, &pc, &n};
  const unsigned tiles = static_cast<unsigned>(n + 15) / 16;
  CHECK(cuLaunchKernel(find(module, "matrix_product"), tiles, tiles, 1, 16, 16, 1, 0, nullptr, arguments, nullptr));
  const std::vector<float> c = on_c.values();
  for (int row = 0; row < n; ++row) {
    for (int column = 0; column < n; ++column) {
      float sum = 0;  // small multiples of 1/8: exact
      for (int k = 0; k < n; ++k)
        sum += a[static_cast<std::size_t>(row * n + k)] * b[static_cast<std::size_t>(k * n + column)];
      if (c[static_cast<std::size_t>(row * n + column)] != sum) return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: sample KERNELS.fatbin\n");
    return 2;
  }
  CHECK(cuInit(0));
  CUdevice device = 0;
  CHECK(cuDeviceGet(&device, 0));
  char name[128];
  CHECK(cuDeviceGetName(name, sizeof(name), device));
  CUcontext context = nullptr;
  CHECK(cuDevicePrimaryCtxRetain(&context, device));
  CHECK(cuCtxSetCurrent(context));
  CUmodule module = nullptr;
  CHECK(cuModuleLoad(&module, argv[1]));
  bool good = true;
  const auto report = [&](const char* what, bool right) {
    std::printf("%s on %s: %s\n", what, name, right ? "right" : "WRONG");
    good = good && right;
  };
  report("vector addition", add_vectors(module));
  report("reduction", reduce(module));
  report("matrix product", multiply_matrices(module));
  CHECK(cuModuleUnload(module));
  CHECK(cuDevicePrimaryCtxRelease(device));
  return good ? 0 : 1;
}
