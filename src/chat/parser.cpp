#include "chat/parser.h"

#include <algorithm>

#include "chat/generic.h"
#include "chat/harmony_parser.h"
#include "chat/markup_parser.h"

namespace hearth::chat {
namespace {

// Which marker of reasoning the prompt has opened and not closed, or that it has closed it.
void find_reasoning(std::string_view prompt_end, const std::vector<Thinking>& thinking, Beginning* out) {
  size_t last = 0;
  for (size_t i = 0; i < thinking.size(); ++i) {
    const auto end_of = [&](std::string_view marker) {
      const size_t at = marker.empty() ? std::string_view::npos : prompt_end.rfind(marker);
      return at == std::string_view::npos ? 0 : at + marker.size();
    };
    const size_t opened = end_of(thinking[i].opens), closed = end_of(thinking[i].closes);
    if (std::max(opened, closed) <= last) continue;
    last = std::max(opened, closed);
    out->reasoning = opened > closed ? Beginning::Reasoning::kOpen : Beginning::Reasoning::kClosed;
    out->thinking = i;
  }
}

Beginning find_beginning(std::string_view prompt_end, const std::vector<Thinking>& thinking, const Markup& markup) {
  Beginning out;
  find_reasoning(prompt_end, thinking, &out);
  for (const Opener& opener : markup.openers) {
    if (prompt_end.ends_with(opener.text)) out.opener = opener.text;
  }
  for (const std::string_view section : markup.sections) {
    if (prompt_end.ends_with(section)) out.opener = section;
  }
  if (out.reasoning != Beginning::Reasoning::kMay) return out;
  const auto implied = std::ranges::find_if(thinking, [](const Thinking& one) { return one.implied; });
  if (implied == thinking.end()) return out;
  out.reasoning = Beginning::Reasoning::kOpen;
  out.thinking = static_cast<size_t>(implied - thinking.begin());
  return out;
}

}  // namespace

Beginning find_beginning(const Format& format, std::string_view prompt_end) {
  return find_beginning(prompt_end, format.thinking, format.family->markup);
}

Parser::Parser(const Format& format, ParserOptions options) : format_(format), options_(std::move(options)) {
  const ToolSet& tools = options_.tools == nullptr ? no_tools_ : *options_.tools;
  const bool calls = options_.reads_calls && !tools.empty();
  const Context context{.markers = format.markers,
                        .tools = tools,
                        .reads_calls = calls,
                        .reads_bare_calls = calls && options_.reads_bare_calls,
                        .separates_reasoning = options_.separates_reasoning,
                        .ids = CallIds(format.family->ids, options_.id_seed),
                        .output = output_};
  if (format.family->harmony) {
    protocol_ = std::make_unique<HarmonyParser>(options_.prompt_end, context);
    return;
  }
  const Markup& markup = format.generic_tools && calls ? generic_markup() : format.family->markup;
  const Beginning beginning = find_beginning(options_.prompt_end, format.thinking, markup);
  protocol_ = std::make_unique<MarkupParser>(markup, format.thinking, beginning, context);
}

void Parser::feed(const Piece& piece, const Sink& sink) {
  if (const auto marker = format_.visible.find(piece.token); marker != format_.visible.end()) {
    in_.add_text(utf8_.finish());
    in_.add_token(marker->second);
  } else {
    in_.add_text(utf8_.feed(piece.text));
  }
  protocol_->read(in_);
  output_.flush(sink);
}

void Parser::finish(Ending ending, const Sink& sink) {
  in_.add_text(utf8_.finish());
  in_.end(ending);
  protocol_->read(in_);
  output_.flush(sink);
}

}  // namespace hearth::chat
