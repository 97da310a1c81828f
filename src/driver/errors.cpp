#include "driver/errors.h"

#include <algorithm>
#include <cctype>
#include <iterator>

#include "base/error.h"

namespace hearth::driver {
namespace {

constexpr bool kSticky = true;
constexpr ErrorKind kNoDevice = ErrorKind::kNoDevice, kNoMemory = ErrorKind::kNoMemory;
constexpr ErrorKind kUnsupported = ErrorKind::kUnsupported, kDeviceLost = ErrorKind::kDeviceLost;
constexpr ErrorKind kIo = ErrorKind::kIo;

struct Row {
  CUresult code;
  ErrorKind kind;
  bool sticky = false;
  const char* cause = nullptr;  // an id of the doctor's catalogue; null: the code's own, "cuda-error-no-device"
};

// What the codes mean is from NVIDIA's "CUDA Driver API" reference; src/doctor has the words.
constexpr Row kRows[] = {
    {CUDA_SUCCESS, kIo},
    {CUDA_ERROR_INVALID_VALUE, kIo},
    {CUDA_ERROR_OUT_OF_MEMORY, kNoMemory},
    {CUDA_ERROR_NOT_INITIALIZED, kNoDevice},
    {CUDA_ERROR_DEINITIALIZED, kNoDevice},
    {CUDA_ERROR_STUB_LIBRARY, kNoDevice, false, "stub-libcuda"},
    {CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER, kNoDevice, false, "driver-too-old"},
    {CUDA_ERROR_DEVICE_UNAVAILABLE, kNoDevice, false, "exclusive-compute-mode"},
    {CUDA_ERROR_NO_DEVICE, kNoDevice},
    {CUDA_ERROR_INVALID_DEVICE, kNoDevice},
    {CUDA_ERROR_DEVICE_NOT_LICENSED, kNoDevice},
    {CUDA_ERROR_INVALID_IMAGE, kUnsupported},
    {CUDA_ERROR_INVALID_CONTEXT, kIo},
    {CUDA_ERROR_MAP_FAILED, kIo},
    {CUDA_ERROR_UNMAP_FAILED, kIo},
    {CUDA_ERROR_ALREADY_MAPPED, kIo},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, kUnsupported},
    {CUDA_ERROR_NOT_MAPPED, kIo},
    {CUDA_ERROR_ECC_UNCORRECTABLE, kDeviceLost, kSticky, "ecc-memory-fault"},
    {CUDA_ERROR_UNSUPPORTED_LIMIT, kUnsupported},
    {CUDA_ERROR_CONTEXT_ALREADY_IN_USE, kIo},
    {CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, kUnsupported},
    {CUDA_ERROR_INVALID_PTX, kUnsupported},
    {CUDA_ERROR_NVLINK_UNCORRECTABLE, kDeviceLost, kSticky},
    {CUDA_ERROR_JIT_COMPILER_NOT_FOUND, kUnsupported},
    {CUDA_ERROR_UNSUPPORTED_PTX_VERSION, kUnsupported},
    {CUDA_ERROR_JIT_COMPILATION_DISABLED, kUnsupported},
    {CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY, kUnsupported},
    {CUDA_ERROR_CONTAINED, kDeviceLost, kSticky},
    {CUDA_ERROR_INVALID_SOURCE, kUnsupported},
    {CUDA_ERROR_FILE_NOT_FOUND, kNoDevice},
    {CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND, kNoDevice},
    {CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, kNoDevice},
    {CUDA_ERROR_OPERATING_SYSTEM, kNoDevice, false, "os-call-failed-304"},
    {CUDA_ERROR_INVALID_HANDLE, kIo},
    {CUDA_ERROR_ILLEGAL_STATE, kIo},
    {CUDA_ERROR_NOT_FOUND, kNoDevice},
    {CUDA_ERROR_NOT_READY, kIo},
    {CUDA_ERROR_ILLEGAL_ADDRESS, kDeviceLost, kSticky},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, kUnsupported},
    {CUDA_ERROR_LAUNCH_TIMEOUT, kDeviceLost, kSticky},
    {CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, kIo},
    {CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, kIo},
    {CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, kIo},
    {CUDA_ERROR_CONTEXT_IS_DESTROYED, kDeviceLost, kSticky},
    {CUDA_ERROR_ASSERT, kDeviceLost, kSticky},
    {CUDA_ERROR_TOO_MANY_PEERS, kUnsupported},
    {CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, kIo},
    {CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, kIo},
    {CUDA_ERROR_HARDWARE_STACK_ERROR, kDeviceLost, kSticky},
    {CUDA_ERROR_ILLEGAL_INSTRUCTION, kDeviceLost, kSticky},
    {CUDA_ERROR_MISALIGNED_ADDRESS, kDeviceLost, kSticky},
    {CUDA_ERROR_INVALID_ADDRESS_SPACE, kDeviceLost, kSticky},
    {CUDA_ERROR_INVALID_PC, kDeviceLost, kSticky},
    {CUDA_ERROR_LAUNCH_FAILED, kDeviceLost, kSticky},
    {CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, kUnsupported},
    {CUDA_ERROR_TENSOR_MEMORY_LEAK, kDeviceLost, kSticky},
    {CUDA_ERROR_NOT_PERMITTED, kNoDevice, false, "device-cgroup-lost"},
    {CUDA_ERROR_NOT_SUPPORTED, kNoDevice},
    {CUDA_ERROR_SYSTEM_NOT_READY, kNoDevice, false, "fabric-manager-not-ready"},
    {CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, kNoDevice, false, "driver-library-mismatch"},
    {CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, kNoDevice, false, "forward-compat-unsupported"},
    {CUDA_ERROR_MPS_CONNECTION_FAILED, kNoDevice},
    {CUDA_ERROR_MPS_RPC_FAILURE, kNoDevice},
    {CUDA_ERROR_MPS_SERVER_NOT_READY, kNoDevice},
    {CUDA_ERROR_MPS_MAX_CLIENTS_REACHED, kNoDevice},
    {CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED, kNoDevice},
    {CUDA_ERROR_MPS_CLIENT_TERMINATED, kDeviceLost, kSticky},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, kIo},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, kIo},
    {CUDA_ERROR_TIMEOUT, kIo},
    {CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, kIo},
    {CUDA_ERROR_EXTERNAL_DEVICE, kIo},
    {CUDA_ERROR_INVALID_CLUSTER_SIZE, kUnsupported},
    {CUDA_ERROR_FUNCTION_NOT_LOADED, kIo},
    {CUDA_ERROR_KEY_ROTATION, kIo},
    {CUDA_ERROR_UNKNOWN, kDeviceLost, kSticky},
};

