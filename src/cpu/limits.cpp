// Measures what this machine gives at best.
#include <chrono>
#include <cstring>

#include "cpu/best_seconds.h"
#include "cpu/device_impl.h"

namespace hearth::cpu {
namespace {

constexpr size_t kRead_bytes = 512u << 20;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

device::Limits CpuDevice::measure_limits() {
  device::Limits limits;
  const Slice turn(*this);
  const double threads = host_->threads();
  if (Result<device::Buffer> buffer = alloc(kRead_bytes); buffer.ok()) {
    const size_t share = kRead_bytes / static_cast<size_t>(host_->threads()) / 4096 * 4096;
    const auto on_parts = [&](const auto& body) { host_->for_each(static_cast<uint32_t>(host_->threads()), body); };
    on_parts(
        [&](uint32_t part, int) { std::memset(buffer->data() + part * share, static_cast<int>(part) + 1, share); });
    std::atomic<uint64_t> sink{0};
    const double seconds = best_seconds(
        [&] { on_parts([&](uint32_t part, int) { sink += kernels_.read_all(buffer->data() + part * share, share); }); },
        steady_seconds);
    limits.read_bytes_per_s = static_cast<double>(share) * threads / seconds;
  }
  const auto rate = [&](void (*rounds)(), double ops) {
    return ops * kLimitRounds * threads /
           best_seconds(
               [&] { host_->for_each(static_cast<uint32_t>(host_->threads()), [&](uint32_t, int) { rounds(); }); },
               steady_seconds);
  };
  limits.float_ops_per_s = rate(kernels_.float_rounds, kernels_.float_round_ops);
  limits.int8_ops_per_s = rate(kernels_.int8_rounds, kernels_.int8_round_ops);
  return limits;
}

}  // namespace hearth::cpu
