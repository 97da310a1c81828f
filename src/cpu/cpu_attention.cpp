// Rotation, the cache and attention of the CPU device.
#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "cpu/device_impl.h"
#include "cpu/kernels/cache_page.h"

namespace hearth::cpu {
namespace {

// What one item of work of rotate_append has at least: less is not worth waking a thread for.
constexpr uint32_t kItem_values = 1 << 15;

void rotate(const device::Rope& rope, const float* cosines, const float* sines, float* head) {
  const uint32_t half = rope.dims / 2;
  const bool adjacent = rope.pairs == device::Rope::Pairs::kAdjacent;
  const uint32_t distance = adjacent ? 1 : half / rope.parts, step = adjacent ? 2 : 1;
  for (uint32_t i = 0; i < half; ++i) {
    const uint32_t before = adjacent ? 0 : i / distance * distance;  // values of the parts before
    float& a = head[rope.first + before + i * step];
    float& b = head[rope.first + before + i * step + distance];
    const float x = a, y = b;
    a = x * cosines[i] - y * sines[i];
    b = x * sines[i] + y * cosines[i];
  }
}

float growth_at(const device::QueryGrowth& growth, uint32_t position) {
  if (growth.factor == 0) return 1;
  return 1 + growth.factor * std::log1p(static_cast<float>((position + growth.offset) / growth.period));
}

}  // namespace

const CpuDevice::RotationTable& CpuDevice::rotations(const device::Rope& rope) {
  for (size_t i = 0; i < rotations_used_; ++i)
    if (rotations_[i].rope == &rope) return rotations_[i];
  if (rotations_used_ == rotations_.size()) rotations_.emplace_back();
  RotationTable& table = rotations_[rotations_used_++];
  const uint32_t half = rope.dims / 2;
  table.rope = &rope;
  table.cosines.resize(size_t{batch_->rows()} * half);
  table.sines.resize(table.cosines.size());
  host_->for_each(batch_->rows(), [&](uint32_t row, int) {
    for (uint32_t i = 0; i < half; ++i) {
      const uint32_t place =
          batch_->places.empty() ? positions_[row] : batch_->places[row][rope.axis.empty() ? 0 : rope.axis[i]];
      const double angle = double{rope.inverse_frequency[i]} * place;
      table.cosines[size_t{row} * half + i] = static_cast<float>(std::cos(angle)) * rope.magnitude;
      table.sines[size_t{row} * half + i] = static_cast<float>(std::sin(angle)) * rope.magnitude;
    }
  });
  return table;
}

void CpuDevice::rotate_append(const device::RotateAppendArgs& args) {
  const device::CacheShape& shape = args.cache.shape;
  const RotationTable* table = args.rope != nullptr ? &rotations(*args.rope) : nullptr;
  const auto turn = [&](float* head, uint32_t row) {
    if (table == nullptr) return;
    const size_t at = size_t{row} * (args.rope->dims / 2);
    rotate(*args.rope, table->cosines.data() + at, table->sines.data() + at, head);
  };
  const auto prepare = [&](float* head, const device::Vector& weight, uint32_t row) {
    if (args.norm_last) turn(head, row);
    if (weight || args.plain_norms) kernels_.rms_norm(head, weight.data, nullptr, shape.key_dim, args.epsilon, head);
    if (!args.norm_last) turn(head, row);
  };
  const auto run_row = [&](const device::BatchSequence& sequence, uint32_t row) {
    thread_local std::vector<float> key;
    key.resize(shape.key_dim);
    const float growth = growth_at(args.growth, positions_[row]);
    for (uint32_t h = 0; h < args.heads; ++h) {
      float* head = args.q + size_t{row} * args.q_stride + h * shape.key_dim;
      prepare(head, args.q_norm, row);
      if (growth != 1)
        for (uint32_t d = 0; d < shape.key_dim; ++d) head[d] *= growth;
    }
    if (args.k == nullptr) return;
    const int32_t page = sequence.pages[positions_[row] / kPage_tokens];
    const uint32_t slot = positions_[row] % kPage_tokens;
    for (uint32_t h = 0; h < shape.kv_heads; ++h) {
      std::copy_n(args.k + size_t{row} * args.k_stride + h * shape.key_dim, shape.key_dim, key.data());
      prepare(key.data(), args.k_norm, row);
      append_key(shape, key.data(), key_head(args.cache, page, h), slot);
      append_value(shape, args.v + size_t{row} * args.v_stride + h * shape.value_dim, value_head(args.cache, page, h),
                   slot);
    }
  };
  const uint32_t rows = batch_->rows();
  const uint32_t values = args.heads * shape.key_dim + shape.kv_heads * (shape.key_dim + shape.value_dim);
  const uint32_t item = std::max(1u, kItem_values / values);
  host_->for_each(static_cast<uint32_t>(divide_up(rows, item)), [&](uint32_t i, int) {
    for (uint32_t row = i * item; row < std::min(rows, (i + 1) * item); ++row)
      run_row(batch_->sequences[sequence_of_row_[row]], row);
  });
}

void CpuDevice::attention(const device::AttentionArgs& args) {
  const device::CacheShape& shape = args.cache.shape;
  const uint32_t group = args.heads / shape.kv_heads, width = args.heads * shape.value_dim;
  if (args.values == nullptr) attention_out_.resize(std::max(attention_out_.size(), size_t{batch_->rows()} * width));
  float* const out = args.values != nullptr ? args.values : attention_out_.data();
  attention_blocks_.clear();
  for (const device::BatchSequence& sequence : batch_->sequences)
    for (uint32_t head = 0; head < shape.kv_heads; ++head)
      for (uint32_t first = 0; first < sequence.rows * group; first += kernels_.attention_rows)
        attention_blocks_.push_back({&args, &sequence, head, first,
                                     std::min(kernels_.attention_rows, sequence.rows * group - first), out,
                                     (args.ahead ? ends_ : own_ends_).data()});
  const auto attend = kernels_.attend[static_cast<size_t>(shape.type)];
  host_->for_each(static_cast<uint32_t>(attention_blocks_.size()),
                  [&](uint32_t i, int) { attend(attention_blocks_[i]); });
  if (args.values != nullptr) return;
  host_->for_each(batch_->rows(), [&](uint32_t row, int) {
    write_operand(args.out, row, attention_out_.data() + size_t{row} * width);
  });
}

}  // namespace hearth::cpu
