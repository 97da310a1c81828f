// convolve and scan over ragged batches and scattered groups of pages: prompts in pieces, single tokens, states that
// several pages share, and those that stay as snapshots.
#include "ops/cases.h"

namespace hearth::test {

namespace {

struct Batches {
  uint32_t group = 1;                                                              // pages that share a state
  std::vector<std::vector<uint32_t>> steps = {{40, 3}, {1, 70}, {1, 1}, {90, 5}};  // rows per sequence
};

constexpr uint32_t kGroups = 40;

struct Sequence {
  std::vector<int32_t> pages;
  uint32_t position = 0;
};

std::vector<Sequence> make_sequences(Random& random, const Batches& batches) {
  const std::vector<int32_t> groups = random.distinct(kGroups, kGroups);
  std::vector<Sequence> sequences(batches.steps[0].size());
  size_t next = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    uint32_t end = 0;
    for (const auto& rows : batches.steps) end += rows[i];
    for (uint32_t first = 0; first < end; first += batches.group * device::kPage_tokens, ++next)
      for (uint32_t page = 0; page < batches.group; ++page)
        sequences[i].pages.push_back(groups[next] * static_cast<int32_t>(batches.group) + static_cast<int32_t>(page));
  }
  return sequences;
}

device::CacheLayer make_state(Rig& rig, const Batches& batches, uint32_t numbers) {
  const device::CacheShape shape{.state = numbers};
  const size_t bytes = rig.device().page_bytes(shape);
  return {shape, reinterpret_cast<std::byte*>(rig.zeros(kGroups * bytes / sizeof(float))), bytes, batches.group};
}

// run(batch, rows) queues ops of one step and tells where its results are; they and the states at the end are compared.
Output over_steps(Rig& rig, Random& random, const Batches& batches, const device::CacheLayer& state, float spread,
                  const std::function<std::pair<float*, size_t>(const device::Batch&)>& run) {
  std::vector<Sequence> sequences = make_sequences(random, batches);
  Output output;
  for (const std::vector<uint32_t>& rows : batches.steps) {
    device::Batch batch;
    uint32_t total = 0;
    for (size_t i = 0; i < sequences.size(); ++i) {
      if (rows[i] == 0) continue;
      batch.sequences.push_back({total, rows[i], sequences[i].position, sequences[i].pages});
      sequences[i].position += rows[i];
      total += rows[i];
    }
    const std::vector<int32_t> tokens(total);
    batch.tokens = tokens;
    const auto [out, count] = run(batch);
    const std::vector<float> values = rig.download(out, count);
    output.values.insert(output.values.end(), values.begin(), values.end());
  }
  for (uint32_t group = 0; group < kGroups; ++group) {
    const auto* from = reinterpret_cast<const float*>(state.data + group * state.page_bytes);
    const std::vector<float> values = rig.download(from, state.shape.state);
    output.values.insert(output.values.end(), values.begin(), values.end());
  }
  for (const float value : output.values) output.allowed.push_back(kRounding * (spread + 20 * std::abs(value)));
  output.relative = 2e-5;
  return output;
}

struct Convolution {
  uint32_t channels = 70, taps = 4;
  bool factors = false, bias = true, silu = true;
  Batches batches = {};
};

Output convolve(Rig& rig, Random& random, const Convolution& options) {
  device::ConvolveArgs args;
  args.channels = options.channels;
  args.taps = options.taps;
  args.weight = rig.vector(random.normal(size_t{options.channels} * options.taps));
  if (options.bias) args.bias = rig.vector(random.normal(options.channels));
  args.silu = options.silu;
  args.in_stride = 3 * options.channels + 5;
  args.out_stride = options.channels + 3;
  args.state = make_state(rig, options.batches, (options.taps - 1) * options.channels + 2);
  return over_steps(rig, random, options.batches, args.state, 40, [&](const device::Batch& batch) {
    float* in = rig.floats(random.normal(size_t{batch.rows()} * args.in_stride));
    args.in = in + 2 * options.channels;
    if (options.factors) args.in_factor = in, args.out_factor = in + options.channels;
    const size_t count = size_t{batch.rows()} * args.out_stride;
    args.out = rig.zeros(count);
    rig.step(batch, [&] { rig.device().convolve(args); });
    return std::pair(args.out, count);
  });
}

struct Scan {
  uint32_t heads = 4, groups = 2, key_dim = 16, value_dim = 24;
  bool delta = false, interleaved = false, paired = false, skip = false, gate = false;
  Batches batches = {};
};

Output scan(Rig& rig, Random& random, const Scan& options) {
  const uint32_t keys = options.groups * options.key_dim, values = options.heads * options.value_dim;
  device::ScanArgs args;
  args.heads = options.heads;
  args.groups = options.groups;
  args.key_dim = options.key_dim;
  args.value_dim = options.value_dim;
  args.interleaved = options.interleaved;
  args.stride = 2 * keys + values + 3;
  args.step_stride = 2 * options.heads + 1;
  args.group_stride = options.heads / options.groups * (options.paired ? 2 : 1);
  args.step_bias = rig.vector(random.normal(options.heads));
  args.decay = rig.vector(random.uniform(options.heads, -1, -0.01f));
  if (options.skip) args.skip = rig.vector(random.normal(options.heads));
  args.k_scale = 1 / std::sqrt(static_cast<float>(options.key_dim));  // keys of about length 1: the state stays bounded
  args.q_scale = args.k_scale;
  args.gate_stride = values + 1;
  args.out_stride = values + 2;
  args.state_at = 6;
  args.state = make_state(rig, options.batches, args.state_at + values * options.key_dim);
  return over_steps(rig, random, options.batches, args.state, 200, [&](const device::Batch& batch) {
    const size_t rows = batch.rows();
    const float* in = rig.floats(random.normal(rows * args.stride, options.delta ? 0.7f : 1));
    const float* scalars = rig.floats(random.normal(rows * args.step_stride));
    const float* gates = rig.floats(random.normal(rows * args.gate_stride));
    args.q = in, args.k = in + keys, args.v = in + 2 * keys;
    args.step = scalars + (options.paired ? options.heads / options.groups : options.heads);
    args.beta = options.delta ? scalars : nullptr;
    args.gate = options.gate ? gates : nullptr;
    args.out = rig.zeros(rows * args.out_stride);
    rig.step(batch, [&] { rig.device().scan(args); });
    return std::pair(args.out, rows * args.out_stride);
  });
}

}  // namespace

