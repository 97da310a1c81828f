// Mixture of experts on the CUDA device: rows are routed and grouped on the device, so that the host need not wait.
#include <algorithm>

#include "base/checked.h"
#include "cuda/device_impl.h"
#include "cuda/scratch.h"

namespace hearth::cuda {
void CudaDevice::experts(const device::ExpertsArgs& args) {
  for (const device::Matrix* weight : {&args.router, &args.gate, &args.up, &args.down})
    if (Status ready = prepare(*weight->format); !ready) return fail(std::move(ready));
  const uint32_t inner = args.gate.rows / args.experts, width = args.down.rows / args.experts;
  const size_t hidden_bytes = operand_bytes(operand_forms(args.down), inner);
  const uint32_t step =
      ExpertScratch::rows_in(scratch_.backed_bytes(), args.experts, args.used, inner, width, hidden_bytes);
  CHECK(step > 0);  // reserve() has seen to it
  for (uint32_t first = 0; first < rows(); first += step) run_experts(args, first, std::min(step, rows() - first));
}

void CudaDevice::run_experts(const device::ExpertsArgs& args, uint32_t first_row, uint32_t count) {
  const uint32_t inner = args.gate.rows / args.experts, width = args.down.rows / args.experts;
  const uint32_t slot_count = count * args.used;
  const device::OperandForms forms = operand_forms(args.down);
  const ExpertScratch at(count, args.experts, args.used, inner, width, operand_bytes(forms, inner));
  std::byte* const base = reinterpret_cast<std::byte*>(scratch_.address());
  const auto floats = [&](uint64_t offset) { return reinterpret_cast<float*>(base + offset); };
  const auto words = [&](uint64_t offset) { return reinterpret_cast<uint32_t*>(base + offset); };

  const device::Operand in{args.in.data + first_row * operand_bytes(args.in.forms, args.in.width), args.in.width,
                           args.in.forms};
  const device::Projection router{args.router, {}, floats(at.logits), args.experts, false};
  matmul_->project(in, count, {&router, 1}, list_);
  const RouteKernelArgs route{floats(at.logits), words(at.expert), floats(at.weight), count,       args.experts,
                              args.used,         args.normalise,   args.scale,        /*unused*/ 0};
  constexpr uint32_t kRows = kRouteThreads / 32;
  list_.add(functions_.route, {static_cast<uint32_t>(divide_up(count, kRows))}, {kRouteThreads},
            kRows * args.experts * static_cast<uint32_t>(sizeof(float)), route);
  const GroupKernelArgs group{words(at.expert), words(at.offsets), words(at.slots), slot_count, args.experts};
  list_.add(functions_.group, {1}, {kGroupThreads}, args.experts * static_cast<uint32_t>(sizeof(uint32_t)), group);

  const ExpertGroups groups{words(at.offsets), words(at.slots), args.experts, args.used, slot_count};
  const ExpertProjection both[] = {{args.gate, floats(at.gate), inner}, {args.up, floats(at.up), inner}};
  matmul_->project_experts(in, ExpertInput::kToken, groups, both, list_);
  const device::Operand hidden{base + at.hidden, inner, forms};
  ActivateKernelArgs activate{};
  activate.gate = floats(at.gate);
  activate.up = floats(at.up);
  activate.out = operand_rows(hidden);
  activate.stride = activate.width = inner;
  activate.rows = slot_count;
  activate.way = static_cast<ActivationWay>(args.kind);
  list_.add(functions_.activate, {static_cast<uint32_t>(divide_up(inner, kActivateThreads)), slot_count},
            {kActivateThreads}, 0, activate);
  const ExpertProjection down{args.down, floats(at.down), width};
  matmul_->project_experts(hidden, ExpertInput::kSlot, groups, {&down, 1}, list_);
  const CombineKernelArgs combine{floats(at.down), floats(at.weight), args.out + size_t{first_row} * width, count,
                                  width,           args.used,
                                  /*unused*/ 0};
  list_.add(functions_.combine, {static_cast<uint32_t>(divide_up(width, kCombineThreads)), count}, {kCombineThreads}, 0,
            combine);
}

}  // namespace hearth::cuda
