#include "api/ollama/decode.h"

#include <algorithm>
#include <cctype>

#include "api/pictures.h"
#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"

namespace hearth::api::ollama {
namespace {

namespace json = boost::json;

constexpr int64_t kLeast_context = 4;
constexpr size_t kMost_shown = 64;  // bytes of a name in a warning
// Options that other versions know and that change nothing here; not worth a warning.
constexpr std::string_view kSilent[] = {"num_keep", "num_batch", "use_mmap", "use_mlock", "main_gpu", "numa"};

// One sampling option.
Status add_value(const sampling::Parameter& parameter, const json::value& value, Settings& settings) {
  const bool whole = !std::holds_alternative<float sampling::Options::*>(parameter.field);
  if (!value.is_number()) {
    return error(ErrorKind::kUsage, "option \"{}\" must be of type {}", parameter.name, whole ? "integer" : "float");
  }
  std::string text;
  if (whole) {
    const std::optional<int64_t> integer = to_integer(value);
    if (!integer) return error(ErrorKind::kUsage, "option \"{}\" is out of range", parameter.name);
    text = fmt::format("{}", *integer);
  } else {
    text = fmt::format("{}", value.to_number<double>());
  }
  sampling::Options scratch;
  TRY(sampling::set(scratch, parameter.name, text));
  settings.values.emplace_back(parameter.name, text);
  return {};
}

Status add_stops(const json::value& value, Settings& settings) {
  std::vector<std::string> stops;
  if (value.is_string()) stops.emplace_back(value.get_string());
  if (!value.is_string() && !value.is_array()) return error(ErrorKind::kUsage, "option \"stop\" must be of type list");
  if (value.is_array()) {
    for (const json::value& item : value.get_array()) {
      if (!item.is_string()) return error(ErrorKind::kUsage, "option \"stop\" must be a list of strings");
      stops.emplace_back(item.get_string());
    }
  }
  settings.stop = std::move(stops);
  return {};
}

Result<int64_t> load_option(std::string_view name, const json::value& value, int64_t least, int64_t most) {
  const std::optional<int64_t> integer = to_integer(value);
  if (!integer) return error(ErrorKind::kUsage, "option \"{}\" must be of type integer", name);
  if (*integer < least || *integer > most) {
    return error(ErrorKind::kUsage, "option \"{}\" is {}; it must be from {} to {}", name, *integer, least, most);
  }
  return *integer;
}

Status add_option(std::string_view name, const json::value& value, AnswerRequest& request,
                  std::vector<std::string>& warnings) {
  LoadWish& load = request.load;
  if (name == "stop") return add_stops(value, request.settings);
  if (name == "num_ctx") {
    ASSIGN_OR_RETURN(const int64_t context, load_option(name, value, 0, INT32_MAX));
    load.context = static_cast<uint32_t>(std::max(context, kLeast_context));
    return {};
  }
  if (name == "num_gpu") {
    ASSIGN_OR_RETURN(const int64_t layers, load_option(name, value, INT32_MIN, INT32_MAX));
    if (layers >= 0) load.gpu_layers = static_cast<int>(layers);
    return {};
  }
  if (name == "num_thread") {
    ASSIGN_OR_RETURN(const int64_t threads, load_option(name, value, 0, 4096));
    if (threads > 0) load.threads = static_cast<int>(threads);
    return {};
  }
  for (const sampling::Parameter& parameter : sampling::parameters()) {
    if (name == parameter.name) return add_value(parameter, value, request.settings);
  }
  if (std::find(std::begin(kSilent), std::end(kSilent), name) == std::end(kSilent)) {
    warnings.push_back(fmt::format("options.{}=it is not known", printable(name.substr(0, kMost_shown))));
  }
  return {};
}

Status decode_format(const Fields& fields, Format& format) {
  const json::value* value = fields.find("format");
  if (value == nullptr) return {};
  if (value->is_object()) {
    format.kind = Format::Kind::kSchema;
    format.text = json::serialize(*value);
    return {};
  }
  if (value->is_string() && value->get_string().empty()) return {};
  if (value->is_string() && value->get_string() == "json") {
    format.kind = Format::Kind::kJson;
    return {};
  }
  return error(ErrorKind::kUsage, "invalid format: {}; expected \"json\" or a valid JSON Schema object",
               json::serialize(*value));
}

Status decode_think(const Fields& fields, Thinking& thinking) {
  const json::value* value = fields.find("think");
  if (value == nullptr) return {};
  if (value->is_bool()) {
    thinking.on = value->get_bool();
    return {};
  }
  if (!value->is_string()) return wrong_type("think", "true, false or a level", *value);
  const std::string level(value->get_string());
  if (level != "low" && level != "medium" && level != "high" && level != "max") {
    return error(ErrorKind::kUsage,
                 "invalid think value: \"{}\" (must be \"high\", \"medium\", \"low\", \"max\", true, or false)", level);
  }
  thinking.on = true;
  thinking.level = level;
  return {};
}

Status decode_logprobs(const Fields& fields, Settings& settings) {
  ASSIGN_OR_RETURN(const std::optional<bool> wanted, fields.boolean("logprobs"));
  ASSIGN_OR_RETURN(const std::optional<int64_t> most, fields.integer("top_logprobs"));
  if (most && (*most < 0 || *most > sampling::kMost_logprobs)) {
    return error(ErrorKind::kUsage, "top_logprobs must be between 0 and {}", sampling::kMost_logprobs);
  }
  if (wanted.value_or(false)) settings.logprobs = static_cast<int>(most.value_or(0));
  return {};
}

// What generate and chat have in common.
Status decode_common(const Fields& fields, Ask& ask) {
  ASSIGN_OR_RETURN(ask.request.model, decode_model(fields));
  ASSIGN_OR_RETURN(const std::optional<bool> stream, fields.boolean("stream"));
  ask.stream = stream.value_or(true);
  ASSIGN_OR_RETURN(const std::optional<bool> render_only, fields.boolean("_debug_render_only"));
  ask.render_only = render_only.value_or(false);
  if (const json::value* value = fields.find("keep_alive")) {
    ASSIGN_OR_RETURN(ask.request.keep_alive, decode_keep_alive(*value));
  }
  TRY(decode_options(fields, ask.request, ask.warnings));
  // `shift`, `width`, `height` and `steps` come from clients that send them always.
  warn_unknown(fields,
               {"model",  "name",     "prompt", "messages",     "suffix", "system",  "template", "context",
                "stream", "raw",      "format", "keep_alive",   "images", "options", "think",    "truncate",
                "shift",  "logprobs", "tools",  "top_logprobs", "width",  "height",  "steps",    "_debug_render_only"},
               ask.warnings);
  TRY(decode_format(fields, ask.request.format));
  TRY(decode_think(fields, ask.request.thinking));
  return decode_logprobs(fields, ask.request.settings);
}

// The marks of a message's pictures, which stand before its text.
Result<std::string> decode_images(const Fields& fields, Pictures& pictures) {
  std::string marks;
  ASSIGN_OR_RETURN(const json::array* images, fields.array("images"));
  for (size_t i = 0; images != nullptr && i < images->size(); ++i) {
    const std::string where = fields.path(fmt::format("images[{}]", i));
    const json::value& image = images->at(i);
    if (!image.is_string()) return wrong_type(where, "a picture in base64", image);
    ASSIGN_OR_RETURN(const std::string mark, pictures.add_base64(view(image.get_string()), where));
    marks += mark;
  }
  return marks;
}

Result<TextInput> decode_text(const Fields& fields) {
  TextInput input;
  ASSIGN_OR_RETURN(const auto prompt, fields.text("prompt"));
  input.prompt = prompt.value_or("");
  ASSIGN_OR_RETURN(input.suffix, fields.text("suffix"));
  if (input.suffix && input.suffix->empty()) input.suffix.reset();
  ASSIGN_OR_RETURN(input.system, fields.text("system"));
  ASSIGN_OR_RETURN(input.template_text, fields.text("template"));
  ASSIGN_OR_RETURN(const auto raw, fields.boolean("raw"));
  input.raw = raw.value_or(false);
  ASSIGN_OR_RETURN(const json::array* context, fields.array("context"));
  if (context != nullptr) {
    for (const json::value& token : *context) {
      const auto id = to_integer(token);
      if (!id || *id < 0 || *id > INT32_MAX) return wrong_type("context", "a list of token ids", token);
      input.context.push_back(static_cast<int32_t>(*id));
    }
  }
  const auto given = [](const std::optional<std::string>& text) { return text && !text->empty(); };
  if (input.raw && (given(input.system) || given(input.template_text) || !input.context.empty())) {
    return error(ErrorKind::kUsage, "raw mode does not support template, system, or context");
  }
  return input;
}

Result<chat::Message> decode_message(const json::value& value, size_t index, Pictures& pictures) {
  const std::string path = fmt::format("messages[{}]", index);
  if (!value.is_object()) return wrong_type(path, "an object", value);
  ASSIGN_OR_RETURN(const std::string marks, decode_images(Fields(value.get_object(), path + "."), pictures));
  Result<chat::Message> message = chat::message_from_json(value);
  if (!message) return error(ErrorKind::kUsage, "{}: {}", path, message.error().message);
  message->content.insert(0, marks);
  std::transform(message->role.begin(), message->role.end(), message->role.begin(),
                 [](unsigned char c) { return static_cast<char>(c < 128 ? std::tolower(c) : c); });
  return message;
}

Result<ChatInput> decode_conversation(const Fields& fields, Pictures& pictures) {
  ChatInput input;
  ASSIGN_OR_RETURN(const json::array* messages, fields.array("messages"));
  if (messages != nullptr) {
    for (const json::value& value : *messages) {
      ASSIGN_OR_RETURN(chat::Message message, decode_message(value, input.messages.size(), pictures));
      input.messages.push_back(std::move(message));
    }
  }
  if (const json::value* tools = fields.find("tools")) {
    ASSIGN_OR_RETURN(input.tools, chat::tools_from_json(*tools));
  }
  ASSIGN_OR_RETURN(const auto truncate, fields.boolean("truncate"));
  input.drops_oldest = truncate.value_or(true);
  return input;
}

void mark_load_only(Ask& ask, bool nothing) {
  ask.load_only = nothing;
  ask.unload = nothing && ask.request.keep_alive == Nanoseconds(0);
}

}  // namespace

bool is_cloud(const std::string& model) {
  return model.ends_with(":cloud") || model.ends_with("-cloud");
}

Result<std::string> decode_model(const Fields& fields) {
  ASSIGN_OR_RETURN(std::optional<std::string> model, fields.text("model"));
  if (!model) {
    ASSIGN_OR_RETURN(model, fields.text("name"));
  }
  if (!model) return std::string();
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = model->find_first_not_of(kBlanks);
  if (begin == std::string::npos) return std::string();
  return model->substr(begin, model->find_last_not_of(kBlanks) - begin + 1);
}

void warn_unknown(const Fields& fields, std::initializer_list<std::string_view> known,
                  std::vector<std::string>& warnings) {
  for (const auto& member : fields.all()) {
    const std::string_view key(member.key().data(), member.key().size());
    const auto is = [&](std::string_view name) { return same_ignoring_case(name, key); };
    if (!member.value().is_null() && std::ranges::none_of(known, is))
      warnings.push_back(fmt::format("{}=it is not known", printable(key.substr(0, kMost_shown))));
  }
}

Status decode_options(const Fields& fields, AnswerRequest& request, std::vector<std::string>& warnings) {
  ASSIGN_OR_RETURN(const json::object* options, fields.object("options"));
  if (options == nullptr) return {};
  for (const auto& [key, value] : *options) {
    if (!value.is_null()) TRY(add_option({key.data(), key.size()}, value, request, warnings));
  }
  return {};
}

Result<Ask> decode_generate(std::string_view body) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  const Fields fields(value.get_object(), "");
  Ask ask;
  TRY(decode_common(fields, ask));
  ASSIGN_OR_RETURN(const std::string marks, decode_images(fields, ask.request.pictures));
  ASSIGN_OR_RETURN(TextInput input, decode_text(fields));
  input.prompt.insert(0, marks);
  mark_load_only(ask, input.prompt.empty() && !input.suffix);
  ask.request.input = std::move(input);
  return ask;
}

Result<Ask> decode_chat(std::string_view body) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  const Fields fields(value.get_object(), "");
  Ask ask;
  TRY(decode_common(fields, ask));
  if (ask.request.model.empty()) return error(ErrorKind::kUsage, "model is required");
  ASSIGN_OR_RETURN(ChatInput input, decode_conversation(fields, ask.request.pictures));
  mark_load_only(ask, input.messages.empty());
  ask.request.input = std::move(input);
  return ask;
}

}  // namespace hearth::api::ollama
