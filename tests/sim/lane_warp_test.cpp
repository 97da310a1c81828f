// What works across lanes: shuffles, votes, matches, atomics, and matrix products of fragments.
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "sim/exec/mma.h"
#include "sim/lane_support.h"

namespace hearth::sim::test {
namespace {

using ptx::MmaShape;
using ptx::Type;
using Register = Lanes<u32>;

TEST(WarpLanes, ShufflesStayInTheirSegment) {
  Register a, b, c, d{};
  for (u32 lane = 0; lane < 32; ++lane) a[lane] = 100 + lane;
  u32 in_range = 0, undefined = 0;
  b.fill(3);
  c.fill(24 << 8);  // __shfl_up_sync(mask, value, 3, 8)
  exec::shuffle(ptx::ShuffleMode::kUp, d.data(), &in_range, a.data(), b.data(), c.data(), ~0u, &undefined);
  for (u32 lane = 0; lane < 32; ++lane) EXPECT_EQ(d[lane], 100 + (lane % 8 >= 3 ? lane - 3 : lane));
  EXPECT_EQ(in_range, 0xf8f8f8f8u);
  c.fill(31);
  b.fill(16);
  exec::shuffle(ptx::ShuffleMode::kButterfly, d.data(), nullptr, a.data(), b.data(), c.data(), ~0u, &undefined);
  for (u32 lane = 0; lane < 32; ++lane) EXPECT_EQ(d[lane], 100 + (lane ^ 16));
  exec::shuffle(ptx::ShuffleMode::kDown, d.data(), &in_range, a.data(), b.data(), c.data(), 0xffffu, &undefined);
  EXPECT_EQ(undefined, 0xffffu);  // all lanes read one that does not take part
}

TEST(WarpLanes, VotesMatchesAndReductions) {
  EXPECT_EQ(exec::vote(ptx::VoteMode::kAll, 0xf0, 0xf0), ~0u);
  EXPECT_EQ(exec::vote(ptx::VoteMode::kAny, 0x0f, 0xf0), 0u);
  EXPECT_EQ(exec::vote(ptx::VoteMode::kUniform, 0x10, 0xf0), 0u);
  EXPECT_EQ(exec::vote(ptx::VoteMode::kBallot, 0x1f, 0xf0), 0x10u);
  Register a, d{};
  for (u32 lane = 0; lane < 32; ++lane) a[lane] = lane % 3;
  exec::match(ptx::MatchMode::kAny, 4, d.data(), nullptr, a.data(), ~0u);
  EXPECT_EQ(d[4], 0x92492492u);
  u32 all = 0;
  exec::match(ptx::MatchMode::kAll, 4, d.data(), &all, a.data(), 0b1001);
  EXPECT_EQ(d[0], 0b1001u);
  EXPECT_EQ(all, 0b1001u);
  ptx::Instruction redux;
  redux.op = ptx::Op::kRedux;
  redux.type = Type::kS32;
  redux.atomic = ptx::AtomicOp::kMin;
  a[7] = static_cast<u32>(-5);
  exec::redux(redux, d.data(), a.data(), ~0u);
  EXPECT_EQ(static_cast<s32>(d[30]), -5);
}

TEST(WarpLanes, Atomics) {
  using ptx::AtomicOp;
  EXPECT_EQ(exec::atomic_result(AtomicOp::kInc, Type::kU32, 7, 7, 0), 0u);
  EXPECT_EQ(exec::atomic_result(AtomicOp::kDec, Type::kU32, 0, 7, 0), 7u);
  EXPECT_EQ(exec::atomic_result(AtomicOp::kMax, Type::kS32, 0xffffffff, 1, 0), 1u);
  EXPECT_EQ(exec::atomic_result(AtomicOp::kMax, Type::kU32, 0xffffffff, 1, 0), 0xffffffffu);
  EXPECT_EQ(exec::atomic_result(AtomicOp::kCas, Type::kB32, 3, 3, 9), 9u);
  EXPECT_EQ(exec::atomic_result(AtomicOp::kAdd, Type::kU32, 0xffffffff, 2, 0), 1u);
  EXPECT_EQ(exec::atomic_result(AtomicOp::kAdd, Type::kF32, 0x3f800000, 0x40000000, 0), 0x40400000u);
  EXPECT_EQ(exec::atomic_result(AtomicOp::kAdd, Type::kF16x2, 0x3c003c00, 0x40003c00, 0), 0x42004000u);
}

int element_bits(Type type) {
  return type == Type::kF16 || type == Type::kBf16 ? 16 : type == Type::kS8 || type == Type::kU8 ? 8 : 32;
}

// Small integers are exact in all formats and in every order of summation.
u32 encode(Type type, int value) {
  switch (type) {
    case Type::kF16:
      return float_to_half(static_cast<float>(value));
    case Type::kBf16:
      return float_to_bfloat(static_cast<float>(value));
    case Type::kTf32:
    case Type::kF32:
      return std::bit_cast<u32>(static_cast<float>(value));
    default:
      return static_cast<u32>(value) & (type == Type::kS32 ? ~0u : 0xffu);
  }
}

struct Matrix {
  int columns;
  std::vector<int> values;
  Matrix(int rows, int width) : columns(width), values(static_cast<std::size_t>(rows * width)) {}
  int& at(int row, int column) { return values[static_cast<std::size_t>(row * columns + column)]; }
};

// The PTX ISA's figures of the fragments, element by element. `row_of_a` and so on name the element that lane l
// holds as its i-th.
void multiply_and_compare(const MmaShape& shape) {
  SCOPED_TRACE(fmt::format("m{}n{}k{} {} {}", shape.m, shape.n, shape.k, name_of(shape.a), name_of(shape.d)));
  const exec::MmaFunction function = exec::mma_function(shape);
  ASSERT_NE(function, nullptr);
  std::mt19937_64& random = random_engine();
  const auto small = [&](Type type) { return static_cast<int>(random() % 7) - (type == Type::kU8 ? 0 : 3); };
  Matrix a(shape.m, shape.k), b(shape.k, shape.n), c(shape.m, shape.n);
  for (int& value : a.values) value = small(shape.a);
  for (int& value : b.values) value = small(shape.b);
  for (int& value : c.values) value = small(Type::kS8);
  const auto counts = exec::mma_registers(shape);
  std::vector<Register> fragments[4];
  for (int i = 0; i < 4; ++i) fragments[i].assign(counts[i], Register{});
  const auto put = [&](int fragment, int lane, int i, Type type, int value) {
    const int per = 32 / element_bits(type);
    fragments[fragment].at(static_cast<std::size_t>(i / per))[static_cast<std::size_t>(lane)] |=
        encode(type, value) << (i % per * element_bits(type));
  };
  const int per = 32 / element_bits(shape.a);
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, in_group = lane % 4;
    for (int i = 0; i < shape.m * shape.k / 32; ++i) {
      const int reg = i / per;
      const int row = group + (shape.m == 16 && reg % 2 == 1 ? 8 : 0);
      const int k = in_group * per + i % per + reg / (shape.m / 8) * 4 * per;
      put(1, lane, i, shape.a, a.at(row, k));
    }
    for (int i = 0; i < shape.n * shape.k / 32; ++i)
      put(2, lane, i, shape.b, b.at(in_group * per + i % per + i / per * 4 * per, group));
    for (int i = 0; i < shape.m * shape.n / 32; ++i)
      put(3, lane, i, shape.c, c.at(group + i / 2 * 8, in_group * 2 + i % 2));
  }
  const void* in[4][8];
  void* out[8];
  for (int f = 0; f < 4; ++f) {
    for (std::size_t i = 0; i < fragments[f].size(); ++i) in[f][i] = fragments[f][i].data();
  }
  for (std::size_t i = 0; i < fragments[0].size(); ++i) out[i] = fragments[0][i].data();
  function(shape, out, in[1], in[2], in[3]);
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < shape.m * shape.n / 32; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      int expected = c.at(row, column);
      for (int k = 0; k < shape.k; ++k) expected += a.at(row, k) * b.at(k, column);
      const int width = element_bits(shape.d);
      const u32 word = fragments[0][static_cast<std::size_t>(i * width / 32)][static_cast<std::size_t>(lane)];
      const u32 got = width == 16 ? word >> (16 * (i % 2)) & 0xffff : word;
      ASSERT_EQ(got, encode(shape.d, expected)) << "lane " << lane << " element " << i;
    }
  }
}

