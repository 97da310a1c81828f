// What goes to the user: results on standard output, messages on standard error.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::cli {

// Writes all of `text` to standard output at once (no buffer). Errors: kCancelled without a message if the
// reader has gone (a closed pipe ends a command quietly), kIo naming the cause (a full disk) otherwise.
Status print(std::string_view text);
Error output_error(int code);  // the error of a failed write to standard output

// "hearth: <message>" on standard error; the name in red on a terminal.
void print_error(std::string_view message);
// A line on standard error. Neither writes what could steer a terminal (see printable()), whatever names are in it.
void print_note(std::string_view message);

bool is_terminal(int fd);
// Whether escape codes may be written to `fd`: a terminal that is not "dumb", and NO_COLOR is not set
// (https://no-color.org).
bool has_colours(int fd);
bool knows_escapes(int fd);     // the same whatever NO_COLOR says
size_t terminal_width(int fd);  // columns; 80 if unknown

}  // namespace hearth::cli
