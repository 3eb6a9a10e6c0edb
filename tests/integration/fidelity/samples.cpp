#include "samples.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <utility>

namespace beds::test {
namespace {

template <class T>
T pick(random_engine& random, std::initializer_list<T> from) {
    return from.begin()[random() % from.size()];
}

std::string json_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            std::array<char, 8> escaped{};
            std::snprintf(escaped.data(), escaped.size(), "\\u%04x", byte);
            out += escaped.data();
        } else {
            out += c;
        }
    }
    return out + '"';
}

/// As often a bound or its neighbour as any number between them.
template <class Integer>
sample whole(random_engine& random) {
    using limits = std::numeric_limits<Integer>;
    Integer value =
        pick<Integer>(random, {limits::min(), static_cast<Integer>(limits::min() + 1), 0, 1,
                               static_cast<Integer>(limits::max() - 1), limits::max()});
    if (random() % 2 == 0) {
        value = static_cast<Integer>(random() >> (random() % 64));
    }
    const auto text = std::to_string(value);
    return {random() % 4 == 0 ? '"' + text + '"' : text, text};
}

std::string digits(random_engine& random, std::size_t count) {
    std::string out;
    while (out.size() < count) {
        out += static_cast<char>('0' + random() % 10);
    }
    return out;
}

sample decimal(random_engine& random, std::size_t precision, std::size_t scale) {
    auto before = digits(random, random() % (precision - scale + 1));
    before.erase(0, before.find_first_not_of('0'));
    if (before.empty()) {
        before = "0";
    }
    const auto after = digits(random, random() % (scale + 1));
    auto wanted = before;
    if (scale != 0) {
        wanted += '.' + after + std::string(scale - after.size(), '0');
    }
    const bool zero = wanted.find_first_not_of("0.") == std::string::npos;
    const bool minus = !zero && random() % 2 == 0;
    auto sent = (minus ? "-" : "") + before + (after.empty() ? "" : '.' + after);
    wanted = (minus ? "-" : "") + wanted;
    return {random() % 2 == 0 ? json_text(sent) : sent, json_text(wanted)};
}

std::string text_of(double value) {
    std::array<char, 40> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return {text.data(), end};
}

sample floating(random_engine& random) {
    using limits = std::numeric_limits<double>;
    auto value = pick(random, {0.0, -0.0, 0.1, -0.1, 1.0 / 3, 1e15, 1e16, 1e22,
                               123456789012345680.0, limits::max(), limits::lowest(), limits::min(),
                               limits::denorm_min(), limits::epsilon()});
    if (random() % 4 != 0) {
        value = std::bit_cast<double>(random());
        while (!std::isfinite(value)) {
            value = std::bit_cast<double>(random());
        }
    }
    return {text_of(value), text_of(value)};
}

void append_utf8(std::string& out, std::uint32_t point) {
    const auto byte = [&out](std::uint32_t value) { out += static_cast<char>(value); };
    if (point < 0x80) {
        byte(point);
    } else if (point < 0x800) {
        byte(0xC0 | point >> 6);
        byte(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        byte(0xE0 | point >> 12);
        byte(0x80 | (point >> 6 & 0x3F));
        byte(0x80 | (point & 0x3F));
    } else {
        byte(0xF0 | point >> 18);
        byte(0x80 | (point >> 12 & 0x3F));
        byte(0x80 | (point >> 6 & 0x3F));
        byte(0x80 | (point & 0x3F));
    }
}

/// Of all planes and lengths, with what is special in JSON, SQL, LIKE, BSON and C.
std::string words(random_engine& random, std::size_t most) {
    std::string out;
    for (auto left = random() % (most + 1); left != 0; --left) {
        auto point = static_cast<std::uint32_t>(0x20 + random() % 0x5F);
        switch (random() % 6) {
        case 0:
            point = pick<std::uint32_t>(
                random, {'\'', '"',  '\\', '%',  '_',  '`',  ';',    '-',    '$',     '.',     ' ',
                         '\t', '\n', 0x00, 0x1F, 0x7F, 0x80, 0xFFFD, 0x202E, 0x1F600, 0x10FFFF});
            break;
        case 1:
            point = static_cast<std::uint32_t>(random() % 0x110000);
            point = point >= 0xD800 && point < 0xE000 ? 0xE9 : point;
            break;
        default:
            break;
        }
        append_utf8(out, point);
    }
    return out;
}

sample text(random_engine& random, std::size_t most) {
    const auto value = json_text(words(random, most));
    return {value, value};
}

sample uuid(random_engine& random) {
    std::string wanted;
    for (int i = 0; i < 36; ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        wanted += dash ? '-' : "0123456789abcdef"[random() % 16];
    }
    auto sent = wanted;
    if (random() % 2 == 0) {
        for (auto& c : sent) {
            c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
        }
    }
    return {json_text(sent), json_text(wanted)};
}

sample bytes(random_engine& random) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string value;
    for (auto left = random() % 300; left != 0; --left) {
        value += random() % 4 == 0 ? '\0' : static_cast<char>(random());
    }
    std::string out;
    for (std::size_t i = 0; i < value.size(); i += 3) {
        std::uint32_t three = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            three =
                three << 8 | (i + k < value.size() ? static_cast<unsigned char>(value[i + k]) : 0U);
        }
        for (std::size_t k = 0; k < 4; ++k) {
            out += i + k > value.size() ? '=' : alphabet[three >> (18 - 6 * k) & 63];
        }
    }
    return {json_text(out), json_text(out)};
}

