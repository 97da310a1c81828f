// What Matmul launches: that it fits the GPU, and that the blocks cover the product.
#include "cuda/matmul_plan.h"

#include <gtest/gtest.h>

#include "base/checked.h"
#include "cuda/kernels/matmul_args.h"
#include "cuda/matmul.h"

namespace hearth::cuda {
namespace {

// Kernels by name only; handles are numbers.
class Names : public Kernels {
 public:
  explicit Names(const Chip& chip) : chip_(chip) {}
  const Chip& chip() const override { return chip_; }
  Result<CUfunction> find(const std::string&, const std::string& name, uint32_t) override {
    names_.push_back(name);
    return reinterpret_cast<CUfunction>(names_.size());
  }
  const std::string& name(CUfunction function) const { return names_[reinterpret_cast<uintptr_t>(function) - 1]; }

 private:
  Chip chip_;
  std::vector<std::string> names_;
};

Matmul prepared(Names& kernels) {
  Matmul matmul(kernels);
  for (const quant::Format* format : quant::all_formats()) EXPECT_TRUE(matmul.prepare(*format).ok());
  return matmul;
}

// As NVIDIA lists them: multiprocessors; shared memory of a block, of a multiprocessor, and what a block takes besides.
constexpr Chip chip(int capability, uint32_t multiprocessors, uint32_t shared_kib) {
  const uint32_t reserved = capability >= 80 ? 1 << 10 : 0;
  return {capability, multiprocessors, (shared_kib << 10) - reserved, shared_kib << 10, reserved, 32 << 20};
}
const Chip kChips[] = {chip(75, 40, 64),   chip(80, 108, 164),  chip(86, 20, 100), chip(89, 128, 100),
                       chip(90, 132, 228), chip(100, 148, 228), chip(120, 70, 100)};

MatmulArgs args_of(const LaunchList& list, const Launch& launch) {
  MatmulArgs args;
  EXPECT_EQ(launch.args_bytes, sizeof args);
  std::memcpy(&args, list.arguments_of(launch), sizeof args);
  return args;
}

// Weight rows times activation rows that the grid's blocks take at once.
void expect_covered(const Names& kernels, const Launch& launch, const MatmulArgs& args, uint32_t rows) {
  const std::string& name = kernels.name(launch.function);
  if (name.find("_few_") != std::string::npos) {
    const uint32_t tokens = static_cast<uint32_t>(std::stoul(name.substr(name.rfind('_') + 1)));
    EXPECT_GE(launch.grid.x * (launch.block.x / 32 / args.splits), args.tiles) << name;
    EXPECT_GE(launch.grid.z * tokens, rows) << name;
    EXPECT_GE(args.splits, 1u);
    EXPECT_LE(args.splits, launch.block.x / 32);
    EXPECT_EQ(args.block_tiles, launch.block.x / 32 / args.splits);
    EXPECT_EQ(args.split_inverse, split_inverse(args.splits));
  } else if (launch.block.y == 1 && args.stages != 0) {
    EXPECT_GE(launch.grid.z * (launch.block.x / 32), args.tiles) << name;
    EXPECT_GE(launch.grid.x * kManyTokens, rows) << name;
  } else {
    EXPECT_GE(launch.grid.x * kPlainWarps, args.tiles) << name;
    EXPECT_GE(launch.grid.z * (rows == 1 ? 1 : kPlainTokens), rows) << name;
  }
}

TEST(MatmulPlan, DividesWarpsByTheNumberThatSharesATile) {
  for (uint32_t splits = 1; splits <= 8; ++splits)
    for (uint32_t warp = 0; warp < 8; ++warp)
      EXPECT_EQ(warp * split_inverse(splits) >> kSplit_inverse_bits, warp / splits) << warp << " / " << splits;
}

TEST(MatmulPlan, FitsEveryGpuAndCoversEveryProduct) {
  for (const Chip& chip : kChips) {
    Names kernels(chip);
    const Matmul matmul = prepared(kernels);
    for (const quant::Format* format : quant::all_formats())
      for (const uint32_t cols : {256u, 896u * 8, 28672u})
        for (const uint32_t weight_rows : {1u, 100u, 151936u})
          for (const uint32_t rows : {1u, 4u, 5u, 16u, 17u, 32u, 33u, 64u, 65u, 4096u}) {
            const device::OperandForms forms = Matmul::form_of(*format);
            const device::Operand in{reinterpret_cast<std::byte*>(4096), cols, forms};
            const device::Matrix weight{format, reinterpret_cast<const uint8_t*>(4096), weight_rows, cols};
            const device::Projection out{weight, {}, reinterpret_cast<float*>(4096), weight_rows, false};
            LaunchList list;
            matmul.project(in, rows, {&out, 1}, list);
            ASSERT_EQ(list.launches().size(), 1u);
            const Launch& launch = list.launches()[0];
            EXPECT_LE(launch.shared_bytes, chip.shared_bytes_per_block);
            EXPECT_LE(launch.block.x, 256u);
            EXPECT_LE(std::max(launch.grid.y, launch.grid.z), 65535u);
            expect_covered(kernels, launch, args_of(list, launch), rows);
          }
  }
}

// Warps on a multiprocessor at once, as shared memory and the kernels' launch bounds allow, with a large matrix.
uint32_t resident_warps(const Chip& chip, const char* format, uint32_t rows) {
  Names kernels(chip);
  const Matmul matmul = prepared(kernels);
  const quant::Format* of = quant::find_name(format);
  const device::Operand in{reinterpret_cast<std::byte*>(4096), 4096, Matmul::form_of(*of)};
  const device::Projection out{{of, reinterpret_cast<const uint8_t*>(4096), 128256, 4096}, {}, nullptr, 128256, false};
  LaunchList list;
  matmul.project(in, rows, {&out, 1}, list);
  const Launch& launch = list.launches()[0];
  const uint32_t warps = launch.block.x / 32;
  const std::string& name = kernels.name(launch.function);
  const uint32_t tokens = static_cast<uint32_t>(std::atoi(name.substr(name.rfind('_') + 1).c_str()));
  const uint32_t most = tokens == 0 ? kManyBlockWarps : few_block_warps(tokens) * few_blocks(tokens);
  return warps * resident_blocks(chip, warps, launch.shared_bytes, most);
}

// What a change of a kernel's shared memory costs: fewer warps hide less of each other's waiting.
TEST(MatmulPlan, KeepsSoManyWarpsOnAMultiprocessor) {
  struct Expected {
    const char* format;
    std::array<uint32_t, 5> warps;  // few_4, few_8, few_16, few_32, many
  };
  const auto check = [](int capability, std::initializer_list<Expected> all) {
    for (const Chip& chip : kChips)
      if (chip.compute_capability == capability)
        for (const Expected& expected : all) {
          std::array<uint32_t, 5> found{};
          const uint32_t rows[] = {1, 8, 16, 32, 512};
          for (size_t i = 0; i < found.size(); ++i) found[i] = resident_warps(chip, expected.format, rows[i]);
          EXPECT_EQ(found, expected.warps) << expected.format << " on " << capability;
        }
  };
  check(75, {{"F16", {13, 10, 6, 3, 6}},
             {"Q8_0", {8, 6, 4, 3, 4}},
             {"Q4_K", {12, 8, 5, 3, 6}},
             {"Q6_K", {9, 7, 5, 3, 4}},
             {"Q2_K", {10, 8, 5, 3, 4}}});
  check(80, {{"F16", {16, 13, 9, 5, 8}},
             {"Q8_0", {12, 9, 6, 4, 8}},
             {"Q4_K", {16, 12, 8, 5, 8}},
             {"Q6_K", {12, 10, 7, 4, 8}},
             {"Q2_K", {16, 12, 8, 4, 8}}});
  for (const int capability : {86, 89, 120})
    check(capability, {{"F16", {10, 8, 5, 3, 8}},
                       {"Q8_0", {7, 5, 4, 2, 6}},
                       {"Q4_K", {10, 8, 5, 3, 8}},
                       {"Q6_K", {8, 6, 4, 2, 8}},
                       {"Q2_K", {10, 8, 4, 2, 8}}});
  for (const int capability : {90, 100})
    check(capability, {{"F16", {16, 16, 12, 8, 8}},
                       {"Q8_0", {16, 13, 9, 6, 8}},
                       {"Q4_K", {16, 16, 12, 7, 8}},
                       {"Q6_K", {16, 14, 10, 6, 8}},
                       {"Q2_K", {16, 16, 11, 6, 8}}});
}

TEST(MatmulPlan, WeightsOfOneFormatAreOneLaunch) {
  Names kernels(kChips[4]);
  const Matmul matmul = prepared(kernels);
  const auto projection = [](const char* format, uint32_t rows) {
    const device::Matrix weight{quant::find_name(format), reinterpret_cast<const uint8_t*>(4096), rows, 512};
    return device::Projection{weight, {}, reinterpret_cast<float*>(4096), rows, false};
  };
  const device::Operand in{reinterpret_cast<std::byte*>(4096), 512, kInt8Form};
  const device::Projection outs[] = {projection("Q4_K", 100), projection("Q6_K", 16), projection("Q4_K", 20)};
  LaunchList list;
  matmul.project(in, 1, outs, list);
  ASSERT_EQ(list.launches().size(), 2u);
  const MatmulArgs args = args_of(list, list.launches()[0]);
  EXPECT_EQ(args.part_count, 2u);
  EXPECT_EQ(args.parts[1].first_tile, divide_up(100, kTileRows));
  EXPECT_EQ(args.tiles, args.parts[1].first_tile + divide_up(20, kTileRows));
  EXPECT_EQ(kernels.name(list.launches()[1].function), "matmul_Q6_K_few_4");
}

TEST(MatmulPlan, NamesTheExpertsByTheirSlotsWhenThereAreFewer) {
  Names kernels(kChips[4]);
  const Matmul matmul = prepared(kernels);
  const device::Operand in{reinterpret_cast<std::byte*>(4096), 512, kInt8Form};
  const device::Matrix weight{quant::find_name("Q4_K"), reinterpret_cast<const uint8_t*>(4096), 128 * 96, 512};
  const ExpertProjection out{weight, reinterpret_cast<float*>(4096), 96};
  for (const uint32_t rows : {1u, 500u}) {
    LaunchList list;
    ExpertGroups groups;
    groups.experts = 128;
    groups.used = 8;
    groups.slot_count = 8 * rows;
    matmul.project_experts(in, ExpertInput::kToken, groups, {&out, 1}, list);
    const Launch& launch = list.launches()[0];
    const MatmulArgs args = args_of(list, launch);
    EXPECT_EQ(args.by_slot, rows == 1 ? 1u : 0u);
    EXPECT_EQ(launch.grid.y, rows == 1 ? 8u : 128u);
    EXPECT_EQ(args.parts[0].rows, 96u);
    EXPECT_EQ(args.slots_per_row, 8u);
  }
}

}  // namespace
}  // namespace hearth::cuda
