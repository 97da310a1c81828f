// Whether several threads are worth it just now. A worker whose processor another program has keeps everybody waiting
// for the item it holds, and waking one costs more than a small section takes. So what workers save and what they cost
// is added up, and where they cost more the owner of the sections works alone for a while before it tries again.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hearth {

class TeamGauge {
 public:
  // A judgement is made after so many sections, or once this much is lost.
  static constexpr uint32_t kSections = 64;
  static constexpr int64_t kMostLoss_ns = 2'000'000;
  // How long it is alone after the first judgement against the team, and at most after several in a row.
  static constexpr int64_t kFirstAlone_ns = 8'000'000, kMostAlone_ns = 256'000'000;

  // Whether a section that starts now should have workers.
  bool wants_team(int64_t now_ns) const { return now_ns >= alone_until_ns_; }

  // After a section with workers: what they saved its owner, and for how long they made it wait.
  void add(int64_t saved_ns, int64_t lost_ns, int64_t now_ns) {
    balance_ns_ += saved_ns - lost_ns;
    if (++sections_ < kSections && balance_ns_ > -kMostLoss_ns) return;
    if (balance_ns_ < 0) {
      alone_until_ns_ = now_ns + alone_ns_;
      alone_ns_ = std::min(2 * alone_ns_, kMostAlone_ns);
    } else {
      alone_ns_ = kFirstAlone_ns;
    }
    balance_ns_ = 0;
    sections_ = 0;
  }

 private:
  int64_t balance_ns_ = 0;
  uint32_t sections_ = 0;  // since the last judgement
  int64_t alone_until_ns_ = INT64_MIN, alone_ns_ = kFirstAlone_ns;
};

}  // namespace hearth
