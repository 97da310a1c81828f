#include "serve/settings.h"

#include <boost/json.hpp>
#include <charconv>
#include <cstdlib>

#include "api/ollama/decode.h"
#include "base/error.h"
#include "base/log.h"
#include "base/outside_text.h"
#include "serve/origins.h"

namespace hearth::serve {
namespace {

constexpr uint16_t kPort = 11434;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kAround = " \t\r\n\"'";  // as Ollama does: quotes come from unit files and .env files
  const size_t begin = text.find_first_not_of(kAround);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kAround) - begin + 1);
}

Status read_number(const Environment& variables, const char* name, uint32_t least, uint32_t most, uint32_t& target) {
  const auto text = variables(name);
  if (!text) return {};
  const std::string_view value = trimmed(*text);
  uint32_t number = 0;
  const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (code != std::errc() || end != value.data() + value.size() || (number != 0 && number < least) || number > most) {
    return error(ErrorKind::kUsage, "{} is \"{}\"; it must be a number from {} to {}, or 0 for the default", name,
                 printable(value), least, most);
  }
  if (number != 0) target = number;
  return {};
}

Status read_keep_alive(const Environment& variables, std::chrono::nanoseconds& target) {
  const auto text = variables("OLLAMA_KEEP_ALIVE");
  if (!text) return {};
  const std::string_view value = trimmed(*text);
  int64_t seconds = 0;  // also without a unit, as a number
  const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  const bool whole = code == std::errc() && end == value.data() + value.size();
  const boost::json::value json = whole ? boost::json::value(seconds) : boost::json::value(boost::json::string(value));
  auto duration = api::ollama::decode_keep_alive(json);
  if (!duration) return error(ErrorKind::kUsage, "OLLAMA_KEEP_ALIVE: {}", duration.error().message);
  target = *duration;
  return {};
}

Status read_origins(const Environment& variables, std::vector<std::string>& origins) {
  std::string_view rest;
  const auto text = variables("OLLAMA_ORIGINS");
  if (text) rest = *text;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view entry = trimmed(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (entry.empty()) continue;
    TRY(check_origin_entry(entry));
    origins.emplace_back(entry);
  }
  return {};
}

Status read_cache_type(const Environment& variables, std::string& target) {
  const auto text = variables("OLLAMA_KV_CACHE_TYPE");
  if (!text) return {};
  const std::string value(trimmed(*text));
  if (value == "f16" || value == "q8_0" || value == "f32") {
    target = value;
    return {};
  }
  return error(ErrorKind::kUsage, "OLLAMA_KV_CACHE_TYPE is \"{}\"; it can be f16, q8_0 or f32", printable(value));
}

}  // namespace

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

Result<http::Address> parse_host(std::string_view text) {
  std::string_view rest = trimmed(text);
  http::Address address{.host = "localhost", .port = kPort};
  if (const size_t scheme = rest.find("://"); scheme != std::string_view::npos) {
    if (rest.substr(0, scheme) != "http") {
      return error(ErrorKind::kUsage, "\"{}\": only plain HTTP is served; write it without \"{}://\"", printable(text),
                   printable(rest.substr(0, scheme)));
    }
    address.port = 80;
    rest.remove_prefix(scheme + 3);
  }
  rest = rest.substr(0, rest.find('/'));
  if (rest.empty()) return address;
  const size_t bracket = rest.starts_with('[') ? rest.find(']') : std::string_view::npos;
  const size_t first = rest.find(':'), last = rest.rfind(':');
  const bool bare_v6 = bracket == std::string_view::npos && first != last;
  size_t colon = bare_v6 ? std::string_view::npos : last;
  if (bracket != std::string_view::npos && colon < bracket) colon = std::string_view::npos;
  std::string_view host = rest.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view port = rest.substr(colon + 1);
    uint16_t number = 0;
    const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (code == std::errc() && end == port.data() + port.size())
      address.port = number;
    else
      log_warn("\"{}\" is no port; {} is taken", printable(port), address.port);
  }
  if (bracket != std::string_view::npos && host.size() >= 2) host = host.substr(1, host.size() - 2);
  if (!host.empty()) address.host = host;
  if (host.empty()) address.host = "*";
  return address;
}

Status read_environment(const Environment& variables, Settings& settings) {
  if (const auto host = variables("OLLAMA_HOST")) {
    auto address = parse_host(*host);
    if (!address) return error(ErrorKind::kUsage, "OLLAMA_HOST: {}", address.error().message);
    settings.listen = {*address};
  }
  TRY(read_origins(variables, settings.origins));
  TRY(read_keep_alive(variables, settings.keep_alive));
  TRY(read_number(variables, "OLLAMA_NUM_PARALLEL", 1, 256, settings.parallel));
  TRY(read_number(variables, "OLLAMA_MAX_LOADED_MODELS", 1, 1024, settings.most_models));
  TRY(read_number(variables, "OLLAMA_MAX_QUEUE", 1, 1 << 20, settings.queue));
  TRY(read_number(variables, "OLLAMA_CONTEXT_LENGTH", 4, 1 << 30, settings.model.context));
  return read_cache_type(variables, settings.model.kv_type);
}

}  // namespace hearth::serve
