#include "cpu/cpu_device.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/memory.h"
#include "base/processors.h"
#include "cpu/device_impl.h"
#include "cpu/interleave.h"
#include "cpu/kernels/cache_page.h"

namespace hearth::cpu {
namespace {

constexpr size_t kSmallPage_bytes = 4096;
// Of an upload at a time, a few milliseconds, before it lets those compute who wait.
constexpr size_t kSlice_bytes = 4u << 20;

float* row_of(float* data, uint32_t row, size_t stride) {
  return data + row * stride;
}

std::vector<float>& thread_scratch(size_t size) {
  thread_local std::vector<float> scratch;
  if (scratch.size() < size) scratch.resize(size);
  return scratch;
}

}  // namespace

Result<std::unique_ptr<device::Device>> create_device(const CpuOptions& options) {
  const std::vector<std::string> isas = supported_isas();
  const std::string isa = options.isa.empty() ? isas.front() : options.isa;
  if (isa != "amx" && isa != "avx512" && isa != "avx2" && isa != "generic")
    return error(ErrorKind::kUsage, "unknown instruction set '{}': use amx, avx512, avx2 or generic", isa);
  if (std::find(isas.begin(), isas.end(), isa) == isas.end())
    return error(ErrorKind::kUnsupported, "this processor has no {}; it has: {}", isa, fmt::join(isas, ", "));
  if (options.threads < 0)
    return error(ErrorKind::kUsage, "{} threads: use 1 or more, or 0 for all processors", options.threads);
  const int usable = usable_processors();
  const int threads = options.threads == 0 ? usable : std::min(options.threads, usable);
  auto host = options.host != nullptr ? options.host : HostOwner::of_process()->join(threads);
  return std::unique_ptr<device::Device>(new CpuDevice(std::move(host), kernels_of(isa)));
}

device::Facts CpuDevice::facts() const {
  return {
      .name = fmt::format("CPU ({}, {} thread{})", kernels_.isa, host_->threads(), host_->threads() == 1 ? "" : "s"),
      .memory_bytes = available_memory().bytes,
      .granularity_bytes = kSmallPage_bytes,
      .id = "cpu"};
}

CpuDevice::~CpuDevice() {
  if (batch_ != nullptr) host_->end_step();
}

uint64_t CpuDevice::free_bytes() const {
  return host_->owner().memory().available().bytes;
}

Result<device::Buffer> CpuDevice::alloc(size_t bytes) {
  ASSIGN_OR_RETURN(std::byte * data, host_->owner().memory().map(bytes, &promise_));
  const size_t size = round_up(std::max<size_t>(bytes, 1), kSmallPage_bytes);
  allocated_bytes_ += size;
  return device::Buffer(this, data, size);
}

void CpuDevice::free(std::byte* data, size_t bytes) {
  host_->owner().memory().unmap(data);
  allocated_bytes_ -= bytes;
}

Status CpuDevice::promise(uint64_t bytes) {
  promise_ = {};
  if (bytes == 0) return {};
  ASSIGN_OR_RETURN(promise_, host_->owner().memory().promise(bytes));
  return {};
}

Status CpuDevice::upload(std::span<const std::byte> from, std::byte* to) {
  constexpr size_t kPiece_bytes = 1u << 20;
  if (from.size() <= kPiece_bytes) {  // needs no threads, and so no turn
    std::copy(from.begin(), from.end(), to);
    return {};
  }
  for (size_t at = 0; at < from.size(); at += kSlice_bytes) {
    const std::span<const std::byte> slice = from.subspan(at, std::min(kSlice_bytes, from.size() - at));
    const Slice turn(*this);
    host_->for_each(static_cast<uint32_t>(divide_up(slice.size(), kPiece_bytes)), [&](uint32_t i, int) {
      const size_t piece = i * kPiece_bytes;
      std::memcpy(to + at + piece, slice.data() + piece, std::min(kPiece_bytes, slice.size() - piece));
    });
  }
  return {};
}

Result<device::Matrix> CpuDevice::upload_matrix(const device::Matrix& host, uint32_t parts, std::byte* to) {
  const KernelTable::MatmulEntry* entry = kernels_.find(host.format->type);
  if (entry == nullptr || entry->interleave == nullptr) return Device::upload_matrix(host, parts, to);
  device::Matrix placed = host;
  placed.data = reinterpret_cast<const uint8_t*>(to);
  placed.interleaved = true;
  device::Matrix part = placed;
  part.rows = host.rows / parts;
  const uint32_t groups = interleaved_rows(part) / kInterleavedRows;
  const size_t group_bytes = kInterleavedRows * host.row_bytes();
  const auto copy = [&](uint32_t i) {  // after the groups of a part its last rows
    const uint32_t group = i % (groups + 1);
    const size_t at = i / (groups + 1) * part.bytes() + group * group_bytes;
    if (group < groups)
      entry->interleave(host.data + at, host.row_bytes(), reinterpret_cast<uint8_t*>(to) + at);
    else
      std::memcpy(to + at, host.data + at, part.bytes() - group * group_bytes);
  };
  const uint32_t items = parts * (groups + 1);
  const auto most = static_cast<uint32_t>(std::max<size_t>(1, kSlice_bytes / group_bytes));
  for (uint32_t first = 0; first < items; first += most) {
    const Slice turn(*this);
    host_->for_each(std::min(most, items - first), [&](uint32_t i, int) { copy(first + i); });
  }
  return placed;
}

Status CpuDevice::download(const std::byte* from, std::span<std::byte> to) {
  std::copy_n(from, to.size(), to.begin());
  return {};
}

Status CpuDevice::finish() {
  batch_ = nullptr;
  host_->end_step();
  return {};
}

device::OperandForms CpuDevice::operand_forms(const device::Matrix& weight) const {
  const KernelTable::MatmulEntry* entry = kernels_.find(weight.format->type);
  return entry != nullptr ? entry->form : kFloat;
}

size_t CpuDevice::page_bytes(const device::CacheShape& shape) const {
  return round_up(shape.state != 0 ? shape.state * sizeof(float) : cache_page_bytes(shape), 64);
}

Status CpuDevice::supports(const device::CacheShape& shape) const {
  if (shape.type == CacheType::kQ8_0 && (shape.key_dim % kCacheBlock != 0 || shape.value_dim % kCacheBlock != 0))
    return error(
        ErrorKind::kUnsupported,
        "a q8_0 cache needs head sizes that are multiples of {}; this model has {} (keys) and {} (values): use f16",
        kCacheBlock, shape.key_dim, shape.value_dim);
  return {};
}

Status CpuDevice::reserve(const device::StepShape& most) {
  block_rows_.reserve(most.rows);
  float_rows_.reserve(most.rows);
  positions_.reserve(most.rows);
  own_ends_.reserve(most.rows);
  ends_.reserve(most.rows);
  sequence_of_row_.reserve(most.rows);
  return {};
}

void CpuDevice::begin(const device::Batch& batch) {
  host_->begin_step();
  batch_ = &batch;
  rotations_used_ = 0;
  positions_.resize(batch.rows());
  sequence_of_row_.resize(batch.rows());
  own_ends_.resize(batch.rows());
  for (uint32_t s = 0; s < batch.sequences.size(); ++s) {
    const device::BatchSequence& sequence = batch.sequences[s];
    for (uint32_t i = 0; i < sequence.rows; ++i) {
      positions_[sequence.first_row + i] = sequence.first_position + i;
      own_ends_[sequence.first_row + i] = sequence.first_position + i + 1;
      sequence_of_row_[sequence.first_row + i] = s;
    }
  }
  ends_ = own_ends_;
  for (const device::AheadRows& ahead : batch.ahead)
    std::fill_n(ends_.begin() + ahead.first_row, ahead.rows, ahead.end);
}

void CpuDevice::embed(const device::EmbedArgs& args) {
  const uint32_t width = args.table ? args.table.cols : args.positions.cols;
  const auto decode_row = [](const device::Matrix& table, uint32_t row, float* out) {
    thread_local std::vector<uint8_t> scratch;
    scratch.resize(table.row_bytes());
    table.format->decode(plain_row(table, row, scratch.data()), table.cols, out);
  };
  host_->for_each(batch_->rows(), [&](uint32_t row, int) {
    float* out = row_of(args.out, row, width);
    if (args.table) decode_row(args.table, static_cast<uint32_t>(batch_->tokens[row]), out);
    if (args.table && args.scale != 1)
      for (uint32_t i = 0; i < width; ++i) out[i] *= args.scale;
    if (!args.positions) return;
    std::vector<float>& scratch = thread_scratch(width);
    decode_row(args.positions, positions_[row], scratch.data());
    kernels_.add_row(scratch.data(), width, out);
  });
}

float* CpuDevice::operand_scratch(const device::Operand& operand, uint32_t row) {
  return (operand.forms & kFloat) ? operand_floats(operand, row) : thread_scratch(operand.width).data();
}

void CpuDevice::write_operand(const device::Operand& operand, uint32_t row, const float* values) const {
  if (operand.forms & kBlocks) kernels_.quantize_row(values, operand.width, operand_blocks(operand, row));
  if (!(operand.forms & kFloat)) return;
  if (float* own = operand_floats(operand, row); own != values) std::copy_n(values, operand.width, own);
}

// One part of a row, normalised.
void CpuDevice::norm_part(const device::NormArgs& args, uint32_t row, const float* in, const float* weight,
                          float* out) const {
  using device::NormKind;
  const uint32_t width = args.weight.size;
  float factor = args.factor;
  if (args.kind == NormKind::kRms) kernels_.rms_norm(in, weight, args.bias.data, width, args.epsilon, out);
  if (args.kind == NormKind::kLayer) kernels_.layer_norm(in, weight, args.bias.data, width, args.epsilon, out);
  if (args.kind == NormKind::kNone) std::copy_n(in, width, out);
  if (args.kind == NormKind::kAboveMean) kernels_.above_mean_row(in, args.deviations, width, out);
  if (args.kind == NormKind::kLike) {
    kernels_.rms_norm(in, nullptr, nullptr, width, args.epsilon, out);
    factor *= std::sqrt(kernels_.sum_of_squares(args.like + size_t{row} * width, width) / static_cast<float>(width));
  }
  if (args.kind == NormKind::kNone && weight != nullptr)
    for (uint32_t c = 0; c < width; ++c) out[c] *= weight[c];
  if (factor != 1)
    for (uint32_t c = 0; c < width; ++c) out[c] *= factor;
}

void CpuDevice::norm(const device::NormArgs& args) {
  const uint32_t width = args.weight.size;
  const bool of_logits = args.logit_rows || args.compacted;
  const uint32_t rows = of_logits ? static_cast<uint32_t>(batch_->logit_rows.size()) : batch_->rows();
  const device::Pieces pieces = args.layout();
  host_->for_each(rows * pieces.count, [&](uint32_t i, int) {
    const uint32_t row = i / pieces.count, piece = i % pieces.count;
    const float* in =
        args.in + size_t{args.logit_rows ? batch_->logit_rows[row] : row} * pieces.in_row + piece * pieces.in_piece;
    float* values = args.operand.data != nullptr ? operand_scratch(args.operand, i) : thread_scratch(width).data();
    const float* weight = args.weight.data;
    if (weight != nullptr && pieces.own_weights) weight += size_t{piece} * width;
    norm_part(args, row, in, weight, values);
    if (args.operand.data != nullptr) write_operand(args.operand, i, values);
    if (args.out == nullptr) return;
    float* out = row_of(args.out, row, pieces.out_row) + piece * pieces.out_piece;
    if (args.add)
      kernels_.add_row(values, width, out);
    else
      std::copy_n(values, width, out);
  });
}

void CpuDevice::mix(const device::MixArgs& args) {
  CHECK(args.ins <= device::kMost_mixed && args.outs <= device::kMost_mixed);
  const uint32_t width = args.width;
  host_->for_each(batch_->rows(), [&](uint32_t row, int) {
    const float* coefficients = args.coefficients + size_t{row} * args.ins * args.outs;
    float* const ins = thread_scratch(size_t{args.ins} * width).data();
    for (uint32_t j = 0; j < args.ins; ++j)
      std::copy_n(args.in + j * args.in_array + size_t{row} * width, width, ins + size_t{j} * width);
    for (uint32_t k = 0; k < args.outs; ++k)
      for (uint32_t j = 0; j < args.ins; ++j)
        kernels_.add_scaled_row(ins + size_t{j} * width, args.offset + coefficients[k * args.ins + j], width,
                                args.out + k * args.out_array + size_t{row} * width);
  });
}

void CpuDevice::multiply_panel(const Product& product, uint32_t begin, uint32_t end) const {
  for (uint32_t i = 0; i < product.count; ++i) {
    float* out = product.out[i] + begin;
    if (product.add && product.bias)
      kernels_.add_row(product.bias.data + begin, end - begin, out);
    else if (product.bias)
      std::copy(product.bias.data + begin, product.bias.data + end, out);
    else if (!product.add)
      std::fill_n(out, end - begin, 0.0f);
  }
  const device::Matrix& weight = product.weight;
  const float* packed = product.packed ? packed_at(*product.packed) : nullptr;
  const MatmulArgs args{weight.data,   weight.row_bytes(), interleaved_rows(weight), weight.rows, weight.cols,
                        product.count, product.blocks,     product.floats,           packed,      product.out};
  const KernelTable::MatmulEntry* entry = kernels_.find(weight.format->type);
  if (product.bulk)
    kernels_.bulk.matmul(*weight.format, args, begin, end);
  else if (entry != nullptr)
    entry->run(args, begin, end);
  else
    kernels_.matmul_decoded(*weight.format, args, begin, end);
}

// Activations that float kernels read many times are packed once, for all products of the same rows. Of the products
// those stay bulk that are computed so.
void CpuDevice::pack(std::span<Product> products) {
  packed_rows_.clear();
  size_t floats = 0;
  for (Product& product : products) {
    const bool floats_only = operand_forms(product.weight) == kFloat;
    product.bulk = product.bulk && floats_only && kernels_.bulk.matmul != nullptr;
    if (!product.bulk && (product.count < kPackedCount || !floats_only)) continue;
    const Packing& packing = product.bulk ? kernels_.bulk.packing : kernels_.packing;
    // Else they are the rows of the product before.
    if (packed_rows_.empty() || packed_rows_.back().rows != product.floats || packed_rows_.back().packing != &packing) {
      const uint32_t pieces = packing.pieces(product.count, product.weight.cols);
      packed_rows_.push_back({&packing, product.floats, product.count, product.weight.cols, pieces, floats});
      floats += pieces * packing.piece;
    }
    product.packed = packed_rows_.back().at;
  }
  if (const size_t bytes = floats * sizeof(float); bytes > packed_.bytes()) {
    Result<device::Buffer> memory = alloc(bytes);
    if (!memory) {  // it goes without, slower
      for (Product& product : products) {
        product.packed.reset();
        product.bulk = false;
      }
      return;
    }
    packed_ = std::move(*memory);
  }
  for (const PackedRows& some : packed_rows_) {
    host_->for_each(some.pieces, [&](uint32_t piece, int) {
      some.packing->pack(some.rows, some.count, some.cols, piece, packed_at(some.at));
    });
  }
}

void CpuDevice::multiply(std::span<Product> products) {
  pack(products);
  panels_.clear();
  const bool many = std::ranges::any_of(products, [](const Product& one) { return one.count > kSmallCount; });
  for (const Product& product : products) {
    if (product.count == 0) continue;
    const uint32_t rows = product.weight.rows;
    const uint32_t step = product.bulk ? bulk_panel_rows(rows) : many ? kPanelRows : kSmallPanelRows;
    for (uint32_t row = 0; row < rows; row += step) panels_.push_back({&product, row, std::min(row + step, rows)});
  }
  host_->for_each(static_cast<uint32_t>(panels_.size()), [&](uint32_t i, int) {
    const PanelOf& panel = panels_[i];
    multiply_panel(*panel.product, panel.begin, panel.end);
  });
}

// Large ones are fast, but every thread should have two at least.
uint32_t CpuDevice::bulk_panel_rows(uint32_t rows) const {
  const auto share = static_cast<uint32_t>(divide_up(rows, 2 * static_cast<uint32_t>(host_->threads())));
  return std::clamp(static_cast<uint32_t>(round_up(share, kPanelRows)), kPanelRows, kernels_.bulk.most_rows);
}

void CpuDevice::project(const device::Operand& in, uint32_t rows, std::span<const device::Projection> outs) {
  block_rows_.resize(rows);
  float_rows_.resize(rows);
  out_rows_.resize(rows * outs.size());
  for (uint32_t row = 0; row < rows; ++row) {
    block_rows_[row] = (in.forms & kBlocks) ? operand_blocks(in, row) : nullptr;
    float_rows_[row] = (in.forms & kFloat) ? operand_floats(in, row) : nullptr;
    for (size_t k = 0; k < outs.size(); ++k) out_rows_[k * rows + row] = outs[k].out + size_t{row} * outs[k].stride;
  }
  products_.clear();
  for (size_t k = 0; k < outs.size(); ++k)
    products_.push_back({outs[k].weight, outs[k].bias, outs[k].add, outs[k].bulk, rows, block_rows_.data(),
                         float_rows_.data(), out_rows_.data() + k * rows});
  multiply(products_);
}

void CpuDevice::project_heads(const device::HeadProjection& args) {
  const uint32_t rows = batch_->rows(), heads = args.heads;
  block_rows_.resize(size_t{rows} * heads);
  float_rows_.resize(size_t{rows} * heads);
  out_rows_.resize(size_t{rows} * heads);
  products_.clear();
  device::Matrix weight = args.weight;  // of one head
  weight.rows /= heads;
  for (uint32_t head = 0; head < heads; ++head) {
    const size_t first = size_t{head} * rows;
    for (uint32_t row = 0; row < rows; ++row) {
      const uint32_t at = row * heads + head;
      block_rows_[first + row] = (args.in.forms & kBlocks) ? operand_blocks(args.in, at) : nullptr;
      float_rows_[first + row] = (args.in.forms & kFloat) ? operand_floats(args.in, at) : nullptr;
      out_rows_[first + row] = args.out + size_t{at} * args.stride;
    }
    weight.data = args.weight.data + head * weight.bytes();
    products_.push_back({weight,
                         {},
                         false,
                         false,
                         rows,
                         block_rows_.data() + first,
                         float_rows_.data() + first,
                         out_rows_.data() + first});
  }
  multiply(products_);
}

void CpuDevice::activate(const device::ActivateArgs& args) {
  host_->for_each(batch_->rows(), [&](uint32_t row, int) {
    const float* gate = args.gate + size_t{row} * args.stride;
    const float* up =
        args.up == nullptr ? nullptr : args.up + size_t{row} * (args.up_stride != 0 ? args.up_stride : args.stride);
    float* values = args.values != nullptr ? row_of(args.values, row, args.out.width) : operand_scratch(args.out, row);
    kernels_.activate_row(args.kind, gate, up, args.out.width, values);
    if (args.row_gate != nullptr) {
      const float share = 1 / (1 + std::exp(-args.row_gate[row])) + 0 * args.row_gate[row];
      for (uint32_t i = 0; i < args.out.width; ++i) values[i] *= share;
    }
    if (args.values == nullptr) write_operand(args.out, row, values);
  });
}

void CpuDevice::soft_cap(float* values, uint32_t rows, uint32_t width, float cap) {
  host_->for_each(rows, [&](uint32_t row, int) { kernels_.soft_cap_row(row_of(values, row, width), width, cap); });
}

void CpuDevice::clamp(float* values, uint32_t rows, uint32_t width, float least, float most) {
  host_->for_each(rows, [&](uint32_t row, int) {
    float* at = row_of(values, row, width);
    for (uint32_t i = 0; i < width; ++i) at[i] = std::min(std::max(at[i], least), most);  // in this order NaN stays
  });
}

}  // namespace hearth::cpu
