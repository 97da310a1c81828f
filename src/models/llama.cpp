// Llama 1 to 3, and what shares its architecture: Mistral (with a sliding window if the file says so),
// Mixtral (experts), TinyLlama, Yi, deepseek-coder, dense ERNIE 4.5. Touvron et al. 2023; Jiang et al. 2023, 2024;
// Baidu 2025.
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_window(keys, 0, &spec));
  // Converters reorder the rows of q and k so that rotated pairs are adjacent.
  TRY(add_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  return spec;
}

const Architecture kLlama{"llama", read};
const Architecture kMistral{"mistral", read};
const Architecture kErnie{"ernie4_5", read};
const RegisterArchitecture registered_llama(&kLlama);
const RegisterArchitecture registered_mistral(&kMistral);
const RegisterArchitecture registered_ernie(&kErnie);

}  // namespace

}  // namespace hearth::models
