#include "grammar/schema_document.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "grammar/decimal.h"

namespace hearth::grammar {
namespace {

constexpr std::array<std::string_view, 6> kTypeNames = {"null", "boolean", "number", "string", "array", "object"};

// Keywords whose value is a schema or a list of them; whose members' values are.
constexpr std::array<std::string_view, 15> kSchemas = {"items",
                                                       "prefixItems",
                                                       "additionalItems",
                                                       "contains",
                                                       "additionalProperties",
                                                       "propertyNames",
                                                       "unevaluatedItems",
                                                       "unevaluatedProperties",
                                                       "allOf",
                                                       "anyOf",
                                                       "oneOf",
                                                       "not",
                                                       "if",
                                                       "then",
                                                       "else"};
constexpr std::array<std::string_view, 6> kSchemasByName = {"properties",  "patternProperties", "$defs",
                                                            "definitions", "dependentSchemas",  "dependencies"};

// Joins a reference to a base (RFC 3986, section 5.2, without the dots).
std::string join(const std::string& base, const std::string& reference) {
  const size_t colon = reference.find(':');
  if (colon != reference.npos && reference.find_first_of("/#?") > colon) return reference;
  if (reference.empty() || reference[0] == '#') return base.substr(0, base.find('#')) + reference;
  const size_t authority = base.find("://");
  const size_t root = authority == base.npos ? 0 : base.find('/', authority + 3);
  if (reference[0] == '/') return base.substr(0, root) + reference;
  if (authority != base.npos && root == base.npos) return base + '/' + reference;
  const size_t last = base.rfind('/');
  return (last == base.npos ? "" : base.substr(0, last + 1)) + reference;
}

std::string without_hash(std::string text) {
  if (text.ends_with('#')) text.pop_back();
  return text;
}

std::string unescape(std::string_view step) {
  std::string out;
  for (size_t i = 0; i < step.size(); ++i) {
    if (step[i] == '%' && i + 2 < step.size()) {
      out += static_cast<char>(std::strtol(std::string(step.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += step[i];
    }
  }
  for (const auto& [from, to] : {std::pair{"~1", "/"}, std::pair{"~0", "~"}}) {
    for (size_t at = 0; (at = out.find(from, at)) != out.npos; ++at) out.replace(at, 2, to);
  }
  return out;
}

std::string pointer_step(std::string_view name) {
  std::string out = "/";
  for (const char c : name) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

bool find_path(const JsonValue& at, const JsonValue* wanted, std::string& path) {
  if (&at == wanted) return true;
  const size_t length = path.size();
  for (size_t i = 0; i < at.items.size(); ++i) {
    path += '/' + std::to_string(i);
    if (find_path(at.items[i], wanted, path)) return true;
    path.resize(length);
  }
  for (const auto& [name, member] : at.members) {
    path += pointer_step(name);
    if (find_path(member, wanted, path)) return true;
    path.resize(length);
  }
  return false;
}

}  // namespace

ValueType type_of(const JsonValue& value) {
  return static_cast<ValueType>(value.type);
}

SchemaDocument::SchemaDocument(const JsonValue& root, const SchemaOptions& options, std::vector<std::string>* warnings)
    : root_(root), options_(options), warnings_(warnings) {
  if (const JsonValue* draft = root.find("$schema"); draft != nullptr) {
    for (const char* name : {"draft-03", "draft-04", "draft-06", "draft-07"})
      old_ |= draft->text.find(name) != std::string::npos;
    if (draft->text.find("draft-04") != std::string::npos) id_keyword_ = "id";
  }
  places_[""] = &root;
  index(root, "", true);
}

// Names count only where schemas are: what an unknown keyword holds is none.
void SchemaDocument::index(const JsonValue& schema, const std::string& base, bool is_schema) {
  for (const JsonValue& item : schema.items) index(item, base, is_schema);
  if (!schema.is(JsonValue::Type::kObject)) return;
  std::string here = base;
  const bool hidden = !is_schema || (old_ && schema.find("$ref") != nullptr);
  if (const JsonValue* id = schema.find(id_keyword_); !hidden && id != nullptr && id->is(JsonValue::Type::kString)) {
    if (id->text.starts_with('#')) {
      places_[base + id->text] = &schema;
    } else {
      here = without_hash(join(base, id->text));
      places_[here] = &schema;
    }
  }
  for (const char* anchor : {"$anchor", "$dynamicAnchor"}) {
    if (const JsonValue* name = schema.find(anchor);
        is_schema && name != nullptr && name->is(JsonValue::Type::kString)) {
      places_[here + '#' + name->text] = &schema;
    }
  }
  if (!here.empty() && schema.find("$ref") != nullptr) bases_[&schema] = here;
  for (const auto& [name, member] : schema.members) {
    if (name == "enum" || name == "const" || name == "default" || name == "examples") continue;
    if (std::ranges::find(kSchemasByName, name) != kSchemasByName.end()) {
      for (const auto& [key, part] : member.members) index(part, here, is_schema);
    } else {
      index(member, here, is_schema && std::ranges::find(kSchemas, name) != kSchemas.end());
    }
  }
}

const JsonValue* SchemaDocument::keyword(const JsonValue& schema, std::string_view name) const {
  if (old_ && name != "$ref" && schema.find("$ref") != nullptr) return nullptr;
  return schema.find(name);
}

const JsonValue* SchemaDocument::at_pointer(const JsonValue& from, std::string_view pointer) const {
  const JsonValue* at = &from;
  while (!pointer.empty() && at != nullptr) {
    pointer.remove_prefix(1);
    const std::string step = unescape(pointer.substr(0, pointer.find('/')));
    pointer.remove_prefix(std::min(pointer.find('/'), pointer.size()));
    if (at->is(JsonValue::Type::kArray)) {
      const bool number = !step.empty() && step.size() < 9 && step.find_first_not_of("0123456789") == step.npos;
      const size_t i = number ? std::stoul(step) : at->items.size();
      at = i < at->items.size() ? &at->items[i] : nullptr;
    } else {
      at = at->find(step);
    }
  }
  return at;
}

const JsonValue& SchemaDocument::target(const JsonValue& schema) {
  if (const auto known = targets_.find(&schema); known != targets_.end()) return *known->second;
  const JsonValue* reference = schema.find("$ref");
  if (!reference->is(JsonValue::Type::kString)) fail(ErrorKind::kUsage, schema, "$ref", "must be a string");
  const auto base = bases_.find(&schema);
  const std::string whole = join(base == bases_.end() ? "" : base->second, reference->text);
  const size_t hash = whole.find('#');
  const std::string address = whole.substr(0, hash);
  const std::string fragment = hash == whole.npos ? "" : whole.substr(hash + 1);
  const JsonValue* found = nullptr;
  const bool pointer = fragment.empty() || fragment[0] == '/';
  const auto place = places_.find(pointer ? address : whole);
  if (place != places_.end()) found = pointer ? at_pointer(*place->second, fragment) : place->second;
  if (found == nullptr) {
    fail(ErrorKind::kUnsupported, schema, "$ref", "names \"" + reference->text + "\", which is not in this document");
  }
  targets_[&schema] = found;
  return *found;
}

bool SchemaDocument::allows(const JsonValue& schema, ValueType type, bool* integer) {
  *integer = false;
  const JsonValue* types = keyword(schema, "type");
  if (types == nullptr) return true;
  const std::string_view name = kTypeNames[static_cast<size_t>(type)];
  bool named = false, whole = false;
  const auto take = [&](const JsonValue& one) {
    if (!one.is(JsonValue::Type::kString) ||
        (one.text != "integer" && std::ranges::find(kTypeNames, one.text) == kTypeNames.end())) {
      fail(ErrorKind::kUsage, schema, "type", "must name a JSON type");
    }
    named |= one.text == name;
    whole |= one.text == "integer";
  };
  if (types->is(JsonValue::Type::kArray)) {
    std::ranges::for_each(types->items, take);
  } else {
    take(*types);
  }
  *integer = type == ValueType::kNumber && whole && !named;
  return named || *integer;
}

uint64_t SchemaDocument::count(const JsonValue& schema, std::string_view name, uint64_t fallback) {
  const JsonValue* value = keyword(schema, name);
  if (value == nullptr) return fallback;
  const auto number = value->is(JsonValue::Type::kNumber) ? Decimal::parse(value->text) : std::nullopt;
  if (!number || number->negative || !number->is_integer()) {
    fail(ErrorKind::kUsage, schema, name, "must be a whole number");
  }
  // Beyond what any text has, all are the same.
  return number->whole.size() > 9 ? 1'000'000'000 : std::stoull(number->whole);
}

std::vector<const JsonValue*> SchemaDocument::schemas(const JsonValue& schema, std::string_view name) {
  std::vector<const JsonValue*> found;
  const JsonValue* value = keyword(schema, name);
  if (value == nullptr) return found;
  if (!value->is(JsonValue::Type::kArray)) fail(ErrorKind::kUsage, schema, name, "must be a list of schemas");
  for (const JsonValue& item : value->items) found.push_back(&item);
  return found;
}

std::string SchemaDocument::path(const JsonValue& schema) const {
  std::string path = "#";
  return find_path(root_, &schema, path) ? path : "#";
}

void SchemaDocument::unsupported(const JsonValue& schema, std::string_view keyword, std::string_view why) {
  if (!options_.lenient) fail(ErrorKind::kUnsupported, schema, keyword, why);
  if (warnings_ == nullptr) return;
  std::string warning =
      fmt::format("the schema's keyword \"{}\" at {} {}: it is not enforced", keyword, path(schema), why);
  if (std::ranges::find(*warnings_, warning) == warnings_->end()) warnings_->push_back(std::move(warning));
}

void SchemaDocument::fail(ErrorKind kind, const JsonValue& schema, std::string_view keyword,
                          std::string_view why) const {
  throw SchemaFailure{error(kind, "the schema's keyword \"{}\" at {} {}", keyword, path(schema), why)};
}

void SchemaDocument::check(const JsonValue& schema) {
  if (!checked_.insert(&schema).second || schema.is(JsonValue::Type::kBoolean)) return;
  if (!schema.is(JsonValue::Type::kObject)) {
    throw SchemaFailure{
        error(ErrorKind::kUsage, "the schema at {} is neither an object nor true or false", path(schema))};
  }
  for (const char* name : {"unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef"}) {
    const JsonValue* value = keyword(schema, name);
    if (value == nullptr) continue;
    const bool harmless = (value->is(JsonValue::Type::kBoolean) && value->boolean) ||
                          (value->is(JsonValue::Type::kObject) && value->members.empty());
    if (!harmless) unsupported(schema, name);
  }
  if (const JsonValue* unique = keyword(schema, "uniqueItems"); unique != nullptr && unique->boolean) {
    if (count(schema, "maxItems", 2) > 1) unsupported(schema, "uniqueItems");
  }
  for (const char* name :
       {"properties", "patternProperties", "dependencies", "dependentSchemas", "dependentRequired"}) {
    const JsonValue* value = keyword(schema, name);
    if (value != nullptr && !value->is(JsonValue::Type::kObject))
      fail(ErrorKind::kUsage, schema, name, "must be an object");
  }
  for (const char* name : {"enum"}) {
    const JsonValue* value = keyword(schema, name);
    if (value != nullptr && !value->is(JsonValue::Type::kArray))
      fail(ErrorKind::kUsage, schema, name, "must be a list");
  }
}

}  // namespace hearth::grammar
