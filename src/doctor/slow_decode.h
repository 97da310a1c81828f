// A check of the doctor: does a GPU decode as fast as its memory allows, and if far from it, why not?
#pragma once

#include <optional>
#include <string>

#include "driver/probe.h"

namespace hearth::doctor {

struct SlowDecode {
  std::string what;    // "generation runs at 12 tokens/s where the memory of ... allows 71"
  std::string cause;   // in plain words, with the evidence
  std::string remedy;  // what to do

  std::string text() const;  // "what: cause; remedy"
};

// Of one sequence that generates, with every layer on one GPU.
struct DecodeSpeed {
  double tokens_per_s = 0;
  double bytes_per_token = 0;        // weights and cache that a token reads
  double bandwidth_bytes_per_s = 0;  // of the GPU's memory as it is rated; 0: unknown
};

// Generated tokens after which a rate means something.
inline constexpr unsigned kEnough_tokens = 16;

// Whether the speed is far below what the bandwidth allows: then the GPU's state is worth asking for.
bool is_slow(const DecodeSpeed& speed);

// Why, from the state of the GPU right after the answer. Nothing if is_slow() is false.
std::optional<SlowDecode> explain_slow_decode(const DecodeSpeed& speed, const driver::Gpu& gpu,
                                              const driver::Machine& machine);

// The same of a GPU of this machine by its number in the driver, as it is now; asks for its state only if the decode is
// slow.
std::optional<SlowDecode> check_decode(const DecodeSpeed& speed, int ordinal, const std::string& name);

}  // namespace hearth::doctor
