// Cache pages between the CPU's layout and the one that all devices share.
#include <cstring>

#include "cpu/device_impl.h"
#include "cpu/kernels/cache_page.h"

namespace hearth::cpu {
namespace {

// Where one value (or scale) or a row of them lies in both layouts.
struct Piece {
  size_t page, neutral, bytes;
};

template <class Visit>
void visit_key(const device::CacheShape& shape, size_t head, size_t neutral, uint32_t slot, const Visit& visit) {
  if (shape.type != CacheType::kQ8_0) {
    const size_t size = shape.type == CacheType::kF32 ? 4 : 2;
    for (uint32_t d = 0; d < shape.key_dim; ++d)
      visit(Piece{head + (size_t{d} * kPage_tokens + slot) * size, neutral + d * size, size});
    return;
  }
  for (uint32_t d = 0; d < shape.key_dim; d += kCacheBlock, head += kKeyBlock_bytes, neutral += kValueBlock_bytes) {
    visit(Piece{head + slot * sizeof(uint16_t), neutral, sizeof(uint16_t)});
    const size_t bytes = head + kPage_tokens * sizeof(uint16_t) + slot;
    for (uint32_t i = 0; i < kCacheBlock; ++i)
      visit(Piece{bytes + size_t{i} * kPage_tokens, neutral + sizeof(uint16_t) + i, 1});
  }
}

// Values are stored as in the neutral layout, row by row; here they are beside the keys also if they are in them.
template <class Visit>
void visit_page(const device::CacheShape& shape, const Visit& visit) {
  const size_t key_row = device::neutral_row_bytes(shape.type, shape.key_dim);
  size_t neutral = 0;
  for (uint32_t head = 0; head < shape.kv_heads; ++head)
    for (uint32_t slot = 0; slot < kPage_tokens; ++slot, neutral += key_row)
      visit_key(shape, head * key_head_bytes(shape), neutral, slot, visit);
  const size_t values = shape.kv_heads * key_head_bytes(shape), value_row = value_row_bytes(shape);
  for (size_t row = 0; row < size_t{shape.kv_heads} * kPage_tokens; ++row)
    visit(Piece{values + row * value_row, shape.values_in_keys ? row * key_row : neutral + row * value_row, value_row});
}

}  // namespace

void CpuDevice::page_to_neutral(const device::CacheShape& shape, const std::byte* page, std::byte* neutral) const {
  if (shape.state != 0) std::memcpy(neutral, page, shape.state * sizeof(float));
  visit_page(shape, [&](const Piece& at) { std::memcpy(neutral + at.neutral, page + at.page, at.bytes); });
}

void CpuDevice::page_from_neutral(const device::CacheShape& shape, const std::byte* neutral, std::byte* page) const {
  if (shape.state != 0) std::memcpy(page, neutral, shape.state * sizeof(float));
  visit_page(shape, [&](const Piece& at) { std::memcpy(page + at.page, neutral + at.neutral, at.bytes); });
}

}  // namespace hearth::cpu
