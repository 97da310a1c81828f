// What `hearth batch` has of a server: one that serves already, or one inside this process, for as long as the command
// runs, which then works the same queue.
#pragma once

#include <boost/json.hpp>
#include <memory>
#include <string>

#include "batch/workflow_file.h"
#include "cli/remote.h"
#include "config/load.h"
#include "http/body.h"
#include "serve/serving.h"

namespace hearth::cli {

class BatchClient {
 public:
  // `works`: a server inside this process works the queue; else it only looks at it. Errors: kBusy, where another
  // command has the queue.
  static Result<BatchClient> open(const config::Inputs& inputs, bool works);

  bool inside() const { return serving_ != nullptr; }
  Result<boost::json::object> ask(const std::string& method, const std::string& path) const;
  Result<boost::json::object> send(const std::string& path, std::string_view content) const;
  const Remote& remote() const { return remote_; }
  void look() const;  // to be called every second or so

 private:
  BatchClient(Remote remote, std::unique_ptr<serve::Serving> serving)
      : remote_(std::move(remote)), serving_(std::move(serving)) {}
  Remote remote_;
  std::unique_ptr<serve::Serving> serving_;
};

// A job as it is sent: its lines lie on the disk where they are many.
struct JobUpload {
  std::string key;  // given, or the digest of all that it is
  http::Body body;
  uint64_t items = 0;
};
// Reads the items. Errors: kUsage with file and line; kIo, kNoSpace.
Result<JobUpload> make_upload(const batch::WorkflowFile& file);

std::string job_path(const std::string& key, const std::string& rest = {});

// One line of at most so many columns: how far a job is.
std::string progress_line(const boost::json::object& report, size_t columns);

}  // namespace hearth::cli
