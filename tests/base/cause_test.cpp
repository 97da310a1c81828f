#include "base/cause.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hearth {
namespace {

const CauseWords kWords[] = {
    {"test-full", "{place} has {free}, {place} is full", "empty {place}"},
    {"test-bare", "it is bare", ""},
};
const RegisterAll<CauseWords> registered(kWords);

TEST(Cause, IsWordedWithItsFacts) {
  const Cause full{"test-full", {{"place", "a {box}"}, {"free", "3"}}};
  EXPECT_EQ(what_of(full), "a {box} has 3, a {box} is full");
  EXPECT_EQ(remedy_of(full), "empty a {box}");
  EXPECT_EQ(text_of(full), "a {box} has 3, a {box} is full; empty a {box}");
  EXPECT_EQ(text_of({"test-bare"}), "it is bare");
  EXPECT_EQ(text_of({}), "");
}

TEST(Cause, SaysWhatWasUnderWayAndTheDetail) {
  Cause bare{"test-bare"};
  bare.during = "loading";
  bare.detail = "[7]";
  EXPECT_EQ(what_of(bare), "loading: it is bare [7]");
}

TEST(Cause, WithoutWordsShowsIdAndFacts) {
  EXPECT_EQ(text_of({"test-unknown", {{"a", "1"}, {"b", "2"}}}), "test-unknown (a: 1, b: 2)");
  EXPECT_EQ(text_of({"test-unknown"}), "test-unknown");
}

TEST(Cause, OfAnErrorIsItsOwnOrItsText) {
  const Error own = caused(ErrorKind::kNoDevice, {"test-full", {{"place", "it"}, {"free", "0"}}});
  EXPECT_EQ(own.message, "it has 0, it is full; empty it");
  EXPECT_EQ(own.what(), "it has 0, it is full");
  EXPECT_EQ(cause_of(own), own.cause);
  EXPECT_EQ(cause_of(error(ErrorKind::kIo, "no GPU")), (Cause{"gpu-failed", {{"error", "no GPU"}}}));
  EXPECT_EQ(cause_of(with_remedy(ErrorKind::kIo, "no GPU", "buy one")),
            (Cause{"gpu-failed-with-advice", {{"error", "no GPU"}, {"remedy", "buy one"}}}));
}

}  // namespace
}  // namespace hearth
