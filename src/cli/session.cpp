#include "cli/session.h"

#include <algorithm>

#include "base/error.h"
#include "chat/picture_marks.h"
#include "cli/report.h"
#include "cli/terminal.h"
#include "doctor/slow_decode.h"
#include "models/token_cost.h"

namespace hearth::cli {

namespace {

Status apply_settings(const store::Parameters& settings, sampling::Options& options) {
  const auto is_stop = [](const auto& setting) { return setting.first == "stop"; };
  if (std::ranges::any_of(settings, is_stop)) options.stop.clear();  // they replace the model's
  for (const auto& [name, value] : settings) TRY(sampling::set(options, name, value));
  return {};
}

void note_if_cut(const Session& session, const Completion& completion) {
  const int64_t generated = completion.usage.generated_tokens;
  const bool asked = session.sampling.num_predict >= 0 && generated >= session.sampling.num_predict;
  if (completion.finish != engine::FinishReason::kLength || asked) return;
  std::string help;
  if (session.model->load.context < session.model->spec.context)
    help = fmt::format("; --ctx makes it larger, up to {}", session.model->spec.context);
  print_note(fmt::format("note: the context of {} tokens is full, so the answer was cut{}", session.model->load.context,
                         help));
}

// In one line, as soon as it can be known: an answer that takes minutes should not need --verbose to be explained.
void note_if_slow(const Session& session, const engine::Usage& usage) {
  const double seconds = std::chrono::duration<double>(usage.generation).count();
  if (usage.generated_tokens <= doctor::kEnough_tokens || seconds <= 0) return;
  const engine::DeviceStatus devices = session.model->engine->devices();
  const engine::DeviceStatus::Device* gpu = devices.only_gpu();
  if (gpu == nullptr) return;
  const auto finding =
      doctor::check_decode({(usage.generated_tokens - 1) / seconds,
                            static_cast<double>(models::bytes_per_token(*session.model->file, session.model->spec)),
                            static_cast<double>(gpu->bandwidth_bytes_per_s)},
                           gpu->ordinal, gpu->name);
  if (finding) print_note("warning: " + finding->text());
}

}  // namespace

Result<ThinkingChoice> parse_thinking(std::string_view text) {
  using chat::Think;
  constexpr std::pair<std::string_view, Think> kNames[] = {{"on", Think::kOn},     {"off", Think::kOff},
                                                           {"low", Think::kLow},   {"medium", Think::kMedium},
                                                           {"high", Think::kHigh}, {"hide", Think::kDefault}};
  for (const auto& [name, think] : kNames)
    if (text == name) return ThinkingChoice{think, text == "hide"};
  return error(ErrorKind::kUsage, "thinking is on, off, low, medium, high or hide, not \"{}\"", text);
}

Result<Session> start_session(const RunOptions& options) {
  Session session;
  ASSIGN_OR_RETURN(session.model, start_model(options.model));
  fleet::Resident& model = *session.model;
  session.sampling = model.sampling;
  if (const auto& ignored = model.ignored_parameters; !ignored.empty())
    print_note(fmt::format("note: parameters that come with the model are ignored: {}", fmt::join(ignored, ", ")));
  TRY(apply_settings(options.settings, session.sampling));
  session.verbose = options.model.verbose;
  session.load_duration = model.load_duration;
  note_devices(model.engine->devices());
  session.chat = options.raw ? model.raw : model.chat;
  for (const std::string& note : session.chat->notes()) print_note("note: " + note);
  if (!options.raw && !session.chat->has_template())
    print_note("note: without a chat template, this model goes on with the text it is given");
  session.thinking = options.thinking;
  session.tools = options.tools;
  session.tool_command = options.tool_command;
  if (const std::string note = session.chat->tools_note(); !note.empty() && !session.tools.empty())
    print_note("note: " + note);
  session.text = options.text;
  if (options.raw) return session;
  session.system = options.system.value_or(model.found.system);
  session.messages = model.found.messages;
  return session;
}

chat::Conversation start_conversation(const Session& session) {
  chat::Conversation conversation(*session.chat);
  conversation.set_system(session.system);
  conversation.set_tools(session.tools);
  conversation.set_think(session.thinking.think);
  for (const store::Message& message : session.messages) conversation.add(message.role, message.content);
  return conversation;
}

Result<std::string> look_at(Session& session, const PictureFiles& pictures) {
  std::string marks;
  if (pictures.empty()) return marks;
  if (session.model->sight == nullptr)
    return error(ErrorKind::kUsage,
                 "{} does not see pictures{}{}; use a vision model, or name its encoder with --mmproj",
                 session.model->found.name, session.model->blind.empty() ? "" : ": ", session.model->blind);
  const auto start = std::chrono::steady_clock::now();
  for (const auto& picture : pictures) {
    ASSIGN_OR_RETURN(auto seen, session.model->sight->look(*picture));
    marks += chat::picture_mark(session.seen.size());
    session.seen.push_back(std::move(seen));
  }
  session.look_duration = std::chrono::steady_clock::now() - start;
  return marks;
}

void note_changes(Session& session) {
  const engine::DeviceStatus devices = session.model->engine->devices();
  if (devices.changes != session.changes_shown) print_note("note: " + devices.last_change);
  session.changes_shown = devices.changes;
}

void note_completion(Session& session, const Completion& completion, std::chrono::nanoseconds duration) {
  note_if_cut(session, completion);
  note_if_slow(session, completion.usage);
  note_changes(session);
  if (session.verbose) {
    const Report report{.total = duration + session.load_duration + session.look_duration,
                        .load = session.load_duration,
                        .read = session.model->read_duration,
                        .pictures = session.look_duration,
                        .usage = completion.usage,
                        .bytes_per_token = models::bytes_per_token(*session.model->file, session.model->spec),
                        .devices = session.model->engine->devices()};
    print_note(fmt::format("\n{}", to_string(report)));
  }
  session.load_duration = {};  // only the first answer had to wait for it
  session.look_duration = {};
}

}  // namespace hearth::cli
