#include "random.hpp"
#include "support/catch.hpp"

#include <beds/core/value.hpp>

#include <cstdio>
#include <limits>
#include <string>

using namespace beds::core;

namespace {

constexpr std::int64_t one_day = 86'400'000'000;

std::string date_text(std::int64_t days) {
    char out[32];
    return {out, format_date(days, out)};
}
std::string time_text(std::int64_t microseconds) {
    char out[32];
    return {out, format_time(microseconds, out)};
}
std::string datetime_text(std::int64_t microseconds) {
    char out[32];
    return {out, format_datetime(microseconds, out)};
}

} // namespace

TEST_CASE("known days", "[time]") {
    struct row {
        const char* text;
        std::int64_t days;
    };
    const row rows[] = {
        {"1970-01-01", 0},       {"1969-12-31", -1},        {"2000-02-29", 11'016},
        {"2000-03-01", 11'017},  {"2026-01-31", 20'484},    {"0001-01-01", -719'162},
        {"1900-02-28", -25'509}, {"9999-12-31", 2'932'896}, {"1582-10-15", -141'427},
    };
    for (const auto& each : rows) {
        CAPTURE(each.text);
        CHECK(parse_date(each.text) == each.days);
        CHECK(date_text(each.days) == each.text);
    }
}

TEST_CASE("every day from 0001 to 9999 there and back", "[time]") {
    // Counts days by a calendar of its own, so that both directions are checked against it.
    std::int64_t days = -719'162;
    for (int year = 1; year <= 9999; ++year) {
        const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        const unsigned lengths[] = {31, leap ? 29U : 28U, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        for (unsigned month = 1; month <= 12; ++month) {
            for (unsigned day = 1; day <= lengths[month - 1]; ++day, ++days) {
                int y = 0;
                unsigned m = 0;
                unsigned d = 0;
                civil_from_days(days, y, m, d);
                if (y != year || m != month || d != day ||
                    days_from_civil(year, month, day) != days) {
                    FAIL(year << '-' << month << '-' << day << " at " << days);
                }
            }
            // Text: the first and the last of each month are enough.
            char text[64];
            std::snprintf(text, sizeof text, "%04d-%02u-%02u", year, month, lengths[month - 1]);
            if (date_text(days - 1) != text || parse_date(text) != days - 1) {
                FAIL(text);
            }
            std::snprintf(text, sizeof text, "%04d-%02u-%02u", year, month, lengths[month - 1] + 1);
            if (parse_date(text)) {
                FAIL(text << " was taken");
            }
        }
    }
    CHECK(days == 2'932'897);
}

TEST_CASE("what is not a date", "[time]") {
    for (const char* const text : {"",
                                   "2026",
                                   "2026-01",
                                   "2026-1-01",
                                   "2026-01-1",
                                   "26-01-01",
                                   "2026-01-01 ",
                                   " 2026-01-01",
                                   "2026/01/01",
                                   "2026-00-01",
                                   "2026-13-01",
                                   "2026-01-00",
                                   "2026-01-32",
                                   "2025-02-29",
                                   "1900-02-29",
                                   "2026-04-31",
                                   "0000-01-01",
                                   "-001-01-01",
                                   "10000-01-01",
                                   "+2026-01-01",
                                   "2026-01-01T00:00:00Z",
                                   "20260101",
                                   "2026-0a-01",
                                   "2026-W01-1"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_date(text).has_value());
    }
}

TEST_CASE("times of day", "[time]") {
    struct row {
        const char* text;
        std::int64_t microseconds;
        const char* canonical;
    };
    const row rows[] = {
        {"00:00:00", 0, "00:00:00"},
        {"23:59:59", 86'399'000'000, "23:59:59"},
        {"23:59:59.999999", 86'399'999'999, "23:59:59.999999"},
        {"00:00:00.000001", 1, "00:00:00.000001"},
        {"00:00:00.5", 500'000, "00:00:00.500"},
        {"00:00:00.001", 1'000, "00:00:00.001"},
        {"00:00:00.0010", 1'000, "00:00:00.001"},
        {"00:00:00.000000", 0, "00:00:00"},
        {"12:34:56.12", 45'296'120'000, "12:34:56.120"},
        {"12:34:56.1234", 45'296'123'400, "12:34:56.123400"},
    };
    for (const auto& each : rows) {
        CAPTURE(each.text);
        CHECK(parse_time(each.text) == each.microseconds);
        CHECK(time_text(each.microseconds) == each.canonical);
    }
    for (const char* const text :
         {"", "1:00:00", "24:00:00", "23:60:00", "23:59:60", "23:59", "23:59:59.",
          "23:59:59.1234567", "23:59:59.0000000", "23:59:59Z", "23:59:59+00:00", "23-59-59",
          "23:59:5", "23:59:59 ", "-1:00:00", "23:59:59,5", "23:59:59.a", "235959", "+1:00:00"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_time(text).has_value());
    }
}

TEST_CASE("datetimes and offsets", "[time]") {
    struct row {
        const char* text;
        const char* canonical;
    };
    const row rows[] = {
        {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
        {"1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"},
        {"2026-01-31T23:59:59.000001Z", "2026-01-31T23:59:59.000001Z"},
        {"2026-01-31t23:59:59z", "2026-01-31T23:59:59Z"},
        {"2026-01-31T23:59:59.5-02:30", "2026-02-01T02:29:59.500Z"},
        {"2026-03-01T00:30:00+01:00", "2026-02-28T23:30:00Z"},
        {"2024-03-01T00:30:00+01:00", "2024-02-29T23:30:00Z"},
        {"2026-01-01T00:00:00+23:59", "2025-12-31T00:01:00Z"},
        {"2026-01-01T00:00:00-00:00", "2026-01-01T00:00:00Z"},
        {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
        {"0001-01-01T00:00:00-01:00", "0001-01-01T01:00:00Z"},
        {"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
    };
    for (const auto& each : rows) {
        CAPTURE(each.text);
        const auto parsed = parse_datetime(each.text);
        REQUIRE(parsed.has_value());
        CHECK(datetime_text(*parsed) == each.canonical);
        CHECK(parse_datetime(each.canonical) == parsed);
    }
    CHECK(parse_datetime("2026-01-01T00:00:00Z") == 1'767'225'600'000'000);
    for (const char* const text : {"",
                                   "2026-01-01",
                                   "2026-01-01T00:00:00",
                                   "2026-01-01 00:00:00Z",
                                   "2026-01-01T00:00Z",
                                   "2026-01-01T24:00:00Z",
                                   "2016-12-31T23:59:60Z",
                                   "2026-02-30T00:00:00Z",
                                   "2026-01-01T00:00:00.Z",
                                   "2026-01-01T00:00:00.1234567Z",
                                   "2026-01-01T00:00:00+01",
                                   "2026-01-01T00:00:00+0100",
                                   "2026-01-01T00:00:00+24:00",
                                   "2026-01-01T00:00:00+01:60",
                                   "2026-01-01T00:00:00Z ",
                                   " 2026-01-01T00:00:00Z",
                                   "2026-01-01T00:00:00ZZ",
                                   "0001-01-01T00:00:00+00:01",
                                   "9999-12-31T23:59:59-00:01",
                                   "0000-12-31T23:59:59Z",
                                   "10000-01-01T00:00:00Z",
                                   "2026-01-01T00:00:00+1:000",
                                   "2026-01-01T00:00:00Z+01:00"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_datetime(text).has_value());
    }
}

TEST_CASE("any moment of the calendar there and back", "[time]") {
    beds::test::seeded random;
    INFO(random.note());
    const std::int64_t first = *parse_datetime("0001-01-01T00:00:00Z");
    const std::int64_t last = *parse_datetime("9999-12-31T23:59:59.999999Z");
    for (int i = 0; i < 20'000; ++i) {
        std::int64_t moment = random.between(first, last);
        if (i % 3 != 0) {
            moment -= moment % (i % 3 == 1 ? 1'000 : 1'000'000);
        }
        const std::string text = datetime_text(moment);
        if (parse_datetime(text) != moment) {
            FAIL(moment << " became " << text);
        }
        const std::int64_t of_day = ((moment % one_day) + one_day) % one_day;
        if (parse_time(time_text(of_day)) != of_day) {
            FAIL(of_day);
        }
    }
}

TEST_CASE("numbers outside of the calendar stay in the buffer", "[time]") {
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t number : {least, least + 1, most, most - 1, -one_day, 9999 * one_day}) {
        CHECK(date_text(number).size() <= 32);
        CHECK(time_text(number).size() <= 32);
        CHECK(datetime_text(number).size() <= 32);
    }
    CHECK(date_text(2'932'897) == "10000-01-01");
    CHECK(date_text(-719'163) == "0000-12-31");
    CHECK(time_text(-1) == "-00:00:00.000001");
    CHECK(time_text(838 * 3'600'000'000LL + 3'599'000'000LL) == "838:59:59");
}
