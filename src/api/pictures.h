// Pictures that come with requests, as bytes of their files.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::api {

using PictureFile = std::shared_ptr<const std::string>;

// Those of one request, by the numbers that their marks have (chat/picture_marks.h).
class Pictures {
 public:
  // Keeps the file of a picture. Returns the mark that stands for it in a text.
  std::string add(std::string file);
  // From base64, also as a data URL ("data:image/png;base64,..."). Errors: kUsage, naming `where` it stands: no base64,
  // or no picture of a kind that is read; an address, since nothing is fetched; more than kMost_pictures.
  Result<std::string> add_base64(std::string_view text, const std::string& where);

  bool empty() const { return files_.empty(); }
  size_t size() const { return files_.size(); }
  const std::vector<PictureFile>& files() const { return files_; }

 private:
  std::vector<PictureFile> files_;
};
inline constexpr size_t kMost_pictures = 64;

}  // namespace hearth::api
