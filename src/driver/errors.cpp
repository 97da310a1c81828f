#include "driver/errors.h"

#include <algorithm>
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
  const char* cause;
  const char* remedy;
  bool sticky = false;
};

constexpr const char* kReport = "this is a fault of hearth: report it with the log of --verbose and the GPU's name";
constexpr const char* kRestart =
    "hearth rebuilds the GPU's context by itself; if it comes again, restart hearth and report it with the log";

// What the codes mean is from NVIDIA's "CUDA Driver API" reference, what helps from public reports of users.
constexpr Row kRows[] = {
    {CUDA_SUCCESS, kIo, "no error", "nothing is to be done"},
    {CUDA_ERROR_INVALID_VALUE, kIo, "the driver was given a value that it does not take", kReport},
    {CUDA_ERROR_OUT_OF_MEMORY, kNoMemory, "the GPU has not enough free memory",
     "close other programs that use the GPU (nvidia-smi lists them), or use a smaller model or --ctx, or --kv-type "
     "q8_0"},
    {CUDA_ERROR_NOT_INITIALIZED, kNoDevice,
     "the driver could not be initialised: with the open kernel modules of 570 to 575 this is mostly a fault of its "
     "unified memory module (nvidia_uvm), else that module is not loaded",
     "run \"sudo nvidia-modprobe -u -c=0\"; if that does not help, write \"options nvidia_uvm uvm_disable_hmm=1\" to "
     "/etc/modprobe.d/nvidia-uvm.conf and reboot, or install a newer driver"},
    {CUDA_ERROR_DEINITIALIZED, kNoDevice, "the driver is shutting down because the process ends",
     "start hearth again if it did not end on purpose"},
    {CUDA_ERROR_STUB_LIBRARY, kNoDevice,
     "the loader found the CUDA toolkit's stub of libcuda.so.1, which is for linking only, instead of the driver's "
     "library",
     "take the directory that ends in \"stubs\" out of LD_LIBRARY_PATH and /etc/ld.so.conf.d, then run ldconfig"},
    {CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER, kNoDevice, "the NVIDIA driver is older than a function that hearth calls",
     "install NVIDIA driver 525 or newer on the host (on WSL2: in Windows)"},
    {CUDA_ERROR_DEVICE_UNAVAILABLE, kNoDevice,
     "the GPU takes no further process: its compute mode is exclusive and another process has it, or prohibited",
     "stop the other process (nvidia-smi lists it), or run \"sudo nvidia-smi -c DEFAULT\""},
    {CUDA_ERROR_NO_DEVICE, kNoDevice, "the driver is installed but shows no GPU to this process",
     "check CUDA_VISIBLE_DEVICES (it can only hide GPUs; unset it), start containers with --gpus all, and see whether "
     "nvidia-smi lists the GPU"},
    {CUDA_ERROR_INVALID_DEVICE, kNoDevice, "there is no GPU with that number, or it is a MIG slice addressed wrongly",
     "choose among the GPUs that \"nvidia-smi -L\" lists; a MIG slice needs CUDA_VISIBLE_DEVICES=MIG-<its UUID>"},
    {CUDA_ERROR_DEVICE_NOT_LICENSED, kNoDevice, "the virtual GPU has no licence",
     "configure NVIDIA's licence client in this virtual machine, or give the machine the whole GPU (passthrough)"},
    {CUDA_ERROR_INVALID_IMAGE, kUnsupported, "the driver does not accept the format of hearth's GPU kernels",
     "install hearth again, as the file may be damaged; if that does not help, update the NVIDIA driver"},
    {CUDA_ERROR_INVALID_CONTEXT, kIo, "the calling thread has no valid GPU context",
     "restart hearth, as the GPU may have been reset by another program; if it comes again, report it with the log"},
    {CUDA_ERROR_MAP_FAILED, kIo, "memory could not be mapped into the GPU's address space",
     "restart hearth; if it comes again, look for NVIDIA messages (Xid) in the kernel log: \"sudo dmesg | grep NVRM\""},
    {CUDA_ERROR_UNMAP_FAILED, kIo, "memory could not be unmapped from the GPU's address space",
     "restart hearth; if it comes again, update the NVIDIA driver"},
    {CUDA_ERROR_ALREADY_MAPPED, kIo, "GPU memory was mapped twice", kReport},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, kUnsupported,
     "hearth's GPU kernels hold no machine code for this GPU and the driver could not compile them for it",
     "use a newer release of hearth; if this is a build of your own, build it for this GPU's compute capability"},
    {CUDA_ERROR_NOT_MAPPED, kIo, "GPU memory was used that is not mapped", kReport},
    {CUDA_ERROR_ECC_UNCORRECTABLE, kDeviceLost, "the GPU's memory had an error that could not be corrected (ECC)",
     "stop all users of the GPU and reset it (\"sudo nvidia-smi --gpu-reset\") or reboot; if it comes again, the card "
     "is defective",
     kSticky},
    {CUDA_ERROR_UNSUPPORTED_LIMIT, kUnsupported, "the GPU does not have a limit that hearth asked for", kReport},
    {CUDA_ERROR_CONTEXT_ALREADY_IN_USE, kIo, "the GPU's context is in use by another thread", kReport},
    {CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, kUnsupported, "the GPUs cannot read each other's memory",
     "nothing is to be done: use one GPU, or let hearth copy through the host's memory"},
    {CUDA_ERROR_INVALID_PTX, kUnsupported, "the driver's compiler rejected hearth's GPU kernels",
     "update the NVIDIA driver; if the newest rejects them too, report it with the GPU's name and the log"},
    {CUDA_ERROR_NVLINK_UNCORRECTABLE, kDeviceLost, "the NVLink connection between GPUs had an uncorrectable error",
     "reboot, check the NVLink bridges and cables (\"nvidia-smi nvlink -e\" counts errors), or use one GPU only",
     kSticky},
    {CUDA_ERROR_JIT_COMPILER_NOT_FOUND, kUnsupported,
     "the driver's compiler (libnvidia-ptxjitcompiler.so.1) is not installed or not visible here, and hearth has no "
     "machine code for this GPU",
     "install the driver with its compute libraries; in a container set NVIDIA_DRIVER_CAPABILITIES=compute,utility and "
     "create it anew"},
    {CUDA_ERROR_UNSUPPORTED_PTX_VERSION, kUnsupported,
     "hearth's GPU kernels are in a newer PTX version than the driver's compiler knows",
     "update the NVIDIA driver, or use a release build of hearth, whose kernels suit every driver from 525 on"},
    {CUDA_ERROR_JIT_COMPILATION_DISABLED, kUnsupported,
     "compiling GPU kernels is switched off, and hearth has no machine code for this GPU",
     "unset CUDA_DISABLE_PTX_JIT"},
    {CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY, kUnsupported, "the GPU cannot reserve a part of itself for a context",
     "check the settings of NVIDIA's Multi-Process Service (MPS), or stop it"},
    {CUDA_ERROR_CONTAINED, kDeviceLost,
     "the GPU had a memory error that it contained: the data of this context is lost, other programs go on",
     "hearth rebuilds the GPU's context by itself; if it comes again, reboot so that the GPU replaces the memory rows",
     kSticky},
    {CUDA_ERROR_INVALID_SOURCE, kUnsupported, "the source of hearth's GPU kernels is not valid for this driver",
     "install hearth again, as its file may be damaged; if that does not help, report it with the driver's version"},
    {CUDA_ERROR_FILE_NOT_FOUND, kNoDevice, "the driver misses a file of its own",
     "reinstall the NVIDIA driver; in a container create it anew, as the host's driver may have been updated"},
    {CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND, kNoDevice,
     "one of the driver's libraries lacks a symbol that another needs: they are of different versions",
     "reinstall the NVIDIA driver so that all its libraries have one version, then run ldconfig"},
    {CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, kNoDevice, "one of the driver's libraries could not be initialised",
     "reinstall the NVIDIA driver, and check that no limit on memory or address space (ulimit -v) is set"},
    {CUDA_ERROR_OPERATING_SYSTEM, kNoDevice,
     "a call of the driver to the operating system failed, mostly on the device files or by a container's rules",
     "check that /dev/nvidiactl, /dev/nvidia0 and /dev/nvidia-uvm exist and this user may open them (\"sudo "
     "nvidia-modprobe -u -c=0\" makes them, nvidia-persistenced keeps them); in a container test once with "
     "--security-opt seccomp=unconfined and --ulimit memlock=-1"},
    {CUDA_ERROR_INVALID_HANDLE, kIo, "the driver was given an object that does not exist any more", kReport},
    {CUDA_ERROR_ILLEGAL_STATE, kIo, "an object of the driver was not in the state that a call needs", kReport},
    {CUDA_ERROR_NOT_FOUND, kNoDevice,
     "the driver does not have something that was asked for by name (on WSL2: a Linux driver is in the place of the "
     "Windows one)",
     "update the NVIDIA driver; on WSL2 remove every NVIDIA driver package inside Linux and update the Windows driver"},
    {CUDA_ERROR_NOT_READY, kIo, "the GPU has not finished yet", "nothing is to be done: ask again later"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, kDeviceLost, "a GPU kernel accessed memory that is not its own", kRestart, kSticky},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, kUnsupported,
     "a GPU kernel needs more registers or shared memory than this GPU has", kReport},
    {CUDA_ERROR_LAUNCH_TIMEOUT, kDeviceLost,
     "a GPU kernel ran longer than the display driver allows on a GPU that drives a screen",
     "use a GPU without a screen, or switch the display driver's time limit off (option Interactive \"0\" in Xorg)",
     kSticky},
    {CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, kIo, "access between these GPUs was enabled twice", kReport},
    {CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, kIo, "access between these GPUs was used but not enabled", kReport},
    {CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, kIo, "the GPU's primary context is in use and cannot be changed", kReport},
    {CUDA_ERROR_CONTEXT_IS_DESTROYED, kDeviceLost, "the GPU's context was destroyed while it was in use",
     "hearth rebuilds it by itself; if it comes again, look for a program that resets the GPU", kSticky},
    {CUDA_ERROR_ASSERT, kDeviceLost, "an assertion in a GPU kernel failed", kRestart, kSticky},
    {CUDA_ERROR_TOO_MANY_PEERS, kUnsupported, "a GPU reached the number of GPUs that it can access directly",
     "use fewer GPUs for one model"},
    {CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, kIo, "host memory was pinned twice", kReport},
    {CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, kIo, "host memory was unpinned that is not pinned", kReport},
    {CUDA_ERROR_HARDWARE_STACK_ERROR, kDeviceLost, "a GPU kernel's call stack was corrupted or too small", kRestart,
     kSticky},
    {CUDA_ERROR_ILLEGAL_INSTRUCTION, kDeviceLost, "the GPU met an instruction that it does not have",
     "install hearth again, as its file may be damaged, and update the driver; if it comes again, report it with the "
     "GPU's name",
     kSticky},
    {CUDA_ERROR_MISALIGNED_ADDRESS, kDeviceLost, "a GPU kernel accessed an address that is not aligned", kRestart,
     kSticky},
    {CUDA_ERROR_INVALID_ADDRESS_SPACE, kDeviceLost, "a GPU kernel used an address of the wrong kind of memory",
     kRestart, kSticky},
    {CUDA_ERROR_INVALID_PC, kDeviceLost, "a GPU kernel jumped to an address that holds no instructions", kRestart,
     kSticky},
    {CUDA_ERROR_LAUNCH_FAILED, kDeviceLost,
     "a GPU kernel was stopped by an error that the hardware does not tell more about",
     "look for NVIDIA messages (Xid) in the kernel log: \"sudo dmesg | grep NVRM\"; Xid 79 is a power, heat or riser "
     "problem, 48 or 63 defective memory; hearth rebuilds the GPU's context by itself",
     kSticky},
    {CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, kUnsupported,
     "a cooperative GPU kernel has more blocks than the GPU can run at the same time", kReport},
    {CUDA_ERROR_TENSOR_MEMORY_LEAK, kDeviceLost, "a GPU kernel ended without giving back its tensor memory", kRestart,
     kSticky},
    {CUDA_ERROR_NOT_PERMITTED, kNoDevice,
     "the operation is not permitted: a container that had the GPU loses it when its device rules are rewritten "
     "(systemctl daemon-reload)",
     "create the container anew; for good: give it the GPU by CDI (--device nvidia.com/gpu=all), or set "
     "\"native.cgroupdriver=cgroupfs\" in Docker's daemon.json"},
    {CUDA_ERROR_NOT_SUPPORTED, kNoDevice, "the operation is not supported on this system, mostly by a virtual GPU",
     "enable unified memory for the virtual GPU in the hypervisor, use a C- or Q-series profile, or pass the whole GPU "
     "through"},
    {CUDA_ERROR_SYSTEM_NOT_READY, kNoDevice,
     "the GPUs wait for NVIDIA's fabric manager (servers with NVSwitch), which does not run",
     "install nvidia-fabricmanager in exactly the driver's version and run \"sudo systemctl enable --now "
     "nvidia-fabricmanager\""},
    {CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, kNoDevice,
     "the driver's kernel module and its library libcuda.so.1 have different versions, mostly after an update",
     "reboot; if it stays, reinstall the driver so that both have the same version; create containers anew, and take a "
     "\"compat\" directory out of their LD_LIBRARY_PATH"},
    {CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, kNoDevice,
     "the container brings a libcuda.so.1 of its own (CUDA forward compatibility), which works on data centre GPUs "
     "only",
     "use a container image whose CUDA version the host's driver supports, or update the host's driver, or take the "
     "\"compat\" directory out of LD_LIBRARY_PATH"},
    {CUDA_ERROR_MPS_CONNECTION_FAILED, kNoDevice, "NVIDIA's Multi-Process Service (MPS) could not be reached",
     "start it (\"nvidia-cuda-mps-control -d\"), or unset CUDA_MPS_PIPE_DIRECTORY to do without"},
    {CUDA_ERROR_MPS_RPC_FAILURE, kNoDevice, "a request to NVIDIA's Multi-Process Service (MPS) failed",
     "restart the service: \"echo quit | nvidia-cuda-mps-control\", then \"nvidia-cuda-mps-control -d\""},
    {CUDA_ERROR_MPS_SERVER_NOT_READY, kNoDevice,
     "NVIDIA's Multi-Process Service (MPS) cannot take clients now: it recovers from a fault or has another user's",
     "try again in a minute, or run hearth as the user whose processes the service holds"},
    {CUDA_ERROR_MPS_MAX_CLIENTS_REACHED, kNoDevice, "NVIDIA's Multi-Process Service (MPS) has all its clients",
     "stop other programs that use the GPU through the service"},
    {CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED, kNoDevice,
     "the GPU has all the connections that NVIDIA's Multi-Process Service (MPS) allows",
     "set CUDA_DEVICE_MAX_CONNECTIONS lower for the programs that share the GPU"},
    {CUDA_ERROR_MPS_CLIENT_TERMINATED, kDeviceLost,
     "NVIDIA's Multi-Process Service (MPS) ended this client, because of its own or another client's fault",
     "restart hearth; without the service the programs on the GPU cannot end each other", kSticky},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, kIo, "a stream was recording work that cannot be recorded", kReport},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, kIo, "the recording of a stream failed because of an earlier error",
     kReport},
    {CUDA_ERROR_TIMEOUT, kIo, "waiting for the GPU took longer than its limit",
     "look for other programs that keep the GPU busy: nvidia-smi"},
    {CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, kIo, "a graph of GPU work could not be changed in place", kReport},
    {CUDA_ERROR_EXTERNAL_DEVICE, kIo, "another device that the GPU exchanges data with failed",
     "look for hardware messages in the kernel log: sudo dmesg"},
    {CUDA_ERROR_INVALID_CLUSTER_SIZE, kUnsupported, "a GPU kernel's cluster of blocks is too large for this GPU",
     kReport},
    {CUDA_ERROR_FUNCTION_NOT_LOADED, kIo, "a GPU kernel was used that is not loaded", kReport},
    {CUDA_ERROR_KEY_ROTATION, kIo, "the GPU was changing its encryption keys (confidential computing)",
     "try again: it lasts a moment"},
    {CUDA_ERROR_UNKNOWN, kDeviceLost,
     "the driver failed and does not know why: after sleep or hibernation its memory module (nvidia_uvm) is often "
     "stale,"
     " right after boot often not loaded",
     "run \"sudo rmmod nvidia_uvm; sudo modprobe nvidia_uvm\" (or \"sudo nvidia-modprobe -u -c=0\"), or reboot; in a "
     "container create it anew",
     kSticky},
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

}  // namespace