struct Name {
  CUresult code;
  const char* text;
};
constexpr Name kNames[] = {
#define CUDA_RESULT(name, number) {name, #name},
#include "driver/cuda_results.def"
};

template <class Table>
auto find(const Table& table, CUresult code) {
  const auto* row = std::ranges::find(table, code, [](const auto& entry) { return entry.code; });
  return row != std::end(table) ? row : nullptr;
}

// "CUDA_ERROR_NO_DEVICE" -> "cuda-error-no-device"
std::string id_of(std::string_view name) {
  std::string id(name);
  std::ranges::transform(id, id.begin(), [](char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return id;
}

}  // namespace

Description describe(CUresult code) {
  const Name* known = find(kNames, code);
  const std::string name = known != nullptr ? known->text : fmt::format("CUDA_ERROR_{}", static_cast<int>(code));
  if (const Row* row = find(kRows, code))
    return {name, {row->cause != nullptr ? row->cause : id_of(name)}, row->kind, row->sticky};
  if (known != nullptr) return {name, {"cuda-error-unexpected", {{"name", name}}}, ErrorKind::kIo, false};
  return {name, {"cuda-error-unknown-to-hearth", {{"code", std::to_string(code)}}}, ErrorKind::kIo, false};
}

bool is_sticky(CUresult code) {
  const Row* row = find(kRows, code);
  return row != nullptr && row->sticky;
}

std::optional<int> code_of_name(std::string_view name) {
  const auto* known = std::ranges::find(kNames, name, [](const Name& entry) { return std::string_view(entry.text); });
  return known != std::end(kNames) ? std::optional<int>(known->code) : std::nullopt;
}

Cause Problem::with_code() const {
  Cause with = why;
  if (code != 0) with.detail += fmt::format("{}[{}, {}]", with.detail.empty() ? "" : " ", name, code);
  return with;
}

Problem problem_of(CUresult code) {
  Description description = describe(code);
  return {code, std::move(description.name), std::move(description.cause)};
}

Status check(CUresult code, std::string_view doing) {
  if (code == CUDA_SUCCESS) return {};
  Cause cause = problem_of(code).with_code();
  cause.during = fmt::format("the GPU driver failed at {}", doing);
  return caused(describe(code).kind, std::move(cause));
}

}  // namespace hearth::driver
