// A family: models whose answers have one form, and how to recognise them. Each registers itself in a file of its own
// (family_*.cpp); docs/adding-a-family.md shows how.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/registry.h"
#include "chat/calls.h"
#include "grammar/compose.h"

namespace hearth::chat {

// What stands around reasoning.
struct Thinking {
  std::string_view opens, closes;
  bool implied = false;      // an answer begins inside unless the prompt has closed it, even without the opening marker
  bool reopens = false;      // may begin anywhere in an answer, not only first
  bool holds_calls = false;  // calls inside it are meant
  bool always = false;       // also where the template does not mention it
};

// A marker that stands before a call.
struct Opener {
  enum class Where {
    kAnywhere,
    kInSection,  // only behind a section's marker
    kIfOffered,  // anywhere, but the tool must be offered (or the reader says that it is text)
    kIfWhole,    // anywhere, but outside a section the tool must be offered and the call be whole
  };
  std::string_view text;
  MakeReader make;
  Where where = Where::kAnywhere;
};

// Around the answer proper, and no part of it.
struct Wrapper {
  std::string_view opens, closes = {};
};

// The form of an answer, where it can be said as data. Empty lists: nothing of the kind.
struct Markup {
  std::vector<Thinking> thinking = {};
  std::vector<std::string_view> sections = {};  // markers that open a group of calls
  std::vector<Opener> openers = {};
  std::vector<std::string_view> closers = {};  // what may stand behind calls, and is dropped there
  std::vector<std::string_view> dropped = {};  // stray markers, dropped wherever they stand in content
  std::vector<Wrapper> wrappers = {};
  MakeReader section_body = nullptr;  // of a section that goes on with a bracket instead of an opener
  // What begins with a bracket, as the first thing of an answer, and calls an offered tool.
  MakeReader bare = nullptr;
  std::string_view bare_begins = "{[";
};

struct Family {
  const char* name;  // "hermes", "mistral", ...
  int rank;          // of several that fit, the lowest is the most specific
  // A template is of this family if it contains all texts of one of these sets, ...
  std::vector<std::vector<std::string_view>> marks = {};
  std::vector<std::string_view> absent = {};  // ... and none of these.
  // Where there is no template: a vocabulary with all special tokens of one of these sets.
  std::vector<std::vector<std::string_view>> vocabulary = {};
  // Names of Ollama's parsers that read answers of this form.
  std::vector<std::string_view> ollama_parsers = {};
  // Where the template shows no tools: a vocabulary with one of these tokens belongs to a model that can call them.
  std::vector<std::string_view> call_tokens = {};
  Markup markup = {};
  std::vector<std::string_view> stops = {};         // tokens that end an answer, beside those of every vocabulary
  std::vector<std::string_view> stop_strings = {};  // texts that end an answer
  CallIds::Style ids = CallIds::Style::kLong;
  // What a grammar has to know of its answers (call_frame.h), where that is not learned from what a template writes.
  const grammar::AnswerFrames& (*frames)() = nullptr;
  // The answer is a sequence of messages with headers (gpt-oss): read by code of its own, not by markup.
  bool harmony = false;
  bool tools() const { return harmony || !markup.openers.empty() || markup.bare != nullptr; }
};

using RegisterFamily = Register<Family>;

}  // namespace hearth::chat
