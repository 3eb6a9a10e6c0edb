#include "adapters/mongodb/decimal128.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace beds::adapters::mongodb {
namespace {

__extension__ using wide = unsigned __int128;

constexpr unsigned most_significant = 34;
constexpr int bias = 6176;
constexpr int greatest_exponent = 6111;
constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;
constexpr std::uint64_t significand_mask = (std::uint64_t{1} << 49) - 1;

struct parts {
    bool negative = false;
    wide digits = 0;
    int exponent = 0;
};

/// Nothing for NaN and infinity.
std::optional<parts> take_apart(decimal128 from) {
    parts result;
    result.negative = (from.high & sign_bit) != 0;
    const auto combination = (from.high >> 58) & 0x1f;
    if (combination >= 0x1e) {
        return std::nullopt;
    }
    if ((combination >> 3) == 3) {
        // Significands of this form are above the greatest that counts: zero by the standard.
        result.exponent = static_cast<int>((from.high >> 47) & 0x3fff) - bias;
        return result;
    }
    result.exponent = static_cast<int>((from.high >> 49) & 0x3fff) - bias;
    result.digits = (wide{from.high & significand_mask} << 64) | from.low;
    return result;
}

decimal128 put_together(bool negative, wide digits, int exponent) {
    decimal128 result;
    result.low = static_cast<std::uint64_t>(digits);
    result.high = static_cast<std::uint64_t>(digits >> 64) |
                  (static_cast<std::uint64_t>(exponent + bias) << 49) | (negative ? sign_bit : 0);
    return result;
}

std::string text_of(wide digits) {
    if (digits == 0) {
        return "0";
    }
    std::string text;
    while (digits != 0) {
        text.push_back(static_cast<char>('0' + static_cast<int>(digits % 10)));
        digits /= 10;
    }
    std::reverse(text.begin(), text.end());
    return text;
}

/// The number without its exponent; nothing when it is not whole or above 64 bits.
std::optional<std::uint64_t> magnitude(const parts& from) {
    wide digits = from.digits;
    int exponent = from.exponent;
    if (digits == 0) {
        return 0;
    }
    for (; exponent < 0; ++exponent) {
        if (digits % 10 != 0) {
            return std::nullopt;
        }
        digits /= 10;
    }
    constexpr wide most = std::numeric_limits<std::uint64_t>::max();
    for (; exponent > 0 && digits <= most; --exponent) {
        digits *= 10;
    }
    if (digits > most) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(digits);
}

} // namespace

std::optional<decimal128> to_decimal128(std::string_view text) {
    parts result;
    if (text.starts_with('-')) {
        result.negative = true;
        text.remove_prefix(1);
    }
    bool after_point = false;
    bool any = false;
    unsigned significant = 0;
    std::size_t i = 0;
    for (; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '.' && !after_point) {
            after_point = true;
            continue;
        }
        if (c < '0' || c > '9') {
            break;
        }
        any = true;
        if ((significant > 0 || c != '0') && ++significant > most_significant) {
            return std::nullopt;
        }
        result.digits = result.digits * 10 + static_cast<unsigned>(c - '0');
        if (after_point) {
            --result.exponent;
        }
    }
    if (!any) {
        return std::nullopt;
    }
    if (i < text.size()) {
        if (text[i] != 'e' && text[i] != 'E') {
            return std::nullopt;
        }
        ++i;
        if (i < text.size() && text[i] == '+') {
            ++i;
        }
        int exponent = 0;
        const char* const end = text.data() + text.size();
        const auto [stopped, problem] = std::from_chars(text.data() + i, end, exponent);
        if (problem != std::errc{} || stopped != end || exponent > 100'000 || exponent < -100'000) {
            return std::nullopt;
        }
        result.exponent += exponent;
    }
    // A great exponent can be written with more zeros.
    while (result.exponent > greatest_exponent && significant < most_significant &&
           result.digits != 0) {
        result.digits *= 10;
        ++significant;
        --result.exponent;
    }
    if (result.digits == 0) {
        result.exponent = std::clamp(result.exponent, -bias, greatest_exponent);
    }
    if (result.exponent > greatest_exponent || result.exponent < -bias) {
        return std::nullopt;
    }
    return put_together(result.negative, result.digits, result.exponent);
}

decimal128 to_decimal128(std::uint64_t value) {
    return put_together(false, value, 0);
}

std::optional<decimal128> room_for(std::string_view step, unsigned precision, unsigned scale) {
    const auto given = to_decimal128(step);
    const auto number = given ? take_apart(*given) : std::nullopt;
    if (!number || number->exponent != -static_cast<int>(scale) || precision > most_significant) {
        return std::nullopt;
    }
    wide most = 1;
    for (unsigned i = 0; i < precision; ++i) {
        most *= 10;
    }
    most -= 1;
    if (number->digits > most) {
        return std::nullopt;
    }
    return put_together(false, most - number->digits, number->exponent);
}

decimal128 negated(decimal128 value) {
    value.high ^= sign_bit;
    return value;
}

bool append_decimal(std::string& out, decimal128 from, unsigned scale, unsigned most_digits) {
    const auto given = take_apart(from);
    if (!given) {
        return false;
    }
    wide digits = given->digits;
    int exponent = given->exponent;
    if (digits == 0) {
        exponent = -static_cast<int>(scale);
    }
    for (; exponent < -static_cast<int>(scale); ++exponent) {
        if (digits % 10 != 0) {
            return false;
        }
        digits /= 10;
    }
    std::string text = text_of(digits);
    if (exponent > -static_cast<int>(scale)) {
        const auto zeros = static_cast<std::size_t>(exponent + static_cast<int>(scale));
        if (zeros > most_digits) {
            return false;
        }
        text.append(zeros, '0');
    }
    if (text.size() > most_digits && digits != 0) {
        return false;
    }
    if (text.size() <= scale) {
        text.insert(0, scale + 1 - text.size(), '0');
    }
    if (given->negative && digits != 0) {
        out.push_back('-');
    }
    out.append(text, 0, text.size() - scale);
    if (scale > 0) {
        out.push_back('.');
        out.append(text, text.size() - scale, scale);
    }
    return true;
}

bool append_number(std::string& out, decimal128 from) {
    const auto given = take_apart(from);
    if (!given) {
        return false;
    }
    if (given->exponent <= 0 && given->exponent >= -static_cast<int>(most_significant)) {
        if (given->negative && given->digits == 0) {
            out.push_back('-');
        }
        return append_decimal(out, from, static_cast<unsigned>(-given->exponent),
                              2 * most_significant);
    }
    if (given->negative) {
        out.push_back('-');
    }
    out += text_of(given->digits);
    out.push_back('e');
    out += std::to_string(given->exponent);
    return true;
}

std::optional<std::int64_t> to_int64(decimal128 from) {
    const auto given = take_apart(from);
    const auto size = given ? magnitude(*given) : std::nullopt;
    if (!size) {
        return std::nullopt;
    }
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (given->negative) {
        if (*size > most + 1) {
            return std::nullopt;
        }
        return static_cast<std::int64_t>(std::uint64_t{0} - *size);
    }
    if (*size > most) {
        return std::nullopt;
    }
    return static_cast<std::int64_t>(*size);
}

std::optional<std::uint64_t> to_uint64(decimal128 from) {
    const auto given = take_apart(from);
    const auto size = given ? magnitude(*given) : std::nullopt;
    if (!size || (given->negative && *size != 0)) {
        return std::nullopt;
    }
    return size;
}

} // namespace beds::adapters::mongodb
