// Decoding by the program itself as another process, decoders that go wrong, and what a confined process cannot do.
#include "image/decoder_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fstream>

#include "base/file.h"
#include "image/confine.h"
#include "support/support.h"

namespace hearth::image {
namespace {

using test::shared;
using namespace std::chrono_literals;

constexpr const char* kFolder = "golden/vision/images/";
// A picture of one pixel.
const std::vector<uint8_t> kBmp{'B', 'M', 58, 0, 0, 0, 0, 0, 0,  0, 54, 0, 0, 0, 40, 0, 0, 0, 1, 0,
                                0,   0,   1,  0, 0, 0, 1, 0, 24, 0, 0,  0, 0, 0, 4,  0, 0, 0, 0, 0,
                                0,   0,   0,  0, 0, 0, 0, 0, 0,  0, 0,  0, 0, 0, 7,  8, 9, 0};

std::span<const std::byte> bytes_of(const std::vector<uint8_t>& file) {
  return std::as_bytes(std::span(file));
}

TEST(DecoderProcess, GivesWhatTheDecoderGives) {
  REQUIRE_SHARED("golden/vision/images/images.json");
  const auto text = read_file(shared(std::string(kFolder) + "images.json").string());
  const boost::json::object all = boost::json::parse(*text).as_object();
  std::vector<std::string> names;
  for (const auto& [name, entry] : all.at("images").as_object()) names.emplace_back(name);
  for (const char* list : {"refuse", "refuse_or_show_in_part"})
    for (const auto& name : all.at(list).as_array()) names.emplace_back(name.as_string());
  for (const std::string& name : names) {
    const std::vector<uint8_t> file = test::read_bytes(shared(kFolder + name));
    const auto expected = decode(bytes_of(file));
    const auto picture = decode_confined(bytes_of(file), {}, {.program = HEARTH_BINARY});
    ASSERT_EQ(picture.ok(), expected.ok()) << name << ": " << (picture ? "" : picture.error().message);
    if (expected) {
      EXPECT_EQ(*picture, *expected) << name;
    } else {
      EXPECT_EQ(picture.error().kind, expected.error().kind) << name;
      EXPECT_EQ(picture.error().message, expected.error().message) << name;
    }
  }
}

TEST(DecoderProcess, KeepsToTheLimitsThatItIsGiven) {
  const auto picture = decode_confined(bytes_of(kBmp), {}, {.program = HEARTH_BINARY});
  ASSERT_TRUE(picture.ok()) << picture.error().message;
  EXPECT_EQ(*picture, (Picture{1, 1, {9, 8, 7}}));
  const auto refused = decode_confined(bytes_of(kBmp), {.pixels = 0}, {.program = HEARTH_BINARY});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kTooLong);
}

// In the place of a decoder.
class Program {
 public:
  explicit Program(const std::string& script) : path_((folder_ / "decoder").string()) {
    std::ofstream(path_) << "#!/bin/sh\n" << script << "\n";
    ::chmod(path_.c_str(), 0755);
  }
  Error error(std::chrono::milliseconds patience = 60s) const {
    const auto picture = decode_confined(bytes_of(kBmp), {}, {path_, patience});
    EXPECT_FALSE(picture.ok());
    return picture ? Error{ErrorKind::kUsage, ""} : picture.error();
  }

