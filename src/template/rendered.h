// The result of a render: a text, and which of its bytes the template wrote. What was inserted from outside must never
// become a special token; markers that the template wrote do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hearth::templates {

enum class Origin : uint8_t {
  kTemplate,  // literal text of the template, and what it computed itself (numbers, dates)
  kUser,      // texts of the input
};

struct Piece {
  size_t end;  // in bytes; a piece begins where the one before ends
  Origin origin;
  bool operator==(const Piece&) const = default;
};

struct Rendered {
  std::string text;
  std::vector<Piece> pieces;  // cover the text; neighbours have different origins
};

}  // namespace hearth::templates
