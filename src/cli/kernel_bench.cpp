#include "cli/kernel_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>

#include "base/checked.h"
#include "base/error.h"

namespace hearth::cli {
namespace {

constexpr size_t kMostPool_bytes = 256 << 20;  // weights, or pages of a cache, that take turns
constexpr uint32_t kMostCopies = 64, kMostRepeats = 1 << 12;
constexpr double kLongEnough_s = 8e-3, kTooLong_s = 0.2;
constexpr uint32_t kPattern_rows = 16;  // of a matrix, encoded once and repeated
constexpr uint32_t kHead = 128, kGroup = 4, kChunk_rows = 512, kCandidates = 40;
constexpr uint32_t kStepKernels = 330;  // about as many as a step of 32 layers has

class KernelBench {
 public:
  KernelBench(device::Device& device, const KernelBenchOptions& options) : device_(device), options_(options) {
    pool_bytes_ = std::min<size_t>(kMostPool_bytes, device.free_bytes() / 4);
    rows_ = options.rows;
    if (rows_.empty()) rows_ = {1, 4, 8, 16, 32, 64, device.reads_host_memory() ? kChunk_rows : 4096};
    heads_ = std::max(kGroup, options.width / kHead);
    shape_ = {device::CacheType::kF16, heads_ / kGroup, kHead, kHead};
  }

  Result<std::vector<KernelTime>> measure() {
    const uint32_t most_rows = std::max(kChunk_rows, *std::ranges::max_element(rows_));
    const uint32_t longest = std::max(most_rows, *std::ranges::max_element(options_.lengths));
    device::StepShape most;
    most.rows = most_rows;
    most.logit_rows = most.sequences = 64;
    most.context = longest;
    most.width = std::max(options_.width, options_.feed_forward);
    most.vocabulary = options_.vocabulary;
    most.heads = heads_;
    most.cache = shape_;
    TRY(device_.reserve(most));
    tokens_.resize(most_rows);
    pages_.resize(divide_up(longest, device::kPage_tokens));
    std::iota(pages_.begin(), pages_.end(), 0);
    const uint32_t widest = std::max({2 * options_.feed_forward, 2 * options_.width, options_.vocabulary});
    ASSIGN_OR_RETURN(values_, zeros(size_t{std::max(most_rows, 64u)} * 2 * most.width * sizeof(float)));
    ASSIGN_OR_RETURN(results_,
                     zeros(std::max(size_t{most_rows} * 2 * most.width, size_t{64} * widest) * sizeof(float)));
    for (const std::string& format : options_.formats) TRY(products(format));
    TRY(attention());
    TRY(small_kernels());
    return std::move(times_);
  }

 private:
  static float* floats(const device::Buffer& buffer) { return reinterpret_cast<float*>(buffer.data()); }

  Result<device::Buffer> zeros(size_t bytes) {
    ASSIGN_OR_RETURN(device::Buffer buffer, device_.alloc(bytes));
    const std::vector<std::byte> nothing(std::min<size_t>(bytes, 8 << 20));
    for (size_t at = 0; at < bytes; at += nothing.size())
      TRY(device_.upload(std::span(nothing).first(std::min(nothing.size(), bytes - at)), buffer.data() + at));
    return buffer;
  }

