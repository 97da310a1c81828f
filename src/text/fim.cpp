#include "text/fim.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "text/tokenizer_base.h"

namespace hearth::text {
namespace {

// From the models' cards and papers, as each was trained.
constexpr FimTexts kKnown[] = {
    // Qwen2.5-Coder, CodeGemma
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", false},
    // Mellum, which has StarCoder's marks in another order (card of JetBrains/Mellum-4b-base)
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", true, "mellum"},
    // StarCoder, Granite Code, Stable Code; SantaCoder
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", false},
    {"<fim-prefix>", "<fim-suffix>", "<fim-middle>", false},
    // DeepSeek: the hole is where the suffix begins, the end where the answer does.
    {"<\uFF5Cfim\u2581begin\uFF5C>", "<\uFF5Cfim\u2581hole\uFF5C>", "<\uFF5Cfim\u2581end\uFF5C>", false},
    // CodeLlama, whose marks begin with a space
    {"\u2581<PRE>", "\u2581<SUF>", "\u2581<MID>", false},
    {" <PRE>", " <SUF>", " <MID>", false},
    {"<PRE>", "<SUF>", "<MID>", false},
    // GLM-4.5: the marks are in its vocabulary, no card tells the order. So does Zed's editor; CodeGeeX4, of the family
    // before, has the suffix first, but inside a turn of its own.
    {"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", false},
    // Seed-Coder (https://arxiv.org/abs/2506.03524, 3.1); Codestral (https://github.com/mistralai/mistral-common,
    // encoding of FIM requests; likewise Continue's templates)
    {"<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", true},
    {"[PREFIX]", "[SUFFIX]", "", true},
};

}  // namespace

std::span<const FimTexts> known_fim_texts() {
  return kKnown;
}

FimPrompt Tokenizer::encode_fim(std::string_view, std::string_view, size_t) const {
  CHECK(has_fim());
  return {};
}

FimPrompt TokenizerBase::encode_fim(std::string_view prefix, std::string_view suffix, size_t max_tokens) const {
  const FimTokens& fim = vocabulary_.fim;
  CHECK(fim.complete());
  std::vector<Token> before, after;
  const Span before_text{prefix, false}, after_text{suffix, false};
  // As the families' own programs do: the suffix goes on where the gap ends, so no space is put before it.
  encode_text({&before_text, 1}, true, &before);
  encode_text({&after_text, 1}, false, &after);

  FimPrompt prompt;
  if (vocabulary_.add_bos) prompt.tokens.push_back(vocabulary_.bos);
  const size_t around = prompt.tokens.size() + (fim.middle == kNoToken ? 2 : 3);
  const size_t room = max_tokens - std::min(max_tokens, around);
  if (before.size() + after.size() > room) {
    const size_t left_over = room - std::min(room, before.size());
    prompt.dropped_suffix = after.size() - std::min(after.size(), std::max(room / 4, left_over));
    after.resize(after.size() - prompt.dropped_suffix);
    prompt.dropped_prefix = before.size() + after.size() - room;
    before.erase(before.begin(), before.begin() + static_cast<ptrdiff_t>(prompt.dropped_prefix));
  }

  const auto append = [&](Token mark, const std::vector<Token>& text) {
    prompt.tokens.push_back(mark);
    prompt.tokens.insert(prompt.tokens.end(), text.begin(), text.end());
  };
  if (fim.suffix_first) append(fim.suffix, after);
  append(fim.prefix, before);
  if (!fim.suffix_first) append(fim.suffix, after);
  if (fim.middle != kNoToken) prompt.tokens.push_back(fim.middle);
  for (const Token mark : {fim.prefix, fim.suffix, fim.middle})
    if (mark != kNoToken) prompt.stops.push_back(mark);
  return prompt;
}

}  // namespace hearth::text
