// Shorthands for tests of templates.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "template/jinja.h"

namespace hearth::templates {

// The text that `source` makes of `variables` (JSON), or "error: " and the message.
inline std::string jinja(std::string_view source, std::string_view variables = "{}",
                         const RenderOptions& options = {}) {
  const auto compiled = JinjaTemplate::parse(source);
  if (!compiled) return "error: " + compiled.error().message;
  const auto rendered = compiled->render_text(variables, options);
  return rendered ? rendered->text : "error: " + rendered.error().message;
}

// The bytes that came from the input between « and ».
inline std::string marked(const Rendered& rendered) {
  std::string text;
  size_t begin = 0;
  for (const Piece& piece : rendered.pieces) {
    const std::string part = rendered.text.substr(begin, piece.end - begin);
    text += piece.origin == Origin::kUser ? "«" + part + "»" : part;
    begin = piece.end;
  }
  EXPECT_EQ(begin, rendered.text.size());
  return text;
}

inline std::string marked(std::string_view source, std::string_view variables, const RenderOptions& options = {}) {
  const auto compiled = JinjaTemplate::parse(source);
  EXPECT_TRUE(compiled) << compiled.error().message;
  const auto rendered = compiled->render_text(variables, options);
  EXPECT_TRUE(rendered) << rendered.error().message;
  return rendered ? marked(*rendered) : "";
}

}  // namespace hearth::templates
