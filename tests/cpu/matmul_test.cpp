// Promises of the matmul kernels beyond being right (which tests/ops checks on whole devices).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <numeric>

#include "base/checked.h"
#include "base/processors.h"
#include "cpu/cpu_device.h"
#include "cpu/interleave.h"
#include "cpu/kernel_table.h"
#include "support/support.h"

namespace hearth::cpu {
namespace {

std::vector<const KernelTable*> tables() {
  std::vector<const KernelTable*> list;
  for (const std::string& isa : supported_isas()) list.push_back(&kernels_of(isa));
  return list;
}

std::vector<float> random_values(std::mt19937_64& random, size_t n) {
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<std::vector<float>> random_rows(std::mt19937_64& random, size_t rows, size_t cols) {
  std::vector<std::vector<float>> all(rows);
  for (std::vector<float>& row : all) row = random_values(random, cols);
  return all;
}

// One weight matrix and some activation rows, multiplied `together` at a time.
class Product {
 public:
  Product(const KernelTable& table, const KernelTable::MatmulEntry& kernel, uint32_t cols,
          const std::vector<float>& weights, std::vector<std::vector<float>> activations)
      : table_(table),
        kernel_(kernel),
        rows_(static_cast<uint32_t>(weights.size() / cols)),
        cols_(cols),
        format_(*quant::find_type(kernel.type)),
        weight_(format_.bytes(weights.size())),
        floats_(std::move(activations)) {
    format_.encode(weights.data(), weights.size(), nullptr, weight_.data());
    if (kernel.interleave != nullptr) interleave();
    for (const std::vector<float>& row : floats_) {
      blocks_.push_back(std::make_unique<QuantBlock[]>(divide_up(cols, kBlock)));
      table.quantize_row(row.data(), cols, blocks_.back().get());
    }
  }

  // The weights as they are stored, row after row.
  std::vector<float> decoded() const {
    std::vector<float> values(size_t{rows_} * cols_);
    format_.decode(weight_.data(), values.size(), values.data());
    return values;
  }

  // With plain weights or with all whole groups of rows interleaved, and with activations as they are or packed.
  std::vector<std::vector<float>> run(uint32_t together, bool interleaved = false, bool packed = false) const {
    return in_batches(together, packed ? &table_.packing : nullptr, [&](MatmulArgs args) {
      if (interleaved) {
        args.weight = interleaved_.data();
        args.interleaved_rows = groups() * kInterleavedRows;
      }
      for (uint32_t row = 0; row < rows_; row += kPanelRows) kernel_.run(args, row, std::min(row + kPanelRows, rows_));
    });
  }

  // On the unit for products of many rows.
  std::vector<std::vector<float>> run_bulk(uint32_t together) const {
    return in_batches(together, &table_.bulk.packing,
                      [&](const MatmulArgs& args) { table_.bulk.matmul(format_, args, 0, rows_); });
  }

  bool can_interleave() const { return !interleaved_.empty(); }
  bool can_pack() const { return kernel_.form == kFloat; }

 private:
  // `multiply(args)` for so many activation rows at a time; null: they are not packed.
  template <class Multiply>
  std::vector<std::vector<float>> in_batches(uint32_t together, const Packing* packing, Multiply multiply) const {
    std::vector<std::vector<float>> out(floats_.size(), std::vector<float>(rows_));
    for (size_t first = 0; first < floats_.size(); first += together) {
      std::vector<const QuantBlock*> blocks;
      std::vector<const float*> floats;
      std::vector<float*> outs;
      for (size_t i = first; i < std::min(first + together, floats_.size()); ++i) {
        blocks.push_back(blocks_[i].get());
        floats.push_back(floats_[i].data());
        outs.push_back(out[i].data());
      }
      multiply(MatmulArgs{.weight = weight_.data(),
                          .row_bytes = format_.bytes(cols_),
                          .rows = rows_,
                          .cols = cols_,
                          .count = static_cast<uint32_t>(outs.size()),
                          .blocks = blocks.data(),
                          .floats = floats.data(),
                          .packed = packing != nullptr ? pack(*packing, floats) : nullptr,
                          .out = outs.data()});
    }
    return out;
  }

  uint32_t groups() const { return rows_ / kInterleavedRows; }
  void interleave() {
    interleaved_ = weight_;
    const size_t row_bytes = format_.bytes(cols_), group_bytes = kInterleavedRows * row_bytes;
    for (uint32_t i = 0; i < groups(); ++i)
      kernel_.interleave(&weight_[i * group_bytes], row_bytes, &interleaved_[i * group_bytes]);
  }

  // At a multiple of 64 bytes.
  const float* pack(const Packing& packing, const std::vector<const float*>& rows) const {
    const auto count = static_cast<uint32_t>(rows.size()), pieces = packing.pieces(count, cols_);
    packed_.resize(pieces * packing.piece + 16);
    float* const at = packed_.data() + (64 - reinterpret_cast<uintptr_t>(packed_.data()) % 64) / sizeof(float);
    for (uint32_t piece = 0; piece < pieces; ++piece) packing.pack(rows.data(), count, cols_, piece, at);
    return at;
  }

  const KernelTable& table_;
  const KernelTable::MatmulEntry& kernel_;
  uint32_t rows_, cols_;
  const quant::Format& format_;
  std::vector<uint8_t> weight_, interleaved_;
  mutable std::vector<float> packed_;
  std::vector<std::vector<float>> floats_;
  std::vector<std::unique_ptr<QuantBlock[]>> blocks_;
};

TEST(Matmul, ARowsResultIsTheSameToTheLastBitWhateverElseIsInTheBatchAndHoweverWeightsLie) {
  std::mt19937_64 random(test::seed());
  for (const KernelTable* table : tables()) {
    for (const KernelTable::MatmulEntry& kernel : table->matmuls) {
      const quant::Format& format = *quant::find_type(kernel.type);
      // A part of a chunk, where a row may end in one.
      const uint32_t cols = format.block_values == 256 ? 512 : format.block_values == 1 ? 1131 : 352;
      const auto activations = random_rows(random, 57, cols);
      const Product product(*table, kernel, cols, random_values(random, size_t{83} * cols), activations);
      const auto alone = product.run(1);
      for (const uint32_t together : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 13u, 19u, 57u}) {
        const std::string what = fmt::format("{} {}, {} rows together", table->isa, format.name, together);
        EXPECT_EQ(product.run(together), alone) << what;
        if (product.can_interleave()) {
          EXPECT_EQ(product.run(together, true), alone) << what << ", interleaved weights";
        }
        if (product.can_pack()) {
          EXPECT_EQ(product.run(together, false, true), alone) << what << ", packed";
        }
      }
    }
  }
}

TEST(Matmul, ABulkRowsResultIsTheSameToTheLastBitWhateverElseIsInTheBatch) {
  std::mt19937_64 random(test::seed());
  constexpr uint32_t kCols = 1131;
  for (const KernelTable* table : tables()) {
    if (table->bulk.matmul == nullptr) continue;
    for (const KernelTable::MatmulEntry& kernel : table->matmuls) {
      if (kernel.form != kFloat) continue;
      const auto activations = random_rows(random, 57, kCols);
      const Product product(*table, kernel, kCols, random_values(random, size_t{83} * kCols), activations);
      const auto alone = product.run_bulk(1);
      for (const uint32_t together : {2u, 15u, 16u, 17u, 32u, 33u, 57u})
        EXPECT_EQ(product.run_bulk(together), alone)
            << table->isa << " " << kernel.type << ", " << together << " together";
    }
  }
}

// A float32 is more than the unit's bfloats hold: what it computes must be as near as the sums of the other kernels.
TEST(Matmul, BulkProductsAreAsExactAsFloat32) {
  std::mt19937_64 random(test::seed());
  constexpr uint32_t kCols = 1024, kRows = 48;
  for (const KernelTable* table : tables()) {
    if (table->bulk.matmul == nullptr) continue;
    for (const KernelTable::MatmulEntry& kernel : table->matmuls) {
      if (kernel.form != kFloat) continue;
      const auto activations = random_rows(random, 40, kCols);
      const Product product(*table, kernel, kCols, random_values(random, size_t{kRows} * kCols), activations);
      const std::vector<float> weights = product.decoded();
      const auto squares = [&](const std::vector<std::vector<float>>& results) {
        double sum = 0;
        for (size_t i = 0; i < results.size(); ++i)
          for (uint32_t r = 0; r < kRows; ++r) {
            const double exact =
                std::inner_product(activations[i].begin(), activations[i].end(), &weights[size_t{r} * kCols], 0.0,
                                   std::plus<>(), [](float a, float b) { return static_cast<double>(a) * b; });
            sum += std::pow(results[i][r] - exact, 2);
          }
        return std::sqrt(sum);
      };
      EXPECT_LE(squares(product.run_bulk(40)), 3 * squares(product.run(40))) << table->isa << " " << kernel.type;
    }
  }
}

// All weights but one of a block as large as the format can hold, all activations 127 / 127: the largest integer
// sums that there are, in either direction.
TEST(Matmul, IntegerSumsHoldTheLargestWeightsTimesTheLargestActivations) {
  constexpr uint32_t kRows = 17, kCols = 512;
  std::vector<float> weights(size_t{kRows} * kCols, 1);
  for (size_t i = 0; i < weights.size(); i += 32) weights[i] = -1;
  const std::vector<std::vector<float>> activations = {std::vector<float>(kCols, 1), std::vector<float>(kCols, -1)};
  for (const KernelTable* table : tables()) {
    for (const KernelTable::MatmulEntry& kernel : table->matmuls) {
      const Product product(*table, kernel, kCols, weights, activations);
      const std::vector<float> decoded = product.decoded();
      for (const uint32_t together : {1u, 2u}) {
        const auto out = product.run(together);
        for (uint32_t row = 0; row < kRows; ++row) {
          const double sum = std::accumulate(&decoded[size_t{row} * kCols], &decoded[size_t{row + 1} * kCols], 0.0);
          EXPECT_NEAR(out[0][row], sum, 1e-3 * kCols) << table->isa << " " << quant::find_type(kernel.type)->name;
          EXPECT_NEAR(out[1][row], -sum, 1e-3 * kCols) << table->isa << " " << quant::find_type(kernel.type)->name;
        }
      }
    }
  }
}

TEST(Matmul, EveryPlainAndBlockFormatOfTheSpecificationHasAFastKernel) {
  for (const KernelTable* table : tables())
    for (const char* name : {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K",
                             "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"})
      EXPECT_NE(table->find(quant::find_name(name)->type), nullptr) << table->isa << " " << name;
}

TEST(Device, RefusesInstructionSetsThatItDoesNotHave) {
  const auto device = create_device({.threads = 1, .isa = "avx1024"});
  ASSERT_FALSE(device.ok());
  EXPECT_EQ(device.error().kind, ErrorKind::kUsage);
  EXPECT_NE(device.error().message.find("avx1024"), std::string::npos);
}

TEST(Device, UsesNoMoreThreadsThanThereAreProcessors) {
  const auto device = create_device({.threads = 1000, .isa = "generic"});
  ASSERT_TRUE(device.ok());
  EXPECT_NE((*device)->facts().name.find(std::to_string(usable_processors()) + " thread"), std::string::npos)
      << (*device)->facts().name;
}

}  // namespace
}  // namespace hearth::cpu
