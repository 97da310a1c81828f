#include "chat/value_writer.h"

#include "chat/input.h"
#include "chat/json_scanner.h"

namespace hearth::chat {

ValueWriter::ValueWriter(const Parameter* parameter, bool strips) : strips_(strips) {
  const Parameter any;
  const Parameter& kind = parameter == nullptr ? any : *parameter;
  form_ = !kind.typed()            ? Form::kGuess
          : kind.text && kind.null ? Form::kTextOrNull
          : kind.text              ? Form::kText
                                   : Form::kJson;
}

void ValueWriter::text(std::string_view part, std::string* out) {
  if (part.empty()) return;
  if (!began_ && strips_ && part[0] == '\n') part.remove_prefix(1);
  began_ = true;
  held_ += part;
  if (form_ == Form::kJson) return;
  if (form_ == Form::kGuess) {
    const size_t first = held_.find_first_not_of(kSpace);
    if (first == std::string::npos) return;
    form_ = held_[first] == '{' || held_[first] == '[' ? Form::kJson : Form::kText;
    if (form_ == Form::kJson) return;
  }
  if (form_ == Form::kTextOrNull && std::string_view("null\n").starts_with(held_)) return;
  form_ = Form::kText;
  const size_t kept = strips_ && held_.ends_with('\n') ? 1 : 0;
  write(std::string_view(held_).substr(0, held_.size() - kept), out);
  held_.erase(0, held_.size() - kept);
}

void ValueWriter::write(std::string_view part, std::string* out) {
  if (!open_) out->push_back('"');
  open_ = true;
  append_escaped(part, out);
}

void ValueWriter::end(std::string* out) {
  if (strips_ && held_.ends_with('\n')) held_.pop_back();
  const bool null = form_ == Form::kTextOrNull && held_ == "null";
  const auto json = null || form_ == Form::kJson ? as_json(held_) : std::nullopt;
  if (json) {
    out->append(*json);
    return;
  }
  write(held_, out);
  out->push_back('"');
}

}  // namespace hearth::chat
