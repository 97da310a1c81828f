// Where the readers of formats report the calls that they find, and the readers' interface.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "chat/input.h"
#include "chat/markers.h"
#include "chat/output.h"
#include "chat/tools.h"

namespace hearth::chat {

// Ids of calls: the same from the same seed.
class CallIds {
 public:
  enum class Style {
    kLong,  // "call_" and 24 letters and digits
    kNine,  // nine letters and digits: all that Mistral's templates accept
  };
  CallIds(Style style, uint64_t seed) : style_(style), state_(seed) {}
  std::string next();

 private:
  Style style_;
  uint64_t state_;
};

class Calls {
 public:
  // What it takes for a call to be one.
  enum class Evidence {
    kMarker,     // the format's own marker stands before it: any name counts
    kInference,  // it only looks like one: the tool must be offered
  };

  Calls(const ToolSet& tools, CallIds ids, Output& output, TextChannel& content, TextChannel& reasoning)
      : tools_(tools), ids_(std::move(ids)), output_(output), content_(content), reasoning_(reasoning) {}

  void expect(Evidence evidence) { evidence_ = evidence; }
  bool must_be_offered() const { return evidence_ == Evidence::kInference; }
  bool accepts(std::string_view called) const;
  // Begins a call, or returns false where accepts() does. `id`: the model's own, if it has given one.
  bool begin(std::string_view called, std::string_view id = {});
  bool begun() const { return output_.in_call(); }
  void arguments(std::string_view json) { output_.arguments(json); }
  // The arguments are whole.
  void end() { output_.end_call(true); }
  // The answer ended between two arguments: forgiven if the model meant to stop and has given all that is required.
  // `missing`: what the object lacks.
  void end_early(Ending ending, std::string_view missing);
  void fail();
  // Text among calls that is none.
  void content(std::string_view text) { content_.text(text); }
  void trim_content() { content_.trim(); }  // a marker stands here
  void problem(std::string_view what) { output_.problem(std::string(what)); }

  const ToolSet& tools() const { return tools_; }
  const OfferedTool* tool() const { return tool_; }  // of the call that was begun; null if it is unknown
  const Parameter* parameter(std::string_view name) const {
    return tool_ == nullptr ? nullptr : tool_->parameter(name);
  }
  // Notes an argument of this name; false if the call has it already.
  bool take_key(std::string_view key);
  bool first_key() const { return keys_.empty(); }

 private:
  const ToolSet& tools_;
  CallIds ids_;
  Output& output_;
  TextChannel& content_;
  TextChannel& reasoning_;
  Evidence evidence_ = Evidence::kMarker;
  const OfferedTool* tool_ = nullptr;
  std::vector<std::string> keys_;
};

enum class ReadResult {
  kMore,    // more of the answer is needed; never after its end
  kDone,    // the calls end here
  kText,    // what follows is content, though it has the form of a call
  kFailed,  // this is no call, or a broken one
};

// Reads calls in one format, beginning behind their marker.
class CallReader {
 public:
  virtual ~CallReader() = default;
  virtual ReadResult read(Input& in, Calls& calls) = 0;
};

using MakeReader = std::function<std::unique_ptr<CallReader>(const Markers& markers)>;

inline constexpr size_t kMaxNameBytes = 256;  // of what stands between a call's marker and its arguments

}  // namespace hearth::chat
