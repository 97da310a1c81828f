#include "template/jinja_string_methods.h"

#include <unordered_map>

namespace hearth::templates {
namespace {

constexpr size_t kNowhere = std::string_view::npos;

Value plain_lower(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return lower_case(render, self.as_string());
}
Value plain_upper(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return upper_case(render, self.as_string());
}
Value capitalize(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return capitalized(render, self.as_string());
}

// Small letters one after the other: a sigma at the end of a word becomes another one than elsewhere.
class LowerCase {
 public:
  explicit LowerCase(std::string_view text) : rest_(text) {}

  // To be called for every character in turn; whether it begins a word.
  bool next(uint32_t code) {
    rest_.remove_prefix(unicode::width(rest_[0]));
    first_ = !inside_;
    inside_ = unicode::is_cased(code);
    return first_;
  }
  void append(uint32_t code, std::string* out) const {
    const bool ends = rest_.empty() || !unicode::is_alpha(unicode::decode(rest_));
    code == 0x3A3 && !first_ && ends ? unicode::append(0x3C2, out) : unicode::append_lower(code, out);
  }

 private:
  std::string_view rest_;
  bool inside_ = false, first_ = true;
};

// Each run of letters begins in title case.
Value title(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return map_characters(render.budget(), self.as_string(),
                        [lower = LowerCase(self.text())](uint32_t code, std::string* out) mutable {
                          lower.next(code) ? unicode::append_title(code, out) : lower.append(code, out);
                        });
}

Value swapcase(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return map_characters(render.budget(), self.as_string(),
                        [lower = LowerCase(self.text())](uint32_t code, std::string* out) mutable {
                          lower.next(code);
                          unicode::is_upper(code) ? lower.append(code, out) : unicode::append_upper(code, out);
                        });
}

Value casefold(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  TextBuilder out(render.budget());
  each_piece(self.as_string(), 0, self.text().size(),
             [&](std::string_view text, Origin origin) { out.append(unicode::case_folded(text), origin); });
  return out.value();
}

template <bool kLeft, bool kRight>
Value strip(Render& render, const Value& self, const Arguments& arguments) {
  const auto [set] = bind_arguments<1>(arguments, {"chars"});
  return strip_text(render, self.as_string(), set, kLeft, kRight);
}

// The parts of `string` between separators, or between runs of white space if there is none given.
List* split_forward(Render& render, const String& string, const Value& separator, int64_t most) {
  List* parts = render.list();
  const std::string_view text = string.text;
  const auto add = [&](size_t begin, size_t end) {
    parts->items.push_back(substring(render.budget(), string, begin, end));
  };
  size_t at = 0;
  if (separator.is(Kind::kString)) {
    if (separator.text().empty()) fail("the separator of split() is empty");
    for (size_t end; most != 0 && (end = text.find(separator.text(), at)) != kNowhere; --most) {
      add(at, end);
      at = end + separator.text().size();
    }
    add(at, text.size());
    return parts;
  }
  const auto skip_space = [&] { at = text.size() - unicode::strip_left(text.substr(at)).size(); };
  for (skip_space(); at < text.size(); skip_space(), --most) {
    size_t end = at;
    while (end < text.size() && !unicode::is_space(unicode::decode(text.substr(end)))) end += unicode::width(text[end]);
    if (most == 0) end = unicode::strip_right(text).size();
    add(at, end);
    at = end;
  }
  return parts;
}

Value split(Render& render, const Value& self, const Arguments& arguments) {
  const auto [separator, most] = bind_arguments<2>(arguments, {"sep", "maxsplit"});
  if (!separator.is_missing() && !separator.is(Kind::kNone)) to_text(separator);
  render.budget().work(self.text().size());
  return Value::list(split_forward(render, self.as_string(), separator, integer_or(most, -1)));
}

// From the end: the parts that are too many stay together in the first.
Value rsplit(Render& render, const Value& self, const Arguments& arguments) {
  const auto [separator, most] = bind_arguments<2>(arguments, {"sep", "maxsplit"});
  if (!separator.is_missing() && !separator.is(Kind::kNone)) to_text(separator);
  render.budget().work(self.text().size());
  List* parts = split_forward(render, self.as_string(), separator, -1);
  const int64_t limit = integer_or(most, -1);
  auto& items = parts->items;
  if (limit < 0 || static_cast<int64_t>(items.size()) <= limit) return Value::list(parts);
  const size_t kept = static_cast<size_t>(limit);
  const std::string_view text = self.text(), last_merged = items[items.size() - kept - 1].text();
  const size_t end = static_cast<size_t>(last_merged.data() + last_merged.size() - text.data());
  items.erase(items.begin(), items.end() - static_cast<ptrdiff_t>(kept));
  items.insert(items.begin(), substring(render.budget(), self.as_string(), 0, end));
  return Value::list(parts);
}

Value splitlines(Render& render, const Value& self, const Arguments& arguments) {
  const auto [keep] = bind_arguments<1>(arguments, {"keepends"});
  List* lines = render.list();
  const std::string_view text = self.text();
  render.budget().work(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of("\n\r", at), text.size());
    size_t next = std::min(end + 1, text.size());
    if (end + 1 < text.size() && text[end] == '\r' && text[end + 1] == '\n') ++next;
    lines->items.push_back(substring(render.budget(), self.as_string(), at, truth(keep) ? next : end));
    at = next;
  }
  return Value::list(lines);
}

// before, separator, after.
template <bool kLast>
Value partition(Render& render, const Value& self, const Arguments& arguments) {
  const auto [separator] = bind_arguments<1>(arguments, {"sep"}, 1);
  const std::string_view text = self.text(), wanted = to_text(separator).text;
  if (wanted.empty()) fail("the separator of partition() is empty");
  render.budget().work(text.size() / 16);
  const size_t at = kLast ? text.rfind(wanted) : text.find(wanted);
  const String& string = self.as_string();
  const auto part = [&](size_t begin, size_t end) { return substring(render.budget(), string, begin, end); };
  List* result = render.list(Sequence::kTuple);
  const size_t all = text.size();
  if (at != kNowhere) {
    result->items = {part(0, at), part(at, at + wanted.size()), part(at + wanted.size(), all)};
  } else if (kLast) {
    result->items = {part(0, 0), part(0, 0), part(0, all)};
  } else {
    result->items = {part(0, all), part(all, all), part(all, all)};
  }
  return Value::list(result);
}

// The bytes that a method's optional start and end, in characters, mean.
std::pair<size_t, size_t> window(const String& string, const Value& start, const Value& end) {
  const auto size = static_cast<int64_t>(count_characters(string));
  const auto byte = [&](int64_t index) {
    return unicode::offset(string.text,
                           static_cast<size_t>(std::clamp<int64_t>(index < 0 ? index + size : index, 0, size)));
  };
  const size_t begin = byte(integer_or(start, 0)), until = byte(integer_or(end, size));
  return {begin, std::max(begin, until)};
}

template <bool kEnd>
Value begins_or_ends(Render& render, const Value& self, const Arguments& arguments) {
  const auto [affix, start, end] = bind_arguments<3>(arguments, {"prefix", "start", "end"}, 1);
  const auto [from, to] = window(self.as_string(), start, end);
  const std::string_view text = self.text().substr(from, to - from);
  const auto fits = [&](const Value& value) {
    return kEnd ? text.ends_with(to_text(value).text) : text.starts_with(to_text(value).text);
  };
  if (affix.is(Kind::kList) && affix.as_list().sequence == Sequence::kTuple) {
    render.budget().work(affix.as_list().items.size());
    return Value::boolean(std::ranges::any_of(affix.as_list().items, fits));
  }
  return Value::boolean(fits(affix));
}

template <bool kLast, bool kMust>
Value find(Render& render, const Value& self, const Arguments& arguments) {
  const auto [wanted, start, end] = bind_arguments<3>(arguments, {"sub", "start", "end"}, 1);
  const auto [from, to] = window(self.as_string(), start, end);
  const std::string_view text = self.text().substr(from, to - from);
  render.budget().work(self.text().size() / 8);
  const size_t at = kLast ? text.rfind(to_text(wanted).text) : text.find(to_text(wanted).text);
  if (at == kNowhere && kMust) fail("the text does not contain \"{}\"", wanted.text());
  return Value::integer(at == kNowhere ? -1 : static_cast<int64_t>(unicode::count(self.text().substr(0, from + at))));
}

Value count(Render& render, const Value& self, const Arguments& arguments) {
  const auto [wanted, start, end] = bind_arguments<3>(arguments, {"sub", "start", "end"}, 1);
  const auto [from, to] = window(self.as_string(), start, end);
  const std::string_view text = self.text().substr(from, to - from), part = to_text(wanted).text;
  render.budget().work(self.text().size() / 8);
  if (part.empty()) return Value::integer(static_cast<int64_t>(unicode::count(text)) + 1);
  int64_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != kNowhere; at += part.size()) ++found;
  return Value::integer(found);
}

