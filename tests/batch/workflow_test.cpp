#include <gtest/gtest.h>

#include <sstream>

#include "batch/items.h"
#include "batch/request.h"
#include "batch/workflow_file.h"

namespace hearth::batch {
namespace {

namespace json = boost::json;

constexpr const char* kDebate = R"(name = "debate"
items = { file = "jobs.csv", key = "id" }
step = [
  { name = "pro", model = "a", prompt = "For: {{ item.title }}" },
  { name = "con", model = "b", prompt = "Against: {{ pro.text }}" },
  { name = "judge", model = "a", prompt = "{{ pro.text }} --- {{ con.text }}", schema = { type = "object" } } ]
)";

std::string message(std::string_view text) {
  const auto read = parse_workflow(text, "w.toml");
  return read ? "" : read.error().message;
}

TEST(Workflow, StepsWaitForWhatTheirTemplatesMention) {
  const auto file = parse_workflow(kDebate, "folder/w.toml");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->items.file, "folder/jobs.csv");
  const auto& plan = file->compiled->plan;
  ASSERT_EQ(plan.size(), 3u);
  EXPECT_TRUE(plan[0].needs.empty());
  EXPECT_EQ(plan[1].needs.at("pro"), 0u);
  EXPECT_EQ(plan[2].needs.size(), 2u);
  const json::object spec = to_json(file->workflow);
  const auto again = workflow_from_json(spec, [](const std::string&) { return ""; });
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(to_json(*again), spec);
}

TEST(Workflow, RoundsAreUnrolledAndSpeakInTurns) {
  const auto file = parse_workflow(R"(
step = [ { name = "pro", model = "a", rounds = 2, prompt = "{{ round }} {{ con.text }}" },
         { name = "con", model = "a", rounds = 2, prompt = "{{ pro.text }}" },
         { name = "end", model = "a", prompt = "{{ con.text }}" } ])",
                                   "w.toml");
  ASSERT_TRUE(file) << file.error().message;
  const auto& plan = file->compiled->plan;
  std::vector<std::string> names;
  for (const Planned& one : plan) names.push_back(one.name);
  EXPECT_EQ(names, (std::vector<std::string>{"pro#1", "con#1", "pro#2", "con#2", "end"}));
  EXPECT_EQ(plan[0].empty, std::vector<std::string>{"con"});
  EXPECT_EQ(plan[2].needs.at("con"), 1u);
  EXPECT_EQ(plan[4].needs.at("con"), 3u);
}

TEST(Workflow, WhatIsWrongIsToldWithItsPlace) {
  EXPECT_NE(message("step = [\n").find("w.toml:"), std::string::npos);
  EXPECT_NE(message("step = [\n { name = \"a\", model = \"m\", prompt = \"{{ b.text }}\" },\n"
                    " { name = \"b\", model = \"m\", prompt = \"{{ a.text }}\" } ]")
                .find("steps wait for each other: a -> b -> a"),
            std::string::npos);
  const std::string unknown = message("step = [\n  { name = \"a\", model = \"m\", prompt = \"{{ itm.x }}\" } ]");
  EXPECT_NE(unknown.find("w.toml:2:"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("did you mean \"item\""), std::string::npos) << unknown;
  EXPECT_NE(message("step = [ { name = \"for\", model = \"m\", prompt = \"x\" } ]").find("cannot be a step's name"),
            std::string::npos);
  EXPECT_NE(message("step = [ { name = \"a\", model = \"m\", prompt = \"{% if %}\" } ]").find("prompt"),
            std::string::npos);
  EXPECT_NE(message("step = [ { name = \"a\", model = \"m\", promt = \"x\" } ]").find("did you mean \"prompt\""),
            std::string::npos);
  EXPECT_NE(message("step = [ { name = \"a\", prompt = \"x\" } ]").find("has no model"), std::string::npos);
  EXPECT_NE(message("step = [ { name = \"a\", model = \"m\", prompt = \"x\", schema = { type = 3 } } ]").find("schema"),
            std::string::npos);
  EXPECT_NE(message("step = [ { name = \"a\", model = \"m\", prompt = \"{{ each }}\" } ]").find("foreach"),
            std::string::npos);
  EXPECT_NE(message("").find("at least one step"), std::string::npos);
}

Claimed claimed(const std::string& name, const std::string& data, std::map<std::string, std::string> needs = {}) {
  Claimed step;
  step.name = name;
  step.model = "digest";
  step.item_key = "k1";
  step.item_data = data;
  step.needs = std::move(needs);
  return step;
}

TEST(Requests, AreMadeOfItemsAndOfOtherStepsWhichAreData) {
  const auto file = parse_workflow(kDebate, "w.toml");
  ASSERT_TRUE(file);
  const auto first = prepare(*file->compiled, "job", claimed("pro", R"({"title":"{{ no }}"})"), "");
  ASSERT_TRUE(first) << first.error().message;
  const json::value body = json::parse(first->requests.at(0).body);
  EXPECT_EQ(body.at("messages").at(0).at("content"), "For: {{ no }}") << "what comes from outside is not rendered";
  EXPECT_EQ(body.at("model"), "a");
  const auto again = prepare(*file->compiled, "other job", claimed("pro", R"({"title":"{{ no }}"})"), "");
  EXPECT_EQ(first->cache_key, again->cache_key) << "an edited workflow finds what it has in common";
  const auto last = prepare(*file->compiled, "job",
                            claimed("judge", "{}", {{"pro", R"({"text":"P"})"}, {"con", R"({"text":"C"})"}}), "");
  ASSERT_TRUE(last) << last.error().message;
  const json::value judge = json::parse(last->requests.at(0).body);
  EXPECT_EQ(judge.at("messages").at(0).at("content"), "P --- C");
  EXPECT_EQ(judge.at("response_format").at("type"), "json_schema");
  const Output output = output_of(*file->compiled, claimed("judge", "{}"), *last,
                                  {{200, R"({"choices":[{"message":{"content":"{\"a\":1}"},"finish_reason":"stop"}],
                          "usage":{"prompt_tokens":3,"completion_tokens":4}})"}});
  const json::value kept = json::parse(output.json);
  EXPECT_EQ(kept.at("json").at("a"), 1);
  EXPECT_EQ(kept.at("finish_reason"), "stop");
  EXPECT_EQ(output.prompt_tokens, 3);
}

