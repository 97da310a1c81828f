#include "chat/chat_testing.h"

#include <gtest/gtest.h>

#include <random>

#include "support/support.h"

namespace hearth::chat::test {
namespace {

namespace json = boost::json;

constexpr const char* kTools = R"([
  {"name": "save", "parameters": {"properties": {"path": {"type": "string"}, "text": {"type": "string"}, "n": {"type": "string"}, "any": {}}}},
  {"name": "temp", "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]}},
  {"name": "add", "parameters": {"properties": {"a": {"type": "number"}, "b": {"type": "number"}}}},
  {"name": "now", "parameters": {"properties": {}}},
  {"name": "opt", "parameters": {"properties": {"x": {"anyOf": [{"type": "string"}, {"type": "null"}]},
     "i": {"type": "integer"}, "zip": {"type": "string"}, "flag": {"type": "boolean"}, "o": {"type": ["object", "null"]},
     "e": {"enum": ["1", "2"]}, "r": {"$ref": "#/$defs/s"}}, "$defs": {"s": {"type": "string"}}}},
  {"name": "get-time", "parameters": {"properties": {"zone": {"type": "string"}}}}])";

using Pieces = std::vector<Piece>;

Message run(const Format& format, const Case& one, const Pieces& pieces) {
  Parser parser(format, {.tools = one.offers_tools ? tools() : nullptr,
                         .reads_calls = one.reads_calls,
                         .reads_bare_calls = one.reads_bare_calls,
                         .separates_reasoning = one.separates_reasoning,
                         .prompt_end = one.prompt_end});
  Collector collector;
  for (const Piece& piece : pieces) parser.feed(piece, collector.sink());
  parser.finish(one.ending, collector.sink());
  return collector.message();
}

Pieces cut(std::string_view answer, const std::vector<size_t>& places) {
  Pieces pieces;
  size_t begin = 0;
  for (const size_t end : places) {
    pieces.push_back({answer.substr(begin, end - begin)});
    begin = end;
  }
  pieces.push_back({answer.substr(begin)});
  return pieces;
}

std::string whole(const Message& message) {
  std::string out = message.reasoning + "\x01" + message.content;
  for (const ToolCall& call : message.calls)
    out += "\x01" + call.id + "\x02" + call.name + "\x02" + call.arguments + (call.complete ? "." : "!");
  return out;
}

// A vocabulary that has every marker of the family: what tokenizers of the real models have.
Format with_tokens(const std::string& family) {
  Facts facts{.family = family};
  text::Token id = 0;
  for (const std::string_view text : {"<tool_call>",
                                      "</tool_call>",
                                      "<think>",
                                      "</think>",
                                      "<|channel|>",
                                      "<|message|>",
                                      "<|start|>",
                                      "<|end|>",
                                      "<|return|>",
                                      "<|call|>",
                                      "<|constrain|>",
                                      "[TOOL_CALLS]",
                                      "[ARGS]",
                                      "[CALL_ID]",
                                      "[THINK]",
                                      "[/THINK]",
                                      "<|tool_call|>",
                                      "<|/tool_call|>",
                                      "<|python_tag|>",
                                      "<|tool_call_begin|>",
                                      "<|tool_call_end|>",
                                      "<|tool_calls_section_begin|>",
                                      "<|tool_calls_section_end|>",
                                      "<|tool_call_argument_begin|>",
                                      "<\uFF5Ctool\u2581calls\u2581begin\uFF5C>",
                                      "<\uFF5Ctool\u2581call\u2581begin\uFF5C>",
                                      "<\uFF5Ctool\u2581sep\uFF5C>",
                                      "<\uFF5Ctool\u2581call\u2581end\uFF5C>",
                                      "<\uFF5Ctool\u2581calls\u2581end\uFF5C>",
                                      "\uFF5CDSML\uFF5C",
                                      "<|START_THINKING|>",
                                      "<|END_THINKING|>",
                                      "<|START_RESPONSE|>",
                                      "<|END_RESPONSE|>",
                                      "<|START_ACTION|>",
                                      "<|END_ACTION|>",
                                      "<|tool_call>",
                                      "<tool_call|>",
                                      "<|channel>",
                                      "<channel|>",
                                      "<|\"|>",
                                      "<|tool_call_start|>",
                                      "<|tool_call_end|>",
                                      "<|inner_prefix|>",
                                      "<|inner_suffix|>",
                                      "<|tools_prefix|>",
                                      "<|tools_suffix|>",
                                      "]<]minimax[>[",
                                      "<seed:tool_call>",
                                      "</seed:tool_call>",
                                      "<seed:think>",
                                      "</seed:think>",
                                      "<arg_key>",
                                      "</arg_key>",
                                      "<arg_value>",
                                      "</arg_value>",
                                      "<|role_sep|>",
                                      "<|message_sep|>",
                                      "<start_function_call>",
                                      "<end_function_call>",
                                      "<escape>"})
    facts.vocabulary.push_back({++id, std::string(text)});
  return recognise(facts);
}

// The answer with the vocabulary's markers as tokens without text, and the rest byte by byte.
Pieces as_tokens(const Format& format, std::string_view answer) {
  Pieces pieces;
  while (!answer.empty()) {
    Piece piece{answer.substr(0, 1)};
    size_t bytes = 1;
    for (const auto& [token, text] : format.visible) {
      if (!answer.starts_with(text) || text.size() <= bytes) continue;
      piece = {{}, token};
      bytes = text.size();
    }
    pieces.push_back(piece);
    answer.remove_prefix(bytes);
  }
  return pieces;
}

}  // namespace

