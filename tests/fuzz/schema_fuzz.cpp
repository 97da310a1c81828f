// Any text as a JSON schema, refused or held: texts of it are followed. Where only tools have it, it is never refused.
#include "fuzz/grammar_walk.h"
#include "fuzz/seeds.h"
#include "grammar/compose.h"

using namespace hearth;

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  using namespace std::string_literals;
  fuzz::use_seeds({R"--({"type":"object","properties":{"a":{"type":"integer","minimum":-3,"maximum":1e2},"b":{"$ref":"#/$defs/b"}},"required":["a"],"$defs":{"b":{"enum":["x",1.0,null,{"k":[]}]}},"minProperties":1})--"s + "\0abcdefghijklmnop"s,
                   R"--({"anyOf":[{"type":"string","pattern":"^[a-f]+(?!x)","minLength":2,"maxLength":9},{"type":"array","items":{"type":"boolean"},"contains":{"const":true},"maxItems":4}],"not":{"const":"ab"}})--"s + "\0abcdefghijklmnop"s,
                   R"--({"oneOf":[{"type":"number","multipleOf":0.5},{"type":"string","format":"date-time"}]})--"s + "\0abcdefghijklmnop"s,
                   R"--({"patternProperties":{"^x-":{"type":"null"}},"additionalProperties":false,"propertyNames":{"maxLength":5},"dependentRequired":{"x-a":["x-b"]}})--"s + "\0abcdefghijklmnop"s,
                   R"--({"if":{"properties":{"k":{"const":1}}},"then":{"required":["l"]},"else":{"properties":{"m":true}},"type":["object","null"]})--"s + "\0abcdefghijklmnop"s,
                   R"--({"prefixItems":[{"$ref":"#"},{"type":"string","format":"email"}],"items":false,"minItems":1,"allOf":[{"type":"array"}]})--"s + "\0abcdefghijklmnop"s}, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto [source, choices] = fuzz::split(data, size);
  const grammar::SchemaOptions options{.open_objects = size % 2 == 1};
  std::vector<std::string> warnings;
  const auto compiled = grammar::compile_schema(source, options, &warnings);
  if (compiled) fuzz::walk(*compiled, choices);
  grammar::AnswerRules rules;
  rules.tools = {{"tool", std::string(source), false}};
  rules.must_call = true;
  if (!grammar::compile_answer(rules, *fuzz::letter_trie(), &warnings)) std::abort();
  return 0;
}
