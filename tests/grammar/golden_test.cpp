// JSON schemas against texts whose validity other programs have established (its README says how): no invalid text can
// be produced, and every valid one can that follows the order of its schema.

#include <iostream>

#include "grammar/machine.h"
#include "grammar/compose.h"
#include "support/support.h"

namespace hearth::grammar {
namespace {

struct Outcome {
  int schemas = 0, texts = 0, wrong = 0, refused = 0, open = 0;
};

bool produces(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  Machine machine(grammar, nullptr);
  return machine.accepts(machine.step(machine.start(), text));
}

std::string text_of(const JsonValue& group, const char* name) {
  const JsonValue* value = group.find(name);
  return value == nullptr ? "" : value->text;
}
bool flag(const JsonValue& group, const char* name) {
  const JsonValue* value = group.find(name);
  return value != nullptr && value->boolean;
}

void judge(const JsonValue& group, const SchemaOptions& options, Outcome& outcome) {
  const std::string id = text_of(group, "id");
  // The draft is told beside the schema.
  JsonValue schema = *group.find("schema");
  const std::string draft = text_of(group, "draft");
  if (schema.is(JsonValue::Type::kObject) && schema.find("$schema") == nullptr && draft.size() == 1) {
    JsonValue name;
    name.type = JsonValue::Type::kString;
    name.text = "http://json-schema.org/draft-0" + draft + "/schema#";
    schema.members.push_back({"$schema", name});
  }
  ++outcome.schemas;
  const auto grammar = compile_schema(write_json(schema), options, nullptr);
  if (!grammar && grammar.error().kind == ErrorKind::kUnsupported) {
    ++outcome.refused;
    if (text_of(group, "class") == "core") {
      ++outcome.wrong;
      ADD_FAILURE() << id << ": " << grammar.error().message;
    }
    return;
  }
  for (const JsonValue& instance : group.find("instances")->items) {
    const std::string text = text_of(instance, "text");
    const bool valid = flag(instance, "valid"), must = flag(instance, "in_order");
    const bool open = flag(instance, "open") && !options.open_objects;
    ++outcome.texts;
    outcome.open += open;
    const bool can = grammar.ok() && produces(*grammar, text);
    if (can ? valid : !valid || !must || open) continue;
    ++outcome.wrong;
    ADD_FAILURE() << id << ": " << (can ? "can produce the invalid " : "cannot produce the valid ")
                  << text.substr(0, 300) << (grammar.ok() ? "" : "\n" + grammar.error().message);
  }
}

void judge_file(const char* name, const SchemaOptions& options) {
  const auto bytes = test::read_bytes(test::shared(std::string("golden/json-schema/") + name));
  const auto data = read_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  ASSERT_TRUE(data.ok()) << data.error().message;
  Outcome outcome;
  for (const JsonValue& group : data->find("groups")->items) judge(group, options, outcome);
  EXPECT_GT(outcome.texts, 1000);
  std::cout << name << ": " << outcome.schemas << " schemas, " << outcome.refused << " refused, " << outcome.texts
            << " texts, " << outcome.wrong << " wrong, " << outcome.open << " of closed objects\n";
}

TEST(GoldenSchemas, Suite) {
  REQUIRE_SHARED("golden/json-schema/suite.json");
  judge_file("suite.json", {});
}

TEST(GoldenSchemas, Real) {
  REQUIRE_SHARED("golden/json-schema/real.json");
  judge_file("real.json", {});
}

TEST(GoldenSchemas, SuiteWithOpenObjects) {
  REQUIRE_SHARED("golden/json-schema/suite.json");
  judge_file("suite.json", {.open_objects = true, .lenient = false});
}

TEST(GoldenSchemas, RealWithOpenObjects) {
  REQUIRE_SHARED("golden/json-schema/real.json");
  judge_file("real.json", {.open_objects = true, .lenient = false});
}

}  // namespace
}  // namespace hearth::grammar
