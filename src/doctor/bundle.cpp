#include "doctor/bundle.h"

#include "base/error.h"

namespace hearth::doctor {
namespace {

namespace json = boost::json;

constexpr std::string_view kMark = "hearth_bundle";

void write(const json::value& value, std::string& out, size_t depth) {
  const auto line = [&](size_t indent) { out += "\n" + std::string(2 * indent, ' '); };
  if (value.is_object() && !value.get_object().empty()) {
    out += '{';
    bool first = true;
    for (const auto& member : value.get_object()) {
      if (!first) out += ',';
      first = false;
      line(depth + 1);
      out += json::serialize(json::value(member.key())) + ": ";
      write(member.value(), out, depth + 1);
    }
    line(depth);
    out += '}';
  } else if (value.is_array() && !value.get_array().empty()) {
    out += '[';
    bool first = true;
    for (const json::value& item : value.get_array()) {
      if (!first) out += ',';
      first = false;
      line(depth + 1);
      write(item, out, depth + 1);
    }
    line(depth);
    out += ']';
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

Bundle::Bundle() {
  all[kMark] = kBundleVersion;
}

Result<Bundle> Bundle::parse(std::string_view text) {
  json::error_code failed;
  json::parse_options options;
  options.max_depth = 40;
  json::value value = json::parse(text, failed, {}, options);
  if (failed) return error(ErrorKind::kInvalidData, "not a bundle of hearth doctor: not JSON ({})", failed.message());
  const json::object* object = value.if_object();
  const json::value* mark = object != nullptr ? object->if_contains(kMark) : nullptr;
  if (mark == nullptr || !mark->is_int64())
    return error(ErrorKind::kInvalidData, "not a bundle of hearth doctor: it has no \"{}\"", kMark);
  if (mark->get_int64() != kBundleVersion)
    return error(ErrorKind::kInvalidData, "a bundle of format {}, but this hearth reads format {}; use a newer hearth",
                 mark->get_int64(), kBundleVersion);
  Bundle bundle;
  bundle.all = std::move(value.get_object());
  return bundle;
}

std::string Bundle::text() const {
  return pretty(all) + "\n";
}

json::object& Bundle::part(std::string_view key) {
  json::value& value = all[key];
  if (!value.is_object()) value.emplace_object();
  return value.get_object();
}

std::string pretty(const json::value& value) {
  std::string out;
  write(value, out, 0);
  return out;
}

}  // namespace hearth::doctor
