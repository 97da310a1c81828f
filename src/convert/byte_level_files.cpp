// vocab.json and merges.txt, as GPT-2 and DialoGPT come with.
#include "base/error.h"
#include "base/outside_text.h"
#include "convert/json_file.h"
#include "convert/vocabulary.h"

namespace hearth::convert {

Result<Vocabulary> parse_byte_level(std::string_view vocab, std::string_view merges, std::string_view pre,
                                    const std::string& folder) {
  const std::string name = folder + "/vocab.json";
  ASSIGN_OR_RETURN(const boost::json::object object, parse_json_object(vocab, name));
  Vocabulary out;
  out.model = "gpt2";
  out.pre = pre;
  const Json json(object, name);
  for (const boost::json::key_value_pair& member : object) {
    ASSIGN_OR_RETURN(const uint32_t id, json.count(std::string_view(member.key()), 0, kMost_tokens - 1));
    if (id >= out.tokens.size()) {
      out.tokens.resize(id + 1);
      out.types.resize(id + 1, TokenType::kUnused);
    }
    if (out.types[id] != TokenType::kUnused)
      return error(ErrorKind::kInvalidData, "{}: two tokens have number {}", name, id);
    out.tokens[id] = member.key();
    out.types[id] = TokenType::kNormal;
  }
  if (object.empty()) return error(ErrorKind::kInvalidData, "{}: it has no tokens", name);
  for (uint32_t id = 0; id < out.tokens.size(); ++id)
    if (out.types[id] == TokenType::kUnused) out.tokens[id] = fmt::format("[PAD{}]", id);
  while (!merges.empty()) {
    const size_t end = std::min(merges.find('\n'), merges.size());
    std::string line(merges.substr(0, end));
    merges.remove_prefix(std::min(end + 1, merges.size()));
    drop_line_end(line);
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t space = line.find(' ');
    if (space == std::string::npos || space == 0 || space + 1 == line.size())
      return error(ErrorKind::kInvalidData, "{}/merges.txt: '{}' is no pair", folder, printable(line.substr(0, 80)));
    out.merges.push_back(std::move(line));
  }
  return out;
}

}  // namespace hearth::convert
