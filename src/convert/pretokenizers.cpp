// How models cut words, by the steps of their tokenizer.json, and the names that GGUF has for it.
#include <algorithm>

#include "convert/vocabulary.h"

namespace hearth::convert {
namespace {

#define ANY_CASE R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define SPACES R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define LLAMA3(digits) ANY_CASE R"(|[^\r\n\p{L}\p{N}]?\p{L}+|)" digits R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)" SPACES
#define UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define CASED(more) R"([^\r\n\p{L}\p{N}]?)" UPPER "*" LOWER "+" more R"(|[^\r\n\p{L}\p{N}]?)" UPPER "+" LOWER "*" more

constexpr std::string_view kBytes = "bytes", kPlainBytes = "plain bytes", kDigits = "digits";
constexpr std::string_view kGpt2Words = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct Known {
  std::string_view pre;
  std::vector<std::string_view> steps;     // "..." stands for anything
  std::optional<bool> ignore_merges = {};  // where two differ in this alone
};

const std::vector<Known>& all_known() {
  static const std::vector<Known> kAll = {
      {"gpt-2", {kBytes}},
      {"gpt-2", {kGpt2Words, kPlainBytes}},
      {"starcoder", {kDigits, kBytes}},
      {"llama-bpe", {LLAMA3(R"(\p{N}{1,3})"), kPlainBytes}, true},
      {"dbrx", {LLAMA3(R"(\p{N}{1,3})"), kPlainBytes}, false},
      {"qwen2", {LLAMA3(R"(\p{N})"), kPlainBytes}},
      {"qwen35",
       {ANY_CASE R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" SPACES, kPlainBytes}},
      {"tekken", {CASED("") R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" SPACES, kPlainBytes}},
      {"gpt-4o", {CASED(ANY_CASE "?") R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" SPACES, kPlainBytes}},
      {"deepseek-coder", {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", "[一-龥ࠀ-一가-퟿]+", kDigits, kPlainBytes}},
      {"deepseek-llm",
       {"[\r\n]", R"(\s?[A-Za-zµÀ-ÖØ-ö...𞤀-𞥃]+)", R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)", R"(\s+$)",
        "[一-龥ࠀ-一가-퟿]+", kDigits, kPlainBytes}},
      {"deepseek-v3",
       {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+",
        R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*)" SPACES,
        kPlainBytes}},
  };
  return kAll;
}

bool fits(std::string_view step, std::string_view known) {
  constexpr std::string_view kAnything = "...";  // DeepSeek's list of letters, of which copies differ in composed ones
  const size_t at = known.find(kAnything);
  if (at == std::string_view::npos) return step == known;
  return step.starts_with(known.substr(0, at)) && step.ends_with(known.substr(at + kAnything.size()));
}

}  // namespace

std::string_view pretokenizer_of(const std::vector<std::string>& steps, bool ignore_merges) {
  for (const Known& known : all_known())
    if (std::equal(steps.begin(), steps.end(), known.steps.begin(), known.steps.end(), fits) &&
        known.ignore_merges.value_or(ignore_merges) == ignore_merges)
      return known.pre;
  return {};
}

}  // namespace hearth::convert
