#include "fleet/model_page.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/memory.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "cpu/cpu_device.h"
#include "fleet/chat_model.h"
#include "fleet/model_facts.h"
#include "fleet/model_options.h"
#include "quant/bits_per_weight.h"

namespace hearth::fleet {
namespace {

// "1.10 B", "260.0 K".
std::string format_count(uint64_t count) {
  static constexpr const char* kUnits[] = {"", " K", " M", " B", " T"};
  double value = static_cast<double>(count);
  size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < std::size(kUnits); ++unit) value /= 1000;
  return unit == 0 ? std::to_string(count)
                   : fmt::format("{:.{}f}{}", value,
                                 value < 9.995   ? 2
                                 : value < 99.95 ? 1
                                                 : 0,
                                 kUnits[unit]);
}

// Sections of indented lines, label and value in columns. They hold text from files, which must not steer a terminal.
class Page {
 public:
  void section(std::string_view title) { text_ += fmt::format("{}{}\n", text_.empty() ? "" : "\n", title); }
  void line(std::string_view label, std::string_view value) {
    text_ += fmt::format("  {:<18}{}\n", printable(label), printable(value));
  }
  void row(std::string_view text) { text_ += fmt::format("  {}\n", text); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct Total {
  uint64_t tensors = 0, values = 0, bytes = 0;
  void add(const gguf::Tensor& tensor) {
    ++tensors;
    values += tensor.values();
    bytes += tensor.bytes;
  }
};

Total total_of(const gguf::File& file) {
  Total total;
  for (const gguf::Tensor& tensor : file.tensors()) total.add(tensor);
  return total;
}

void show_sizes(const models::Spec& spec, Page& page) {
  page.line("context", fmt::format("{} tokens", spec.context));
  page.line("layers", std::to_string(spec.layers));
  page.line("width", std::to_string(spec.width));
  if (spec.heads != 0)
    page.line("heads",
              fmt::format("{} for queries, {} for keys and values, {} wide", spec.heads, spec.kv_heads, spec.key_dim));
  const auto recurrent = std::count_if(spec.per_layer.begin(), spec.per_layer.end(),
                                       [](const models::LayerSpec& layer) { return models::keeps_state(layer.mixer); });
  if (recurrent > 0)
    page.line("recurrent", fmt::format("{} of {} layers keep a state of {} in place of keys and values", recurrent,
                                       spec.layers, size_text(spec.recurrent.state() * sizeof(float))));
  if (spec.latent.rank != 0) page.line("latent attention", fmt::format("{} numbers a token are cached", spec.key_dim));
  if (const auto shared = std::ranges::count_if(
          spec.per_layer, [](const models::LayerSpec& layer) { return layer.cache != models::kOwn_cache; });
      shared > 0)
    page.line("shared caches",
              fmt::format("the last {} of {} layers read those of layers before", shared, spec.layers));
  if (spec.streams.count > 1) page.line("residual", fmt::format("{} streams", spec.streams.count));
  if (spec.layer_inputs != 0)
    page.line("layers' inputs", fmt::format("{} numbers a token for every layer", spec.layer_inputs));
  if (spec.experts == 0) {
    page.line("feed-forward", std::to_string(spec.feed_forward));
  } else {
    page.line("feed-forward",
              fmt::format("{} experts of {}, {} used", spec.experts, spec.expert_feed_forward, spec.experts_used));
  }
  const auto windowed =
      std::count_if(spec.per_layer.begin(), spec.per_layer.end(), [](const auto& layer) { return layer.window != 0; });
  if (windowed > 0) {
    const auto layer =
        std::find_if(spec.per_layer.begin(), spec.per_layer.end(), [](const auto& l) { return l.window != 0; });
    page.line("sliding window", fmt::format("{} tokens in {} of {} layers", layer->window, windowed, spec.layers));
  }
}

void show_model(const store::ModelFiles& found, const gguf::File& file, const ModelFacts& facts, Page& page) {
  page.section("Model");
  if (found.name != found.model) page.line("name", found.name);
  page.line("file", fmt::format("{} ({}, GGUF version {})", found.model, size_text(file.file_bytes()), file.version()));
  if (file.part_paths().size() > 1) page.line("parts", std::to_string(file.part_paths().size()));
  if (!facts.title.empty()) page.line("title", facts.title);
  page.line("architecture", facts.architecture);
  page.line("parameters", format_count(facts.parameters));
  if (facts.parameters > 0) {
    page.line("quantisation", fmt::format("{}{}{:.2f} bits per weight", facts.recipe, facts.recipe.empty() ? "" : ", ",
                                          facts.bits_per_weight));
  }
  if (facts.spec) show_sizes(*facts.spec, page);
  if (!found.projector.empty()) page.line("projector", found.projector + " (not used: hearth reads text only)");
}

void show_formats(const gguf::File& file, Page& page) {
  std::map<const quant::Format*, Total> by_format;
  for (const gguf::Tensor& tensor : file.tensors()) by_format[tensor.format].add(tensor);
  std::vector<std::pair<const quant::Format*, Total>> rows(by_format.begin(), by_format.end());
  std::ranges::sort(rows, [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  page.section("Weights");
  page.row(fmt::format("{:<10}{:>9}{:>12}{:>10}{:>8}{:>13}", "type", "tensors", "parameters", "size", "share",
                       "bits/weight"));
  const Total all = total_of(file);
  for (const auto& [format, total] : rows) {
    page.row(fmt::format("{:<10}{:>9}{:>12}{:>10}{:>6.1f} %{:>13.2f}", format->name, total.tensors,
                         format_count(total.values), size_text(total.bytes),
                         100.0 * static_cast<double>(total.bytes) / static_cast<double>(all.bytes),
                         quant::bits_per_weight(total.bytes, total.values)));
  }
}

void show_tensors(const gguf::File& file, Page& page) {
  size_t width = 4;
  for (const gguf::Tensor& tensor : file.tensors()) width = std::max(width, tensor.name.size());
  width = std::min<size_t>(width, 60);
  page.section("Tensors");
  page.row(fmt::format("{:<{}}  {:<8}{:>10}  {}", "name", width, "type", "size", "shape (columns x rows)"));
  for (const gguf::Tensor& tensor : file.tensors()) {
    const auto shape = std::span(tensor.shape).first(static_cast<size_t>(std::max(1, tensor.dimensions)));
    page.row(fmt::format("{:<{}}  {:<8}{:>10}  {}", printable(tensor.name), width, tensor.format->name,
                         size_text(tensor.bytes), fmt::join(shape, " x ")));
  }
}

std::string token_text(const text::Tokenizer& tokenizer, text::Token token) {
  if (token == text::kNoToken) return "none";
  return fmt::format("{} {}", token, tokenizer.piece(token, true));
}

void show_tokenizer(const gguf::File& file, Page& page) {
  page.section("Tokenizer");
  const auto loaded = text::Tokenizer::load(file);
  if (!loaded) {
    page.line("cannot be used", loaded.error().message);
    return;
  }
  const text::Tokenizer& tokenizer = **loaded;
  const std::string pre(tokenizer.pre_name());
  page.line("model", fmt::format("{}{}", tokenizer.model_name(), pre.empty() ? "" : " (" + pre + ")"));
  page.line("vocabulary", fmt::format("{} tokens", tokenizer.size()));
  page.line("start token",
            token_text(tokenizer, tokenizer.bos()) + (tokenizer.adds_bos() ? ", added to every prompt" : ""));
  page.line("end token", token_text(tokenizer, tokenizer.eos()));
  for (const std::string& note : tokenizer.notes()) page.line("note", note);
}

std::string joined(const std::vector<std::string>& parts) {
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, ", "));
}

void show_chat(const gguf::File& file, const store::ModelFiles& found, Page& page) {
  auto tokenizer = text::Tokenizer::load(file);
  if (!tokenizer) return;
  const auto made = make_chat_model(found, file, std::move(*tokenizer));
  const chat::ChatModel& chat = *made;
  page.section("Chat");
  page.line("template", chat.template_name());
  for (const std::string& note : chat.notes()) page.line("note", note);
  if (chat.has_template()) {
    page.line("can", joined(chat::describe(chat.capabilities())));
    for (const std::string& repair : chat::describe_repairs(chat.capabilities())) page.line("repair", repair);
    if (&chat.capabilities(true) != &chat.capabilities())
      page.line("can, with tools", joined(chat::describe(chat.capabilities(true))));
  }
  page.line("family", fmt::format("{}: {}", chat.format().family->name, chat.format().reason));
  if (const std::string note = chat.tools_note(); !note.empty()) page.line("tools", note);
  std::vector<std::string> marks;
  for (const chat::Thinking& thinking : chat.format().thinking)
    marks.push_back(fmt::format("{} ... {}", thinking.opens, thinking.closes));
  if (!marks.empty()) page.line("thinking", joined(marks));
  if (!chat.stops().empty()) page.line("stops", joined(chat.stops()));
}

void show_brought_along(const store::ModelFiles& found, Page& page) {
  if (found.parameters.empty() && found.system.empty()) return;
  page.section("Brought along");
  for (const auto& [name, value] : found.parameters) page.line(name, value);
  if (!found.system.empty()) page.line("system", found.system);
}

Status show_memory(const PageOptions& options, const gguf::File& file, const Result<models::Spec>& spec, Page& page) {
  page.section("Memory");
  const auto estimate = [&](uint32_t context) -> Result<models::Memory> {
    ASSIGN_OR_RETURN(const auto device, cpu::create_device({.threads = 1, .isa = ""}));
    models::LoadOptions load;
    load.context = context;
    load.cache = cache_type(options.kv_type);
    return models::estimate_memory(file, *device, load);
  };
  if (!spec) {
    page.line("cannot be run", spec.error().message);
    return {};
  }
  const uint32_t usual = std::min(kDefaultContext_tokens, spec->context != 0 ? spec->context : kDefaultContext_tokens);
  const uint32_t context = options.context != 0 ? options.context : usual;
  const auto memory = estimate(context);
  if (!memory && memory.error().kind == ErrorKind::kUsage) return memory.error();  // a context that cannot be
  if (!memory) {
    page.line("cannot be run", memory.error().message);
    return {};
  }
  const AvailableMemory available = available_memory();
  page.line("context", fmt::format("{} tokens, {} cache", context, options.kv_type));
  page.line("weights", size_text(memory->weights));
  page.line("cache", size_text(memory->cache));
  page.line("workspace", size_text(memory->workspace));
  page.line("together",
            fmt::format("{}; {} has {} available{}", size_text(memory->total()), available.limited_by,
                        size_text(available.bytes), memory->total() > available.bytes ? ": not enough" : ""));
  return {};
}

}  // namespace

Result<std::string> model_page(const store::ModelFiles& found, const PageOptions& options) {
  ASSIGN_OR_RETURN(const auto file, gguf::File::open(found.model));
  const ModelFacts facts = facts_of(*file);
  Page page;
  show_model(found, *file, facts, page);
  if (!file->tensors().empty()) show_formats(*file, page);
  show_tokenizer(*file, page);
  show_chat(*file, found, page);
  show_brought_along(found, page);
  TRY(show_memory(options, *file, facts.spec, page));
  if (options.tensors) show_tensors(*file, page);
  return page.text();
}

}  // namespace hearth::fleet
