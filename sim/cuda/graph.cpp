#include "sim/cuda/graph.h"

#include <algorithm>
#include <map>

#include "sim/cuda/copy.h"
#include "sim/cuda/functions.h"

namespace hearth::sim::cuda {

CUresult capture_operation(Stream& stream, Operation operation) {
  Capture& capture = *stream.capture;
  if (capture.invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  auto node = std::make_shared<GraphNode>();
  node->graph = capture.graph;
  node->operation = std::move(operation);
  node->dependencies = stream.tail;
  capture.graph->nodes.push_back(node);
  stream.tail = {node};
  return CUDA_SUCCESS;
}

namespace {

// One launch of an executable graph in progress: steps whose dependencies are done are executed in any order.
class GraphRun {
 public:
  explicit GraphRun(std::shared_ptr<const std::vector<GraphExec::Step>> steps)
      : steps_(std::move(steps)), done_(steps_->size()), left_(steps_->size()) {}

  bool step(Context& context, CUresult& result) {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < steps_->size(); ++i) {
      const auto& dependencies = (*steps_)[i].dependencies;
      const bool waits =
          std::any_of(dependencies.begin(), dependencies.end(), [&](std::size_t d) { return !done_[d]; });
      if (!done_[i] && !waits) ready.push_back(i);
    }
    if (ready.empty()) return true;
    const std::size_t chosen = ready[Driver::instance().scheduler.random(ready.size())];
    result = execute((*steps_)[chosen].operation, context);
    done_[chosen] = true;
    return --left_ == 0;
  }

 private:
  std::shared_ptr<const std::vector<GraphExec::Step>> steps_;
  std::vector<bool> done_;
  std::size_t left_;
};

CUresult add_node(CUgraphNode* out, CUgraph graph_handle, const CUgraphNode* dependencies, std::size_t count,
                  Operation operation) {
  Driver& driver = Driver::instance();
  const std::shared_ptr<Graph> graph = driver.graphs.find(graph_handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (out == nullptr || (count > 0 && dependencies == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  auto node = std::make_shared<GraphNode>();
  node->graph = graph;
  node->operation = std::move(operation);
  for (std::size_t i = 0; i < count; ++i) {
    const std::shared_ptr<GraphNode> dependency = driver.nodes.find(dependencies[i]);
    if (dependency == nullptr || dependency->graph.lock() != graph) return CUDA_ERROR_INVALID_VALUE;
    const auto& known = node->dependencies;
    if (std::find(known.begin(), known.end(), dependency) != known.end()) return CUDA_ERROR_INVALID_VALUE;
    node->dependencies.push_back(dependency);
  }
  graph->nodes.push_back(node);
  node->handle = driver.nodes.add(node);
  *out = node->handle;
  return CUDA_SUCCESS;
}

}  // namespace

namespace api {

CUresult cuGraphCreate(CUgraph* graph, unsigned int flags) {
  if (graph == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  *graph = Driver::instance().graphs.add(std::make_shared<Graph>());
  return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph handle) {
  Driver& driver = Driver::instance();
  const std::shared_ptr<Graph> graph = driver.graphs.remove(handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  driver.nodes.remove_if([&](const GraphNode& node) { return node.graph.lock() == graph; });
  return CUDA_SUCCESS;
}

CUresult cuGraphAddKernelNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                              size_t dependency_count, const CUDA_KERNEL_NODE_PARAMS* parameters) {
  CURRENT_CONTEXT(context);
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  KernelLaunch launch;
  const CUresult made = make_launch(*context, *parameters, launch);
  if (made != CUDA_SUCCESS) return made;
  return add_node(node, graph, dependencies, dependency_count, std::move(launch));
}

CUresult cuGraphAddMemcpyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                              size_t dependency_count, const CUDA_MEMCPY3D* parameters, CUcontext context_handle) {
  const std::shared_ptr<Context> context = Driver::instance().contexts.find(context_handle);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Copy copy;
  const CUresult made = make_copy(*context, *parameters, copy);
  if (made != CUDA_SUCCESS) return made;
  return add_node(node, graph, dependencies, dependency_count, std::move(copy));
}

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode* nodes, size_t* count) {
  const std::shared_ptr<Graph> graph = Driver::instance().graphs.find(handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (nodes != nullptr) {
    for (std::size_t i = 0; i < std::min(*count, graph->nodes.size()); ++i) nodes[i] = graph->nodes[i]->handle;
  }
  *count = graph->nodes.size();
  return CUDA_SUCCESS;
}

CUresult cuGraphInstantiate(CUgraphExec* out, CUgraph handle, unsigned long long flags) {
  CURRENT_CONTEXT(context);
  Driver& driver = Driver::instance();
  const std::shared_ptr<Graph> graph = driver.graphs.find(handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (out == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  std::map<const GraphNode*, std::size_t> index;
  auto steps = std::make_shared<std::vector<GraphExec::Step>>();
  for (const auto& node : graph->nodes) {
    GraphExec::Step step{node->handle, node->operation, {}};
    for (const auto& dependency : node->dependencies) step.dependencies.push_back(index.at(dependency.get()));
    index[node.get()] = steps->size();
    steps->push_back(std::move(step));
  }
  auto executable = std::make_shared<GraphExec>();
  executable->context = context;
  executable->steps = std::move(steps);
  *out = driver.executables.add(std::move(executable));
  return CUDA_SUCCESS;
}

CUresult cuGraphInstantiate_v2(CUgraphExec* out, CUgraph graph, CUgraphNode* error_node, char* log, size_t log_bytes) {
  if (error_node != nullptr) *error_node = nullptr;
  if (log != nullptr && log_bytes > 0) *log = '\0';
  return cuGraphInstantiate(out, graph, 0);
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream) {
  Driver& driver = Driver::instance();
  const std::shared_ptr<GraphExec> executable = driver.executables.find(handle);
  if (executable == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const StreamRef ref = stream_of(stream);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  if (ref.stream->capture != nullptr) {
    ref.stream->capture->invalid = true;  // graphs in graphs are not simulated
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  Work work;
  if (executable->last_launch != nullptr) work.waits.push_back(executable->last_launch);
  const auto run = std::make_shared<GraphRun>(executable->steps);
  work.step = [run](Context& context, CUresult& result) { return run->step(context, result); };
  executable->last_launch = driver.scheduler.enqueue(ref.stream, std::move(work));
  return driver.state_of(*ref.context);
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec handle, CUgraphNode node,
                                        const CUDA_KERNEL_NODE_PARAMS* parameters) {
  CURRENT_CONTEXT(context);
  const std::shared_ptr<GraphExec> executable = Driver::instance().executables.find(handle);
  if (executable == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (parameters == nullptr || node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  auto steps = std::make_shared<std::vector<GraphExec::Step>>(*executable->steps);
  const auto step = std::find_if(steps->begin(), steps->end(), [&](const auto& s) { return s.node == node; });
  if (step == steps->end()) return CUDA_ERROR_INVALID_VALUE;
  const auto* before = std::get_if<KernelLaunch>(&step->operation);
  if (before == nullptr) return CUDA_ERROR_INVALID_VALUE;
  KernelLaunch launch;
  const CUresult made = make_launch(*context, *parameters, launch);
  if (made != CUDA_SUCCESS) return made;
  step->operation = std::move(launch);
  executable->steps = std::move(steps);
  return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec handle) {
  return Driver::instance().executables.remove(handle) != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

}  // namespace api
}  // namespace hearth::sim::cuda
