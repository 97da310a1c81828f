#include "http/server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "client.h"
#include "http/target.h"
#include "support/support.h"

namespace hearth::http {
namespace {

using namespace std::chrono_literals;
using test::Client;

// A server whose handler does what the test says; exchanges that it keeps are answered by the test.
class HttpServer : public testing::Test {
 protected:
  void start(const std::function<void(Settings&)>& change = {}) {
    Settings settings;
    settings.listen = {{"127.0.0.1", 0}};
    settings.body_folder = folder_.path();
    if (change) change(settings);
    Handler handler;
    handler.admit = [this](const RequestHead& head) -> std::variant<Admission, Response> {
      if (head.path == "/forbidden") return Response{{.status = 403}, "no"};
      return Admission{most_body_, {{"X-Told", "always"}}};
    };
    handler.handle = [this](Request request, std::shared_ptr<Exchange> exchange) {
      const std::string path = request.head.path;
      if (path == "/keep") return keep(std::move(request), std::move(exchange));
      if (path == "/drop") return;
      if (path == "/throw") throw std::runtime_error("on purpose");
      if (path == "/stream") return stream(*exchange);
      exchange->send({{.status = 200, .headers = {{"X-Method", request.head.method}}},
                      path + "|" + std::string(request.body.text()) + (request.body.on_disk() ? "|disk" : "")});
    };
    handler.problem = [](const RequestHead& head, unsigned status, const std::string& message) {
      return Response{{.status = status}, "problem at " + head.path + ": " + message};
    };
    auto server = Server::start(std::move(settings), std::move(handler));
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(server).value();
  }

  static void stream(Exchange& exchange) {
    exchange.start({.status = 200, .headers = {{"Content-Type", "text/plain"}}});
    exchange.write("one");
    exchange.write("two");
    exchange.finish();
  }

  void keep(Request request, std::shared_ptr<Exchange> exchange) {
    exchange->on_gone([this] {
      ++gone_;
      changed_.notify_all();
    });
    const std::lock_guard lock(mutex_);
    bodies_.push_back(std::string(request.body.text().substr(0, 64)));
    kept_.push_back(std::move(exchange));
    changed_.notify_all();
  }
  std::shared_ptr<Exchange> kept(size_t index = 0) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 20s, [&] { return kept_.size() > index; });
    return kept_.size() > index ? kept_[index] : nullptr;
  }
  bool wait_gone(int count = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return gone_ >= count; });
  }

  test::TemporaryFolder folder_;
  uint64_t most_body_ = 8 << 20;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Exchange>> kept_;
  std::vector<std::string> bodies_;
  std::atomic<int> gone_{0};
  std::unique_ptr<Server> server_;
};

std::string get(const std::string& path, const std::string& headers = {}) {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}
std::string post(const std::string& path, const std::string& body, const std::string& headers = {}) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers +
         "\r\n" + body;
}

TEST_F(HttpServer, AnswersOneRequestAfterAnotherOnAConnection) {
  start();
  Client client(server_->port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(post("/echo", "body " + std::to_string(i))));
    const std::string answer = client.read("/echo|body " + std::to_string(i));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_NE(answer.find("Content-Length: 12\r\n"), std::string::npos) << answer;
    EXPECT_NE(answer.find("X-Method: POST\r\n"), std::string::npos) << answer;
  }
  EXPECT_EQ(server_->stats().requests, 3u);
  EXPECT_EQ(server_->stats().accepted, 1u);
}

TEST_F(HttpServer, AnswersPipelinedRequestsInOrder) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/keep") + get("/a") + post("/b", "x") + get("/stream") + get("/c")));
  const auto first = kept();
  ASSERT_NE(first, nullptr);
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(first->gone()) << "bytes of further requests are no sign that the client has gone";
  first->send({{}, "first"});
  const std::string answers = client.read("/c|");
  size_t at = 0;
  for (const char* part : {"first", "/a|", "/b|x", "onetwo", "/c|"}) {
    const size_t found = answers.find(part, at);
    ASSERT_NE(found, std::string::npos) << part << " in " << answers;
    at = found;
  }
}

