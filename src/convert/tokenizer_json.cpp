#include <openssl/evp.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "convert/json_file.h"
#include "convert/vocabulary.h"

namespace hearth::convert {
namespace {

namespace json = boost::json;

constexpr std::string_view kSpaceSign = "\u2581";

using Objects = std::vector<Json>;

Result<std::string> decode_base64(std::string_view text) {
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::string out(text.size() / 4 * 3, '\0');
  const int bytes =
      text.size() > INT32_MAX || text.size() % 4 != 0
          ? -1
          : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                            reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (bytes < static_cast<int>(padding)) return error(ErrorKind::kInvalidData, "it is no base64");
  out.resize(static_cast<size_t>(bytes) - padding);
  return out;
}

class Reader {
 public:
  Reader(const Json& file, bool sentencepiece) : file_(file), sentencepiece_(sentencepiece) {}

  Result<TokenizerJson> read() {
    ASSIGN_OR_RETURN(const std::optional<Json> model, file_.child("model"));
    if (!model) return file_.invalid("model", "is missing");
    ASSIGN_OR_RETURN(const std::string type, model->text_or("type", "BPE"));
    ASSIGN_OR_RETURN(steps_, sequence("pre_tokenizer", "pretokenizers"));
    ASSIGN_OR_RETURN(normalizers_, sequence("normalizer", "normalizers"));
    TRY(read_added());
    TRY(read_template());
    const bool bytes = std::ranges::any_of(steps_, [](const Json& step) { return is(step, "ByteLevel"); });
    if (type != "BPE" && type != "Unigram") return unsupported("model of type", type);
    if (sentencepiece_ && !bytes) {
      ASSIGN_OR_RETURN(out_.add_space, adds_space());
      return finish(false);
    }
    if (type == "Unigram") {
      TRY(read_unigram(*model));
    } else if (bytes) {
      TRY(read_byte_level(*model));
    } else {
      TRY(read_spaced(*model));
    }
    return finish(true);
  }

 private:
  static bool is(const Json& step, std::string_view type) {
    const auto name = step.text_or("type", "");
    return name && *name == type;
  }

  Error unsupported(std::string_view what, std::string_view name) const {
    return error(ErrorKind::kUnsupported, "{}: a {} '{}' is not supported", file_.file(), what, name);
  }

  Result<TokenizerJson> finish(bool whole) {
    if (whole) TRY(out_.add(added_));
    return TokenizerJson{std::move(out_), std::move(added_)};
  }

  // The member, or what it is a Sequence of.
  Result<Objects> sequence(const char* key, const char* list) const {
    Objects all;
    ASSIGN_OR_RETURN(const std::optional<Json> whole, file_.child(key));
    if (!whole) return all;
    if (!is(*whole, "Sequence")) {
      all.push_back(*whole);
      return all;
    }
    const json::value* elements = whole->find(list);
    if (elements == nullptr || !elements->is_array()) return whole->invalid(list, "is no list");
    for (const json::value& element : elements->get_array()) {
      if (!element.is_object()) return whole->invalid(list, "holds what is no object");
      all.emplace_back(element.get_object(), file_.file(), std::string(key) + ".");
    }
    return all;
  }

  Status read_added() {
    const json::value* list = file_.find("added_tokens");
    if (list == nullptr) return {};
    if (!list->is_array()) return file_.invalid("added_tokens", "is no list");
    for (const json::value& element : list->get_array()) {
      if (!element.is_object()) return file_.invalid("added_tokens", "holds what is no object");
      const Json token(element.get_object(), file_.file(), "added_tokens.");
      AddedToken added;
      ASSIGN_OR_RETURN(added.id, token.count("id", 0, kMost_tokens - 1));
      ASSIGN_OR_RETURN(added.text, token.text("content"));
      ASSIGN_OR_RETURN(added.special, token.boolean_or("special", false));
      added_.push_back(std::move(added));
    }
    return {};
  }

  // What is put before and behind one text: "single": [{"SpecialToken":{"id":"<s>"}}, {"Sequence":{"id":"A"}}].
  Status read_template() {
    ASSIGN_OR_RETURN(const Objects processors, sequence("post_processor", "processors"));
    for (const Json& processor : processors) {
      const json::value* single = is(processor, "TemplateProcessing") ? processor.find("single") : nullptr;
      if (single == nullptr || !single->is_array()) continue;
      out_.add_bos = out_.add_eos = false;
      bool before = true;
      for (const json::value& part : single->get_array()) {
        const json::object* object = part.if_object();
        if (object == nullptr) continue;
        if (object->contains("Sequence")) before = false;
        if (object->contains("SpecialToken")) (before ? out_.add_bos : out_.add_eos) = true;
      }
    }
    return {};
  }

