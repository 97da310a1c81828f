#include "api/opaque.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/fnv1a.h"

namespace hearth::api {
namespace {

// Of version 1: the mark, how the text goes on, and the text or its hash.
constexpr std::string_view kMark = "hearth1";
constexpr char kCarries = 'T', kHash = 'H';

}  // namespace

std::string seal(std::string_view text, bool carries) {
  std::string bytes(kMark);
  bytes += carries ? kCarries : kHash;
  bytes += carries ? std::string(text) : fmt::format("{:016x}", fnv1a(text));
  return base64(bytes);
}

std::optional<std::string> unseal(std::string_view seal) {
  const auto bytes = from_base64(seal);
  if (!bytes || !bytes->starts_with(kMark) || bytes->size() <= kMark.size() || (*bytes)[kMark.size()] != kCarries)
    return std::nullopt;
  return bytes->substr(kMark.size() + 1);
}

}  // namespace hearth::api