TEST_F(HttpServer, StreamsInChunksAndPiecesThatWaitGoTogether) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/keep")));
  const auto exchange = kept();
  ASSERT_NE(exchange, nullptr);
  exchange->start({.status = 200, .headers = {{"Content-Type", "text/event-stream"}}});
  exchange->write("data");
  const std::string head = client.read("4\r\ndata\r\n");
  EXPECT_NE(head.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.find("Content-Length"), std::string::npos) << head;
  exchange->finish();
  EXPECT_EQ(client.read("0\r\n\r\n"), "0\r\n\r\n");
  // The connection goes on.
  ASSERT_TRUE(client.send(get("/next")));
  EXPECT_NE(client.read("/next|").find("200 OK"), std::string::npos);

  ASSERT_TRUE(client.send(get("/stream")));
  const std::string both = client.read("0\r\n\r\n");
  EXPECT_NE(both.find("6\r\nonetwo\r\n0\r\n\r\n"), std::string::npos) << both;
}

TEST_F(HttpServer, AClientOfVersion10GetsAStreamThatEndsWithTheConnection) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send("GET /stream HTTP/1.0\r\n\r\n"));
  const std::string answer = client.read();
  EXPECT_TRUE(answer.ends_with("\r\n\r\nonetwo")) << answer;
  EXPECT_EQ(answer.find("chunked"), std::string::npos) << answer;
  EXPECT_TRUE(client.ended());
}

TEST_F(HttpServer, HeadAndNoContentHaveNoBody) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send("HEAD /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const std::string answer = client.read();
  EXPECT_NE(answer.find("Content-Length: 6\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(HttpServer, LargeBodiesGoToAFileAndLeaveNothingBehind) {
  start();
  const std::string large(3 << 20, 'x');
  Client client(server_->port());
  std::thread sender([&] { client.send(post("/echo", large, "Connection: close\r\n")); });
  const std::string answer = client.read();
  sender.join();
  EXPECT_TRUE(answer.ends_with("x|disk")) << answer.substr(0, 300);
  EXPECT_GT(answer.size(), large.size());
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));

  Client small(server_->port());
  ASSERT_TRUE(small.send(post("/echo", "small", "Connection: close\r\n")));
  EXPECT_TRUE(small.read().ends_with("/echo|small"));
}

TEST_F(HttpServer, ADiskThatCannotTakeTheBodyIsAnAnswer) {
  start([](Settings& s) { s.body_folder = "/nowhere/at/all"; });
  Client client(server_->port());
  std::thread sender([&] { client.send(post("/echo", std::string(2 << 20, 'x'))); });
  const std::string answer = client.read();
  sender.join();
  EXPECT_NE(answer.find("507"), std::string::npos) << answer;
  EXPECT_NE(answer.find("/nowhere/at/all"), std::string::npos) << answer;
}

TEST_F(HttpServer, ChunkedBodiesAreJoined) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n"));
  std::this_thread::sleep_for(20ms);
  ASSERT_TRUE(client.send("2;ext=1\r\nef\r\n0\r\nTrailer: 1\r\n\r\n"));
  EXPECT_NE(client.read("/echo|abcdef").find("200 OK"), std::string::npos);
}

