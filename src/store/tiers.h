// The stores of this machine: several folders as tiers, of which pulls go to the first that can be written.
//
// $HEARTH_STORES ("hot=/ssd/models,pool=/pool/models") names them all. Without it: Ollama's ("ollama", "system", see
// model_folders()), hearth's own ("own"), which takes pulls where Ollama's cannot be written, and those that
// "hearth store move --to FOLDER" has added, which stand in <first>/hearth/stores.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::store {

struct Tier {
  std::string name, folder;
};

// Of the text of HEARTH_STORES or a stores file, one "NAME=FOLDER" an entry, between them commas or line ends. Errors:
// kUsage.
Result<std::vector<Tier>> parse_tiers(std::string_view text);

// In the order in which models are looked for; no folder twice.
std::vector<Tier> tiers();
// By its name, or by its folder. Errors: kNotFound, with those that there are.
Result<Tier> find_tier(const std::string& name_or_folder);
// Added, if it is none yet, so that models there are found from now on. Errors: kUsage (no absolute path), kIo.
Result<Tier> add_tier(const std::string& folder);

// A folder that can be written, made if need be; the first of the tiers, tested by writing. Errors: kIo, of the first.
Result<Tier> writable_tier();

// Where hearth keeps what is its own in a store: partial downloads, promises of space, the ballast.
std::string own_folder(const std::string& store);
// Where what is not whole yet is kept: downloads, what is converted and quantised. $HEARTH_STAGING, where all stores
// then have one, which may be on another file system; else the store's own folder.
std::string partial_folder(const std::string& store);
std::string staging_folder(const std::string& store);
// Those of all stores, each once.
std::vector<std::string> partial_folders();
// The guard counts what others are promised on the file systems of all tiers.
void watch_tiers();

}  // namespace hearth::store
