// What the methods of texts and the filters share.
#include "template/jinja_string_methods.h"

namespace hearth::templates {

Value strip_text(Render& render, const String& string, const Value& set, bool left, bool right) {
  std::string_view text = string.text;
  render.budget().work(text.size() / 16);
  if (set.is_missing() || set.is(Kind::kNone)) {
    if (left) text = unicode::strip_left(text);
    if (right) text = unicode::strip_right(text);
  } else {
    const std::string_view characters = to_text(set).text;
    const auto belongs = [&](std::string_view character) {
      return characters.find(character) != std::string_view::npos;
    };
    while (left && !text.empty() && belongs(text.substr(0, unicode::width(text[0]))))
      text.remove_prefix(unicode::width(text[0]));
    while (right && !text.empty()) {
      size_t at = text.size() - 1;
      while (at > 0 && unicode::continues(text[at])) --at;
      if (!belongs(text.substr(at))) break;
      text = text.substr(0, at);
    }
  }
  if (text.size() == string.text.size()) return Value::string(&string);
  const auto begin = static_cast<size_t>(text.data() - string.text.data());
  return substring(render.budget(), string, begin, begin + text.size());
}

Value replace_text(Render& render, const String& string, const String& from, const String& replacement, int64_t most) {
  const String& to = string.markup ? escaped(render, replacement) : replacement;
  TextBuilder out(render.budget());
  const std::string_view text = string.text;
  render.budget().work(text.size() / 8);
  size_t at = 0;
  if (from.text.empty()) {  // between all characters
    for (; most != 0 && at <= text.size(); --most) {
      out.append(to);
      const size_t next = at < text.size() ? at + unicode::width(text[at]) : at + 1;
      out.append(string, at, std::min(next, text.size()));
      at = next;
    }
  } else {
    for (size_t found; most != 0 && (found = text.find(from.text, at)) != std::string_view::npos; --most) {
      out.append(string, at, found);
      out.append(to);
      at = found + from.text.size();
    }
  }
  if (at == 0) return Value::string(&string);
  if (at < text.size()) out.append(string, at, text.size());
  return out.value(string.markup);
}

const String& escaped(Render& render, const String& string) {
  if (string.markup) return string;
  TextBuilder out(render.budget());
  each_piece(string, 0, string.text.size(), [&out](std::string_view text, Origin origin) {
    static constexpr std::string_view kFrom = "&<>'\"";
    static constexpr std::string_view kTo[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find_first_of(kFrom, at), text.size());
      out.append(text.substr(at, end - at), origin);
      if (end < text.size()) out.append(kTo[kFrom.find(text[end])], origin);
      at = end + 1;
    }
  });
  return out.value(true).as_string();
}

Value padded(Render& render, const String& string, int64_t width, std::string_view fill, int place) {
  const int64_t missing = width - static_cast<int64_t>(count_characters(string));
  if (missing <= 0) return Value::string(&string);
  if (missing > static_cast<int64_t>(kMaxOutput)) fail("a text gets too long (more than {} MiB)", kMaxOutput >> 20);
  // Python puts the odd blank of a centred text to the left only if the width is odd too.
  const int64_t left = place < 0 ? 0 : place > 0 ? missing : missing / 2 + (missing & width & 1);
  TextBuilder out(render.budget());
  for (int64_t i = 0; i < left; ++i) out.append(fill, Origin::kUser);
  out.append(string);
  for (int64_t i = left; i < missing; ++i) out.append(fill, Origin::kUser);
  return out.value();
}

Value joined(Render& render, const String& separator, const List& items, bool convert) {
  TextBuilder out(render.budget());
  for (size_t i = 0; i < items.items.size(); ++i) {
    if (i > 0) out.append(separator);
    if (convert) {
      print(out, items.items[i]);
    } else {
      out.append(to_text(items.items[i]));
    }
  }
  return out.value();
}

bool has_case(std::string_view text, bool upper) {
  bool any = false;
  for (size_t i = 0; i < text.size(); i += unicode::width(text[i])) {
    const uint32_t code = unicode::decode(text.substr(i));
    if (upper ? unicode::is_lower(code) : unicode::is_upper(code)) return false;
    any |= upper ? unicode::is_upper(code) : unicode::is_lower(code);
  }
  return any;
}

}  // namespace hearth::templates
