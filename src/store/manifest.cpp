#include "store/manifest.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/error.h"

namespace hearth::store {
namespace {

namespace json = boost::json;

template <class... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return error(ErrorKind::kInvalidData, format, std::forward<Args>(args)...);
}

Result<json::value> parse(std::string_view text) {
  boost::system::error_code failed;
  json::value value = json::parse(json::string_view(text.data(), text.size()), failed);
  if (failed) return invalid("it is no valid JSON: {}", failed.message());
  return value;
}

Result<json::object> parse_object(std::string_view text) {
  ASSIGN_OR_RETURN(json::value value, parse(text));
  if (!value.is_object()) return invalid("it is no JSON object");
  return std::move(value.as_object());
}

// The text of a member; empty if it is absent or null.
Result<std::string> text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_string()) return invalid("its member '{}' is no text", key);
  return std::string(value->as_string());
}

Result<Layer> read_layer(const json::value& value) {
  if (!value.is_object()) return invalid("a layer is no JSON object");
  const json::object& object = value.as_object();
  Layer layer;
  ASSIGN_OR_RETURN(layer.media_type, text_of(object, "mediaType"));
  ASSIGN_OR_RETURN(layer.digest, text_of(object, "digest"));
  if (!is_digest(layer.digest)) return invalid("a layer's digest is not sha256 and 64 hexadecimal digits");
  if (const json::value* size = object.if_contains("size"); size != nullptr && !size->is_null()) {
    boost::system::error_code failed;
    layer.bytes = size->is_number() ? size->to_number<uint64_t>(failed) : 0;
    if (!size->is_number() || failed) return invalid("a layer's size is no number of bytes");
  }
  return layer;
}

// Adds a parameter's value as people write it. What is no value of an option (null, an object) is left out, as Ollama
// leaves it out.
void add_value(const json::value& value, const std::string& name, Parameters& parameters) {
  if (value.is_string()) parameters.emplace_back(name, value.as_string());
  if (value.is_bool()) parameters.emplace_back(name, value.as_bool() ? "true" : "false");
  if (value.is_int64()) parameters.emplace_back(name, std::to_string(value.as_int64()));
  if (value.is_uint64()) parameters.emplace_back(name, std::to_string(value.as_uint64()));
  if (value.is_double()) parameters.emplace_back(name, fmt::format("{}", value.as_double()));
}

}  // namespace

bool is_digest(std::string_view text) {
  constexpr std::string_view kAlgorithm = "sha256";
  return text.size() == kAlgorithm.size() + 1 + 64 && text.starts_with(kAlgorithm) &&
         (text[6] == ':' || text[6] == '-') &&
         text.find_first_not_of("0123456789abcdefABCDEF", kAlgorithm.size() + 1) == std::string_view::npos;
}

std::string plain_digest(std::string digest) {
  for (char& c : digest)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  digest[6] = ':';
  return digest;
}

Result<Manifest> parse_manifest(std::string_view text) {
  ASSIGN_OR_RETURN(const json::object object, parse_object(text));
  Manifest manifest;
  if (const json::value* config = object.if_contains("config"); config != nullptr && !config->is_null()) {
    ASSIGN_OR_RETURN(const Layer layer, read_layer(*config));
    manifest.config_digest = layer.digest;
  }
  const json::value* layers = object.if_contains("layers");
  if (layers == nullptr || !layers->is_array()) return invalid("it has no list of layers");
  for (const json::value& value : layers->as_array()) {
    ASSIGN_OR_RETURN(Layer layer, read_layer(value));
    manifest.layers.push_back(std::move(layer));
  }
  return manifest;
}

Result<Configuration> parse_configuration(std::string_view text) {
  ASSIGN_OR_RETURN(const json::object object, parse_object(text));
  ASSIGN_OR_RETURN(const std::string host, text_of(object, "remote_host"));
  ASSIGN_OR_RETURN(const std::string model, text_of(object, "remote_model"));
  Configuration out;
  if (!host.empty()) out.remote = host + "/" + model;
  ASSIGN_OR_RETURN(out.renderer, text_of(object, "renderer"));
  ASSIGN_OR_RETURN(out.parser, text_of(object, "parser"));
  return out;
}

Result<Parameters> parse_parameters(std::string_view text) {
  ASSIGN_OR_RETURN(const json::value value, parse(text));
  Parameters parameters;
  if (value.is_null()) return parameters;  // a model without any
  if (!value.is_object()) return invalid("it is no JSON object");
  for (const json::key_value_pair& member : value.as_object()) {
    const std::string name(member.key());
    if (!member.value().is_array()) {
      add_value(member.value(), name, parameters);
      continue;
    }
    for (const json::value& element : member.value().as_array()) add_value(element, name, parameters);
  }
  return parameters;
}

Result<std::vector<Message>> parse_messages(std::string_view text) {
  ASSIGN_OR_RETURN(const json::value list, parse(text));
  if (list.is_null()) return std::vector<Message>();
  if (!list.is_array()) return invalid("it is no JSON list");
  std::vector<Message> messages;
  for (const json::value& value : list.as_array()) {
    if (!value.is_object()) return invalid("a message is no JSON object");
    Message message;
    ASSIGN_OR_RETURN(message.role, text_of(value.as_object(), "role"));
    ASSIGN_OR_RETURN(message.content, text_of(value.as_object(), "content"));
    messages.push_back(std::move(message));
  }
  return messages;
}

}  // namespace hearth::store
