// Pictures by address: from a server of the test's own, which only a test may reach, since it is on this machine.
#include "serve/picture_fetch.h"

#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "http/server.h"
#include "support/support.h"

namespace hearth::serve {
namespace {

using namespace std::chrono_literals;

const std::function<bool()> kNever = [] { return false; };

class PictureFetch : public testing::Test {
 protected:
  void SetUp() override {
    http::Settings settings;
    settings.listen = {{"127.0.0.1", 0}};
    settings.body_folder = folder_.path();
    http::Handler handler;
    handler.admit = [](const http::RequestHead&) { return http::Admission{1024, {}}; };
    handler.problem = [](const http::RequestHead&, unsigned status, const std::string& message) {
      return http::Response{{.status = status}, message};
    };
    handler.handle = [this](const http::Request& request, const std::shared_ptr<http::Exchange>& exchange) {
      ++requests_;
      const std::string& path = request.head.path;
      const auto leads_to = [&](const std::string& url) {
        exchange->send({{.status = 302, .headers = {{"Location", url}}}, "elsewhere"});
      };
      if (path == "/keep")
        kept_ = exchange;
      else if (path == "/there")
        leads_to("/picture");
      else if (path == "/on")
        leads_to("/on");
      else if (path == "/other")
        leads_to("http://other.example/picture");
      else if (path == "/file")
        leads_to("file:///etc/passwd");
      else if (path == "/picture")
        exchange->send({{.status = 200}, "the picture"});
      else
        exchange->send({{.status = 404}, "nothing"});
    };
    auto server = http::Server::start(std::move(settings), std::move(handler));
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    site_ = "http://" + server_->addresses().front();
    sites_ = {.sites = {site_}, .may_connect = [this](const std::string& address) {
                asked_.push_back(address);
                return true;
              }};
  }

  std::string problem(const std::string& url) {
    const auto file = fetch_picture(url, sites_, kNever);
    EXPECT_FALSE(file.ok()) << url;
    if (file.ok()) return "";
    EXPECT_EQ(file.error().kind, ErrorKind::kUsage) << file.error().message;
    return file.error().message;
  }
  bool has(const std::string& text, std::string_view words) { return text.find(words) != std::string::npos; }

  test::TemporaryFolder folder_;
  std::atomic<int> requests_ = 0;
  std::shared_ptr<http::Exchange> kept_;
  std::unique_ptr<http::Server> server_;
  std::string site_;
  PictureSites sites_;
  std::vector<std::string> asked_;
};

TEST_F(PictureFetch, BringsWhatIsThere) {
  const auto file = fetch_picture(site_ + "/picture", sites_, kNever);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(*file, "the picture");
  EXPECT_EQ(asked_, std::vector<std::string>{"127.0.0.1"});
}

// It would resolve names where nobody looks at what comes of them.
TEST_F(PictureFetch, AsksNoProxy) {
  sites_.sites = {"http://nowhere.invalid"};
  ::setenv("http_proxy", site_.c_str(), 1);
  EXPECT_FALSE(fetch_picture("http://nowhere.invalid/picture", sites_, kNever).ok());
  ::unsetenv("http_proxy");
  EXPECT_EQ(requests_, 0);
}

TEST_F(PictureFetch, ReachesNoPrivateAddressWhateverItsName) {
  const std::string port = site_.substr(site_.rfind(':'));
  sites_ = picture_sites({"http://*"});
  for (const char* host : {"127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"})
    EXPECT_FALSE(fetch_picture("http://" + (host + port) + "/picture", sites_, kNever).ok()) << host;
  EXPECT_TRUE(has(problem(site_ + "/picture"), "127.0.0.1, where no connection may go")) << problem(site_ + "/picture");
  EXPECT_EQ(requests_, 0);
}

// What a name was resolved to is what is looked at: each connection anew, since the next may lead elsewhere.
TEST_F(PictureFetch, LooksAtEveryConnection) {
  bool once = true;
  sites_.may_connect = [&](const std::string&) { return std::exchange(once, false); };
  EXPECT_TRUE(fetch_picture(site_ + "/picture", sites_, kNever).ok());
  EXPECT_FALSE(fetch_picture(site_ + "/picture", sites_, kNever).ok());
  once = true;
  EXPECT_FALSE(fetch_picture(site_ + "/there", sites_, kNever).ok()) << "the redirect is a second connection";
}

TEST_F(PictureFetch, ReachesOnlySitesThatAreNamed) {
  EXPECT_TRUE(has(problem("http://other.example/picture"), "only of " + site_));
  EXPECT_TRUE(has(problem("http://u@" + site_.substr(7) + "/picture"), "no plain address"));
  EXPECT_TRUE(has(problem(site_ + "/pic ture"), "no plain address"));
  EXPECT_TRUE(asked_.empty());
}

TEST_F(PictureFetch, FollowsRedirectsThatMayBeFollowed) {
  const auto file = fetch_picture(site_ + "/there", sites_, kNever);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(*file, "the picture");
  EXPECT_TRUE(has(problem(site_ + "/other"), "http://other.example are not fetched here"));
  EXPECT_TRUE(has(problem(site_ + "/file"), "no plain address"));
  requests_ = 0;
  EXPECT_TRUE(has(problem(site_ + "/on"), "on and on"));
  EXPECT_EQ(requests_, 4);
}

TEST_F(PictureFetch, SaysWhyThereIsNone) {
  EXPECT_TRUE(has(problem(site_ + "/nothing"), "status 404"));
  sites_.most_bytes = 5;
  EXPECT_TRUE(has(problem(site_ + "/picture"), "more than can be taken"));
  sites_.patience = 100ms;
  EXPECT_TRUE(has(problem(site_ + "/keep"), "cannot be fetched"));
  server_.reset();
  EXPECT_TRUE(has(problem(site_ + "/picture"), "nobody answers"));
}

TEST_F(PictureFetch, EndsWhenItIsNotWanted) {
  const auto file = fetch_picture(site_ + "/keep", sites_, [] { return true; });
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().kind, ErrorKind::kCancelled);
}

// A service that keeps what it is asked.
struct Kept {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<api::AnswerRequest> request;
  std::optional<Error> refused;

