// The candidates that sampling chooses among, found where the logits are.
#include <algorithm>

#include "base/checked.h"
#include "cuda/device_impl.h"

namespace hearth::cuda {

void CudaDevice::top_candidates(const float* logits, uint32_t count, uint32_t width, uint32_t most,
                                TopCandidate* best) {
  CHECK(most >= 1 && most <= kMostTop && most <= width);
  // The levels read one half of the scratch memory and write the other.
  const uint64_t half = scratch_.backed_bytes() / 2;
  const uint64_t row_bytes = divide_up(width, kTopChunk) * most * sizeof(uint64_t);
  const uint32_t step = static_cast<uint32_t>(std::min<uint64_t>(half / row_bytes, count));
  CHECK(count == 0 || step > 0);
  for (uint32_t first = 0; first < count; first += step) {
    const uint32_t rows_now = std::min(step, count - first);
    TopKernelArgs kernel{};
    kernel.values = logits + size_t{first} * width;
    kernel.width = width;
    kernel.count = most;
    for (uint32_t level = 0; kernel.best == nullptr; ++level) {
      const uint32_t chunks = static_cast<uint32_t>(divide_up(kernel.width, kTopChunk));
      kernel.keys_out = reinterpret_cast<uint64_t*>(scratch_.address() + level % 2 * half);
      if (chunks == 1) kernel.best = best + size_t{first} * most;
      list_.add(functions_.top, {chunks, rows_now}, {kTopThreads}, 0, kernel);
      kernel.values = nullptr;
      kernel.keys = kernel.keys_out;
      kernel.width = chunks * most;
    }
  }
}

}  // namespace hearth::cuda
