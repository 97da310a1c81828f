// Writes a blob into a store as clients do.
#pragma once

#include <string>
#include <string_view>

#include "store/blobs.h"

namespace hearth::store {

inline Status put_blob(const std::string& folder, const std::string& digest, std::string_view content) {
  ASSIGN_OR_RETURN(NewBlob blob, NewBlob::create(folder, digest, content.size()));
  TRY(blob.write(content.substr(0, content.size() / 2)));
  TRY(blob.write(content.substr(content.size() / 2)));
  return blob.commit();
}

}  // namespace hearth::store
