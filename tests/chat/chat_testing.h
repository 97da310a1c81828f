// Answers of models as tests write them, and what becomes of them however they are cut.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chat/collector.h"
#include "chat/parser.h"

namespace hearth::chat::test {

// One line per part, in the order reasoning, content, calls:
//   r: Two cities.
//   c: Checking.
//   t: temp {"city":"Oslo"}
// Arguments are written compactly; a call that is not complete ends with " (incomplete)".
std::string summary(const Message& message);

// save(path: string, text: string, n: string, any: no type); temp(city: string, required); add(a, b: number); now();
// opt(x: string or null, i: integer, zip: string, flag: boolean, o: object, e: enum of strings, r: $ref to a string);
// get-time(zone: string).
std::shared_ptr<const ToolSet> tools();

struct Case {
  std::string family;
  std::string answer;
  std::string prompt_end = {};
  Ending ending = Ending::kStop;
  bool offers_tools = true;
  bool reads_bare_calls = true;
  bool reads_calls = true;
  bool separates_reasoning = true;
};

// The answer in one piece, every marker of the family as text. Checked against the same answer cut at every byte, into
// single bytes and at random places, and against the answer with every marker as a token of the vocabulary; any
// difference fails the test.
Message parse(const Case& one);
// What parse() gives, as summary().
std::string read(const Case& one);
std::string read(const std::string& family, const std::string& answer, const std::string& prompt_end = {});

// The deltas of one answer that is fed in these pieces.
std::vector<Delta> deltas(const Case& one, const std::vector<std::string>& pieces);

Format format_of(const std::string& family);

}  // namespace hearth::chat::test
