// MiniCPM-V 2.6 and its like (Yao et al. 2024, "MiniCPM-V: A GPT-4V Level MLLM on Your Phone"): an overview, then
// tiles; learned queries look at all patches of a view, so that each has as many tokens.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/checked.h"
#include "base/error.h"
#include "vision/views.h"

namespace hearth::vision {
namespace {

constexpr uint32_t kTable_side = 70, kMost_tiles = 9, kHead = 128;
constexpr double kAngle_base = 1e4;

uint32_t whole(double side, double unit) {
  return static_cast<uint32_t>(std::max(std::nearbyint(side / unit) * unit, unit));  // halves to even
}

class MiniCpmV : public Projector {
 public:
  MiniCpmV(const Spec& spec, std::vector<float> table, std::vector<float> query)
      : spec_(spec), table_(std::move(table)), query_(std::move(query)) {}

  Views prepare(const image::Picture& picture) const override {
    const double side = spec_.image_size, w = picture.width, h = picture.height;
    const auto scaled = [&](Size size) {
      return image::resize(picture, size.width, size.height, image::Filter::kBicubic);
    };
    const auto count = static_cast<uint32_t>(std::min<double>(std::ceil(w * h / (side * side)), kMost_tiles));
    if (count <= 1) return one_view(picture, scaled(near_side(w, h, true)));
    const Size grid = nearest_grid(count, std::log(w / h));
    const Size tile = near_side(static_cast<double>(whole(w, grid.width)) / grid.width,
                                static_cast<double>(whole(h, grid.height)) / grid.height, true);
    Views views = one_view(picture, scaled(near_side(w, h, false)));
    add_tiles(scaled({tile.width * grid.width, tile.height * grid.height}), tile, &views.pictures);
    views.columns = grid.width;
    views.rows = grid.height;
    return views;
  }

  bool add_positions(const Layout& layout, std::span<float> rows) const override {
    for (size_t i = 0; i < layout.order.size(); ++i) {
      const uint32_t y = layout.order[i] / layout.columns, x = layout.order[i] % layout.columns;
      const size_t row = size_t{kTable_side * y / layout.rows} * kTable_side + kTable_side * x / layout.columns;
      add_row(std::span(table_).subspan(row * spec_.width, spec_.width), rows.data() + i * spec_.width);
    }
    return true;
  }

  Status read(models::TensorReader& reader) override {
    const uint32_t out = spec_.out;
    ASSIGN_OR_RETURN(last_norm_, reader.norm("v.post_ln", spec_.width));
    ASSIGN_OR_RETURN(kv_, reader.linear("resampler.kv", out, spec_.width));
    for (const auto& [name, to] : {std::pair{"q", &q_}, {"k", &k_}, {"v", &v_}, {"out", &attention_output_}}) {
      ASSIGN_OR_RETURN(*to, reader.linear(std::string("resampler.attn.") + name, out, out));
    }
    for (const auto& [name, to] : {std::pair{"q", &q_norm_}, {"kv", &kv_norm_}, {"post", &post_norm_}}) {
      ASSIGN_OR_RETURN(*to, reader.norm(std::string("resampler.ln_") + name, out));
    }
    ASSIGN_OR_RETURN(projection_, reader.linear("resampler.proj", out, out));
    return {};
  }

  uint32_t tokens(const Layout&) const override { return static_cast<uint32_t>(query_.size() / spec_.out); }
  Result<std::vector<float>> embed(Workbench& bench, const Layout& layout, const Rows& x,
                                   const std::vector<Rows>&) const override {
    const auto layer_norm = [&](const Rows& rows, const models::Norm& norm) {
      return bench.norm(rows, device::NormKind::kLayer, norm, spec_.epsilon);
    };
    ASSIGN_OR_RETURN(const Rows last, layer_norm(x, last_norm_));
    ASSIGN_OR_RETURN(const Rows kv, bench.linear(last, kv_));
    ASSIGN_OR_RETURN(const Rows values, layer_norm(kv, kv_norm_));
    ASSIGN_OR_RETURN(const Rows keys, placed(bench, layout, values));
    ASSIGN_OR_RETURN(const Rows asked, bench.put(query_, spec_.out));
    ASSIGN_OR_RETURN(const Rows query, layer_norm(asked, q_norm_));
    ASSIGN_OR_RETURN(const Rows q, bench.linear(query, q_));
    ASSIGN_OR_RETURN(const Rows k, bench.linear(keys, k_));
    ASSIGN_OR_RETURN(const Rows v, bench.linear(values, v_));
    ASSIGN_OR_RETURN(const Rows found, attend(bench, q, k, v));
    ASSIGN_OR_RETURN(const Rows joined, bench.linear(found, attention_output_));
    ASSIGN_OR_RETURN(const Rows normed, layer_norm(joined, post_norm_));
    ASSIGN_OR_RETURN(const Rows out, bench.linear(normed, projection_));
    return bench.get(out);
  }

  // The patches, five arrays of the width behind, keys and values in the cache, and those of the queries, which are few.
  uint64_t row_floats() const override { return spec_.width + 8 * spec_.out; }

  std::vector<Piece> assemble(const Views& views, std::vector<std::vector<float>> embeddings) const override {
    std::vector<Piece> pieces;
    const auto add = [&](const char* before, std::vector<float>& rows, const char* after) {
      pieces.push_back({.text = before});
      pieces.push_back({.embeddings = std::move(rows)});
      pieces.push_back({.text = after});
    };
    add("<image>", embeddings[0], "</image>");
    for (uint32_t y = 0; y < views.rows; ++y)
      for (uint32_t x = 0; x < views.columns; ++x)
        add("<slice>", embeddings[1 + y * views.columns + x], x + 1 == views.columns ? "</slice>\n" : "</slice>");
    return pieces;
  }
  std::vector<std::string> other_tensors() const override {
    return {"v.position_embd.weight", "resampler.query", "resampler.pos_embed_k"};
  }

