#include "template/format_spec.h"
#include "template/jinja_filters.h"
#include "template/jinja_string_methods.h"
#include "template/json.h"

namespace hearth::templates {
namespace {

const String& text_of(Render& render, const Value& value) {
  return to_string(render.budget(), value).as_string();
}

Value upper(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return upper_case(render, text_of(render, self));
}
Value lower(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return lower_case(render, text_of(render, self));
}
Value capitalize(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return capitalized(render, text_of(render, self));
}

// Unlike the method, words begin behind blanks, hyphens and brackets only.
Value title(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  bool inside = false;
  return map_characters(render.budget(), text_of(render, self), [&inside](uint32_t code, std::string* out) {
    const bool between =
        unicode::is_space(code) || code == '-' || code == '(' || code == '{' || code == '[' || code == '<';
    inside ? unicode::append_lower(code, out) : unicode::append_upper(code, out);
    inside = !between;
  });
}

Value trim(Render& render, const Value& self, const Arguments& arguments) {
  const auto [set] = bind_arguments<1>(arguments, {"chars"});
  return strip_text(render, text_of(render, self), set, true, true);
}

Value replace(Render& render, const Value& self, const Arguments& arguments) {
  const auto [from, to, most] = bind_arguments<3>(arguments, {"old", "new", "count"}, 2);
  String plain = text_of(render, self);
  plain.markup = false;
  return replace_text(render, *render.budget().make<String>(plain), text_of(render, from), text_of(render, to),
                      integer_or(most, -1));
}

Value string(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return to_string(render.budget(), self);
}

Value escape(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return Value::string(&escaped(render, text_of(render, self)));
}

Value forceescape(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  String plain = text_of(render, self);
  plain.markup = false;
  return Value::string(&escaped(render, plain));
}

Value safe(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  String* marked = render.budget().make<String>(text_of(render, self));
  marked->markup = true;
  return Value::string(marked);
}

Value center(Render& render, const Value& self, const Arguments& arguments) {
  const auto [width] = bind_arguments<1>(arguments, {"width"});
  return padded(render, text_of(render, self), integer_or(width, 80), " ", 0);
}

Value wordcount(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  const std::string_view text = text_of(render, self).text;
  render.budget().work(text.size());
  int64_t words = 0;
  bool inside = false;
  for (size_t i = 0; i < text.size(); i += unicode::width(text[i])) {
    const bool letter = unicode::is_word(unicode::decode(text.substr(i)));
    words += letter && !inside ? 1 : 0;
    inside = letter;
  }
  return Value::integer(words);
}

Value truncate(Render& render, const Value& self, const Arguments& arguments) {
  const auto [length, kill_words, end, leeway] = bind_arguments<4>(arguments, {"length", "killwords", "end", "leeway"});
  const String& tail = end.is_missing() ? render.text("...").as_string() : to_text(end);
  const auto tail_size = static_cast<int64_t>(count_characters(tail));
  const int64_t most = integer_or(length, 255);
  if (most < tail_size) fail("truncate() cannot be shorter than its end");
  if (templates::length(render, self) <= most + integer_or(leeway, 5)) return self;
  const String& text = to_text(self);
  size_t cut = unicode::offset(text.text, static_cast<size_t>(most - tail_size));
  if (!truth(kill_words)) cut = std::min(text.text.substr(0, cut).rfind(' '), cut);
  TextBuilder out(render.budget());
  out.append(text, 0, cut);
  out.append(tail);
  return out.value();
}

Value indent(Render& render, const Value& self, const Arguments& arguments) {
  const auto [width, first, blank] = bind_arguments<3>(arguments, {"width", "first", "blank"});
  const String& text = to_text(self);
  Value space;
  if (width.is(Kind::kString)) {
    space = width;
  } else {
    const int64_t size = std::clamp<int64_t>(integer_or(width, 4), 0, kMaxFormatWidth);
    space = render.text(std::string(static_cast<size_t>(size), ' '));
  }
  TextBuilder out(render.budget());
  for (size_t at = 0; at <= text.text.size();) {
    const size_t end = std::min(text.text.find('\n', at), text.text.size());
    const bool indents = at == 0 ? truth(first) : end > at || truth(blank);
    if (indents) out.append(space.as_string());
    out.append(text, at, std::min(end + 1, text.text.size()));
    at = end + 1;
  }
  return out.value();
}

Value format(Render& render, const Value& self, const Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty())
    fail("format() takes values or named values, not both");
  if (!arguments.named.empty()) {
    Map* map = render.budget().make<Map>(render.budget());
    for (const auto& [name, value] : arguments.named) map->set(make_string(render.budget(), name), value);
    return format_percent(render, text_of(render, self), Value::map(map));
  }
  List* values = render.list(Sequence::kTuple);
  values->items.assign(arguments.positional.begin(), arguments.positional.end());
  return format_percent(render, text_of(render, self), Value::list(values));
}

// Lines of at most `width` characters, broken at blanks.
Value wordwrap(Render& render, const Value& self, const Arguments& arguments) {
  const auto [width, break_long, wrapping, hyphens] =
      bind_arguments<4>(arguments, {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  const String& text = to_text(self);
  const auto most = static_cast<size_t>(std::max<int64_t>(integer_or(width, 79), 1));
  const bool breaks = break_long.is_missing() || truth(break_long);
  TextBuilder out(render.budget());
  const Value wrap = wrapping;
  const auto new_line = [&] { wrap.is(Kind::kString) ? out.append(wrap.as_string()) : out.literal("\n"); };
  size_t column = 0;
  for (size_t at = 0; at < text.text.size();) {
    if (text.text[at] == '\n') {
      new_line();
      column = 0;
      ++at;
      continue;
    }
    const size_t begin = std::min(text.text.find_first_not_of(" \t", at), text.text.size());
    size_t end = std::min(text.text.find_first_of(" \t\n", begin), text.text.size());
    size_t size = unicode::count(text.text.substr(begin, end - begin));
    const size_t gap = column > 0 ? begin - at : 0;
    if (column > 0 && column + gap + size > most) {
      new_line();
      column = 0;
    } else {
      out.append(text, at, at + gap);
      column += gap;
    }
    if (breaks && size > most) {
      end = begin + unicode::offset(text.text.substr(begin), most);
      size = most;
    }
    out.append(text, begin, end);
    column += size;
    at = end;
    if (at < text.text.size() && unicode::strip(text.text.substr(at)).empty() &&
        text.text.find('\n', at) == std::string_view::npos)
      break;
  }
  return out.value();
}

// Without tags and comments, white space as single blanks.
Value striptags(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  const String& text = text_of(render, self);
  TextBuilder plain(render.budget());
  for (size_t at = 0; at < text.text.size();) {
    const size_t open = std::min(text.text.find('<', at), text.text.size());
    const size_t close = text.text.find('>', open);
    const size_t end = close == std::string_view::npos ? text.text.size() : open;
    plain.append(text, at, end);
    at = close == std::string_view::npos ? text.text.size() : close + 1;
  }
  const Arguments none{};
  const Value words = find_string_method("split")(render, plain.value(), none);
  return joined(render, render.text(" ").as_string(), words.as_list(), false);
}

void quote_url(std::string_view text, bool form, std::string* out) {
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("_.-~").find(c) != std::string_view::npos || (c == '/' && !form);
    if (plain) {
      *out += c;
    } else {
      *out += c == ' ' && form ? "+" : fmt::format("%{:02X}", byte);
    }
  }
}

Value urlencode(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  std::string out;
  if (!self.is(Kind::kMap) && !self.is(Kind::kList)) {
    quote_url(text_of(render, self).text, false, &out);
    return make_string(render.budget(), out, Origin::kUser);
  }
  const Value pairs = self.is(Kind::kMap) ? find_methods("items").map(render, self, Arguments{}) : self;
  for (const Value& pair : iterate(render, pairs)->items) {
    const List* two = iterate(render, pair);
    if (two->items.size() != 2) fail("urlencode() needs a text, a map or pairs");
    if (!out.empty()) out += '&';
    quote_url(text_of(render, two->items[0]).text, true, &out);
    out += '=';
    quote_url(text_of(render, two->items[1]).text, true, &out);
  }
  return make_string(render.budget(), out, Origin::kUser);
}

Value xmlattr(Render& render, const Value& self, const Arguments& arguments) {
  const auto [space] = bind_arguments<1>(arguments, {"autospace"});
  if (!self.is(Kind::kMap)) fail("xmlattr() needs a map");
  TextBuilder out(render.budget());
  for (const auto& [key, value] : self.as_map().entries) {
    if (value.is(Kind::kNone) || value.is(Kind::kUndefined)) continue;
    if (out.size() > 0 || space.is_missing() || truth(space)) out.literal(" ");
    out.append(escape(render, key, {}).as_string());
    out.literal("=\"");
    out.append(escape(render, value, {}).as_string());
    out.literal("\"");
  }
  return out.value();
}

Value tojson(Render& render, const Value& self, const Arguments& arguments) {
  const auto [ascii, indentation, separators, sorted] =
      bind_arguments<4>(arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = truth(ascii);
  style.sort_keys = truth(sorted);
  std::string blanks;
  if (!indentation.is_missing() && !indentation.is(Kind::kNone)) {
    style.lines = true;
    style.item_separator = ",";
    if (indentation.is(Kind::kString)) {
      blanks = indentation.text();
    } else {
      blanks.assign(static_cast<size_t>(std::clamp<int64_t>(to_integer(indentation), 0, kMaxFormatWidth)), ' ');
    }
    style.indent = blanks;
  }
  if (separators.is(Kind::kList) && separators.as_list().items.size() == 2) {
    style.item_separator = to_text(separators.as_list().items[0]).text;
    style.key_separator = to_text(separators.as_list().items[1]).text;
  }
  TextBuilder out(render.budget());
  write_json(out, self, style);
  return out.value();
}

Value from_json_text(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  const String& text = to_text(self);
  render.budget().work(text.text.size());
  const bool own = text.pieces.empty() && text.origin == Origin::kTemplate;
  return read_json(render.budget(), text.text, own ? Origin::kTemplate : Origin::kUser);
}

}  // namespace

FilterTable text_filters() {
  static constexpr std::pair<std::string_view, Builtin> kFilters[] = {{"upper", upper},
                                                                      {"lower", lower},
                                                                      {"capitalize", capitalize},
                                                                      {"title", title},
                                                                      {"trim", trim},
                                                                      {"replace", replace},
                                                                      {"string", string},
                                                                      {"escape", escape},
                                                                      {"e", escape},
                                                                      {"forceescape", forceescape},
                                                                      {"safe", safe},
                                                                      {"center", center},
                                                                      {"wordcount", wordcount},
                                                                      {"truncate", truncate},
                                                                      {"indent", indent},
                                                                      {"format", format},
                                                                      {"wordwrap", wordwrap},
                                                                      {"striptags", striptags},
                                                                      {"urlencode", urlencode},
                                                                      {"xmlattr", xmlattr},
                                                                      {"tojson", tojson},
                                                                      {"from_json", from_json_text},
                                                                      {"urlize", string}};
  return kFilters;
}

}  // namespace hearth::templates
