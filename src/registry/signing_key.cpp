#include "registry/signing_key.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "registry/credentials.h"

namespace hearth::registry {
namespace {

constexpr std::string_view kBegin = "-----BEGIN OPENSSH PRIVATE KEY-----", kEnd = "-----END OPENSSH PRIVATE KEY-----";
constexpr std::string_view kMagic("openssh-key-v1\0", 15);
constexpr std::string_view kKind = "ssh-ed25519";
constexpr size_t kKey_bytes = 32, kSignature_bytes = 64;

Error broken() {
  return error(ErrorKind::kInvalidData, "it is no OpenSSH private key");
}

// Fields of the format: numbers of four bytes, texts with their length before them.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}
  Result<uint32_t> number() {
    if (rest_.size() < 4) return broken();
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(rest_[static_cast<size_t>(i)]);
    rest_.remove_prefix(4);
    return value;
  }
  Result<std::string_view> text() {
    ASSIGN_OR_RETURN(const uint32_t size, number());
    if (size > rest_.size()) return broken();
    const std::string_view value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }

 private:
  std::string_view rest_;
};

Result<SigningKey> read_private_part(std::string_view bytes, std::string_view public_blob) {
  Fields fields(bytes);
  ASSIGN_OR_RETURN(const uint32_t check, fields.number());
  ASSIGN_OR_RETURN(const uint32_t again, fields.number());
  ASSIGN_OR_RETURN(const std::string_view kind, fields.text());
  if (check != again) return broken();
  if (kind != kKind) return error(ErrorKind::kUnsupported, "it is a key of the kind {}, not {}", kind, kKind);
  ASSIGN_OR_RETURN(const std::string_view open, fields.text());
  ASSIGN_OR_RETURN(const std::string_view secret, fields.text());
  if (open.size() != kKey_bytes || secret.size() != 2 * kKey_bytes) return broken();
  return SigningKey{base64(public_blob), std::string(secret.substr(0, kKey_bytes))};
}

}  // namespace

Result<SigningKey> parse_openssh_key(std::string_view text) {
  const size_t begin = text.find(kBegin), end = text.find(kEnd);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return broken();
  std::string lines;
  for (const char c : text.substr(begin + kBegin.size(), end - begin - kBegin.size()))
    if (c != '\n' && c != '\r' && c != ' ') lines += c;
  const auto bytes = from_base64(lines);
  if (!bytes || !bytes->starts_with(kMagic)) return broken();
  Fields fields(std::string_view(*bytes).substr(kMagic.size()));
  ASSIGN_OR_RETURN(const std::string_view cipher, fields.text());
  ASSIGN_OR_RETURN([[maybe_unused]] const std::string_view derivation, fields.text());
  ASSIGN_OR_RETURN([[maybe_unused]] const std::string_view options, fields.text());
  ASSIGN_OR_RETURN(const uint32_t keys, fields.number());
  if (cipher != "none") return error(ErrorKind::kUnsupported, "it is protected by a password");
  if (keys != 1) return broken();
  ASSIGN_OR_RETURN(const std::string_view open, fields.text());
  ASSIGN_OR_RETURN(const std::string_view secret, fields.text());
  return read_private_part(secret, open);
}

Result<std::optional<SigningKey>> find_signing_key() {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return std::optional<SigningKey>();
  const std::string path = std::string(home) + "/.ollama/id_ed25519";
  const auto text = read_file(path);
  if (!text && text.error().kind == ErrorKind::kNotFound) return std::optional<SigningKey>();
  if (!text) return text.error();
  auto key = parse_openssh_key(*text);
  if (!key) return error(key.error().kind, "{} cannot be used: {}", path, key.error().message);
  return std::optional<SigningKey>(std::move(key).value());
}

std::string sign(const SigningKey& key, std::string_view text) {
  EVP_PKEY* const secret = EVP_PKEY_new_raw_private_key(
      EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(key.seed.data()), key.seed.size());
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  std::string signature(kSignature_bytes, '\0');
  size_t size = signature.size();
  CHECK(secret != nullptr && context != nullptr &&
        EVP_DigestSignInit(context, nullptr, nullptr, nullptr, secret) == 1 &&
        EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                       reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1);
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(secret);
  return base64(signature);
}

SignedAsk signed_ask(const SigningKey& key, const Challenge& challenge, int64_t now_s, const std::string& nonce) {
  SignedAsk ask{challenge.realm, {}};
  ask.url += (ask.url.find('?') == std::string::npos ? "?nonce=" : "&nonce=") + percent_encoded(nonce);
  for (const std::string& scope : challenge.scopes) ask.url += "&scope=" + percent_encoded(scope);
  ask.url += fmt::format("&service={}&ts={}", percent_encoded(challenge.service), now_s);
  const std::string text = "GET," + ask.url + "," + base64(sha256_hex(""));  // of the body, which is empty
  ask.authorization = key.public_key + ":" + sign(key, text);
  return ask;
}

std::string new_nonce() {
  std::array<unsigned char, 16> bytes{};
  CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
  std::string text = base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  while (text.ends_with('=')) text.pop_back();
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

}  // namespace hearth::registry
