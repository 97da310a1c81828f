// Signing in to Ollama's registry as its client does: with an ed25519 key, whose public half the account knows.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "registry/challenge.h"

namespace hearth::registry {

struct SigningKey {
  std::string public_key;  // as the second word of an OpenSSH .pub file: base64
  std::string seed;        // 32 bytes, secret
};

// Of the text of an OpenSSH private key file (https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key).
// Errors: kInvalidData; kUnsupported: it has a password, or is of another kind.
Result<SigningKey> parse_openssh_key(std::string_view text);

// ~/.ollama/id_ed25519; nothing where there is none. Errors: kIo, those of parse_openssh_key().
Result<std::optional<SigningKey>> find_signing_key();

// Base64 of the signature (RFC 8032).
std::string sign(const SigningKey& key, std::string_view text);

// The address at which a token is asked for, and the header "Authorization" for it. `now_s`: seconds since 1970;
// `nonce`: never used before.
struct SignedAsk {
  std::string url, authorization;
};
SignedAsk signed_ask(const SigningKey& key, const Challenge& challenge, int64_t now_s, const std::string& nonce);
std::string new_nonce();

}  // namespace hearth::registry
