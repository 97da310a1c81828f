#include "chat/call_shapes.h"

#include <algorithm>
#include <optional>

#include "chat/any_calls.h"
#include "chat/input.h"
#include "chat/json_scanner.h"

namespace hearth::chat {
namespace {

namespace json = boost::json;

constexpr size_t kMostBytes = 4096;  // of a sample: a template that writes more around a call is none to learn from
constexpr char kIdPlace = '\x01';    // stands for ids, which differ from call to call

struct Range {
  size_t begin, end;
};

std::optional<Range> find(std::string_view text, std::string_view word, size_t from = 0) {
  const size_t at = text.find(word, from);
  if (at == std::string_view::npos) return std::nullopt;
  return Range{at, at + word.size()};
}

// The outermost JSON value at or behind `from` that contains both words.
std::optional<Range> find_json(std::string_view text, size_t from, std::string_view first, std::string_view second) {
  for (size_t i = text.find_first_of("{[", from); i != std::string_view::npos; i = text.find_first_of("{[", i + 1)) {
    JsonScanner scanner;
    std::string ignored;
    size_t end = i;
    JsonScanner::State state = JsonScanner::State::kInside;
    while (end < text.size() && state == JsonScanner::State::kInside) state = scanner.feed(text[end++], &ignored);
    if (state != JsonScanner::State::kDone) continue;
    const std::string_view value = text.substr(i, end - i);
    if (find(value, first) && find(value, second)) return Range{i, end};
  }
  return std::nullopt;
}

// What stands around calls.
struct Frame {
  std::string_view section, open, close, section_close, between;
};

// `gap`: between two calls of one answer; empty if the template writes no two.
Frame split(std::string_view head, std::string_view gap, std::string_view tail) {
  if (gap.empty()) return {.section = {}, .open = head, .close = tail, .section_close = {}, .between = {}};
  size_t open = common_suffix(head, gap);
  while (open < head.size() && !is_border(head, head.size() - open)) --open;
  std::string_view rest = gap.substr(0, gap.size() - open);
  size_t close = common_prefix(tail, rest);
  while (close < tail.size() && !is_border(tail, close)) --close;
  return {.section = head.substr(0, head.size() - open),
          .open = head.substr(head.size() - open),
          .close = tail.substr(0, close),
          .section_close = tail.substr(close),
          .between = rest.substr(close)};
}

// The tags, or words, in what stands behind a call.
std::vector<std::string_view> marks_of(std::string_view text) {
  std::vector<std::string_view> out;
  constexpr std::string_view kJunk = "]}),;";  // what readers pass by themselves
  while (!(text = trimmed(text)).empty()) {
    size_t end = 1;
    while (end < text.size() && !is_space(text[end]) && text[end - 1] != '>' && text[end] != '<') ++end;
    const std::string_view mark = text.substr(0, end);
    if (mark.find_first_not_of(kJunk) != std::string_view::npos) out.push_back(mark);
    text.remove_prefix(end);
  }
  return out;
}

class Shapes {
 public:
  Shapes(const CallSamples& samples, const IsMark& is_mark)
      : raw_(samples),
        one_(without_ids(samples.one)),
        pair_(without_ids(samples.pair)),
        two_(without_ids(samples.two_arguments)),
        is_mark_(is_mark) {}

  std::vector<std::shared_ptr<Learned>> find_all() {
    if (std::max({one_.size(), pair_.size(), two_.size()}) > kMostBytes) return {};
    json_calls();
    named_json();
    python();
    tagged(false);
    tagged(true);
    return std::move(found_);
  }

 private:
  static std::string without_ids(std::string text) {
    for (const std::string_view id : {sample::kId, sample::kSecondId}) {
      for (size_t at; (at = text.find(id)) != std::string::npos;) text.replace(at, id.size(), 1, kIdPlace);
    }
    return text;
  }

  // -- a JSON value that holds the name too

  static bool holds_arguments(const json::value& value) {
    if (const json::object* object = value.if_object()) return object->contains(sample::kKey);
    return value.is_string() && std::string_view(value.get_string()).find(sample::kKey) != std::string_view::npos;
  }

  static bool read_members(const json::object& object, Learned* out) {
    bool has_name = false, has_arguments = false;
    for (const auto& [key, value] : object) {
      const std::string_view text = value.is_string() ? std::string_view(value.get_string()) : std::string_view();
      if (key == sample::kTool && holds_arguments(value)) {
        out->json.name_is_key = has_name = has_arguments = true;
      } else if (holds_arguments(value)) {
        out->json.arguments_key = out->keep(key);
        has_arguments = true;
      } else if (text == sample::kTool) {
        out->json.name_key = out->keep(key);
        has_name = true;
      } else if (text == sample::kId) {
        out->json.id_key = out->keep(key);
      } else if (const json::object* inner = value.if_object(); inner != nullptr && read_members(*inner, out)) {
        out->json.nested_key = out->keep(key);
        return true;
      }
    }
    return has_name && has_arguments;
  }

