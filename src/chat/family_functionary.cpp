// Functionary 3.2: the answer is a sequence of >>>RECIPIENT, a line break and what it gets; "all" is the user.
#include "chat/family.h"
#include "chat/named_json.h"

namespace hearth::chat {
namespace {

const NamedJsonForm kForm{.name_ends = {"\n"}, .text_names = {"all"}, .code_names = {"python"}, .code_ends = {">>>"}};

const Family kFunctionary32{.name = "functionary-3.2",
                            .rank = 30,
                            .marks = {{">>>all"}},
                            .markup = {.openers = {{">>>",
                                                    [](const Markers& m) -> std::unique_ptr<CallReader> {
                                                      return std::make_unique<NamedJson>(kForm, m);
                                                    },
                                                    Opener::Where::kIfOffered}}}};
const RegisterFamily registered(&kFunctionary32);

}  // namespace
}  // namespace hearth::chat
