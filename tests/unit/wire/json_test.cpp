// core/json as the codec uses it: what is JSON, and that numbers and strings come through exactly.
#include "support/catch.hpp"
#include "unit/core/random.hpp"
#include "unit/wire/support.hpp"

#include <optional>

using namespace beds;
using beds::core::datum;
using beds::core::json_error;
using beds::test::json_of;
using namespace std::string_literals;

namespace {

struct parsed {
    explicit parsed(std::string given, core::json_limits limits = {}) : text(std::move(given)) {
        core::json_parser parser{limits};
        error = parser.parse(text, memory, tree);
    }

    std::string text;
    core::arena memory;
    datum tree;
    std::optional<json_error> error;
};

} // namespace

TEST_CASE("what is not JSON is refused, with the place") {
    for (const auto& text : {""s,
                             " "s,
                             "hello"s,
                             "{"s,
                             "}"s,
                             "[1,]"s,
                             "[,1]"s,
                             "{\"a\":1,}"s,
                             "{\"a\"}"s,
                             "{a:1}"s,
                             "{'a':1}"s,
                             "{\"a\":1}}"s,
                             "1 2"s,
                             "[1][2]"s,
                             "//\n1"s,
                             "1//"s,
                             "/**/1"s,
                             "nul"s,
                             "True"s,
                             "NaN"s,
                             "-NaN"s,
                             "Infinity"s,
                             "-Infinity"s,
                             "+1"s,
                             "01"s,
                             "-01"s,
                             "00"s,
                             "-"s,
                             "1."s,
                             ".5"s,
                             "-.5"s,
                             "1e"s,
                             "1e+"s,
                             "1.e3"s,
                             "0x10"s,
                             "1_000"s,
                             "\"a"s,
                             "\"\\x41\""s,
                             "\"\\u12g4\""s,
                             "\"\\u123\""s,
                             "\"a\nb\""s,
                             "\"a\0b\""s,
                             "\0"s,
                             "1\0"s,
                             "\xEF\xBB\xBF"
                             "1"s,
                             "\xFF\xFE"
                             "1\0"s,
                             "\"\\ud800\""s,
                             "\"\\udc00\""s,
                             "\"\\ud800\\u0041\""s,
                             "\"\\ud800x\""s,
                             "\"\x80\""s,
                             "\"\xC0\xAF\""s,
                             "\"\xE0\x80\x80\""s,
                             "\"\xED\xA0\x80\""s,
                             "\"\xF4\x90\x80\x80\""s,
                             "\"\xF8\x88\x80\x80\x80\""s,
                             "\"\xE2\x82\""s,
                             "{\"\xFF\":1}"s,
                             "\xC2\xA0"
                             "1"s,
                             "1\v"s,
                             "1\f"s}) {
        const parsed got{text};
        INFO("'" << text << "'");
        REQUIRE(got.error);
        CHECK(got.error->why == json_error::reason::syntax);
        CHECK_FALSE(got.error->what.empty());
        CHECK(got.error->offset <= text.size());
    }
    CHECK(parsed{R"({"a":1,"b":x})"}.error->offset == 11);
}