TEST_F(HttpServer, TooLargeABodyIsRefusedBeforeAndWhileItComes) {
  most_body_ = 1000;
  start();
  Client announced(server_->port());
  ASSERT_TRUE(announced.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"));
  EXPECT_NE(announced.read("allowed here").find("HTTP/1.1 413"), std::string::npos);

  Client chunked(server_->port());
  ASSERT_TRUE(chunked.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const std::string piece = "200\r\n" + std::string(512, 'x') + "\r\n";
  std::string answer;
  for (int i = 0; i < 10 && chunked.send(piece); ++i) std::this_thread::sleep_for(1ms);
  EXPECT_NE(chunked.read("allowed here").find("HTTP/1.1 413"), std::string::npos);
}

// A gigabyte that is not wanted: the answer arrives although the client still sends.
TEST_F(HttpServer, AnswersBeforeAHugeBodyIsSent) {
  most_body_ = 1 << 20;
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"));
  const std::string block(1 << 16, 'x');
  std::thread sender([&] {
    for (int i = 0; i < 64 && client.send(block); ++i) {
    }
  });
  const std::string answer = client.read("allowed here");
  sender.join();
  EXPECT_NE(answer.find("HTTP/1.1 413"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << answer;
}

TEST_F(HttpServer, TellsClientsThatWaitToSendTheirBody) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(client.read("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(client.send("abc"));
  EXPECT_TRUE(client.read("/echo|abc").starts_with("HTTP/1.1 200"));

  Client refused(server_->port());
  ASSERT_TRUE(refused.send("POST /forbidden HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_TRUE(refused.read("no").starts_with("HTTP/1.1 403"));

  Client unknown(server_->port());
  ASSERT_TRUE(unknown.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: miracles\r\n\r\n"));
  EXPECT_TRUE(unknown.read("100-continue").starts_with("HTTP/1.1 417"));
}

TEST_F(HttpServer, RefusesWhatIsNoHttp) {
  start();
  for (const char* text : {"\x16\x03\x01 what TLS begins with\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
                           "GET / HTTP/1.1\r\nno colon\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                           "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"}) {
    Client client(server_->port());
    ASSERT_TRUE(client.send(text));
    EXPECT_TRUE(client.read("problem at").starts_with("HTTP/1.1 400")) << text;
  }
  Client large(server_->port());
  large.send("GET / HTTP/1.1\r\nX: " + std::string(64 << 10, 'x') + "\r\n\r\n");
  EXPECT_TRUE(large.read("problem at").starts_with("HTTP/1.1 431"));
  Client endless(server_->port());
  ASSERT_TRUE(endless.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;"));
  endless.send(std::string(128 << 10, 'x'));
  EXPECT_TRUE(endless.read("problem at").starts_with("HTTP/1.1 4"));
}

TEST_F(HttpServer, WhoeverDawdlesIsRefused) {
  start([](Settings& s) {
    s.header = 150ms;
    s.body_progress = 150ms;
    s.idle = 300ms;
  });
  Client header(server_->port());
  std::string answer;
  ASSERT_TRUE(header.send("GET / HTTP/1.1\r\n"));
  for (int i = 0; i < 20 && header.send("X"); ++i) std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(header.read("in time").starts_with("HTTP/1.1 408"));

  Client body(server_->port());
  ASSERT_TRUE(body.send("POST /echo HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"));
  for (int i = 0; i < 20 && body.send("X"); ++i) std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(body.read("in time").starts_with("HTTP/1.1 408"));

  // One that comes slowly but steadily is not.
  Client steady(server_->port());
  ASSERT_TRUE(steady.send("POST /echo HTTP/1.1\r\nContent-Length: 12288\r\n\r\n"));
  for (int i = 0; i < 12 && steady.send(std::string(1024, 'x')); ++i) std::this_thread::sleep_for(30ms);
  EXPECT_TRUE(steady.read("/echo|").starts_with("HTTP/1.1 200"));

  Client idle(server_->port());
  EXPECT_EQ(idle.read(), "");
  EXPECT_TRUE(idle.ended());
}

TEST_F(HttpServer, AClientThatGoesIsNoticedWhicheverWayItGoes) {
  start();
  {
    Client whole(server_->port());
    ASSERT_TRUE(whole.send(get("/keep")));
    ASSERT_NE(kept(0), nullptr);
  }
  EXPECT_TRUE(wait_gone(1));
  Client half(server_->port());
  ASSERT_TRUE(half.send(get("/keep")));
  ASSERT_NE(kept(1), nullptr);
  half.shut_down_writing();
  EXPECT_TRUE(wait_gone(2));
  EXPECT_TRUE(kept(1)->gone());
  // While a stream runs, too.
  {
    Client streaming(server_->port());
    ASSERT_TRUE(streaming.send(get("/keep")));
    ASSERT_NE(kept(2), nullptr);
    kept(2)->start({});
    kept(2)->write("x");
    streaming.read("x\r\n");
  }
  EXPECT_TRUE(wait_gone(3));
}

// What `nc -N` does: the request, then the end of what is sent. An answer that is there at once still arrives.
TEST_F(HttpServer, AnswersAClientThatClosesItsSideAtOnce) {
  start();
  for (int i = 0; i < 20; ++i) {
    Client client(server_->port());
    ASSERT_TRUE(client.send(get("/echo")));
    client.shut_down_writing();
    EXPECT_TRUE(client.read().ends_with("/echo|"));
  }
}

TEST_F(HttpServer, AClientThatReadsNothingIsGivenUp) {
  start([](Settings& s) { s.write_progress = 300ms; });
  Client client(server_->port(), 4096);
  ASSERT_TRUE(client.send(get("/keep")));
  const auto exchange = kept();
  ASSERT_NE(exchange, nullptr);
  exchange->start({});
  const std::string block(64 << 10, 'x');
  for (int i = 0; i < 256; ++i) exchange->write(block);  // more than the system holds
  EXPECT_TRUE(exchange->full());
  EXPECT_TRUE(wait_gone());
}

TEST_F(HttpServer, AWriterThatWaitsIsCalledWhenThereIsRoom) {
  start();
  Client client(server_->port(), 4096);
  ASSERT_TRUE(client.send(get("/keep")));
  const auto exchange = kept();
  ASSERT_NE(exchange, nullptr);
  exchange->start({});
  std::atomic<int> drained{0};
  exchange->on_drained([&] { ++drained; });  // there is room now
  for (int i = 0; i < 1000 && drained == 0; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(drained, 1);

  size_t written = 0;
  const std::string block(64 << 10, 'x');
  for (int i = 0; i < 50; ++i, written += block.size()) exchange->write(block);
  ASSERT_TRUE(exchange->full());
  exchange->on_drained([&] { ++drained; });
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(drained, 1) << "nothing was read";
  std::thread reader([&] { client.read("0\r\n\r\n"); });
  for (int i = 0; i < 10000 && drained == 1; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(drained, 2);
  EXPECT_FALSE(exchange->full());
  exchange->finish();
  reader.join();
  EXPECT_FALSE(client.timed_out());
}

TEST_F(HttpServer, PingsInSilenceAndOnlyThen) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/keep")));
  const auto exchange = kept();
  ASSERT_NE(exchange, nullptr);
  exchange->start({}, {.bytes = ": ping\n", .interval = 100ms});
  for (int i = 0; i < 10; ++i) {
    exchange->write("x");
    std::this_thread::sleep_for(10ms);
  }
  const std::string busy = client.read("x", 5s);
  EXPECT_EQ(busy.find("ping"), std::string::npos) << busy;
  EXPECT_NE(client.read("7\r\n: ping\n\r\n").find(": ping"), std::string::npos);
  EXPECT_NE(client.read("7\r\n: ping\n\r\n").find(": ping"), std::string::npos);
  exchange->finish();
  EXPECT_NE(client.read("0\r\n\r\n").find("0\r\n\r\n"), std::string::npos);
}

TEST_F(HttpServer, ARequestThatNobodyAnswersGetsAnError) {
  start();
  Client dropped(server_->port());
  ASSERT_TRUE(dropped.send(get("/drop")));
  EXPECT_TRUE(dropped.read("dropped").starts_with("HTTP/1.1 500"));
  Client thrown(server_->port());
  ASSERT_TRUE(thrown.send(get("/throw")));
  EXPECT_TRUE(thrown.read("on purpose").starts_with("HTTP/1.1 500"));

  Client broken(server_->port());
  ASSERT_TRUE(broken.send(get("/keep")));
  ASSERT_NE(kept(), nullptr);
  kept()->start({});
  kept()->write("part");
  broken.read("part\r\n");
  {
    const std::lock_guard lock(mutex_);
    kept_.clear();
  }
  EXPECT_EQ(broken.read().find("0\r\n\r\n"), std::string::npos) << "a stream that is broken off does not look complete";
  EXPECT_TRUE(broken.ended());
}

TEST_F(HttpServer, DrainLetsAnswersEndAndTakesNothingNew) {
  start();
  Client busy(server_->port()), idle(server_->port());
  ASSERT_TRUE(busy.send(get("/keep")));
  ASSERT_TRUE(idle.send(get("/echo")));
  idle.read("/echo|");
  const auto exchange = kept();
  ASSERT_NE(exchange, nullptr);
  EXPECT_FALSE(server_->drain(50ms));
  EXPECT_EQ(idle.read(), "");
  EXPECT_TRUE(idle.ended());
  Client late(server_->port());
  EXPECT_FALSE(late.connected());
  std::thread answer([&] {
    std::this_thread::sleep_for(50ms);
    exchange->send({{}, "in the end"});
  });
  EXPECT_TRUE(server_->drain(20s));
  answer.join();
  const std::string text = busy.read();
  EXPECT_TRUE(text.ends_with("in the end")) << text;
  EXPECT_NE(text.find("Connection: close"), std::string::npos) << text;
}

TEST_F(HttpServer, EndsWhileRequestsRun) {
  start();
  Client client(server_->port());
  ASSERT_TRUE(client.send(get("/keep")));
  const auto exchange = kept();
  ASSERT_NE(exchange, nullptr);
  server_.reset();
  EXPECT_EQ(gone_, 1);
  exchange->send({{}, "too late"});
  EXPECT_EQ(client.read(), "");
}

TEST_F(HttpServer, NamesWhoHasThePort) {
  start();
  Settings settings;
  settings.listen = {{"127.0.0.1", server_->port()}};
  const auto second = Server::start(settings, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kBusy);
  EXPECT_NE(second.error().message.find("test_http (process " + std::to_string(getpid()) + ")"), std::string::npos)
      << second.error().message;
  settings.listen = {{"nonsense", 1}};
  const auto third = Server::start(settings, {});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().kind, ErrorKind::kUsage);
}

TEST_F(HttpServer, ListensOnBothLoopbackAddressesOnOnePort) {
  start([](Settings& s) { s.listen = {{"localhost", 0}}; });
  const std::vector<std::string> addresses = server_->addresses();
  ASSERT_FALSE(addresses.empty());
  EXPECT_EQ(addresses[0], "127.0.0.1:" + std::to_string(server_->port()));
  for (size_t i = 1; i < addresses.size(); ++i) EXPECT_EQ(addresses[i], "[::1]:" + std::to_string(server_->port()));
}

// Without file descriptors connections wait, idle ones make room, and later all is as before.
TEST_F(HttpServer, LivesWithoutFileDescriptors) {
  start();
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 8; ++i) {
    idle.push_back(std::make_unique<Client>(server_->port()));
    ASSERT_TRUE(idle.back()->send(get("/echo")));
    idle.back()->read("/echo|");
  }
  Client late(server_->port());  // its socket is there; the server's end of it needs another
  rlimit before{}, none{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int next = dup(0);
  close(next);
  none = before;
  none.rlim_cur = static_cast<rlim_t>(next);
  std::vector<std::unique_ptr<Client>> waiting;
  setrlimit(RLIMIT_NOFILE, &none);
  ASSERT_TRUE(late.send(get("/echo")));
  const std::string answer = late.read("/echo|");
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
}

TEST_F(HttpServer, MoreConnectionsThanAllowedWait) {
  start([](Settings& s) { s.connections = 2; });
  Client a(server_->port()), b(server_->port());
  ASSERT_TRUE(a.send(get("/keep")));
  ASSERT_TRUE(b.send(get("/keep")));
  ASSERT_NE(kept(1), nullptr);
  Client c(server_->port());
  ASSERT_TRUE(c.send(get("/echo")));
  EXPECT_EQ(c.read("/echo|", 200ms), "");
  kept(0)->send({{}, "done"});
  EXPECT_TRUE(c.read("/echo|").starts_with("HTTP/1.1 200"));
}

}  // namespace
}  // namespace hearth::http
