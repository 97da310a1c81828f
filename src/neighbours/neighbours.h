// Other servers on this machine's GPUs, which are asked to give memory back when hearth, or a program that it makes
// room for, lacks some. Idle ones first and busy ones never, unless the settings say so. What they answer proves
// nothing: what counts is the memory that comes free.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::neighbours {

struct Kind;

struct Neighbour {
  const Kind* kind = nullptr;
  std::string url;
};

// "ollama=http://127.0.0.1:11434". Errors: kUsage, with the kinds that there are.
Result<Neighbour> parse_neighbour(std::string_view entry);
Result<std::vector<Neighbour>> parse_neighbours(const std::vector<std::string>& entries);
Status check_neighbour(std::string_view entry);

struct Need {
  std::function<uint64_t()> free_bytes;  // of the card, as the driver says
  std::function<std::string()> holders;  // who holds the card's memory, for people; may be absent
  uint64_t bytes = 0;                    // that are to be free
  std::chrono::steady_clock::time_point until;
  bool ask_busy = false;
  bool until_end = false;  // who waits for take_back() may be asked too: somebody will call it
  std::string key;         // that neighbours want; may be empty
};

struct Asked {
  std::vector<std::string> how;    // what was done, and what came of it: a line for each that was asked or left alone
  std::vector<Neighbour> to_wake;  // for take_back()
  bool enough = false;
};

// HEARTH_NEIGHBOUR_KEY: what is secret stands in no file of settings.
std::string key_from_environment();

// Asks one after the other until so much is free.
Asked ask(const std::vector<Neighbour>& neighbours, const Need& need);
// What failed, a line each.
std::vector<std::string> take_back(const std::vector<Neighbour>& neighbours, const std::string& key);

}  // namespace hearth::neighbours
