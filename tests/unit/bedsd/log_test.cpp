#include "support/catch.hpp"

#include <log.hpp>

using namespace beds;

TEST_CASE("one message is one line, whatever a server wrote into it") {
    CHECK(bedsd::console_line({observe::level::info, "BEDS_X", "rel.read/2", "a\nb\x1b[31m Ñ"}) ==
          "BEDS_X rel.read/2: a\\x0ab\\x1b[31m Ñ");
}

TEST_CASE("every line is UTF-8, whatever a server wrote into it") {
    const auto line = [](std::string_view text) {
        return bedsd::console_line({observe::level::info, "B", "s", text}).substr(5);
    };
    CHECK(line("no such \xE2ommand") == "no such \\xe2ommand");      // a bit of it flipped
    CHECK(line("\xE2\x82\xAC\xE2\x82") == "\xE2\x82\xAC\\xe2\\x82"); // cut in a character
    CHECK(line("\xFF\xC0\xAF\xED\xA0\x80") == "\\xff\\xc0\\xaf\\xed\\xa0\\x80");
    CHECK(line("\xC2\x9B"
               "2J\x7F") == "\\xc2\\x9b2J\\x7f"); // controls of terminals, too
    CHECK(line("\xF0\x9F\x92\xA3") == "\xF0\x9F\x92\xA3");
    CHECK(bedsd::journal_fields({observe::level::info, "B", "s", "\xE2\n\xC3\xA4"})[0] ==
          "MESSAGE=\\xe2\n\xC3\xA4");
}

TEST_CASE("the journal gets fields") {
    const auto fields =
        bedsd::journal_fields({observe::level::warning, "BEDS_X", "rel.read/2", "two\nlines"});
    CHECK(fields == std::vector<std::string>{"MESSAGE=two\nlines", "PRIORITY=4", "BEDS_ID=BEDS_X",
                                             "BEDS_SOURCE=rel.read/2", "SYSLOG_IDENTIFIER=bedsd"});
    CHECK(bedsd::journal_fields({observe::level::error, "", "", ""})[1] == "PRIORITY=3");
}

TEST_CASE("the level of the configuration is the least that is written") {
    config::log_settings settings;
    settings.level = config::log_level::warning;
    const auto sink = bedsd::make_log(settings);
    CHECK_FALSE(sink.wants(observe::level::info));
    CHECK(sink.wants(observe::level::warning));
}