  std::shared_ptr<api::Service> service() {
    auto service = std::make_shared<api::Service>();
    service->answer = [this](api::AnswerRequest asked, const api::AnswerSink&) -> api::Cancel {
      const std::lock_guard lock(mutex);
      request = std::move(asked);
      changed.notify_all();
      return {};
    };
    return service;
  }
  api::AnswerSink sink() {
    return [this](const api::AnswerEvent& event) {
      const std::lock_guard lock(mutex);
      if (event.end) refused = event.end->error;
      changed.notify_all();
    };
  }
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return request || refused; });
  }
};

api::AnswerRequest question(const std::string& url) {
  api::AnswerRequest request;
  request.pictures.add("a file");
  EXPECT_TRUE(request.pictures.add_url(url, "image_url").ok());
  return request;
}

TEST_F(PictureFetch, ServesRequestsOnceTheirPicturesAreThere) {
  Kept kept;
  const Current<PictureSites> sites(sites_);
  LongWork fetches(1);
  const auto service = with_pictures(kept.service(), sites, fetches);
  service->answer(question(site_ + "/picture"), kept.sink());
  kept.wait();
  ASSERT_TRUE(kept.request) << kept.refused->message;
  ASSERT_EQ(kept.request->pictures.size(), 2u);
  EXPECT_EQ(*kept.request->pictures.files()[0], "a file");
  EXPECT_EQ(*kept.request->pictures.files()[1], "the picture");
  EXPECT_TRUE(kept.request->pictures.addresses().empty());
}

TEST_F(PictureFetch, RefusesRequestsWhosePicturesCannotBeHad) {
  for (const auto& [sites, words] : {std::pair{PictureSites{}, "picture 2: addresses are not fetched here"},
                                     {sites_, "picture 2: it cannot be fetched"}}) {
    Kept kept;
    const Current<PictureSites> current(sites);
    LongWork fetches(1);
    with_pictures(kept.service(), current, fetches)->answer(question(site_ + "/nothing"), kept.sink());
    kept.wait();
    ASSERT_TRUE(kept.refused);
    EXPECT_EQ(kept.refused->kind, ErrorKind::kUsage);
    EXPECT_TRUE(has(kept.refused->message, words)) << kept.refused->message;
    EXPECT_FALSE(kept.request);
  }
  EXPECT_EQ(requests_, 1);
}

TEST_F(PictureFetch, RequestsThatAreCancelledFetchNoFurther) {
  Kept kept;
  const Current<PictureSites> sites(sites_);
  LongWork fetches(1);
  const auto service = with_pictures(kept.service(), sites, fetches);
  const api::Cancel cancel = service->answer(question(site_ + "/keep"), kept.sink());
  Kept another;
  service->answer(question(site_ + "/picture"), another.sink());
  another.wait();
  ASSERT_TRUE(another.refused) << "one place, which is taken";
  EXPECT_EQ(another.refused->kind, ErrorKind::kBusy);
  cancel();
  kept.wait();
  ASSERT_TRUE(kept.refused);
  EXPECT_EQ(kept.refused->kind, ErrorKind::kCancelled);
}

TEST(OriginOf, IsPlainOrNothing) {
  EXPECT_EQ(origin_of("https://A.Example/x?y#z"), "https://a.example");
  EXPECT_EQ(origin_of("https://a.example:443"), "https://a.example");
  EXPECT_EQ(origin_of("http://a.example:80/"), "http://a.example");
  EXPECT_EQ(origin_of("http://a.example:8080/"), "http://a.example:8080");
  EXPECT_EQ(origin_of("http://[::1]:81/"), "http://[::1]:81");
  for (const char* url :
       {"", "a.example", "ftp://a.example/", "https://", "https:///x", "https://a@b/", "https://a\\b/", "https://a/\\b",
        "https://a b/", "https://a/\nb", "https://\xc3\xa4.example/", "https://a%2eb/"})
    EXPECT_EQ(origin_of(url), "") << url;
}

}  // namespace
}  // namespace hearth::serve
