// What cuModuleLoadData() is given: PTX text, a cubin (ELF), or a fat binary that holds several of both.
//
// The container, as nvcc and fatbinary 11 to 13 write it (not documented by NVIDIA; read off their output): a header
// of 16 bytes (magic 0xBA55ED50, u16 version 1, u16 header size, u64 bytes that follow), then entries, each with a
// header: u16 kind (1 PTX, 2 ELF), u16, u32 header size, u64 payload size, u32 compressed size (0: not compressed),
// u32, u16 minor, u16 major version, u32 architecture (86), u32, u32, u64 flags (0x2000 LZ4, 0x8000 zstd, 0x100000
// architecture-specific like sm_90a), u64, u64 size without compression. nvcc's wrapper (magic 0x466243B1) points to
// it. A cubin's e_flags hold the architecture, in bits 8-15 from ELF ABI version 8 (CUDA 13) on, before that in bits
// 0-7; its note .note.nv.tkinfo names the toolkit.
//
// The simulator cannot run machine code. For a cubin that the real driver would take it applies the real driver's
// rules and then runs the PTX beside it in the fat binary, or a file of the folder HEARTH_SIM_PTX that has the same
// kernels (side_file.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "driver/cuda_abi.h"

namespace hearth::sim::cuda {

struct ImageEntry {
  bool is_ptx = false;
  int architecture = 0;   // 86
  bool specific = false;  // sm_90a: runs on 9.0 only
  bool compressed = false;
  std::string bytes;    // PTX text or ELF file, decompressed
  int toolkit = 0;      // of an ELF: the CUDA version that made it (13000) as far as it tells, or 0
  std::string problem;  // not empty: the entry cannot be read (unknown compression), and why
};

// All entries of an image. Empty `entries` with `problem`: not an image at all.
struct Image {
  std::vector<ImageEntry> entries;
  bool is_container = false;
  std::string problem;
};
// `data` is trusted to be as long as its own headers say, as the driver's interface gives no length.
Image read_image(const void* data);

// A decision as the real driver takes it, and the PTX with which the simulator acts it out.
struct Choice {
  CUresult result = CUDA_SUCCESS;
  std::string message;  // for the JIT error log when result is an error
  std::string ptx;
  int binary_version = 0;  // 86: machine code of sm_86 was taken; the device's own when compiled from PTX
  bool compiled = false;   // from PTX by the driver's compiler
};
struct Target {
  int compute_capability = 0;
  int cuda_version = 0;  // the driver's
  int newest_ptx = 0;
};
Choice choose_image(const Image& image, const Target& target);

}  // namespace hearth::sim::cuda
