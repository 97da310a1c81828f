#include "chat/gemma_calls.h"

namespace hearth::chat {

GemmaCalls::GemmaCalls(const LooseForm& form, const Markers& markers)
    : name_ends_(markers.literals({"{"})), value_(form, markers) {}

ReadResult GemmaCalls::read(Input& in, Calls& calls) {
  if (!calls.begun()) {
    int found;
    name_ += in.take_until(name_ends_, &found, kMaxNameBytes - name_.size());
    if (found == Literals::kMore) return ReadResult::kMore;
    if (found == Literals::kNone || !calls.begin(name_)) return ReadResult::kFailed;
    in.rewind(in.position() - 1);
  }
  std::string out;
  const ReadResult result = value_.read(in, &out);
  calls.arguments(out);
  if (result == ReadResult::kDone) {
    calls.end();
  } else if (result == ReadResult::kFailed && in.finished() && value_.between_members()) {
    for (const std::string& key : value_.keys()) calls.take_key(key);
    calls.end_early(in.ending(), "}");
    return ReadResult::kDone;
  }
  return result;
}

}  // namespace hearth::chat
