// What the results of the CUDA driver mean to a user of hearth, where they are not of one cause of the catalogue
// (causes/*.cpp). What the codes mean is from NVIDIA's "CUDA Driver API" reference, what helps from public reports of
// users.
#include "base/cause.h"

namespace hearth::doctor {
namespace {

constexpr const char* kReport = "this is a fault of hearth: report it with the log of --verbose and the GPU's name";
constexpr const char* kRestart =
    "hearth rebuilds the GPU's context by itself; if it comes again, restart hearth and report it with the log";

const CauseWords kWords[] = {
    {"cuda-success", "no error", "nothing is to be done"},
    {"cuda-error-invalid-value", "the driver was given a value that it does not take", kReport},
    {"cuda-error-out-of-memory", "the GPU has not enough free memory",
     "close other programs that use the GPU (nvidia-smi lists them), or use a smaller model or --ctx, or --kv-type "
     "q8_0"},
    {"cuda-error-not-initialized",
     "the driver could not be initialised: with the open kernel modules of 570 to 575 this is mostly a fault of its "
     "unified memory module (nvidia_uvm), else that module is not loaded",
     "run \"sudo nvidia-modprobe -u -c=0\"; if that does not help, write \"options nvidia_uvm uvm_disable_hmm=1\" to "
     "/etc/modprobe.d/nvidia-uvm.conf and reboot, or install a newer driver"},
    {"cuda-error-deinitialized", "the driver is shutting down because the process ends",
     "start hearth again if it did not end on purpose"},
    {"cuda-error-no-device", "the driver is installed but shows no GPU to this process",
     "check CUDA_VISIBLE_DEVICES (it can only hide GPUs; unset it), start containers with --gpus all, and see whether "
     "nvidia-smi lists the GPU"},
    {"cuda-error-invalid-device", "there is no GPU with that number, or it is a MIG slice addressed wrongly",
     "choose among the GPUs that \"nvidia-smi -L\" lists; a MIG slice needs CUDA_VISIBLE_DEVICES=MIG-<its UUID>"},
    {"cuda-error-device-not-licensed", "the virtual GPU has no licence",
     "configure NVIDIA's licence client in this virtual machine, or give the machine the whole GPU (passthrough)"},
    {"cuda-error-invalid-image", "the driver does not accept the format of hearth's GPU kernels",
     "install hearth again, as the file may be damaged; if that does not help, update the NVIDIA driver"},
    {"cuda-error-invalid-context", "the calling thread has no valid GPU context",
     "restart hearth, as the GPU may have been reset by another program; if it comes again, report it with the log"},
    {"cuda-error-map-failed", "memory could not be mapped into the GPU's address space",
     "restart hearth; if it comes again, look for NVIDIA messages (Xid) in the kernel log: \"sudo dmesg | grep NVRM\""},
    {"cuda-error-unmap-failed", "memory could not be unmapped from the GPU's address space",
     "restart hearth; if it comes again, update the NVIDIA driver"},
    {"cuda-error-already-mapped", "GPU memory was mapped twice", kReport},
    {"cuda-error-no-binary-for-gpu",
     "hearth's GPU kernels hold no machine code for this GPU and the driver could not compile them for it",
     "use a newer release of hearth; if this is a build of your own, build it for this GPU's compute capability"},
    {"cuda-error-not-mapped", "GPU memory was used that is not mapped", kReport},
    {"cuda-error-unsupported-limit", "the GPU does not have a limit that hearth asked for", kReport},
    {"cuda-error-context-already-in-use", "the GPU's context is in use by another thread", kReport},
    {"cuda-error-peer-access-unsupported", "the GPUs cannot read each other's memory",
     "nothing is to be done: use one GPU, or let hearth copy through the host's memory"},
    {"cuda-error-invalid-ptx", "the driver's compiler rejected hearth's GPU kernels",
     "update the NVIDIA driver; if the newest rejects them too, report it with the GPU's name and the log"},
    {"cuda-error-nvlink-uncorrectable", "the NVLink connection between GPUs had an uncorrectable error",
     "reboot, check the NVLink bridges and cables (\"nvidia-smi nvlink -e\" counts errors), or use one GPU only"},
    {"cuda-error-jit-compiler-not-found",
     "the driver's compiler (libnvidia-ptxjitcompiler.so.1) is not installed or not visible here, and hearth has no "
     "machine code for this GPU",
     "install the driver with its compute libraries; in a container set NVIDIA_DRIVER_CAPABILITIES=compute,utility and "
     "create it anew"},
    {"cuda-error-unsupported-ptx-version",
     "hearth's GPU kernels are in a newer PTX version than the driver's compiler knows",
     "update the NVIDIA driver, or use a release build of hearth, whose kernels suit every driver from 525 on"},
    {"cuda-error-jit-compilation-disabled",
     "compiling GPU kernels is switched off, and hearth has no machine code for this GPU",
     "unset CUDA_DISABLE_PTX_JIT"},
    {"cuda-error-unsupported-exec-affinity", "the GPU cannot reserve a part of itself for a context",
     "check the settings of NVIDIA's Multi-Process Service (MPS), or stop it"},
    {"cuda-error-contained",
     "the GPU had a memory error that it contained: the data of this context is lost, other programs go on",
     "hearth rebuilds the GPU's context by itself; if it comes again, reboot so that the GPU replaces the memory rows"},
    {"cuda-error-invalid-source", "the source of hearth's GPU kernels is not valid for this driver",
     "install hearth again, as its file may be damaged; if that does not help, report it with the driver's version"},
    {"cuda-error-file-not-found", "the driver misses a file of its own",
     "reinstall the NVIDIA driver; in a container create it anew, as the host's driver may have been updated"},
    {"cuda-error-shared-object-symbol-not-found",
     "one of the driver's libraries lacks a symbol that another needs: they are of different versions",
     "reinstall the NVIDIA driver so that all its libraries have one version, then run ldconfig"},
    {"cuda-error-shared-object-init-failed", "one of the driver's libraries could not be initialised",
     "reinstall the NVIDIA driver, and check that no limit on memory or address space (ulimit -v) is set"},
    {"cuda-error-invalid-handle", "the driver was given an object that does not exist any more", kReport},
    {"cuda-error-illegal-state", "an object of the driver was not in the state that a call needs", kReport},
    {"cuda-error-not-found",
     "the driver does not have something that was asked for by name (on WSL2: a Linux driver is in the place of the "
     "Windows one)",
     "update the NVIDIA driver; on WSL2 remove every NVIDIA driver package inside Linux and update the Windows driver"},
    {"cuda-error-not-ready", "the GPU has not finished yet", "nothing is to be done: ask again later"},
    {"cuda-error-illegal-address", "a GPU kernel accessed memory that is not its own", kRestart},
    {"cuda-error-launch-out-of-resources", "a GPU kernel needs more registers or shared memory than this GPU has",
     kReport},
    {"cuda-error-launch-timeout",
     "a GPU kernel ran longer than the display driver allows on a GPU that drives a screen",
     "use a GPU without a screen, or switch the display driver's time limit off (option Interactive \"0\" in Xorg)"},
    {"cuda-error-peer-access-already-enabled", "access between these GPUs was enabled twice", kReport},
    {"cuda-error-peer-access-not-enabled", "access between these GPUs was used but not enabled", kReport},
    {"cuda-error-primary-context-active", "the GPU's primary context is in use and cannot be changed", kReport},
    {"cuda-error-context-is-destroyed", "the GPU's context was destroyed while it was in use",
     "hearth rebuilds it by itself; if it comes again, look for a program that resets the GPU"},
    {"cuda-error-assert", "an assertion in a GPU kernel failed", kRestart},
    {"cuda-error-too-many-peers", "a GPU reached the number of GPUs that it can access directly",
     "use fewer GPUs for one model"},
    {"cuda-error-host-memory-already-registered", "host memory was pinned twice", kReport},
    {"cuda-error-host-memory-not-registered", "host memory was unpinned that is not pinned", kReport},
    {"cuda-error-hardware-stack-error", "a GPU kernel's call stack was corrupted or too small", kRestart},
    {"cuda-error-illegal-instruction", "the GPU met an instruction that it does not have",
     "install hearth again, as its file may be damaged, and update the driver; if it comes again, report it with the "
     "GPU's name"},
    {"cuda-error-misaligned-address", "a GPU kernel accessed an address that is not aligned", kRestart},
    {"cuda-error-invalid-address-space", "a GPU kernel used an address of the wrong kind of memory", kRestart},
    {"cuda-error-invalid-pc", "a GPU kernel jumped to an address that holds no instructions", kRestart},
    {"cuda-error-launch-failed", "a GPU kernel was stopped by an error that the hardware does not tell more about",
     "look for NVIDIA messages (Xid) in the kernel log: \"sudo dmesg | grep NVRM\"; Xid 79 is a power, heat or riser "
     "problem, 48 or 63 defective memory; hearth rebuilds the GPU's context by itself"},
    {"cuda-error-cooperative-launch-too-large",
     "a cooperative GPU kernel has more blocks than the GPU can run at the same time", kReport},
    {"cuda-error-tensor-memory-leak", "a GPU kernel ended without giving back its tensor memory", kRestart},
    {"cuda-error-not-supported", "the operation is not supported on this system, mostly by a virtual GPU",
     "enable unified memory for the virtual GPU in the hypervisor, use a C- or Q-series profile, or pass the whole GPU "
     "through"},
    {"cuda-error-mps-connection-failed", "NVIDIA's Multi-Process Service (MPS) could not be reached",
     "start it (\"nvidia-cuda-mps-control -d\"), or unset CUDA_MPS_PIPE_DIRECTORY to do without"},
    {"cuda-error-mps-rpc-failure", "a request to NVIDIA's Multi-Process Service (MPS) failed",
     "restart the service: \"echo quit | nvidia-cuda-mps-control\", then \"nvidia-cuda-mps-control -d\""},
    {"cuda-error-mps-server-not-ready",
     "NVIDIA's Multi-Process Service (MPS) cannot take clients now: it recovers from a fault or has another user's",
     "try again in a minute, or run hearth as the user whose processes the service holds"},
    {"cuda-error-mps-max-clients-reached", "NVIDIA's Multi-Process Service (MPS) has all its clients",
     "stop other programs that use the GPU through the service"},
    {"cuda-error-mps-max-connections-reached",
     "the GPU has all the connections that NVIDIA's Multi-Process Service (MPS) allows",
     "set CUDA_DEVICE_MAX_CONNECTIONS lower for the programs that share the GPU"},
    {"cuda-error-mps-client-terminated",
     "NVIDIA's Multi-Process Service (MPS) ended this client, because of its own or another client's fault",
     "restart hearth; without the service the programs on the GPU cannot end each other"},
    {"cuda-error-stream-capture-unsupported", "a stream was recording work that cannot be recorded", kReport},
    {"cuda-error-stream-capture-invalidated", "the recording of a stream failed because of an earlier error", kReport},
    {"cuda-error-timeout", "waiting for the GPU took longer than its limit",
     "look for other programs that keep the GPU busy: nvidia-smi"},
    {"cuda-error-graph-exec-update-failure", "a graph of GPU work could not be changed in place", kReport},
    {"cuda-error-external-device", "another device that the GPU exchanges data with failed",
     "look for hardware messages in the kernel log: sudo dmesg"},
    {"cuda-error-invalid-cluster-size", "a GPU kernel's cluster of blocks is too large for this GPU", kReport},
    {"cuda-error-function-not-loaded", "a GPU kernel was used that is not loaded", kReport},
    {"cuda-error-key-rotation", "the GPU was changing its encryption keys (confidential computing)",
     "try again: it lasts a moment"},
    {"cuda-error-unknown",
     "the driver failed and does not know why: after sleep or hibernation its memory module (nvidia_uvm) is often "
     "stale, right after boot often not loaded",
     "run \"sudo rmmod nvidia_uvm; sudo modprobe nvidia_uvm\" (or \"sudo nvidia-modprobe -u -c=0\"), or reboot; in a "
     "container create it anew"},
    {"cuda-error-unexpected", "the driver answered {name}, which none of hearth's calls should lead to", kReport},
    {"cuda-error-unknown-to-hearth", "the driver answered error {code}, which this version of hearth does not know",
     "look the number up in NVIDIA's CUDA Driver API reference under CUresult, or use a newer hearth"},
};

const RegisterAll<CauseWords> registered(kWords);

}  // namespace
}  // namespace hearth::doctor