  // Seconds that `queue`, called with 0, 1, 2, ..., takes each time, as part of a step on this batch that is long
  // enough to be measured.
  Result<double> seconds_of(const device::Batch& batch, const std::function<void(uint32_t)>& queue) {
    uint32_t repeats = 1;
    const auto once = [&]() -> Result<double> {
      const auto start = std::chrono::steady_clock::now();
      device_.begin(batch);
      for (uint32_t i = 0; i < repeats; ++i) queue(i);
      TRY(device_.finish());
      return std::max(1e-9, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    };
    ASSIGN_OR_RETURN(double seconds, once());
    while (seconds < kLongEnough_s && repeats < kMostRepeats) {
      const double factor = std::clamp(1.2 * kLongEnough_s / seconds, 2.0, 16.0);
      repeats = std::min(kMostRepeats, static_cast<uint32_t>(repeats * factor));
      ASSIGN_OR_RETURN(seconds, once());
    }
    // The second time a GPU makes a graph of the step, from then on it replays it.
    for (int i = 0; i < 4 && seconds < kTooLong_s; ++i) {
      ASSIGN_OR_RETURN(const double again, once());
      seconds = i < 1 ? again : std::min(seconds, again);
    }
    return seconds / repeats;
  }

  device::Batch batch_of(uint32_t rows, uint32_t first_position) const {
    device::Batch batch;
    batch.tokens = std::span(tokens_).first(rows);
    batch.sequences = {{0, rows, first_position, pages_}};
    return batch;
  }

  void add(const char* kind, std::string name, double seconds, double bytes, double operations, bool int8 = false) {
    times_.push_back({kind, std::move(name), seconds, bytes, operations, int8});
  }

  // Copies of one matrix, so many that no cache holds them.
  struct Pool {
    device::Buffer memory;
    std::vector<device::Matrix> copies;
  };

  Result<Pool> make_pool(const quant::Format& format, uint32_t rows, uint32_t cols) {
    std::vector<float> pattern(size_t{kPattern_rows} * cols);
    for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = std::sin(static_cast<float>(i % 4093));
    std::vector<uint8_t> host(rows * format.bytes(cols));
    format.encode(pattern.data(), pattern.size(), nullptr, host.data());
    const size_t encoded = kPattern_rows * format.bytes(cols);
    for (size_t at = encoded; at < host.size(); at += encoded)
      std::memcpy(&host[at], host.data(), std::min(encoded, host.size() - at));
    const device::Matrix matrix{&format, host.data(), rows, cols};
    const size_t each = round_up(device_.matrix_bytes(matrix), device::kWeight_alignment);
    const size_t count = std::clamp<size_t>(divide_up(pool_bytes_, each), 1, kMostCopies);
    Pool pool;
    ASSIGN_OR_RETURN(pool.memory, device_.alloc(count * each));
    for (size_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(const device::Matrix copy, device_.upload_matrix(matrix, 1, pool.memory.data() + i * each));
      pool.copies.push_back(copy);
    }
    return pool;
  }

  // An operand of so many rows, written as a step writes it.
  Result<device::Buffer> make_operand(const device::Matrix& weight, uint32_t rows, device::Operand& operand) {
    operand.width = weight.cols;
    operand.forms = device_.operand_forms(weight);
    ASSIGN_OR_RETURN(device::Buffer memory, device_.alloc(rows * device_.operand_bytes(operand.forms, operand.width)));
    operand.data = memory.data();
    device::NormArgs norm;
    norm.weight = {floats(values_), weight.cols};
    norm.in = floats(values_);
    norm.epsilon = 1e-5f;
    norm.operand = operand;
    const device::Batch batch = batch_of(rows, 0);
    device_.begin(batch);
    device_.norm(norm);
    TRY(device_.finish());
    return memory;
  }

  // The products of a layer: queries with keys and values, attention's output, gate with up, down.
  Status products(const std::string& name) {
    const quant::Format* format = quant::find_name(name);
    if (format == nullptr || format->encode == nullptr)
      return error(ErrorKind::kUsage, "--formats: there is no format {} that can be written", name);
    const uint32_t width = options_.width, inner = options_.feed_forward;
    const uint32_t key_values = 2 * shape_.kv_heads * kHead;
    for (const auto& [rows, cols] :
         {std::pair{width + key_values, width}, {width, width}, {2 * inner, width}, {width, inner}}) {
      if (cols % format->block_values != 0)
        return error(ErrorKind::kUsage, "--formats: {} columns are no whole blocks of {}", cols, name);
      ASSIGN_OR_RETURN(const Pool pool, make_pool(*format, rows, cols));
      for (const uint32_t count : rows_) {
        device::Operand in;
        ASSIGN_OR_RETURN(const device::Buffer memory, make_operand(pool.copies[0], count, in));
        const device::Batch batch = batch_of(count, 0);
        ASSIGN_OR_RETURN(
            const double seconds, seconds_of(batch, [&, height = rows](uint32_t i) {
              const device::Projection out{pool.copies[i % pool.copies.size()], {}, floats(results_), height, false};
              device_.project(in, count, {&out, 1});
            }));
        add("project", fmt::format("{} {} x {}, {} rows", format->name, rows, cols, count), seconds,
            static_cast<double>(pool.copies[0].bytes()), 2.0 * rows * cols * count, format->block_values > 1);
      }
    }
    return {};
  }

  // One row at the end of a sequence, as in generation, and a chunk of rows, as in a prompt.
  Status attention() {
    const size_t page = device_.page_bytes(shape_);
    for (const uint32_t length : options_.lengths) {
      const size_t layer = page * divide_up(length, device::kPage_tokens);
      const size_t count = std::clamp<size_t>(divide_up(pool_bytes_, layer), 1, kMostCopies);
      ASSIGN_OR_RETURN(const device::Buffer memory, zeros(count * layer));
      for (const uint32_t rows : {1u, std::min(kChunk_rows, length)}) {
        device::AttentionArgs args;
        args.q = floats(values_);
        args.q_stride = heads_ * kHead;
        args.heads = heads_;
        args.scale = 0.1f;
        args.out.width = heads_ * kHead;
        args.out.forms = device_.operand_forms({quant::find_name("Q8_0"), nullptr, 1, args.out.width});
        ASSIGN_OR_RETURN(const device::Buffer out,
                         device_.alloc(rows * device_.operand_bytes(args.out.forms, args.out.width)));
        args.out.data = out.data();
        const device::Batch batch = batch_of(rows, length - rows);
        ASSIGN_OR_RETURN(const double seconds, seconds_of(batch, [&](uint32_t i) {
                           args.cache = {shape_, memory.data() + i % count * layer, page};
                           device_.attention(args);
                         }));
        // Every row sees those before it: products with keys and with values.
        const double seen = rows * (length - (rows - 1) / 2.0);
        add("attention", fmt::format("{} rows at the end of {}", rows, length), seconds, static_cast<double>(layer),
            4.0 * heads_ * kHead * seen);
      }
    }
    return {};
  }

  Status small_kernels() {
    for (const uint32_t rows : {1u, 64u}) {
      const device::Batch batch = batch_of(rows, 0);
      const auto measure = [&](const char* kernel, const std::function<void(uint32_t)>& queue) -> Status {
        ASSIGN_OR_RETURN(const double seconds, seconds_of(batch, queue));
        add("small", fmt::format("{}, {} rows", kernel, rows), seconds, 0, 0);
        return {};
      };
      const device::Matrix weight{quant::find_name("Q8_0"), nullptr, 1, options_.feed_forward};
      device::Operand operand{nullptr, options_.width, device_.operand_forms(weight)}, wide = operand;
      wide.width = options_.feed_forward;
      ASSIGN_OR_RETURN(const device::Buffer memory,
                       device_.alloc(rows * device_.operand_bytes(wide.forms, std::max(wide.width, operand.width))));
      operand.data = wide.data = memory.data();
      device::NormArgs norm;
      norm.weight = {floats(values_), options_.width};
      norm.in = floats(values_);
      norm.operand = operand;
      TRY(measure("norm", [&](uint32_t) { device_.norm(norm); }));
      const device::ActivateArgs activate{device::Activation::kSilu, floats(values_),
                                          floats(values_) + options_.feed_forward, 2 * options_.feed_forward, wide};
      TRY(measure("activate", [&](uint32_t) { device_.activate(activate); }));
      TRY(measure_rotation(rows, measure));
      if (device_.most_candidates() < kCandidates || options_.vocabulary < kCandidates) continue;
      ASSIGN_OR_RETURN(const device::Buffer best, device_.alloc(rows * (kCandidates + 1) * sizeof(device::Candidate)));
      const device::CandidatesArgs candidates{floats(results_), rows, options_.vocabulary, kCandidates,
                                              reinterpret_cast<device::Candidate*>(best.data())};
      TRY(measure("candidates", [&](uint32_t) { device_.candidates(candidates); }));
    }
    const device::Batch batch = batch_of(1, 0);
    ASSIGN_OR_RETURN(const double seconds, seconds_of(batch, [&](uint32_t) {
                       for (uint32_t i = 0; i < kStepKernels; ++i) device_.soft_cap(floats(results_), 1, 1, 30);
                     }));
    add("small", fmt::format("{} kernels with nothing to do", kStepKernels), seconds, 0, 0);
    return {};
  }

  template <class Measure>
  Status measure_rotation(uint32_t rows, const Measure& measure) {
    const size_t page = device_.page_bytes(shape_);
    ASSIGN_OR_RETURN(const device::Buffer cache, device_.alloc(page * divide_up(rows, device::kPage_tokens)));
    device::Rope rope;
    rope.dims = kHead;
    rope.inverse_frequency.assign(kHead / 2, 0.01f);
    device::RotateAppendArgs args;
    args.q = floats(values_);
    args.k = args.v = floats(results_);
    args.q_stride = heads_ * kHead;
    args.k_stride = args.v_stride = shape_.kv_heads * kHead;
    args.heads = heads_;
    args.rope = &rope;
    args.cache = {shape_, cache.data(), page};
    return measure("rotate and append", [&](uint32_t) { device_.rotate_append(args); });
  }

  device::Device& device_;
  const KernelBenchOptions& options_;
  size_t pool_bytes_ = 0;
  std::vector<uint32_t> rows_;
  uint32_t heads_ = 0;
  device::CacheShape shape_;
  std::vector<int32_t> tokens_, pages_;
  device::Buffer values_, results_;  // inputs, which are zeros, and what comes of them
  std::vector<KernelTime> times_;
};

}  // namespace

Result<std::vector<KernelTime>> measure_kernels(device::Device& device, const KernelBenchOptions& options) {
  return KernelBench(device, options).measure();
}

}  // namespace hearth::cli
