// OpenAI's files (https://platform.openai.com/docs/api-reference/files): what batches read, and what they have written,
// which is no file but the queue's results, told line by line when somebody reads it.
#pragma once

#include <memory>

#include "api/router.h"
#include "base/file.h"
#include "serve/batch_work.h"
#include "serve/long_work.h"

namespace hearth::serve {

void add_file_routes(api::Router& router, BatchWork& batch, LongWork& work);

// The content of a file of this owner that was sent here. Errors: kNotFound.
Result<MappedFile> open_file(BatchWork& batch, const std::string& owner, const std::string& id);

// The parts of a body of multipart/form-data (RFC 7578) by name; `text` lies in the body. Errors: kUsage.
struct FormPart {
  std::string name, filename;
  std::string_view text;
};
Result<std::vector<FormPart>> parse_form(std::string_view content_type, std::string_view body);

}  // namespace hearth::serve
