#include <algorithm>
#include <boost/json.hpp>

#include "api/openai/ask.h"
#include "base/error.h"
#include "base/outside_text.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;
using Kind = Format::Kind;

// A schema: an object, or true or false, or its text.
Status take_schema(const Fields& fields, const char* name, Format& format) {
  const json::value* schema = fields.find(name);
  format.kind = Kind::kSchema;
  if (schema == nullptr)
    return fields.refuse(name, "missing_required_parameter", "{} is missing", fields.path(name));
  if (schema->is_string())
    format.text = std::string(schema->get_string());
  else if (schema->is_object() || schema->is_bool())
    format.text = json::serialize(*schema);
  else
    return fields.wrong_type(name, "a JSON schema", *schema);
  return {};
}

Status take_text(const Fields& fields, const char* name, Kind kind, Format& format) {
  ASSIGN_OR_RETURN(const auto text, fields.text(name));
  format.kind = kind;
  format.text = text.value_or("");
  return {};
}

Status take_choices(const Fields& fields, const char* name, Format& format) {
  format.kind = Kind::kChoice;
  ASSIGN_OR_RETURN(format.choices, fields.texts(name));
  if (format.choices.empty()) return fields.refuse(name, "invalid_value", "{} is empty", fields.path(name));
  return {};
}

// vLLM's, as an object; before that each was a parameter of its own.
Status decode_structured(const Fields& fields, const char* prefix, size_t& given, Format& format) {
  const auto has = [&, prefix](const char* name) {
    const bool there = fields.find(std::string(prefix) + name) != nullptr;
    given += there ? 1 : 0;
    return there;
  };
  const auto full = [prefix](const char* name) { return std::string(prefix) + name; };
  if (has("json")) TRY(take_schema(fields, full("json").c_str(), format));
  if (has("regex")) TRY(take_text(fields, full("regex").c_str(), Kind::kRegex, format));
  if (has("choice")) TRY(take_choices(fields, full("choice").c_str(), format));
  if (has("grammar")) TRY(take_text(fields, full("grammar").c_str(), Kind::kGrammar, format));
  return {};
}

}  // namespace

Status decode_form(const Fields& fields, Format& format) {
  ASSIGN_OR_RETURN(const auto type, fields.text("type"));
  if (!type) return fields.refuse("type", "missing_required_parameter", "{} is missing", fields.path("type"));
  if (*type == "text") return {};
  if (*type == "json_object") {
    // llama.cpp takes a schema here.
    if (fields.find("schema") != nullptr) return take_schema(fields, "schema", format);
    format.kind = Kind::kJson;
    return {};
  }
  if (*type != "json_schema")
    return fields.refuse("type", "invalid_value", "{} is \"{}\"; it must be text, json_object or json_schema",
                         fields.path("type"), printable(type->substr(0, 40)));
  ASSIGN_OR_RETURN(const json::object* nested, fields.object("json_schema"));
  const Fields inner = nested == nullptr ? fields : fields.inner(*nested, "json_schema");
  ASSIGN_OR_RETURN(const auto strict, inner.boolean("strict"));
  TRY(inner.text("name"));
  // What is not strict is held to as far as it can be.
  format.strict = strict.value_or(nested == nullptr);
  return take_schema(inner, "schema", format);
}

Status decode_format(const Fields& fields, AnswerRequest& request) {
  Format& format = request.format;
  size_t given = 0;
  ASSIGN_OR_RETURN(const json::object* response, fields.object("response_format"));
  if (response != nullptr) {
    TRY(decode_form(fields.inner(*response, "response_format"), format));
    given += format.kind == Kind::kFree ? 0 : 1;
  }
  ASSIGN_OR_RETURN(const json::object* structured, fields.object("structured_outputs"));
  if (structured != nullptr) {
    const Fields inner = fields.inner(*structured, "structured_outputs");
    TRY(refuse_known(inner, {"structural_tag"}));
    TRY(decode_structured(inner, "", given, format));
    ASSIGN_OR_RETURN(const auto any, inner.boolean("json_object"));
    if (any.value_or(false)) {
      format.kind = Kind::kJson;
      ++given;
    }
  }
  TRY(decode_structured(fields, "guided_", given, format));
  if (fields.find("grammar") != nullptr) {
    TRY(take_text(fields, "grammar", Kind::kGrammar, format));
    ++given;
  }
  if (fields.find("json_schema") != nullptr) {
    TRY(take_schema(fields, "json_schema", format));
    ++given;
  }
  if (given > 1)
    return fields.refuse(response != nullptr ? "response_format" : "structured_outputs", "invalid_value",
                         "only one form of the answer can be asked for");
  return {};
}

Status decode_thinking(const Fields& fields, AnswerRequest& request, std::vector<std::string>& warnings) {
  constexpr std::string_view kEfforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "ultra", "max"};
  Thinking& thinking = request.thinking;
  std::optional<std::string> effort;
  std::string from;
  const auto take = [&](const Fields& where, const char* name, const std::string& word) -> Status {
    if (std::ranges::find(kEfforts, word) == std::end(kEfforts))
      return where.refuse(name, "invalid_value", "{} is \"{}\"; it must be one of {}", where.path(name),
                          printable(word.substr(0, 40)), fmt::join(kEfforts, ", "));
    if (effort && (*effort == "none") != (word == "none"))
      return where.refuse(name, "invalid_value", "{} contradicts {}", where.path(name), from);
    if (!effort) effort = word;
    from = where.path(name);
    return {};
  };
  ASSIGN_OR_RETURN(const auto plain, fields.text("reasoning_effort"));
  if (plain) TRY(take(fields, "reasoning_effort", *plain));
  ASSIGN_OR_RETURN(const json::object* reasoning, fields.object("reasoning"));
  if (reasoning != nullptr) {
    const Fields inner = fields.inner(*reasoning, "reasoning");
    ASSIGN_OR_RETURN(const auto nested, inner.text("effort"));
    if (nested) TRY(take(inner, "effort", *nested));
  }
  const json::value* think = fields.find("think");
  if (think != nullptr && think->is_string()) TRY(take(fields, "think", std::string(think->get_string())));
  std::optional<bool> on;
  for (const char* name : {"think", "enable_thinking"}) {
    if (const json::value* value = fields.find(name); value != nullptr && value->is_string()) continue;
    ASSIGN_OR_RETURN(const auto wanted, fields.boolean(name));
    if (!wanted) continue;
    if ((on && *on != *wanted) || (effort && (*effort != "none") != *wanted))
      return fields.refuse(name, "invalid_value", "{} contradicts another parameter", fields.path(name));
    on = wanted;
  }
  if (effort) on = *effort != "none";
  thinking.on = on;
  thinking.required = false;
  if (effort && *effort != "none") thinking.level = *effort == "ultra" ? "max" : *effort;
  if (effort == "ultra") warnings.push_back(from + "=it counts as max");
  return {};
}

}  // namespace hearth::api::openai