 private:
  test::TemporaryFolder folder_;
  std::string path_;
};

TEST(DecoderProcess, ADecoderThatEndsCostsItsPictureOnly) {
  for (const auto& [script, words] :
       std::vector<std::pair<const char*, const char*>>{{"kill -SEGV $$", "signal 11"},
                                                        {"kill -XCPU $$", "computing"},
                                                        {"kill -SYS $$", "attack"},
                                                        {"exit 0", "could not read"},
                                                        {"echo short", "could not read"},
                                                        {"head -c 5000 /dev/zero", "makes no sense"}}) {
    const Error error = Program(script).error();
    EXPECT_EQ(error.kind, ErrorKind::kInvalidData) << script;
    EXPECT_NE(error.message.find(words), std::string::npos) << script << ": " << error.message;
  }
}

// A decoder that somebody else has taken over says what it wants: five numbers are its answer.
TEST(DecoderProcess, BelievesNoAnswer) {
  const auto answer = [](const char* numbers) { return fmt::format("printf '{}'; exec sleep 600", numbers); };
  for (const char* numbers :
       {R"(\0\0\0\0\377\377\377\377\377\377\377\377\0\0\0\0\0\0\0\0)",  // more pixels than are allowed
        R"(\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0)",                  // none
        R"(\1\0\0\0\0\0\0\0\0\0\0\0\377\377\377\377\0\0\0\0)",          // an endless text
        R"(\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\377\377\377\377)",
        R"(\77\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0)"}) {  // an unknown kind of error
    EXPECT_NE(Program(answer(numbers)).error().message.find("makes no sense"), std::string::npos) << numbers;
  }
}

TEST(DecoderProcess, WaitsNoLongerThanIsAllowed) {
  EXPECT_EQ(Program("exec sleep 600").error(50ms).kind, ErrorKind::kTimeout);
  EXPECT_EQ(Program("printf '\\0'; exec sleep 600").error(50ms).kind, ErrorKind::kTimeout);
}

TEST(DecoderProcess, SaysWhereThereCanBeNone) {
  const auto picture = decode_confined(bytes_of(kBmp), {}, {.program = "/nowhere/hearth"});
  ASSERT_FALSE(picture.ok());
  EXPECT_EQ(picture.error().kind, ErrorKind::kIo);
  EXPECT_NE(picture.error().message.find("No such file"), std::string::npos) << picture.error().message;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

constexpr uint64_t kMemory_bytes = 64u << 20;

// The state in which a confined process ends that does this.
template <class Act>
int state_after(const Act& act) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(confine({kMemory_bytes, 1}).empty() ? act() : 99);
  int state = 0;
  ::waitpid(pid, &state, 0);
  return state;
}
template <class Act>
void expect_code(int code, const Act& act) {
  const int state = state_after(act);
  EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == code) << state;
}
template <class Act>
void expect_signal(int signal, const Act& act) {
  const int state = state_after(act);
  EXPECT_TRUE(WIFSIGNALED(state) && WTERMSIG(state) == signal) << state;
}

TEST(Confine, LeavesMemoryAndWhatIsOpen) {
  expect_code(3, [] {
    std::vector<char> memory(kMemory_bytes / 4, 1);
    return ::write(STDERR_FILENO, memory.data(), 0) == 0 ? 3 : 4;
  });
}

TEST(Confine, OpensNothing) {
  expect_code(EACCES, [] { return ::open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0; });
  const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(file, 3);
  char byte = 0;
  expect_code(EBADF, [&] { return ::read(file, &byte, 1) < 0 ? errno : 0; });
  ::close(file);
}

TEST(Confine, BoundsMemory) {
  expect_code(5, [] {
    return ::mmap(nullptr, 2 * kMemory_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 5 : 0;
  });
}

TEST(Confine, BoundsComputing) {
  expect_signal(SIGXCPU, [] {
    volatile uint64_t count = 0;
    while (count < UINT64_MAX) count = count + 1;
    return 0;
  });
}

TEST(Confine, WritesNoFiles) {
  const test::TemporaryFolder folder;
  const int file = ::open((folder / "file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600),
            before = ::dup(STDERR_FILENO);
  ::dup2(file, STDERR_FILENO);
  const int state = state_after([] { return static_cast<int>(::write(STDERR_FILENO, "a", 1)); });
  ::dup2(before, STDERR_FILENO);
  EXPECT_TRUE(WIFSIGNALED(state) && WTERMSIG(state) == SIGXFSZ) << state;
  EXPECT_EQ(std::filesystem::file_size(folder / "file"), 0u);
}

TEST(Confine, DoesNothingElse) {
  expect_signal(SIGSYS, [] { return ::socket(AF_INET, SOCK_STREAM, 0); });
  expect_signal(SIGSYS, [] { return ::fork(); });
  expect_signal(SIGSYS, [] { return ::execl("/bin/true", "true", nullptr); });
  expect_signal(SIGSYS, [] { return ::kill(::getppid(), 0); });
  expect_signal(SIGSYS, [] { return ::unlink("/nowhere"); });
  const auto map = [](int protection) { return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); };
  expect_signal(SIGSYS, [&] { return map(PROT_READ | PROT_EXEC) == MAP_FAILED; });
  expect_signal(SIGSYS, [&] { return ::mprotect(map(PROT_READ), 4096, PROT_EXEC); });
}

#endif

}  // namespace
}  // namespace hearth::image
