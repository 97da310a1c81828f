// How long the encoder of LLaVA 1.5 (or another whose projector is `mlp`) takes for its views, against what the
// processor's float32 instructions could do in the same time. Processor time, so that other programs count less;
// limit and views take turns, each the best of the rounds.
//   tools/make_shape llava-1.5-7b-encoder F16 ENCODER.gguf
//   bench_vision ENCODER.gguf [VIEWS [ROUNDS [ISA]]]
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>

#include "cpu/cpu_device.h"
#include "cpu/kernel_table.h"
#include "vision/encoder.h"

namespace {

using namespace hearth;

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Multiplications and additions of one view: matrices for every row, scores and sums of attention.
double operations(const gguf::File& file, const vision::Spec& spec) {
  const double side = spec.image_size / spec.patch, patches = side * side;  // NOLINT(bugprone-integer-division)
  const double rows = patches + (spec.class_token ? 1 : 0);
  double all = spec.layers * 4.0 * rows * rows * spec.width;
  for (const gguf::Tensor& tensor : file.tensors()) {
    if (tensor.dimensions < 2 || tensor.name.find("position") != std::string::npos) continue;
    all += 2.0 * static_cast<double>(tensor.values()) * (tensor.name.starts_with("v.blk.") ? rows : patches);
  }
  return all;
}

// Operations a second of one thread in registers.
double float_limit(const std::string& isa) {
  const cpu::KernelTable& kernels = cpu::kernels_of(isa);
  const double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  constexpr int kRepeats = 4096;
  for (int i = 0; i < kRepeats; ++i) kernels.float_rounds();
  return kernels.float_round_ops * cpu::kLimitRounds * kRepeats / (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start);
}

Status run(const std::string& path, int views, int rounds, const std::string& isa) {
  ASSIGN_OR_RETURN(const auto file, gguf::File::open(path));
  ASSIGN_OR_RETURN(const auto device, cpu::create_device({.threads = 1, .isa = isa}));
  ASSIGN_OR_RETURN(const auto encoder, vision::Encoder::load(file, *device));
  const uint32_t side = encoder->spec().image_size;
  image::Picture view{side, side, std::vector<uint8_t>(size_t{3} * side * side)};
  for (size_t i = 0; i < view.rgb.size(); ++i) view.rgb[i] = static_cast<uint8_t>(i * 2654435761u >> 24);
  double limit = 0, best = 1e30;
  for (int round = 0; round < rounds; ++round) {
    limit = std::max(limit, float_limit(isa));
    const double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < views; ++i) TRY(encoder->encode(view));
    best = std::min(best, seconds_of(CLOCK_THREAD_CPUTIME_ID) - start);
  }
  const double all = views * operations(*file, encoder->spec());
  fmt::print("{} views of {} x {}: {:.1f} GFLOP, {:.2f} s of processor time on one thread: {:.1f} GFLOP/s\n", views,
             side, side, all / 1e9, best, all / best / 1e9);
  fmt::print("limit of {} {:.1f} GFLOP/s: {:.2f} s, {:.2f} times that\n", device->facts().name, limit / 1e9,
             all / limit, best * limit / all);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: bench_vision ENCODER.gguf [VIEWS [ROUNDS [ISA]]]\n");
    return 2;
  }
  const Status status = run(argv[1], argc > 2 ? std::atoi(argv[2]) : 1, argc > 3 ? std::atoi(argv[3]) : 3,
                            argc > 4 ? argv[4] : cpu::supported_isas().front());
  if (!status) fmt::print(stderr, "bench_vision: {}\n", status.error().message);
  return status ? 0 : 1;
}
