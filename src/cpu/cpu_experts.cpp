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

// The shares of one row's experts; how they sum up is returned, NaN if an output of the router is not finite.
float find_shares(const device::ExpertsArgs& args, std::span<const float> logits, std::vector<float>& shares) {
  const float most = *std::max_element(logits.begin(), logits.end());
  const bool softmax = args.gating == device::Gating::kSoftmax;
  float total = 0;
  for (size_t e = 0; e < logits.size(); ++e) {
    float share = softmax ? std::exp(logits[e] - most) : 1 / (1 + std::exp(-logits[e]));
    share += 0 * logits[e];
    total += share;
    shares[e] = share >= 0 ? share : 0;  // NaN: an order must stay an order
  }
  return total;
}

// Takes away what is not in the groups of experts whose two best scores sum to most.
void keep_groups(const device::ExpertsArgs& args, std::vector<float>& scores) {
  const uint32_t size = args.experts / args.groups;
  std::vector<std::pair<float, uint32_t>> groups;  // ordered: the best sum, of equals the lower group
  for (uint32_t g = 0; g < args.groups; ++g) {
    float best = -INFINITY, second = size > 1 ? -INFINITY : 0;
    for (uint32_t e = g * size; e < (g + 1) * size; ++e) {
      if (scores[e] > best)
        second = size > 1 ? best : 0, best = scores[e];
      else if (size > 1)
        second = std::max(second, scores[e]);
    }
    groups.emplace_back(-(best + second), g);
  }
  std::sort(groups.begin(), groups.end());
  for (uint32_t i = args.groups_used; i < args.groups; ++i)
    std::fill_n(scores.begin() + groups[i].second * size, size, -INFINITY);
}

