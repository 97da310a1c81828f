// A bundle: the raw facts of a machine and a service as one JSON document, keyed by where each comes from
// (docs/doctor-bundle.md describes the format). Collectors fill one, files bring one; everything that the doctor says
// follows from it, so that a diagnosis is the same wherever it is made.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::doctor {

inline constexpr int kBundleVersion = 1;

struct Bundle {
  boost::json::object all;

  Bundle();
  // Errors: kInvalidData for what is no bundle, or one of a newer format.
  static Result<Bundle> parse(std::string_view text);
  std::string text() const;  // as it is written to a file: indented

  // The object under a key, made if it is not there.
  boost::json::object& part(std::string_view key);
};

// A JSON text with line breaks and two spaces of indentation.
std::string pretty(const boost::json::value& value);

}  // namespace hearth::doctor
