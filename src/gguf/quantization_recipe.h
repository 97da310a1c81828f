// Which weight format each tensor gets when a model is quantised by a recipe such as Q4_K_M: tensors on which
// quality depends most get more bits. A pure function of names and shapes; the rules are a table.
//
// Names, file type numbers and rules are those of llama.cpp's llama-quant.cpp (February 2025; MXFP4_MOE:
// August 2025), so that "Q4_K_M" means the same here as everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"
#include "quant/format.h"

namespace hearth::gguf {

struct QuantizationRecipe {
  std::string name;           // "Q4_K_M"
  uint32_t file_type;         // general.file_type
  const quant::Format* base;  // of every weight matrix that no rule names
};

// Case-insensitive; "Q4_K" is Q4_K_M. The name of any format that can be written is the name of a recipe too. kUsage
// (lists the names).
Result<QuantizationRecipe> find_recipe(std::string_view name);
std::vector<std::string> recipe_names();
// The recipe with this general.file_type; empty if there is none.
std::string_view recipe_of_file_type(uint64_t file_type);

// What the rules look at besides names; read once per model.
struct ModelProperties {
  uint64_t layers = 0;
  uint64_t queries_per_value = 1;  // query heads that share a key and value head
  uint64_t experts = 0;
  bool is_falcon = false;
  bool has_output = false;  // false: the token embedding is also the output matrix
};
ModelProperties read_properties(const File& file);

// False for what stays as it is: vectors, norms, routers, position embeddings and the like.
bool is_quantised(const Tensor& tensor);

// Whether a tensor has a format that recipes of blocks leave as it is: MXFP4, in which experts of gpt-oss were trained.
bool keeps_format(const QuantizationRecipe& recipe, const Tensor& tensor);

struct Choice {
  const quant::Format* format;
  // The format that the rules wanted, if the rows are not whole blocks of it and `format` stands in; else null.
  const quant::Format* instead_of = nullptr;
};
Choice choose_format(const QuantizationRecipe& recipe, const ModelProperties& properties, const Tensor& tensor);

}  // namespace hearth::gguf