  void json_calls() {
    const std::string_view text = raw_.one;
    const auto call = find_json(text, 0, sample::kTool, sample::kValue);
    if (!call) return;
    boost::system::error_code failed;
    const json::value value = json::parse(*as_json(text.substr(call->begin, call->end - call->begin)), failed);
    const json::array* list = failed ? nullptr : value.if_array();
    const json::object* object = failed                                 ? nullptr
                                 : list != nullptr && list->size() == 1 ? (*list)[0].if_object()
                                                                        : value.if_object();
    auto learned = std::make_shared<Learned>();
    if (object == nullptr || !read_members(*object, learned.get())) return;
    std::string_view gap;
    const auto first = find_json(raw_.pair, 0, sample::kTool, sample::kValue);
    const auto second = find_json(raw_.pair, first ? first->end : 0, sample::kSecondTool, sample::kSecondValue);
    if (first && second) gap = std::string_view(raw_.pair).substr(first->end, second->begin - first->end);
    const Learned* form = learned.get();  // which the family's owner keeps
    add(std::move(learned), split(text.substr(0, call->begin), gap, text.substr(call->end)),
        [form](const Markers&) { return std::make_unique<JsonCalls>(form->json); });
  }

  // -- a name, then JSON

  void named_json() {
    const auto name = find(one_, sample::kTool);
    const auto arguments = name ? find_json(one_, name->end, sample::kKey, sample::kValue) : std::nullopt;
    if (!arguments) return;
    std::string_view gap;
    if (const auto first = find_json(pair_, 0, sample::kKey, sample::kValue)) {
      if (const auto next = find(pair_, sample::kSecondTool, first->end))
        gap = std::string_view(pair_).substr(first->end, next->begin - first->end);
    }
    const std::string_view text = one_;
    Frame frame = split(text.substr(0, name->begin), gap, text.substr(arguments->end));
    auto learned = std::make_shared<Learned>();
    NamedJsonForm& form = learned->named;
    if (const size_t id = frame.open.find(kIdPlace); id != std::string_view::npos) {
      form.id_first = true;
      form.name_begins = learned->keep(frame.open.substr(id + 1));
      frame.open = frame.open.substr(0, id);
      if (form.name_begins.empty()) return;
    }
    std::string_view middle = trimmed(text.substr(name->end, arguments->begin - name->end));
    if (const size_t id = middle.find(kIdPlace); id != std::string_view::npos) {
      form.id_begins = learned->keep(trimmed(middle.substr(0, id)));
      middle = trimmed(middle.substr(id + 1));
      if (form.id_begins.empty()) return;
    }
    form.name_ends = {learned->keep(middle.empty() ? std::string_view("{") : middle)};
    add(std::move(learned), frame,
        [&form](const Markers& markers) { return std::make_unique<NamedJson>(form, markers); });
  }

  // -- name(key="value")

  void python() {
    const auto name = find(one_, sample::kTool);
    const auto key = name ? find(one_, sample::kKey, name->end) : std::nullopt;
    const auto value = key ? find(one_, sample::kValue, key->end) : std::nullopt;
    const size_t close = value ? one_.find(')', value->end) : std::string::npos;
    if (close == std::string::npos || one_[name->end] != '(' || one_[key->end] != '=') return;
    std::string_view gap;
    const auto last = find(pair_, sample::kValue);
    const auto next = last ? find(pair_, sample::kSecondTool, last->end) : std::nullopt;
    const size_t end = next ? pair_.find(')', last->end) : std::string::npos;
    if (end < pair_.size() && end < next->begin) gap = std::string_view(pair_).substr(end + 1, next->begin - end - 1);
    Frame frame = split(std::string_view(one_).substr(0, name->begin), gap, std::string_view(one_).substr(close + 1));
    for (std::string_view* text : {&frame.section, &frame.open}) {
      if (trimmed(*text).ends_with('[')) *text = text->substr(0, text->rfind('['));
    }
    add(std::make_shared<Learned>(), frame, any_calls_or_python);
  }

  // -- each argument in tags of its own

