// Answers that follow a schema, of a model that knows nothing about it.
#include <boost/json.hpp>
#include <fstream>
#include <functional>

#include "cli/process.h"
#include "cli/simulated_gpu.h"
#include "support/tiny_model.h"
#include "support/support.h"

namespace hearth::test {
namespace {

namespace json = boost::json;
using Args = std::vector<std::string>;

std::string demo() {
  return (std::filesystem::path(HEARTH_BINARY).parent_path() / "demo.gguf").string();
}

struct Case {
  const char* schema;
  std::function<bool(const json::value&)> fits;  // written by hand: it shares nothing with the compiler
};

const Case kCases[] = {
    {R"({"type":"object","properties":{"name":{"type":"string","minLength":2,"maxLength":12},
         "age":{"type":"integer","minimum":3,"maximum":250}},"required":["name","age"]})",
     [](const json::value& v) {
       const json::object& o = v.as_object();
       const std::string_view name = o.at("name").as_string();
       const auto letters = std::ranges::count_if(name, [](char c) { return (c & 0xC0) != 0x80; });
       const int64_t age = o.at("age").to_number<int64_t>();
       return o.size() == 2 && letters >= 2 && letters <= 12 && age >= 3 && age <= 250;
     }},
    {R"({"type":"array","items":{"enum":["red","green",7,null]},"minItems":2,"maxItems":4})",
     [](const json::value& v) {
       const json::array& a = v.as_array();
       return a.size() >= 2 && a.size() <= 4 && std::ranges::all_of(a, [](const json::value& item) {
                return item == "red" || item == "green" || item == 7 || item.is_null();
              });
     }},
    {R"({"anyOf":[{"type":"boolean"},{"type":"object","properties":{"day":{"format":"date","type":"string"}},
         "required":["day"]}]})",
     [](const json::value& v) {
       if (v.is_bool()) return true;
       const std::string_view day = v.as_object().at("day").as_string();
       return v.as_object().size() == 1 && day.size() == 10 && day[4] == '-' && day[7] == '-' &&
              day.substr(5, 2) >= "01" && day.substr(5, 2) <= "12" && day.substr(8) >= "01" && day.substr(8) <= "31";
     }},
    {R"({"type":"object","properties":{"tags":{"type":"array","items":{"type":"string","pattern":"^[a-z]{1,5}$"},
         "maxItems":3},"on":{"const":true}},"required":["on"]})",
     [](const json::value& v) {
       const json::object& o = v.as_object();
       if (const json::value* tags = o.if_contains("tags")) {
         if (tags->as_array().size() > 3) return false;
         for (const json::value& tag : tags->as_array()) {
           const std::string_view text = tag.as_string();
           if (text.empty() || text.size() > 5) return false;
           if (!std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; })) return false;
         }
       }
       return o.at("on") == true;
     }},
};

std::string write_schema(const TemporaryFolder& folder, const char* schema) {
  const std::string path = folder / "schema.json";
  std::ofstream(path) << schema;
  return path;
}

TEST(Format, EveryAnswerFitsItsSchemaAtAHighTemperature) {
  const TemporaryFolder folder;
  for (const Case& one : kCases) {
    const std::string schema = write_schema(folder, one.schema);
    for (const char* seed : {"1", "2", "3", "4"}) {
      const Finished done = hearth({"run", demo(), "hello", "--raw", "--format", schema, "--temperature", "1.5",
                                    "--seed", seed, "--num-predict", "400"});
      ASSERT_EQ(done.code, 0) << done.err;
      boost::system::error_code failed;
      const json::value value = json::parse(done.out, failed);
      ASSERT_FALSE(failed) << one.schema << "\n" << done.out;
      EXPECT_TRUE(one.fits(value)) << one.schema << "\n" << done.out;
      const std::string answer = folder / "answer.json";
      std::ofstream(answer) << done.out;
      EXPECT_EQ(hearth({"schema", "check", schema, answer}).code, 0) << one.schema << "\n" << done.out;
    }
  }
}

class FormatOnGpu : public SimulatedGpu {};

// On a simulated GPU: a sample of what the processor's tests do.
TEST_F(FormatOnGpu, AnswersFitTheirSchemas) {
  const TinyModel tiny;
  const std::string model = tiny.write();
  const TemporaryFolder folder;
  for (const Case& one : kCases) {
    const std::string schema = write_schema(folder, one.schema);
    const Finished done = on("tiny", "", {"run", model, "hello", "--raw", "--gpu", "require", "--format", schema,
                                          "--temperature", "1.5", "--seed", "1", "--num-predict", "150"});
    ASSERT_EQ(done.code, 0) << done.err;
    boost::system::error_code failed;
    const json::value value = json::parse(done.out, failed);
    ASSERT_FALSE(failed) << one.schema << "\n" << done.out;
    EXPECT_TRUE(one.fits(value)) << one.schema << "\n" << done.out;
  }
}

TEST(Format, JsonIsAnyObjectAndALimitCutsIt) {
  const TinyModel tiny;
  const Finished cut =
      hearth({"run", tiny.write(), "hello", "--format", "json", "--num-predict", "1", "--temperature", "1.5"});
  EXPECT_EQ(cut.code, 0) << cut.err;
  EXPECT_TRUE(cut.out.starts_with("{")) << cut.out;
  boost::system::error_code failed;
  json::parse(cut.out, failed);
  EXPECT_TRUE(failed) << cut.out;
}

TEST(Format, GrammarsAndRegularExpressionsHoldAnswers) {
  const TemporaryFolder folder;
  const std::string grammar = folder / "list.gbnf";
  std::ofstream(grammar) << "root ::= item{2,3}\nitem ::= \"- \" [a-z]{1,9} \"\\n\"\n";
  const Finished list = hearth({"run", demo(), "hello", "--grammar", grammar, "--temperature", "1.5", "--seed", "3"});
  EXPECT_EQ(list.code, 0) << list.err;
  EXPECT_TRUE(list.out.starts_with("- ")) << list.out;
  const auto lines = std::ranges::count(list.out, '\n');
  EXPECT_TRUE(lines == 2 || lines == 3) << list.out;
  const Finished word = hearth({"run", demo(), "hello", "--regex", "(yes|no)!{3}", "--temperature", "1.5"});
  EXPECT_TRUE(word.out == "yes!!!\n" || word.out == "no!!!\n") << word.out << word.err;
  std::ofstream(grammar) << "root ::= root \"a\" | \"b\"";
  const Finished refused = hearth({"run", folder / "no-such-model.gguf", "hello", "--grammar", grammar});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("\"root\" may begin with itself"), std::string::npos) << refused.err;
}

TEST(Format, WhatCannotBeUsedIsRefusedBeforeTheModelIsLoaded) {
  const TemporaryFolder folder;
  const std::string schema = write_schema(folder, R"({"type":"array","uniqueItems":true})");
  const Finished refused = hearth({"run", folder / "no-such-model.gguf", "hello", "--format", schema});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("schema.json: "), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("uniqueItems"), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace hearth::test
