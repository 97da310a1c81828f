// tokenizer.model: a protocol buffer. Fields:
// https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto Encoding:
// https://protobuf.dev/programming-guides/encoding/
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "convert/vocabulary.h"

namespace hearth::convert {
namespace {

// One field of a message.
struct Field {
  uint32_t number = 0, wire = 0;  // wire: 0 number, 1 eight bytes, 2 bytes, 5 four bytes
  uint64_t value = 0;
  std::string_view bytes;

  float as_float() const {
    float out = 0;
    if (bytes.size() == sizeof out) std::memcpy(&out, bytes.data(), sizeof out);
    return out;
  }
};

class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  // False at the end; then broken() tells whether the message ended where it should.
  bool next(Field& field) {
    if (rest_.empty() || broken_) return false;
    uint64_t tag = 0;
    if (!number(tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX) return fail();
    field = {static_cast<uint32_t>(tag >> 3), static_cast<uint32_t>(tag & 7), 0, {}};
    switch (field.wire) {
      case 0:
        return number(field.value) || fail();
      case 1:
        return take(8, field) || fail();
      case 2:
        return (number(field.value) && take(field.value, field)) || fail();
      case 5:
        return take(4, field) || fail();
      default:
        return fail();
    }
  }
  bool broken() const { return broken_; }

 private:
  bool fail() {
    broken_ = true;
    return false;
  }
  bool number(uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return false;
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      out |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }
  bool take(uint64_t size, Field& field) {
    if (size > rest_.size()) return false;
    field.bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
  bool broken_ = false;
};

enum ModelField : uint32_t { kPieces = 1, kTrainer = 2, kNormalizer = 3 };
enum TrainerField : uint32_t { kModelType = 3, kUnknownId = 40, kBosId = 41, kEosId = 42, kPadId = 43 };
enum NormalizerField : uint32_t { kCharsmap = 2, kDummyPrefix = 3, kExtraWhitespaces = 4 };

class Reader {
 public:
  explicit Reader(const std::string& name) : name_(name) {
    vocabulary_.unknown = 0;
    vocabulary_.bos = 1;
    vocabulary_.eos = 2;
    vocabulary_.merge_spaces = true;
  }

  Result<Vocabulary> read(std::string_view bytes) {
    Message model(bytes);
    for (Field field; model.next(field);) {
      if (field.wire != 2) continue;
      if (field.number == kPieces) TRY(piece(field.bytes));
      if (field.number == kTrainer) TRY(trainer(field.bytes));
      if (field.number == kNormalizer) TRY(normalizer(field.bytes));
    }
    if (model.broken() || vocabulary_.tokens.empty())
      return error(ErrorKind::kInvalidData, "{}: it is no SentencePiece model", name_);
    for (std::optional<uint32_t>* id : {&vocabulary_.unknown, &vocabulary_.bos, &vocabulary_.eos, &vocabulary_.padding})
      if (*id && **id >= vocabulary_.tokens.size()) id->reset();
    if (vocabulary_.model == "llama") vocabulary_.charsmap.clear();
    return std::move(vocabulary_);
  }

 private:
  Error broken(const char* what) const { return error(ErrorKind::kInvalidData, "{}: a broken {}", name_, what); }

  Status piece(std::string_view bytes) {
    Message message(bytes);
    std::string_view text;
    float score = 0;
    uint64_t type = static_cast<uint64_t>(TokenType::kNormal);
    for (Field field; message.next(field);) {
      if (field.number == 1 && field.wire == 2) text = field.bytes;
      if (field.number == 2 && field.wire == 5) score = field.as_float();
      if (field.number == 3 && field.wire == 0) type = field.value;
    }
    if (message.broken() || type < 1 || type > 6 || !std::isfinite(score)) return broken("piece");
    if (vocabulary_.tokens.size() >= kMost_tokens) return broken("list of pieces: it is too long");
    vocabulary_.tokens.emplace_back(text);
    vocabulary_.scores.push_back(score);
    vocabulary_.types.push_back(static_cast<TokenType>(type));
    return {};
  }

  Status trainer(std::string_view bytes) {
    Message message(bytes);
    uint64_t type = 1;
    const auto id = [](uint64_t value) {  // -1: there is none
      return value < kMost_tokens ? std::optional(static_cast<uint32_t>(value)) : std::nullopt;
    };
    for (Field field; message.next(field);) {
      if (field.wire != 0) continue;
      if (field.number == kModelType) type = field.value;
      if (field.number == kUnknownId) vocabulary_.unknown = id(field.value);
      if (field.number == kBosId) vocabulary_.bos = id(field.value);
      if (field.number == kEosId) vocabulary_.eos = id(field.value);
      if (field.number == kPadId) vocabulary_.padding = id(field.value);
    }
    if (message.broken()) return broken("trainer's part");
    if (type != 1 && type != 2)
      return error(ErrorKind::kUnsupported, "{}: a SentencePiece model of words or characters is not supported", name_);
    vocabulary_.model = type == 1 ? "t5" : "llama";
    return {};
  }

  Status normalizer(std::string_view bytes) {
    Message message(bytes);
    for (Field field; message.next(field);) {
      if (field.number == kCharsmap && field.wire == 2) vocabulary_.charsmap = field.bytes;
      if (field.number == kDummyPrefix && field.wire == 0) vocabulary_.add_space = field.value != 0;
      if (field.number == kExtraWhitespaces && field.wire == 0) vocabulary_.merge_spaces = field.value != 0;
    }
    return message.broken() ? Status(broken("normalizer's part")) : Status();
  }

  const std::string& name_;
  Vocabulary vocabulary_;
};

}  // namespace

Result<Vocabulary> parse_sentencepiece(std::string_view bytes, const std::string& name) {
  ASSIGN_OR_RETURN(Vocabulary vocabulary, Reader(name).read(bytes));
  if (vocabulary.model.empty())
    return error(ErrorKind::kInvalidData, "{}: it does not say which kind of SentencePiece model it is", name);
  // Added tokens count as parts of text as they are written.
  std::vector<AddedToken> own;
  for (uint32_t id = 0; id < vocabulary.tokens.size(); ++id)
    if (vocabulary.types[id] == TokenType::kUserDefined) own.push_back({id, vocabulary.tokens[id], false});
  TRY(vocabulary.add(own));
  return vocabulary;
}

}  // namespace hearth::convert
