// The form of one model's answers: its family, found by what the model's file says, and which of the family's markers
// its vocabulary has as tokens. Made once per model; immutable.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chat/family.h"
#include "chat/markers.h"

namespace hearth::chat {

// What a model's file says of itself, as plain data.
struct Facts {
  std::string template_text = {};  // the chat template; that for tools where the file has one. Empty if there is none
  std::vector<SpecialToken> vocabulary = {};  // control and user-defined tokens
  std::string family = {};                    // an explicit choice, which wins
};

struct Format {
  const Family* family = nullptr;
  std::string reason = {};              // why this one, for the log and `hearth show`
  std::vector<Thinking> thinking = {};  // the markers of reasoning that this model has
  Markers markers = Markers();
  std::map<text::Token, std::string> visible = {};  // tokens that are markers, or parts of some: their text counts
  bool generic_tools = false;                       // tools are called by the generic protocol (generic.h)
  std::shared_ptr<const void> owned = {};           // what `family` and `thinking` are part of, if they were learned
};

// Never fails: "plain" (content only, the generic protocol for tools) is what remains, and the reason says so.
Format recognise(const Facts& facts);
// That of a family which is known already.
Format make_format(const Family& family, std::string reason, std::vector<Thinking> thinking,
                   std::span<const SpecialToken> vocabulary);

const Family* find_family(std::string_view name);  // null if there is none
// That whose answers Ollama's parser of this name reads; null if there is none.
const Family* find_family_of_parser(std::string_view ollama_parser);

// The tokens that end an answer in this family, beside those that end one in every vocabulary
// (text::Tokenizer::is_end_of_generation). `find`: the vocabulary's token of exactly this text, or kNoToken.
std::vector<text::Token> end_tokens(const Family& family, const std::function<text::Token(std::string_view)>& find);

}  // namespace hearth::chat
