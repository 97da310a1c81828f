// Pictures that come with requests, as bytes of their files.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::api {

using PictureFile = std::shared_ptr<const std::string>;

// Those of one request, by the numbers that their marks have (chat/picture_marks.h): files, or addresses until somebody
// has fetched what is there.
class Pictures {
 public:
  // Keeps the file of a picture. Returns the mark that stands for it in a text.
  std::string add(std::string file);
  // From base64, also as a data URL ("data:image/png;base64,..."). Errors: kUsage, naming `where` it stands: no base64,
  // an address, more than kMost_pictures.
  Result<std::string> add_base64(std::string_view text, const std::string& where);
  // From a data URL, or the address (http, https) of a picture. Errors likewise; whether the address may be fetched is
  // for who serves to say.
  Result<std::string> add_url(std::string_view url, const std::string& where);

  bool empty() const { return files_.empty(); }
  size_t size() const { return files_.size(); }
  const std::vector<PictureFile>& files() const { return files_; }  // null where there is an address only
  const std::map<size_t, std::string>& addresses() const { return addresses_; }
  // What is at the address of the picture of this number.
  void fetched(size_t index, std::string file);

 private:
  std::vector<PictureFile> files_;
  std::map<size_t, std::string> addresses_;
};
inline constexpr size_t kMost_pictures = 64;

}  // namespace hearth::api