TEST(Requests, UndefinedMembersAndEndlessTemplatesAreErrors) {
  const auto file = parse_workflow(kDebate, "w.toml");
  ASSERT_TRUE(file);
  const auto missing = prepare(*file->compiled, "job", claimed("pro", R"({"titel":"x"})"), "");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("title"), std::string::npos) << missing.error().message;
  const auto endless = parse_workflow(
      "step = [ { name = \"a\", model = \"m\", prompt = \"{% for i in range(99999) %}{% for j in range(99999) %}{% "
      "endfor %}{% endfor %}\" } ]",
      "w.toml");
  ASSERT_TRUE(endless) << endless.error().message;
  const auto stopped = prepare(*endless->compiled, "job", claimed("a", "{}"), "");
  ASSERT_FALSE(stopped);
  EXPECT_NE(stopped.error().message.find("steps"), std::string::npos);
}

TEST(Requests, WhenAndForeach) {
  const auto file = parse_workflow(
      "step = [ { name = \"a\", model = \"m\", when = \"item.n > 1\", foreach = \"item.list\", prompt = \"{{ each }}\" "
      "} ]",
      "w.toml");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(prepare(*file->compiled, "j", claimed("a", R"({"n":1,"list":[]})"), "")->requests.empty());
  const auto two = prepare(*file->compiled, "j", claimed("a", R"({"n":2,"list":["x","y"]})"), "");
  ASSERT_EQ(two->requests.size(), 2u);
  EXPECT_NE(json::parse(two->requests[0].body).at("seed"), json::parse(two->requests[1].body).at("seed"));
}

std::vector<NewItem> csv(const std::string& text, const std::string& key, std::string* fault = nullptr) {
  std::istringstream in(text);
  std::vector<NewItem> items;
  const Status read = each_csv_item(in, "t.csv", key, [&](NewItem item) -> Status {
    items.push_back(std::move(item));
    return {};
  });
  if (fault != nullptr) *fault = read ? "" : read.error().message;
  return items;
}

TEST(Items, OfTables) {
  const auto items = csv("\xEF\xBB\xBFid,t\r\n7,\"a \"\"b\"\",\nc\"\r\n\r\n8,\n", "id");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].key, "7");
  EXPECT_EQ(json::parse(items[0].data).at("t"), "a \"b\",\nc");
  EXPECT_EQ(json::parse(items[1].data).at("t"), "");
  for (const auto& [text, place] : {std::pair<const char*, const char*>{"a,b\n1,2\n1\n", "t.csv:3: 1 fields"},
                                    {"a,b\n1,\"x\ny\n", "t.csv:2:3: a field begins"},
                                    {"a,b\n1,x\"y\n", "t.csv:2:4: a quotation mark"},
                                    {"a,b\n1,\"x\"y\n", "t.csv:2:6: something stands"},
                                    {"a,a\n", "two columns"},
                                    {"a,\n", "has no name"},
                                    {"a\n\xff\n", "not UTF-8"},
                                    {"", "is empty"}}) {
    std::string fault;
    csv(text, "", &fault);
    EXPECT_NE(fault.find(place), std::string::npos) << text << ": " << fault;
  }
  std::string fault;
  csv("a\n1\n", "id", &fault);
  EXPECT_NE(fault.find("no column \"id\""), std::string::npos) << fault;
}

TEST(Items, OfJsonLines) {
  const auto read = [](const std::string& text) {
    std::istringstream in(text);
    const Status done = each_json_line(in, "t.jsonl", "id", [](const NewItem&) { return Status(); });
    return done ? std::string() : done.error().message;
  };
  EXPECT_EQ(read("{\"id\":1}\n\n{\"id\":\"x\"}"), "");
  EXPECT_NE(read("{\"id\":1}\n{\"id\":}\n").find("t.jsonl:2:"), std::string::npos);
  EXPECT_NE(read("{\"id\":1} x\n").find("t.jsonl:1:"), std::string::npos);
  EXPECT_NE(read("[1]\n").find("must be a JSON object"), std::string::npos);
  EXPECT_NE(read("{\"x\":1}\n").find("has no \"id\""), std::string::npos);
}

}  // namespace
}  // namespace hearth::batch
