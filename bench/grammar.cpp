// What structured output costs: every schema of a file like ../shared/golden/json-schema/real.json and its valid texts.
//   build/bench_grammar VOCABULARY.gguf GROUPS.json
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "gguf/file.h"
#include "grammar/compose.h"
#include "grammar/json_value.h"
#include "grammar/mask_costs.h"

using namespace hearth;
using namespace hearth::grammar;

namespace {

std::string read(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

double percentile(std::vector<double> values, double part) {
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<size_t>(static_cast<double>(values.size()) * part))];
}

// An answer that may call one of 60 tools, whose schemas are of the file and 120 KB together.
void many_tools(const JsonValue& groups, const std::shared_ptr<const TokenTrie>& trie) {
  constexpr size_t kTools = 60, kBytes = 120'000;
  AnswerRules rules;
  rules.must_call = true;
  rules.frames.calls.before_name = "<call>";
  rules.frames.calls.before_arguments = " ";
  size_t bytes = 0;
  for (const JsonValue& group : groups.find("groups")->items) {
    const std::string schema = write_json(*group.find("schema"));
    const size_t tools = rules.tools.size();
    if (tools == kTools || schema.size() > 3 * (kBytes - bytes) / (kTools - tools)) continue;
    if (schema.size() * 2 < (kBytes - bytes) / (kTools - tools)) continue;
    bytes += schema.size();
    rules.tools.push_back({fmt::format("tool_{}", tools), schema});
  }
  Microseconds before = thread_time();
  const auto grammar = compile_answer(rules, *trie, nullptr).value();
  const Microseconds compiled = thread_time() - before;
  before = thread_time();
  const Machine machine = prepared_machine(grammar, trie);
  fmt::print("{} tools in {} bytes: compiled in {:.1f} ms, first masks in {:.1f} ms, {:.1f} MiB\n", rules.tools.size(),
             bytes, compiled.count() / 1e3, (thread_time() - before).count() / 1e3,
             static_cast<double>(machine.memory_bytes()) / (1 << 20));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fmt::print(stderr, "use: bench_grammar VOCABULARY.gguf GROUPS.json\n"), 2;
  const auto file = gguf::File::open(argv[1]).value();
  const auto tokenizer = text::Tokenizer::load(*file).value();
  Microseconds before = thread_time();
  const auto trie = std::make_shared<TokenTrie>(*tokenizer);
  fmt::print("tree of {} tokens: {:.0f} ms\n", trie->vocabulary(), (thread_time() - before).count() / 1e3);
  const std::string text = read(argv[2]);
  const JsonValue groups = read_json(text).value();
  std::vector<double> compile_ms, start_us;
  MaskCosts all;
  size_t largest = 0;
  int refused = 0, full = 0;
  for (const JsonValue& group : groups.find("groups")->items) {
    const std::string schema = write_json(*group.find("schema"));
    before = thread_time();
    const auto grammar = compile_schema(schema, {.open_objects = true}, nullptr);
    const double ms = (thread_time() - before).count() / 1e3;
    if (!grammar) {
      ++refused;
      continue;
    }
    compile_ms.push_back(ms);
    before = thread_time();
    Machine machine = prepared_machine(*grammar, trie);
    start_us.push_back((thread_time() - before).count());
    MaskCosts costs;
    for (const JsonValue& instance : group.find("instances")->items) {
      if (instance.find("valid")->boolean && instance.find("in_order")->boolean)
        measure_text(machine, *trie, instance.find("text")->text, costs);
    }
    const MaskCosts::Summary sum = costs.summary();
    if (ms > 20 || sum.longest.count() > 1000) {
      fmt::print("{}: {} bytes, compiled in {:.1f} ms, masks {:.0f} us, at most {:.0f}\n", group.find("id")->text,
                 schema.size(), ms, sum.average.count(), sum.longest.count());
    }
    all.masks.insert(all.masks.end(), costs.masks.begin(), costs.masks.end());
    all.forced += costs.forced;
    largest = std::max(largest, machine.memory_bytes());
    full += machine.overflowed();
  }
  const MaskCosts::Summary sum = all.summary();
  fmt::print(
      "{} schemas ({} refused): compile median {:.2f} ms, 95 % {:.2f}, longest {:.1f}; first masks median {:.0f} us, "
      "95 % {:.0f}, longest {:.0f}\n",
      compile_ms.size(), refused, percentile(compile_ms, 0.5), percentile(compile_ms, 0.95), percentile(compile_ms, 1),
      percentile(start_us, 0.5), percentile(start_us, 0.95), percentile(start_us, 1));
  fmt::print(
      "{} masks ({} tokens more had no choice): {:.1f} us on average, {:.0f} at 99.9 %, {:.0f} at most; visited "
      "{:.0f} on average, {} at most; largest machine {:.1f} MiB, {} full\n",
      all.masks.size(), all.forced, sum.average.count(), sum.p999.count(), sum.longest.count(), sum.visited,
      sum.most_visited, static_cast<double>(largest) / (1 << 20), full);
  many_tools(groups, trie);
}
