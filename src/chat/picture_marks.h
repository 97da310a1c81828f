// Pictures in conversations: a mark stands in a message's text where a picture is. Nobody who does not run this process
// can write one. In a prompt's tokens each is one token that no vocabulary has, until the picture's own take its place.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace hearth::chat {

// Of the picture with this number in its request or conversation.
std::string picture_mark(size_t picture);

struct PictureMark {
  size_t at, bytes;  // in the text
  size_t picture;
};
// The first mark from there on.
std::optional<PictureMark> find_picture_mark(std::string_view text, size_t from = 0);
// With "[img-0]" in place of marks, for people.
std::string without_picture_marks(std::string_view text);

text::Token picture_token(size_t picture);
// Nothing for a token of a vocabulary.
std::optional<size_t> picture_of(text::Token token);

}  // namespace hearth::chat