struct civil {
    int year, month, day;
};

civil any_day(random_engine& random) {
    constexpr std::array<int, 12> lengths{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int year = pick<int>(random, {1000, 1582, 1900, 1969, 1970, 2000, 2024, 2038, 9999});
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    const int month = 1 + static_cast<int>(random() % 12);
    const int most = month == 2 && leap ? 29 : lengths[static_cast<std::size_t>(month) - 1];
    const int day = random() % 3 == 0 ? most : 1 + static_cast<int>(random() % 28);
    return {year, month, day};
}

std::string text_of(const civil& day) {
    std::array<char, 32> out{};
    std::snprintf(out.data(), out.size(), "%04d-%02d-%02d", day.year, day.month, day.day);
    return out.data();
}

sample date(random_engine& random) {
    const auto value = json_text(text_of(any_day(random)));
    return {value, value};
}

/// Up to six digits are sent; none, three or six come back.
struct clock_text {
    std::string sent, wanted;
};

clock_text any_time(random_engine& random) {
    const int hour = static_cast<int>(random() % 24);
    const int minute = static_cast<int>(random() % 60);
    const int second = static_cast<int>(random() % 60);
    std::array<char, 16> out{};
    std::snprintf(out.data(), out.size(), "%02d:%02d:%02d", hour, minute, second);
    const auto fraction = random() % 3 == 0 ? std::string(random() % 7, '0') + "999999"
                                            : digits(random, random() % 7);
    const auto sent = fraction.substr(0, 6);
    auto micros = sent + std::string(6 - sent.size(), '0');
    std::string wanted;
    if (micros != "000000") {
        wanted = '.' + (micros.ends_with("000") ? micros.substr(0, 3) : micros);
    }
    return {out.data() + (sent.empty() ? std::string{} : '.' + sent), out.data() + wanted};
}

sample time_of_day(random_engine& random) {
    const auto made = any_time(random);
    return {json_text(made.sent), json_text(made.wanted)};
}

sample moment(random_engine& random) {
    const auto time = any_time(random);
    const auto day = text_of(any_day(random));
    auto sent = time.sent;
    auto zone = pick<std::string_view>(random, {"Z", "+00:00"});
    auto wanted = time.wanted;
    if (random() % 3 == 0) { // half an hour that does not cross a day: the clock alone moves
        const int hour = 1 + static_cast<int>(random() % 21);
        std::array<char, 8> local{};
        std::array<char, 8> utc{};
        std::snprintf(local.data(), local.size(), "%02d:45", hour + 1);
        std::snprintf(utc.data(), utc.size(), "%02d:15", hour);
        sent.replace(0, 5, local.data());
        wanted.replace(0, 5, utc.data());
        zone = "+01:30";
    }
    return {json_text(day + 'T' + sent + std::string{zone}), json_text(day + 'T' + wanted + 'Z')};
}

/// Without NUL in names, which BSON cannot have.
std::string member_name(random_engine& random, std::size_t number) {
    auto name = pick<std::string>(random, {"$x", "a.b", "$date", "$oid", "", "__proto__", "é",
                                           "a b", "$numberLong", "_id", "'; DROP TABLE t;--"});
    return name + std::to_string(number); // each once
}

std::string tree(random_engine& random, unsigned depth) {
    const auto kind = random() % (depth == 0 ? 6 : 8);
    std::string out;
    switch (kind) {
    case 0:
        return "null";
    case 1:
        return random() % 2 == 0 ? "true" : "false";
    case 2:
        return whole<std::int64_t>(random).wanted;
    case 3:
        return std::to_string(static_cast<std::int32_t>(random())) + ".5";
    case 4:
    case 5:
        return json_text(words(random, 20));
    case 6:
        for (auto left = random() % 4; left != 0; --left) {
            out += (out.empty() ? "" : ",") + tree(random, depth - 1);
        }
        return '[' + out + ']';
    default:
        for (auto left = random() % 4; left != 0; --left) {
            out += (out.empty() ? "" : ",") + json_text(member_name(random, left)) + ':' +
                   tree(random, depth - 1);
        }
        return '{' + out + '}';
    }
}

sample document(random_engine& random) {
    auto value = tree(random, 4);
    while (value == "null") { // JSON's null is NULL: another sample
        value = tree(random, 4);
    }
    return {value, value};
}

void append_canonical(std::string& out, const core::datum& of) {
    switch (of.type) {
    case core::datum::kind::number:
        out += text_of(std::strtod(std::string{of.text}.c_str(), nullptr));
        break;
    case core::datum::kind::array: {
        out += '[';
        const char* comma = "";
        for (const auto& item : of.items()) {
            out += std::exchange(comma, ",");
            append_canonical(out, item);
        }
        out += ']';
        break;
    }
    case core::datum::kind::object: {
        out += '{';
        const char* comma = "";
        for (const auto& member : of.members()) {
            out += std::exchange(comma, ",");
            core::append_json_string(out, member.name);
            out += ':';
            append_canonical(out, member.value);
        }
        out += '}';
        break;
    }
    default:
        core::append_json(out, of);
    }
}

} // namespace