Value replace(Render& render, const Value& self, const Arguments& arguments) {
  const auto [from, to, most] = bind_arguments<3>(arguments, {"old", "new", "count"}, 2);
  return replace_text(render, self.as_string(), to_text(from), to_text(to), integer_or(most, -1));
}

Value join(Render& render, const Value& self, const Arguments& arguments) {
  const auto [items] = bind_arguments<1>(arguments, {"iterable"}, 1);
  return joined(render, self.as_string(), *iterate(render, items), false);
}

template <int kPlace>
Value pad(Render& render, const Value& self, const Arguments& arguments) {
  const auto [width, fill] = bind_arguments<2>(arguments, {"width", "fillchar"}, 1);
  const std::string_view character = fill.is_missing() ? " " : to_text(fill).text;
  if (unicode::count(character) != 1) fail("what a text is filled up with must be one character");
  return padded(render, self.as_string(), to_integer(width), character, kPlace);
}

Value zfill(Render& render, const Value& self, const Arguments& arguments) {
  const auto [width] = bind_arguments<1>(arguments, {"width"}, 1);
  const String& string = self.as_string();
  const bool sign = string.text.starts_with('-') || string.text.starts_with('+');
  if (!sign) return padded(render, string, to_integer(width), "0", 1);
  const Value digits = substring(render.budget(), string, 1, string.text.size());
  TextBuilder out(render.budget());
  out.append(string, 0, 1);
  out.append(padded(render, digits.as_string(), to_integer(width) - 1, "0", 1).as_string());
  return out.value();
}

