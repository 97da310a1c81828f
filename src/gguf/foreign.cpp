#include "gguf/foreign.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace hearth::gguf {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view start;
  const char* description;
};

// Signatures from the formats' own documentation; the four-letter ones of ggml are its formats before GGUF,
// little-endian.
constexpr Signature kSignatures[] = {
    {"FUGG"sv, "a GGUF file in the wrong byte order"},
    {"lmgg"sv, "a GGML file, the format before GGUF; get the model as GGUF"},
    {"fmgg"sv, "a GGMF file, a format before GGUF; get the model as GGUF"},
    {"tjgg"sv, "a GGJT file, a format before GGUF; get the model as GGUF"},
    {"algg"sv, "a GGLA adapter, a format before GGUF; get it as GGUF"},
    {"version https://git-lfs"sv, "a Git LFS pointer, not the model itself; fetch it with 'git lfs pull'"},
    {"PK\x03\x04"sv, "a ZIP archive (a PyTorch checkpoint is one); convert the model to GGUF first"},
    {"\x80\x02"sv, "a Python pickle (an old PyTorch checkpoint); convert the model to GGUF first"},
    {"\x89HDF"sv, "an HDF5 file (Keras); convert the model to GGUF first"},
    {"\x1f\x8b"sv, "a gzip archive; unpack it first"},
    {"\x28\xb5\x2f\xfd"sv, "a Zstandard archive; unpack it first"},
    {"\xfd\x37zXZ"sv, "an XZ archive; unpack it first"},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7-Zip archive; unpack it first"},
    {"BZh"sv, "a bzip2 archive; unpack it first"},
    {"\x7f\x45LF"sv, "a program (ELF)"},
    {"%PDF"sv, "a PDF document"},
    {"#!"sv, "a script"},
};

bool starts_with_ignoring_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && std::equal(lower.begin(), lower.end(), text.begin(), [](char l, char t) {
    return l == (t >= 'A' && t <= 'Z' ? static_cast<char>(t + 32) : t);
  });
}

// Safetensors: a 64-bit length, then that many bytes of JSON.
bool looks_like_safetensors(std::string_view text) {
  uint64_t header_bytes = 0;
  if (text.size() < 10 || text[8] != '{') return false;
  std::memcpy(&header_bytes, text.data(), 8);
  return header_bytes >= 2 && header_bytes < (uint64_t{1} << 32) && (text[9] == '"' || text[9] == ' ' || text[9] == '}');
}

}  // namespace

std::string describe_foreign(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 4096));
  if (text.empty()) return "the file is empty";
  for (const Signature& signature : kSignatures) {
    if (text.starts_with(signature.start)) return fmt::format("it looks like {}", signature.description);
  }
  if (looks_like_safetensors(text)) return "it looks like a safetensors file; convert the model to GGUF first";
  const size_t first = text.find_first_not_of(" \t\r\n\xef\xbb\xbf"sv);
  const std::string_view body = first == std::string_view::npos ? ""sv : text.substr(first);
  if (starts_with_ignoring_case(body, "<!doctype html") || starts_with_ignoring_case(body, "<html")) {
    return "it looks like an HTML page (a failed download, or a link to a page instead of a file)";
  }
  if (body.starts_with('<')) return "it looks like an XML or HTML document (a failed download?)";
  if (body.starts_with('{')) return "it looks like JSON (a server's error message, or a model's configuration)";
  if (std::all_of(text.begin(), text.end(), [](char c) { return c == 0; })) {
    return "it starts with zeros (an unfinished download?)";
  }
  std::string hex;
  for (const char c : text.substr(0, 4)) hex += fmt::format("{}{:02x}", hex.empty() ? "" : " ", static_cast<uint8_t>(c));
  return fmt::format("it starts with {} instead of 'GGUF'", hex);
}

}  // namespace hearth::gguf
