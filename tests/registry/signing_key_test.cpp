// Keys as OpenSSH writes them, and what is signed with them.
#include "registry/signing_key.h"

#include <gtest/gtest.h>

#include "registry/credentials.h"

namespace hearth::registry {
namespace {

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}
std::string size_field(const std::string& text) {
  const auto size = static_cast<uint32_t>(text.size());
  return {static_cast<char>(size >> 24), static_cast<char>(size >> 16), static_cast<char>(size >> 8),
          static_cast<char>(size)};
}
std::string with_size(const std::string& text) {
  return size_field(text) + text;
}

// The first key of RFC 8032, 7.1.
const std::string kSeed = from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
const std::string kPublic = from_hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
const std::string kBlob = with_size("ssh-ed25519") + with_size(kPublic);

std::string key_file(const std::string& cipher = "none", const std::string& kind = "ssh-ed25519") {
  const std::string secret =
      "chkXchkX" + with_size(kind) + with_size(kPublic) + with_size(kSeed + kPublic) + with_size("me@here") + "\1\2\3";
  const std::string bytes = std::string("openssh-key-v1\0", 15) + with_size(cipher) + with_size("none") +
                            with_size("") + std::string("\0\0\0\1", 4) + with_size(kBlob) + with_size(secret);
  std::string text = base64(bytes);
  text.insert(70, "\n");
  return "-----BEGIN OPENSSH PRIVATE KEY-----\n" + text + "\n-----END OPENSSH PRIVATE KEY-----\n";
}

TEST(SigningKeys, SignAsTheStandardSays) {
  const auto key = parse_openssh_key(key_file());
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->seed, kSeed);
  EXPECT_EQ(key->public_key, base64(kBlob));
  EXPECT_EQ(sign(*key, ""), base64(from_hex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590"
                                            "a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")));
}

TEST(SigningKeys, OfOtherFormsAreRefused) {
  const std::string whole = key_file();
  EXPECT_NE(parse_openssh_key(key_file("aes256-ctr")).error().message.find("password"), std::string::npos);
  EXPECT_NE(parse_openssh_key(key_file("none", "ssh-rsa")).error().message.find("ssh-rsa"), std::string::npos);
  EXPECT_FALSE(parse_openssh_key(""));
  EXPECT_FALSE(parse_openssh_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
  const size_t begin = whole.find('\n') + 1, end = whole.find("\n-----END");
  for (size_t cut = begin; cut + 8 < end; ++cut)
    EXPECT_FALSE(parse_openssh_key(whole.substr(0, cut) + whole.substr(end))) << cut;
}

TEST(SigningKeys, AskForTokensWithAllThatTheChallengeNames) {
  const auto key = parse_openssh_key(key_file());
  const Challenge challenge{.bearer = true, .realm = "https://host/token", .service = "s x", .scopes = {"a:b", "c"}};
  const SignedAsk ask = signed_ask(*key, challenge, 1'700'000'000, "n0nce");
  EXPECT_EQ(ask.url, "https://host/token?nonce=n0nce&scope=a%3Ab&scope=c&service=s%20x&ts=1700000000");
  const std::string nothing = base64("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(ask.authorization, base64(kBlob) + ":" + sign(*key, "GET," + ask.url + "," + nothing));
  EXPECT_NE(new_nonce(), new_nonce());
  EXPECT_EQ(new_nonce().find_first_of("+/="), std::string::npos);
}

}  // namespace
}  // namespace hearth::registry
