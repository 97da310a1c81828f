#include "grammar/formats.h"

namespace hearth::grammar {
namespace {

// RFC 3339, with the days that a month has.
#define YEAR "(?:[1-9]\\d{3}|0[1-9]\\d\\d|00[1-9]\\d|000[1-9])"
#define LEAP_YEAR "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
#define DATE                                                                                   \
  "(?:" YEAR                                                                                   \
  "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:" \
  "0[1-9]|1\\d|2[0-8]))|" LEAP_YEAR "-02-29)"
#define TIME "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
// RFC 1123; no label like those of international names, whose validity is another matter (RFC 5890).
#define HOST LABEL "(?:\\." LABEL ")*"
#define NO_CODED_LABEL "(?!(?:.*\\.)?[A-Za-z0-9]{2}--)"
#define ATOM "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#define BYTE "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define H16 "[0-9A-Fa-f]{1,4}"
// RFC 3986.
#define UNIT "(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
#define PCHAR "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
#define PATH "(?:/" PCHAR "*)*"
#define AUTHORITY "//(?:(?:" UNIT "|:)*@)?" UNIT "*(?::\\d*)?"
#define QUERY "(?:\\?(?:" PCHAR "|[/?])*)?(?:#(?:" PCHAR "|[/?])*)?"
#define SCHEME "[A-Za-z][A-Za-z0-9+.-]*:"
#define URI SCHEME "(?:" AUTHORITY PATH "|/(?:" PCHAR "+" PATH ")?|" PCHAR "+" PATH ")" QUERY
#define NO_COLON "(?:[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})"
#define REFERENCE "(?:" URI "|(?:" AUTHORITY PATH "|/(?:" PCHAR "+" PATH ")?|" NO_COLON "+" PATH ")?" QUERY ")"
#define POINTER "(?:/(?:[^~/]|~[01])*)*"
#define ANYTHING "[^]*"
#define TIME_PART "T(?:\\d+H(?:\\d+M)?(?:\\d+S)?|\\d+M(?:\\d+S)?|\\d+S)"

constexpr Format kFormats[] = {
    {"date", DATE, "\\d{4}-\\d\\d-\\d\\d"},
    {"time", TIME, "\\d\\d:\\d\\d:\\d\\d" ANYTHING},
    {"date-time", DATE "T" TIME, "\\d{4}-\\d\\d-\\d\\d[Tt]" ANYTHING},
    {"duration", "P(?:\\d+W|(?:\\d+Y(?:\\d+M)?(?:\\d+D)?|\\d+M(?:\\d+D)?|\\d+D)(?:" TIME_PART ")?|" TIME_PART ")",
     "P" ANYTHING},
    {"email", ATOM "(?:\\." ATOM ")*@(?=.{1,253}$)" NO_CODED_LABEL HOST, ANYTHING "@" ANYTHING},
    {"idn-email", ATOM "(?:\\." ATOM ")*@(?=.{1,253}$)" NO_CODED_LABEL HOST, ANYTHING "@" ANYTHING},
    {"hostname", "(?=.{1,253}$)" NO_CODED_LABEL HOST, "[^ ]*"},
    {"idn-hostname", "(?=.{1,253}$)" NO_CODED_LABEL HOST, "[^ ]*"},
    {"ipv4", BYTE "(?:\\." BYTE "){3}", BYTE "(?:\\." BYTE "){3}"},
    {"ipv6",
     "(?:" H16 ":){7}" H16 "|(?:" H16 ":){1,7}:|(?:" H16 ":){1,6}:" H16 "|(?:" H16 ":){1,5}(?::" H16 "){1,2}|(?:" H16
     ":){1,4}(?::" H16 "){1,3}|(?:" H16 ":){1,3}(?::" H16 "){1,4}|(?:" H16 ":){1,2}(?::" H16 "){1,5}|" H16 ":(?::" H16
     "){1,6}|:(?:(?::" H16 "){1,7}|:)",
     "[0-9A-Fa-f:.]*"},
    {"uuid", "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
     "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"},
    {"uri", URI, "[A-Za-z]" ANYTHING ":" ANYTHING},
    {"iri", URI, "[A-Za-z]" ANYTHING ":" ANYTHING},
    {"uri-reference", REFERENCE, ANYTHING},
    {"iri-reference", REFERENCE, ANYTHING},
    {"uri-template", "(?:" PCHAR "|[/?#]|\\{[A-Za-z0-9_]+\\})*", ANYTHING},
    {"json-pointer", POINTER, POINTER},
    {"relative-json-pointer", "(?:0|[1-9]\\d*)(?:#|" POINTER ")", "(?:0|[1-9]\\d*)(?:#|" POINTER ")"},
    {"regex", "[A-Za-z0-9 _,:;/-]*", ANYTHING},
};

}  // namespace

const Format* find_format(std::string_view name) {
  for (const Format& format : kFormats) {
    if (name == format.name) return &format;
  }
  return nullptr;
}

}  // namespace hearth::grammar
