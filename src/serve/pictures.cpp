#include "serve/pictures.h"

#include "base/error.h"
#include "chat/picture_marks.h"

namespace hearth::serve {
namespace {

constexpr std::string_view kUnseen = "[an image, which you cannot see]";

}  // namespace

Error not_fetched(size_t index) {
  return error(ErrorKind::kUsage,
               "picture {}: addresses are not fetched here; send the picture itself, as a data: URL or base64 (who "
               "runs the server can allow sites: pictures_from in its configuration)",
               index + 1);
}

Result<SeenPictures> look_at(const api::AnswerRequest& request, const fleet::Resident& model) {
  SeenPictures seen;
  if (request.pictures.empty()) return seen;
  if (model.sight == nullptr && model.blind.empty())
    return error(ErrorKind::kUsage, "\"{}\" does not see pictures; use a model whose capabilities have \"vision\"",
                 request.model);
  if (model.sight == nullptr)
    return error(ErrorKind::kUnsupported, "\"{}\" cannot see pictures here: {}", request.model, model.blind);
  if (const auto& addresses = request.pictures.addresses(); !addresses.empty())
    return not_fetched(addresses.begin()->first);
  for (const api::PictureFile& file : request.pictures.files()) {
    auto picture = model.sight->look(*file);
    if (!picture) {
      const bool broken = picture.error().kind == ErrorKind::kInvalidData;
      return Error{broken ? ErrorKind::kUsage : picture.error().kind,
                   fmt::format("picture {}: {}", seen.size() + 1, picture.error().message)};
    }
    seen.push_back(std::move(*picture));
  }
  return seen;
}

uint32_t tokens_of(const SeenPictures& pictures) {
  uint32_t tokens = 0;
  for (const auto& picture : pictures) tokens += picture->tokens;
  return tokens;
}

bool describe_tool_pictures(api::AnswerRequest* request) {
  auto* input = std::get_if<api::ChatInput>(&request->input);
  if (input == nullptr || request->pictures.empty()) return false;
  for (const chat::Message& message : input->messages)
    if (message.role != "tool" && chat::find_picture_mark(message.content)) return false;
  for (chat::Message& message : input->messages)
    while (const auto mark = chat::find_picture_mark(message.content))
      message.content.replace(mark->at, mark->bytes, kUnseen);
  request->pictures = {};
  return true;
}

}  // namespace hearth::serve
