#include "cpu/kernel_table.h"
#include "cpu/kernels/matmul_amx.h"
#include "cpu/kernels/matmul_floats.h"
#include "cpu/simd/avx512.h"

namespace hearth::cpu {
namespace {

struct V : Avx512 {};  // with functions of its own (tests/cpu/isa_symbols)

template <uint32_t kCut, class Row>
void multiply(const MatmulArgs& args, uint32_t begin, uint32_t end, Row row) {
  for (uint32_t column = 0; column < args.cols; column += amx::kChunk) {
    const uint32_t columns = std::min(amx::kChunk, args.cols - column);
    amx::Panel<V, kCut>(args, column, columns, begin, end)
        .multiply([&](uint32_t r, uint32_t first, uint32_t count, float* to) {
          row(args.weight + r * args.row_bytes, column + first, count, to);
        });
  }
}

template <class Format, uint32_t kCut>
void multiply_plain(const MatmulArgs& args, uint32_t begin, uint32_t end) {
  using Value = typename Format::Value;
  multiply<kCut>(args, begin, end, [](const uint8_t* from, uint32_t column, uint32_t columns, float* to) {
    widen<V, Format>(reinterpret_cast<const Value*>(from) + column, columns, to);
  });
}

void matmul(const quant::Format& format, const MatmulArgs& args, uint32_t begin, uint32_t end) {
  if (format.type == F16::kType) return multiply_plain<F16, 2>(args, begin, end);
  if (format.type == BF16::kType) return multiply_plain<BF16, 1>(args, begin, end);
  if (format.type == F32::kType) return multiply_plain<F32, 3>(args, begin, end);
  multiply<3>(args, begin, end, [&](const uint8_t* from, uint32_t column, uint32_t columns, float* to) {
    format.decode(from + format.bytes(column), columns, to);
  });
}

KernelTable make() {
  KernelTable table = avx512_kernels();
  table.isa = "amx";
  table.bulk = {
      .packing = {.pieces = [](uint32_t count, uint32_t cols) { return amx::PackedBlocks(count, cols).pieces(); },
                  .piece = amx::PackedBlocks::kPiece_bytes / sizeof(float),
                  .pack =
                      [](const float* const* rows, uint32_t count, uint32_t cols, uint32_t piece, float* to) {
                        amx::PackedBlocks(count, cols).pack<V>(rows, piece, reinterpret_cast<std::byte*>(to));
                      }},
      .most_rows = amx::kMostRows,
      .matmul = matmul};
  return table;
}

}  // namespace

const KernelTable& amx_kernels() {
  static const KernelTable table = make();
  return table;
}

}  // namespace hearth::cpu
