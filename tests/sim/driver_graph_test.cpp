// Graphs: made node by node or captured from streams, launched, changed.
#include "sim/driver_support.h"

namespace hearth::sim {
namespace {

constexpr unsigned kCount = 64;
constexpr std::uint64_t kSeeds = 12;

// Memory of ones, and a way to describe kernel nodes on it.
class GraphCase {
 public:
  explicit GraphCase(std::uint64_t seed, const char* faults = "") : sim("tiny", faults, seed) {
    sim.start();
    module = sim.load_kernels();
    p = sim.allocate(kCount * sizeof(unsigned));
    EXPECT_EQ(sim.run(sim.function(module, "fill"), p, kCount, 1), CUDA_SUCCESS);
    EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
    EXPECT_EQ(sim.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  }
  CUDA_KERNEL_NODE_PARAMS kernel(const char* name, unsigned& value) {
    arguments[0] = &p;
    arguments[1] = &count;
    arguments[2] = &value;
    CUDA_KERNEL_NODE_PARAMS params{};
    params.func = sim.function(module, name);
    params.gridDimX = params.gridDimY = params.gridDimZ = 1;
    params.blockDimX = kCount;
    params.blockDimY = params.blockDimZ = 1;
    params.kernelParams = arguments;
    return params;
  }
  CUgraphNode add(CUgraph graph, const char* name, unsigned value, std::vector<CUgraphNode> after) {
    const CUDA_KERNEL_NODE_PARAMS params = kernel(name, value);
    CUgraphNode node = nullptr;
    EXPECT_EQ(sim.cuGraphAddKernelNode(&node, graph, after.data(), after.size(), &params), CUDA_SUCCESS);
    return node;
  }
  unsigned launch(CUgraphExec executable) {
    EXPECT_EQ(sim.cuGraphLaunch(executable, stream), CUDA_SUCCESS);
    EXPECT_EQ(sim.cuStreamSynchronize(stream), CUDA_SUCCESS);
    return sim.read(p, kCount)[kCount - 1];
  }

  Sim sim;
  CUmodule module = nullptr;
  CUdeviceptr p = 0;
  CUstream stream = nullptr;
  unsigned count = kCount;
  void* arguments[3];
};

TEST(SimGraph, RunsNodesAfterTheirDependencies) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    GraphCase test(seed);
    CUgraph graph = nullptr;
    ASSERT_EQ(test.sim.cuGraphCreate(&graph, 0), CUDA_SUCCESS);
    const CUgraphNode first = test.add(graph, "fill", 2, {});
    const CUgraphNode second = test.add(graph, "scale", 5, {first});
    test.add(graph, "scale", 7, {second});
    CUgraphExec executable = nullptr;
    ASSERT_EQ(test.sim.cuGraphInstantiate(&executable, graph, 0), CUDA_SUCCESS);
    ASSERT_EQ(test.sim.cuGraphDestroy(graph), CUDA_SUCCESS);
    EXPECT_EQ(test.launch(executable), 70u) << "seed " << seed;
    EXPECT_EQ(test.launch(executable), 70u) << "seed " << seed;
    EXPECT_EQ(test.sim.cuGraphExecDestroy(executable), CUDA_SUCCESS);
  }
}

// What a graph keeps while it runs must outlive the error that drops it (sanitizers see it).
TEST(SimGraph, AnErrorInTheMiddleDropsTheRestOfIt) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    GraphCase test(seed, "sticky launch=9");
    CUgraph graph = nullptr;
    ASSERT_EQ(test.sim.cuGraphCreate(&graph, 0), CUDA_SUCCESS);
    CUgraphNode last = test.add(graph, "fill", 2, {});
    for (int i = 0; i < 20; ++i) last = test.add(graph, "scale", 1, {last});
    CUgraphExec executable = nullptr;
    ASSERT_EQ(test.sim.cuGraphInstantiate(&executable, graph, 0), CUDA_SUCCESS);
    const CUresult launched = test.sim.cuGraphLaunch(executable, test.stream);
    if (launched == CUDA_SUCCESS) {
      EXPECT_EQ(test.sim.cuGraphLaunch(executable, test.stream) == CUDA_SUCCESS &&
                    test.sim.cuStreamSynchronize(test.stream) == CUDA_SUCCESS,
                false);
    }
    EXPECT_EQ(test.sim.cuStreamSynchronize(test.stream), CUDA_ERROR_ILLEGAL_ADDRESS) << "seed " << seed;
  }
}

