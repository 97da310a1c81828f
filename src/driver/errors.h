// What a result of the CUDA driver means: its name, the cause as an id, and what kind of fault it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/cause.h"
#include "base/result.h"
#include "driver/cuda_abi.h"

namespace hearth::driver {

struct Description {
  std::string name;  // "CUDA_ERROR_OPERATING_SYSTEM"
  Cause cause;
  ErrorKind kind;
  // The context is broken for good: every later call fails too, until the context is destroyed and built again.
  bool sticky;
};

// Every code has a cause, also one that is not known (a driver newer than hearth).
Description describe(CUresult code);
bool is_sticky(CUresult code);
// The code of a name such as "CUDA_ERROR_OPERATING_SYSTEM"; nothing for one that is not known.
std::optional<int> code_of_name(std::string_view name);

// Why a GPU, or the driver as a whole, cannot be used.
struct Problem {
  int code = 0;      // CUresult; 0 if no call of the driver failed
  std::string name;  // "CUDA_ERROR_NO_DEVICE"; for what is found before a call: "no-driver-library", ...
  Cause why;

  Cause with_code() const;  // its detail ends in "[CUDA_ERROR_NO_DEVICE, 100]"
  std::string cause_with_code() const { return what_of(with_code()); }  // "cause [CUDA_ERROR_NO_DEVICE, 100]"
  std::string text() const { return text_of(with_code()); }             // "cause [CUDA_ERROR_NO_DEVICE, 100]; remedy"
};

Problem problem_of(CUresult code);

// Ok for CUDA_SUCCESS. Else "the GPU driver failed at <doing>: cause [name, code]; remedy", with the code's kind.
// `doing` is a noun phrase or gerund: "the allocation of 2 GiB", "loading the kernels".
Status check(CUresult code, std::string_view doing);

}  // namespace hearth::driver
