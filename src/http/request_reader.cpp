#include "http/request_reader.h"

#include <fmt/format.h>

#include <boost/beast/http/parser.hpp>
#include <tuple>

#include "base/text.h"
#include "http/target.h"

namespace hearth::http {

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
using Code = boost::system::error_code;

// A body as Beast's parser fills it.
struct SpooledBody {
  struct value_type {
    Body body;
    uint64_t most_bytes = 0;
    const Settings* settings = nullptr;
    Status status;
    bool too_large = false;
  };
  class reader {
   public:
    template <bool isRequest, class Fields>
    reader(beast::http::header<isRequest, Fields>&, value_type& value) : value_(value) {}
    void init(const boost::optional<uint64_t>&, Code& error) { error = {}; }
    template <class Buffers>
    size_t put(const Buffers& buffers, Code& error) {
      size_t bytes = 0;
      for (auto it = net::buffer_sequence_begin(buffers); it != net::buffer_sequence_end(buffers); ++it) {
        const net::const_buffer part = *it;
        if (part.size() > value_.most_bytes - value_.body.size()) {
          value_.too_large = true;
          error = beast::http::error::body_limit;
          return bytes;
        }
        value_.status = value_.body.append({static_cast<const char*>(part.data()), part.size()},
                                           value_.settings->memory_body_bytes, value_.settings->body_folder);
        if (!value_.status) {
          error = beast::http::error::bad_alloc;
          return bytes;
        }
        bytes += part.size();
      }
      error = {};
      return bytes;
    }
    void finish(Code& error) { error = {}; }

   private:
    value_type& value_;
  };
};

}  // namespace

struct RequestReader::Parser : beast::http::request_parser<SpooledBody> {};

RequestReader::RequestReader(const Settings& settings) : settings_(settings) {}
RequestReader::~RequestReader() = default;

void RequestReader::expect() {
  parser_ = std::make_unique<Parser>();
  parser_->header_limit(static_cast<std::uint32_t>(settings_.header_bytes));
  parser_->body_limit(boost::none);
  parser_->eager(false);
  head_told_ = false;
  body_progress_ = 0;
}

void RequestReader::commit(size_t bytes) {
  buffer_.commit(net::buffer_copy(buffer_.prepare(bytes), net::buffer(chunk_, bytes)));
}

RequestReader::Progress RequestReader::advance() {
  for (;;) {
    if (head_told_ && has_body()) return Progress::kRequest;
    Code error;
    const size_t before = buffer_.size();
    const size_t used = parser_->put(buffer_.data(), error);
    buffer_.consume(used);
    if (error && error != beast::http::error::need_more) return refuse(error);
    if (!head_told_ && has_head()) {
      head_told_ = true;
      return Progress::kHead;
    }
    if (head_told_) body_progress_ += used;
    if (has_body() || (used > 0 && buffer_.size() > 0)) continue;
    if (before > settings_.header_bytes + chunk_.size()) return refuse(431, "a line of the request is too long");
    return Progress::kMore;
  }
}

bool RequestReader::has_head() const {
  return parser_ && parser_->is_header_done();
}
bool RequestReader::has_body() const {
  return parser_ && parser_->is_done();
}
Body& RequestReader::body() {
  return parser_->get().body().body;
}

AskedFraming RequestReader::framing() const {
  const auto& message = parser_->get();
  return {.keeps_alive = parser_->keep_alive(),
          .old_version = message.version() < 11,
          .is_head = message.method() == beast::http::verb::head};
}

RequestReader::Progress RequestReader::refuse(unsigned status, std::string message) {
  refusal_ = {status, std::move(message)};
  return Progress::kRefused;
}

RequestReader::Progress RequestReader::refuse_size() {
  return refuse(413, fmt::format("the body is larger than the {} that are allowed here",
                                 size_text(parser_->get().body().most_bytes)));
}

RequestReader::Progress RequestReader::refuse(const Code& error) {
  const auto& body = parser_->get().body();
  if (body.too_large) return refuse_size();
  if (!body.status) return refuse(status_of(body.status.error()), body.status.error().message);
  if (error == beast::http::error::header_limit)
    return refuse(431, fmt::format("the header is larger than {}", size_text(settings_.header_bytes)));
  return refuse(400, fmt::format("this is no valid HTTP request: {}", error.message()));
}

void RequestReader::read_head(RequestHead& head) const {
  const auto& message = parser_->get();
  head.method = std::string(message.method_string());
  std::tie(head.path, head.query) = split_target({message.target().data(), message.target().size()});
  for (const auto& field : message) head.headers.add(std::string(field.name_string()), std::string(field.value()));
  if (const auto length = parser_->content_length()) head.content_length = *length;
}

unsigned RequestReader::status_of(const Error& why) {
  if (why.kind == ErrorKind::kUsage) return 400;
  return why.kind == ErrorKind::kNoMemory ? 503 : 507;
}

bool RequestReader::admit_body(uint64_t most_bytes, std::shared_ptr<BodySink> sink) {
  auto& body = parser_->get().body();
  body.most_bytes = most_bytes;
  body.settings = &settings_;
  const auto length = parser_->content_length();
  body.body.set_sink(std::move(sink));
  body.body.expect(length ? *length : 0);
  if (!length || *length <= most_bytes) return true;
  refuse_size();
  return false;
}

}  // namespace hearth::http
