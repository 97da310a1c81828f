// embed: tables of every format, scaled, with and without learned positions, and soft_cap.
#include "ops/cases.h"

namespace hearth::test {

namespace {

// Three sequences that start at different positions.
Output embed(Rig& rig, Random& random, const quant::Format& format, uint32_t width, float scale, const char* positions,
             bool with_table = true) {
  constexpr uint32_t kVocabulary = 37, kPositions = 64;
  const std::vector<int32_t> tokens = random.distinct(11, kVocabulary);
  const std::vector<int32_t> pages(2);
  device::Batch batch;
  batch.tokens = tokens;
  batch.sequences = {{0, 1, 63, pages}, {1, 6, 0, pages}, {7, 4, 17, pages}};
  device::EmbedArgs args;
  if (with_table) args.table = rig.matrix(format, random.normal(size_t{kVocabulary} * width), kVocabulary, width);
  args.scale = scale;
  if (positions != nullptr)
    args.positions = rig.matrix(positions, random.normal(size_t{kPositions} * width), kPositions, width);
  args.out = with_table ? rig.zeros(tokens.size() * width) : rig.floats(random.normal(tokens.size() * width));
  rig.step(batch, [&] { rig.device().embed(args); });

  Output output{rig.download(args.out, tokens.size() * width), {}, 1e-6};
  for (const float value : output.values) output.allowed.push_back(kRounding * (std::abs(value) + scale));
  return output;
}

Output soft_cap(Rig& rig, Random& random, uint32_t rows, uint32_t width, float cap) {
  PlainBatch plain(rows);
  float* values = rig.floats(random.normal(size_t{rows} * width, 60));
  rig.step(plain.batch, [&] { rig.device().soft_cap(values, rows, width, cap); });
  Output output{rig.download(values, size_t{rows} * width), {}, 1e-5};
  output.allowed.assign(output.values.size(), cap * 1e-5f);  // of tanh's value
  return output;
}

Output clamp(Rig& rig, Random& random, uint32_t rows, uint32_t width) {
  PlainBatch plain(rows);
  float* values = rig.floats(random.normal(size_t{rows} * width, 3));
  rig.step(plain.batch, [&] { rig.device().clamp(values, rows, width, -2, 1.5f); });
  Output output{rig.download(values, size_t{rows} * width), {}, 0};
  output.allowed.assign(output.values.size(), 0);
  return output;
}

}  // namespace

std::vector<OpCase> embed_cases() {
  std::vector<OpCase> cases;
  for (const quant::Format* format : quant::all_formats()) {
    if (format->encode == nullptr) continue;
    cases.push_back({std::string("embed_") + format->name,
                     [=](Rig& rig, Random& random) { return embed(rig, random, *format, 512, 1, nullptr); }});
  }
  cases.push_back({"embed_odd_width_scaled", [](Rig& rig, Random& random) {
                     return embed(rig, random, *quant::find_name("F16"), 97, std::sqrt(97.0f), nullptr);
                   }});
  for (const char* positions : {"F32", "F16", "Q8_0"})
    cases.push_back({std::string("embed_positions_") + positions, [=](Rig& rig, Random& random) {
                       return embed(rig, random, *quant::find_name("F32"), 96, 1, positions);
                     }});
  cases.push_back({"embed_positions_alone", [](Rig& rig, Random& random) {
                     return embed(rig, random, *quant::find_name("F32"), 96, 1, "F16", false);
                   }});
  for (const auto& [rows, width] : {std::pair{1u, 1u}, {3u, 101u}, {64u, 4096u}})
    cases.push_back(
        {"clamp_" + std::to_string(width), [=](Rig& rig, Random& random) { return clamp(rig, random, rows, width); }});
  for (const auto& [rows, width] : {std::pair{1u, 1u}, {3u, 101u}, {64u, 4096u}})
    cases.push_back({"soft_cap_" + std::to_string(width),
                     [=](Rig& rig, Random& random) { return soft_cap(rig, random, rows, width, 30); }});
  return cases;
}

}  // namespace hearth::test