Description describe(CUresult code) {
  const Name* known = find(kNames, code);
  const std::string name = known != nullptr ? known->text : fmt::format("CUDA_ERROR_{}", static_cast<int>(code));
  if (const Row* row = find(kRows, code)) return {name, row->cause, row->remedy, row->kind, row->sticky};
  if (known != nullptr) {  // a part of CUDA that hearth does not use
    return {name, fmt::format("the driver answered {}, which none of hearth's calls should lead to", name), kReport,
            ErrorKind::kIo, false};
  }
  return {name, fmt::format("the driver answered error {}, which this version of hearth does not know", int{code}),
          "look the number up in NVIDIA's CUDA Driver API reference under CUresult, or use a newer hearth",
          ErrorKind::kIo, false};
}

bool is_sticky(CUresult code) {
  const Row* row = find(kRows, code);
  return row != nullptr && row->sticky;
}

std::optional<int> code_of_name(std::string_view name) {
  const auto* known = std::ranges::find(kNames, name, [](const Name& entry) { return std::string_view(entry.text); });
  return known != std::end(kNames) ? std::optional<int>(known->code) : std::nullopt;
}

std::string Problem::cause_with_code() const {
  return code == 0 ? cause : fmt::format("{} [{}, {}]", cause, name, code);
}

std::string Problem::text() const {
  return cause_with_code() + "; " + remedy;
}

Problem problem_of(CUresult code) {
  Description description = describe(code);
  return {code, std::move(description.name), std::move(description.cause), std::move(description.remedy)};
}

Status check(CUresult code, std::string_view doing) {
  if (code == CUDA_SUCCESS) return {};
  const Problem problem = problem_of(code);
  return with_remedy(describe(code).kind,
                     fmt::format("the GPU driver failed at {}: {}", doing, problem.cause_with_code()), problem.remedy);
}

}  // namespace hearth::driver
