// JSON schemas as grammars. Drafts 4 to 2020-12 (https://json-schema.org/draft/2020-12); what is supported, what is
// refused and what differs from a validator: docs/structured-output.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/grammar.h"
#include "grammar/json_value.h"

namespace hearth::grammar {

struct SchemaOptions {
  // Objects that declare properties and leave additionalProperties out may have others too, as the specification says;
  // else they are closed, which is what their authors mostly mean.
  bool open_objects = false;
  // What cannot be held is dropped with a warning instead of refused (tools that are not strict).
  bool lenient = false;
};

// Adds the JSON texts that satisfy a schema to a grammar. The schema need not outlive the call.
// Errors: kUnsupported, naming the keyword and its path; kUsage (no schema).
Result<NodeId> add_schema(Grammar& grammar, const JsonValue& schema, const SchemaOptions& options,
                          std::vector<std::string>* warnings);
// Any JSON object, or any JSON value.
NodeId add_any_object(Grammar& grammar);
NodeId add_any_value(Grammar& grammar);

}  // namespace hearth::grammar