TEST(MatrixLanes, ProductsOfFragments) {
  for (const char* isa : lane_isas()) {
    ASSERT_TRUE(exec::set_lane_isa(isa));
    const auto f16 = Type::kF16, bf16 = Type::kBf16, f32 = Type::kF32, tf32 = Type::kTf32, s8 = Type::kS8,
               u8t = Type::kU8, s32t = Type::kS32;
    multiply_and_compare({16, 8, 8, f16, f16, f32, f32, false});
    multiply_and_compare({16, 8, 16, f16, f16, f32, f32, false});
    multiply_and_compare({16, 8, 16, f16, f16, f16, f16, false});
    multiply_and_compare({16, 8, 8, bf16, bf16, f32, f32, false});
    multiply_and_compare({16, 8, 16, bf16, bf16, f32, f32, false});
    multiply_and_compare({16, 8, 4, tf32, tf32, f32, f32, false});
    multiply_and_compare({16, 8, 8, tf32, tf32, f32, f32, false});
    multiply_and_compare({8, 8, 16, s8, s8, s32t, s32t, false});
    multiply_and_compare({16, 8, 16, u8t, s8, s32t, s32t, true});
    multiply_and_compare({16, 8, 32, s8, s8, s32t, s32t, false});
  }
}

TEST(MatrixLanes, LoadsAndStoresOfMatrices) {
  std::byte rows[8][16], back[8][16];
  for (int i = 0; i < 128; ++i) rows[i / 16][i % 16] = static_cast<std::byte>(i);
  Register d;
  exec::distribute_matrix(rows, false, d.data());
  EXPECT_EQ(d[5], 0x17161514u);  // lane 5: row 1, columns 2 and 3
  exec::collect_matrix(d.data(), false, back);
  EXPECT_EQ(std::memcmp(rows, back, sizeof(rows)), 0);
  exec::distribute_matrix(rows, true, d.data());
  EXPECT_EQ(d[5], 0x33322322u);  // of the transposed one: column 1, rows 2 and 3
  exec::collect_matrix(d.data(), true, back);
  EXPECT_EQ(std::memcmp(rows, back, sizeof(rows)), 0);
}

}  // namespace
}  // namespace hearth::sim::test
