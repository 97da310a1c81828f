#include "http/connection.h"

#include <fmt/format.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <new>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "http/outbox.h"
#include "http/target.h"
#include "http/transport.h"

namespace hearth::http {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
using tcp = net::ip::tcp;
using Clock = std::chrono::steady_clock;
using Code = boost::system::error_code;

constexpr size_t kId_digits = 32;
constexpr size_t kRead_bytes = 8 << 10, kWrite_bytes = 64 << 10;

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
using Parser = beast::http::request_parser<SpooledBody>;

class ConnectionImpl : public Connection, public std::enable_shared_from_this<ConnectionImpl> {
 public:
  ConnectionImpl(std::shared_ptr<Shared> shared, tcp::socket socket)
      : shared_(std::move(shared)),
        settings_(shared_->settings),
        transport_(std::move(socket), shared_->tls()),
        timer_(transport_.executor()),
        ping_timer_(transport_.executor()) {}
  ~ConnectionImpl() override {
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->connections.erase(this);
    }
    end_exchange();
  }

  void begin() {
    Code ignored;
    transport_.socket().set_option(tcp::no_delay(true), ignored);
    transport_.socket().set_option(net::socket_base::keep_alive(true), ignored);
    describe_ends();
    if (!transport_.encrypted()) return expect_request();
    set_deadline(settings_.header);
    transport_.handshake([self = shared_from_this()](const Code& error) {
      if (self->phase_ == Phase::kClosed) return;
      if (error) return self->close();
      self->expect_request();
    });
  }

  void drain() override {
    on_strand([](ConnectionImpl& c) {
      if (c.phase_ == Phase::kBody) return c.refuse(503, "the server is shutting down");
      if (c.phase_ == Phase::kHandshake || c.phase_ == Phase::kIdle || c.phase_ == Phase::kHeader) c.close();
    });
  }
  void shed() override {
    on_strand([](ConnectionImpl& c) {
      if (c.phase_ == Phase::kIdle && c.served_) c.close();
    });
  }
  void close_now() override {
    on_strand([](ConnectionImpl& c) { c.close(); });
  }

 private:
  enum class Phase { kHandshake, kIdle, kHeader, kBody, kAnswering, kLingering, kClosed };

  template <class Call>
  void on_strand(Call call) {
    net::post(transport_.executor(), [self = shared_from_this(), call] { call(*self); });
  }

  void describe_ends() {
    Code error;
    const tcp::endpoint remote = transport_.socket().remote_endpoint(error);
    if (!error) {
      ends_.remote_address = remote.address().to_string();
      ends_.remote_loopback = remote.address().is_loopback();
    }
    const tcp::endpoint local = transport_.socket().local_endpoint(error);
    if (!error) ends_.local_loopback = local.address().is_loopback();
  }

  // --- times

  void set_deadline(std::chrono::milliseconds from_now) {
    deadline_ = Clock::now() + from_now;
    if (!timer_armed_ || deadline_ < timer_.expiry()) arm_timer();
  }
  void clear_deadline() { deadline_ = Clock::time_point::max(); }

  void arm_timer() {
    timer_armed_ = true;
    timer_.expires_at(deadline_);
    timer_.async_wait([self = shared_from_this()](const Code& error) {
      if (error) return;  // it was armed again, or the connection is closed
      self->timer_armed_ = false;
      if (self->deadline_ == Clock::time_point::max()) return;
      if (Clock::now() < self->deadline_) return self->arm_timer();
      self->on_deadline();
    });
  }

  void on_deadline() {
    switch (phase_) {
      case Phase::kHeader:
      case Phase::kBody:
        return refuse(408, "the request did not arrive in time");
      default:
        close();
    }
  }

  void arm_ping() {
    if (ping_.interval.count() == 0 || ping_.bytes.empty() || drops_content_) return;
    ping_timer_.expires_at(last_sent_ + ping_.interval);
    ping_timer_.async_wait([self = shared_from_this(), outbox = outbox_](const Code& error) {
      if (error || self->outbox_ != outbox || outbox == nullptr) return;
      if (Clock::now() - self->last_sent_ >= self->ping_.interval) {
        if (!self->writing_) self->send_piece(self->ping_.bytes);
        self->last_sent_ = Clock::now();
      }
      self->arm_ping();
    });
  }

  // --- reading

