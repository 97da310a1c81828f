// The kernels inside this binary: for every file of kernels/ PTX and machine code (cmake/cuda.cmake).
#pragma once

#include <span>
#include <string>

namespace hearth::cuda {

enum class ImageKind { kPtx, kMachineCode };

struct Image {
  const char* source;      // the .cu file's name without its ending; its images are alternatives
  int compute_capability;  // 75 for 7.5. PTX runs from there on; machine code there and in later minor versions
  bool exact;              // of an "a" target: runs on this capability alone
  ImageKind kind;
  int toolkit;  // of machine code: the CUDA that made it; drivers refuse that of a newer major version than theirs
  const char* begin;  // a zstd frame
  const char* end;

  // PTX text, or an ELF file: as the driver takes it, with the null byte that it wants behind PTX (c_str()).
  std::string content() const;
};

// Empty if nvcc was not found when hearth was built.
std::span<const Image> embedded_images();

}  // namespace hearth::cuda
