#include "template/go_template.h"

#include "template/failure.h"
#include "template/go_run.h"
#include "template/json.h"

namespace hearth::templates {
namespace {

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm time{};
  ::localtime_r(&now, &time);
  return time;
}

}  // namespace

struct GoTemplate::Compiled {
  go::Tree tree;
  std::map<std::string, bool> mentions;
};

GoTemplate::GoTemplate(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
GoTemplate::GoTemplate(GoTemplate&&) noexcept = default;
GoTemplate& GoTemplate::operator=(GoTemplate&&) noexcept = default;
GoTemplate::~GoTemplate() = default;

Result<GoTemplate> GoTemplate::parse(std::string_view text, const std::string& cut_behind) {
  if (text.size() > kMaxTemplateBytes) {
    return error(ErrorKind::kInvalidData, "the template is larger than {} MiB", kMaxTemplateBytes >> 20);
  }
  if (!unicode::valid(text)) return error(ErrorKind::kInvalidData, "the template is not valid UTF-8");
  auto compiled = std::make_unique<Compiled>();
  try {
    compiled->tree = go::parse(text);
    if (!cut_behind.empty()) {
      go::collect_mentions(compiled->tree, &compiled->mentions);
      go::cut_behind(compiled->tree, cut_behind);
    }
  } catch (const Failure& failure) {
    return to_error(failure);
  }
  return GoTemplate(std::move(compiled));
}

bool GoTemplate::mentions(const std::string& field) const {
  return compiled_->mentions.contains(field);
}

Result<Rendered> GoTemplate::render_data(std::string_view data, const std::optional<std::tm>& now) const {
  return render(
      [&](Budget& budget, const Execute& execute) { execute(go::plain_data(budget, read_json(budget, data)), false); },
      now);
}

Result<Rendered> GoTemplate::render(const Program& program, const std::optional<std::tm>& now,
                                    uint64_t most_steps) const {
  Budget budget(most_steps);
  try {
    const std::tm time = now ? *now : local_time();
    const go::CallContext context{budget, time};
    TextBuilder out(budget);
    go::Run run(compiled_->tree, context, out);
    program(budget, [&run](const Value& root, bool only_kept) { run.execute(root, only_kept); });
    return out.take();
  } catch (const Failure& failure) {
    return to_error(failure);
  }
}

}  // namespace hearth::templates
