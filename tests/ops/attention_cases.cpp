// rotate_append and attention together, over ragged batches and scattered pages: prompts in pieces,
// single tokens, grouped heads, windows, soft caps, every kind of rope and every cache type.
#include "ops/cases.h"

namespace hearth::test {

namespace {

using device::CacheType;
using device::kPage_tokens;
using Pairs = device::Rope::Pairs;

struct Options {
  uint32_t heads = 4, kv_heads = 2, key_dim = 32, value_dim = 32;
  CacheType type = CacheType::kF32;
  bool rope = true;
  Pairs pairs = Pairs::kHalves;
  uint32_t rope_first = 0, rope_dims = 32;
  float magnitude = 1;
  bool qk_norm = false, norm_last = false, plain_norms = false;
  device::QueryGrowth growth = {};
  uint32_t window = 0;
  bool chunked = false;
  float soft_cap = 0;
  bool sinks = false;
  bool latent = false;     // values are the first numbers of the keys
  bool as_values = false;  // the result is no operand
  bool ahead = false;      // in every step some rows of each sequence see to the end of its rows
  bool ignores = false;    // but this attention does not look ahead
  bool places = false;     // pairs turn by three numbers
  uint32_t parts = 1;      // of the rotated values
  std::vector<std::vector<uint32_t>> steps = {{40, 3, 0}, {1, 30, 1}, {1, 1, 1}, {7, 0, 65}};  // rows per sequence
  uint32_t start = 0;  // position of the first token of every sequence
};

// What the cache's rounding adds to that of float32: keys and values that lie between two steps of the
// cache type may fall to either side.
float cache_rounding(CacheType type) {
  return type == CacheType::kF32 ? 0 : type == CacheType::kF16 ? 0x1p-11f : 1.0f / 127;
}

struct Setup {
  device::RotateAppendArgs append;
  device::AttentionArgs attention;
  device::Rope rope;
  uint32_t stride = 0;
};

constexpr uint32_t kPages = 300;

std::unique_ptr<Setup> set_up(Rig& rig, Random& random, const Options& options) {
  auto setup = std::make_unique<Setup>();
  const device::CacheShape shape{.type = options.type,
                                 .kv_heads = options.kv_heads,
                                 .key_dim = options.key_dim,
                                 .value_dim = options.value_dim,
                                 .values_in_keys = options.latent};
  EXPECT_TRUE(rig.device().supports(shape).ok());
  const size_t page_bytes = rig.device().page_bytes(shape);
  const size_t floats = page_bytes * kPages / sizeof(float) + 1;
  const device::CacheLayer cache{shape, reinterpret_cast<std::byte*>(rig.zeros(floats)), page_bytes};

  setup->rope.pairs = options.pairs;
  setup->rope.first = options.rope_first;
  setup->rope.dims = options.rope_dims;
  setup->rope.magnitude = options.magnitude;
  setup->rope.parts = options.parts;
  for (uint32_t i = 0; i < options.rope_dims / 2; ++i)
    setup->rope.inverse_frequency.push_back(
        std::pow(10000.0f, -2.0f * static_cast<float>(i) / static_cast<float>(options.rope_dims)));
  for (uint32_t i = 0; options.places && i < options.rope_dims / 2; ++i)
    setup->rope.axis.push_back(static_cast<uint8_t>(i % device::kPlaces));
  setup->stride = options.heads * options.key_dim + options.kv_heads * (options.key_dim + options.value_dim) + 5;
  auto& append = setup->append;
  append.q_stride = append.k_stride = append.v_stride = setup->stride;
  append.heads = options.heads;
  append.rope = options.rope ? &setup->rope : nullptr;
  if (options.qk_norm) {
    append.q_norm = rig.vector(random.normal(options.key_dim, 0.2f, 1));
    append.k_norm = rig.vector(random.normal(options.key_dim, 0.2f, 1));
  }
  append.epsilon = 1e-6f;
  append.norm_last = options.norm_last;
  append.plain_norms = options.plain_norms;
  append.growth = options.growth;
  append.cache = cache;

  auto& attention = setup->attention;
  attention.q_stride = setup->stride;
  attention.heads = options.heads;
  attention.cache = cache;
  attention.scale = 1 / std::sqrt(static_cast<float>(options.key_dim));
  attention.window = options.window;
  attention.chunked = options.chunked;
  attention.ahead = !options.ignores;
  attention.soft_cap = options.soft_cap;
  if (options.sinks) attention.sinks = rig.vector(random.normal(options.heads, 3));
  return setup;
}

struct Sequence {
  std::vector<int32_t> pages;
  uint32_t position;
};

// Positions before `start` are never read (the window hides them): all on one page.
std::vector<Sequence> make_sequences(Random& random, const Options& options) {
  std::vector<int32_t> free = random.distinct(kPages - 1, kPages - 1);
  std::vector<Sequence> sequences(options.steps[0].size());
  for (size_t i = 0; i < sequences.size(); ++i) {
    uint32_t end = options.start;
    for (const auto& rows : options.steps) end += rows[i];
    sequences[i].position = options.start;
    for (uint32_t first = 0; first < end; first += kPage_tokens) {
      const bool hidden = first + kPage_tokens <= options.start;
      sequences[i].pages.push_back(hidden ? static_cast<int32_t>(kPages - 1) : free.back());
      if (!hidden) free.pop_back();
    }
  }
  return sequences;
}

struct StepResult {
  std::vector<float> q, out;
};

StepResult run_step(Rig& rig, Random& random, Setup& setup, const Options& options, std::vector<Sequence>& sequences,
                    const std::vector<uint32_t>& rows) {
  uint32_t total = 0;
  device::Batch batch;
  for (size_t i = 0; i < sequences.size(); ++i) {
    if (rows[i] == 0) continue;
    batch.sequences.push_back({total, rows[i], sequences[i].position, sequences[i].pages});
    const uint32_t before = rows[i] / 3;  // rows that see to themselves only
    if (options.ahead && rows[i] > 2)
      batch.ahead.push_back({total + before, rows[i] - before - 1, sequences[i].position + rows[i] - 1});
    for (uint32_t row = 0; options.places && row < rows[i]; ++row)
      batch.places.push_back({sequences[i].position, row / 5, row % 5 + 7});
    sequences[i].position += rows[i];
    total += rows[i];
  }
  const std::vector<int32_t> tokens(total);
  batch.tokens = tokens;
  float* q = rig.floats(random.normal(size_t{total} * setup.stride));
  setup.append.q = q;
  setup.append.k = q + options.heads * options.key_dim;
  setup.append.v = options.latent ? setup.append.k : setup.append.k + options.kv_heads * options.key_dim;
  setup.attention.q = q;
  const uint32_t width = options.heads * options.value_dim;
  if (options.as_values)
    setup.attention.values = rig.zeros(size_t{total} * width);
  else
    setup.attention.out = rig.readable_operand(width, total);
  const float* read = setup.attention.values;
  rig.step(batch, [&] {
    rig.device().rotate_append(setup.append);
    rig.device().attention(setup.attention);
    if (!options.as_values) read = rig.read(setup.attention.out, total);
  });
  return {rig.download(q, size_t{total} * setup.stride), rig.download(read, size_t{total} * width)};
}

Output attend(Rig& rig, Random& random, const Options& options) {
  const std::unique_ptr<Setup> setup = set_up(rig, random, options);
  std::vector<Sequence> sequences = make_sequences(random, options);
  Output output;
  // The angle is computed in float32: at position p its error is p / 2^24 of a turn's radian.
  const float turn = 0x1p-22f * static_cast<float>(options.start);
  const float rounding = cache_rounding(options.type);
  // Random queries and keys: scores spread by about 1, the largest by 4; a relative error r of a key
  // shifts weights by at most 2 * 4 * r. Values are below 5.
  const float allowed_out = 5 * (2 * 4 + 1) * (rounding + 4 * kRounding + turn);
  output.relative = 1e-5 + 2 * turn + rounding;
  for (const std::vector<uint32_t>& rows : options.steps) {
    const StepResult result = run_step(rig, random, *setup, options, sequences, rows);
    output.values.insert(output.values.end(), result.q.begin(), result.q.end());
    for (const float q : result.q) output.allowed.push_back((8 * kRounding + 8 * turn) * (1 + std::abs(q)));
    output.values.insert(output.values.end(), result.out.begin(), result.out.end());
    output.allowed.resize(output.values.size(), allowed_out);
  }
  return output;
}

}  // namespace

std::vector<OpCase> attention_cases() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, const Options& options) {
    cases.push_back({"attention_" + name, [=](Rig& rig, Random& random) { return attend(rig, random, options); }});
  };
  for (const auto& [type, name] :
       {std::pair{CacheType::kF32, std::string("f32")}, {CacheType::kF16, "f16"}, {CacheType::kQ8_0, "q8_0"}}) {
    add(name + "_adjacent", {.type = type, .pairs = Pairs::kAdjacent});
    add(name + "_one_kv_head", {.heads = 7, .kv_heads = 1, .key_dim = 64, .value_dim = 64, .type = type});
    add(name + "_no_groups", {.heads = 3, .kv_heads = 3, .key_dim = 96, .value_dim = 96, .type = type});
    add(name + "_heads_of_128", {.heads = 8, .kv_heads = 2, .key_dim = 128, .value_dim = 128, .type = type});
    add(name + "_heads_of_256", {.heads = 4, .kv_heads = 1, .key_dim = 256, .value_dim = 256, .type = type});
    add(name + "_other_value_size", {.key_dim = 64, .value_dim = 32, .type = type});
    add(name + "_part_of_the_head_rotates", {.key_dim = 64, .value_dim = 64, .type = type, .rope_dims = 24});
    add(name + "_last_part_of_the_head_rotates",
        {.key_dim = 64, .value_dim = 64, .type = type, .rope_first = 40, .rope_dims = 24});
    add(name + "_latent", {.heads = 7,
                           .kv_heads = 1,
                           .key_dim = 576,
                           .value_dim = 512,
                           .type = type,
                           .pairs = Pairs::kAdjacent,
                           .rope_first = 512,
                           .rope_dims = 64,
                           .latent = true,
                           .as_values = true});
    add(name + "_as_values_odd_heads",
        {.heads = 3, .kv_heads = 3, .key_dim = 96, .value_dim = 96, .type = type, .as_values = true});
    add(name + "_no_rope", {.type = type, .rope = false});
    add(name + "_norms_and_magnitude", {.type = type, .magnitude = 1.3f, .qk_norm = true});
    add(name + "_norms_after_rotation", {.type = type, .qk_norm = true, .norm_last = true});
    add(name + "_norms_without_weights", {.type = type, .norm_last = true, .plain_norms = true});
    add(name + "_growing_queries", {.type = type, .growth = {.factor = 0.1f, .period = 24, .offset = 1}});
    add(name + "_sinks", {.type = type, .sinks = true});
    add(name + "_sinks_odd_heads",
        {.heads = 6, .kv_heads = 2, .key_dim = 64, .value_dim = 64, .type = type, .window = 16, .sinks = true});
    add(name + "_soft_cap", {.type = type, .soft_cap = 2});
    for (const uint32_t window : {1u, 5u, 32u, 33u})
      add(name + "_window_" + std::to_string(window), {.type = type, .window = window});
    for (const uint32_t chunk : {1u, 16u, 32u, 64u})
      add(name + "_chunks_of_" + std::to_string(chunk), {.type = type, .window = chunk, .chunked = true});
    add(name + "_chunks_far", {.type = type, .window = 64, .chunked = true, .steps = {{50}, {1}, {9}}, .start = 8200});
    add(name + "_ahead", {.type = type, .ahead = true});
    add(name + "_ahead_not_here", {.type = type, .ahead = true, .ignores = true});
    add(name + "_ahead_with_window", {.type = type, .window = 20, .ahead = true});
    add(name + "_ahead_of_128",
        {.heads = 8, .kv_heads = 2, .key_dim = 128, .value_dim = 128, .type = type, .ahead = true});
    add(name + "_ahead_far", {.type = type, .ahead = true, .steps = {{290}, {1}, {9}}});
    add(name + "_places", {.type = type, .places = true});
    add(name + "_places_adjacent", {.type = type, .pairs = Pairs::kAdjacent, .places = true});
    add(name + "_places_in_parts", {.type = type, .places = true, .parts = 2});
    add(name + "_window_and_cap", {.type = type, .window = 17, .soft_cap = 3});
    add(name + "_long", {.type = type, .steps = {{200}, {200}, {1}, {64}, {1}}});
    add(name + "_far", {.type = type, .window = 40, .steps = {{50}, {1}, {9}}, .start = 8192});
    add(name + "_many_sequences",
        {.type = type, .steps = {{9, 1, 33, 2, 64, 31, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1}, {1, 0, 1, 30, 1, 2, 0, 64}}});
  }
  for (const CacheType type : {CacheType::kF32, CacheType::kF16})  // q8_0 needs multiples of 32
    add(std::string(type == CacheType::kF32 ? "f32" : "f16") + "_odd_sizes",
        {.heads = 5, .kv_heads = 1, .key_dim = 18, .value_dim = 7, .type = type, .rope_dims = 10});
  return cases;
}

}  // namespace hearth::test
