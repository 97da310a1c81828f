#include "api/ollama/decode.h"
#include "base/duration.h"
#include "base/error.h"

namespace hearth::api::ollama {
namespace {

Nanoseconds bounded(Nanoseconds duration) {
  constexpr Nanoseconds kForEver{-1};
  return duration.count() < 0 || duration == Nanoseconds::max() ? kForEver : duration;
}

}  // namespace

Result<Nanoseconds> decode_keep_alive(const boost::json::value& value) {
  if (value.is_number()) return bounded(from_seconds(value.to_number<double>()));
  if (!value.is_string()) return wrong_type("keep_alive", "a number of seconds or a duration such as \"5m\"", value);
  const std::string_view text(value.get_string().data(), value.get_string().size());
  const auto duration = parse_duration(text);
  if (!duration) {
    return error(ErrorKind::kUsage,
                 "keep_alive \"{}\" is no duration; write a number of seconds, or a number with a unit (ns, us, ms, s, "
                 "m, h), such as \"5m\"",
                 text);
  }
  return bounded(*duration);
}

}  // namespace hearth::api::ollama
