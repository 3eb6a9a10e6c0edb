#include "support/catch.hpp"

#include <log.hpp>

using namespace beds;

TEST_CASE("one message is one line, whatever a server wrote into it") {
    CHECK(bedsd::console_line({observe::level::info, "BEDS_X", "rel.read/2", "a\nb\x1b[31m Ñ"}) ==
          "BEDS_X rel.read/2: a\\x0ab\\x1b[31m Ñ");
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
