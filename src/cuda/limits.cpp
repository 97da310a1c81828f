// What this GPU gives at best, measured now.
#include <algorithm>

#include "cuda/device_impl.h"

namespace hearth::cuda {
namespace {

constexpr size_t kLeastRead_bytes = 32 << 20, kMostRead_bytes = size_t{1} << 30;
constexpr uint32_t kBlocksPerMultiprocessor = 8, kLeastRounds = 16, kMostRounds = 1 << 14;
constexpr double kLongEnough_s = 4e-3;
constexpr int kRepeats = 4;

}  // namespace

device::Limits CudaDevice::measure_limits() {
  device::Limits limits;
  (void)in_context([&]() -> Status {
    ASSIGN_OR_RETURN(limits, measure());
    return {};
  });
  return limits;
}

// The shortest of a few runs; events are recorded on the stream itself.
Result<double> CudaDevice::seconds_of(const LaunchList& list) {
  Graphs direct(cuda_, false);
  ASSIGN_OR_RETURN(const driver::Event before, driver::Event::create(cuda_, true));
  ASSIGN_OR_RETURN(const driver::Event after, driver::Event::create(cuda_, true));
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    TRY(before.record(stream_));
    TRY(direct.run(list, stream_));
    TRY(after.record(stream_));
    TRY(after.synchronize());
    ASSIGN_OR_RETURN(const float elapsed_ms, driver::Event::elapsed_ms(before, after));
    const double seconds = std::max(1e-9, 1e-3 * static_cast<double>(elapsed_ms));
    if (best == 0 || seconds < best) best = seconds;
    if (best > 50 * kLongEnough_s) break;  // a slow device: once is enough
  }
  return best;
}

// Grows the work until it takes long enough to be measured.
Result<device::Limits> CudaDevice::measure() {
  device::Limits limits;
  const uint32_t blocks = kBlocksPerMultiprocessor * modules_.chip().multiprocessors;
  ASSIGN_OR_RETURN(const CUfunction read, modules_.find("limits", "read_all"));
  ASSIGN_OR_RETURN(const CUfunction floats, modules_.find("limits", "multiply_floats"));
  ASSIGN_OR_RETURN(const CUfunction bytes, modules_.find("limits", "multiply_bytes"));
  ASSIGN_OR_RETURN(const device::Buffer sink, alloc(blocks * sizeof(uint32_t)));
  auto* const sink_words = reinterpret_cast<uint32_t*>(sink.data());
  const size_t most = std::clamp<size_t>(free_bytes() / 4, kLeastRead_bytes, kMostRead_bytes);
  for (size_t size = kLeastRead_bytes; size <= most; size *= 2) {
    ASSIGN_OR_RETURN(const device::Buffer buffer, alloc(size));
    TRY(driver::check(cuda_.cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(buffer.data()), 1, size, stream_.get()),
                      "clearing memory"));
    LaunchList list;
    list.add(read, {blocks}, {kLimitThreads}, 0,
             ReadLimitArgs{reinterpret_cast<const uint8_t*>(buffer.data()), sink_words, size / 16});
    ASSIGN_OR_RETURN(const double seconds, seconds_of(list));
    limits.read_bytes_per_s = static_cast<double>(size) / seconds;
    if (seconds > kLongEnough_s) break;
  }
  const auto arithmetic = [&](CUfunction function, double per_block_and_round) -> Result<double> {
    double rate = 0;
    for (uint32_t rounds = kLeastRounds; rounds <= kMostRounds; rounds *= 4) {
      LaunchList list;
      list.add(function, {blocks}, {kLimitThreads}, 0, ArithmeticLimitArgs{sink_words, rounds, 0});
      ASSIGN_OR_RETURN(const double seconds, seconds_of(list));
      rate = per_block_and_round * rounds * blocks / seconds;
      if (seconds > kLongEnough_s) break;
    }
    return rate;
  };
  ASSIGN_OR_RETURN(limits.float_ops_per_s, arithmetic(floats, 2.0 * kFloatChains * kLimitThreads));
  ASSIGN_OR_RETURN(limits.int8_ops_per_s, arithmetic(bytes, 2.0 * 16 * 8 * 32 * kByteChains * kLimitThreads / 32));
  return limits;
}

}  // namespace hearth::cuda
