// What a sample of calls teaches: a family that reads calls of its form. The idea is that of llama.cpp's automatic
// parser (docs/autoparser.md there): vary one thing, and look at what stands around it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chat/family.h"
#include "chat/json_calls.h"
#include "chat/named_json.h"
#include "chat/samples.h"
#include "chat/tagged.h"

namespace hearth::chat {

// A family that was made at run time, and what it points to.
struct Learned {
  std::deque<std::string> texts = {};
  JsonForm json = {};
  NamedJsonForm named = {};
  TaggedForm tagged = {};
  Family family = {};

  std::string_view keep(std::string_view text) { return texts.emplace_back(text); }
};

// Answers of a template: one call, two at once (empty if it writes no two), and one with two arguments.
struct CallSamples {
  std::string one, pair, two_arguments;
};

struct Range {
  size_t begin, end;
};
// The outermost JSON value at or behind `from` that contains both words.
std::optional<Range> find_json(std::string_view text, size_t from, std::string_view first, std::string_view second);

// What stands around calls.
struct Frame {
  std::string_view section, open, close, section_close, between;
};
// `head`, `tail`: around a single call; `gap`: between two calls of one answer, empty if the template writes no two.
Frame split(std::string_view head, std::string_view gap, std::string_view tail);

// Whether no text of a user's or a model's is likely to have it by chance.
using IsMark = std::function<bool(std::string_view)>;

// What the samples may mean, the likeliest first. Nothing says that they read even the samples.
std::vector<std::shared_ptr<Learned>> possible_shapes(const CallSamples& samples, const IsMark& is_mark);

}  // namespace hearth::chat
