#include "image/decoder_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <semaphore>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/log.h"
#include "base/outside_text.h"
#include "base/spawn.h"
#include "image/confine.h"
#include "image/formats.h"

namespace hearth::image {
namespace {

using Clock = std::chrono::steady_clock;

constexpr ptrdiff_t kMost_at_once = 4;
constexpr uint32_t kMost_cpu_s = 20;
// What decoders take of memory: their own of each pixel, its colours, these turned upright; and what does not depend on
// the picture.
constexpr uint64_t kDecoder_bytes_per_pixel = 12 + 3 + 3, kDecoder_bytes = 256u << 20;
constexpr uint32_t kMost_text_bytes = 1000;

// What the decoder is asked, before the bytes of the file, and what it answers, before a text or rows of pixels. Both
// sides are the same program.
struct Question {
  uint64_t file_bytes = 0;
  Limits limits;
};
struct Answer {
  uint32_t kind = 0;  // one of kKinds
  uint32_t width = 0, height = 0;
  uint32_t text_bytes = 0;   // of the error
  uint32_t loose_bytes = 0;  // of a text behind it: how the process is not confined
};
constexpr uint32_t kPicture = 0;
constexpr std::array kKinds{ErrorKind::kInvalidData /* kPicture */, ErrorKind::kInvalidData, ErrorKind::kUnsupported,
                            ErrorKind::kTooLong, ErrorKind::kNoMemory};

std::atomic<bool> told_loose = false;

// A decoder, and the end of a socket that is its input and output.
class Child {
 public:
  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) end();
  }

  Status start(const std::string& program);
  // False: it has closed its end, or `until` has come.
  bool send(const void* data, size_t bytes, Clock::time_point until);
  bool receive(void* data, size_t bytes, Clock::time_point until);
  // Ends it, if it has not ended; the state that waitpid() gives.
  int end();

 private:
  bool wait(short what, Clock::time_point until);

  Descriptor socket_;
  pid_t pid_ = -1;
};

