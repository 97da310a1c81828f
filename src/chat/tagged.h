// Calls whose arguments stand in tags of their own, as plain text: <function=F><parameter=K>V</parameter></function>
// and its kin. Values are typed by the tool's schema.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/calls.h"
#include "chat/value_writer.h"

namespace hearth::chat {

// Must outlive its readers.
struct TaggedForm {
  std::vector<std::string_view> name_ends;  // passed, unless the name is bare
  bool bare_name = false;                   // the name ends before the next tag (GLM)
  std::string_view key_opens;               // "<parameter="
  std::string_view key_ends;                // ">"; where the name is quoted, it ends at the quote
  std::string_view value_opens = {};        // a tag of its own before the value, which models forget (GLM)
  std::string_view value_closes;            // "</parameter>"
  std::string_view value_closes_named =
      {};                   // where the closing tag has the argument's name: what stands before it (M3)
  std::string_view closes;  // "</function>"; passed
  std::vector<std::string_view> section_closes = {};  // what also ends the call; not passed
  bool strips = false;                                // one line break at each end of a value belongs to the tags
  bool says_type = false;                             // string="true" or "false" in the opening tag decides (DeepSeek)
  bool json_values = false;                           // values are JSON, texts among them in quotes
};

class Tagged : public CallReader {
 public:
  Tagged(const TaggedForm& form, const Markers& markers);
  ReadResult read(Input& in, Calls& calls) override;

 private:
  enum class At { kName, kBetween, kKey, kValueTag, kValue, kClosed };

  ReadResult next(Input& in, Calls& calls);
  ReadResult name(Input& in, Calls& calls);
  ReadResult between(Input& in, Calls& calls);
  ReadResult key(Input& in, Calls& calls);
  ReadResult value_tag(Input& in);
  ReadResult value(Input& in, Calls& calls);
  ReadResult closed(Input& in, Calls& calls);
  void begin_value(std::string_view header, Calls& calls);
  void put(std::string_view json, Calls& calls);

  const TaggedForm& form_;
  const Markers& markers_;
  const Literals name_ends_, key_ends_, value_opens_;
  Literals follow_;  // what may stand between arguments: key_opens, closes, section_closes
  Literals value_closes_;
  At at_ = At::kName;
  std::string word_, pending_;  // a name; a closing tag, which counts if what follows is legal
  std::optional<ValueWriter> value_;
  bool repeated_ = false;  // the argument was given before: the first counts
};

}  // namespace hearth::chat
