// Layers that keep a state, on the CUDA device.
#include "base/checked.h"
#include "cuda/device_impl.h"

namespace hearth::cuda {
namespace {

StateArgs state_args(const device::CacheLayer& state) {
  return {reinterpret_cast<float*>(state.data), state.page_bytes / sizeof(float), state.group, 0};
}

}  // namespace

Status CudaDevice::prepare_recurrent() {
  if (functions_.scan != nullptr) return {};
  return in_context([&]() -> Status {
    ASSIGN_OR_RETURN(functions_.convolve, modules_.find("recurrent", "convolve"));
    ASSIGN_OR_RETURN(functions_.scan, modules_.find("recurrent", "scan"));
    return {};
  });
}

void CudaDevice::convolve(const device::ConvolveArgs& args) {
  if (rows() == 0) return;
  static_assert(kMostTaps == device::kMost_taps && kScanKeys * 32 == device::kMost_scan_keys);
  CHECK(args.taps <= kMostTaps);
  if (Status ready = prepare_recurrent(); !ready) return fail(std::move(ready));
  ConvolveKernelArgs kernel{};
  kernel.in = args.in;
  kernel.in_factor = args.in_factor;
  kernel.out_factor = args.out_factor;
  kernel.weight = args.weight.data;
  kernel.bias = args.bias.data;
  kernel.out = args.out;
  kernel.state = state_args(args.state);
  kernel.step = tables_.tables();
  kernel.in_stride = args.in_stride;
  kernel.out_stride = args.out_stride;
  kernel.channels = args.channels;
  kernel.taps = args.taps;
  kernel.silu = args.silu;
  list_.add(functions_.convolve,
            {static_cast<uint32_t>(divide_up(args.channels, kConvolveThreads)),
             static_cast<uint32_t>(batch_->sequences.size())},
            {kConvolveThreads}, 0, kernel);
}

void CudaDevice::scan(const device::ScanArgs& args) {
  if (rows() == 0) return;
  CHECK(args.key_dim <= kScanKeys * 32);
  if (Status ready = prepare_recurrent(); !ready) return fail(std::move(ready));
  ScanKernelArgs kernel{};
  kernel.q = args.q;
  kernel.k = args.k;
  kernel.v = args.v;
  kernel.step = args.step;
  kernel.beta = args.beta;
  kernel.step_bias = args.step_bias.data;
  kernel.decay = args.decay.data;
  kernel.skip = args.skip.data;
  kernel.gate = args.gate;
  kernel.out = args.out;
  kernel.state = state_args(args.state);
  kernel.step_tables = tables_.tables();
  kernel.state_at = args.state_at;
  kernel.stride = args.stride;
  kernel.heads = args.heads;
  kernel.groups = args.groups;
  kernel.key_dim = args.key_dim;
  kernel.value_dim = args.value_dim;
  kernel.interleaved = args.interleaved;
  kernel.step_stride = args.step_stride;
  kernel.group_stride = args.group_stride;
  kernel.gate_stride = args.gate_stride;
  kernel.out_stride = args.out_stride;
  kernel.q_scale = args.q_scale;
  kernel.k_scale = args.k_scale;
  list_.add(functions_.scan,
            {static_cast<uint32_t>(divide_up(args.value_dim, kScanWarps)), args.heads,
             static_cast<uint32_t>(batch_->sequences.size())},
            {kScanWarps * 32}, 0, kernel);
}

}  // namespace hearth::cuda
