#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <list>
#include <map>
#include <span>

#include "base/error.h"

namespace hearth::cli {
namespace {

constexpr auto kLast = CLI::MultiOptionPolicy::TakeLast;
constexpr auto kAll = CLI::MultiOptionPolicy::TakeAll;

template <class T>
CLI::Option* add(CLI::App& app, const char* name, T& target, const std::string& summary) {
  CLI::Option* const option = app.add_option(name, target, summary);
  return name[0] == '-' ? option->multi_option_policy(kLast) : option;
}

}  // namespace

void Arguments::flag(const char* name, bool& target, const std::string& summary) {
  app_.add_flag(name, target, summary);
}

void Arguments::text(const char* name, std::string& target, const std::string& summary) {
  add(app_, name, target, summary);
}

void Arguments::text(const char* name, std::optional<std::string>& target, const std::string& summary) {
  // (CLI11 on its own would take an empty text for none.)
  app_.add_option_function<std::string>(
          name, [&target](const std::string& value) { target = value; }, summary)
      ->multi_option_policy(kLast);
}

void Arguments::required_text(const char* name, std::string& target, const std::string& summary) {
  add(app_, name, target, summary)->required();
}

void Arguments::choice(const char* name, std::string& target, std::initializer_list<const char*> values,
                       const std::string& summary) {
  add(app_, name, target, summary)->check(CLI::IsMember(std::vector<std::string>(values.begin(), values.end())));
}

void Arguments::required_choice(const char* name, std::string& target, std::initializer_list<const char*> values,
                                const std::string& summary) {
  choice(name, target, values, summary);
  app_.get_option(name)->required();
}

void Arguments::number(const char* name, uint32_t& target, uint32_t least, uint32_t most, const std::string& summary) {
  add(app_, name, target, summary)->check(CLI::Range(least, most));
}

void Arguments::number(const char* name, int& target, int least, int most, const std::string& summary) {
  add(app_, name, target, summary)->check(CLI::Range(least, most));
}

void Arguments::numbers(const char* name, std::vector<uint32_t>& target, uint32_t least, uint32_t most,
                        const std::string& summary) {
  const auto check = [range = CLI::Range(least, most)](const std::string& list) {
    for (const std::string& item : CLI::detail::split(list, ',')) {
      if (std::string problem = range(item); !problem.empty()) return problem;
    }
    return std::string();
  };
  const auto take = [&target](const std::string& list) {
    target.clear();
    for (const std::string& item : CLI::detail::split(list, ','))
      target.push_back(static_cast<uint32_t>(std::stoul(item)));
  };
  app_.add_option_function<std::string>(name, take, summary)
      ->multi_option_policy(kLast)
      ->check(check, fmt::format("UINT in [{} - {}]", least, most))
      ->type_name("LIST");
}

// (With extra arguments allowed, CLI11 would take the brackets off a text like "[END]".)
void Arguments::each(const char* name, const char* type, std::function<Status(const std::string&)> take,
                     const std::string& summary, const char* group) {
  const auto take_all = [take = std::move(take)](const std::vector<std::string>& values) {
    for (const std::string& value : values) {
      if (const Status status = take(value); !status) throw CLI::ValidationError(status.error().message);
    }
  };
  app_.add_option_function<std::vector<std::string>>(name, take_all, summary)
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(kAll)
      ->type_name(type)
      ->group(group);
}

// CLI11 takes apart a word like "[INST]" where several values are allowed. Its check sees every word as it was
// written, when it is met, and then once more each of what it has made of them: those are cut off.
void Arguments::words(const char* name, std::vector<std::string>& target, const std::string& summary) {
  const auto taken_apart = std::make_shared<std::vector<std::string>>();
  const auto note = [&target](const std::string& word) {
    target.push_back(word);
    return std::string();  // nothing to complain about
  };
  app_.validate_positionals();
  const CLI::Option* const option = app_.add_option(name, *taken_apart, summary)->check(note, "");
  app_.final_callback([&target, option, taken_apart] { target.resize(target.size() - option->count()); });
}

void Arguments::exclude(const char* one, const char* other) {
  app_.get_option(one)->excludes(app_.get_option(other));
}

struct ArgumentParser::Impl {
  CLI::App app;
  bool version = false, verbose = false;
  std::list<Arguments> commands;  // which stay where they are

  Impl(const char* program, const char* summary) : app(summary, program) {}
  Error usage_error(const CLI::ParseError& problem, std::span<char* const> arguments) const;
};

namespace {

// CLI11 calls an option by its long name, whichever of its names was given.
void name_as_given(std::string& text, const CLI::App& command, std::span<char* const> arguments) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_lnames().empty() || option->get_snames().empty()) continue;
    const std::string name = "--" + option->get_lnames()[0], brief = "-" + option->get_snames()[0];
    const size_t at = text.find(name);
    const bool given = std::ranges::any_of(
        arguments, [&](const char* argument) { return std::string_view(argument).starts_with(brief); });
    if (at != std::string::npos && given) text.replace(at, name.size(), brief);
  }
}

}  // namespace

// What CLI11 says, as one line in our form.
Error ArgumentParser::Impl::usage_error(const CLI::ParseError& problem, std::span<char* const> arguments) const {
  std::string text = problem.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) text.pop_back();
  std::string command = app.get_name();
  for (const CLI::App* sub : app.get_subcommands()) {
    command += " " + sub->get_name();
    name_as_given(text, *sub, arguments);
  }
  return error(ErrorKind::kUsage, "{} (see {} --help)", text, command);
}

ArgumentParser::ArgumentParser(const char* program, const char* summary)
    : impl_(std::make_unique<Impl>(program, summary)) {
  CLI::App& app = impl_->app;
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.get_formatter()->column_width(34);
  app.add_flag("-v,--version", impl_->version, "Print the version and what this build can do, and exit");
  app.add_flag("--verbose", impl_->verbose, "With --version: also its commit, GPU targets and libraries");
  app.require_subcommand(0, 1);
}

ArgumentParser::~ArgumentParser() = default;

Arguments& ArgumentParser::add_command(const std::string& name, const char* summary) {
  return impl_->commands.emplace_back(*impl_->app.add_subcommand(name, summary));
}

Result<Invocation> ArgumentParser::parse(int argc, char** argv) {
  Invocation asked;
  try {
    impl_->app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    asked.help = impl_->app.help();  // of the command, if one was given
    return asked;
  } catch (const CLI::ParseError& problem) {
    return impl_->usage_error(problem, {argv, static_cast<size_t>(argc)});
  }
  asked.version = impl_->version;
  asked.verbose = impl_->verbose;
  const auto chosen = impl_->app.get_subcommands();
  if (!chosen.empty()) asked.command = chosen[0]->get_name();
  return asked;
}

}  // namespace hearth::cli
