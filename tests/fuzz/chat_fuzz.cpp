// Any bytes as an answer, through the parser of every family, cut at places that the input chooses: the result is that
// of the answer in one piece, calls are whole or say that they are not, and the work stays linear.
#include <cstdlib>

#include "chat/collector.h"
#include "chat/parser.h"
#include "fuzz/seeds.h"

using namespace hearth;
using namespace hearth::chat;

namespace {

std::shared_ptr<const ToolSet> tools() {
  static const auto set = std::make_shared<const ToolSet>(*tools_from_json(boost::json::parse(
      R"([{"name":"temp","parameters":{"properties":{"city":{"type":"string"},"n":{"type":["integer","null"]},
          "s":{"type":["string","null"]},"any":{}},"required":["city"]}},{"name":"now"}])")));
  return set;
}

const std::vector<Format>& formats() {
  static const std::vector<Format> all = [] {
    std::vector<Format> out;
    for (const Family* family : RegisterFamily::all()) {
      Format format = recognise({.family = family->name});
      if (format.thinking.empty()) format.thinking.push_back({"<think>", "</think>"});
      out.push_back(std::move(format));
    }
    return out;
  }();
  return all;
}

struct Run {
  ParserOptions options;
  Ending ending;
};

std::string whole(const Message& message) {
  std::string out = message.reasoning + '\0' + message.content;
  for (const ToolCall& call : message.calls)
    out += '\0' + call.id + '\0' + call.name + '\0' + call.arguments + (call.complete ? '.' : '!');
  return out;
}

Message read(const Format& format, const Run& run, std::string_view answer, std::string_view cuts) {
  Parser parser(format, run.options);
  Collector collector;
  for (size_t i = 0; !answer.empty() && !cuts.empty(); ++i) {
    const size_t size = std::min<size_t>(answer.size(), static_cast<uint8_t>(cuts[i % cuts.size()]) % 13 + 1);
    parser.feed({answer.substr(0, size)}, collector.sink());
    answer.remove_prefix(size);
  }
  parser.feed({answer}, collector.sink());
  parser.finish(run.ending, collector.sink());
  return collector.message();
}

void check(const Message& message) {
  for (const ToolCall& call : message.calls) {
    if (call.name.empty() || call.id.empty()) std::abort();
    boost::system::error_code failed;
    const boost::json::value value =
        boost::json::parse(call.arguments, failed, {}, {.max_depth = 512, .allow_invalid_utf8 = true});
    if (call.complete && (failed || !value.is_object())) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const char* const answers[] = {
      "<think>a</think>b<tool_call>\n{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>",
      "<tool_call>\n<function=temp>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>",
      "<tool_call>temp<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>",
      "[TOOL_CALLS]temp[ARGS]{\"city\": \"Oslo\"}[TOOL_CALLS][{\"name\": \"now\"}]",
      "[temp(city='It\\'s', n=None, any={'k': [1, (2,)]}), now()]",
      "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary "
      "to=functions.temp<|message|>{}<|call|>",
      "<|tool_call>call:temp{city:<|\"|>Oslo<|\"|>,any:{k:[1,true]}}<tool_call|>",
      "{\"tool_calls\": [{\"name\": \"now\", \"arguments\": \"{}\"}]}",
      "{\"response\": \"\\ud83d\\ude00\"}",
      "```json\n{\"type\": \"function\", \"function\": {\"name\": \"temp\", \"parameters\": {\"city\": "
      "\"\\u00e9\"}}}\n```",
      "Hm. <tool_call>{\"arguments\": {\"city\": 1}, \"name\": \"temp\"}</tool_call></think>x"};
  std::vector<std::string> seeds;
  for (size_t family = 0; family < formats().size(); ++family) {
    const std::string head = {static_cast<char>(family), '\x03'};
    for (const char* answer : answers) seeds.push_back(head + answer);
    // The family's own markers, around a call in JSON.
    const Markup& markup = formats()[family].family->markup;
    for (const Opener& opener : markup.openers) {
      const std::string section(markup.sections.empty() ? std::string_view() : markup.sections[0]);
      for (const char* call : {"temp{\"city\": \"Oslo\"}", "{\"name\": \"temp\", \"arguments\": {}}", "temp\">"})
        seeds.push_back(head + section + std::string(opener.text) + call);
    }
  }
  fuzz::use_seeds(seeds, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const std::string_view answer(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Format& format = formats()[data[0] % formats().size()];
  const uint8_t flags = data[1];
  const Run run{{.tools = (flags & 1) != 0 ? tools() : nullptr,
                 .reads_bare_calls = (flags & 2) != 0,
                 .separates_reasoning = (flags & 4) == 0,
                 .prompt_end = (flags & 8) != 0 ? "<think>" : ""},
                (flags & 16) != 0 ? Ending::kLength : Ending::kStop};
  const Message one = read(format, run, answer, {});
  check(one);
  const std::string expected = whole(one);
  if (whole(read(format, run, answer, answer)) != expected) std::abort();
  if (whole(read(format, run, answer, std::string_view("\0", 1))) != expected) std::abort();
  return 0;
}
