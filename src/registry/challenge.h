// What a registry asks of who wants something: the header WWW-Authenticate (RFC 9110, 11.6.1), with the parameters of
// https://distribution.github.io/distribution/spec/auth/token/. Anything may stand in it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hearth::registry {

struct Challenge {
  bool bearer = false, basic = false;
  std::string realm, service;
  std::vector<std::string> scopes;
};
// Errors: kInvalidData.
Result<Challenge> parse_challenge(std::string_view header);

struct Url {
  std::string scheme, host, path;  // "https", "ghcr.io:5000", "/v2/?x=y"
  std::string origin() const { return scheme + "://" + host; }
};
// Errors: kInvalidData: it is no http or https URL, or has a user in it.
Result<Url> parse_url(std::string_view text);
// Of a Location in the answer to a request to `base`.
Result<std::string> resolve_url(const std::string& base, std::string_view location);

std::string percent_encoded(std::string_view text);

}  // namespace hearth::registry
