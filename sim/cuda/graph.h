// Graphs: nodes with dependencies, made one by one or by capturing streams, and their executable copies.
#pragma once

#include <memory>
#include <vector>

#include "sim/cuda/state.h"

namespace hearth::sim::cuda {

struct GraphNode {
  std::weak_ptr<Graph> graph;
  CUgraphNode handle = nullptr;
  Operation operation;
  std::vector<std::shared_ptr<GraphNode>> dependencies;
};

struct Graph {
  std::vector<std::shared_ptr<GraphNode>> nodes;  // each after those it depends on
};

// A capture in progress: streams join it through events, and must all have been joined again when it ends.
struct Capture {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  std::weak_ptr<Stream> origin;
  CUstreamCaptureMode mode{};
  std::uint64_t thread = 0;
  bool invalid = false;
  std::vector<std::weak_ptr<Stream>> members;
};

struct GraphExec {
  struct Step {
    CUgraphNode node = nullptr;  // of the graph it was made from
    Operation operation;
    std::vector<std::size_t> dependencies;  // indices of earlier steps
  };
  std::weak_ptr<Context> context;
  // Replaced as a whole when parameters change: launches that are queued keep theirs.
  std::shared_ptr<const std::vector<Step>> steps;
  Ticket last_launch;  // launches of one executable graph follow one another
};

// Adds the operation to the capture of the stream.
CUresult capture_operation(Stream& stream, Operation operation);
// A number that tells threads apart, for captures that forbid their thread unsafe calls.
std::uint64_t this_thread();
// Of a kernel node's or cuLaunchKernel's parameters; checks all that can be checked.
CUresult make_launch(const Context& context, const CUDA_KERNEL_NODE_PARAMS& parameters, KernelLaunch& launch);

}  // namespace hearth::sim::cuda
