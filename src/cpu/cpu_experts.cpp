// Mixture of experts on the CPU: tokens are grouped by expert, so that every expert's weights are read
// once per step.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "cpu/device_impl.h"

namespace hearth::cpu {
namespace {

constexpr size_t kScratch_bytes = 32u << 20;

// One use of an expert by a row; `slot` numbers the uses of all rows.
struct Use {
  uint32_t expert, row, slot;
  float weight;
};

// The `used` best experts of one row by softmax of the router's output, best first. If an output is not finite no
// weight is a number, whichever experts are chosen.
void choose(const device::ExpertsArgs& args, const float* logits, uint32_t row, std::vector<Use>& uses) {
  std::vector<float> weights(logits, logits + args.experts);
  const float most = *std::max_element(weights.begin(), weights.end());
  float total = 0;
  for (float& w : weights) {
    w = std::exp(w - most) + 0 * w;
    total += w;
    if (!(w >= 0)) w = 0;  // NaN: the order below must stay an order
  }
  const float broken = 0 * total;
  std::vector<uint32_t> order(args.experts);
  std::iota(order.begin(), order.end(), 0u);
  std::partial_sort(order.begin(), order.begin() + args.used, order.end(),
                    [&](uint32_t a, uint32_t b) { return weights[a] != weights[b] ? weights[a] > weights[b] : a < b; });
  if (args.normalise) {
    total = 0;
    for (uint32_t i = 0; i < args.used; ++i) total += weights[order[i]];
  }
  for (uint32_t i = 0; i < args.used; ++i)
    uses.push_back(
        {order[i], row, static_cast<uint32_t>(uses.size()), weights[order[i]] / total * args.scale + broken});
}

device::Matrix expert_part(const device::Matrix& all, uint32_t experts, uint32_t expert) {
  device::Matrix part = all;
  part.rows = all.rows / experts;
  part.data += expert * part.bytes();
  return part;
}

}  // namespace

void CpuDevice::experts(const device::ExpertsArgs& args) {
  const uint32_t inner = args.gate.rows / args.experts, width = args.down.rows / args.experts;
  const size_t row_bytes = args.used * (2 * size_t{inner} + width) * sizeof(float);
  const uint32_t step = static_cast<uint32_t>(std::max<size_t>(1, kScratch_bytes / row_bytes));
  for (uint32_t first = 0; first < batch_->rows(); first += step)
    run_experts(args, first, std::min(step, batch_->rows() - first));
}

void CpuDevice::run_experts(const device::ExpertsArgs& args, uint32_t first, uint32_t rows) {
  const uint32_t inner = args.gate.rows / args.experts, width = args.down.rows / args.experts;
  const size_t slots = size_t{rows} * args.used;
  // Router logits, then gate, up and down of every use.
  expert_values_.resize(
      std::max(expert_values_.size(), rows * size_t{args.experts} + slots * (2 * size_t{inner} + width)));
  float* logits = expert_values_.data();
  float* gate = logits + rows * size_t{args.experts};
  float* up = gate + slots * inner;
  float* down = up + slots * inner;
  const device::Operand from_first{args.in.data + first * operand_row_bytes(args.in.forms, args.in.width),
                                   args.in.width, args.in.forms};
  const device::Projection route{args.router, {}, logits, args.experts, false};
  project(from_first, rows, {&route, 1});

  std::vector<Use> uses;
  for (uint32_t row = 0; row < rows; ++row) choose(args, logits + size_t{row} * args.experts, row, uses);
  std::vector<Use> grouped = uses;
  std::stable_sort(grouped.begin(), grouped.end(), [](const Use& a, const Use& b) { return a.expert < b.expert; });

  const device::OperandForms forms = operand_forms(args.down);
  expert_operands_.resize(slots * operand_row_bytes(forms, inner) + 64);
  std::byte* aligned = expert_operands_.data() + (64 - reinterpret_cast<uintptr_t>(expert_operands_.data()) % 64) % 64;
  const device::Operand hidden{aligned, inner, forms};

  // Pointers per use, in the order of `grouped`: inputs of gate and up, their outputs, then down's.
  std::vector<const QuantBlock*> blocks(slots), hidden_blocks(slots);
  std::vector<const float*> floats(slots), hidden_floats(slots);
  std::vector<float*> gates(slots), ups(slots), downs(slots);
  for (size_t i = 0; i < slots; ++i) {
    const Use& use = grouped[i];
    blocks[i] = (args.in.forms & kBlocks) ? operand_blocks(from_first, use.row) : nullptr;
    floats[i] = (args.in.forms & kFloat) ? operand_floats(from_first, use.row) : nullptr;
    hidden_blocks[i] = (forms & kBlocks) ? operand_blocks(hidden, use.slot) : nullptr;
    hidden_floats[i] = (forms & kFloat) ? operand_floats(hidden, use.slot) : nullptr;
    gates[i] = gate + size_t{use.slot} * inner;
    ups[i] = up + size_t{use.slot} * inner;
    downs[i] = down + size_t{use.slot} * width;
  }
  std::vector<Product> first_products, second_products;
  for (size_t i = 0; i < slots;) {
    const uint32_t expert = grouped[i].expert;
    size_t end = i;
    while (end < slots && grouped[end].expert == expert) ++end;
    const uint32_t count = static_cast<uint32_t>(end - i);
    first_products.push_back(
        {expert_part(args.gate, args.experts, expert), {}, false, count, &blocks[i], &floats[i], &gates[i]});
    first_products.push_back(
        {expert_part(args.up, args.experts, expert), {}, false, count, &blocks[i], &floats[i], &ups[i]});
    second_products.push_back({expert_part(args.down, args.experts, expert),
                               {},
                               false,
                               count,
                               &hidden_blocks[i],
                               &hidden_floats[i],
                               &downs[i]});
    i = end;
  }
  multiply(first_products);
  pool_.for_each(static_cast<uint32_t>(slots), [&](uint32_t slot, int) {
    float* values = operand_scratch(hidden, slot);
    kernels_.activate_row(args.kind, gate + size_t{slot} * inner, up + size_t{slot} * inner, inner, values);
    write_operand(hidden, slot, values);
  });
  multiply(second_products);
  for (const Use& use : uses)  // in the order of choice, whatever else is in the batch
    kernels_.add_scaled_row(down + size_t{use.slot} * width, use.weight, width,
                            args.out + size_t{first + use.row} * width);
}

}  // namespace hearth::cpu