const std::vector<typed_field>& typed_fields() {
    static const std::vector<typed_field> all{
        {"i8", "int8", "", "TINYINT", whole<std::int8_t>},
        {"i16", "int16", "", "SMALLINT", whole<std::int16_t>},
        {"i32", "int32", "", "INT", whole<std::int32_t>},
        {"i64", "int64", "", "BIGINT", whole<std::int64_t>},
        {"u8", "uint8", "", "TINYINT UNSIGNED", whole<std::uint8_t>},
        {"u16", "uint16", "", "SMALLINT UNSIGNED", whole<std::uint16_t>},
        {"u32", "uint32", "", "INT UNSIGNED", whole<std::uint32_t>},
        {"u64", "uint64", "", "BIGINT UNSIGNED", whole<std::uint64_t>},
        {"flag", "bool", "", "BOOLEAN",
         [](random_engine& random) {
             const std::string value = random() % 2 == 0 ? "true" : "false";
             return sample{value, value};
         }},
        {"money", "decimal(18,2)", "", "DECIMAL(18,2)",
         [](random_engine& random) { return decimal(random, 18, 2); }},
        {"fine", "decimal(34,20)", "", "DECIMAL(34,20)",
         [](random_engine& random) { return decimal(random, 34, 20); }},
        {"units", "decimal(30,0)", "", "DECIMAL(30,0)",
         [](random_engine& random) { return decimal(random, 30, 0); }},
        {"ratio", "double", "", "DOUBLE", floating},
        {"word", "string", ", max = 60", "VARCHAR(60)",
         [](random_engine& random) { return text(random, 60); }},
        {"prose", "string", ", max = 3000", "TEXT",
         [](random_engine& random) { return text(random, random() % 20 == 0 ? 3000 : 80); }},
        {"state", "enum", R"(, values = ["open", "it's", "é €", "$x"])",
         "ENUM('open', 'it''s', 'é €', '$x')",
         [](random_engine& random) {
             const auto value = json_text(pick<std::string>(random, {"open", "it's", "é €", "$x"}));
             return sample{value, value};
         }},
        {"ident", "uuid", "", "CHAR(36)", uuid},
        {"image", "bytes", ", max = 300", "VARBINARY(300)", bytes},
        {"day", "date", "", "DATE", date},
        {"clock", "time", "", "TIME(6)", time_of_day},
        {"moment", "datetime", "", "DATETIME(6)", moment},
        {"data", "json", "", "JSON", document},
        {"tree", "document", "", "LONGTEXT", document},
    };
    return all;
}

std::string canonical(const core::datum& of) {
    std::string out;
    append_canonical(out, of);
    return out;
}

std::string canonical(std::string_view json) {
    core::arena memory;
    core::datum parsed;
    if (core::parse_json(json, memory, parsed)) {
        throw std::logic_error("no JSON: " + std::string{json});
    }
    return canonical(parsed);
}

std::string everything_template(std::string_view store, std::string_view calls) {
    std::string made = "[template]\nname = \"everything\"\nstore = \"" + std::string{store} +
                       "\"\nobject = \"everything\"\nkey = [\"id\"]\n[fields]\n"
                       "id = { type = \"int64\", required = true }\n";
    for (const auto& field : typed_fields()) {
        made += field.name + " = { type = \"" + field.type + '"' + field.more + " }\n";
    }
    return made + std::string{calls};
}

} // namespace beds::test
