// Which of a family's markers are special tokens of a model's vocabulary, and which are ordinary text.
#pragma once

#include <initializer_list>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chat/input.h"
#include "text/tokenizer.h"

namespace hearth::chat {

struct SpecialToken {  // a control or user-defined token of the vocabulary
  text::Token id;
  std::string text;
};

class Markers {
 public:
  using Texts = std::set<std::string, std::less<>>;

  // `asked`, if given, gets every text that somebody asks for.
  explicit Markers(Texts tokens = {}, Texts* asked = nullptr) : tokens_(std::move(tokens)), asked_(asked) {}

  void add(Literals* literals, std::string_view text) const;
  // Empty texts are left out.
  Literals literals(std::span<const std::string_view> texts) const;
  Literals literals(std::initializer_list<std::string_view> texts) const {
    return literals(std::span<const std::string_view>(texts.begin(), texts.size()));
  }

 private:
  Texts tokens_;  // the special tokens of the vocabulary
  Texts* asked_;
};

}  // namespace hearth::chat