  Status read_vocabulary(const Json& model) {
    ASSIGN_OR_RETURN(const std::optional<Json> map, model.child("vocab"));
    if (!map || map->object().empty()) return model.invalid("vocab", "is missing");
    for (const json::key_value_pair& member : map->object()) {
      ASSIGN_OR_RETURN(const uint32_t id, map->count(std::string_view(member.key()), 0, kMost_tokens - 1));
      if (id >= out_.tokens.size()) {
        out_.tokens.resize(id + 1);
        out_.types.resize(id + 1, TokenType::kUnused);
      }
      if (out_.types[id] != TokenType::kUnused)
        return map->invalid(std::string_view(member.key()), "shares its number");
      out_.tokens[id] = member.key();
      out_.types[id] = TokenType::kNormal;
    }
    for (uint32_t id = 0; id < out_.tokens.size(); ++id)
      if (out_.types[id] == TokenType::kUnused) out_.tokens[id] = fmt::format("[PAD{}]", id);
    return {};
  }

  // Each is "left right", or in newer files ["left", "right"].
  Status read_merges(const Json& model, std::vector<std::pair<std::string, std::string>>* out) const {
    const json::value* list = model.find("merges");
    if (list == nullptr || !list->is_array()) return model.invalid("merges", "is no list");
    for (const json::value& element : list->get_array()) {
      std::pair<std::string, std::string> merge;
      if (element.is_string()) {
        const std::string_view text(element.get_string());
        const size_t space = text.find(' ', 1);
        if (space == std::string_view::npos) return model.invalid("merges", "holds what is no pair");
        merge = {std::string(text.substr(0, space)), std::string(text.substr(space + 1))};
      } else if (element.is_array() && element.get_array().size() == 2 && element.get_array()[0].is_string() &&
                 element.get_array()[1].is_string()) {
        merge = {std::string(element.get_array()[0].get_string()), std::string(element.get_array()[1].get_string())};
      } else {
        return model.invalid("merges", "holds what is no pair");
      }
      if (merge.first.empty() || merge.second.empty()) return model.invalid("merges", "holds what is no pair");
      out->push_back(std::move(merge));
    }
    return {};
  }

  Status read_byte_level(const Json& model) {
    out_.model = "gpt2";
    // Composition (NFC) leaves nearly all texts as they are, and no GGUF file asks for it.
    for (const Json& normalizer : normalizers_)
      if (!is(normalizer, "NFC")) return refuse_step("normalizer", normalizer);
    std::vector<std::string> steps;
    for (const Json& step : steps_) {
      ASSIGN_OR_RETURN(std::string name, step_name(step));
      steps.push_back(std::move(name));
    }
    ASSIGN_OR_RETURN(const bool ignore_merges, model.boolean_or("ignore_merges", false));
    out_.pre = pretokenizer_of(steps, ignore_merges);
    if (out_.pre.empty())
      return error(ErrorKind::kUnsupported, "{}: nothing here cuts words as its pre_tokenizer does: {}", file_.file(),
                   fmt::join(steps, ", then "));
    TRY(read_vocabulary(model));
    std::vector<std::pair<std::string, std::string>> merges;
    TRY(read_merges(model, &merges));
    for (const auto& [left, right] : merges) {
      if (left.find(' ') != std::string::npos || right.find(' ') != std::string::npos)
        return model.invalid("merges", "holds a space, which byte-level merges never do");
      out_.merges.push_back(left + " " + right);
    }
    return {};
  }

  Result<std::string> step_name(const Json& step) const {
    if (is(step, "Split")) {
      ASSIGN_OR_RETURN(const std::optional<Json> pattern, step.child("pattern"));
      ASSIGN_OR_RETURN(const std::string behaviour, step.text_or("behavior", "Isolated"));
      ASSIGN_OR_RETURN(const bool invert, step.boolean_or("invert", false));
      // "Removed" with inverted sense keeps the matches, which is the same where every character is matched.
      const bool usual = (behaviour == "Isolated" && !invert) || (behaviour == "Removed" && invert);
      if (!pattern || !pattern->has("Regex") || !usual) return refuse_step("pre-tokenizer", step);
      return pattern->text("Regex");
    }
    if (is(step, "Digits")) {
      ASSIGN_OR_RETURN(const bool each, step.boolean_or("individual_digits", false));
      return std::string(each ? "digits" : "runs of digits");
    }
    if (!is(step, "ByteLevel")) return refuse_step("pre-tokenizer", step);
    ASSIGN_OR_RETURN(const bool space, step.boolean_or("add_prefix_space", false));
    if (space) return error(ErrorKind::kUnsupported, "{}: add_prefix_space is not supported with bytes", file_.file());
    ASSIGN_OR_RETURN(const bool own, step.boolean_or("use_regex", true));
    return std::string(own ? "bytes" : "plain bytes");
  }