  void expect_request() {
    phase_ = Phase::kIdle;
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(settings_.header_bytes));
    parser_->body_limit(boost::none);
    parser_->eager(false);
    if (shared_->draining) return close();
    set_deadline(served_ ? settings_.idle : settings_.header);
    on_bytes();
  }

  void read_more() {
    if (reading_ || phase_ == Phase::kClosed || read_ended_) return;
    if (phase_ == Phase::kAnswering && buffer_.size() >= settings_.pipelined_bytes) return;
    reading_ = true;
    transport_.read_some(net::buffer(chunk_), [self = shared_from_this()](const Code& error, size_t bytes) {
      self->reading_ = false;
      if (error) return self->on_read_end();
      self->on_chunk(bytes);
    });
  }

  // The client has closed its side, or all of the connection; the system does not say which.
  void on_read_end() {
    read_ended_ = true;
    switch (phase_) {
      case Phase::kAnswering:
        if (outbox_) {
          const auto outbox = outbox_;
          outbox->set_gone();
        }
        return;
      case Phase::kClosed:
        return;
      default:
        close();
    }
  }

  void on_chunk(size_t bytes) {
    try {
      // A read may be under way while the buffer is parsed, so it reads elsewhere.
      buffer_.commit(net::buffer_copy(buffer_.prepare(bytes), net::buffer(chunk_, bytes)));
      on_bytes();
    } catch (const std::bad_alloc&) {
      refuse(503, "there is not enough memory to read the request");
    }
  }

  void on_bytes() {
    switch (phase_) {
      case Phase::kIdle:
        if (buffer_.size() == 0) return read_more();
        phase_ = Phase::kHeader;
        set_deadline(settings_.header);
        return parse();
      case Phase::kHeader:
      case Phase::kBody:
        return parse();
      case Phase::kAnswering:
        return read_more();
      case Phase::kLingering:
        buffer_.consume(buffer_.size());
        return read_more();
      case Phase::kHandshake:
      case Phase::kClosed:
        return;
    }
  }

  void parse() {
    while (phase_ == Phase::kHeader || phase_ == Phase::kBody) {
      Code error;
      const size_t before = buffer_.size();
      const size_t used = parser_->put(buffer_.data(), error);
      buffer_.consume(used);
      if (error == beast::http::error::need_more) error = {};
      if (error) return on_bad_request(error);
      if (phase_ == Phase::kHeader && parser_->is_header_done()) {
        if (!on_header()) return;
        continue;
      }
      if (phase_ == Phase::kBody) {
        if (parser_->is_done()) return on_request();
        extend_body_deadline(used);
      }
      if (used > 0 && buffer_.size() > 0) continue;
      if (before > settings_.header_bytes + kRead_bytes) return refuse(431, "a line of the request is too long");
      return read_more();
    }
  }

  void on_bad_request(const Code& error) {
    const auto& body = parser_->get().body();
    if (body.too_large) return refuse_size();
    if (!body.status) return refuse(507, body.status.error().message);
    if (error == beast::http::error::header_limit) {
      return refuse(431, fmt::format("the header is larger than {}", size_text(settings_.header_bytes)));
    }
    refuse(400, fmt::format("this is no valid HTTP request: {}", error.message()));
  }

  void refuse_size() {
    refuse(413, fmt::format("the body is larger than the {} that are allowed here",
                            size_text(parser_->get().body().most_bytes)));
  }

  // False if the request is answered without its body.
  bool on_header() {
    read_head();
    if (shared_->draining) {
      refuse(503, "the server is shutting down");
      return false;
    }
    auto admitted = shared_->handler.admit(head_);
    if (auto* response = std::get_if<Response>(&admitted)) {
      answer_unread(std::move(*response));
      return false;
    }
    auto& body = parser_->get().body();
    auto& admission = std::get<Admission>(admitted);
    body.most_bytes = admission.most_body_bytes;
    told_always_ = std::move(admission.headers);
    body.settings = &settings_;
    if (head_.content_length && *head_.content_length > body.most_bytes) {
      refuse_size();
      return false;
    }
    if (!answer_expectation()) return false;
    phase_ = Phase::kBody;
    progress_bytes_ = 0;
    set_deadline(settings_.body_progress);
    if (parser_->is_done()) {
      on_request();
      return false;
    }
    return true;
  }

  void read_head() {
    head_ = ends_;
    head_.id = random_hex(kId_digits);
    told_always_ = {};
    const auto& message = parser_->get();
    head_.method = std::string(message.method_string());
    std::tie(head_.path, head_.query) = split_target({message.target().data(), message.target().size()});
    for (const auto& field : message) {
      head_.headers.add(std::string(field.name_string()), std::string(field.value()));
    }
    if (const auto length = parser_->content_length()) head_.content_length = *length;
    keeps_alive_ = parser_->keep_alive();
    old_version_ = message.version() < 11;
    is_head_ = message.method() == beast::http::verb::head;
  }

  bool answer_expectation() {
    const std::string_view expectation = head_.headers.get("Expect");
    if (expectation.empty() || old_version_) return true;
    if (!same_ignoring_case(expectation, "100-continue")) {
      refuse(417, "the only expectation that is known is 100-continue");
      return false;
    }
    if (buffer_.size() == 0) send_wire("HTTP/1.1 100 Continue\r\n\r\n");
    return true;
  }

  void extend_body_deadline(size_t bytes) {
    progress_bytes_ += bytes;
    if (progress_bytes_ < settings_.body_progress_bytes) return;
    progress_bytes_ = 0;
    set_deadline(settings_.body_progress);
  }

  // --- answering

  std::shared_ptr<Exchange> open_exchange() {
    phase_ = Phase::kAnswering;
    clear_deadline();
    ++shared_->answering;
    status_ = 0;
    asked_ = Clock::now();
    outbox_ = std::make_shared<Outbox>(
        [weak = weak_from_this(), shared = shared_] {
          const auto self = weak.lock();
          if (self) net::post(self->transport_.executor(), [self] { self->flush(); });
        },
        settings_.unsent_bytes);
    return make_exchange(outbox_, [shared = shared_, head = head_] {
      log_error("{} {}: nobody answered", head.method, head.path);
      return shared->handler.problem(head, 500,
                                     "the request was dropped inside the server; this is an error of hearth's");
    });
  }

  void on_request() {
    ++shared_->requests;
    const auto exchange = open_exchange();
    Body& body = parser_->get().body().body;
    if (const Status finished = body.finish(); !finished) {
      return exchange->send(shared_->handler.problem(head_, 507, finished.error().message));
    }
    try {
      shared_->handler.handle(Request{head_, std::move(body)}, exchange);
    } catch (const std::exception& fault) {
      exchange->send(shared_->handler.problem(head_, 500, fmt::format("the request failed: {}", fault.what())));
    }
    read_more();  // to see whether the client goes
  }

  // Refuses what is not read to its end: the rest is thrown away.
  void refuse(unsigned status, const std::string& message) {
    if (phase_ == Phase::kAnswering || phase_ == Phase::kClosed || phase_ == Phase::kLingering) return close();
    if (!parser_->is_header_done()) {
      head_ = ends_;
      told_always_ = {};
      old_version_ = is_head_ = false;
    }
    answer_unread(shared_->handler.problem(head_, status, message));
  }
  void answer_unread(Response response) {
    keeps_alive_ = keeps_alive_ && parser_->is_done();
    lingers_ = !parser_->is_done();
    if (lingers_) keeps_alive_ = false;
    open_exchange()->send(std::move(response));
    read_more();
  }

  void flush() {
    try {
      send_batch();
    } catch (const std::bad_alloc&) {
      log_error("a connection is closed: there is not enough memory for its answer");
      close();
    }
  }

  void send_batch() {
    if (phase_ != Phase::kAnswering || writing_ || outbox_ == nullptr) return;
    const auto outbox = outbox_;
    auto batch = outbox->take();
    if (!batch) return;
    if (batch->aborted && wire_.empty() && batch->bytes.empty()) return close();
    std::string wire;
    if (batch->head) {
      begin_answer(*batch, &wire);
      ping_ = std::move(batch->ping);
      last_sent_ = Clock::now();
      arm_ping();
    }
    append_content(*batch, &wire);
    last_ = batch->last;
    aborted_ = batch->aborted;
    send_wire(std::move(wire));
  }

  void begin_answer(const Outbox::Batch& batch, std::string* wire) {
    if (shared_->draining) keeps_alive_ = false;
    status_ = batch.head->status;
    const bool bodiless = batch.head->status == 204 || batch.head->status == 304;
    const std::optional<uint64_t> length = batch.whole ? batch.bytes.size() : batch.head->content_length;
    chunked_ = !length && !old_version_;
    std::string framing;
    if (length && !bodiless) framing = fmt::format("Content-Length: {}\r\n", *length);
    if (chunked_) framing += "Transfer-Encoding: chunked\r\n";
    if (!length && old_version_) keeps_alive_ = false;
    if (!keeps_alive_) framing += "Connection: close\r\n";
    if (keeps_alive_ && old_version_) framing += "Connection: keep-alive\r\n";
    ResponseHead head = *batch.head;
    for (const Header& header : told_always_) head.headers.add(header.name, header.value);
    *wire += head_text(head, framing);
    drops_content_ = is_head_ || bodiless;
  }

  void append_content(const Outbox::Batch& batch, std::string* wire) const {
    if (drops_content_) return;
    append_piece(batch.bytes, wire);
    if (chunked_ && batch.last) *wire += "0\r\n\r\n";
  }
  void append_piece(std::string_view bytes, std::string* wire) const {
    if (bytes.empty()) return;
    if (chunked_) *wire += fmt::format("{:x}\r\n", bytes.size());
    *wire += bytes;
    if (chunked_) *wire += "\r\n";
  }

  void send_piece(std::string_view bytes) {
    std::string wire;
    append_piece(bytes, &wire);
    send_wire(std::move(wire));
  }

  void send_wire(std::string wire) {
    CHECK(!writing_);
    wire_ = std::move(wire);
    wire_sent_ = 0;
    write_some();
  }

  void write_some() {
    if (wire_sent_ == wire_.size()) return on_wire_sent();
    writing_ = true;
    if (phase_ == Phase::kAnswering) set_deadline(settings_.write_progress);
    const net::const_buffer rest(wire_.data() + wire_sent_, std::min(wire_.size() - wire_sent_, kWrite_bytes));
    transport_.write_some(rest, [self = shared_from_this()](const Code& error, size_t bytes) {
      self->writing_ = false;
      if (error) return self->close();
      self->wire_sent_ += bytes;
      self->write_some();
    });
  }

  void on_wire_sent() {
    wire_.clear();
    wire_sent_ = 0;
    last_sent_ = Clock::now();
    if (phase_ != Phase::kAnswering) return;
    clear_deadline();
    if (aborted_) return close();
    if (last_) return end_answer();
    const auto outbox = outbox_;
    if (outbox) outbox->sent();
    flush();
  }

  void end_answer() {
    served_ = true;
    end_exchange();
    last_ = false;
    if (read_ended_) return close();
    if (lingers_ || (!keeps_alive_ && buffer_.size() > 0)) return linger();
    if (!keeps_alive_) return transport_.encrypted() ? linger() : close();  // a reader would take it for cut off
    expect_request();
  }

  void end_exchange() {
    ping_ = {};
    ping_timer_.cancel();
    if (const auto outbox = std::exchange(outbox_, nullptr)) {
      --shared_->answering;
      outbox->set_gone();
      if (shared_->handler.answered) shared_->handler.answered(head_, status_, Clock::now() - asked_);
    }
  }

  // Closing at once would reset the connection while the client still sends, and it would never read the answer.
  void linger() {
    phase_ = Phase::kLingering;
    transport_.end_writing([self = shared_from_this()] { self->close(); });
    set_deadline(settings_.linger);
    on_bytes();
  }

  void close() {
    if (phase_ == Phase::kClosed) return;
    phase_ = Phase::kClosed;
    transport_.close();
    timer_.cancel();
    end_exchange();
  }

  const std::shared_ptr<Shared> shared_;
  const Settings& settings_;
  Transport transport_;
  net::steady_timer timer_, ping_timer_;
  Clock::time_point deadline_ = Clock::time_point::max(), last_sent_{};
  bool timer_armed_ = false;

  RequestHead ends_;  // what of a head belongs to the connection
  Phase phase_ = Phase::kHandshake;
  beast::flat_buffer buffer_;  // what was read and is not parsed yet
  std::array<char, kRead_bytes> chunk_;
  std::optional<Parser> parser_;
  RequestHead head_;
  Headers told_always_;        // see Admission
  size_t progress_bytes_ = 0;  // of the body, since its deadline was set
  bool reading_ = false, read_ended_ = false;
  bool served_ = false;                                               // a request was answered
  bool keeps_alive_ = false, old_version_ = false, is_head_ = false;  // of the present request
  bool lingers_ = false;                                              // its rest is not read

  std::shared_ptr<Outbox> outbox_;
  unsigned status_ = 0;  // of the present answer; 0: it has not begun
  Clock::time_point asked_{};
  Ping ping_;
  std::string wire_;  // what is being written
  size_t wire_sent_ = 0;
  bool writing_ = false, chunked_ = false, drops_content_ = false, last_ = false, aborted_ = false;
};

}  // namespace

std::vector<std::shared_ptr<Connection>> Shared::all() {
  std::vector<std::shared_ptr<Connection>> list;
  const std::lock_guard lock(mutex);
  for (const auto& [key, weak] : connections) {
    if (auto connection = weak.lock()) list.push_back(std::move(connection));
  }
  return list;
}

void Connection::start(std::shared_ptr<Shared> shared, tcp::socket socket) {
  const auto executor = socket.get_executor();
  auto connection = std::make_shared<ConnectionImpl>(shared, std::move(socket));
  {
    const std::lock_guard lock(shared->mutex);
    shared->connections[connection.get()] = connection;
  }
  net::dispatch(executor, [connection] { connection->begin(); });
}

}  // namespace hearth::http
