// Mixture of experts on the CUDA device: rows are routed and grouped on the device, so that the host need not wait.
#include <algorithm>

#include "base/checked.h"
#include "cuda/device_impl.h"
#include "cuda/scratch.h"

namespace hearth::cuda {

namespace {

ActivateKernelArgs activation(const device::ExpertsArgs& args, const float* gate, const uint32_t* expert,
                              const float* weight) {
  const uint32_t inner = args.inner();
  ActivateKernelArgs kernel{};
  kernel.gate = gate;
  kernel.up = args.gated() ? gate + inner : nullptr;
  kernel.expert = expert;
  kernel.gate_bias = args.gate_bias.data;
  kernel.up_bias = args.up_bias.data;
  kernel.row_weight = args.weigh_inputs ? weight : nullptr;
  kernel.width = inner;
  kernel.stride = kernel.up_stride = args.gated() ? 2 * inner : inner;
  kernel.way = static_cast<ActivationWay>(args.kind);
  return kernel;
}

}  // namespace

// A head is an expert that every row uses.
void CudaDevice::project_heads(const device::HeadProjection& args) {
  if (rows() == 0) return;
  if (Status ready = prepare(*args.weight.format); !ready) return fail(std::move(ready));
  const HeadScratch at(rows(), args.heads);
  CHECK(at.end <= scratch_.backed_bytes());  // reserve() has seen to it
  std::byte* const base = reinterpret_cast<std::byte*>(scratch_.address());
  const HeadSlotsKernelArgs slots{reinterpret_cast<uint32_t*>(base), reinterpret_cast<uint32_t*>(base + at.slots),
                                  rows(), args.heads};
  const uint32_t count = rows() * args.heads;
  list_.add(functions_.head_slots, {static_cast<uint32_t>(divide_up(count + 1, kGroupThreads))}, {kGroupThreads}, 0,
            slots);
  const ExpertProjection projection{args.weight, args.out, args.stride};
  matmul_->project_experts(args.in, ExpertInput::kSlot, {slots.offsets, slots.slots, args.heads, 1, count},
                           {&projection, 1}, list_);
}

void CudaDevice::experts(const device::ExpertsArgs& args) {
  for (const device::Matrix* weight : {&args.router, &args.gate, &args.up, &args.down})
    if (*weight)
      if (Status ready = prepare(*weight->format); !ready) return fail(std::move(ready));
  const size_t hidden_bytes = operand_bytes(operand_forms(args.down), args.inner());
  const uint32_t step = ExpertScratch::rows_in(scratch_.backed_bytes(), args.experts, args.used, args.inner(),
                                               args.width(), hidden_bytes);
  CHECK(step > 0);  // reserve() has seen to it
  for (uint32_t first = 0; first < rows(); first += step) run_experts(args, first, std::min(step, rows() - first));
}

void CudaDevice::run_experts(const device::ExpertsArgs& args, uint32_t first_row, uint32_t count) {
  const uint32_t inner = args.inner(), width = args.width(), slot_count = count * args.used;
  const device::OperandForms forms = operand_forms(args.down);
  const ExpertScratch at(count, args.experts, args.used, inner, width, operand_bytes(forms, inner));
  std::byte* const base = reinterpret_cast<std::byte*>(scratch_.address());
  const auto floats = [&](uint64_t offset) { return reinterpret_cast<float*>(base + offset); };
  const auto words = [&](uint64_t offset) { return reinterpret_cast<uint32_t*>(base + offset); };

  const device::Operand in{args.in.data + first_row * operand_bytes(args.in.forms, args.in.width), args.in.width,
                           args.in.forms};
  const float* logits = args.logits != nullptr ? args.logits + size_t{first_row} * args.experts : floats(at.logits);
  if (args.logits == nullptr) {
    const device::Projection router{args.router, {}, floats(at.logits), args.experts, false};
    matmul_->project(in, count, {&router, 1}, list_);
  }
  RouteKernelArgs route{};
  route.logits = logits;
  route.bias = args.router_bias.data;
  route.choice_bias = args.choice_bias.data;
  route.result_scale = args.result_scale.data;
  route.expert = words(at.expert);
  route.weight = floats(at.weight);
  route.rows = count;
  route.experts = args.experts;
  route.used = args.used;
  route.sigmoid = args.gating == device::Gating::kSigmoid;
  route.groups = args.groups;
  route.groups_used = args.groups_used;
  route.normalise = args.normalise;
  route.scale = args.scale;
  constexpr uint32_t kRows = kRouteThreads / 32;
  list_.add(functions_.route, {static_cast<uint32_t>(divide_up(count, kRows))}, {kRouteThreads},
            kRows * (args.experts + args.groups) * static_cast<uint32_t>(sizeof(float)), route);
  const GroupKernelArgs group{words(at.expert), words(at.offsets), words(at.slots), slot_count, args.experts};
  list_.add(functions_.group, {1}, {kGroupThreads}, args.experts * static_cast<uint32_t>(sizeof(uint32_t)), group);

  const ExpertGroups groups{words(at.offsets), words(at.slots), args.experts, args.used, slot_count};
  const device::Operand hidden{base + at.hidden, inner, forms};
  ActivateKernelArgs activate = activation(args, floats(at.gate_up), words(at.expert), floats(at.weight));
  activate.out = operand_rows(hidden);
  activate.rows = slot_count;
  const ExpertProjection both[] = {{args.up, floats(at.gate_up) + (args.gate ? inner : 0), activate.stride},
                                   {args.gate, floats(at.gate_up), activate.stride}};
  matmul_->project_experts(in, ExpertInput::kToken, groups, std::span(both).first(args.gate ? 2 : 1), list_);
  list_.add(functions_.activate, {static_cast<uint32_t>(divide_up(inner, kActivateThreads)), slot_count},
            {kActivateThreads}, 0, activate);
  const ExpertProjection down{args.down, floats(at.down), width};
  matmul_->project_experts(hidden, ExpertInput::kSlot, groups, {&down, 1}, list_);
  CombineKernelArgs combine{};
  combine.values = floats(at.down);
  combine.weight = args.weigh_inputs ? nullptr : floats(at.weight);
  combine.bias = args.down_bias.data;
  combine.expert = words(at.expert);
  combine.out = args.out + size_t{first_row} * width;
  combine.rows = count;
  combine.width = width;
  combine.used = args.used;
  combine.add = args.add;
  list_.add(functions_.combine, {static_cast<uint32_t>(divide_up(width, kCombineThreads)), count}, {kCombineThreads}, 0,
            combine);
}

}  // namespace hearth::cuda
