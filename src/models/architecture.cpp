#include "models/architecture.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "models/metadata.h"

namespace hearth::models {

Result<const Architecture*> find_architecture(const gguf::File& file) {
  ASSIGN_OR_RETURN(const std::string_view name, file.get_string("general.architecture"));
  std::vector<std::string> supported;
  for (const Architecture* architecture : RegisterArchitecture::all()) {
    if (name == architecture->name) return architecture;
    supported.emplace_back(architecture->name);
  }
  std::sort(supported.begin(), supported.end());
  return error(ErrorKind::kUnsupported, "{}: architecture '{}' is not supported; supported: {}", file.path(), name,
               fmt::join(supported, ", "));
}

Result<Spec> read_spec(const gguf::File& file, const ReadOptions& options) {
  ASSIGN_OR_RETURN(const Architecture* architecture, find_architecture(file));
  const Metadata keys(file);
  ASSIGN_OR_RETURN(Spec spec, architecture->read(keys, options));
  TRY(keys.refuse_unknown(spec));
  return spec;
}

}  // namespace hearth::models
