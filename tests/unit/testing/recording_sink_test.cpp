#include "support/catch.hpp"

#include <beds/testing/recording_sink.hpp>

using beds::core::row_layout;
using beds::core::value;
using namespace beds::testing;

namespace {

row_layout two_columns() {
    return row_layout{{{"id", *beds::core::parse_field_type("int64")},
                       {"name", *beds::core::parse_field_type("string")}}};
}

} // namespace

TEST_CASE("rows are recorded with names and survive the values they came from") {
    const auto layout = two_columns();
    recording_sink sink;
    {
        const std::string gone = "Mexico";
        sink.begin_row(3, layout);
        sink.cell(value::of_int(7));
        sink.cell(value::of_text(value::kind::string, gone));
        sink.end_row();
    }
    REQUIRE(sink.violations().empty());
    REQUIRE(sink.of(3).rows.size() == 1);
    CHECK(to_string(sink.of(3).rows[0]) == "{id: 7, name: \"Mexico\"}");
    CHECK(sink.of(3).rows[0].at("id").view().integer == 7);
    CHECK_THROWS_AS(sink.of(3).rows[0].at("nope"), std::out_of_range);
    CHECK_FALSE(sink.of(2).has_rows);

    sink.share_rows(3, 4);
    CHECK(sink.of(4).rows == sink.of(3).rows);
    sink.reset(3);
    CHECK(sink.of(3).rows.empty());
    CHECK_FALSE(sink.of(3).has_rows);
    CHECK(sink.of(4).rows.size() == 1);
}

TEST_CASE("misuse of a sink is told") {
    const auto layout = two_columns();
    recording_sink sink;

    SECTION("too few cells") {
        sink.begin_row(0, layout);
        sink.cell(value::of_int(1));
        sink.end_row();
    }
    SECTION("too many cells") {
        sink.begin_row(0, layout);
        for (int i = 0; i < 3; ++i) {
            sink.cell(value::of_null());
        }
        sink.end_row();
    }
    SECTION("wrong kind") {
        sink.begin_row(0, layout);
        sink.cell(value::of_text(value::kind::string, "1"));
        sink.cell(value::of_null());
        sink.end_row();
    }
    SECTION("row not ended") {
        sink.begin_row(0, layout);
        sink.total(0, 1);
    }
    SECTION("shared from nothing") {
        sink.share_rows(0, 1);
    }
    SECTION("cell outside of a row") {
        sink.cell(value::of_null());
    }
    SECTION("counted twice") {
        sink.count(0, 1);
        sink.count(0, 1);
    }
    SECTION("key of another width") {
        const value one = value::of_int(1);
        sink.key(0, layout, {&one, 1});
    }
    CHECK(sink.violations().size() == 1);
}

TEST_CASE("values are compared by what they mean") {
    const auto json = [](std::string_view text) {
        return owned_value{value::of_text(value::kind::json, text)};
    };
    CHECK(json(R"({"a":1,"b":[{"d":"é","c":null}]})") ==
          json(R"( {"b": [ {"c":null, "d":"\u00e9"} ], "a" : 1} )"));
    CHECK_FALSE(json(R"({"a":1})") == json(R"({"a":"1"})"));
    CHECK_FALSE(json("[1,2]") == json("[2,1]"));
    CHECK_FALSE(owned_value{} == owned_value{value::of_text(value::kind::string, "")});
    CHECK_FALSE(owned_value{value::of_int(1)} == owned_value{value::of_uint(1)});
}
