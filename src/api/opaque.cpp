#include "api/opaque.h"

#include <openssl/evp.h>

#include "base/check.h"
#include "base/fnv1a.h"

namespace hearth::api {
namespace {

// Of version 1: the mark, how the text goes on, and the text or its hash.
constexpr std::string_view kMark = "hearth1";
constexpr char kCarries = 'T', kHash = 'H';

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && text.size() > padding && text[text.size() - 1 - padding] == '=') ++padding;
  bytes.resize(static_cast<size_t>(length) - padding);
  return bytes;
}

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
