// Learns from a template how its model calls tools and marks its reasoning, where no family is known: templates write
// the calls of earlier answers, and what stands around their names and arguments is the model's own format.
#pragma once

#include <optional>
#include <span>

#include "chat/capabilities.h"
#include "chat/format.h"

namespace hearth::chat {

// `known`, what recognise() found for a template that `renderer` renders, with what the template teaches beyond it.
// Nothing if that is nothing, or if `known` reads the template's calls already. What is learned reads every sample
// answer that the template writes back exactly as it was given to it.
std::optional<Format> learn(const Renderer& renderer, const Capabilities& can, const Format& known,
                            std::span<const SpecialToken> vocabulary);

}  // namespace hearth::chat
