// What differs between the families of vision models: how a picture becomes views, what is added to the patches, and
// what makes embeddings of the rows behind the blocks. One file per family registers itself by the projector's name in
// files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "image/picture.h"
#include "vision/spec.h"
#include "vision/tower.h"

namespace hearth::vision {

// The pictures that the encoder sees of one picture: itself, or parts of it beside an overview.
struct Views {
  std::vector<image::Picture> pictures;
  uint32_t columns = 0, rows = 0;  // of tiles; 0: there are none
  uint32_t width = 0, height = 0;  // of the picture
};

// What stands in a prompt in the place of a picture: text, of which special tokens count as such, and embeddings.
struct Piece {
  std::string text = {};
  std::vector<float> embeddings = {};  // rows of the text model's width, each followed by its deep features
  uint32_t columns = 0, rows = 0;      // where positions have rows and columns (M-RoPE)
};

// Of one file. Any thread, but for read().
class Projector {
 public:
  virtual ~Projector() = default;

  virtual Views prepare(const image::Picture& picture) const = 0;
  virtual Layout lay_out(uint32_t columns, uint32_t rows) const { return row_by_row(columns, rows); }
  // Adds to `rows`, one for each of the tower's, what is added to its patches. False: the tables end before.
  virtual bool add_positions(const Layout& layout, std::span<float> rows) const = 0;

  // Takes the tensors behind the blocks.
  virtual Status read(models::TensorReader& reader) = 0;
  // Where Tower::run() tells of rows on the way; what is kept goes to embed() as `seen`.
  virtual Result<Rows> keep(Workbench&, uint32_t, const Rows& x) const { return x; }
  // How many embeddings a view has.
  virtual uint32_t tokens(const Layout& layout) const = 0;
  // They, row by row.
  virtual Result<std::vector<float>> embed(Workbench& bench, const Layout& layout, const Rows& x,
                                           const std::vector<Rows>& seen) const = 0;
  // How many floats keep() and embed() take for each of the tower's rows, at most.
  virtual uint64_t row_floats() const = 0;
  // `views`: embeddings of each.
  virtual std::vector<Piece> assemble(const Views& views, std::vector<std::vector<float>> embeddings) const = 0;

  virtual uint32_t deep() const { return 0; }            // features behind each embedding, of the same width
  virtual bool see_each_other() const { return false; }  // the tokens of a picture, in the text model
  // Tensors that are left alone: read already, or not needed. A name that ends in '.' stands for all that begin so.
  virtual std::vector<std::string> other_tensors() const { return {}; }
};

struct Family {
  std::vector<std::string> projectors;
  // Completes what read_spec() has read. Errors: kInvalidData, kUnsupported.
  Result<std::unique_ptr<Projector>> (*read)(const Keys& keys, Spec* spec);
};

class RegisterFamily {
 public:
  explicit RegisterFamily(const Family* family);
};
// Null if none knows this name.
const Family* find_family(const std::string& projector);
std::vector<std::string> family_names();

}  // namespace hearth::vision
