// Pictures of a prompt on the command line: their files, named beside the words or among them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace hearth::cli {

using PictureFiles = std::vector<std::shared_ptr<const std::string>>;

// Errors: kNotFound, kIo, kUnsupported (no picture of a kind that is read).
Status add_picture_file(const std::string& path, PictureFiles* pictures);

// Takes paths of existing pictures (photo.jpg, with an ending that pictures have) out of a text; spaces in them may be
// behind a backslash, and quotes around them. Errors: as above.
Status take_picture_paths(std::string* text, PictureFiles* pictures);

}  // namespace hearth::cli
