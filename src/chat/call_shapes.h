// What a sample of calls teaches: a family that reads calls of its form. The idea is that of llama.cpp's automatic
// parser (docs/autoparser.md there): vary one thing, and look at what stands around it.
#pragma once

#include <deque>
#include <memory>
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

// Whether no text of a user's or a model's is likely to have it by chance.
using IsMark = std::function<bool(std::string_view)>;

// What the samples may mean, the likeliest first. Nothing says that they read even the samples.
std::vector<std::shared_ptr<Learned>> possible_shapes(const CallSamples& samples, const IsMark& is_mark);

}  // namespace hearth::chat
