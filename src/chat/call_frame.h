// What a grammar has to know of a model's answers to hold its calls to the tools' schemas: the texts around names and
// arguments, as the template writes them and the family's reader reads them.
#pragma once

#include <optional>
#include <span>

#include "chat/samples.h"
#include "grammar/compose.h"

namespace hearth::chat {

// Nothing where arguments are not written as JSON, or where what the template writes is not what is read.
// `samples`: with their borders found.
std::optional<grammar::CallFrame> find_call_frame(const Samples& samples, const Capabilities& can, const Format& format,
                                                  std::span<const SpecialToken> vocabulary);

// Of the generic protocol (generic.h): calls, and the schema of an answer that is none.
const grammar::CallFrame& generic_call_frame();
inline constexpr std::string_view kGenericResponse =
    R"({"type":"object","properties":{"response":{"type":"string"}},"required":["response"]})";

// A text behind which a model goes on with a call; empty if none is known.
std::string find_call_opening(const Samples& samples, const Format& format);

}  // namespace hearth::chat