 private:
  // Multiples of patches; about as many pixels as a square view, if it has more or is to have them.
  Size near_side(double w, double h, bool grow) const {
    const double side = spec_.image_size;
    if (w * h > side * side || grow) {
      const double shape = w / h;
      h = std::trunc(side / std::sqrt(shape));
      w = std::trunc(h * shape);
    }
    return {whole(w, spec_.patch), whole(h, spec_.patch)};
  }

  static Size nearest_grid(uint32_t count, double shape) {
    Size best{1, 1};
    double nearest = INFINITY;
    for (const uint32_t tiles : {count - 1, count, count + 1}) {
      if (tiles == 1 || tiles > kMost_tiles) continue;
      for (uint32_t columns = 1; columns <= tiles; ++columns) {
        if (tiles % columns != 0) continue;
        const double distance = std::abs(shape - std::log(static_cast<double>(columns) / (tiles / columns)));
        if (distance >= nearest) continue;
        nearest = distance;
        best = {columns, tiles / columns};
      }
    }
    return best;
  }

  // With sines and cosines of columns and rows.
  Result<Rows> placed(Workbench& bench, const Layout& layout, const Rows& values) const {
    ASSIGN_OR_RETURN(std::vector<float> rows, bench.get(values));
    const uint32_t quarter = spec_.out / 4;
    for (size_t i = 0; i < layout.order.size(); ++i) {
      const uint32_t at[2] = {layout.order[i] % layout.columns, layout.order[i] / layout.columns};
      float* to = rows.data() + i * spec_.out;
      for (uint32_t part = 0; part < 4; ++part)
        for (uint32_t j = 0; j < quarter; ++j) {
          const double angle = at[part / 2] * std::pow(kAngle_base, -static_cast<double>(j) / quarter);
          to[part * quarter + j] += static_cast<float>(part % 2 == 0 ? std::sin(angle) : std::cos(angle));
        }
    }
    return bench.put(rows, spec_.out);
  }

  // Every query sees all keys.
  Result<Rows> attend(Workbench& bench, const Rows& q, const Rows& k, const Rows& v) const {
    device::Device& device = bench.device();
    const uint32_t heads = spec_.out / kHead;
    device::StepShape most;
    most.rows = most.context = std::max(q.rows, k.rows);
    most.sequences = 1;
    most.width = spec_.out;
    most.heads = heads;
    most.cache = {device::CacheType::kF32, heads, kHead, kHead};
    TRY(device.reserve(most));
    std::vector<int32_t> pages(divide_up(k.rows, device::kPage_tokens)), tokens(most.rows);
    std::iota(pages.begin(), pages.end(), 0);
    const size_t page_bytes = device.page_bytes(most.cache);
    ASSIGN_OR_RETURN(std::byte * memory, bench.memory(pages.size() * page_bytes));
    const device::CacheLayer cache{most.cache, memory, page_bytes};
    ASSIGN_OR_RETURN(const Rows out, bench.rows(q.rows, spec_.out));

    device::Batch batch;
    batch.tokens = std::span(tokens).first(k.rows);
    batch.sequences = {{0, k.rows, 0, pages}};
    device.begin(batch);
    device.rotate_append({.k = k.data,
                          .v = v.data,
                          .k_stride = spec_.out,
                          .v_stride = spec_.out,
                          .q_norm = {},
                          .k_norm = {},
                          .cache = cache});
    TRY(device.finish());
    batch.tokens = std::span(tokens).first(q.rows);
    batch.sequences = {{0, q.rows, 0, pages}};
    batch.ahead = {{0, q.rows, k.rows}};
    device.begin(batch);
    device.attention({.q = q.data,
                      .q_stride = spec_.out,
                      .heads = heads,
                      .cache = cache,
                      .scale = 1 / std::sqrt(static_cast<float>(kHead)),
                      .out = {nullptr, spec_.out, 0},
                      .values = out.data});
    TRY(device.finish());
    return out;
  }

  const Spec spec_;
  const std::vector<float> table_, query_;
  models::Norm last_norm_, q_norm_, kv_norm_, post_norm_;
  models::Linear kv_, q_, k_, v_, attention_output_, projection_;
};

Result<std::unique_ptr<Projector>> read(const Keys& keys, Spec* spec) {
  const gguf::File& file = keys.file();
  const gguf::Tensor* query = file.tensor("resampler.query");
  if (query == nullptr || query->shape[0] > 1 << 20 || query->shape[1] > 1 << 12 || query->shape[0] % kHead != 0)
    return error(ErrorKind::kInvalidData, "{}: expected a tensor resampler.query of rows of whole heads of {}",
                 file.path(), kHead);
  spec->out = static_cast<uint32_t>(query->shape[0]);
  ASSIGN_OR_RETURN(std::vector<float> table,
                   keys.values("v.position_embd.weight", uint64_t{kTable_side} * kTable_side * spec->width));
  ASSIGN_OR_RETURN(std::vector<float> rows, keys.values("resampler.query", query->values()));
  return std::unique_ptr<Projector>(new MiniCpmV(*spec, std::move(table), std::move(rows)));
}

const Family kMiniCpmV{{"resampler"}, read};
const RegisterFamily registered(&kMiniCpmV);

}  // namespace
}  // namespace hearth::vision