template <bool kPrefix>
Value remove_affix(Render& render, const Value& self, const Arguments& arguments) {
  const auto [affix] = bind_arguments<1>(arguments, {"affix"}, 1);
  const std::string_view text = self.text(), wanted = to_text(affix).text;
  if (!(kPrefix ? text.starts_with(wanted) : text.ends_with(wanted))) return self;
  return kPrefix ? substring(render.budget(), self.as_string(), wanted.size(), text.size())
                 : substring(render.budget(), self.as_string(), 0, text.size() - wanted.size());
}

Value expandtabs(Render& render, const Value& self, const Arguments& arguments) {
  const auto [size] = bind_arguments<1>(arguments, {"tabsize"});
  const int64_t width = std::clamp<int64_t>(integer_or(size, 8), 0, 1000);
  int64_t column = 0;
  return map_characters(render.budget(), self.as_string(), [&](uint32_t code, std::string* out) {
    if (code != '\t') {
      unicode::append(code, out);
      column = code == '\n' || code == '\r' ? 0 : column + 1;
    } else if (width > 0) {
      const int64_t blanks = width - column % width;
      out->append(static_cast<size_t>(blanks), ' ');
      column += blanks;
    }
  });
}

Value format(Render& render, const Value& self, const Arguments& arguments) {
  return format_braces(render, self.as_string(), arguments);
}

