#include "serve/pictures.h"

#include <algorithm>

#include "base/error.h"
#include "chat/picture_marks.h"

namespace hearth::serve {
namespace {

constexpr std::string_view kUnseen = "[an image, which you cannot see]";

// Whether there are pictures, and all in results of tools.
bool only_of_tools(const api::AnswerRequest& request) {
  const auto* input = std::get_if<api::ChatInput>(&request.input);
  if (input == nullptr || request.pictures.empty()) return false;
  return std::ranges::none_of(input->messages, [](const chat::Message& message) {
    return message.role != "tool" && chat::find_picture_mark(message.content);
  });
}

Status check_sees(const api::AnswerRequest& request, const fleet::Resident& model) {
  if (model.sight != nullptr) return {};
  if (model.blind.empty())
    return error(ErrorKind::kUsage, "\"{}\" does not see pictures; use a model whose capabilities have \"vision\"",
                 request.model);
  return error(ErrorKind::kUnsupported, "\"{}\" cannot see pictures here: {}", request.model, model.blind);
}

}  // namespace

Error not_fetched(size_t index) {
  return error(ErrorKind::kUsage,
               "picture {}: addresses are not fetched here; send the picture itself, as a data: URL or base64 (who "
               "runs the server can allow sites: pictures_from in its configuration)",
               index + 1);
}

Error of_picture(size_t index, const Error& error) {
  const bool broken = error.kind == ErrorKind::kInvalidData;
  return Error{broken ? ErrorKind::kUsage : error.kind, fmt::format("picture {}: {}", index + 1, error.message)};
}

void Looking::start(const api::AnswerRequest& request, const fleet::Resident& model, Done done) {
  if (request.pictures.empty() || (model.sight == nullptr && only_of_tools(request))) return done(SeenPictures());
  if (const Status sees = check_sees(request, model); !sees) return done(sees.error());
  if (const auto& addresses = request.pictures.addresses(); !addresses.empty())
    return done(not_fetched(addresses.begin()->first));
  const std::vector<api::PictureFile>& files = request.pictures.files();
  {
    const std::lock_guard lock(mutex_);
    done_ = std::move(done);
    sight_ = model.sight;
    seen_.resize(files.size());
    left_ = files.size() + 1;  // and this function
    if (cancelled_) failure_ = error(ErrorKind::kCancelled, "the client has gone");
  }
  size_t started = 0;
  for (; started < files.size(); ++started) {
    {
      const std::lock_guard lock(mutex_);
      if (failure_) break;
    }
    const uint64_t look = model.sight->look(
        *files[started], [this, started](fleet::Sight::Seen seen) { take(started, std::move(seen)); });
    const std::lock_guard lock(mutex_);
    looks_.push_back(look);
  }
  withdraw_all();  // if one has failed meanwhile
  leave(files.size() - started + 1);
}

void Looking::take(size_t index, fleet::Sight::Seen seen) {
  {
    const std::lock_guard lock(mutex_);
    if (seen)
      seen_[index] = std::move(*seen);
    else if (!failure_)
      failure_ = of_picture(index, seen.error());
  }
  withdraw_all();
  leave(1);
}

// What was started of a request that has failed.
void Looking::withdraw_all() {
  std::vector<uint64_t> looks;
  {
    const std::lock_guard lock(mutex_);
    if (failure_) looks.swap(looks_);
  }
  for (const uint64_t look : looks) sight_->withdraw(look);
}

void Looking::leave(size_t count) {
  Done done;
  {
    const std::lock_guard lock(mutex_);
    left_ -= count;
    if (left_ == 0) done = std::move(done_);
  }
  if (done == nullptr) return;
  done(failure_ ? Result<SeenPictures>(*failure_) : Result<SeenPictures>(std::move(seen_)));
}

void Looking::cancel() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (left_ > 0 && !failure_) failure_ = error(ErrorKind::kCancelled, "the client has gone");
  }
  withdraw_all();
}

uint32_t tokens_of(const SeenPictures& pictures) {
  uint32_t tokens = 0;
  for (const auto& picture : pictures) tokens += picture->tokens;
  return tokens;
}

bool describe_tool_pictures(api::AnswerRequest* request) {
  if (!only_of_tools(*request)) return false;
  for (chat::Message& message : std::get<api::ChatInput>(request->input).messages)
    while (const auto mark = chat::find_picture_mark(message.content))
      message.content.replace(mark->at, mark->bytes, kUnseen);
  request->pictures = {};
  return true;
}

}  // namespace hearth::serve
