// How long a prompt takes: a conversation of 100 messages with 20 tools through a chat template.
//   bench_template TEMPLATE.jinja
#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>

#include "base/file.h"
#include "template/jinja.h"

namespace {

namespace json = boost::json;

json::object conversation() {
  json::array messages, tools;
  for (int i = 0; i < 100; ++i) {
    messages.push_back(
        {{"role", i % 2 == 0 ? "user" : "assistant"},
         {"content", "Message " + std::to_string(i) + ": what people write to each other in a few lines."}});
  }
  for (int i = 0; i < 20; ++i) {
    tools.push_back({{"type", "function"},
                     {"function",
                      {{"name", "tool_" + std::to_string(i)},
                       {"description", "Looks something up for the user"},
                       {"parameters",
                        {{"type", "object"},
                         {"properties",
                          {{"city", {{"type", "string"}, {"description", "The city's name"}}},
                           {"unit", {{"type", "string"}, {"enum", {"celsius", "fahrenheit"}}}}}},
                         {"required", {"city"}}}}}}});
  }
  return {{"messages", messages},
          {"tools", tools},
          {"add_generation_prompt", true},
          {"bos_token", "<s>"},
          {"eos_token", "</s>"}};
}

}  // namespace

int main(int argc, char** argv) {
  using namespace hearth;
  if (argc != 2) return std::fprintf(stderr, "usage: bench_template TEMPLATE.jinja\n"), 2;
  const auto source = read_file(argv[1]);
  if (!source) return std::fprintf(stderr, "%s\n", source.error().message.c_str()), 1;
  const auto compiled = templates::JinjaTemplate::parse(*source);
  if (!compiled) return std::fprintf(stderr, "%s\n", compiled.error().message.c_str()), 1;
  const json::object variables = conversation();
  double best = 1e9;
  size_t bytes = 0;
  for (int i = 0; i < 200; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const auto rendered = compiled->render(variables);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    if (!rendered) return std::fprintf(stderr, "%s\n", rendered.error().message.c_str()), 1;
    best = std::min(best, took.count());
    bytes = rendered->text.size();
  }
  std::printf("%.3f ms, %zu bytes: %s\n", best, bytes, argv[1]);
  return 0;
}
