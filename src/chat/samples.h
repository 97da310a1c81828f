// Answers as a template writes those of earlier turns, cut out of what stands around them: what a model that was
// trained on the template writes by itself.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chat/capabilities.h"
#include "chat/format.h"

namespace hearth::chat {

// The tools that sample answers call.
const std::vector<Tool>& sample_tools();

class Samples {
 public:
  // `renderer` and `can` must outlive it.
  Samples(const Renderer& renderer, const Capabilities& can) : renderer_(renderer), can_(can) {}

  // Finds where an answer with a call begins and ends. False: the template shows none that could be found.
  bool find_borders();
  // What the template writes for this answer to a user; nothing if that stands elsewhere or fails.
  std::optional<std::string> body(Message answer) const;
  // Around the text of an answer without calls, beside what is around every answer.
  const std::string& before_text() const { return before_text_; }
  const std::string& behind_text() const { return behind_text_; }
  // What ends the turn.
  const std::string& tail() const { return tail_; }

 private:
  std::optional<std::string> render(std::vector<Message> messages, bool generation_prompt = false) const;

  const Renderer& renderer_;
  const Capabilities& can_;
  std::string header_, tail_;
  std::string before_text_, behind_text_;
};

// Words of which no template has any of its own: an answer's text and reasoning, and the calls that are asked for.
namespace sample {
inline constexpr std::string_view kText = "qxanswer", kReasoning = "qxreasoning";
inline constexpr std::string_view kTool = "qxtool", kSecondTool = "qxsecond";
inline constexpr std::string_view kKey = "qxkey", kSecondKey = "qxother";
inline constexpr std::string_view kValue = "qxvalue", kSecondValue = "qxlater";
inline constexpr std::string_view kId = "qxidfirst", kSecondId = "qxidother";  // nine characters, for Mistral
}  // namespace sample

// The longest special token at the beginning of the text; null if there is none.
const SpecialToken* token_at(std::string_view text, std::span<const SpecialToken> vocabulary);
// What a model's answer with this text becomes that is offered sample_tools(). Special tokens in it are tokens.
Message read_sample(const Format& format, std::string_view text, std::span<const SpecialToken> vocabulary);
bool same_calls(const std::vector<ToolCall>& read, const std::vector<ToolCall>& made);

// An answer with one call, {"qxkey": "qxvalue"}; with another behind it, {"qxother": "qxlater"}; with one call that has
// both arguments.
Message one_call();
Message two_calls();
Message call_with_two_arguments();

// What stands behind the thoughts that a template writes before a call that has none.
std::string without_thoughts(std::string text, const std::vector<Thinking>& thinking);
// With `place` for the ids of sample calls.
std::string without_ids(std::string text, char place);

// Where a mark of a format may begin or end: at a bracket, or behind one, or at a line's beginning.
bool is_border(std::string_view text, size_t at);
size_t common_prefix(std::string_view a, std::string_view b);  // bytes
size_t common_suffix(std::string_view a, std::string_view b);

}  // namespace hearth::chat
