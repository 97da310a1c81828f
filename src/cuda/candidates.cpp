// The candidates that sampling chooses among, found where the logits are.
#include <algorithm>
#include <bit>

#include "base/checked.h"
#include "cuda/device_impl.h"

namespace hearth::cuda {

void CudaDevice::candidates(const device::CandidatesArgs& args) {
  if (args.rows == 0) return;
  CHECK(args.count >= 1 && args.count <= device::kMost_candidates && args.count <= args.width);
  // The levels read one half of the scratch memory and write the other.
  const uint64_t half = scratch_.backed_bytes() / 2;
  const uint64_t row_bytes = divide_up(args.width, kBestChunk) * args.count * sizeof(uint64_t);
  const uint32_t step = static_cast<uint32_t>(std::min<uint64_t>(half / row_bytes, args.rows));
  CHECK(step > 0);  // reserve() has seen to it
  for (uint32_t first = 0; first < args.rows; first += step) {
    const uint32_t rows_now = std::min(step, args.rows - first);
    BestKernelArgs kernel{};
    kernel.values = args.logits + size_t{first} * args.width;
    kernel.width = args.width;
    kernel.count = args.count;
    kernel.run = std::bit_ceil(args.count);
    for (uint32_t level = 0; kernel.best == nullptr; ++level) {
      const uint32_t chunks = static_cast<uint32_t>(divide_up(kernel.width, kBestChunk));
      kernel.keys_out = reinterpret_cast<uint64_t*>(scratch_.address() + level % 2 * half);
      if (chunks == 1) kernel.best = args.best + first * (size_t{args.count} + 1);
      list_.add(functions_.candidates, {chunks, rows_now}, {kBestThreads}, 0, kernel);
      kernel.values = nullptr;
      kernel.keys = kernel.keys_out;
      kernel.width = chunks * args.count;
    }
  }
  const TotalKernelArgs total{args.logits, args.best, args.width, args.count};
  list_.add(functions_.total, {args.rows}, {kTotalThreads}, 0, total);
}

}  // namespace hearth::cuda
