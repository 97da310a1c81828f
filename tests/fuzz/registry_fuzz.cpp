// Any text through the readers of what registries, Hugging Face, docker's configuration and earlier pulls tell.
#include <cstdlib>

#include "fuzz/seeds.h"
#include "registry/challenge.h"
#include "registry/credentials.h"
#include "registry/partial.h"
#include "registry/signing_key.h"
#include "registry/source.h"
#include "store/tiers.h"
#include "store/usage.h"

using namespace hearth;
using namespace hearth::registry;

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const std::string hex(64, '0');
  const std::string layer =
      R"({"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" + hex + R"(","size":12})";
  fuzz::use_seeds(
      {R"({"config":)" + layer + R"(,"layers":[)" + layer + "]}",
       R"(Bearer realm="https://a/t",service="s",scope="repository:a/b:pull", Basic realm="x")",
       "https://host:5000/a/b?c#d", R"({"auths":{"a":{"auth":"YTpi"}},"credsStore":"x","credHelpers":{"a":"y"}})",
       R"({"sha":"c","siblings":[{"rfilename":"a-Q4_K_M.gguf","lfs":{"sha256":")" + hex + R"(","size":5}}]})",
       "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMw==\n"
       "-----END OPENSSH PRIVATE KEY-----\n",
       pieces_text({{0, 10, 10}, {10, 31, 5}}, 31), "hot=/a,pool=/b\n", "1700000000 12345\n"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto blobs = blobs_of_manifest(text, {})) {
    for (const Blob& blob : *blobs)
      if (!blob.digest.starts_with("sha256:") || blob.digest.find('/') != std::string::npos) std::abort();
  }
  (void)parse_challenge(text);
  if (const auto url = parse_url(text))
    if (!parse_url(url->origin() + url->path)) std::abort();
  (void)resolve_url("https://host/a/b", text);
  (void)credentials_in(text, "a",
                       [](const std::string&, const std::string&) -> Result<std::string> { return std::string("{}"); });
  if (const auto choice = choose_file(text, "Q4_K_M"))
    for (const RepositoryFile& file : choice->weights)
      if (file.sha256.size() != 64 && !choice->converted) std::abort();
  if (const auto pieces = parse_pieces(text, 31)) {
    uint64_t sum = 0;
    for (const Piece& piece : *pieces) sum += piece.done + piece.missing();
    if (sum != 31) std::abort();
  }
  if (const auto name = target_name(text))
    for (const std::string* part : {&name->host, &name->space, &name->model, &name->tag})
      if (part->empty() || part->find('/') != std::string::npos || part->starts_with('.')) std::abort();
  (void)from_base64(text);
  (void)parse_openssh_key(text);
  if (const auto tiers = store::parse_tiers(text))
    for (const store::Tier& tier : *tiers)
      if (!tier.folder.starts_with('/')) std::abort();
  (void)store::seconds_until_full(store::parse_usage(text), 1'700'000'000);
  return 0;
}
