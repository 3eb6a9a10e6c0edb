#include "support/catch.hpp"

#include <beds/core/error.hpp>
#include <beds/testing/make.hpp>

using namespace beds::testing;
using beds::adapters::comparison;
using beds::core::value;

namespace {

beds::templates::template_def things() {
    return template_maker{"things"}
        .field("id", "int64", {.source = beds::templates::generated::database})
        .field("price", "decimal(10,2)")
        .field("kind", "enum:a,b")
        .field("at", "datetime", {.indexed = true})
        .field("raw", "bytes")
        .field("data", "document")
        .key({"id"})
        .unique({"kind", "price"})
        .build();
}

} // namespace

TEST_CASE("a made template knows its key and indexes") {
    const auto made = things();
    CHECK(made.key.size() == 1);
    CHECK(made.key_layout.size() == 1);
    CHECK(made.all_fields.size() == 6);
    CHECK(made.fields[0].in_key);
    CHECK_FALSE(made.fields[0].nullable);
    CHECK(made.fields[2].indexed);
    CHECK(made.fields[2].type.values == std::vector<std::string>{"a", "b"});
    CHECK_THROWS_AS(template_maker{"x"}.field("id", "integer"), beds::core::error);
    CHECK_THROWS_AS(template_maker{"x"}.field("id", "int64").key({"di"}).build(),
                    beds::core::error);
}

TEST_CASE("literals become values of the field's type") {
    const auto made = things();
    operations ops;
    const auto insert = ops.insert(made, {{"id", 5},
                                          {"price", "1.5"},
                                          {"kind", nullptr},
                                          {"at", "1970-01-01T00:00:01Z"},
                                          {"raw", std::string{"\0\xff", 2}},
                                          {"data", R"({"a":[1]})"}});
    const auto row = insert.bound().rows[0];
    CHECK(row[0].value == value::of_int(5));
    CHECK(row[1].value == value::of_text(value::kind::decimal, "1.50"));
    CHECK(row[2].value.is_null());
    CHECK(row[3].value == value::of_number(value::kind::datetime, 1'000'000));
    CHECK(row[4].value == value::of_text(value::kind::bytes, {"\0\xff", 2}));
    CHECK(row[5].value.type == value::kind::document);
    CHECK_THROWS_AS(ops.fetch(made, {"five"}), beds::core::error);
}

TEST_CASE("a find is ordered totally") {
    const auto made = things();
    operations ops;
    const auto plain = ops.find(made);
    CHECK(plain.bound().sort.size() == 1);
    auto sorted = ops.find(made);
    sorted.sort({"-at"}).where("kind", "a").where("price", comparison::ge, {"0"}).fields({"id"});
    CHECK(sorted.bound().sort.size() == 2);
    CHECK(sorted.bound().sort[0].direction == beds::adapters::direction::descending);
    CHECK(sorted.bound().where.size() == 2);
    CHECK(sorted.bound().layout->size() == 1);
    CHECK(sorted.index() == 1);
    CHECK(ops.group().operations.size() == 2);
}
