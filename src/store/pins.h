// Models that nobody removes by mistake or for want of space: a list of names in the store, <folder>/hearth/pins.
#pragma once

#include <set>
#include <span>
#include <string>

#include "base/result.h"
#include "store/model_name.h"

namespace hearth::store {

// Names as they are displayed. A list that cannot be read has none.
std::set<std::string> pinned_models(const std::string& folder);
bool is_pinned(const std::string& folder, const ModelName& name);

// In the folder that has the model. Errors: kUsage (no name), kNotFound, kIo.
Status pin_model(const std::string& name, std::span<const std::string> folders);
// Errors: kUsage, kNotFound (it is not pinned), kIo.
Status unpin_model(const std::string& name, std::span<const std::string> folders);

}  // namespace hearth::store