// The `used` best experts of one row, best first. If an output of the router is not finite no weight is a number,
// whichever experts are chosen.
void choose(const device::ExpertsArgs& args, const float* logits, uint32_t row, std::vector<Use>& uses) {
  std::vector<float> shares(args.experts);
  float total = find_shares(args, {logits, args.experts}, shares);
  const float broken = 0 * total;
  std::vector<float> scores = shares;
  if (args.gating == device::Gating::kSigmoid) total = 1;
  if (args.choice_bias)
    for (uint32_t e = 0; e < args.experts; ++e)
      scores[e] = shares[e] / (total > 0 ? total : 1) + args.choice_bias.data[e];
  else if (args.gating == device::Gating::kSigmoid && args.groups == 1)  // large outputs have equal shares
    for (uint32_t e = 0; e < args.experts; ++e) scores[e] = std::isnan(logits[e]) ? -INFINITY : logits[e];
  if (args.groups > 1) keep_groups(args, scores);
  std::vector<uint32_t> order(args.experts);
  std::iota(order.begin(), order.end(), 0u);
  std::partial_sort(order.begin(), order.begin() + args.used, order.end(),
                    [&](uint32_t a, uint32_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
  if (args.normalise) {
    total = 0;
    for (uint32_t i = 0; i < args.used; ++i) total += shares[order[i]];
  }
  for (uint32_t i = 0; i < args.used; ++i) {
    const float scale = args.result_scale ? args.scale * args.result_scale.data[order[i]] : args.scale;
    uses.push_back({order[i], row, static_cast<uint32_t>(uses.size()), shares[order[i]] / total * scale + broken});
  }
}

device::Vector expert_part(const device::Vector& all, uint32_t experts, uint32_t expert) {
  if (!all) return {};
  const uint32_t size = all.size / experts;
  return {all.data + size_t{expert} * size, size};
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

std::vector<float*> rows_of(float* values, uint32_t stride, std::span<const Use> uses) {
  std::vector<float*> rows;
  rows.reserve(uses.size());
  for (const Use& use : uses) rows.push_back(values + size_t{use.slot} * stride);
  return rows;
}

}  // namespace

// Some rows of the batch on their way through the experts.
struct CpuDevice::ExpertStep {
  const device::ExpertsArgs& args;
  uint32_t first, rows;  // of the batch
  uint32_t inner = args.inner(), width = args.width();
  uint32_t stride = args.gated() ? 2 * inner : inner;  // of a slot's gate and up, one beside the other
  size_t slots = size_t{rows} * args.used;             // uses of an expert by a row
  // The rows of the op's input, and per slot what goes into `down`.
  device::Operand in = {}, hidden = {};
  const float* logits = nullptr;                                 // of the router: [row][expert]
  float *routed = nullptr, *gate_up = nullptr, *down = nullptr;  // [row][expert]; [slot][stride]; [slot][width]
  std::vector<Use> uses = {};                                    // in the order of slots
};

void CpuDevice::experts(const device::ExpertsArgs& args) {
  const size_t row_bytes = args.used * (2 * size_t{args.inner()} + args.width()) * sizeof(float);
  const uint32_t step = static_cast<uint32_t>(std::max<size_t>(1, kScratch_bytes / row_bytes));
  for (uint32_t first = 0; first < batch_->rows(); first += step)
    run_experts(args, first, std::min(step, batch_->rows() - first));
}

void CpuDevice::run_experts(const device::ExpertsArgs& args, uint32_t first, uint32_t rows) {
  ExpertStep step{.args = args, .first = first, .rows = rows};
  reserve_experts(step);
  choose_experts(step);
  multiply_experts(step);
  float* out = args.out + size_t{first} * step.width;
  if (!args.add) std::fill_n(out, size_t{rows} * step.width, 0.0f);
  for (const Use& use : step.uses)  // in the order of choice, whatever else is in the batch
    kernels_.add_scaled_row(step.down + size_t{use.slot} * step.width, args.weigh_inputs ? 1 : use.weight, step.width,
                            out + size_t{use.row} * step.width);
}

void CpuDevice::reserve_experts(ExpertStep& step) {
  const device::ExpertsArgs& args = step.args;
  const size_t routed = size_t{step.rows} * args.experts;
  expert_values_.resize(std::max(expert_values_.size(), routed + step.slots * (size_t{step.stride} + step.width)));
  step.routed = expert_values_.data();
  step.gate_up = step.routed + routed;
  step.down = step.gate_up + step.slots * step.stride;
  step.in = {args.in.data + step.first * operand_row_bytes(args.in.forms, args.in.width), args.in.width, args.in.forms};
  const device::OperandForms forms = operand_forms(args.down);
  expert_operands_.resize(step.slots * operand_row_bytes(forms, step.inner) + 64);
  std::byte* aligned = expert_operands_.data() + (64 - reinterpret_cast<uintptr_t>(expert_operands_.data()) % 64) % 64;
  step.hidden = {aligned, step.inner, forms};
}

void CpuDevice::choose_experts(ExpertStep& step) {
  const device::ExpertsArgs& args = step.args;
  step.logits = step.routed;
  if (args.logits != nullptr) {
    step.logits = args.logits + size_t{step.first} * args.experts;
  } else {
    const device::Projection route{args.router, args.router_bias, step.routed, args.experts, false};
    project(step.in, step.rows, {&route, 1});
  }
  step.uses.reserve(step.slots);
  for (uint32_t row = 0; row < step.rows; ++row) choose(args, step.logits + size_t{row} * args.experts, row, step.uses);
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
  const uint32_t up_at = args.gate ? step.inner : 0;
  const std::vector<float*> gates = rows_of(step.gate_up, step.stride, grouped),
                            ups = rows_of(step.gate_up + up_at, step.stride, grouped),
                            downs = rows_of(step.down, step.width, grouped);
  std::vector<Product> first_products, second_products;
  for (size_t i = 0, end = 0; i < grouped.size(); i = end) {
    const uint32_t expert = grouped[i].expert;
    while (end < grouped.size() && grouped[end].expert == expert) ++end;
    const auto product = [&](const device::Matrix& weights, const device::Vector& bias, const Inputs& inputs,
                             const std::vector<float*>& outs) {
      return Product{.weight = expert_part(weights, args.experts, expert),
                     .bias = expert_part(bias, args.experts, expert),
                     .add = false,
                     .bulk = false,
                     .count = static_cast<uint32_t>(end - i),
                     .blocks = &inputs.blocks[i],
                     .floats = &inputs.floats[i],
                     .out = &outs[i]};
    };
    if (args.gate) first_products.push_back(product(args.gate, args.gate_bias, in, gates));
    first_products.push_back(product(args.up, args.up_bias, in, ups));
    second_products.push_back(product(args.down, args.down_bias, hidden, downs));
  }
  multiply(first_products);
  activate_experts(step);
  multiply(second_products);
}

void CpuDevice::activate_experts(ExpertStep& step) {
  const device::ExpertsArgs& args = step.args;
  host_->for_each(static_cast<uint32_t>(step.slots), [&](uint32_t slot, int) {
    float* gate = step.gate_up + size_t{slot} * step.stride;
    if (args.weigh_inputs)
      for (uint32_t i = 0; i < step.stride; ++i) gate[i] *= step.uses[slot].weight;
    float* values = operand_scratch(step.hidden, slot);
    kernels_.activate_row(args.kind, gate, args.gated() ? gate + step.inner : nullptr, step.inner, values);
    write_operand(step.hidden, slot, values);
  });
}

}  // namespace hearth::cpu
