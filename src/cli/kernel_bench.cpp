#include "cli/kernel_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <iterator>
#include <map>
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
  KernelBench(device::Device& device, const KernelBenchOptions& options, const Clock& now)
      : device_(device), options_(options), now_(now), end_(now() + options.seconds) {
    pool_bytes_ = std::min<size_t>(kMostPool_bytes, device.free_bytes() / 4);
    rows_ = options.rows;
    if (rows_.empty()) rows_ = {1, 4, 8, 16, 32, 64, device.reads_host_memory() ? kChunk_rows : 4096};
    heads_ = std::max(kGroup, options.width / kHead);
    shape_ = {device::CacheType::kF16, heads_ / kGroup, kHead, kHead};
  }

  Result<KernelReport> measure() {
    report_.limits = device_.measure_limits();
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
    // The quick ones first: they leave what they do not need to the others.
    size_t parts = options_.formats.size() + 2;
    TRY(small_kernels(share(end_, parts--)));
    TRY(attention(share(end_, parts--)));
    for (const std::string& format : options_.formats) TRY(products(format, share(end_, parts--)));
    return std::move(report_);
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

  // When the first of so many parts that are to be done until `end` should be done.
  double share(double end, size_t parts) const {
    const double now = now_();
    return now + std::max(0.0, end - now) / static_cast<double>(parts);
  }

  // One thing to be measured, if it can be done until `end`.
  struct Work {
    const char* kind;
    std::string name;
    double bytes = 0, operations = 0;
    bool int8 = false;
    double end = 0;
    double expected_s = 0;  // 0: nobody knows
  };

  void skip(const Work& work) { report_.skipped.push_back(fmt::format("{} {}", work.kind, work.name)); }

  // What `queue`, called with 0, 1, 2, ..., takes each time, as part of a step on this batch that is long enough to be
  // measured. Returns seconds, what was expected if it was left out.
  Result<double> time(const Work& work, const device::Batch& batch, const std::function<void(uint32_t)>& queue) {
    if (now_() + work.expected_s >= work.end) {
      skip(work);
      return work.expected_s;
    }
    ASSIGN_OR_RETURN(const double seconds, seconds_of(batch, work.end, queue));
    report_.times.push_back({work.kind, work.name, seconds, work.bytes, work.operations, work.int8});
    return seconds;
  }

  Result<double> seconds_of(const device::Batch& batch, double end, const std::function<void(uint32_t)>& queue) {
    uint32_t repeats = 1;
    double stopped = 0;
    const auto once = [&]() -> Result<double> {
      const double start = now_();
      device_.begin(batch);
      for (uint32_t i = 0; i < repeats; ++i) queue(i);
      TRY(device_.finish());
      stopped = now_();
      return std::max(1e-9, stopped - start);
    };
    ASSIGN_OR_RETURN(double seconds, once());
    while (seconds < kLongEnough_s && repeats < kMostRepeats && stopped + seconds < end) {
      const double factor = std::clamp(1.2 * kLongEnough_s / seconds, 2.0, 16.0);
      repeats = std::min(kMostRepeats, static_cast<uint32_t>(repeats * factor));
      ASSIGN_OR_RETURN(seconds, once());
    }
    // The second time a GPU makes a graph of the step, from then on it replays it.
    for (int i = 0; i < 4 && seconds < kTooLong_s && stopped + seconds < end; ++i) {
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
  Status products(const std::string& name, double end) {
    const quant::Format& format = *quant::find_name(name);
    const uint32_t width = options_.width, inner = options_.feed_forward;
    const uint32_t key_values = 2 * shape_.kv_heads * kHead;
    const std::pair<uint32_t, uint32_t> shapes[] = {
        {width + key_values, width}, {width, width}, {2 * inner, width}, {width, inner}};
    size_t parts = std::size(shapes);
    for (const auto& [rows, cols] : shapes) TRY(products_with(format, rows, cols, share(end, parts--)));
    return {};
  }

  Status products_with(const quant::Format& format, uint32_t rows, uint32_t cols, double end) {
    std::vector<Work> works;
    for (const uint32_t count : rows_)
      works.push_back({"project", fmt::format("{} {} x {}, {} rows", format.name, rows, cols, count),
                       static_cast<double>(rows * format.bytes(cols)), 2.0 * rows * cols * count,
                       format.block_values > 1, end});
    if (now_() >= end) {  // preparing weights takes time too
      for (const Work& work : works) skip(work);
      return {};
    }
    ASSIGN_OR_RETURN(const Pool pool, make_pool(format, rows, cols));
    double known_s = 0;
    for (size_t w = 0; w < works.size(); ++w) {
      const uint32_t count = rows_[w];
      if (w > 0) works[w].expected_s = known_s * count / rows_[w - 1];
      device::Operand in;
      ASSIGN_OR_RETURN(const device::Buffer memory, make_operand(pool.copies[0], count, in));
      const device::Batch batch = batch_of(count, 0);
      ASSIGN_OR_RETURN(
          known_s, time(works[w], batch, [&, height = rows](uint32_t i) {
            const device::Projection out{pool.copies[i % pool.copies.size()], {}, floats(results_), height, false};
            device_.project(in, count, {&out, 1});
          }));
    }
    return {};
  }

  // One row at the end of a sequence, as in generation, and a chunk of rows, as in a prompt.
  Status attention(double end) {
    const size_t page = device_.page_bytes(shape_);
    std::map<uint32_t, double> known_s;  // of one operation, by rows
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
        // Every row sees those before it: products with keys and with values.
        const double operations = 4.0 * heads_ * kHead * rows * (length - (rows - 1) / 2.0);
        const Work work{"attention",
                        fmt::format("{} rows at the end of {}", rows, length),
                        static_cast<double>(layer),
                        operations,
                        false,
                        end,
                        known_s[rows] * operations};
        ASSIGN_OR_RETURN(const double seconds, time(work, batch, [&](uint32_t i) {
                           args.cache = {shape_, memory.data() + i % count * layer, page};
                           device_.attention(args);
                         }));
        known_s[rows] = seconds / operations;
      }
    }
    return {};
  }

  Status small_kernels(double end) {
    for (const uint32_t rows : {1u, 64u}) {
      const device::Batch batch = batch_of(rows, 0);
      const auto measure = [&](const char* kernel, const std::function<void(uint32_t)>& queue) -> Status {
        ASSIGN_OR_RETURN([[maybe_unused]] const double seconds,
                         time({"small", fmt::format("{}, {} rows", kernel, rows), 0, 0, false, end}, batch, queue));
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
      const device::ActivateArgs activate{.gate = floats(values_),
                                          .up = floats(values_) + options_.feed_forward,
                                          .stride = 2 * options_.feed_forward,
                                          .out = wide};
      TRY(measure("activate", [&](uint32_t) { device_.activate(activate); }));
      TRY(measure_rotation(rows, measure));
      if (device_.most_candidates() < kCandidates || options_.vocabulary < kCandidates) continue;
      ASSIGN_OR_RETURN(const device::Buffer best, device_.alloc(rows * (kCandidates + 1) * sizeof(device::Candidate)));
      const device::CandidatesArgs candidates{floats(results_), rows, options_.vocabulary, kCandidates,
                                              reinterpret_cast<device::Candidate*>(best.data())};
      TRY(measure("candidates", [&](uint32_t) { device_.candidates(candidates); }));
    }
    const device::Batch batch = batch_of(1, 0);
    const Work work{"small", fmt::format("{} kernels with nothing to do", kStepKernels), 0, 0, false, end};
    ASSIGN_OR_RETURN([[maybe_unused]] const double seconds, time(work, batch, [&](uint32_t) {
                       for (uint32_t i = 0; i < kStepKernels; ++i) device_.soft_cap(floats(results_), 1, 1, 30);
                     }));
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
  const Clock& now_;
  const double end_;
  size_t pool_bytes_ = 0;
  std::vector<uint32_t> rows_;
  uint32_t heads_ = 0;
  device::CacheShape shape_;
  std::vector<int32_t> tokens_, pages_;
  device::Buffer values_, results_;  // inputs, which are zeros, and what comes of them
  KernelReport report_;
};

}  // namespace

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Status check(const KernelBenchOptions& options) {
  for (const std::string& name : options.formats) {
    const quant::Format* format = quant::find_name(name);
    if (format == nullptr || format->encode == nullptr)
      return error(ErrorKind::kUsage, "--format: there is no format {} that can be written", name);
    for (const auto& [option, cols] : {std::pair{"--width", options.width}, {"--feed-forward", options.feed_forward}}) {
      if (cols % format->block_values != 0)
        return error(ErrorKind::kUsage, "{} {} is no whole number of {}'s blocks, of {} values", option, cols, name,
                     format->block_values);
    }
  }
  return {};
}

Result<KernelReport> measure_kernels(device::Device& device, const KernelBenchOptions& options, const Clock& now) {
  TRY(check(options));
  return KernelBench(device, options, now).measure();
}

}  // namespace hearth::cli
