#include "random.hpp"
#include "support/catch.hpp"

#include <beds/core/data.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace beds::core;
using kind = datum::kind;

namespace {

std::pair<std::uint64_t, std::uint64_t> pair_of(content_hash sum) {
    return {sum.high, sum.low};
}

} // namespace

TEST_CASE("numbers keep their kind and every bit", "[data]") {
    constexpr auto top = std::numeric_limits<std::int64_t>::max();
    CHECK(datum::of(std::int64_t{-1}).integer == -1);
    CHECK(datum::of(std::uint64_t{7}).is(kind::integer));
    CHECK(datum::of(static_cast<std::uint64_t>(top)).is(kind::integer));
    const datum above = datum::of(static_cast<std::uint64_t>(top) + 1);
    CHECK(above.is(kind::unsigned_integer));
    CHECK(above.unsigned_integer == 9'223'372'036'854'775'808ULL);

    struct row {
        const char* token;
        kind type;
    };
    const row rows[] = {
        {"0", kind::integer},
        {"-0", kind::integer},
        {"42", kind::integer},
        {"9223372036854775807", kind::integer},
        {"-9223372036854775808", kind::integer},
        {"9223372036854775808", kind::unsigned_integer},
        {"18446744073709551615", kind::unsigned_integer},
        {"18446744073709551616", kind::number},
        {"-9223372036854775809", kind::number},
        {"1.0", kind::number},
        {"1e3", kind::number},
        {"1E+3", kind::number},
        {"-0.0", kind::number},
    };
    for (const auto& each : rows) {
        CAPTURE(each.token);
        const datum made = datum::of_number(each.token);
        CHECK(made.type == each.type);
        CHECK(made.text == each.token);
    }
    CHECK(datum::of_number("-9223372036854775808").integer ==
          std::numeric_limits<std::int64_t>::min());
    for (const char* const wrong : {"", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x10",
                                    "1 ", " 1", "nan", "inf", "1,5", "1.5.5", "--1", "1e5.5"}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(datum::of_number(wrong), std::invalid_argument);
    }
}

TEST_CASE("trees", "[data]") {
    const std::array items{datum::of(std::int64_t{1}), datum::of("two"), datum::of_null()};
    const std::array members{member{"list", datum::of(std::span<const datum>{items})},
                             member{"flag", datum::of(true)}};
    const datum tree = datum::of(std::span<const member>{members});
    CHECK(tree.is(kind::object));
    CHECK(tree.members().size() == 2);
    CHECK(tree.items().empty());
    REQUIRE(tree.find("list") != nullptr);
    CHECK(tree.find("list")->items()[1].text == "two");
    CHECK(tree.find("list")->members().empty());
    CHECK(tree.find("List") == nullptr);
    CHECK(tree.find("flag")->boolean);
    CHECK(datum::of("x").find("x") == nullptr);
    CHECK(datum::of("literal").is(kind::string)); // not the boolean that a pointer converts to
    CHECK(datum{}.is(kind::null));
}

TEST_CASE("every kind has words", "[data]") {
    std::set<std::string_view> seen;
    for (int i = 0; i <= static_cast<int>(kind::object); ++i) {
        CHECK(describe(static_cast<kind>(i)) != "a value");
        seen.insert(describe(static_cast<kind>(i)));
    }
    CHECK(seen.size() == 7); // both integer kinds are "an integer"
    CHECK(describe(kind::string) == "a string");
}

TEST_CASE("different content has different hashes", "[data][hash]") {
    const datum one = datum::of(std::int64_t{1});
    const std::array two_items{one, one};
    const std::array nested_items{datum::of(std::span<const datum>{two_items})};
    const std::array swapped_items{datum::of("a"), datum::of("b")};
    const std::array other_items{datum::of("b"), datum::of("a")};
    const std::array a_one{member{"a", one}};
    const std::array one_a{member{"1", datum::of("a")}};
    const std::array a_text{member{"a", datum::of("1")}};
    const std::array a_b{member{"a", datum::of("b")}};
    const std::array b_a{member{"b", datum::of("a")}};
    const std::array a_two{member{"a", one}, member{"b", one}};
    const std::vector<datum> all{
        datum::of_null(),
        datum::of(false),
        datum::of(true),
        datum::of(std::int64_t{0}),
        one,
        datum::of(std::int64_t{-1}),
        datum::of(std::numeric_limits<std::uint64_t>::max()), // the bits of -1
        datum::of_number("1.0"),
        datum::of_number("1.00"),
        datum::of("1"),
        datum::of("1.0"),
        datum::of(""),
        datum::of(std::string_view{"\0", 1}),
        datum::of(std::string_view{"\0\0", 2}),
        datum::of("0123456789abcdef"),
        datum::of("0123456789abcdeg"),
        datum::of(std::string_view{"0123456789abcdef\0", 17}),
        datum::of(std::span<const datum>{}),
        datum::of(std::span<const member>{}),
        datum::of(std::span<const datum>{two_items}),
        datum::of(std::span<const datum>{nested_items}),
        datum::of(std::span<const datum>{swapped_items}),
        datum::of(std::span<const datum>{other_items}),
        datum::of(std::span<const member>{a_one}),
        datum::of(std::span<const member>{one_a}),
        datum::of(std::span<const member>{a_text}),
        datum::of(std::span<const member>{a_b}),
        datum::of(std::span<const member>{b_a}),
        datum::of(std::span<const member>{a_two}),
    };
    std::set<std::pair<std::uint64_t, std::uint64_t>> sums;
    std::set<std::uint64_t> highs;
    std::set<std::uint64_t> lows;
    for (const datum& each : all) {
        const auto sum = hash(each);
        sums.insert(pair_of(sum));
        highs.insert(sum.high);
        lows.insert(sum.low);
    }
    CHECK(sums.size() == all.size());
    // Both halves tell them apart: neither is decoration.
    CHECK(highs.size() == all.size());
    CHECK(lows.size() == all.size());
    CHECK_FALSE(hash("1") == hash(datum::of("1")));
}

