#include "sim/cuda/side_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>

#include "sim/ptx/parse.h"

namespace hearth::sim::cuda {
namespace {

// What follows `before` up to one of `ends`, wherever it occurs.
std::string names_after(const std::string& text, std::string_view before, std::string_view ends) {
  std::set<std::string> names;
  for (std::size_t at = text.find(before); at != std::string::npos; at = text.find(before, at)) {
    at += before.size();
    names.insert(text.substr(at, text.find_first_of(ends, at) - at));
  }
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : " ") + name;
  return joined;
}

}  // namespace

// Each kernel's machine code is a section of its own; the names of sections lie in the file as strings.
std::string kernels_of_elf(const std::string& elf) {
  using namespace std::string_view_literals;
  return names_after(elf, "\0.text."sv, "\0"sv);
}

std::string kernels_of_ptx(const std::string& text) {
  return names_after(text, ".entry ", "( \t\r\n");
}

std::optional<std::string> find_side_file(const std::string& elf, int architecture) {
  const char* folder = std::getenv("HEARTH_SIM_PTX");
  if (folder == nullptr || *folder == '\0') return std::nullopt;
  const std::string wanted = kernels_of_elf(elf);
  std::optional<std::string> best;
  int best_target = 0;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    if (entry.path().extension() != ".ptx") continue;
    std::ifstream file(entry.path());
    std::stringstream content;
    content << file.rdbuf();
    std::string text = content.str();
    if (kernels_of_ptx(text) != wanted) continue;
    const auto header = ptx::read_header(text);
    if (!header || header->target > architecture || header->target <= best_target) continue;
    best_target = header->target;
    best = std::move(text);
  }
  return best;
}

}  // namespace hearth::sim::cuda
