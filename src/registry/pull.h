// Brings a model into the store. What is there already is not fetched again; what was begun goes on where it was; it is
// known before the first byte whether all of it fits.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "registry/download.h"
#include "registry/source.h"

namespace hearth::registry {

// One line of what is being done, as Ollama words it.
struct Progress {
  std::string status;       // "pulling 6a0746a1ec1a"
  std::string digest = {};  // with the counts, where it is about one file
  uint64_t total = 0, done = 0;
};
using ProgressSink = std::function<void(const Progress& progress)>;

struct TransferOptions {
  bool insecure = false;
  std::optional<Credentials> credentials = {};
  std::function<bool()> goes_on = {};  // false: ends (kCancelled); what has arrived stays for the next pull
  DownloadOptions download = {};       // its functions are the pull's
};

// Returns the name in the store. Errors: kNoSpace, with three ways out, before anything is fetched, or when a disk
// fills meanwhile; kInvalidData: twice another content than its hash says; those of find_source() and download().
Result<std::string> pull(const std::string& name, const TransferOptions& options, const ProgressSink& sink);

// Where a store has no model of this name: pulls it. Errors: those of pull().
Status pull_if_missing(const std::string& name, const TransferOptions& options, const ProgressSink& sink);

// Fetches one file of a model that is in a store anew, also where it is there; a damaged one stays until all of the
// other has come and has been hashed. Errors: those of pull(); kNotFound: the model does not name it, or where it was
// pulled from does not have it.
Status fetch_again(const std::string& model, const std::string& digest, const std::string& store,
                   const TransferOptions& options, const ProgressSink& sink);

// Sends a model of the store to where its name says. Errors: kNotFound, kRefused, kIo, kCancelled.
Status push(const std::string& name, const TransferOptions& options, const ProgressSink& sink);

}  // namespace hearth::registry
