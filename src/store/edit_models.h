// Changes to the models of an Ollama folder, see store/ollama_models.h. Whatever another program does there meanwhile:
// files appear whole or not at all.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::store {

// The second name then means the same model; only the manifest is copied, unless the store is read only: then the copy is
// in the first one that can be written. A model that had that name has it no more.
// Errors: kUsage (a name that is none), kNotFound (the source), kIo.
Status copy_model(const std::string& source, const std::string& destination, std::span<const std::string> folders);
// Removes the name, and what no other name in the folder uses. Blobs stay where a manifest cannot be read: it may use
// them. Errors: kUsage (also of a model that is pinned), kNotFound, kIo.
Status remove_model(const std::string& name, std::span<const std::string> folders);

// Of a digest, "sha256:<64 hex>". Errors: kUsage (it is none).
Result<bool> has_blob(std::string_view digest, std::span<const std::string> folders);

// The hash of a model's manifest, by which Ollama tells models apart; empty if there is no such model.
std::string model_digest(const std::string& name, std::span<const std::string> folders);

// Digests that a manifest uses. Errors: kIo, kInvalidData.
Result<std::set<std::string>> digests_of(const std::string& manifest);
// Those of all manifests in a folder, by plain_digest(). Errors: kInvalidData, kIo, with the manifest that cannot be
// read.
Result<std::set<std::string>> digests_of_all(const std::string& folder);
// Removes those of the blobs that no manifest of the folder uses; none if one cannot be read. To be called with the
// StoreLock held.
void remove_unused(const std::string& folder, const std::set<std::string>& digests);

}  // namespace hearth::store
