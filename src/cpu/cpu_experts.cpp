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

// What a product reads, per use of an expert, in either form.
struct Inputs {
  std::vector<const QuantBlock*> blocks;
  std::vector<const float*> floats;

  explicit Inputs(size_t count) {
    blocks.reserve(count);
    floats.reserve(count);
  }
  void add(const device::Operand& operand, uint32_t row) {
    blocks.push_back((operand.forms & kBlocks) ? operand_blocks(operand, row) : nullptr);
    floats.push_back((operand.forms & kFloat) ? operand_floats(operand, row) : nullptr);
  }
};

std::vector<float*> rows_of(float* values, uint32_t width, std::span<const Use> uses) {
  std::vector<float*> rows;
  rows.reserve(uses.size());
  for (const Use& use : uses) rows.push_back(values + size_t{use.slot} * width);
  return rows;
}

}  // namespace

// Some rows of the batch on their way through the experts.
struct CpuDevice::ExpertStep {
  const device::ExpertsArgs& args;
  uint32_t first, rows;  // of the batch
  uint32_t inner = args.gate.rows / args.experts, width = args.down.rows / args.experts;
  size_t slots = size_t{rows} * args.used;  // uses of an expert by a row
  // The rows of the op's input, and per slot what goes into `down`.
  device::Operand in = {}, hidden = {};
  float* logits = nullptr;                                // of the router: [row][expert]
  float *gate = nullptr, *up = nullptr, *down = nullptr;  // what the products give: [slot][inner], [inner], [width]
  std::vector<Use> uses = {};                             // in the order of slots
};

void CpuDevice::experts(const device::ExpertsArgs& args) {
  const uint32_t inner = args.gate.rows / args.experts, width = args.down.rows / args.experts;
  const size_t row_bytes = args.used * (2 * size_t{inner} + width) * sizeof(float);
  const uint32_t step = static_cast<uint32_t>(std::max<size_t>(1, kScratch_bytes / row_bytes));
  for (uint32_t first = 0; first < batch_->rows(); first += step)
    run_experts(args, first, std::min(step, batch_->rows() - first));
}

void CpuDevice::run_experts(const device::ExpertsArgs& args, uint32_t first, uint32_t rows) {
  ExpertStep step{.args = args, .first = first, .rows = rows};
  reserve_experts(step);
  choose_experts(step);
  multiply_experts(step);
  for (const Use& use : step.uses)  // in the order of choice, whatever else is in the batch
    kernels_.add_scaled_row(step.down + size_t{use.slot} * step.width, use.weight, step.width,
                            args.out + size_t{first + use.row} * step.width);
}

void CpuDevice::reserve_experts(ExpertStep& step) {
  const device::ExpertsArgs& args = step.args;
  const size_t logits = size_t{step.rows} * args.experts;
  expert_values_.resize(std::max(expert_values_.size(), logits + step.slots * (2 * size_t{step.inner} + step.width)));
  step.logits = expert_values_.data();
  step.gate = step.logits + logits;
  step.up = step.gate + step.slots * step.inner;
  step.down = step.up + step.slots * step.inner;
  step.in = {args.in.data + step.first * operand_row_bytes(args.in.forms, args.in.width), args.in.width, args.in.forms};
  const device::OperandForms forms = operand_forms(args.down);
  expert_operands_.resize(step.slots * operand_row_bytes(forms, step.inner) + 64);
  std::byte* aligned = expert_operands_.data() + (64 - reinterpret_cast<uintptr_t>(expert_operands_.data()) % 64) % 64;
  step.hidden = {aligned, step.inner, forms};
}

void CpuDevice::choose_experts(ExpertStep& step) {
  const device::Projection route{step.args.router, {}, step.logits, step.args.experts, false};
  project(step.in, step.rows, {&route, 1});
  step.uses.reserve(step.slots);
  for (uint32_t row = 0; row < step.rows; ++row)
    choose(step.args, step.logits + size_t{row} * step.args.experts, row, step.uses);
}

// Two rounds of products, one of each weight per expert that is used, with the activation between them.
void CpuDevice::multiply_experts(ExpertStep& step) {
  const device::ExpertsArgs& args = step.args;
  std::vector<Use> grouped = step.uses;
  std::stable_sort(grouped.begin(), grouped.end(), [](const Use& a, const Use& b) { return a.expert < b.expert; });
  Inputs in(step.slots), hidden(step.slots);
  for (const Use& use : grouped) {
    in.add(step.in, use.row);
    hidden.add(step.hidden, use.slot);
  }
  const std::vector<float*> gates = rows_of(step.gate, step.inner, grouped),
                            ups = rows_of(step.up, step.inner, grouped),
                            downs = rows_of(step.down, step.width, grouped);
  std::vector<Product> first_products, second_products;
  for (size_t i = 0, end = 0; i < grouped.size(); i = end) {
    const uint32_t expert = grouped[i].expert;
    while (end < grouped.size() && grouped[end].expert == expert) ++end;
    const auto product = [&](const device::Matrix& weights, const Inputs& inputs, const std::vector<float*>& outs) {
      return Product{.weight = expert_part(weights, args.experts, expert),
                     .bias = {},
                     .add = false,
                     .count = static_cast<uint32_t>(end - i),
                     .blocks = &inputs.blocks[i],
                     .floats = &inputs.floats[i],
                     .out = &outs[i]};
    };
    first_products.push_back(product(args.gate, in, gates));
    first_products.push_back(product(args.up, in, ups));
    second_products.push_back(product(args.down, hidden, downs));
  }
  multiply(first_products);
  pool_.for_each(static_cast<uint32_t>(step.slots), [&](uint32_t slot, int) {
    const size_t at = size_t{slot} * step.inner;
    float* values = operand_scratch(step.hidden, slot);
    kernels_.activate_row(args.kind, step.gate + at, step.up + at, step.inner, values);
    write_operand(step.hidden, slot, values);
  });
  multiply(second_products);
}

}  // namespace hearth::cpu
