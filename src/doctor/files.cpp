#include "doctor/files.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace hearth::doctor {

bool Files::exists(const std::string& path) const {
  const auto file = files_.find(path);
  return file != files_.end() ? file->second.exists() : folder_known(path);
}

bool Files::folder_known(const std::string& folder) const {
  const auto next = files_.lower_bound(folder + "/");
  return next != files_.end() && next->first.starts_with(folder + "/");
}

const FileFact* Files::find(const std::string& path) const {
  const auto file = files_.find(path);
  return file != files_.end() && file->second.exists() ? &file->second : nullptr;
}

std::string Files::text(const std::string& path) const {
  const FileFact* file = find(path);
  return file != nullptr && file->content ? std::string(trim(*file->content)) : std::string();
}

std::optional<int64_t> Files::number(const std::string& path) const {
  return to_number(text(path));
}

std::vector<std::string> Files::children(const std::string& folder) const {
  std::vector<std::string> names;
  const std::string prefix = folder + "/";
  for (auto next = files_.lower_bound(prefix); next != files_.end() && next->first.starts_with(prefix); ++next) {
    if (!next->second.exists()) continue;
    const std::string name = next->first.substr(prefix.size(), next->first.find('/', prefix.size()) - prefix.size());
    if (!name.empty() && (names.empty() || names.back() != name)) names.push_back(name);
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::optional<int64_t> to_number(std::string_view text) {
  text = trim(text);
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (failed != std::errc() || value > INT64_MAX) return std::nullopt;
  if (end != text.data() + text.size() && std::isspace(static_cast<unsigned char>(*end)) == 0) return std::nullopt;
  return negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n\v\f";
  const size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of(separators, at), text.size());
    if (end > at) parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> split_nul(std::string_view text, std::string_view otherwise) {
  return split(text, text.find('\0') != std::string_view::npos ? std::string_view("\0", 1) : otherwise);
}

std::vector<int> version_numbers(std::string_view text) {
  std::vector<int> numbers;
  for (const std::string& part : split(text, ".-+_ ")) {
    int value = 0;
    if (std::from_chars(part.data(), part.data() + part.size(), value).ec != std::errc()) break;
    numbers.push_back(value);
  }
  return numbers;
}

bool older(std::string_view version, std::string_view than) {
  return version_numbers(version) < version_numbers(than);
}

std::optional<double> to_bytes(std::string_view text) {
  text = trim(text);
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || value < 0 || !std::isfinite(value)) return std::nullopt;
  const std::string unit = lower(trim(std::string_view(end, static_cast<size_t>(text.data() + text.size() - end))));
  if (unit.empty() || unit == "b") return value;
  constexpr std::string_view kPrefixes = "kmgt";
  const size_t power = kPrefixes.find(unit[0]);
  if (power == std::string_view::npos || (unit.size() > 1 && unit.substr(1) != "b" && unit.substr(1) != "ib"))
    return std::nullopt;
  return value * std::pow(1024.0, static_cast<double>(power + 1));
}

std::optional<double> to_seconds(std::string_view text) {
  text = trim(text);
  if (text.empty()) return std::nullopt;
  double sum = 0;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  while (!text.empty()) {
    double value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || !std::isfinite(value)) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    size_t letters = 0;
    while (letters < text.size() && std::isalpha(static_cast<unsigned char>(text[letters])) != 0) ++letters;
    const std::string_view unit = text.substr(0, letters);
    if (unit == "h")
      value *= 3600;
    else if (unit == "m")
      value *= 60;
    else if (unit == "ms")
      value /= 1000;
    else if (unit == "us" || unit == "ns")
      value = 0;
    else if (!unit.empty() && unit != "s")
      return std::nullopt;
    sum += value;
    text.remove_prefix(letters);
  }
  return negative ? -sum : sum;
}

}  // namespace hearth::doctor
