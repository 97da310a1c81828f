#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <vector>

#include "state/database.h"
#include "state/folder.h"
#include "support/support.h"

namespace hearth::state {
namespace {

class State : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_ / name; }

 private:
  test::TemporaryFolder folder_;
};

const std::vector<const char*> kFirst = {"CREATE TABLE a (x TEXT UNIQUE)"};
const std::vector<const char*> kSecond = {kFirst[0], "ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 7"};

int64_t count(Database& database) {
  auto rows = database.prepare("SELECT count(*) FROM a");
  return rows && rows->step() ? rows->number(0) : -1;
}

TEST_F(State, AFolderIsPrivateAndHasOneOwner) {
  const std::string where = path("deep/state");
  {
    const auto first = Folder::take(where);
    ASSERT_TRUE(first) << first.error().message;
    struct stat status {};
    ASSERT_EQ(::stat(where.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
    const auto second = Folder::take(where);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::kBusy);
    EXPECT_NE(second.error().message.find("process " + std::to_string(::getpid())), std::string::npos);
  }
  EXPECT_TRUE(Folder::take(where));
}

TEST_F(State, AFolderThatOthersCanReadIsMadePrivate) {
  ::mkdir(path("open").c_str(), 0755);
  ASSERT_TRUE(Folder::take(path("open")));
  struct stat status {};
  ::stat(path("open").c_str(), &status);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST(StateFolder, NetworkFileSystemsAreNamed) {
  EXPECT_STREQ(network_file_system(0x6969), "NFS");
  EXPECT_STREQ(network_file_system(static_cast<long>(0xff534d42)), "SMB");
  EXPECT_EQ(network_file_system(0xef53), nullptr) << "ext4";
}

TEST_F(State, ASchemaGrowsAndACopyOfTheOldOneIsKept) {
  {
    auto database = Database::open(path("db"), kFirst);
    ASSERT_TRUE(database) << database.error().message;
    ASSERT_TRUE(database->run("INSERT INTO a VALUES ('one')"));
  }
  {
    auto database = Database::open(path("db"), kSecond);
    ASSERT_TRUE(database) << database.error().message;
    auto row = database->prepare("SELECT x, y FROM a");
    ASSERT_TRUE(row && row->step());
    EXPECT_EQ(row->text(0), "one");
    EXPECT_EQ(row->number(1), 7);
  }
  auto copy = Database::open(path("db.version-1"), kFirst);
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ(count(*copy), 1);
}

TEST_F(State, AStepThatFailsLeavesEverythingAsItWas) {
  ASSERT_TRUE(Database::open(path("db"), kFirst));
  const std::vector<const char*> broken = {kFirst[0], "CREATE TABLE b (x TEXT)", "NONSENSE"};
  EXPECT_FALSE(Database::open(path("db"), broken));
  auto again = Database::open(path("db"), kSecond);
  EXPECT_TRUE(again) << again.error().message;
}

TEST_F(State, ANewerSchemaIsRefusedByName) {
  ASSERT_TRUE(Database::open(path("db"), kSecond));
  const auto older = Database::open(path("db"), kFirst);
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(older.error().message.find("newer hearth (schema 2, and this one knows 1)"), std::string::npos);
}

TEST_F(State, AFileThatIsNoDatabaseIsAnError) {
  std::ofstream(path("db")) << std::string(5000, 'x');
  const auto opened = Database::open(path("db"), kFirst);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalidData);
}

TEST_F(State, WhatMustBeUniqueIsTheUsersFault) {
  auto database = Database::open(path("db"), kFirst);
  ASSERT_TRUE(database);
  for (const bool good : {true, false}) {
    auto insert = database->prepare("INSERT INTO a VALUES (?)");
    const auto done = insert->bind(1, std::string_view("same")).step();
    EXPECT_EQ(done.ok(), good);
    if (!done) {
      EXPECT_EQ(done.error().kind, ErrorKind::kUsage);
    }
  }
}

}  // namespace
}  // namespace hearth::state