// Capital letters begin words, small ones continue them, and there is one.
Value istitle(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  const std::string_view text = self.text();
  render.budget().work(text.size());
  bool inside = false, any = false;
  for (size_t i = 0; i < text.size(); i += unicode::width(text[i])) {
    const uint32_t code = unicode::decode(text.substr(i));
    if (unicode::is_cased(code) && unicode::is_lower(code) != inside) return Value::boolean(false);
    inside = unicode::is_cased(code);
    any |= inside;
  }
  return Value::boolean(any);
}

using CharacterTest = bool (*)(uint32_t);
template <CharacterTest kIs>
Value all_are(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  const std::string_view text = self.text();
  render.budget().work(text.size());
  bool all = !text.empty();
  for (size_t i = 0; all && i < text.size(); i += unicode::width(text[i])) all = kIs(unicode::decode(text.substr(i)));
  return Value::boolean(all);
}
bool is_alphanumeric(uint32_t code) {
  return unicode::is_alpha(code) || unicode::is_number(code);
}
bool is_ascii(uint32_t code) {
  return code < 0x80;
}

}  // namespace

Value capitalized(Render& render, const String& string) {
  return map_characters(render.budget(), string,
                        [first = true, lower = LowerCase(string.text)](uint32_t code, std::string* out) mutable {
                          lower.next(code);
                          std::exchange(first, false) ? unicode::append_title(code, out) : lower.append(code, out);
                        });
}

Value upper_case(Render& render, const String& string) {
  return map_characters(render.budget(), string, unicode::append_upper);
}

Value lower_case(Render& render, const String& string) {
  return map_characters(render.budget(), string,
                        [lower = LowerCase(string.text)](uint32_t code, std::string* out) mutable {
                          lower.next(code);
                          lower.append(code, out);
                        });
}

Builtin find_string_method(std::string_view name) {
  static const std::unordered_map<std::string_view, Builtin> kMethods = {
      {"lower", plain_lower},
      {"upper", plain_upper},
      {"capitalize", capitalize},
      {"title", title},
      {"swapcase", swapcase},
      {"casefold", casefold},
      {"strip", strip<true, true>},
      {"lstrip", strip<true, false>},
      {"rstrip", strip<false, true>},
      {"split", split},
      {"rsplit", rsplit},
      {"splitlines", splitlines},
      {"partition", partition<false>},
      {"rpartition", partition<true>},
      {"startswith", begins_or_ends<false>},
      {"endswith", begins_or_ends<true>},
      {"find", find<false, false>},
      {"rfind", find<true, false>},
      {"index", find<false, true>},
      {"rindex", find<true, true>},
      {"count", count},
      {"replace", replace},
      {"join", join},
      {"center", pad<0>},
      {"ljust", pad<-1>},
      {"rjust", pad<1>},
      {"zfill", zfill},
      {"removeprefix", remove_affix<true>},
      {"removesuffix", remove_affix<false>},
      {"expandtabs", expandtabs},
      {"format", format},
      {"isalpha", all_are<unicode::is_alpha>},
      {"isdigit", all_are<unicode::is_digit>},
      {"isdecimal", all_are<unicode::is_decimal>},
      {"isnumeric", all_are<unicode::is_number>},
      {"isalnum", all_are<is_alphanumeric>},
      {"isspace", all_are<unicode::is_space>},
      {"isascii", all_are<is_ascii>},
      {"isprintable", all_are<unicode::is_printable>},
      {"istitle", istitle},
      {"isupper",
       [](Render&, const Value& self, const Arguments&) { return Value::boolean(has_case(self.text(), true)); }},
      {"islower",
       [](Render&, const Value& self, const Arguments&) { return Value::boolean(has_case(self.text(), false)); }}};
  const auto found = kMethods.find(name);
  return found == kMethods.end() ? nullptr : found->second;
}

}  // namespace hearth::templates
