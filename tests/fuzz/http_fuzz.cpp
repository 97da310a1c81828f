// What hearth itself reads of HTTP: targets, their escapes and queries, and the system's table of sockets. (Messages
// are Boost.Beast's to parse.)
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "fuzz/seeds.h"
#include "http/port_holder.h"
#include "http/target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  hearth::fuzz::use_seeds(
      {"/v1/models/hf.co%2Fuser%2Fm:q4?beta=true&x=1", "http://host:80/api/tags?a",
       "  sl  local_address rem_address   st\n   0: 0100007F:2CAA 00000000:0000 0A 0:0 00:0 0 0 0 12345 1\n"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hearth::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto [path, query] = split_target(text);
  CHECK(path.size() + query.size() <= text.size());
  if (const auto decoded = percent_decode(path)) CHECK(decoded->size() <= path.size());
  query_value(query, "beta");
  listening_inodes(text, 11434);
  return 0;
}
