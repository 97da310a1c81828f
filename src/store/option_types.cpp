#include "store/option_types.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"

namespace hearth::store {
namespace {

namespace json = boost::json;

enum class Kind { kWhole, kNumber, kBool, kTexts, kObsolete };

struct Option {
  std::string_view name;
  Kind kind;
};
constexpr Option kOptions[] = {
    {"num_ctx", Kind::kWhole},
    {"num_batch", Kind::kWhole},
    {"num_gpu", Kind::kWhole},
    {"main_gpu", Kind::kWhole},
    {"num_thread", Kind::kWhole},
    {"num_keep", Kind::kWhole},
    {"draft_num_predict", Kind::kWhole},
    {"seed", Kind::kWhole},
    {"num_predict", Kind::kWhole},
    {"top_k", Kind::kWhole},
    {"repeat_last_n", Kind::kWhole},
    {"top_p", Kind::kNumber},
    {"min_p", Kind::kNumber},
    {"typical_p", Kind::kNumber},
    {"temperature", Kind::kNumber},
    {"repeat_penalty", Kind::kNumber},
    {"presence_penalty", Kind::kNumber},
    {"frequency_penalty", Kind::kNumber},
    {"use_mmap", Kind::kBool},
    {"stop", Kind::kTexts},
    {"penalize_newline", Kind::kObsolete},
    {"low_vram", Kind::kObsolete},
    {"f16_kv", Kind::kObsolete},
    {"logits_all", Kind::kObsolete},
    {"vocab_only", Kind::kObsolete},
    {"use_mlock", Kind::kObsolete},
    {"mirostat", Kind::kObsolete},
    {"mirostat_tau", Kind::kObsolete},
    {"mirostat_eta", Kind::kObsolete},
    {"tfs_z", Kind::kObsolete},
    {"numa", Kind::kObsolete},
};

Result<Option> find_option(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Option& option : kOptions) {
    if (option.name == name) return option;
    if (option.kind != Kind::kObsolete) names.push_back(option.name);
  }
  const std::string_view likely = nearest(name, names);
  return error(ErrorKind::kUsage, "unknown parameter '{}'{}", printable(name),
               likely.empty() ? "" : fmt::format("; did you mean '{}'?", likely));
}

Error wrong(std::string_view name, std::string_view value, const char* expected) {
  return error(ErrorKind::kUsage, "parameter '{}' is '{}'; expected {}", name, printable(value), expected);
}

template <class T>
bool parse(std::string_view text, T* out) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *out);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

void note_obsolete(std::string_view name, std::vector<std::string>* notes) {
  notes->push_back(fmt::format("parameter '{}' is of no use any more and is left out", name));
}

constexpr const char *kWhole_text = "a whole number", *kNumber_text = "a number", *kBool_text = "true or false",
                     *kTexts_text = "a text or a list of texts";

Status set_json(json::object& options, std::string_view name, const json::value& value,
                std::vector<std::string>* notes) {
  ASSIGN_OR_RETURN(const Option option, find_option(name));
  const auto bad = [&](const char* expected) { return wrong(name, json::serialize(value), expected); };
  switch (option.kind) {
    case Kind::kObsolete:
      note_obsolete(name, notes);
      return {};
    case Kind::kWhole: {
      const double number = value.is_number() ? value.to_number<double>() : NAN;
      if (!(std::fabs(number) < 9e15)) return bad(kWhole_text);
      options[name] = static_cast<int64_t>(number);  // a fraction is cut off, as Ollama does
      return {};
    }
    case Kind::kNumber:
      if (!value.is_number() || !std::isfinite(value.to_number<double>())) return bad(kNumber_text);
      options[name] = value;
      return {};
    case Kind::kBool:
      if (!value.is_bool()) return bad(kBool_text);
      options[name] = value;
      return {};
    case Kind::kTexts:
      if (!value.is_string() && !value.is_array()) return bad(kTexts_text);
      if (value.is_array() &&
          !std::ranges::all_of(value.get_array(), [](const json::value& one) { return one.is_string(); }))
        return bad(kTexts_text);
      options[name] = value.is_string() ? json::array{value} : value;
      return {};
  }
  return {};
}

}  // namespace

Status set_option(json::object& options, std::string_view name, std::string_view value,
                  std::vector<std::string>* notes) {
  ASSIGN_OR_RETURN(const Option option, find_option(name));
  switch (option.kind) {
    case Kind::kObsolete:
      note_obsolete(name, notes);
      return {};
    case Kind::kWhole: {
      int64_t number = 0;
      if (!parse(value, &number)) return wrong(name, value, kWhole_text);
      return set_json(options, name, number, notes);
    }
    case Kind::kNumber: {
      double number = 0;
      if (!parse(value, &number)) return wrong(name, value, kNumber_text);
      return set_json(options, name, number, notes);
    }
    case Kind::kBool:
      if (value != "true" && value != "false") return wrong(name, value, kBool_text);
      return set_json(options, name, value == "true", notes);
    case Kind::kTexts: {
      json::value& list = options[name];
      if (!list.is_array()) list = json::array();
      list.get_array().emplace_back(value);
      return {};
    }
  }
  return {};
}

Status set_options(json::object& options, const json::object& from, std::vector<std::string>* notes) {
  for (const json::key_value_pair& member : from)
    if (!member.value().is_null()) TRY(set_json(options, std::string_view(member.key()), member.value(), notes));
  return {};
}

}  // namespace hearth::store
