#include "core/numbers.hpp"

#include <beds/core/value.hpp>

#include <limits>

namespace beds::core {
namespace {

constexpr std::int64_t one_second = 1'000'000;
constexpr std::int64_t one_minute = 60 * one_second;
constexpr std::int64_t one_hour = 60 * one_minute;
constexpr std::int64_t one_day = 24 * one_hour;
constexpr int last_year = 9999;

/// `count` digits at `at`; -1 when one of them is none.
int digits(std::string_view text, std::size_t at, std::size_t count) {
    int result = 0;
    for (std::size_t i = at; i < at + count; ++i) {
        if (i >= text.size() || !is_digit(text[i])) {
            return -1;
        }
        result = result * 10 + (text[i] - '0');
    }
    return result;
}

bool is_leap(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int days_in(int year, int month) {
    if (month == 2) {
        return is_leap(year) ? 29 : 28;
    }
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/// Reads a time of day at the start of `text` and takes it off.
std::optional<std::int64_t> take_time(std::string_view& text) {
    const int h = digits(text, 0, 2);
    const int m = digits(text, 3, 2);
    const int s = digits(text, 6, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59 || text[2] != ':' || text[5] != ':') {
        return std::nullopt;
    }
    text.remove_prefix(8);
    std::int64_t fraction = 0;
    if (!text.empty() && text.front() == '.') {
        std::int64_t unit = one_second;
        std::size_t at = 1;
        while (at < text.size() && is_digit(text[at])) {
            unit /= 10;
            if (unit == 0) {
                return std::nullopt;
            }
            fraction += (text[at] - '0') * unit;
            ++at;
        }
        if (at == 1) {
            return std::nullopt;
        }
        text.remove_prefix(at);
    }
    return h * one_hour + m * one_minute + s * one_second + fraction;
}

/// What stands between UTC and the time before it: `Z`, `+02:00`, `-03:30`.
std::optional<std::int64_t> parse_offset(std::string_view text) {
    if (text == "Z" || text == "z") {
        return 0;
    }
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') {
        return std::nullopt;
    }
    const int h = digits(text, 1, 2);
    const int m = digits(text, 4, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59) {
        return std::nullopt;
    }
    const std::int64_t offset = h * one_hour + m * one_minute;
    return text[0] == '-' ? -offset : offset;
}

char* put_padded(char* out, std::uint64_t number, std::size_t width) {
    char reversed[20];
    std::size_t length = 0;
    do {
        reversed[length++] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    for (; width > length; --width) {
        *out++ = '0';
    }
    while (length > 0) {
        *out++ = reversed[--length];
    }
    return out;
}

char* put_fraction(char* out, std::int64_t microseconds) {
    if (microseconds == 0) {
        return out;
    }
    *out++ = '.';
    const auto fraction = static_cast<std::uint64_t>(microseconds);
    return fraction % 1000 == 0 ? put_padded(out, fraction / 1000, 3)
                                : put_padded(out, fraction, 6);
}

char* put_clock(char* out, std::int64_t microseconds) {
    out = put_padded(out, static_cast<std::uint64_t>(microseconds / one_hour), 2);
    *out++ = ':';
    out = put_padded(out, static_cast<std::uint64_t>(microseconds / one_minute % 60), 2);
    *out++ = ':';
    out = put_padded(out, static_cast<std::uint64_t>(microseconds / one_second % 60), 2);
    return put_fraction(out, microseconds % one_second);
}

char* put_date(char* out, std::int64_t days) {
    int year = 0;
    unsigned month = 0;
    unsigned of_month = 0;
    civil_from_days(days, year, month, of_month);
    if (year < 0) {
        *out++ = '-';
    }
    const std::int64_t wide = year;
    out = put_padded(out, static_cast<std::uint64_t>(wide < 0 ? -wide : wide), 4);
    *out++ = '-';
    out = put_padded(out, month, 2);
    *out++ = '-';
    return put_padded(out, of_month, 2);
}

} // namespace

// Both ways: the year begins in March, so that the leap day is its last, and eras of 400 years
// repeat exactly.
std::int64_t days_from_civil(int year, unsigned month, unsigned day) {
    const std::int64_t y = std::int64_t{year} - (month <= 2 ? 1 : 0);
    const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
    const std::int64_t of_era = y - era * 400;
    const std::int64_t shifted = month > 2 ? std::int64_t{month} - 3 : std::int64_t{month} + 9;
    const std::int64_t of_year = (153 * shifted + 2) / 5 + std::int64_t{day} - 1;
    return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

void civil_from_days(std::int64_t days, int& year, unsigned& month, unsigned& day) {
    // No calendar needs more than a million years; the bound keeps every step below in range.
    constexpr std::int64_t furthest = 365'000'000;
    days = days < -furthest ? -furthest : days > furthest ? furthest : days;
    const std::int64_t shifted = days + 719'468;
    const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
    const std::int64_t of_era = shifted - era * 146'097;
    const std::int64_t year_of_era =
        (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
    const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t from_march = (5 * of_year + 2) / 153;
    day = static_cast<unsigned>(of_year - (153 * from_march + 2) / 5 + 1);
    month = static_cast<unsigned>(from_march < 10 ? from_march + 3 : from_march - 9);
    year = static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
}

std::optional<std::int64_t> parse_date(std::string_view text) {
    const int year = digits(text, 0, 4);
    const int month = digits(text, 5, 2);
    const int of_month = digits(text, 8, 2);
    if (text.size() != 10 || text[4] != '-' || text[7] != '-' || year < 1 || month < 1 ||
        month > 12 || of_month < 1 || of_month > days_in(year, month)) {
        return std::nullopt;
    }
    return days_from_civil(year, static_cast<unsigned>(month), static_cast<unsigned>(of_month));
}

std::optional<std::int64_t> parse_time(std::string_view text) {
    const auto result = take_time(text);
    return text.empty() ? result : std::nullopt;
}

std::optional<std::int64_t> parse_datetime(std::string_view text) {
    if (text.size() < 20 || (text[10] != 'T' && text[10] != 't')) {
        return std::nullopt;
    }
    const auto days = parse_date(text.substr(0, 10));
    std::string_view rest = text.substr(11);
    const auto clock = take_time(rest);
    const auto offset = parse_offset(rest);
    if (!days || !clock || !offset) {
        return std::nullopt;
    }
    const std::int64_t result = *days * one_day + *clock - *offset;
    // An offset can push the first and the last day out of the years that have a text.
    if (result < days_from_civil(1, 1, 1) * one_day ||
        result >= days_from_civil(last_year + 1, 1, 1) * one_day) {
        return std::nullopt;
    }
    return result;
}

std::size_t format_date(std::int64_t days, char* out) {
    return static_cast<std::size_t>(put_date(out, days) - out);
}

std::size_t format_time(std::int64_t microseconds, char* out) {
    char* at = out;
    if (microseconds < 0) {
        *at++ = '-';
        // The smallest number has no positive twin.
        microseconds = microseconds == std::numeric_limits<std::int64_t>::min()
                           ? std::numeric_limits<std::int64_t>::max()
                           : -microseconds;
    }
    return static_cast<std::size_t>(put_clock(at, microseconds) - out);
}

std::size_t format_datetime(std::int64_t microseconds, char* out) {
    std::int64_t days = microseconds / one_day;
    std::int64_t rest = microseconds % one_day;
    if (rest < 0) {
        rest += one_day;
        --days;
    }
    char* at = put_date(out, days);
    *at++ = 'T';
    at = put_clock(at, rest);
    *at++ = 'Z';
    return static_cast<std::size_t>(at - out);
}

} // namespace beds::core
