#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "support/support.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  std::string path(const char* name) const { return folder_ / name; }
  std::string write(const char* name, const std::string& content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }
  test::TemporaryFolder folder_;
};

std::span<std::byte> bytes_of(std::string& text) {
  return std::as_writable_bytes(std::span(text));
}

testing::AssertionResult says(const Status& status, const std::string& part) {
  if (status) return testing::AssertionFailure() << "no error";
  if (status.error().message.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << status.error().message << "' does not say '" << part << "'";
}

TEST_F(Files, OpeningAPipeDoesNotWaitForAWriter) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const auto file = InputFile::open(path("pipe"));
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.error().message.find("not a regular file"), std::string::npos);
}

TEST_F(Files, ANameWithANulOpensNothing) {
  write("a", "abc");
  EXPECT_EQ(InputFile::open(path("a") + std::string("\0.gguf", 6)).error().kind, ErrorKind::kNotFound);
}

TEST_F(Files, ReadingBeyondTheEndOfAFileThatWasCutIsAnError) {
  const std::string name = write("a", std::string(100, 'x'));
  const auto file = InputFile::open(name);
  ASSERT_TRUE(file.ok());
  std::string text(100, ' ');
  ASSERT_TRUE(file->read(0, bytes_of(text)));
  fs::resize_file(name, 60);
  EXPECT_TRUE(says(file->read(0, bytes_of(text)), name + " became shorter while it was read"));
  EXPECT_TRUE(file->read(20, bytes_of(text).first(40))) << "what is there can still be read";
  EXPECT_TRUE(says(file->check_unchanged(), name + " became shorter while it was in use"));
}

TEST_F(Files, WritingInPlaceIsNoticed) {
  const std::string name = write("a", "old");
  const auto file = InputFile::open(name);
  EXPECT_TRUE(file->check_unchanged());
  fs::last_write_time(name, fs::last_write_time(name) + std::chrono::seconds(1));  // as a write some time later does
  EXPECT_TRUE(says(file->check_unchanged(), name + " was written to while it was in use"));
}

TEST_F(Files, AnotherFileOfTheSameNameDoesNoHarm) {
  const auto file = InputFile::open(write("a", "old"));
  fs::rename(write("b", "new one"), path("a"));
  std::string text(3, ' ');
  EXPECT_TRUE(file->read(0, bytes_of(text)));
  EXPECT_EQ(text, "old");
  EXPECT_TRUE(file->check_unchanged());
}

TEST_F(Files, AMappedFileThatIsCutReadsAsZerosAndTells) {
  const size_t size = 5 * 4096 + 10;
  const std::string name = write("a", std::string(size, 'x'));
  const auto file = InputFile::open(name);
  const auto mapped = MappedFile::map(*file);
  const auto other = MappedFile::map(*InputFile::open(write("b", std::string(size, 'y'))));
  ASSERT_TRUE(mapped.ok() && other.ok());
  EXPECT_EQ(mapped->bytes()[size - 1], std::byte{'x'});
  EXPECT_TRUE(mapped->check());
  fs::resize_file(name, 0);
  EXPECT_EQ(mapped->bytes()[size - 1], std::byte{0}) << "no SIGBUS";
  EXPECT_EQ(mapped->bytes()[0], std::byte{0});
  EXPECT_TRUE(says(mapped->check(), name + " became shorter while it was in use"));
  EXPECT_EQ(other->bytes()[size - 1], std::byte{'y'});
  EXPECT_TRUE(other->check()) << "others are as good as before";
}

// What a program did with SIGBUS before goes on for addresses that are none of ours.
void leave_with_7(int) {
  ::_exit(7);
}

TEST_F(Files, ABusErrorElsewhereGoesWhereItWent) {
  const std::string name = write("a", std::string(4096, 'x'));
  const auto fault = [&] {
    const auto file = InputFile::open(name);
    const auto mapped = MappedFile::map(*file);
    ::raise(SIGBUS);
  };
  EXPECT_EXIT((std::signal(SIGBUS, SIG_DFL), fault()), testing::KilledBySignal(SIGBUS), "");
  EXPECT_EXIT((std::signal(SIGBUS, leave_with_7), fault()), testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace hearth
