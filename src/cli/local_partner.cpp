#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/answering.h"
#include "cli/chat_partner.h"

namespace hearth::cli {
namespace {

class LocalPartner : public ChatPartner {
 public:
  LocalPartner(Session session, PictureFiles pictures)
      : session_(std::move(session)),
        conversation_(start_conversation(session_)),
        first_pictures_(std::move(pictures)) {}

  Status say(std::string message) override {
    PictureFiles pictures = std::exchange(first_pictures_, {});
    TRY(take_picture_paths(&message, &pictures));
    ASSIGN_OR_RETURN(const std::string marks, look_at(session_, pictures));
    message.insert(0, marks);
    conversation_.add("user", std::move(message));
    const Status done = answer(session_, conversation_);
    if (!done) conversation_.shorten(conversation_.messages().size() - 1);
    return done;
  }
  void clear() override { conversation_.clear(); }
  Status set_parameter(std::string_view name, std::string_view value) override {
    sampling::Options changed = session_.sampling;
    TRY(sampling::set(changed, name, value));
    session_.sampling = std::move(changed);
    return {};
  }
  void set_system(std::string text) override { conversation_.set_system(std::move(text)); }
  void set_thinking(const ThinkingChoice& choice) override {
    session_.thinking = choice;
    conversation_.set_think(choice.think);
  }
  void set_verbose(bool verbose) override { session_.verbose = verbose; }
  Result<std::string> info() const override;
  Result<std::string> parameters() const override {
    return describe_parameters(session_.model->load.context, session_.sampling);
  }
  Result<std::string> system() const override { return conversation_.system(); }
  Result<std::string> template_text() const override {
    return session_.chat->has_template() ? session_.chat->template_text() : std::string();
  }
  void note_changes() override { cli::note_changes(session_); }
  // A mistake can be corrected, and a lost device is made anew; if not, the engine is broken.
  Status can_go_on(const Error& error) const override {
    if (const auto broken = session_.model->engine->broken()) return *broken;
    return error.kind == ErrorKind::kUsage || error.kind == ErrorKind::kDeviceLost ? Status() : Status(error);
  }

 private:
  Session session_;
  chat::Conversation conversation_;
  PictureFiles first_pictures_;
};

Result<std::string> LocalPartner::info() const {
  const models::Memory memory = session_.model->engine->devices().memory();
  return fmt::format(
      "{:<20}{}\n{:<20}{}\n{:<20}{:.2f} million\n{:<20}{} of {} tokens\n{:<20}{}\n{:<20}weights {}, cache {}, "
      "workspace {}",
      "file", session_.model->file->path(), "architecture", session_.model->spec.architecture, "parameters",
      static_cast<double>(session_.model->facts.parameters) / 1e6, "context", session_.model->load.context,
      session_.model->spec.context, "chat template", session_.chat->template_name(), "memory",
      size_text(memory.weights), size_text(memory.cache), size_text(memory.workspace));
}

}  // namespace

Result<std::unique_ptr<ChatPartner>> local_partner(const RunOptions& options) {
  ASSIGN_OR_RETURN(Session session, start_session(options));
  set_log_level(LogLevel::kOff);  // the chat shows the rest itself, where it does not disturb
  return std::unique_ptr<ChatPartner>(std::make_unique<LocalPartner>(std::move(session), options.pictures));
}

std::string describe_parameters(uint32_t context, const sampling::Options& options) {
  std::string text = fmt::format("{:<20}{}", "num_ctx", context);
  for (const sampling::Parameter& parameter : sampling::parameters()) {
    text += fmt::format("\n{:<20}{}", parameter.name, sampling::to_string(options, parameter));
  }
  for (const std::string& stop : options.stop) text += fmt::format("\n{:<20}\"{}\"", "stop", stop);
  for (const auto& [token, bias] : options.logit_bias) text += fmt::format("\n{:<20}{}={}", "logit_bias", token, bias);
  return text;
}

}  // namespace hearth::cli
