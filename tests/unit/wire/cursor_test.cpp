#include "support/catch.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>
#include <beds/wire/cursor.hpp>

#include <limits>
#include <string>
#include <vector>

using namespace beds;
using core::value;

namespace {

using kind = value::kind;

std::vector<value> every_kind() {
    return {value::of_null(),
            value::of_bool(true),
            value::of_int(std::numeric_limits<std::int64_t>::min()),
            value::of_uint(std::numeric_limits<std::uint64_t>::max()),
            value::of_real(-0.1),
            value::of_text(kind::decimal, "-12.50"),
            value::of_text(kind::string, std::string_view{"a\0é\xff", 5}),
            value::of_text(kind::string, ""),
            value::of_text(kind::uuid, "0198f1c2-0000-7000-8000-0123456789ab"),
            value::of_text(kind::bytes, std::string_view{"\0\xff", 2}),
            value::of_number(kind::date, -1),
            value::of_number(kind::time, 1),
            value::of_number(kind::datetime, 1'767'225'600'000'000)};
}

std::string cursor_of(std::uint64_t tag, std::span<const value> position) {
    std::string text;
    wire::append_cursor(text, tag, position);
    return text;
}

bool same(const wire::cursor& got, std::uint64_t tag, std::span<const value> position) {
    return got.tag == tag &&
           std::equal(got.position.begin(), got.position.end(), position.begin(), position.end());
}

} // namespace

TEST_CASE("a cursor comes back as it was made") {
    core::arena memory;
    const auto values = every_kind();
    for (std::size_t count = 0; count <= values.size(); ++count) {
        const auto position = std::span{values}.first(count);
        const auto tag = 0xFEDC'BA98'7654'3210ULL + count;
        const auto got = wire::parse_cursor(cursor_of(tag, position), memory);
        REQUIRE(got);
        CHECK(same(*got, tag, position));
    }
    const std::vector<value> most(64, value::of_int(7));
    CHECK(wire::parse_cursor(cursor_of(1, most), memory));
    const std::vector<value> more(65, value::of_int(7));
    CHECK_FALSE(wire::parse_cursor(cursor_of(1, more), memory));
}

TEST_CASE("a damaged cursor is refused or is another one, whichever byte it is") {
    core::arena memory;
    const auto values = every_kind();
    const auto text = cursor_of(42, values);
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            auto damaged = text;
            damaged[at] = static_cast<char>(byte);
            if (damaged == text) {
                continue;
            }
            const auto got = wire::parse_cursor(damaged, memory);
            if (got && same(*got, 42, values)) {
                FAIL("byte " << at << " as " << byte << " changes nothing");
            }
        }
        memory.reset();
    }
    for (std::size_t size = 0; size < text.size(); ++size) {
        const auto got = wire::parse_cursor(std::string_view{text}.substr(0, size), memory);
        CHECK_FALSE((got && same(*got, 42, values)));
    }
    for (const auto* tail : {"=", "A", "AAAA", "====", "\n"}) {
        const auto got = wire::parse_cursor(text + tail, memory);
        CHECK_FALSE((got && same(*got, 42, values)));
    }
}

TEST_CASE("text that never was a cursor is none") {
    core::arena memory;
    for (const auto* text :
         {"", "A", "AAAA", "AQ==", "AQAAAAAAAAA=", "not base64!", "[1,2]", "1"}) {
        INFO(text);
        CHECK_FALSE(wire::parse_cursor(text, memory));
    }
    // The kinds that a position never has.
    for (const auto never : {kind::document, static_cast<kind>(200)}) {
        std::string bytes(1, '\1');
        bytes.append(8, '\0').push_back(static_cast<char>(never));
        bytes.append(8, '\0');
        std::string text;
        core::append_base64(text, bytes);
        CHECK_FALSE(wire::parse_cursor(text, memory));
    }
    // A boolean that is neither true nor false.
    std::string odd(1, '\1');
    odd.append(8, '\0').push_back(static_cast<char>(kind::boolean));
    odd.append("\2\0\0\0\0\0\0\0", 8);
    std::string odd_text;
    core::append_base64(odd_text, odd);
    CHECK_FALSE(wire::parse_cursor(odd_text, memory));
    // A length that promises more than there is.
    std::string bytes(1, '\1');
    bytes.append(8, '\0').push_back(static_cast<char>(kind::string));
    bytes.append("\xff\xff\xff\xff"
                 "ab",
                 6);
    std::string text;
    core::append_base64(text, bytes);
    CHECK_FALSE(wire::parse_cursor(text, memory));
}
