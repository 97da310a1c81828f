// The functions that every template can call.
#include "template/jinja_builtins.h"

namespace hearth::templates {
namespace {

struct FunctionObject : Object {
  FunctionObject(std::string_view function, Builtin run) : name(function), builtin(run) {}
  bool callable() const override { return true; }
  std::string text() const override { return fmt::format("<function {}>", name); }
  Value call(Render& render, const Arguments& arguments) override { return builtin(render, Value(), arguments); }

  std::string_view name;
  Builtin builtin;
};

Value range(Render& render, const Value&, const Arguments& arguments) {
  const auto [first, second, third] = bind_arguments<3>(arguments, {"start", "stop", "step"}, 1);
  if (!arguments.named.empty()) fail("range() takes no named arguments");
  const int64_t begin = second.is_missing() ? 0 : to_integer(first);
  const int64_t end = to_integer(second.is_missing() ? first : second);
  const int64_t step = third.is_missing() ? 1 : to_integer(third);
  if (step == 0) fail("the step of range() is zero");
  const double count = (static_cast<double>(end) - static_cast<double>(begin)) / static_cast<double>(step);
  if (count > static_cast<double>(kMaxRange)) fail("range() has more than {} items", kMaxRange);
  List* list = render.list(Sequence::kRange);
  render.budget().work(static_cast<uint64_t>(std::max(count, 0.0)));
  list->items.reserve(static_cast<size_t>(std::max(count, 0.0)) + 1);
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    list->items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value::list(list);
}

// A map from another, from pairs, and from named arguments.
Map* map_from(Render& render, const Arguments& arguments) {
  Map* map = render.budget().make<Map>(render.budget());
  if (arguments.positional.size() > 1) fail("only one map or list of pairs can be given");
  for (const Value& source : arguments.positional) {
    if (source.is(Kind::kMap)) {
      for (const auto& [key, value] : source.as_map().entries) map->set(key, value);
      continue;
    }
    for (const Value& pair : iterate(render, source)->items) {
      const List* two = iterate(render, pair);
      if (two->items.size() != 2) fail("a map is made of pairs");
      map->set(two->items[0], two->items[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) map->set(make_string(render.budget(), name), value);
  return map;
}

Value dict(Render& render, const Value&, const Arguments& arguments) {
  return Value::map(map_from(render, arguments));
}

Value make_namespace(Render& render, const Value&, const Arguments& arguments) {
  return Value::space(map_from(render, arguments));
}

Value raise_exception(Render& render, const Value&, const Arguments& arguments) {
  const auto [message] = bind_arguments<1>(arguments, {"message"}, 1);
  fail("{}", to_string(render.budget(), message).text());
}

Value strftime_now(Render& render, const Value&, const Arguments& arguments) {
  const auto [format] = bind_arguments<1>(arguments, {"format"}, 1);
  return render.text(format_time(render.now(), to_text(format).text));
}

struct Cycler : Object {
  explicit Cycler(List* all) : items(all) {}
  std::string text() const override { return "<Cycler>"; }
  Value attribute(Render& render, std::string_view name) override;
  Value current() const { return items->items[at]; }

  List* items;
  size_t at = 0;
};

struct CyclerMethod : Object {
  CyclerMethod(Cycler* owner, bool resetting) : cycler(owner), resets(resetting) {}
  bool callable() const override { return true; }
  std::string text() const override { return "<bound method of Cycler>"; }
  Value call(Render&, const Arguments&) override {
    const Value value = resets ? Value::none() : cycler->current();
    cycler->at = resets ? 0 : (cycler->at + 1) % cycler->items->items.size();
    return value;
  }

  Cycler* cycler;
  bool resets;
};

Value Cycler::attribute(Render& render, std::string_view name) {
  if (name == "current") return current();
  if (name == "next" || name == "reset")
    return Value::object(render.budget().make<CyclerMethod>(this, name == "reset"));
  return {};
}

Value cycler(Render& render, const Value&, const Arguments& arguments) {
  List* items = render.list();
  items->items.assign(arguments.positional.begin(), arguments.positional.end());
  if (items->items.empty()) fail("cycler() needs items");
  return Value::object(render.budget().make<Cycler>(items));
}

// Gives nothing when it is called first, its text from then on.
struct Joiner : Object {
  explicit Joiner(const Value& text) : separator(text) {}
  bool callable() const override { return true; }
  std::string text() const override { return "<Joiner>"; }
  Value call(Render& render, const Arguments&) override {
    return std::exchange(used, true) ? separator : render.text("");
  }

  Value separator;
  bool used = false;
};

Value joiner(Render& render, const Value&, const Arguments& arguments) {
  const auto [separator] = bind_arguments<1>(arguments, {"sep"});
  return Value::object(render.budget().make<Joiner>(separator.is_missing() ? render.text(", ") : separator));
}

Value lipsum(Render&, const Value&, const Arguments&) {
  fail("lipsum() is of no use in a chat template");
}

}  // namespace

Value find_global(Budget& budget, std::string_view name) {
  static constexpr std::pair<std::string_view, Builtin> kGlobals[] = {
      {"range", range},   {"dict", dict},     {"namespace", make_namespace},  {"raise_exception", raise_exception},
      {"cycler", cycler}, {"joiner", joiner}, {"strftime_now", strftime_now}, {"lipsum", lipsum}};
  for (const auto& [known, builtin] : kGlobals) {
    if (known == name) return Value::object(budget.make<FunctionObject>(known, builtin));
  }
  return {};
}

std::string format_time(const std::tm& time, std::string_view format) {
  static constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                               "Thursday", "Friday", "Saturday"};
  static constexpr std::string_view kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                                 "July",    "August",   "September", "October", "November", "December"};
  const std::string_view day = kDays[static_cast<size_t>(time.tm_wday) % 7],
                         month = kMonths[static_cast<size_t>(time.tm_mon) % 12];
  const int hour = time.tm_hour % 12 == 0 ? 12 : time.tm_hour % 12, year = time.tm_year + 1900;
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const bool plain = format[i + 1] == '-' && i + 2 < format.size();  // %-d: without the leading zero
    i += plain ? 2 : 1;
    const auto number = [&](int value, int width) {
      return plain ? std::to_string(value) : fmt::format("{:0{}}", value, width);
    };
    switch (format[i]) {
      case 'Y':
        out += std::to_string(year);
        break;
      case 'y':
        out += number(year % 100, 2);
        break;
      case 'm':
        out += number(time.tm_mon + 1, 2);
        break;
      case 'd':
        out += number(time.tm_mday, 2);
        break;
      case 'e':
        out += fmt::format("{:2}", time.tm_mday);
        break;
      case 'H':
        out += number(time.tm_hour, 2);
        break;
      case 'I':
        out += number(hour, 2);
        break;
      case 'M':
        out += number(time.tm_min, 2);
        break;
      case 'S':
        out += number(time.tm_sec, 2);
        break;
      case 'f':
        out += "000000";
        break;
      case 'j':
        out += number(time.tm_yday + 1, 3);
        break;
      case 'p':
        out += time.tm_hour < 12 ? "AM" : "PM";
        break;
      case 'A':
        out += day;
        break;
      case 'a':
        out += day.substr(0, 3);
        break;
      case 'B':
        out += month;
        break;
      case 'b':
      case 'h':
        out += month.substr(0, 3);
        break;
      case 'U':
        out += number((time.tm_yday + 7 - time.tm_wday) / 7, 2);
        break;
      case 'W':
        out += number((time.tm_yday + 7 - (time.tm_wday + 6) % 7) / 7, 2);
        break;
      case 'u':
        out += std::to_string(time.tm_wday == 0 ? 7 : time.tm_wday);
        break;
      case 'w':
        out += std::to_string(time.tm_wday);
        break;
      case 'F':
        out += format_time(time, "%Y-%m-%d");
        break;
      case 'T':
      case 'X':
        out += format_time(time, "%H:%M:%S");
        break;
      case 'R':
        out += format_time(time, "%H:%M");
        break;
      case 'D':
      case 'x':
        out += format_time(time, "%m/%d/%y");
        break;
      case 'c':
        out += format_time(time, "%a %b %e %H:%M:%S %Y");
        break;
      case 'Z':
      case 'z':
        break;  // as a Python time without a zone
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case '%':
        out += '%';
        break;
      default:
        out += {'%', format[i]};
    }
  }
  return out;
}

}  // namespace hearth::templates