TEST_CASE("integers are exact up to the bounds of 64 bits, other numbers keep their token") {
    const auto number = [](const std::string& token) {
        // Not alone: a number at the very end of a text is another case for a parser.
        const parsed alone{token};
        const parsed inside{"[" + token + "]"};
        INFO(token);
        REQUIRE_FALSE(alone.error);
        REQUIRE_FALSE(inside.error);
        CHECK(alone.tree.type == inside.tree.items()[0].type);
        CHECK(std::string{alone.tree.text} == token);
        CHECK(std::string{inside.tree.items()[0].text} == token);
        datum copy = alone.tree;
        if (copy.type != datum::kind::number) {
            copy.text = {};
        }
        return std::pair{copy.type, std::string{json_of(copy)}};
    };
    using kind = datum::kind;
    CHECK(number("0") == std::pair{kind::integer, "0"s});
    CHECK(number("-0").first == kind::integer);
    CHECK(number("-1") == std::pair{kind::integer, "-1"s});
    CHECK(number("9223372036854775807") == std::pair{kind::integer, "9223372036854775807"s});
    CHECK(number("-9223372036854775808") == std::pair{kind::integer, "-9223372036854775808"s});
    CHECK(number("9223372036854775808") ==
          std::pair{kind::unsigned_integer, "9223372036854775808"s});
    CHECK(number("18446744073709551615") ==
          std::pair{kind::unsigned_integer, "18446744073709551615"s});
    for (const auto& token :
         {"18446744073709551616"s, "-9223372036854775809"s, "100000000000000000000"s, "1.0"s,
          "-0.0"s, "0.1"s, "1e0"s, "1E3"s, "1e+3"s, "1e-3"s, "1e400"s, "-1e400"s, "1e-400"s,
          "1e214748364"s, "0.10000000000000000000000000000000000000001"s,
          "179769313486231570000000000000000000000.5"s, std::string(5000, '9'),
          "0."s + std::string(5000, '1'), "-"s + std::string(400, '7') + ".5e-3"s}) {
        CHECK(number(token) == std::pair{kind::number, token});
    }
    // JSON allows it, and no field can hold it: refused here already.
    CHECK(parsed{"1e99999999999999999999"}.error);
    CHECK(parsed{"[-1e-99999999999999999999]"}.error);
}

