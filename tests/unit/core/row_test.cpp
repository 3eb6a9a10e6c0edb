#include "support/catch.hpp"

#include <beds/core/row.hpp>

#include <utility>

using namespace beds::core;

TEST_CASE("a layout has its keys ready for JSON", "[row]") {
    CHECK(row_layout{}.size() == 0);
    field_type number;
    number.kind = type_kind::int64;
    const row_layout layout{{{"id", number}, {"name", {}}}};
    REQUIRE(layout.size() == 2);
    CHECK(layout.json_key(0) == "\"id\":");
    CHECK(layout.json_key(1) == "\"name\":");
    CHECK(layout.columns()[0].type == number);
    row_layout copy = layout;
    const row_layout moved = std::move(copy);
    CHECK(moved.json_key(1) == "\"name\":");
}
