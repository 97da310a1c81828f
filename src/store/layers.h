// The layers of a model on their way into a store.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/blobs.h"
#include "store/model_name.h"

namespace hearth::store {

inline constexpr std::string_view kImage = "application/vnd.ollama.image.";
inline constexpr const char* kConfig_type = "application/vnd.docker.container.image.v1+json";

struct NewLayer {
  std::string media_type, digest;
  uint64_t bytes = 0;
  // Where its content is until it is a blob: a file in the staging folder, which is moved; a file elsewhere, which
  // stays; or the text itself.
  std::string staged, elsewhere, text;
  bool may_link = false;  // the file elsewhere is one that nobody writes to in place
  std::string from = {};  // the model that it comes from
};
NewLayer text_layer(std::string_view kind, std::string text);

using Progress =
    std::function<Status(std::string_view status, const std::string& digest, uint64_t done, uint64_t total)>;

// Puts the layers into a store's folder and writes the manifest of `name`; the layers of a manifest that had the name
// before and that nobody uses any more go. All or nothing: what was put there goes again if something fails. Errors:
// kIo, kNoSpace, those of `progress`.
Status put_model(const std::string& folder, const ModelName& name, const std::vector<NewLayer>& layers,
                 const NewLayer& config, const Progress& progress);

// The same with a manifest's text as it is, which names these layers and this configuration (none if its digest is
// empty).
Status put_manifest(const std::string& folder, const ModelName& name, const std::vector<NewLayer>& layers,
                    const NewLayer& config, const std::string& manifest, const Progress& progress);

}  // namespace hearth::store