TEST_CASE("an integer's token does not count", "[data][hash]") {
    for (const char* const token :
         {"0", "42", "-7", "9223372036854775807", "18446744073709551615"}) {
        CAPTURE(token);
        const datum wire = datum::of_number(token);
        datum bare = wire;
        bare.text = {};
        CHECK(hash(wire) == hash(bare));
    }
}

TEST_CASE("the order of members does not count, the order of items does", "[data][hash]") {
    beds::test::seeded random;
    INFO(random.note());
    std::vector<std::string> names;
    names.reserve(40);
    for (int i = 0; i < 40; ++i) {
        names.push_back("member_" + std::to_string(i));
    }
    std::vector<member> members;
    std::vector<datum> items;
    for (const auto& each : names) {
        const datum value = datum::of(random.between<std::int64_t>(-1000, 1000));
        members.push_back({each, value});
        items.push_back(datum::of(each));
    }
    const auto object = hash(datum::of(std::span<const member>{members}));
    const auto array = hash(datum::of(std::span<const datum>{items}));
    for (int i = 0; i < 20; ++i) {
        const auto from = random.between<std::size_t>(0, 38);
        std::swap(members[from], members[from + 1]);
        std::swap(items[from], items[39]);
        CHECK(hash(datum::of(std::span<const member>{members})) == object);
        CHECK_FALSE(hash(datum::of(std::span<const datum>{items})) == array);
        std::swap(items[from], items[39]);
    }
    // The values of two members exchanged is other content.
    members[3].value = datum::of("left");
    members[9].value = datum::of("right");
    const auto before = hash(datum::of(std::span<const member>{members}));
    std::swap(members[3].value, members[9].value);
    CHECK_FALSE(hash(datum::of(std::span<const member>{members})) == before);
}

TEST_CASE("one bit of the content changes half of the hash", "[data][hash]") {
    beds::test::seeded random;
    INFO(random.note());
    std::size_t flipped = 0;
    constexpr std::size_t rounds = 2000;
    std::size_t fewest = 128;
    for (std::size_t i = 0; i < rounds; ++i) {
        const auto bits = random.between<std::uint64_t>(0, ~std::uint64_t{0} >> 2);
        const auto other = bits ^ (std::uint64_t{1} << random.between(0, 61));
        const auto left = hash(datum::of(static_cast<std::int64_t>(bits)));
        const auto right = hash(datum::of(static_cast<std::int64_t>(other)));
        const int bits_of_high = std::popcount(left.high ^ right.high);
        const int bits_of_low = std::popcount(left.low ^ right.low);
        const auto differ =
            static_cast<std::size_t>(bits_of_high) + static_cast<std::size_t>(bits_of_low);
        flipped += differ;
        fewest = std::min(fewest, differ);
    }
    CHECK(flipped / rounds >= 62);
    CHECK(flipped / rounds <= 66);
    CHECK(fewest > 30);
}

TEST_CASE("no collisions among a million small values", "[data][hash]") {
    std::vector<std::uint64_t> lows;
    constexpr int count = 200'000;
    lows.reserve(5 * count);
    for (int i = 0; i < count; ++i) {
        const datum number = datum::of(std::int64_t{i});
        const std::string digits = std::to_string(i);
        const std::array items{number};
        const std::array named{member{"id", number}};
        const std::array keyed{member{digits, datum::of(true)}};
        lows.push_back(hash(number).low);
        lows.push_back(hash(datum::of(digits)).low);
        lows.push_back(hash(datum::of(std::span<const datum>{items})).low);
        lows.push_back(hash(datum::of(std::span<const member>{named})).low);
        lows.push_back(hash(datum::of(std::span<const member>{keyed})).low);
    }
    std::sort(lows.begin(), lows.end());
    CHECK(std::adjacent_find(lows.begin(), lows.end()) == lows.end());
}

TEST_CASE("folding depends on the order", "[data][hash]") {
    const auto a = hash("a");
    const auto b = hash("b");
    CHECK_FALSE(combine(a, b) == combine(b, a));
    CHECK_FALSE(combine(a, a) == a);
    CHECK_FALSE(combine({}, a) == a);
    CHECK(combine(a, b) == combine(a, b));
    // The hash is stored beside an operation's id, perhaps by another node: it must not change.
    CHECK(pair_of(hash("")) == std::pair<std::uint64_t, std::uint64_t>{0, 0});
    CHECK(pair_of(hash("hello")) ==
          std::pair<std::uint64_t, std::uint64_t>{0xcbd8a7b341bd9b02ULL, 0x5b1e906a48ae1d19ULL});
}

TEST_CASE("deep values are hashed", "[data][hash]") {
    std::vector<std::array<datum, 1>> levels(100);
    datum inner = datum::of("bottom");
    for (auto& level : levels) {
        level[0] = inner;
        inner = datum::of(std::span<const datum>{level});
    }
    CHECK_FALSE(hash(inner) == hash(levels[98][0]));
}
