// What comes from elsewhere and is read: challenges, credentials, manifests, lists of files, lists of pieces.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "disk/guard.h"
#include "http/target.h"
#include "registry/challenge.h"
#include "registry/credentials.h"
#include "registry/partial.h"
#include "registry/source.h"
#include "support/support.h"

namespace hearth::registry {
namespace {

namespace fs = std::filesystem;

TEST(Challenges, OfRegistriesAreRead) {
  const auto bearer = parse_challenge(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push repository:c/d:pull")");
  ASSERT_TRUE(bearer) << bearer.error().message;
  EXPECT_TRUE(bearer->bearer);
  EXPECT_EQ(bearer->realm, "https://auth.docker.io/token");
  EXPECT_EQ(bearer->service, "registry.docker.io");
  EXPECT_EQ(bearer->scopes, (std::vector<std::string>{"repository:a/b:pull,push", "repository:c/d:pull"}));
  const auto both = parse_challenge(R"(Basic realm="x, y=\"z\"", Bearer realm="http://h/t")");
  ASSERT_TRUE(both);
  EXPECT_TRUE(both->bearer && both->basic);
  EXPECT_EQ(both->realm, "http://h/t") << "the parameters are the bearer's";
  EXPECT_TRUE(parse_challenge("Bearer")->bearer);
  for (const char* wrong : {"", "Negotiate", "=", "\"", ",,,", "realm=x"})
    EXPECT_FALSE(parse_challenge(wrong)) << wrong;
}

TEST(Urls, AreTakenApartAndJoined) {
  const auto url = parse_url("HTTPS://host:5000/a/b?c=d#e");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->origin(), "https://host:5000");
  EXPECT_EQ(url->path, "/a/b?c=d");
  for (const char* wrong : {"", "host/a", "ftp://host/a", "https://", "https://user:word@host/", "https://host/a b",
                            "file:///etc/passwd", "https://host/\r\nX: y"})
    EXPECT_FALSE(parse_url(wrong)) << wrong;
  EXPECT_EQ(*resolve_url("https://h/a/b?x", "/c?y"), "https://h/c?y");
  EXPECT_EQ(*resolve_url("https://h/a/b?x", "c"), "https://h/a/c");
  EXPECT_EQ(*resolve_url("https://h/a", "//other/c"), "https://other/c");
  EXPECT_EQ(*resolve_url("https://h/a", "http://other/c"), "http://other/c");
  EXPECT_FALSE(resolve_url("https://h/a", ""));
  EXPECT_FALSE(resolve_url("https://h/a", "file:///etc/passwd"));
  for (const char* own : {"localhost", "localhost:5000", "127.0.0.1:1", "[::1]:5000"})
    EXPECT_TRUE(http::is_loopback_host(own));
  for (const char* other : {"localhost.example.org", "1127.0.0.1", "[::2]", "128.0.0.1"})
    EXPECT_FALSE(http::is_loopback_host(other));
}

Result<std::string> helper(const std::string& name, const std::string& host) {
  if (name != "known") return Error{ErrorKind::kNotFound, "none"};
  return R"({"Username":"of )" + host + R"(","Secret":"s"})";
}

TEST(DockerCredentials, AreFoundByHost) {
  const char* config = R"({"auths":{"https://a.example/v1/":{"auth":"YWRhOnNlOmNyZXQ="},
                                    "t.example":{"identitytoken":"tok"},"empty.example":{}},
                           "credHelpers":{"h.example":"known","n.example":"unknown"}})";
  const auto find = [&](const char* host) { return credentials_in(config, host, helper); };
  ASSERT_TRUE(find("a.example"));
  EXPECT_EQ((*find("a.example"))->user, "ada");
  EXPECT_EQ((*find("a.example"))->password, "se:cret") << "a password may have colons";
  EXPECT_EQ((*find("t.example"))->user, "<token>");
  EXPECT_EQ((*find("h.example"))->user, "of h.example");
  for (const char* none : {"n.example", "empty.example", "b.example", "a.example.org"})
    EXPECT_FALSE(*find(none)) << none;
  EXPECT_FALSE(credentials_in("[]", "a", helper));
  EXPECT_FALSE(credentials_in(R"({"credsStore":"../../bin/sh"})", "a", helper)) << "it is no path";
  EXPECT_EQ((*credentials_in(R"({"credsStore":"known"})", "registry-1.docker.io", helper))->user,
            "of https://index.docker.io/v1/");
}