TEST(SimGraph, NodesWithoutDependenciesRunInAnyOrder) {
  unsigned wrong = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    GraphCase test(seed);
    CUgraph graph = nullptr;
    ASSERT_EQ(test.sim.cuGraphCreate(&graph, 0), CUDA_SUCCESS);
    test.add(graph, "fill", 2, {});
    test.add(graph, "scale", 5, {});  // forgot that it needs the first
    CUgraphExec executable = nullptr;
    ASSERT_EQ(test.sim.cuGraphInstantiate(&executable, graph, 0), CUDA_SUCCESS);
    if (test.launch(executable) != 10) ++wrong;
  }
  EXPECT_GT(wrong, 0u);
  EXPECT_LT(wrong, kSeeds);
}

TEST(SimGraph, ParametersOfAKernelNodeCanBeReplaced) {
  GraphCase test(4);
  CUgraph graph = nullptr;
  ASSERT_EQ(test.sim.cuGraphCreate(&graph, 0), CUDA_SUCCESS);
  const CUgraphNode node = test.add(graph, "fill", 2, {});
  CUgraphExec executable = nullptr;
  ASSERT_EQ(test.sim.cuGraphInstantiate(&executable, graph, 0), CUDA_SUCCESS);
  // A launch that is queued keeps the parameters that it was queued with.
  ASSERT_EQ(test.sim.cuGraphLaunch(executable, test.stream), CUDA_SUCCESS);
  unsigned value = 33;
  const CUDA_KERNEL_NODE_PARAMS params = test.kernel("fill", value);
  ASSERT_EQ(test.sim.cuGraphExecKernelNodeSetParams(executable, node, &params), CUDA_SUCCESS);
  ASSERT_EQ(test.sim.cuStreamSynchronize(test.stream), CUDA_SUCCESS);
  EXPECT_EQ(test.sim.read(test.p, 1)[0], 2u);
  EXPECT_EQ(test.launch(executable), 33u);
  EXPECT_EQ(test.sim.cuGraphExecKernelNodeSetParams(executable, nullptr, &params), CUDA_ERROR_INVALID_VALUE);
}

TEST(SimGraph, CopiesAreNodesToo) {
  GraphCase test(0);
  std::vector<unsigned> pinned(kCount);
  ASSERT_EQ(test.sim.cuMemHostRegister(pinned.data(), kCount * 4, 0), CUDA_SUCCESS);
  CUcontext context = nullptr;
  ASSERT_EQ(test.sim.cuCtxGetCurrent(&context), CUDA_SUCCESS);
  CUgraph graph = nullptr;
  ASSERT_EQ(test.sim.cuGraphCreate(&graph, 0), CUDA_SUCCESS);
  const CUgraphNode first = test.add(graph, "fill", 6, {});
  CUDA_MEMCPY3D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = test.p;
  copy.dstMemoryType = CU_MEMORYTYPE_HOST;
  copy.dstHost = pinned.data();
  copy.WidthInBytes = kCount * 4;
  copy.Height = copy.Depth = 1;
  CUgraphNode node = nullptr;
  ASSERT_EQ(test.sim.cuGraphAddMemcpyNode(&node, graph, &first, 1, &copy, context), CUDA_SUCCESS);
  copy.WidthInBytes = kCount * 4 + 1;
  EXPECT_EQ(test.sim.cuGraphAddMemcpyNode(&node, graph, &first, 1, &copy, context), CUDA_ERROR_INVALID_VALUE);
  CUgraphExec executable = nullptr;
  ASSERT_EQ(test.sim.cuGraphInstantiate(&executable, graph, 0), CUDA_SUCCESS);
  EXPECT_EQ(test.launch(executable), 6u);
  EXPECT_EQ(pinned[kCount - 1], 6u);
  EXPECT_EQ(test.sim.cuMemHostUnregister(pinned.data()), CUDA_SUCCESS);
}