  Error refuse_step(const char* what, const Json& step) const {
    const auto name = step.text_or("type", "");
    return unsupported(what, name ? *name : "");
  }

  // Whether a text gets a space in front; also checks that nothing else is done to it but that spaces become signs.
  Result<bool> adds_space() const {
    bool adds = false;
    for (const Json& step : normalizers_) {
      if (is(step, "Prepend")) {
        ASSIGN_OR_RETURN(const std::string sign, step.text("prepend"));
        if (sign != kSpaceSign) return refuse_step("normalizer", step);
        adds = true;
      } else if (!is(step, "Replace") && !is(step, "Precompiled") && !is(step, "NFC")) {
        return refuse_step("normalizer", step);
      }
    }
    for (const Json& step : steps_) {
      if (is(step, "Metaspace")) {
        ASSIGN_OR_RETURN(const bool old, step.boolean_or("add_prefix_space", true));
        ASSIGN_OR_RETURN(const std::string scheme, step.text_or("prepend_scheme", old ? "always" : "never"));
        adds |= scheme != "never";
      } else if (!is(step, "Split") && !is(step, "WhitespaceSplit")) {
        return refuse_step("pre-tokenizer", step);
      }
    }
    return adds;
  }

  void mark_bytes() {
    for (size_t id = 0; id < out_.tokens.size(); ++id) {
      const std::string& text = out_.tokens[id];
      if (text.size() == 6 && text.starts_with("<0x") && text.ends_with('>') &&
          text.find_first_not_of("0123456789ABCDEF", 3) == 5)
        out_.types[id] = TokenType::kByte;
    }
  }

  // SentencePiece's BPE written as merges: what is merged earlier has the better score.
  Status read_spaced(const Json& model) {
    out_.model = "llama";
    ASSIGN_OR_RETURN(out_.add_space, adds_space());
    TRY(read_vocabulary(model));
    std::unordered_map<std::string_view, uint32_t> ids;
    for (uint32_t id = 0; id < out_.tokens.size(); ++id) ids.emplace(out_.tokens[id], id);
    std::vector<std::pair<std::string, std::string>> merges;
    TRY(read_merges(model, &merges));
    out_.scores.assign(out_.tokens.size(), 0);
    std::vector<bool> scored(out_.tokens.size(), false);
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      const auto found = ids.find(merges[rank].first + merges[rank].second);
      if (found == ids.end()) return model.invalid("merges", "make what is no token");
      if (scored[found->second]) continue;
      scored[found->second] = true;
      out_.scores[found->second] = -static_cast<float>(rank + 1);
    }
    mark_bytes();
    ASSIGN_OR_RETURN(const std::string unknown, model.text_or("unk_token", ""));
    if (const auto id = unknown.empty() ? std::nullopt : out_.find(unknown)) {
      out_.unknown = id;
      out_.types[*id] = TokenType::kUnknown;
    }
    return {};
  }

  // [["<unk>", 0.0], ["\u2581the", -3.2], ...]
  Status read_unigram(const Json& model) {
    out_.model = "t5";
    ASSIGN_OR_RETURN(out_.add_space, adds_space());
    const json::value* list = model.find("vocab");
    if (list == nullptr || !list->is_array() || list->get_array().size() > kMost_tokens || list->get_array().empty())
      return model.invalid("vocab", "is no list of tokens");
    for (const json::value& element : list->get_array()) {
      const json::array* pair = element.if_array();
      if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_number())
        return model.invalid("vocab", "holds what is no token with its score");
      out_.tokens.emplace_back((*pair)[0].get_string());
      out_.scores.push_back((*pair)[1].to_number<float>());
      out_.types.push_back(TokenType::kNormal);
    }
    mark_bytes();
    if (model.has("unk_id")) {
      ASSIGN_OR_RETURN(out_.unknown, model.count("unk_id", 0, static_cast<uint32_t>(out_.tokens.size() - 1)));
      out_.types[*out_.unknown] = TokenType::kUnknown;
    }
    out_.merge_spaces = true;
    for (const Json& step : normalizers_) {
      if (!is(step, "Precompiled")) continue;
      ASSIGN_OR_RETURN(const std::string encoded, step.text("precompiled_charsmap"));
      auto map = decode_base64(encoded);
      if (!map) return step.invalid("precompiled_charsmap", "is no base64");
      out_.charsmap = std::move(map).value();
    }
    return {};
  }

  const Json& file_;
  const bool sentencepiece_;
  Objects steps_, normalizers_;
  std::vector<AddedToken> added_;
  Vocabulary out_;
};

}  // namespace

Result<TokenizerJson> parse_tokenizer_json(std::string_view text, const std::string& name, bool sentencepiece) {
  ASSIGN_OR_RETURN(const json::object object, parse_json_object(text, name));
  const Json file(object, name);
  return Reader(file, sentencepiece).read();
}

}  // namespace hearth::convert
