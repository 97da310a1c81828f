#include "chat/call_shapes.h"

#include <algorithm>
#include <optional>

#include "chat/any_calls.h"
#include "chat/input.h"
#include "chat/json_scanner.h"

namespace hearth::chat {
namespace {

namespace json = boost::json;

constexpr char kIdPlace = '\x01';    // stands for ids, which differ from call to call
constexpr size_t kMostBytes = 4096;  // of a sample: a template that writes more around a call is none to learn from

// Each word behind the one before it; empty if one is missing.
std::vector<Range> find_in_order(std::string_view text, std::initializer_list<std::string_view> words) {
  std::vector<Range> found;
  size_t from = 0;
  for (const std::string_view word : words) {
    const size_t at = text.find(word, from);
    if (at == std::string_view::npos) return {};
    found.push_back({at, from = at + word.size()});
  }
  return found;
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
        one_(without_ids(samples.one, kIdPlace)),
        pair_(without_ids(samples.pair, kIdPlace)),
        two_(without_ids(samples.two_arguments, kIdPlace)),
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
    const std::string_view text = one_, both = pair_;
    const size_t name = text.find(sample::kTool), name_end = name + sample::kTool.size();
    if (name == text.npos) return;
    const auto arguments = find_json(text, name_end, sample::kKey, sample::kValue);
    if (!arguments) return;
    std::string_view gap;
    if (const auto first = find_json(both, 0, sample::kKey, sample::kValue)) {
      const size_t next = both.find(sample::kSecondTool, first->end);
      if (next != both.npos) gap = both.substr(first->end, next - first->end);
    }
    Frame frame = split(text.substr(0, name), gap, text.substr(arguments->end));
    auto learned = std::make_shared<Learned>();
    NamedJsonForm& form = learned->named;
    if (const size_t id = frame.open.find(kIdPlace); id != std::string_view::npos) {
      form.id_first = true;
      form.name_begins = learned->keep(frame.open.substr(id + 1));
      frame.open = frame.open.substr(0, id);
      if (form.name_begins.empty()) return;
    }
    std::string_view middle = trimmed(text.substr(name_end, arguments->begin - name_end));
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
    const std::string_view text = one_, both = pair_;
    const auto words = find_in_order(text, {sample::kTool, sample::kKey, sample::kValue});
    const size_t close = words.empty() ? text.npos : text.find(')', words[2].end);
    if (close == text.npos || text[words[0].end] != '(' || text[words[1].end] != '=') return;
    std::string_view gap;
    if (const auto next = find_in_order(both, {sample::kValue, ")", sample::kSecondTool}); !next.empty())
      gap = both.substr(next[1].end, next[2].begin - next[1].end);
    Frame frame = split(text.substr(0, words[0].begin), gap, text.substr(close + 1));
    for (std::string_view* before : {&frame.section, &frame.open}) {
      if (trimmed(*before).ends_with('[')) *before = before->substr(0, before->rfind('['));
    }
    add(std::make_shared<Learned>(), frame, any_calls_or_python);
  }

  // -- each argument in tags of its own

  // What stands between the parts of a call with two arguments.
  struct Tags {
    std::string_view before_name, before_key, before_value, between_values, behind;
  };
  std::optional<Tags> find_tags(bool json_values) const {
    const std::string_view text = two_;
    const auto words =
        find_in_order(text, {sample::kTool, sample::kKey, sample::kValue, sample::kSecondKey, sample::kSecondValue});
    if (words.empty()) return std::nullopt;
    const auto between = [&](size_t a) { return text.substr(words[a].end, words[a + 1].begin - words[a].end); };
    Tags tags{text.substr(0, words[0].begin), between(0), between(1), between(2), text.substr(words[4].end)};
    if (between(3) != tags.before_value) return std::nullopt;
    if (!json_values) return tags;
    const bool quoted =
        tags.before_value.ends_with('"') && tags.between_values.starts_with('"') && tags.behind.starts_with('"');
    if (!quoted) return std::nullopt;
    tags.before_value.remove_suffix(1);
    tags.between_values.remove_prefix(1);
    tags.behind.remove_prefix(1);
    return tags;
  }

  // Sets what stands around one argument; returns what ends the last value, as it is written, or nothing.
  static std::optional<std::string_view> read_argument_tags(Tags& tags, Learned* out) {
    TaggedForm& form = out->tagged;
    const auto opens_tag = [](char c) { return c == '<' || c == '['; };
    size_t opens = common_suffix(tags.before_key, tags.between_values);
    while (opens > 0 && !opens_tag(tags.before_key[tags.before_key.size() - opens])) --opens;
    form.key_opens = out->keep(tags.before_key.substr(tags.before_key.size() - opens));
    tags.before_key.remove_suffix(opens);
    const std::string_view rest = tags.between_values.substr(0, tags.between_values.size() - opens);
    size_t closes = common_prefix(rest, tags.behind);
    while (closes < tags.behind.size() && closes > 0 && !is_border(tags.behind, closes)) --closes;
    const std::string_view closing = tags.behind.substr(0, closes);
    form.value_closes = out->keep(trimmed(closing));
    form.strips = tags.before_value.ends_with('\n') && rest.starts_with('\n');
    const std::string_view key_ends = form.strips ? trimmed(tags.before_value) : tags.before_value;
    const size_t tag = key_ends.find('<', 1);  // a tag of its own before the value
    form.key_ends = out->keep(trimmed(key_ends.substr(0, tag)));
    if (tag != std::string_view::npos) form.value_opens = out->keep(trimmed(key_ends.substr(tag)));
    if (form.key_opens.empty() || form.key_ends.empty() || form.value_closes.empty()) return std::nullopt;
    return closing;
  }

  void tagged(bool json_values) {
    auto tags = find_tags(json_values);
    if (!tags) return;
    auto learned = std::make_shared<Learned>();
    TaggedForm& form = learned->tagged;
    form.json_values = json_values;
    const auto closing = read_argument_tags(*tags, learned.get());
    if (!closing) return;

    std::string_view gap;  // behind the value's closing tag, up to the next name
    if (const auto words = find_in_order(pair_, {sample::kValue, sample::kSecondTool}); !words.empty()) {
      gap = std::string_view(pair_).substr(words[0].end, words[1].begin - words[0].end);
      gap.remove_prefix(std::min(closing->size() + (json_values ? 1 : 0), gap.size()));
    }
    Frame frame = split(tags->before_name, gap, tags->behind.substr(closing->size()));
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

    const std::string_view name_end = trimmed(tags->before_key);
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

std::optional<Range> find_json(std::string_view text, size_t from, std::string_view first, std::string_view second) {
  for (size_t i = text.find_first_of("{[", from); i != std::string_view::npos; i = text.find_first_of("{[", i + 1)) {
    JsonScanner scanner;
    std::string ignored;
    size_t end = i;
    JsonScanner::State state = JsonScanner::State::kInside;
    while (end < text.size() && state == JsonScanner::State::kInside) state = scanner.feed(text[end++], &ignored);
    if (state != JsonScanner::State::kDone) continue;
    const std::string_view value = text.substr(i, end - i);
    if (value.find(first) != value.npos && value.find(second) != value.npos) return Range{i, end};
  }
  return std::nullopt;
}

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

std::vector<std::shared_ptr<Learned>> possible_shapes(const CallSamples& samples, const IsMark& is_mark) {
  return Shapes(samples, is_mark).find_all();
}

}  // namespace hearth::chat
