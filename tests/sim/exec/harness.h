// A simulated GPU for tests of the executor: memory, and launches of kernels given as PTX.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "sim/exec/launch.h"
#include "sim/ptx/parse.h"

namespace hearth::sim::exec {

// A module with the kernel "k". The body may declare its own registers; %r0-9, %rd0-9, %f0-9, %h0-9, %p0-9 are there.
inline std::string kernel(const std::string& parameters, const std::string& body, const std::string& before = "") {
  return ".version 8.0\n.target sm_80\n.address_size 64\n" + before + "\n.visible .entry k(" + parameters +
         ")\n{\n.reg .b32 %r<10>;\n.reg .b64 %rd<10>;\n.reg .f32 %f<10>;\n.reg .b16 %h<10>;\n.reg .pred %p<10>;\n" +
         body + "\nret;\n}\n";
}

// The line, from 1, that holds the text.
inline std::uint32_t line_of(const std::string& text, const std::string& what) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return 1 + static_cast<std::uint32_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

class Gpu {
 public:
  GlobalMemory memory;
  Options options;

  template <class T>
  Address upload(const std::vector<T>& values) {
    const Address address = allocate(values.size() * sizeof(T));
    const auto fault = memory.write(address, std::as_bytes(std::span(values)));
    EXPECT_FALSE(fault) << fault->message();
    return address;
  }
  Address allocate(std::uint64_t bytes) {
    auto address = memory.allocate(bytes, 256, kAllDevices, "test");
    EXPECT_TRUE(address.ok());
    return *address;
  }
  template <class T>
  std::vector<T> download(Address address, std::size_t count) {
    std::vector<T> values(count);
    const auto fault = memory.read(address, std::as_writable_bytes(std::span(values)));
    EXPECT_FALSE(fault) << fault->message();
    return values;
  }

  void load(const std::string& ptx) {
    auto parsed = ptx::parse(ptx);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    module_ = std::move(*parsed);
    auto placed = place_variables(module_, memory, kAllDevices);
    ASSERT_TRUE(placed.ok());
    variables_ = std::move(*placed);
  }

  using Dimensions = std::array<std::uint32_t, 3>;
  // Runs the kernel; what it did wrong is in the result.
  template <class... Arguments>
  LaunchResult try_run(const std::string& name, Dimensions grid, Dimensions block, std::uint32_t shared_bytes,
                       Arguments... arguments) {
    const ptx::Kernel* kernel = module_.find_kernel(name);
    EXPECT_NE(kernel, nullptr) << name;
    if (kernel == nullptr) return {};
    Launch parameters{grid, block, shared_bytes, std::vector<std::byte>(kernel->parameter_bytes)};
    std::size_t i = 0;
    [[maybe_unused]] const auto put = [&](const auto& argument) {
      ASSERT_LT(i, kernel->parameters.size());
      ASSERT_EQ(sizeof argument, kernel->parameters[i].bytes);
      std::memcpy(parameters.arguments.data() + kernel->parameters[i++].offset, &argument, sizeof argument);
    };
    (put(arguments), ...);
    EXPECT_EQ(i, kernel->parameters.size());
    return launch(*prepare(module_, *kernel, variables_), parameters, memory, options);
  }
  template <class... Arguments>
  LaunchStats run(const std::string& name, Dimensions grid, Dimensions block, std::uint32_t shared_bytes,
                  Arguments... arguments) {
    LaunchResult result = try_run(name, grid, block, shared_bytes, arguments...);
    EXPECT_FALSE(result.fault) << result.fault->message();
    return result.stats;
  }

 private:
  ptx::Module module_;
  std::vector<Address> variables_;
};

// Runs the kernel "k" of one block, with an output of `count` words as its last parameter `out`, and returns these.
template <class... Arguments>
std::vector<std::uint32_t> output_of(const std::string& ptx, std::uint32_t threads, std::size_t count,
                                     Arguments... arguments) {
  Gpu gpu;
  gpu.load(ptx);
  const Address out = gpu.upload(std::vector<std::uint32_t>(count, 0xdeadbeef));
  gpu.run("k", {1, 1, 1}, {threads, 1, 1}, 0, arguments..., out);
  return gpu.download<std::uint32_t>(out, count);
}

// out[tid] = %r1
inline const std::string kStoreR1 = R"(
ld.param.u64 %rd8, [out];
mov.u32 %r9, %tid.x;
mul.wide.u32 %rd9, %r9, 4;
add.u64 %rd8, %rd8, %rd9;
st.global.u32 [%rd8], %r1;
)";
inline const std::string kOut = ".param .u64 out";

}  // namespace hearth::sim::exec
