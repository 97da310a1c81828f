// Whom an interactive chat talks to: a model of this process, or one of a hearth that serves.
#pragma once

#include <memory>
#include <string>

#include "cli/remote.h"
#include "cli/session.h"

namespace hearth::cli {

class ChatPartner {
 public:
  virtual ~ChatPartner() = default;

  // Shows the answer, and keeps both; after an error neither.
  virtual Status say(std::string message) = 0;
  virtual void clear() = 0;  // forgets the conversation
  // Errors: those of sampling::set().
  virtual Status set_parameter(std::string_view name, std::string_view value) = 0;
  virtual void set_system(std::string text) = 0;
  virtual void set_thinking(const ThinkingChoice& choice) = 0;
  virtual void set_verbose(bool verbose) = 0;
  virtual Result<std::string> info() const = 0;
  virtual Result<std::string> parameters() const = 0;
  virtual Result<std::string> system() const = 0;         // empty: none
  virtual Result<std::string> template_text() const = 0;  // empty: none
  // What has changed at the model's place since the last time: a line on standard error.
  virtual void note_changes() {}
  // Whether another message may go better after this error; if not, the error that the chat ends with.
  virtual Status can_go_on(const Error& error) const = 0;
};

// Loads the model. Errors: those of start_session().
Result<std::unique_ptr<ChatPartner>> local_partner(const RunOptions& options);
// Errors: the server's, if it does not know the model.
Result<std::unique_ptr<ChatPartner>> remote_partner(const Remote& server, const RunOptions& options);

// As /show parameters prints it.
std::string describe_parameters(uint32_t context, const sampling::Options& options);

}  // namespace hearth::cli