std::shared_ptr<const ToolSet> tools() {
  static const auto set = [] {
    const auto list = tools_from_json(json::parse(kTools));
    return std::make_shared<const ToolSet>(list.value());
  }();
  return set;
}

Format format_of(const std::string& family) {
  Format format = recognise({.family = family});
  EXPECT_EQ(format.family->name, family);
  // As if the template mentioned it.
  if (format.thinking.empty()) format.thinking.push_back({"<think>", "</think>"});
  return format;
}

Message parse(const Case& one) {
  const Format format = format_of(one.family);
  const Message message = run(format, one, {{one.answer}});
  const std::string expected = whole(message);
  const auto same = [&](const std::vector<size_t>& places) {
    EXPECT_EQ(whole(run(format, one, cut(one.answer, places))), expected)
        << one.family << ", cut at " << testing::PrintToString(places) << ": " << one.answer;
  };
  std::vector<size_t> every;
  for (size_t i = 1; i < one.answer.size(); ++i) {
    same({i});
    every.push_back(i);
  }
  same(every);
  std::mt19937_64 random(::hearth::test::seed());
  for (int i = 0; i < 20; ++i) {
    std::vector<size_t> places;
    const uint64_t one_in = 2 + random() % 12;
    for (const size_t place : every)
      if (random() % one_in == 0) places.push_back(place);
    same(places);
  }
  const Format tokens = with_tokens(one.family);
  EXPECT_EQ(whole(run(tokens, one, as_tokens(tokens, one.answer))), expected)
      << one.family << ", as tokens: " << one.answer;
  return message;
}

std::string summary(const Message& message) {
  std::string out;
  if (!message.reasoning.empty()) out += "r: " + message.reasoning + "\n";
  if (!message.content.empty()) out += "c: " + message.content + "\n";
  for (const ToolCall& call : message.calls) {
    boost::system::error_code failed;
    const json::value arguments = json::parse(call.arguments, failed);
    EXPECT_TRUE(!call.complete || (!failed && arguments.is_object())) << call.arguments;
    out += "t: " + call.name + " " + (failed ? call.arguments : json::serialize(arguments)) +
           (call.complete ? "\n" : " (incomplete)\n");
  }
  return out;
}

std::string read(const Case& one) {
  return summary(parse(one));
}

std::string read(const std::string& family, const std::string& answer, const std::string& prompt_end) {
  return read(Case{.family = family, .answer = answer, .prompt_end = prompt_end});
}

std::vector<Delta> deltas(const Case& one, const std::vector<std::string>& pieces) {
  const Format format = format_of(one.family);
  Parser parser(format, {.tools = tools(), .prompt_end = one.prompt_end});
  std::vector<Delta> out;
  const Sink sink = [&](const Delta& delta) { out.push_back(delta); };
  for (const std::string& piece : pieces) parser.feed({piece}, sink);
  parser.finish(one.ending, sink);
  return out;
}

}  // namespace hearth::chat::test
