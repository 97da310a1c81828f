#include "sim/exec/launch.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "sim/exec/interpreter.h"

namespace hearth::sim::exec {
namespace {

constexpr std::uint32_t kMaxSharedBytes = 227 * 1024;  // of any architecture

std::string why_invalid(const Program& program, const Launch& launch) {
  const ptx::Kernel& kernel = program.kernel;
  const auto& block = launch.block;
  const std::uint64_t threads = std::uint64_t{block[0]} * block[1] * block[2];
  for (std::size_t i = 0; i < 3; ++i) {
    if (launch.grid[i] == 0 || block[i] == 0)
      return "the grid and the block need at least one element in each direction";
    if (kernel.exact_threads && block[i] != std::max(kernel.max_threads[i], 1u)) {
      return fmt::format("the kernel is made for blocks of exactly {}x{}x{} threads", kernel.max_threads[0],
                         kernel.max_threads[1], kernel.max_threads[2]);
    }
  }
  if (block[0] > 1024 || block[1] > 1024 || block[2] > 64 || threads > 1024) {
    return fmt::format("a block of {}x{}x{} threads is too large", block[0], block[1], block[2]);
  }
  if (launch.grid[0] > 0x7fffffff || launch.grid[1] > 65535 || launch.grid[2] > 65535) {
    return fmt::format("a grid of {}x{}x{} blocks is too large", launch.grid[0], launch.grid[1], launch.grid[2]);
  }
  if (threads > static_cast<std::uint64_t>(program.attributes.max_threads)) {
    return fmt::format("{} threads per block; the kernel can have {}", threads, program.attributes.max_threads);
  }
  if (launch.dynamic_shared_bytes > kMaxSharedBytes ||
      kernel.dynamic_shared_offset + launch.dynamic_shared_bytes > kMaxSharedBytes) {
    return fmt::format("{} bytes of shared memory; no GPU has more than {} per block",
                       kernel.dynamic_shared_offset + std::uint64_t{launch.dynamic_shared_bytes}, kMaxSharedBytes);
  }
  if (launch.arguments.size() != kernel.parameter_bytes) {
    return fmt::format("{} bytes of arguments; the kernel has {}", launch.arguments.size(), kernel.parameter_bytes);
  }
  return {};
}

// All numbers below `count`, each once, in an order that the seed decides: a GPU promises none.
class BlockOrder {
 public:
  BlockOrder(std::uint64_t count, std::uint64_t seed) : count_(count) {
    std::mt19937_64 random(seed);
    first_ = random() % count;
    stride_ = count < 3 ? 1 : 1 + random() % (count - 1);
    while (std::gcd(stride_, count) != 1) ++stride_;
  }
  std::uint64_t operator[](std::uint64_t i) const {
    return static_cast<std::uint64_t>((first_ + static_cast<unsigned __int128>(i) * stride_) % count_);
  }

 private:
  std::uint64_t count_, first_ = 0, stride_ = 1;
};

// What the host threads of a launch share.
struct Common {
  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;  // guards what follows
  LaunchResult result;
  std::uint64_t faulty = ~std::uint64_t{0};  // place in the order of the block that failed
};

void work(const Program& program, const Launch& launch, GlobalMemory& memory, const Options& options,
          std::uint64_t blocks, Common& common) {
  Interpreter interpreter(program, launch, memory, options);
  const BlockOrder order(blocks, options.seed);
  while (!common.stop.load(std::memory_order_relaxed)) {
    const std::uint64_t i = common.next.fetch_add(1);
    if (i >= blocks) break;
    if (interpreter.run_block(order[i], common.stop)) continue;
    common.stop = true;
    const std::lock_guard lock(common.mutex);
    if (i < common.faulty) {
      common.faulty = i;
      common.result.fault = interpreter.fault();
    }
  }
  const std::lock_guard lock(common.mutex);
  LaunchStats& sum = common.result.stats;
  const LaunchStats& own = interpreter.stats();
  sum.warp_instructions += own.warp_instructions;
  sum.thread_instructions += own.thread_instructions;
  for (std::size_t i = 0; i < own.executed.size(); ++i) {
    const std::uint32_t line = program.steps[i].instruction->line;
    if (sum.executed.size() <= line) sum.executed.resize(line + 1);
    sum.executed[line] += own.executed[i];
  }
  sum.uninitialised_reads.insert(sum.uninitialised_reads.end(), own.uninitialised_reads.begin(),
                                 own.uninitialised_reads.end());
}

}  // namespace

LaunchResult launch(const Program& program, const Launch& launch, GlobalMemory& memory, const Options& options) {
  if (std::string why = why_invalid(program, launch); !why.empty()) {
    Fault fault;
    fault.kind = FaultKind::kInvalidLaunch;
    fault.detail = std::move(why);
    fault.kernel = program.kernel.name;
    return {std::move(fault), {}};
  }
  const std::uint64_t blocks = std::uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2];
  Common common;
  const auto others =
      std::min<std::uint64_t>(static_cast<std::uint64_t>(std::max(options.host_threads, 1)), blocks) - 1;
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < others; ++i) {
    threads.emplace_back([&] { work(program, launch, memory, options, blocks, common); });
  }
  work(program, launch, memory, options, blocks, common);
  for (std::thread& thread : threads) thread.join();
  return std::move(common.result);
}

}  // namespace hearth::sim::exec