TEST_CASE("strings: escapes, surrogate pairs, U+0000, and long ones") {
    const auto text = [](const std::string& json) {
        const parsed got{json};
        INFO(json);
        REQUIRE_FALSE(got.error);
        return std::string{got.tree.text};
    };
    CHECK(text(R"("")").empty());
    CHECK(text(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
    CHECK(text(R"("\u0041\u00e9\u20ac\ud83d\ude00\uD83D\uDE00")") == "Aé€😀😀");
    CHECK(text(R"("a\u0000b")") == "a\0b"s);
    CHECK(text("\"\x7f\"") == "\x7f");
    CHECK(text(R"("\ufffe\uffff\ufeff")") == "\xEF\xBF\xBE\xEF\xBF\xBF\xEF\xBB\xBF");
    // Around the sizes of a parser's own buffers, with the escape at every place near their ends.
    for (const std::size_t size :
         {1U, 255U, 1023U, 1024U, 1025U, 2047U, 2048U, 4095U, 4096U, 70000U}) {
        const std::string plain(size, 'x');
        CHECK(text('"' + plain + '"') == plain);
        CHECK(text("\"\\n" + plain + '"') == '\n' + plain);
        CHECK(text('"' + plain + "\\n\"") == plain + '\n');
        CHECK(text('"' + plain + R"(\ud83d\ude00\u00e9)" + plain + '"') == plain + "😀é" + plain);
        CHECK(text('"' + plain + "é\\té" + plain + '"') == plain + "é\té" + plain);
    }
    std::string escapes;
    std::string meant;
    for (int i = 0; i < 5000; ++i) {
        escapes += R"(\u00e9)";
        meant += "é";
    }
    CHECK(text('"' + escapes + '"') == meant);
    // Names as well as values.
    const parsed names{"{\"" + escapes + "\":1,\"\\u0000\":2,\"\":3}"};
    REQUIRE_FALSE(names.error);
    CHECK(names.tree.find(meant) != nullptr);
    CHECK(names.tree.find(std::string_view{"\0", 1}) != nullptr);
    CHECK(names.tree.find("") != nullptr);
}

TEST_CASE("limits of depth and of the number of values") {
    core::json_limits limits;
    limits.max_depth = 3;
    limits.max_values = 5;
    CHECK_FALSE(parsed("[[[1]]]", limits).error);
    CHECK(parsed("[[[[]]]]", limits).error->why == json_error::reason::too_deep);
    CHECK(parsed(R"({"a":{"b":{"c":{}}}})", limits).error->why == json_error::reason::too_deep);
    CHECK_FALSE(parsed("[1,2,3,4]", limits).error); // with the array: five
    CHECK(parsed("[1,2,3,4,5]", limits).error->why == json_error::reason::too_many_values);
    CHECK(parsed(R"({"a":1,"a":2})").error->why == json_error::reason::duplicate_member);
    CHECK(parsed(std::string(1'000'000, '[')).error->why == json_error::reason::too_deep);
}

TEST_CASE("a parser is as good as new after a failure") {
    core::json_parser parser;
    for (const auto& broken : {"{\"a\\u0041b"s, "[1,[2,{\"k\":"s, "\"\\ud83d"s, "[12"s, "1e"s,
                               "[\"\\n"s, "{\"a\":1,\"a\":1}"s}) {
        core::arena memory;
        datum tree;
        CHECK(parser.parse(broken, memory, tree));
        const auto good = R"({"x":["\u0061b",1.5,{"y":null}]})"s;
        REQUIRE_FALSE(parser.parse(good, memory, tree));
        CHECK(json_of(tree) == R"({"x":["ab",1.5,{"y":null}]})");
    }
}

TEST_CASE("written strings are valid JSON whatever bytes come in") {
    test::seeded random;
    INFO(random.note());
    for (int round = 0; round < 2000; ++round) {
        std::string bytes(random.between<std::size_t>(0, 24), ' ');
        for (auto& byte : bytes) {
            byte = static_cast<char>(random.between(0, 255));
        }
        std::string json;
        core::append_json_string(json, bytes);
        const parsed got{json};
        INFO(json);
        REQUIRE_FALSE(got.error);
        REQUIRE(got.tree.is(datum::kind::string));
        // What was valid comes back unchanged; writing it once more changes nothing.
        std::string again;
        core::append_json_string(again, got.tree.text);
        CHECK(again == json);
    }
    std::string json;
    core::append_json_string(json, "\xF0\x9F\x98\x80 \xF0\x9F\x98 \xC0\xAF \x7f \x01 \"\\\n"s);
    CHECK(json == "\"\xF0\x9F\x98\x80 \uFFFD\uFFFD\uFFFD \uFFFD\uFFFD \x7f \\u0001 \\\"\\\\\\n\"");
}

TEST_CASE("base64: one value has one text") {
    core::arena memory;
    const auto decode = [&](std::string_view text) { return core::decode_base64(text, memory); };
    test::seeded random;
    INFO(random.note());
    for (std::size_t size = 0; size < 70; ++size) {
        std::string bytes(size, ' ');
        for (auto& byte : bytes) {
            byte = static_cast<char>(random.between(0, 255));
        }
        std::string text;
        core::append_base64(text, bytes);
        const auto back = decode(text);
        REQUIRE(back);
        CHECK(*back == bytes);
    }
    CHECK(decode("")->empty());
    CHECK(*decode("TWE=") == "Ma");
    CHECK(*decode("TQ==") == "M");
    for (const auto* wrong :
         {"T", "TW", "TWE", "TWF=", "TR==", "=TWE", "T===", "====", "TW=E", "TQ==TQ==", "TWE-",
          "TW_u", "TWEu ", " TWEu", "TWEu\n", "TQ=A", "TWEu===="}) {
        INFO(wrong);
        CHECK_FALSE(decode(wrong));
    }
}

TEST_CASE("UTF-8 is told from what only looks like it") {
    for (const std::string_view text :
         {"", "plain", "caf\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\x91", "\x7F", "\xEF\xBF\xBD",
          "\xF4\x8F\xBF\xBF"}) {
        CHECK(core::is_utf8(text));
    }
    CHECK(core::is_utf8({"a\0b", 3}));
    for (const std::string_view text :
         {"\xE9", "caf\xE9", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
          "\xF8\x88\x80\x80\x80", "\x80", "a\xFF", "\xE2\x82", "\xC3\xA9\xC3"}) {
        CHECK_FALSE(core::is_utf8(text));
    }
}