TEST(Manifests, ThatAreHostileAreRefused) {
  const store::ModelName name;
  const std::string digest = "sha256:" + std::string(64, 'A');
  const auto of = [&](const std::string& layers) { return blobs_of_manifest("{\"layers\":[" + layers + "]}", name); };
  const auto layer = [&](const std::string& size) { return R"({"digest":")" + digest + R"(","size":)" + size + "}"; };
  const auto good = of(layer("7"));
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->at(0).digest, "sha256:" + std::string(64, 'a'));
  EXPECT_EQ(of(layer("7") + "," + layer("7"))->size(), 1u) << "one file is fetched once";
  for (const char* size : {"-1", "1e300", "99999999999999999999", "\"7\"", "18446744073709551615"})
    EXPECT_FALSE(of(layer(size))) << size;
  for (const char* text :
       {"", "[]", "{}", R"({"layers":{}})", R"({"layers":[]})", R"({"layers":[{"digest":"sha256:../../x"}]})"})
    EXPECT_FALSE(blobs_of_manifest(text, name)) << text;
}

TEST(Repositories, OfferTheFileThatIsMeant) {
  const auto file = [](const std::string& name, char digit) {
    return fmt::format(R"({{"rfilename":"{}","lfs":{{"sha256":"{}","size":5}}}})", name, std::string(64, digit));
  };
  const std::string answer = "{\"sha\":\"c\",\"siblings\":[" + file("a-Q4_K_S.gguf", '1') + "," +
                             file("sub/a-Q4_K_M.gguf", '2') + "," + file("a-q8_0.gguf", '3') + "," +
                             file("a-Q6_K-00001-of-00002.gguf", '4') + "," + file("mmproj-a-f16.gguf", '5') +
                             R"(,{"rfilename":"README.md"},{"rfilename":"bad.gguf"}]})";
  const auto path = [&](const char* tag) {
    const auto choice = choose_file(answer, tag);
    return choice ? choice->weights.front().path : choice.error().message;
  };
  EXPECT_EQ(path("Q4_K_M"), "sub/a-Q4_K_M.gguf");
  EXPECT_EQ(path("q4_k_s"), "a-Q4_K_S.gguf");
  EXPECT_EQ(path("Q8_0"), "a-q8_0.gguf");
  EXPECT_EQ(path("latest"), "sub/a-Q4_K_M.gguf");
  EXPECT_NE(path("Q4_K").find("no GGUF file of Q4_K;"), std::string::npos) << "that is another one";
  EXPECT_NE(path("Q6_K").find("1 of the 2 parts"), std::string::npos);
  const std::string both = "{\"siblings\":[" + file("x/a-Q6_K-00002-of-00002.gguf", '1') + "," +
                           file("x/a-Q6_K-00001-of-00002.gguf", '2') + "," + file("x/b-Q6_K-00001-of-00002.gguf", '3') +
                           "]}";
  const auto parts = choose_file(both, "Q6_K");
  ASSERT_TRUE(parts) << parts.error().message;
  ASSERT_EQ(parts->weights.size(), 2u);
  EXPECT_EQ(parts->weights[0].path, "x/a-Q6_K-00001-of-00002.gguf") << "in their order";
  EXPECT_EQ(choose_file(answer, "latest")->projector->path, "mmproj-a-f16.gguf");
  EXPECT_NE(choose_file(R"({"siblings":[{"rfilename":"m.safetensors"}]})", "latest").error().message.find("neither"),
            std::string::npos);
  const auto folder =
      choose_file("{\"siblings\":[" + file("model.safetensors", '1') + "," + file("adapter_model.safetensors", '2') +
                      "," + file("sub/m.safetensors", '3') +
                      R"(,{"rfilename":"config.json","size":2,"blobId":"x"},{"rfilename":"README.md"}]})",
                  "latest");
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_TRUE(folder->converted);
  ASSERT_EQ(folder->weights.size(), 2u);
  EXPECT_EQ(folder->weights[1].git_hash, "x");
  for (const char* wrong : {"", "[]", "{}", R"({"siblings":[1,null,{}]})"}) EXPECT_FALSE(choose_file(wrong, "latest"));
}

