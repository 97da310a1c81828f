#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <vector>

#include "template/json.h"

namespace hearth::templates {
namespace {

namespace json = boost::json;

// An integer of any size, or a float, from its JSON text.
Value number_of(Budget& budget, std::string_view text) {
  const char *begin = text.data(), *end = begin + text.size();
  if (text.find_first_of(".eE") != std::string_view::npos) {
    const Value digits = Value::big(budget.make<String>(String{text}));
    return Value::number(to_double(digits));
  }
  int64_t value = 0;
  if (std::from_chars(begin, end, value).ec == std::errc()) return Value::integer(value);
  return Value::big(budget.make<String>(String{budget.copy(text)}));
}

// Receives the parts of a document from Boost's parser.
class Builder {
 public:
  static constexpr size_t max_object_size = SIZE_MAX, max_array_size = SIZE_MAX, max_key_size = SIZE_MAX,
                          max_string_size = SIZE_MAX;

  Builder(Budget& budget, Origin origin) : budget_(budget), origin_(origin) {}
  Value result() const { return result_; }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return open(Value::map(budget_.make<Map>(budget_))); }
  bool on_object_end(size_t, json::error_code&) { return close(); }
  bool on_array_begin(json::error_code&) { return open(Value::list(make_list(budget_))); }
  bool on_array_end(size_t, json::error_code&) { return close(); }
  bool on_key_part(json::string_view part, size_t, json::error_code&) { return collect(part); }
  bool on_key(json::string_view part, size_t, json::error_code&) {
    collect(part);
    keys_.push_back(take_string());
    return true;
  }
  bool on_string_part(json::string_view part, size_t, json::error_code&) { return collect(part); }
  bool on_string(json::string_view part, size_t, json::error_code&) {
    collect(part);
    return add(take_string());
  }
  bool on_number_part(json::string_view part, json::error_code&) { return collect(part); }
  bool on_int64(int64_t, json::string_view part, json::error_code&) { return add_number(part); }
  bool on_uint64(uint64_t, json::string_view part, json::error_code&) { return add_number(part); }
  bool on_double(double, json::string_view part, json::error_code&) { return add_number(part); }
  bool on_bool(bool value, json::error_code&) { return add(Value::boolean(value)); }
  bool on_null(json::error_code&) { return add(Value::none()); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  bool collect(json::string_view part) {
    text_.append(part.data(), part.size());
    return true;
  }
  Value take_string() {
    const Value string = make_string(budget_, text_, origin_);
    text_.clear();
    return string;
  }
  bool add_number(json::string_view part) {
    collect(part);
    const Value number = number_of(budget_, text_);
    text_.clear();
    return add(number);
  }
  bool open(const Value& value) {
    open_.push_back(value);
    return true;
  }
  bool close() {
    const Value value = open_.back();
    open_.pop_back();
    return add(value);
  }
  bool add(const Value& value) {
    if (open_.empty()) {
      result_ = value;
    } else if (open_.back().is(Kind::kList)) {
      open_.back().as_list().items.push_back(value);
    } else {
      open_.back().as_map().set(keys_.back(), value);
      keys_.pop_back();
    }
    return true;
  }

  Budget& budget_;
  Origin origin_;
  std::vector<Value> open_, keys_;
  std::string text_;
  Value result_;
};

}  // namespace

Value read_json(Budget& budget, std::string_view text, Origin origin) {
  json::parse_options options;
  options.max_depth = kMaxValueDepth;
  json::basic_parser<Builder> parser(options, budget, origin);
  json::error_code failed;
  const size_t used = parser.write_some(false, text.data(), text.size(), failed);
  if (!failed && used < text.size()) failed = json::error::extra_data;
  if (failed) fail("it is no valid JSON: {}", failed.message());
  return parser.handler().result();
}

Value from_json(Budget& budget, const json::value& value, int depth) {
  check_depth(depth);
  switch (value.kind()) {
    case json::kind::null:
      return Value::none();
    case json::kind::bool_:
      return Value::boolean(value.get_bool());
    case json::kind::int64:
      return Value::integer(value.get_int64());
    case json::kind::uint64:
      if (value.get_uint64() > INT64_MAX) {
        return Value::big(budget.make<String>(String{budget.copy(std::to_string(value.get_uint64()))}));
      }
      return Value::integer(static_cast<int64_t>(value.get_uint64()));
    case json::kind::double_:
      return Value::number(value.get_double());
    case json::kind::string:
      return borrow_string(budget, {value.get_string().data(), value.get_string().size()}, Origin::kUser);
    case json::kind::array: {
      List* list = make_list(budget);
      list->items.reserve(value.get_array().size());
      for (const json::value& item : value.get_array()) list->items.push_back(from_json(budget, item, depth + 1));
      return Value::list(list);
    }
    case json::kind::object:
      break;
  }
  Map* map = budget.make<Map>(budget);
  map->entries.reserve(value.get_object().size());
  for (const auto& [key, member] : value.get_object()) {
    map->set(borrow_string(budget, {key.data(), key.size()}, Origin::kUser), from_json(budget, member, depth + 1));
  }
  return Value::map(map);
}

}  // namespace hearth::templates
