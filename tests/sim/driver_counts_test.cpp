// HEARTH_SIM_COUNTS: how often each line of the kernels' PTX was executed.
#include "sim/driver_support.h"

namespace hearth::sim {
namespace {

TEST(SimCounts, CountsWarpsThatExecuteALine) {
  Folder folder;
  setenv("HEARTH_SIM_COUNTS", (folder / "counts").c_str(), 1);
  Sim sim("tiny");
  sim.start();
  const CUmodule module = sim.load_kernels();
  const CUdeviceptr p = sim.allocate(64 * sizeof(unsigned));
  const CUfunction fill = sim.function(module, "fill");
  // A block has two warps. Of 64 elements both have some, of 32 one has none and leaves; of 33 one lane stays.
  for (const unsigned n : {64u, 32u, 33u}) EXPECT_EQ(sim.run(fill, p, n, 7), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
  sim.end();  // writes them
  unsetenv("HEARTH_SIM_COUNTS");
  const std::string counts = read_text(folder / "counts");
  EXPECT_EQ(counts.find("fill 0 3\n"), 0u) << counts;
  EXPECT_NE(counts.find("\nfill 17 6\n"), std::string::npos) << counts;  // the comparison
  EXPECT_NE(counts.find("\nfill 21 5\n"), std::string::npos) << counts;  // the store
  EXPECT_EQ(counts.find("scale"), std::string::npos) << counts;
}

}  // namespace
}  // namespace hearth::sim
