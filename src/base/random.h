// Randomness of the system's, which nobody can guess: for ids and seeds.
#pragma once

#include <cstdint>
#include <string>

namespace hearth {

uint64_t random_bits();
std::string random_hex(size_t digits);      // 0-9a-f
std::string random_letters(size_t length);  // A-Z, a-z and 0-9

}  // namespace hearth