  void tagged(bool json_values) {
    const std::string_view text = two_;
    const auto name = find(text, sample::kTool);
    const auto key = name ? find(text, sample::kKey, name->end) : std::nullopt;
    const auto value = key ? find(text, sample::kValue, key->end) : std::nullopt;
    const auto second_key = value ? find(text, sample::kSecondKey, value->end) : std::nullopt;
    const auto second_value = second_key ? find(text, sample::kSecondValue, second_key->end) : std::nullopt;
    const auto last = find(one_, sample::kValue);
    if (!second_value || !last) return;
    const auto between = [&](const Range& a, const Range& b) { return text.substr(a.end, b.begin - a.end); };
    std::string_view before_key = between(*name, *key), before_value = between(*key, *value);
    std::string_view behind_value = between(*value, *second_key), behind_all = text.substr(second_value->end);
    if (between(*second_key, *second_value) != before_value) return;
    if (json_values) {
      const bool quoted = before_value.ends_with('"') && behind_value.starts_with('"') && behind_all.starts_with('"');
      if (!quoted) return;
      before_value.remove_suffix(1);
      behind_value.remove_prefix(1);
      behind_all.remove_prefix(1);
    }

    auto learned = std::make_shared<Learned>();
    TaggedForm& form = learned->tagged;
    form.json_values = json_values;
    size_t opens = common_suffix(before_key, behind_value);
    while (opens > 0 && before_key[before_key.size() - opens] != '<' && before_key[before_key.size() - opens] != '[')
      --opens;
    form.key_opens = learned->keep(before_key.substr(before_key.size() - opens));
    behind_value.remove_suffix(opens);
    size_t closes = common_prefix(behind_value, behind_all);
    while (closes < behind_all.size() && closes > 0 && !is_border(behind_all, closes)) --closes;
    form.strips = before_value.ends_with('\n') && behind_value.starts_with('\n');
    form.value_closes = learned->keep(trimmed(behind_value.substr(0, closes)));
    const std::string_view key_ends = form.strips ? trimmed(before_value) : before_value;
    const size_t tag = key_ends.find('<', 1);  // a tag of its own before the value
    form.key_ends = learned->keep(trimmed(key_ends.substr(0, tag)));
    if (tag != std::string_view::npos) form.value_opens = learned->keep(trimmed(key_ends.substr(tag)));
    if (form.key_opens.empty() || form.key_ends.empty() || form.value_closes.empty()) return;

    // Behind the last value of a call, and between two calls.
    const std::string_view tail = behind_all.substr(closes);
    std::string_view gap;
    const auto first_value = find(pair_, sample::kValue);
    const auto next = first_value ? find(pair_, sample::kSecondTool, first_value->end) : std::nullopt;
    if (next) {
      gap = std::string_view(pair_).substr(first_value->end, next->begin - first_value->end);
      const size_t skipped = closes + (json_values ? 1 : 0);
      gap.remove_prefix(std::min(skipped, gap.size()));
    }
    Frame frame = split(text.substr(0, name->begin), gap, tail);
    const std::vector<std::string_view> call_ends = marks_of(frame.close);
    if (!call_ends.empty()) {
      form.closes = learned->keep(call_ends[0]);
      frame.close = frame.close.substr(frame.close.find(call_ends[0]) + call_ends[0].size());
    }
    for (const std::string_view mark : marks_of(frame.section_close))
      form.section_closes.push_back(learned->keep(mark));
    if (form.closes.empty() && !trimmed(frame.open).empty())
      form.section_closes.push_back(learned->keep(trimmed(frame.open)));
    if (form.closes.empty() && form.section_closes.empty()) return;

    const std::string_view name_end = trimmed(before_key.substr(0, before_key.size() - opens));
    form.bare_name = name_end.empty();
    if (form.bare_name) {
      form.name_ends = {"\n", form.key_opens};
      if (!form.closes.empty()) form.name_ends.push_back(form.closes);
    } else {
      form.name_ends = {learned->keep(name_end)};
    }
    add(std::move(learned), frame, [&form](const Markers& markers) { return std::make_unique<Tagged>(form, markers); });
  }

  void add(std::shared_ptr<Learned> learned, Frame frame, MakeReader make) {
    std::string_view open = trimmed(frame.open), section = trimmed(frame.section);
    if (section.empty()) {
      const size_t inner = open.rfind('<');  // a tag around that of the call
      const bool nested =
          inner != std::string_view::npos && is_mark_(open.substr(inner)) && is_mark_(trimmed(open.substr(0, inner)));
      if (nested) {
        section = trimmed(open.substr(0, inner));
        open.remove_prefix(inner);
      }
    }
    if (open.empty()) open = std::exchange(section, std::string_view());
    const bool has_id =
        open.find(kIdPlace) != std::string_view::npos || section.find(kIdPlace) != std::string_view::npos;
    if (has_id || (!section.empty() && !is_mark_(section))) return;
    Markup& markup = learned->family.markup;
    if (open.empty()) {
      markup.bare = std::move(make);
    } else {
      const auto where = is_mark_(open) ? Opener::Where::kAnywhere : Opener::Where::kIfWhole;
      markup.openers = {{learned->keep(open), std::move(make), where}};
    }
    if (!section.empty()) markup.sections = {learned->keep(section)};
    for (const std::string_view part : {frame.close, frame.section_close, frame.between}) {
      for (const std::string_view mark : marks_of(part)) {
        if (std::ranges::find(markup.closers, mark) == markup.closers.end())
          markup.closers.push_back(learned->keep(mark));
      }
    }
    found_.push_back(std::move(learned));
  }

  const CallSamples& raw_;
  const std::string one_, pair_, two_;
  const IsMark& is_mark_;
  std::vector<std::shared_ptr<Learned>> found_;
};

}  // namespace

std::vector<std::shared_ptr<Learned>> possible_shapes(const CallSamples& samples, const IsMark& is_mark) {
  return Shapes(samples, is_mark).find_all();
}

}  // namespace hearth::chat
