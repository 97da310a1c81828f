// What hearth itself meets on the way to a GPU, where it is none of the catalogue's causes (causes/*.cpp) and no result
// of the driver (cuda_codes.cpp).
#include "base/cause.h"

namespace hearth::doctor {
namespace {

constexpr const char* kXid = "look for NVIDIA messages (Xid) in the kernel log (\"sudo dmesg | grep NVRM\") and reboot";

const CauseWords kWords[] = {
    // The driver's library.
    {"driver-library-broken", "the driver's library cannot be loaded ({loader})",
     "reinstall the NVIDIA driver for this kind of machine (64 bits); in a container create it anew"},
    {"driver-symbol-missing", "{library} is not a complete CUDA driver: it lacks {symbol}",
     "take what replaces NVIDIA's libcuda.so.1 (LD_PRELOAD, LD_LIBRARY_PATH) away, or reinstall the NVIDIA driver"},
    {"driver-does-not-answer", "the NVIDIA driver did not answer within {seconds} s", kXid},
    {"gpu-does-not-answer", "the GPU did not answer when it was asked for its facts", kXid},
    {"driver-library-missing-in-wsl2", "libcuda.so.1 was not found, although Windows offers its GPU",
     "put /usr/lib/wsl/lib on the library path (/etc/ld.so.conf.d, then ldconfig), and update the Windows driver; "
     "install no NVIDIA driver inside WSL"},
    {"driver-library-missing", "NVIDIA's kernel module is loaded, but its library libcuda.so.1 was not found",
     "install the driver's compute libraries (Debian: libcuda1, Ubuntu: libnvidia-compute-<version>), then run "
     "ldconfig"},
    {"no-gpu", "no NVIDIA GPU and no NVIDIA driver (libcuda.so.1) were found",
     "if the machine has an NVIDIA GPU, install the NVIDIA driver, 525 or newer"},

    // The GPU and this build.
    {"hearth-without-kernels", "this build of hearth has no GPU kernels",
     "use a release of hearth, or build it where nvcc is installed"},
    {"gpu-too-old-for-hearth", "{gpu} has compute capability {capability}",
     "hearth needs {needed} (Turing, 2018) or newer"},
    {"gpu-failed", "{error}", "\"--gpu off\" does without the GPU"},
    {"gpu-failed-with-advice", "{error}", "{remedy}"},

    // Its memory.
    {"model-too-large-for-vram", "the whole model needs {needed} of GPU memory, but {room}",
     "{help} (\"hearth plan\" shows all)"},
    {"gpu-memory-full", "{room}, too little for the rest of the model",
     "it goes there by itself when memory becomes free"},
    {"vision-encoder-on-cpu",
     "the encoder of pictures needs {needed} of GPU memory, but {room}; on the CPU each new "
     "picture takes seconds",
     "free GPU memory, or use a shorter context or a smaller quantisation, and load the model again"},
    {"gpu-memory-not-to-be-had", "{error}", "it goes there by itself when memory becomes free"},
};

const RegisterAll<CauseWords> registered(kWords);

}  // namespace
}  // namespace hearth::doctor