// As "git hash-object" has it.
TEST(HuggingFace, SmallFilesAreCheckedByGitsHash) {
  EXPECT_EQ(git_hash_of(""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  EXPECT_EQ(git_hash_of("hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(Pieces, SurviveTheirText) {
  const std::vector<Piece> pieces = {{0, 10, 10}, {10, 30, 5}, {30, 31, 0}};
  const auto again = parse_pieces(pieces_text(pieces, 31), 31);
  ASSERT_TRUE(again) << again.error().message;
  ASSERT_EQ(again->size(), 3u);
  EXPECT_EQ(again->at(1).done, 5u);
  for (const char* wrong :
       {"", "hearth-pieces 1 31\n", "hearth-pieces 1 30\n0 30 0\n", "hearth-pieces 1 31\n0 31 32\n",
        "hearth-pieces 1 31\n0 10 0\n11 31 0\n", "hearth-pieces 1 31\n0 10 0\n5 31 0\n", "hearth-pieces 1 31\n0 40 0\n",
        "hearth-pieces 1 31\n0 31\n", "hearth-pieces 1 31\n0 31 x\n", "hearth-pieces 1 31\n31 0 0\n"})
    EXPECT_FALSE(parse_pieces(wrong, 31)) << wrong;
}

class Partials : public testing::Test {
 protected:
  Partials() { disk::set_policy({0}); }
  ~Partials() override { disk::set_policy({}); }
  Result<PartialFile> open() const { return PartialFile::open(folder_.path().string(), digest_, 100); }
  const std::string digest_ = "sha256:" + std::string(64, 'a');
  test::TemporaryFolder folder_;
};

TEST_F(Partials, GoOnWhereTheyWere) {
  {
    auto file = open();
    ASSERT_TRUE(file) << file.error().message;
    auto space = disk::reserve(folder_.path().string(), 100, "test");
    ASSERT_TRUE(file->allocate(*space));
    const auto number = file->take();
    ASSERT_TRUE(file->write(*number, std::string(60, 'x')));
    EXPECT_FALSE(file->take()) << "somebody has it";
    EXPECT_FALSE(file->write(*number, std::string(41, 'x'))) << "beyond its end";
    EXPECT_EQ(open().error().kind, ErrorKind::kBusy);
    const auto list = list_partials(folder_.path().string());
    ASSERT_EQ(list.size(), 1u);
    EXPECT_TRUE(list[0].in_use);
    EXPECT_EQ(remove_partials(folder_.path().string(), 0), 0u) << "it is in use";
  }
  EXPECT_EQ(list_partials(folder_.path().string()).at(0).done, 60u);
  auto file = open();
  ASSERT_TRUE(file);
  EXPECT_EQ(file->done(), 60u);
  EXPECT_EQ(file->prefix(), 60u);
  ASSERT_TRUE(file->write(*file->take(), std::string(40, 'y')));
  const std::string target = (folder_ / "blob").string();
  ASSERT_TRUE(file->commit(target));
  EXPECT_EQ(*read_file(target), std::string(60, 'x') + std::string(40, 'y'));
  EXPECT_TRUE(list_partials(folder_.path().string()).empty());
}

TEST_F(Partials, WithoutAByteLeaveNothing) {
  { ASSERT_TRUE(open()); }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(Partials, ThatAreShorterThanTheirListBeginAnew) {
  {
    auto file = open();
    ASSERT_TRUE(file->write(*file->take(), std::string(60, 'x')));
  }
  fs::resize_file(folder_ / ("sha256-" + std::string(64, 'a')), 10);
  EXPECT_EQ(open()->done(), 0u);
}

}  // namespace
}  // namespace hearth::registry
