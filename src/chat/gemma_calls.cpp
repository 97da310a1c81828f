#include "chat/gemma_calls.h"

namespace hearth::chat {

GemmaCalls::GemmaCalls(const LooseForm& form, const Markers& markers)
    : name_ends_(markers.literals({"{"})), value_(form, markers) {}

Step GemmaCalls::read(Input& in, Calls& calls) {
  if (!calls.begun()) {
    int found;
    name_ += in.take_until(name_ends_, &found, kMaxNameBytes - name_.size());
    if (found == Literals::kMore) return Step::kMore;
    if (found == Literals::kNone || !calls.begin(name_)) return Step::kFailed;
    in.rewind(in.position() - 1);
  }
  std::string out;
  const Step step = value_.read(in, &out);
  calls.arguments(out);
  if (step == Step::kDone) {
    calls.end();
  } else if (step == Step::kFailed && in.finished() && value_.between_members()) {
    for (const std::string& key : value_.keys()) calls.take_key(key);
    calls.end_early(in.ending(), "}");
    return Step::kDone;
  }
  return step;
}

}  // namespace hearth::chat