std::vector<OpCase> recurrent_cases() {
  std::vector<OpCase> cases;
  const auto convolution = [&](const std::string& name, const Convolution& options) {
    cases.push_back({"convolve_" + name, [=](Rig& rig, Random& random) { return convolve(rig, random, options); }});
  };
  convolution("plain", {.bias = false, .silu = false});
  convolution("bias_silu", {});
  convolution("factors", {.taps = 3, .factors = true, .bias = false, .silu = false});
  convolution("most_taps", {.channels = 600, .taps = device::kMost_taps});
  convolution("one_tap", {.taps = 1});
  convolution("groups_of_pages", {.batches = {.group = 4}});
  const auto recurrence = [&](const std::string& name, const Scan& options) {
    cases.push_back({"scan_" + name, [=](Rig& rig, Random& random) { return scan(rig, random, options); }});
  };
  recurrence("state_space", {.skip = true, .gate = true});
  recurrence("state_space_one_group", {.groups = 1, .key_dim = 128, .value_dim = 64, .skip = true, .gate = true});
  recurrence("delta", {.delta = true});
  recurrence("delta_interleaved", {.key_dim = 33, .value_dim = 7, .delta = true, .interleaved = true});
  recurrence("delta_paired", {.delta = true, .paired = true});
  recurrence("delta_of_128", {.heads = 2, .groups = 1, .key_dim = 128, .value_dim = 128, .delta = true});
  recurrence("most_keys", {.heads = 2, .groups = 2, .key_dim = device::kMost_scan_keys, .delta = true});
  recurrence("groups_of_pages", {.delta = true, .batches = {.group = 2}});
  return cases;
}

}  // namespace hearth::test
