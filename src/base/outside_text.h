// Text that comes from outside: files, standard input, arguments, what models bring along.
#pragma once

#include <string>
#include <string_view>

namespace hearth {

// Without what could steer a terminal: control characters (also those of ISO 8859-1, 0x80 to 0x9F) and bytes that begin
// no UTF-8 sequence are written as \xNN. Those in `allowed` stay.
std::string printable(std::string_view text, std::string_view allowed = "");

// The mark U+FEFF that Windows programs put at the start of a text.
void drop_byte_order_mark(std::string& text);
// The end of the last line, if it has one: LF or CR LF; a CR alone is what a shell leaves of CR LF.
void drop_line_end(std::string& text);
// "UTF-16" or "UTF-32", if the text is written in it, as Windows programs do: with a mark, or in Latin letters; else
// null.
const char* wide_encoding(std::string_view text);

}  // namespace hearth
