#include "cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <map>
#include <new>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cli/version.h"
#include "image/decoder_process.h"

namespace hearth::cli {
namespace {

int code_of_success = kExitSuccess;

int exit_code(const Status& status) {
  if (status) return code_of_success;
  switch (status.error().kind) {
    case ErrorKind::kUsage:
    case ErrorKind::kTooLong:
      return kExitUsage;
    case ErrorKind::kRefused:
      return kExitRefused;
    default:
      return kExitFailed;
  }
}

Error unknown_command(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Command* command : RegisterCommand::all()) names.emplace_back(command->name);
  const std::string_view likely = nearest(name, names);
  const std::string hint = likely.empty() ? std::string("\"hearth --help\" lists the commands")
                                          : fmt::format("did you mean \"hearth {}\"?", likely);
  return error(ErrorKind::kUsage, "unknown command \"{}\"; {}", name, hint);
}

bool is_command(std::string_view name) {
  return std::ranges::any_of(RegisterCommand::all(), [&](const Command* command) { return name == command->name; });
}

// By name, since registration order is link order.
std::map<std::string, const Command*> commands() {
  std::map<std::string, const Command*> all;
  for (const Command* command : RegisterCommand::all()) all[command->name] = command;
  return all;
}

// "hearth help run" is "hearth run --help".
Status help(int argc, char** argv);

Status parse_and_run(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "help") return help(argc, argv);
  if (argc > 1 && argv[1][0] != '-' && !is_command(argv[1])) return unknown_command(argv[1]);
  ArgumentParser parser("hearth", "hearth serves large language models on your own machine.");
  std::map<std::string, Action> actions;
  for (const auto& [name, command] : commands())
    actions[name] = command->configure(parser.add_command(name, command->summary));
  ASSIGN_OR_RETURN(const Invocation asked, parser.parse(argc, argv));
  if (!asked.help.empty()) return print(asked.help);
  if (asked.version) return print(version_text(asked.verbose));
  if (asked.command.empty()) return error(ErrorKind::kUsage, "no command given; \"hearth --help\" lists them");
  return actions.at(asked.command)();
}

Status help(int argc, char** argv) {
  std::string option = "--help";
  std::vector<char*> words = {argv[0]};
  if (argc > 2) words.push_back(argv[2]);
  words.push_back(option.data());
  return parse_and_run(static_cast<int>(words.size()), words.data());
}

// Without this a file of ours could become descriptor 1 or 2, and messages would go into it.
void open_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) ::_exit(kExitFailed);
  }
}

Status guarded(int argc, char** argv) {
  try {
    TRY(parse_and_run(argc, argv));
  } catch (const std::bad_alloc&) {
    return error(
        ErrorKind::kNoMemory,
        "the system refuses more memory; close other programs, or look at ulimit -v and the control group's limit");
  } catch (const std::system_error& problem) {  // of a thread that could not be started
    return error(ErrorKind::kNoMemory,
                 "the system refuses another thread: {}; see ulimit -a and the limits of the "
                 "control group, or use fewer --threads",
                 problem.code().message());
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) return output_error(errno);
  return {};
}

}  // namespace

void succeed_with(int code) {
  code_of_success = code;
}

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == image::kDecoder_command) return image::run_decoder();
  open_standard_descriptors();
  let_writes_fail();
  std::setlocale(LC_CTYPE, "");
  init_log(LogLevel::kWarn);
  const Status status = guarded(argc, argv);
  if (!status && !status.error().message.empty()) print_error(status.error().message);
  return exit_code(status);
}

}  // namespace hearth::cli
