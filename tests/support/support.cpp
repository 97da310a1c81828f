#include "support/support.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>

namespace hearth::test {

std::filesystem::path shared(const std::string& relative) {
  const char* folder = std::getenv("HEARTH_SHARED");
  return std::filesystem::path(folder != nullptr ? folder : HEARTH_SHARED_DIR) / relative;
}

void note_skipped() {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  const char* path = std::getenv("HEARTH_SKIPPED");
  std::cerr << "SKIPPED, since the folder ../shared is not there" << std::endl;
  if (path == nullptr || test == nullptr) return;
  std::ofstream(path, std::ios::app) << test->test_suite_name() << '.' << test->name() << '\n';
}

namespace {

uint64_t seed_of_run() {
  static const uint64_t value = [] {
    const char* given = std::getenv("HEARTH_SEED");
    const uint64_t chosen = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "HEARTH_SEED=" << chosen << std::endl;  // at once: a crash must not swallow it
    return chosen;
  }();
  return value;
}

}  // namespace

uint64_t seed() {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  if (test == nullptr) return seed_of_run();
  return seed_of_run() ^ std::hash<std::string>{}(std::string(test->test_suite_name()) + "." + test->name());
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "hearth-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot create a temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<uint8_t> read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

Npy read_npy(const std::filesystem::path& path) {
  const std::vector<uint8_t> bytes = read_bytes(path);
  if (bytes.size() < 10 || std::memcmp(bytes.data(), "\x93NUMPY\x01", 7) != 0) throw std::runtime_error("not npy 1.x");
  const size_t header = bytes[8] + 256u * bytes[9];
  const std::string text(bytes.begin() + 10, bytes.begin() + 10 + static_cast<ptrdiff_t>(header));
  if (text.find("'<f4'") == std::string::npos) throw std::runtime_error("not float32: " + text);
  Npy out;
  size_t at = text.find("'shape': (") + 10, count = 1;
  for (; text[at] != ')'; ++at) {
    if (std::isdigit(static_cast<unsigned char>(text[at])) == 0) continue;
    size_t used = 0;
    out.shape.push_back(std::stoul(text.substr(at), &used));
    count *= out.shape.back();
    at += used - 1;
  }
  out.values.resize(count);
  if (bytes.size() < 10 + header + count * 4) throw std::runtime_error("npy too short");
  std::memcpy(out.values.data(), bytes.data() + 10 + header, count * 4);
  return out;
}

double relative_error(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) throw std::runtime_error("sizes differ");
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    norm += double(b[i]) * b[i];
  }
  return std::sqrt(difference / (norm > 0 ? norm : 1));
}

}  // namespace hearth::test