TEST(SimGraph, CapturesAForkAndItsJoin) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    GraphCase test(seed);
    Sim& sim = test.sim;
    CUstream side = nullptr;
    CUevent fork = nullptr, join = nullptr;
    ASSERT_EQ(sim.cuStreamCreate(&side, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
    ASSERT_EQ(sim.cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING), CUDA_SUCCESS);
    ASSERT_EQ(sim.cuEventCreate(&join, CU_EVENT_DISABLE_TIMING), CUDA_SUCCESS);
    ASSERT_EQ(sim.cuStreamBeginCapture(test.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), CUDA_SUCCESS);
    ASSERT_EQ(sim.run(sim.function(test.module, "fill"), test.p, kCount, 2, test.stream), CUDA_SUCCESS);
    ASSERT_EQ(sim.cuEventRecord(fork, test.stream), CUDA_SUCCESS);
    ASSERT_EQ(sim.cuStreamWaitEvent(side, fork, 0), CUDA_SUCCESS);
    ASSERT_EQ(sim.run(sim.function(test.module, "scale"), test.p, kCount, 5, side), CUDA_SUCCESS);
    ASSERT_EQ(sim.cuEventRecord(join, side), CUDA_SUCCESS);
    ASSERT_EQ(sim.cuStreamWaitEvent(test.stream, join, 0), CUDA_SUCCESS);
    ASSERT_EQ(sim.run(sim.function(test.module, "scale"), test.p, kCount, 7, test.stream), CUDA_SUCCESS);
    CUgraph graph = nullptr;
    ASSERT_EQ(sim.cuStreamEndCapture(test.stream, &graph), CUDA_SUCCESS);
    EXPECT_EQ(sim.read(test.p, 1)[0], 1u) << "a capture executes nothing";
    CUgraphExec executable = nullptr;
    ASSERT_EQ(sim.cuGraphInstantiate(&executable, graph, 0), CUDA_SUCCESS);
    EXPECT_EQ(test.launch(executable), 70u) << "seed " << seed;
  }
}

TEST(SimGraph, ACaptureRefusesWhatCannotBeCaptured) {
  GraphCase test(0);
  Sim& sim = test.sim;
  CUgraph graph = nullptr;
  EXPECT_EQ(sim.cuStreamEndCapture(test.stream, &graph), CUDA_ERROR_ILLEGAL_STATE);
  EXPECT_EQ(sim.cuStreamBeginCapture(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  ASSERT_EQ(sim.cuStreamBeginCapture(test.stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuStreamSynchronize(test.stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  EXPECT_EQ(sim.cuStreamEndCapture(test.stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  EXPECT_EQ(graph, nullptr);

  ASSERT_EQ(sim.cuStreamBeginCapture(test.stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
  CUdeviceptr address = 0;
  EXPECT_EQ(sim.cuMemAlloc(&address, 4), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  EXPECT_EQ(sim.cuStreamEndCapture(test.stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

  // A stream that was forked and never joined.
  CUstream side = nullptr;
  CUevent fork = nullptr;
  ASSERT_EQ(sim.cuStreamCreate(&side, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuEventCreate(&fork, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuStreamBeginCapture(test.stream, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuEventRecord(fork, test.stream), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuStreamWaitEvent(side, fork, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.run(sim.function(test.module, "fill"), test.p, kCount, 2, side), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuEventQuery(fork), CUDA_ERROR_CAPTURED_EVENT);
  EXPECT_EQ(sim.cuStreamEndCapture(test.stream, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  EXPECT_EQ(sim.cuStreamSynchronize(side), CUDA_SUCCESS) << "the capture is over for both streams";
}

TEST(SimGraph, RefusesForeignAndDeadHandles) {
  GraphCase test(0);
  Sim& sim = test.sim;
  CUgraph one = nullptr, two = nullptr;
  ASSERT_EQ(sim.cuGraphCreate(&one, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuGraphCreate(&two, 0), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuGraphCreate(&two, 1), CUDA_ERROR_INVALID_VALUE);
  const CUgraphNode node = test.add(one, "fill", 1, {});
  unsigned value = 1;
  const CUDA_KERNEL_NODE_PARAMS params = test.kernel("fill", value);
  CUgraphNode other = nullptr;
  EXPECT_EQ(sim.cuGraphAddKernelNode(&other, two, &node, 1, &params), CUDA_ERROR_INVALID_VALUE);
  ASSERT_EQ(sim.cuGraphDestroy(one), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuGraphDestroy(one), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(sim.cuGraphAddKernelNode(&other, one, nullptr, 0, &params), CUDA_ERROR_INVALID_HANDLE);
  CUgraphExec executable = nullptr;
  EXPECT_EQ(sim.cuGraphInstantiate(&executable, one, 0), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(sim.cuGraphLaunch(executable, test.stream), CUDA_ERROR_INVALID_HANDLE);
}

}  // namespace
}  // namespace hearth::sim
