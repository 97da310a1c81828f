// hearth tokenize: the ids of a text.
#include "base/error.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "fleet/find_model.h"

namespace hearth::cli {
namespace {

struct Options {
  std::string model, text;
  text::EncodeOptions encode{.add_special = false, .parse_special = false};
};

Status run(const Options& options) {
  ASSIGN_OR_RETURN(const auto file, fleet::open_model(options.model));
  ASSIGN_OR_RETURN(const auto tokenizer, text::Tokenizer::load(*file));
  const bool piped = options.text == "-";
  ASSIGN_OR_RETURN(const std::string text,
                   piped ? read_standard_input("the text") : text_from_outside(options.text, "the text"));
  for (const std::string& note : (*tokenizer).notes()) print_note("note: " + note);
  std::string line;
  for (const text::Token token : tokenizer->encode(text, options.encode)) {
    line += fmt::format("{}{}", line.empty() ? "" : " ", token);
  }
  return print(line + "\n");
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  add_model_argument(arguments, options->model);
  arguments.required_text("TEXT", options->text, "The text; - reads standard input");
  arguments.flag("--bos", options->encode.add_special, "Add the start (and end) token where the model wants it");
  arguments.flag("--special", options->encode.parse_special, "Read the texts of special tokens as these tokens");
  return [options] { return run(*options); };
}

const Command kCommand = {"tokenize", "Print the token ids of a text", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
