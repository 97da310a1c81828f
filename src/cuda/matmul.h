// Matrix products on the GPU: which kernel, which tiles, how many blocks.
//
// Weights lie in device memory in GGUF's own layout, from a multiple of kWeight_alignment on. A result does not
// depend on how many rows are multiplied together, nor on the kernel and the tiles that were chosen for them:
// every product is summed in the same order (see kernels/matmul.cuh).
#pragma once

#include <array>
#include <map>
#include <span>

#include "cuda/launch.h"
#include "cuda/operand.h"
#include "device/device.h"

namespace hearth::cuda {

// One matrix of every expert: rows of all experts, expert by expert; row `slot` of `out` is the result of a slot.
struct ExpertProjection {
  device::Matrix weight;
  float* out = nullptr;
  uint32_t stride = 0;  // values between rows of out
};

// Which row of the operand a slot multiplies: that of its token, or its own.
enum class ExpertInput { kToken, kSlot };

class Matmul {
 public:
  // `kernels` must outlive this.
  explicit Matmul(Kernels& kernels) : kernels_(kernels) {}

  // Finds the kernels of a format; before the first product with such weights. Errors: those of Kernels::find().
  Status prepare(const quant::Format& format);
  bool prepared(const quant::Format& format) const { return formats_.contains(format.type); }

  // The form in which a product with such weights takes its activations.
  static device::OperandForms form_of(const quant::Format& format);

  // out = weight * in + bias, or out += ..., for `rows` rows of `in`, which has the forms of all weights.
  // Weights of one format become one launch.
  void project(const device::Operand& in, uint32_t rows, std::span<const device::Projection> outs,
               LaunchList& list) const;

  // The same for experts: every expert's matrix times the operand rows of its slots. All of one format or not.
  void project_experts(const device::Operand& in, ExpertInput input, const ExpertGroups& groups,
                       std::span<const ExpertProjection> outs, LaunchList& list) const;

 private:
  struct Work;  // weights of one format on one operand
  void launch(const Work& work, LaunchList& list) const;
  void launch_plain(const Work& work, LaunchList& list) const;
  void launch_few(const Work& work, LaunchList& list) const;
  void launch_many(const Work& work, LaunchList& list) const;

  // By the number of activation rows that a kernel is made for.
  struct FormatKernels {
    std::array<CUfunction, 4> few{};  // 4, 8, 16, 32; of plain numbers: 1
    CUfunction many = nullptr;
  };

  Kernels& kernels_;
  std::map<uint32_t, FormatKernels> formats_;  // by type number
};

}  // namespace hearth::cuda
