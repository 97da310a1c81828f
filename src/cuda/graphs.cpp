#include "cuda/graphs.h"

#include <algorithm>
#include <utility>

namespace hearth::cuda {
namespace {

// The driver reads parameters through pointers to non-const, and only reads them.
void* parameter(const LaunchList& list, const Launch& launch) {
  return const_cast<std::byte*>(list.arguments_of(launch));
}

}  // namespace

Status Graphs::run(const LaunchList& list, const driver::Stream& stream) {
  if (list.launches().empty()) return {};
  if (!replay_) return launch_all(list, stream);
  ++turn_;
  Entry* entry = find(list);
  if (entry == nullptr) {
    remember(list);
    ++counts_.direct;
    return launch_all(list, stream);
  }
  entry->used = turn_;
  if (!entry->graph) {
    ASSIGN_OR_RETURN(entry->graph, instantiate(list));
    ++counts_.instantiated;
  }
  ++counts_.replayed;
  return entry->graph.launch(stream);
}

// Most steps are like the one before, and comparing two lists takes less than hashing one.
Graphs::Entry* Graphs::find(const LaunchList& list) {
  const auto latest = std::ranges::max_element(entries_, {}, &Entry::used);
  if (latest != entries_.end() && latest->list == list) return &*latest;
  const uint64_t hash = list.hash();
  for (Entry& entry : entries_)
    if (entry.hash == hash && entry.list == list) return &entry;
  return nullptr;
}

void Graphs::remember(const LaunchList& list) {
  if (entries_.size() == kMost)
    entries_.erase(std::min_element(entries_.begin(), entries_.end(),
                                    [](const Entry& a, const Entry& b) { return a.used < b.used; }));
  entries_.push_back({list.hash(), list, {}, turn_});
}

Status Graphs::launch_all(const LaunchList& list, const driver::Stream& stream) const {
  for (const Launch& launch : list.launches()) {
    void* parameters[] = {parameter(list, launch)};
    TRY(driver::check(
        cuda_.cuLaunchKernel(launch.function, launch.grid.x, launch.grid.y, launch.grid.z, launch.block.x,
                             launch.block.y, launch.block.z, launch.shared_bytes, stream.get(), parameters, nullptr),
        "launching a kernel"));
  }
  return {};
}

Result<driver::GraphExec> Graphs::instantiate(const LaunchList& list) const {
  ASSIGN_OR_RETURN(const driver::Graph graph, driver::Graph::create(cuda_));
  std::vector<CUgraphNode> latest, before;  // launches beside each other, and those that they wait for
  for (const Launch& launch : list.launches()) {
    if (!launch.beside) before = std::exchange(latest, {});
    void* parameters[] = {parameter(list, launch)};
    CUDA_KERNEL_NODE_PARAMS kernel{};
    kernel.func = launch.function;
    kernel.gridDimX = launch.grid.x;
    kernel.gridDimY = launch.grid.y;
    kernel.gridDimZ = launch.grid.z;
    kernel.blockDimX = launch.block.x;
    kernel.blockDimY = launch.block.y;
    kernel.blockDimZ = launch.block.z;
    kernel.sharedMemBytes = launch.shared_bytes;
    kernel.kernelParams = parameters;
    ASSIGN_OR_RETURN(const CUgraphNode node, graph.add_kernel(kernel, before));
    latest.push_back(node);
  }
  return graph.instantiate();
}

}  // namespace hearth::cuda
