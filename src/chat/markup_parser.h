// The answers of families that are described by markup: reasoning, content and calls, told apart by markers.
#pragma once

#include <memory>
#include <vector>

#include "chat/protocol.h"

namespace hearth::chat {

class MarkupParser : public Protocol {
 public:
  // `thinking`: the family's markers that this model has.
  MarkupParser(const Markup& markup, std::vector<Thinking> thinking, const Beginning& beginning,
               const Context& context);
  void read(Input& in) override;

 private:
  enum class At { kInside, kStart, kReasoning, kQuoted, kContent, kSection, kCall, kBehindCall };
  enum class Mark {
    kOpensThinking,
    kClosesThinking,
    kSection,
    kOpener,
    kCloser,
    kDropped,
    kOpensWrapper,
    kClosesWrapper
  };
  using Meaning = std::pair<Mark, size_t>;  // what a literal is, and which of its kind
  struct Marks {
    Literals literals;
    std::vector<Meaning> meanings;  // by literal
  };

  void build_marks(const Markers& markers);
  void build_call_marks(const Markers& markers);
  void begin_at(const Beginning& beginning);

  bool step(Input& in);  // false: more of the answer is needed
  bool inside(Input& in);
  bool start(Input& in);
  bool reasoning(Input& in);
  bool quoted(Input& in);
  bool content(Input& in);
  bool section(Input& in);
  bool call(Input& in);
  bool behind_call(Input& in);

  void begin_content(Input& in);
  void meet(Input& in, Meaning meaning, std::string_view text);
  void open_reasoning(size_t index, std::string_view passed);
  void close_reasoning(std::string_view passed);
  void reasoning_text(std::string_view text) { (context_.separates_reasoning ? reasoning_ : content_).text(text); }
  void begin_call(Input& in, const MakeReader& make, Opener::Where where, size_t marker_bytes);
  void fail_call(Input& in);
  void settle_quoted(Input& in);
  void finish();

  const Markup& markup_;
  const std::vector<Thinking> thinking_;
  const Context context_;
  TextChannel content_, reasoning_;
  Calls calls_;
  Marks start_, content_marks_, section_marks_, behind_;
  std::vector<Marks> reasoning_marks_;  // by marker of thinking
  std::vector<Literals> opens_, closes_;

  At at_ = At::kStart;
  At resume_ = At::kContent;  // where calls are left to
  std::string lead_;          // the spaces with which the answer begins
  size_t open_ = 0;           // which marker has opened the reasoning
  bool closed_ = false;       // there was reasoning
  bool began_ = false;        // content has begun: what comes is no bare call
  bool in_section_ = false;
  bool junk_ = false;  // brackets may follow that belong to a call
  size_t wrapper_;     // which is open
  size_t quote_begin_ = 0;
  bool settles_ = false;  // what was quoted is read as calls, on trial
  std::unique_ptr<CallReader> reader_;
  size_t call_begin_ = 0, call_body_ = 0;  // where the call's marker begins and ends
  bool whole_only_ = false;                // the call counts only if it is whole
  bool inferred_ = false;                  // a failed call is text, marker included
  bool closer_due_ = false;                // of a call that was none: it is dropped
  size_t read_again_ = 0;                  // bytes, all in all
};

}  // namespace hearth::chat
