// Which tensors a GGUF file gets, and from which tensors of a checkpoint each is made.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "convert/checkpoint.h"
#include "gguf/writer.h"

namespace hearth::convert {

// FP8 weights have a scale for the whole matrix, for each row, or for each block of rows and columns.
struct Scale {
  std::vector<float> values;  // empty: there is none
  uint64_t block_rows = 1, block_columns = 1;
  uint64_t columns = 1;  // of blocks

  float at(uint64_t row, uint64_t column) const { return values[row / block_rows * columns + column / block_columns]; }
};

struct Source {
  Checkpoint::Place weight;
  Scale scale;
  // Of blocks of 32 numbers of 4 bits: a power of two for each (MXFP4). `weight` has two numbers a byte then, the first
  // in the lower half. file is null if there are none.
  Checkpoint::Place exponents = {nullptr, nullptr};
};

// Where the numbers of a row are: in which source, from which of its numbers on, and how far apart.
struct RowPlace {
  size_t source = 0;
  uint64_t first = 0, stride = 1;
};

struct Arrangement {
  // Empty: rows follow one another in all sources, which have equally many.
  std::function<RowPlace(uint64_t row)> row = {};
  // Which number of the row becomes this one; empty: each stays.
  std::function<uint64_t(uint64_t column)> column = {};
};

struct TargetOptions {
  // Rows are those of so many heads, of which the second half is dealt out among the first, so that pairs of numbers
  // that rotate together are neighbours. 0: rows stay.
  uint32_t heads = 0;
  bool transposed = false;    // the source has rows as columns
  float add = 0;              // to every value
  bool negative_exp = false;  // of every value x: -exp(x)
};

struct Target {
  std::string name;             // "blk.0.attn_q.weight"
  std::vector<uint64_t> shape;  // as GGUF has it: columns first
  std::vector<Source> sources;
  Arrangement arrangement;
  float add = 0;
  bool negative_exp = false;
  std::vector<float> values;  // of one that is computed and has no source

  uint64_t columns() const { return shape[0]; }
  uint64_t rows() const;
};

// Rows of a target as numbers. Any thread; the sources' files must be checked afterwards.
void decode_rows(const Target& target, uint64_t first, uint64_t count, float* out);

// A tensor of the checkpoint and its shape, outermost dimension first.
struct Needed {
  std::string name;
  std::vector<uint64_t> shape;
};

// Every call names tensors of the checkpoint; finish() tells of those that none named. Errors: kInvalidData (a tensor
// is missing, or of another shape), kUnsupported (of a type that is no weight); all name the tensor.
class Plan {
 public:
  // `block`: rows and columns that share a scale in FP8 matrices of blocks; 0 if the configuration does not say.
  Plan(const Checkpoint& checkpoint, std::string architecture, uint64_t block_rows, uint64_t block_columns)
      : checkpoint_(checkpoint), architecture_(std::move(architecture)), block_{block_rows, block_columns} {}

  // The metadata of the file to be; keys of the architecture without its name ("block_count").
  gguf::Writer writer;
  void key(std::string_view name, uint32_t value) { writer.set_u32(architecture_ + "." + std::string(name), value); }
  void key(std::string_view name, double value) {
    writer.set_f32(architecture_ + "." + std::string(name), static_cast<float>(value));
  }
  void key(std::string_view name, const char* value) {
    writer.set_string(architecture_ + "." + std::string(name), value);
  }
  void key(std::string_view name, bool value) { writer.set_bool(architecture_ + "." + std::string(name), value); }
  // One number for each layer.
  void key(std::string_view name, const std::vector<uint32_t>& values);
  void key(std::string_view name, const std::vector<float>& values);
  void key(std::string_view name, const std::vector<bool>& values);

  bool has(std::string_view source) const { return checkpoint_.find(source).file != nullptr; }
  bool has(const Needed& needed) const { return find(needed).ok(); }
  Status matrix(std::string name, const std::string& source, uint64_t rows, uint64_t columns,
                const TargetOptions& options = {});
  Status vector(std::string name, const std::string& source, uint64_t values, const TargetOptions& options = {});
  // One matrix of many, each from a tensor of its own.
  Status stack(std::string name, const std::vector<std::string>& sources, uint64_t rows, uint64_t columns);
  // Any other way to make a tensor of `shape` (columns first) of tensors of the checkpoint.
  Status arranged(std::string name, std::vector<uint64_t> shape, const std::vector<Needed>& sources,
                  Arrangement arrangement = {}, const TargetOptions& options = {});
  // The same of blocks of MXFP4: `source` + "_blocks" and "_scales", whose numbers have the shape {stacks, rows,
  // columns}. They stay in this format.
  Status arranged_mxfp4(std::string name, std::vector<uint64_t> shape, const Needed& source, Arrangement arrangement);
  void computed(std::string name, std::vector<float> values);
  // Known, and not needed; nothing if it is not there.
  void leave_out(const std::string& source) { taken_.insert(source); }
  // All whose names begin so; how many there were.
  size_t leave_out_all(std::string_view begin);
  // kUnsupported, naming what was left over.
  Status finish() const;

  const std::vector<Target>& targets() const { return targets_; }
  const std::string& architecture() const { return architecture_; }
  std::vector<std::string> notes;  // what of the folder is not taken along; for people
  uint32_t layers = 0, experts = 0, heads = 0, kv_heads = 0, vocabulary = 0;  // set by the family

 private:
  Result<Checkpoint::Place> find(const Needed& needed) const;
  Result<Source> take(const Needed& needed);
  Result<Scale> take_scale(const std::string& source, uint64_t rows, uint64_t columns);

  const Checkpoint& checkpoint_;
  const std::string architecture_;
  const uint64_t block_[2];
  std::vector<Target> targets_;
  std::unordered_set<std::string> taken_;
};

}  // namespace hearth::convert
