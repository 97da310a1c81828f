#include "sampling/stop_strings.h"

#include "support/support.h"

namespace hearth::sampling {
namespace {

// The text of a whole stream, cut at the given lengths; "|" marks a stop.
std::string shown(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopStrings filter(stops);
  std::string text;
  for (const std::string& piece : pieces) {
    const StopStrings::Output out = filter.feed(piece);
    text += out.text;
    if (out.stopped) return text + "|";
  }
  return text + filter.finish();
}

TEST(StopStrings, EndsBeforeTheStopAndDropsTheRest) {
  EXPECT_EQ(shown({"END"}, {"one END two"}), "one |");
  EXPECT_EQ(shown({"END", "one"}, {"one END two"}), "|");
  EXPECT_EQ(shown({}, {"one"}), "one");
  EXPECT_EQ(shown({""}, {"one"}), "one");
}

TEST(StopStrings, HoldsBackWhatMayBecomeAStop) {
  StopStrings filter({"<|end|>"});
  EXPECT_EQ(filter.feed("a<").text, "a");
  EXPECT_EQ(filter.feed("|en").text, "");
  EXPECT_EQ(filter.feed("e").text, "<|ene");  // it is not one
  EXPECT_EQ(filter.feed("<|en").text, "");
  const StopStrings::Output out = filter.feed("d|> more");
  EXPECT_EQ(out.text, "");
  EXPECT_TRUE(out.stopped);
  EXPECT_EQ(filter.finish(), "");
}

TEST(StopStrings, GivesBackWhatWasHeldAtTheEnd) {
  EXPECT_EQ(shown({"END"}, {"the EN"}), "the EN");
  StopStrings filter({"aab"});
  EXPECT_EQ(filter.feed("aaa").text, "a");  // "aa" may go on
  EXPECT_EQ(filter.finish(), "aa");
}

TEST(StopStrings, TheResultDoesNotDependOnTheBorders) {
  std::mt19937_64 random(test::seed());
  const auto pick = [&](size_t n) { return random() % n; };
  const auto word = [&](size_t most) {
    std::string text(1 + pick(most), ' ');
    for (char& c : text) c = "ab"[pick(2)];
    return text;
  };
  for (int i = 0; i < 3000; ++i) {
    const std::vector<std::string> stops = {word(6), word(6) + "b"};
    const std::string text = word(24);
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size();) {
      pieces.push_back(text.substr(at, 1 + pick(4)));
      at += pieces.back().size();
    }
    EXPECT_EQ(shown(stops, pieces), shown(stops, {text})) << text << " stops " << stops[0] << " " << stops[1];
  }
}

}  // namespace
}  // namespace hearth::sampling
