// The unit of the 8-bit matmul: one vector of weight rows by up to kChunk columns, unpacked to bytes
// that are interleaved so that one instruction multiplies 4 columns of every row with 4 activations.
// Every weight format only has to fill tiles; one multiplication kernel serves them all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/operand.h"

namespace hearth::cpu {

inline constexpr uint32_t kChunk = 256;  // columns of a tile
inline constexpr int kChunkBlocks = static_cast<int>(kChunk / kBlock);

// weight = scale * q - minimum with q in [0, largest], or scale * (q - offset); one scale (and minimum) per
// `group` columns. Offset 128: signed bytes, in the form of V::from_int8, at most `largest` from zero.
struct TileKind {
  int group;  // 32 or 16
  int largest;
  int offset = 0;  // 0: there is a minimum

  constexpr bool has_minimum() const { return offset == 0; }
  constexpr bool is_signed() const { return offset == 128; }
};

template <class V, TileKind kKind>
struct Tile {
  static constexpr int kGroups = static_cast<int>(kBlock) / kKind.group;  // per block of 32 columns
  static constexpr int kQuads = static_cast<int>(kBlock) / 4;

  // q[block][quad]: lane r holds columns 32 block + 4 quad .. + 3 of row r.
  alignas(64) uint8_t q[kChunkBlocks][kQuads][V::kLanes * 4];
  alignas(64) float scale[kChunkBlocks][kGroups][V::kLanes];
  alignas(64) float minimum[kKind.has_minimum() ? kChunkBlocks : 1][kGroups][V::kLanes];

  void put(int block, int quad, typename V::I x) { V::store_int(q[block][quad], x); }
  void put_scale(int block, int group, typename V::F x) { V::store(scale[block][group], x); }
  void put_minimum(int block, int group, typename V::F x) { V::store(minimum[block][group], x); }
};

inline constexpr int kLine_bytes = 64;

// Hands on what a format unpacks and fetches kLines cache lines from `next` on meanwhile, one by one: all at once they
// would fill the processor's line buffers and hold up the work that they are to overlap with.
template <class V, class Sink, int kLines>
class FetchingSink {
 public:
  [[gnu::always_inline]] FetchingSink(Sink& sink, const uint8_t* next) : sink_(sink), next_(next) {}

  [[gnu::always_inline]] void put(int block, int quad, typename V::I x) {
    const int at = block * kQuads + quad;
    for (int line = at * kLines / kPuts; line < (at + 1) * kLines / kPuts; ++line)
      V::fetch_with(x, next_ + line * kLine_bytes);
    sink_.put(block, quad, x);
  }
  [[gnu::always_inline]] void put_scale(int block, int group, typename V::F x) { sink_.put_scale(block, group, x); }
  [[gnu::always_inline]] void put_minimum(int block, int group, typename V::F x) { sink_.put_minimum(block, group, x); }

 private:
  static constexpr int kQuads = static_cast<int>(kBlock) / 4, kPuts = kChunkBlocks * kQuads;

  Sink& sink_;
  const uint8_t* next_;
};

}  // namespace hearth::cpu