// With nothing of our environment, which has secrets, but where libraries are.
int spawn(const std::string& program, int socket, pid_t* pid) {
  SpawnSettings settings;
  settings.give(socket, STDIN_FILENO);
  settings.give(socket, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(settings.actions(), STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  const char* const folders = std::getenv("LD_LIBRARY_PATH");
  std::string libraries = std::string("LD_LIBRARY_PATH=") + (folders == nullptr ? "" : folders);
  std::array<char*, 2> environment{folders == nullptr ? nullptr : libraries.data(), nullptr};
  std::string name = "hearth", command = kDecoder_command;
  std::array<char*, 3> words{name.data(), command.data(), nullptr};
  return ::posix_spawn(pid, program.c_str(), settings.actions(), settings.attributes(), words.data(),
                       environment.data());
}

Status Child::start(const std::string& program) {
  std::array<int, 2> ends{};
  int failed = ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0 ? 0 : errno;
  if (failed == 0) {
    socket_ = Descriptor(ends[0]);
    const Descriptor other(ends[1]);
    failed = spawn(program, other.get(), &pid_);
  }
  if (failed == 0) return {};
  pid_ = -1;
  return error(ErrorKind::kIo,
               "pictures are decoded in a process of their own, which cannot be started: {}; look at the limits of "
               "processes and open files, and whether /proc is mounted",
               std::strerror(failed));
}

bool Child::wait(short what, Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  pollfd ready{socket_.get(), what, 0};
  if (left <= 0) return false;
  const int count = ::poll(&ready, 1, static_cast<int>(left));
  return count > 0 || (count < 0 && errno == EINTR);
}

bool Child::send(const void* data, size_t bytes, Clock::time_point until) {
  for (const char* at = static_cast<const char*>(data); bytes > 0;) {
    if (!wait(POLLOUT, until)) return false;
    const ssize_t sent = ::send(socket_.get(), at, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (sent > 0) at += sent, bytes -= static_cast<size_t>(sent);
  }
  return true;
}

bool Child::receive(void* data, size_t bytes, Clock::time_point until) {
  for (char* at = static_cast<char*>(data); bytes > 0;) {
    if (!wait(POLLIN, until)) return false;
    const ssize_t got = ::recv(socket_.get(), at, bytes, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (got > 0) at += got, bytes -= static_cast<size_t>(got);
  }
  return true;
}

int Child::end() {
  ::kill(pid_, SIGKILL);  // no harm where it has ended: its number is ours until it is waited for
  int state = 0;
  while (::waitpid(pid_, &state, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return state;
}

// Of one that closed its end without a whole answer. It ends by itself, or has ended.
Error failure(Child& child, Clock::time_point until) {
  if (Clock::now() >= until) return error(ErrorKind::kTimeout, "the picture was not decoded in the time that is given");
  const int state = child.end();
  const int signal = WIFSIGNALED(state) ? WTERMSIG(state) : 0;
  log_warn("the decoder of a picture ended {} {}", signal != 0 ? "by signal" : "with code",
           signal != 0 ? signal : WEXITSTATUS(state));
  if (signal == SIGXCPU)
    return error(ErrorKind::kInvalidData, "a picture whose decoding takes more than {} s of computing", kMost_cpu_s);
  if (signal == SIGSYS)
    return error(ErrorKind::kInvalidData, "a picture whose decoder did what decoders do not do; it may be an attack");
  return error(ErrorKind::kInvalidData, "a picture that its decoder could not read to the end (it was ended{})",
               signal != 0 ? fmt::format(" by signal {}", signal) : "");
}

bool sound(const Answer& answer, const Limits& limits) {
  if (answer.kind >= kKinds.size() || answer.text_bytes > kMost_text_bytes || answer.loose_bytes > kMost_text_bytes)
    return false;
  return answer.kind != kPicture || check_size("decoded", answer.width, answer.height, limits).ok();
}

void tell_loose(const std::string& how) {
  if (!how.empty() && !told_loose.exchange(true))
    log_warn("pictures are decoded in a process that this system does not confine wholly: {}", printable(how));
}

Result<Picture> ask(Child& child, std::span<const std::byte> file, const Limits& limits, Clock::time_point until) {
  const Question question{file.size(), limits};
  Answer answer;
  if (!child.send(&question, sizeof question, until) || !child.send(file.data(), file.size(), until) ||
      !child.receive(&answer, sizeof answer, until))
    return failure(child, until);
  if (!sound(answer, limits))
    return error(ErrorKind::kInvalidData, "a picture whose decoder gave an answer that makes no sense");
  std::string text(answer.text_bytes, 0), loose(answer.loose_bytes, 0);
  if (!child.receive(text.data(), text.size(), until) || !child.receive(loose.data(), loose.size(), until))
    return failure(child, until);
  tell_loose(loose);
  if (answer.kind != kPicture) return Error{kKinds[answer.kind], printable(text)};
  Picture picture = blank(answer.width, answer.height);
  if (!child.receive(picture.rgb.data(), picture.rgb.size(), until)) return failure(child, until);
  return picture;
}

bool read_whole(void* data, size_t bytes) {
  for (char* at = static_cast<char*>(data); bytes > 0;) {
    const ssize_t got = ::read(STDIN_FILENO, at, bytes);
    if (got <= 0) return false;
    at += got, bytes -= static_cast<size_t>(got);
  }
  return true;
}

bool write_whole(const void* data, size_t bytes) {
  for (const char* at = static_cast<const char*>(data); bytes > 0;) {
    const ssize_t written = ::write(STDOUT_FILENO, at, bytes);
    if (written <= 0) return false;
    at += written, bytes -= static_cast<size_t>(written);
  }
  return true;
}

Result<Picture> decode_or_run_out(std::span<const std::byte> file, const Limits& limits) {
  try {
    return decode(file, limits);
  } catch (const std::bad_alloc&) {
    return error(ErrorKind::kTooLong, "a picture whose decoding needs more memory than is allowed");
  }
}

bool answer_with(const Result<Picture>& picture, std::string loose) {
  loose.resize(std::min<size_t>(loose.size(), kMost_text_bytes));
  Answer answer{.loose_bytes = static_cast<uint32_t>(loose.size())};
  std::string text;
  if (picture) {
    answer.width = picture->width, answer.height = picture->height;
  } else {
    text = picture.error().message.substr(0, kMost_text_bytes);
    const auto kind = std::ranges::find(kKinds.begin() + 1, kKinds.end(), picture.error().kind);
    answer.kind = kind == kKinds.end() ? 1 : static_cast<uint32_t>(kind - kKinds.begin());
    answer.text_bytes = static_cast<uint32_t>(text.size());
  }
  return write_whole(&answer, sizeof answer) && write_whole(text.data(), text.size()) &&
         write_whole(loose.data(), loose.size()) && (!picture || write_whole(picture->rgb.data(), picture->rgb.size()));
}

}  // namespace

Result<Picture> decode_confined(std::span<const std::byte> file, const Limits& limits, const DecoderProcess& process) {
  static std::counting_semaphore<> places(kMost_at_once);
  TRY(check_file(file, limits));
  places.acquire();
  const std::unique_ptr<std::counting_semaphore<>, void (*)(std::counting_semaphore<>*)> place(
      &places, [](std::counting_semaphore<>* all) { all->release(); });
  Child child;
  TRY(child.start(process.program));
  return ask(child, file, limits, Clock::now() + process.patience);
}

int run_decoder() {
  Question question;
  if (!read_whole(&question, sizeof question)) return 1;
  const uint64_t memory =
      question.limits.pixels * kDecoder_bytes_per_pixel + question.limits.file_bytes + kDecoder_bytes;
  const std::string loose = confine({memory, kMost_cpu_s});
  if (question.file_bytes > question.limits.file_bytes) return 1;
  std::vector<std::byte> file(question.file_bytes);
  if (!read_whole(file.data(), file.size())) return 1;
  return answer_with(decode_or_run_out(file, question.limits), loose) ? 0 : 1;
}

}  // namespace hearth::image
