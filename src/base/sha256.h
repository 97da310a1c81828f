// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace hearth {

std::string sha256_hex(std::string_view bytes);  // 64 digits

// Of what comes in pieces.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void add(std::span<const std::byte> bytes);
  std::string hex() const;  // of all so far; more can be added afterwards

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hearth
