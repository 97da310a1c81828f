// The chats' history: what is kept, and what is left alone.
#include "cli/history_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "support/support.h"

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;
using Entries = std::vector<std::string>;

class TempDir {
 public:
  TempDir() {
    std::string name = fs::temp_directory_path() / "hearth-history-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~TempDir() { fs::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string file(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 0777;
}

TEST(HistoryFile, KeepsEntriesOfSeveralLinesWithWhateverIsInThem) {
  const TempDir folder;
  const HistoryFile file(folder.file("state/history"));
  const Entries entries = {"one", "two\nlines", "back\\slash \\n", " blanks ", "\x1b[31m", "Grüße", "\\012"};
  EXPECT_TRUE(file.read(100).empty());
  for (const std::string& entry : entries) ASSERT_TRUE(file.append(entry).ok());
  EXPECT_EQ(file.read(100), entries);
  EXPECT_EQ(file.read(2), (Entries{"Grüße", "\\012"})) << "the newest";
}

TEST(HistoryFile, ReadsWhatLibeditWrote) {
  const TempDir folder;
  std::ofstream(folder.file("history")) << "_HiStOrY_V2_\nhello\\040world\nback\\134slash\\^Jline\n";
  const HistoryFile file(folder.file("history"));
  ASSERT_TRUE(file.append("new\none").ok());
  EXPECT_EQ(file.read(100), (Entries{"hello world", "back\\slash\nline", "new\none"}));
}

TEST(HistoryFile, IsTheUsersAloneWhenMadeAndKeepsItsModeAfterwards) {
  const TempDir folder;
  const HistoryFile file(folder.file("history"));
  ASSERT_TRUE(file.append("one").ok());
  EXPECT_EQ(mode_of(file.path()), 0600u);
  ASSERT_EQ(::chmod(file.path().c_str(), 0640), 0);
  ASSERT_TRUE(file.append("two").ok());
  EXPECT_EQ(mode_of(file.path()), 0640u);
}

TEST(HistoryFile, LeavesAloneWhatIsNoRegularFile) {
  const TempDir folder;
  const std::string fifo = folder.file("fifo"), link = folder.file("link"), device = folder.file("device");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0644), 0);
  const int reader = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fs::create_symlink(fifo, link);
  fs::create_symlink("/dev/null", device);
  const mode_t before = mode_of("/dev/null");
  for (const std::string& path : {fifo, link, device, folder.file(""), std::string()}) {
    const HistoryFile file(path);
    EXPECT_TRUE(file.read(10).empty()) << path;
    EXPECT_TRUE(file.append("secret").ok()) << path;
  }
  char byte = 0;
  EXPECT_LE(::read(reader, &byte, 1), 0) << "nothing came through the FIFO";
  ::close(reader);
  EXPECT_EQ(mode_of(fifo), 0644u);
  EXPECT_EQ(mode_of("/dev/null"), before);
}

TEST(HistoryFile, ALinkToAFileIsThatFile) {
  const TempDir folder;
  std::ofstream(folder.file("real")) << "old\n";
  fs::create_symlink(folder.file("real"), folder.file("link"));
  ASSERT_TRUE(HistoryFile(folder.file("link")).append("new").ok());
  EXPECT_TRUE(fs::is_symlink(folder.file("link")));
  EXPECT_EQ(HistoryFile(folder.file("real")).read(10), (Entries{"old", "new"}));
}

TEST(HistoryFile, DropsTheOlderHalfWhenItIsTooLarge) {
  const TempDir folder;
  const HistoryFile file(folder.file("history"));
  const std::string filler(10'000, 'x');
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(file.append(fmt::format("{} {}", i, filler)).ok());
    ASSERT_LE(fs::file_size(file.path()), HistoryFile::kMost_bytes);
  }
  const Entries entries = file.read(1000);
  EXPECT_GT(entries.size(), 40u);
  for (size_t i = 0; i < entries.size(); ++i)  // the newest without a gap
    EXPECT_EQ(entries[i], fmt::format("{} {}", 200 - entries.size() + i, filler));
  ASSERT_TRUE(file.append(std::string(HistoryFile::kMostOfAnEntry_bytes + 1, 'x')).ok());
  EXPECT_EQ(file.read(1000), entries) << "not kept";
}

TEST(HistoryFile, ChatsAtTheSameTimeLoseNothingOfEachOther) {
  const TempDir folder;
  std::vector<std::thread> chats;
  for (int chat = 0; chat < 4; ++chat)
    chats.emplace_back([&folder, chat] {
      const HistoryFile file(folder.file("history"));
      for (int i = 0; i < 100; ++i) EXPECT_TRUE(file.append(fmt::format("chat {}\nentry {}", chat, i)).ok());
    });
  for (std::thread& chat : chats) chat.join();
  Entries entries = HistoryFile(folder.file("history")).read(1000);
  EXPECT_EQ(entries.size(), 400u);
  std::ranges::sort(entries);
  EXPECT_EQ(std::ranges::unique(entries).begin(), entries.end());
}

TEST(HistoryFile, SaysWhatStandsInTheWay) {
  const TempDir folder;
  std::ofstream(folder.file("file")) << "\n";
  const Status status = HistoryFile(folder.file("file/history")).append("x");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("cannot write the history file"), std::string::npos);
}

}  // namespace
}  // namespace hearth::cli
