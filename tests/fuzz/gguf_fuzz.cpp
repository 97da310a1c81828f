// Any bytes through the GGUF reader; of what it accepts, every value and every tensor is touched.
#include <cstdlib>
#include <vector>

#include "fuzz/seeds.h"
#include "gguf/draft.h"
#include "gguf/file.h"

using namespace hearth;
using namespace hearth::gguf;

namespace {

volatile uint64_t sink;  // keeps the reads

void touch(const Value& value) {
  sink = sink + value.as_u64().value_or(0) + static_cast<uint64_t>(value.as_i64().value_or(0)) +
         value.as_bool().value_or(false) + value.as_string().value_or("").size() + value.as_f64().has_value();
  for (const std::string_view text : value.as_strings()) {
    for (const char c : text) sink = sink + static_cast<unsigned char>(c);
  }
  if (!value.is_array() || value.element_type() == Type::kString) return;
  for (size_t i = 0; i < value.size(); ++i) sink = sink + static_cast<uint64_t>(value.at_i64(i)) + (value.at_f64(i) > 0);
}

void touch(const File& file, const Tensor& tensor) {
  const std::vector<uint8_t> bytes = test::tensor_bytes(file, tensor);
  if (bytes.size() != tensor.bytes) std::abort();
  for (const uint8_t byte : bytes) sink = sink + byte;
  std::vector<float> values(tensor.format->block_values);  // of one block, as if it were a weight
  tensor.format->decode(bytes.data(), values.size(), values.data());
  if (tensor.format->bytes(tensor.values()) != tensor.bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  using namespace hearth::gguf::test;
  std::vector<Draft> drafts(4);
  drafts[1].metadata = {{"a", value_of<uint8_t>(7, 1)},
                        {"b", array_value(5, 2, raw(int64_t{-1}))},
                        {"c", array_value(8, 2, raw_string("one") + raw_string("two"))},
                        {"d", value_of<double>(12, -1e300)},
                        {"general.alignment", value_of<uint32_t>(4, 8)}};
  drafts[2].metadata.emplace_back("split.count", value_of<uint16_t>(2, 2));
  drafts[2].tensors.clear();
  drafts[3].version = 2;
  drafts[3].tensors.clear();
  uint64_t offset = 0;
  for (const quant::Format* format : quant::all_formats()) {  // one block of every format
    drafts[3].tensors.push_back({format->name, {format->block_values}, format->type, offset, format->block_bytes});
    offset += (format->block_bytes + 31) / 32 * 32;
  }
  std::vector<std::string> seeds;
  for (const Draft& draft : drafts) seeds.push_back(draft.bytes());
  fuzz::use_seeds(seeds, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = File::parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file.ok()) {
    if (file.error().message.empty()) std::abort();
    return 0;
  }
  for (const auto& [key, value] : (*file)->metadata()) {
    touch(value);
    if ((*file)->find(key) != &value) std::abort();
  }
  for (const Tensor& tensor : (*file)->tensors()) {
    touch(**file, tensor);
    if ((*file)->tensor(tensor.name) != &tensor) std::abort();
  }
  return 0;
}
