#include "sched/prefix_tree.h"

#include <algorithm>
#include <set>

#include "support/support.h"

namespace hearth::sched {
namespace {

using Tokens = std::vector<Token>;

TEST(PagePool, HandsOutEachPageOnce) {
  PagePool pool(5);
  std::set<Page> pages;
  while (pool.unused() > 0) pages.insert(pool.take());
  EXPECT_EQ(pages, (std::set<Page>{0, 1, 2, 3, 4}));
  pool.give_back(3);
  EXPECT_EQ(pool.unused(), 1u);
  EXPECT_EQ(pool.take(), 3);
}

TEST(PagePoolDeathTest, RefusesPagesThatNobodyTook) {
  PagePool pool(2);
  const Page page = pool.take();
  pool.give_back(page);
  EXPECT_DEATH(pool.give_back(page), "internal error");
  EXPECT_DEATH(pool.give_back(7), "internal error");
}

TEST(PrefixTree, FindsTheLongestCachedPrefix) {
  PagePool pool(8);
  PrefixTree tree(pool);
  const Page first = pool.take(), second = pool.take();
  auto* node = tree.insert(tree.root(), {Tokens{1, 2}}, first);
  node = tree.insert(node, {Tokens{3, 4}}, second);
  tree.release(node);

  EXPECT_EQ(tree.descend(tree.root(), {Tokens{1, 3}}), nullptr);
  auto* found = tree.descend(tree.root(), {Tokens{1, 2}});
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->page(), first);
  EXPECT_EQ(tree.descend(found, {Tokens{1, 2}}), nullptr);
  found = tree.descend(found, {Tokens{3, 4}});
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->page(), second);
  EXPECT_EQ(found->depth(), 2u);
  tree.release(found);
}

TEST(PrefixTree, KeepsThePageItKnowsAndGivesTheSecondBack) {
  PagePool pool(4);
  PrefixTree tree(pool);
  auto* mine = tree.insert(tree.root(), {Tokens{1, 2}}, pool.take());
  auto* other = tree.insert(tree.root(), {Tokens{1, 2}}, pool.take());
  EXPECT_EQ(mine, other);
  EXPECT_EQ(mine->holders(), 2u);
  EXPECT_EQ(pool.unused(), 3u);
  tree.release(mine);
  EXPECT_FALSE(tree.evict()) << "the other still holds it";
  tree.release(other);
  EXPECT_TRUE(tree.evict());
  EXPECT_EQ(pool.unused(), 4u);
}

TEST(PrefixTree, EvictsWhatWasUsedLeastRecentlyAndLeavesBeforeTheirParents) {
  PagePool pool(8);
  PrefixTree tree(pool);
  auto* a = tree.insert(tree.root(), {Tokens{1}}, pool.take());
  auto* a_then_b = tree.insert(a, {Tokens{2}}, pool.take());
  tree.release(a_then_b);
  tree.release(tree.insert(tree.root(), {Tokens{9}}, pool.take()));
  tree.release(tree.descend(tree.root(), {Tokens{1}}));  // used again: now {9} is older than {1}

  const auto known = [&](const Tokens& tokens) {
    auto* node = tree.root();
    for (Token token : tokens) {
      auto* child = tree.descend(node, {Tokens{token}});
      if (child == nullptr) {
        tree.release(node);
        return false;
      }
      node = child;
    }
    tree.release(node);
    return true;
  };
  EXPECT_TRUE(tree.evict());
  EXPECT_EQ(tree.nodes().size(), 2u);
  EXPECT_TRUE(tree.evict());
  EXPECT_TRUE(known({1}));
  EXPECT_FALSE(known({9}));
  EXPECT_FALSE(known({1, 2}));
}

// {1} - {2} - {3} and {1} - {2} - {4}: what nobody holds goes from the highest such page down, with all that follows
// it.
TEST(PrefixTree, ForgetsAPathAndWhatFollowsIt) {
  PagePool pool(8);
  PrefixTree tree(pool);
  auto* one = tree.insert(tree.root(), {Tokens{1}}, pool.take());
  auto* two = tree.insert(one, {Tokens{2}}, pool.take());
  auto* three = tree.insert(two, {Tokens{3}}, pool.take());
  tree.release(three);
  auto* four = tree.insert(tree.descend(tree.descend(tree.root(), {Tokens{1}}), {Tokens{2}}), {Tokens{4}}, pool.take());
  tree.release(tree.insert(tree.root(), {Tokens{9}}, pool.take()));

  tree.forget(four);
  EXPECT_EQ(tree.nodes().size(), 5u) << "it is held, and with it what comes before";
  tree.forget(three);
  EXPECT_EQ(tree.nodes().size(), 4u);
  auto* holder_of_one = tree.descend(tree.root(), {Tokens{1}});
  tree.release(four);
  tree.forget(four);
  EXPECT_EQ(tree.nodes().size(), 2u) << "{1} is held, {9} lies elsewhere";
  EXPECT_EQ(tree.evictable(), 1u);
  EXPECT_EQ(pool.unused(), 6u);
  tree.release(holder_of_one);
}

}  // namespace
}  // namespace hearth::sched
