// Who of several models may move on a card, decided by numbers alone.
#include "engine/card_book.h"

#include <gtest/gtest.h>

namespace hearth::engine {
namespace {

TEST(CardBook, TheLongestIdleGivesFirstAsLongAsItHasSomethingAndLooks) {
  CardBook book;
  const CardBook::Id a = book.join(), b = book.join();
  book.look(a, {{"card", 10}}, 100, 1000);
  book.look(b, {{"card", 10}}, 200, 1000);
  EXPECT_TRUE(book.gives_first(a, "card", 1000));
  EXPECT_FALSE(book.gives_first(b, "card", 1000));
  EXPECT_TRUE(book.gives_first(b, "another", 1000)) << "a holds nothing there";
  EXPECT_TRUE(book.gives_first(b, "card", 1000 + CardBook::kAsleep_ms + 1)) << "a does not look";
  book.cannot_give(a, 1500);
  EXPECT_TRUE(book.gives_first(b, "card", 1499));
  EXPECT_FALSE(book.gives_first(b, "card", 1500));
  book.look(a, {{"card", 0}}, 100, 1000);
  EXPECT_TRUE(book.gives_first(b, "card", 1000)) << "a has given all";
}

TEST(CardBook, OneGrowsAtATimeTheLastOneToComputeFirst) {
  CardBook book;
  const CardBook::Id a = book.join(), b = book.join();
  book.look(a, {}, 100, 1000);
  book.look(b, {}, 200, 1000);
  EXPECT_TRUE(book.begin_growth(a, {"card"}, 1000)) << "nobody else wants to";
  EXPECT_FALSE(book.begin_growth(b, {"card"}, 1000));
  book.end(a);
  EXPECT_FALSE(book.begin_growth(a, {"card"}, 1001)) << "b wants to, and computed later";
  EXPECT_TRUE(book.begin_growth(b, {"card"}, 1002));
  book.end(b);
  EXPECT_TRUE(book.begin_growth(a, {"card"}, 1003));
  book.leave(a);
  EXPECT_TRUE(book.begin_growth(b, {"card"}, 1004)) << "a has gone";
}

TEST(CardBook, NobodyGrowsWhereSomebodyGaveWay) {
  CardBook book;
  const CardBook::Id a = book.join(), b = book.join();
  book.look(a, {}, 0, 1000);
  book.look(b, {}, 0, 1000);
  book.gave_way({"card"}, 1000, 500);
  EXPECT_FALSE(book.begin_growth(b, {"card", "another"}, 1499));
  EXPECT_TRUE(book.begin_growth(b, {"card"}, 1499, true)) << "somebody gave way for it";
  book.end(b);
  EXPECT_TRUE(book.begin_growth(b, {"card"}, 1500));
  book.end(b);
  EXPECT_TRUE(book.begin_growth(b, {"another"}, 1100));
}

}  // namespace
}  // namespace hearth::engine
