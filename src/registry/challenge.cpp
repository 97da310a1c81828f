#include "registry/challenge.h"

#include <algorithm>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"

namespace hearth::registry {
namespace {

constexpr size_t kMost_bytes = 16 << 10;

void skip_blanks(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == ',')) text.remove_prefix(1);
}

std::string_view take_until(std::string_view& text, std::string_view ends) {
  const std::string_view word = text.substr(0, std::min(text.find_first_of(ends), text.size()));
  text.remove_prefix(word.size());
  return word;
}

std::string take_value(std::string_view& text) {
  if (text.empty() || text.front() != '"') return std::string(take_until(text, " ,\t"));
  std::string value;
  for (text.remove_prefix(1); !text.empty() && text.front() != '"'; text.remove_prefix(1)) {
    if (text.front() == '\\' && text.size() > 1) text.remove_prefix(1);
    value += text.front();
  }
  if (!text.empty()) text.remove_prefix(1);
  return value;
}

void take_parameter(std::string_view name, std::string value, Challenge& challenge) {
  if (same_ignoring_case(name, "realm"))
    challenge.realm = std::move(value);
  else if (same_ignoring_case(name, "service"))
    challenge.service = std::move(value);
  else if (same_ignoring_case(name, "scope")) {
    for (std::string_view rest = value; !rest.empty();) {
      if (const std::string_view scope = take_until(rest, " "); !scope.empty()) challenge.scopes.emplace_back(scope);
      if (!rest.empty()) rest.remove_prefix(1);
    }
  }
}

}  // namespace

Result<Challenge> parse_challenge(std::string_view header) {
  if (header.size() > kMost_bytes) return error(ErrorKind::kInvalidData, "its challenge is too long");
  Challenge challenge;
  bool ours = false;  // the parameters are of a scheme that is known; Bearer's go before Basic's
  for (skip_blanks(header); !header.empty(); skip_blanks(header)) {
    const std::string_view word = take_until(header, " =,\t");
    std::string_view after = header;
    skip_blanks(after);
    if (!after.empty() && after.front() == '=' && !word.empty()) {
      header = after.substr(1);
      std::string value = take_value(header);
      if (ours) take_parameter(word, std::move(value), challenge);
      continue;
    }
    const bool bearer = same_ignoring_case(word, "bearer"), basic = same_ignoring_case(word, "basic");
    challenge.bearer = challenge.bearer || bearer;
    challenge.basic = challenge.basic || basic;
    ours = bearer;
    if (word.empty() && !header.empty()) header.remove_prefix(1);
  }
  if (!challenge.bearer && !challenge.basic)
    return error(ErrorKind::kInvalidData, "it asks for no way of signing in that is known (Bearer, Basic)");
  return challenge;
}

Result<Url> parse_url(std::string_view text) {
  const auto wrong = [&](const char* why) {
    return error(ErrorKind::kInvalidData, "'{}' is no URL that can be used: {}", printable(text.substr(0, 200)), why);
  };
  Url url;
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return wrong("it has no scheme");
  url.scheme = text.substr(0, scheme);
  for (char& c : url.scheme)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (url.scheme != "http" && url.scheme != "https") return wrong("it is neither http nor https");
  std::string_view rest = text.substr(scheme + 3);
  url.host = take_until(rest, "/?#");
  if (url.host.empty()) return wrong("it names no host");
  if (url.host.find('@') != std::string::npos) return wrong("it has a user in it");
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) return wrong("it has a blank or a control character in it");
  url.path = rest.substr(0, rest.find('#'));
  if (url.path.empty() || url.path.front() != '/') url.path.insert(0, "/");
  return url;
}

Result<std::string> resolve_url(const std::string& base, std::string_view location) {
  if (location.empty()) return error(ErrorKind::kInvalidData, "{} leads nowhere (an empty Location)", base);
  if (location.find("://") != std::string_view::npos) {
    TRY(parse_url(location));
    return std::string(location);
  }
  ASSIGN_OR_RETURN(const Url from, parse_url(base));
  if (location.starts_with("//")) return resolve_url(base, from.scheme + ":" + std::string(location));
  std::string path = from.path.substr(0, from.path.find('?'));
  path = location.front() == '/' ? "" : path.substr(0, path.rfind('/') + 1);
  const std::string whole = from.origin() + path + std::string(location);
  TRY(parse_url(whole));
  return whole;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace hearth::registry
