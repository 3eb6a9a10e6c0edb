#include "adapters/mariadb/sql.hpp"
#include "support/catch.hpp"

#include <beds/testing/make.hpp>

#include <string>
#include <vector>

using namespace beds;
using namespace beds::adapters::mariadb;
using adapters::bound_operation;
using adapters::comparison;
using testing::operations;

namespace {

templates::template_def people() {
    return testing::template_maker("people")
        .object("ms`people")
        .field("id", "int64")
        .field("name", "string:40", {.indexed = true, .column = "name_peo", .collation = {}})
        .field("age", "int32", {.indexed = true})
        .key({"id"})
        .build();
}

std::vector<const bound_operation*> list(const operations& work) {
    std::vector<const bound_operation*> made;
    for (std::size_t i = 0; i < work.size(); ++i) {
        made.push_back(&work[i]);
    }
    return made;
}

std::size_t marks(std::string_view text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '?'));
}

} // namespace

TEST_CASE("sizes of statements", "[mariadb]") {
    CHECK(padded_size(1) == 1);
    CHECK(padded_size(3) == 4);
    CHECK(padded_size(129) == 256);
    CHECK(padded_size(256) == 256);
    for (std::size_t left = 1; left < 1000; ++left) {
        std::size_t rest = left;
        int statements = 0;
        while (rest > 0) {
            const auto size = unpadded_size(rest);
            REQUIRE(size >= 1);
            REQUIRE(size <= rest);
            rest -= size;
            ++statements;
        }
        REQUIRE(statements <= 8);
    }
}

TEST_CASE("names are quoted, comments cannot be ended", "[mariadb]") {
    query q;
    q.name("a`b").text(" ").object("db.t`x");
    CHECK(q.text() == "`a``b` `db`.`t``x`");
    q.clear();
    q.comment("x*/ DROP TABLE y; /*", "fetch");
    CHECK(q.text() == "/* beds x__ DROP TABLE y; __.fetch */ ");
}

TEST_CASE("what was learned of a template is not taken for another one of its name", "[mariadb]") {
    const auto shape = assumed_shape(people());
    CHECK(shape.describes(people()));
    auto other = people();
    other.object = "others";
    CHECK_FALSE(shape.describes(other));
    other = people();
    other.fields[1].column = "name";
    CHECK_FALSE(shape.describes(other));
    other = people();
    other.fields.pop_back();
    CHECK_FALSE(shape.describes(other));
    // A column of bytes is a UUID's or plain bytes by the field's type alone.
    other = people();
    other.fields[1].type.kind = core::type_kind::uuid;
    CHECK_FALSE(shape.describes(other));
}

TEST_CASE("a fetch is padded with its last key", "[mariadb]") {
    const auto target = people();
    const auto shape = assumed_shape(target);
    operations work;
    work.fetch(target, {3}).fields({"name"});
    work.fetch(target, {5}).fields({"name"});
    work.fetch(target, {9}).fields({"name"});
    selection columns;
    columns.start(work[0].fields);
    CHECK(columns.place(0) == 1);
    CHECK(columns.place(1) == 0);
    CHECK(columns.asked == 1);
    query q;
    fetch_by_keys(q, columns, list(work), shape.read);
    CHECK(q.text() ==
          "/* beds people.fetch */ SELECT `name_peo`, `id` FROM `ms``people` WHERE `id` IN "
          "(?,?,?,?)");
    REQUIRE(q.parameters().size() == 4);
    CHECK(q.parameters()[2].value.integer == 9);
    CHECK(q.parameters()[3].value.integer == 9);

    fetch_by_arms(q, columns, list(work), shape.read);
    CHECK(marks(q.text()) == 4);
    CHECK(q.text().find("UNION ALL SELECT  3, `name_peo`") != std::string_view::npos);
    CHECK(q.parameters()[3].value.is_null());
}

TEST_CASE("a fetch by a collated key joins, its conversion loses nothing", "[mariadb]") {
    const auto target = testing::template_maker("words")
                            .field("word", "string:20")
                            .field("n", "int32")
                            .key({"word"})
                            .build();
    auto shape = assumed_shape(target);
    operations work;
    work.fetch(target, {"a"}).fields({"n"});
    work.fetch(target, {"\xC3\xA9"}).fields({"n"});
    CHECK_FALSE(can_join(list(work), shape.read)); // who cannot see the column does not know
    shape.read.columns[0] = {.known = true, .charset = "latin1", .collation = "latin1_swedish_ci"};
    CHECK_FALSE(can_join(list(work), shape.read));
    shape.read.columns[0] = {
        .known = true, .charset = "utf8mb4", .collation = "utf8mb4_general_ci"};
    CHECK(can_join(list(work), shape.read));
    selection columns;
    columns.start(work[0].fields);
    query q;
    fetch_by_join(q, columns, list(work), shape.read);
    CHECK(q.text() == "/* beds words.fetch */ SELECT v.n, t.`n` FROM (SELECT 0 n,CONVERT(? USING "
                      "utf8mb4) COLLATE "
                      "utf8mb4_general_ci k0 UNION ALL SELECT 1,CONVERT(? USING utf8mb4) COLLATE "
                      "utf8mb4_general_ci) v STRAIGHT_JOIN `words` t ON t.`word` = v.k0");
    CHECK(key_is_unique(target, shape.read));
    shape.read.unique_indexes["by_n"] = {1};
    CHECK_FALSE(key_is_unique(target, shape.read));
    shape.read.unique_indexes["wide"] = {0};
    CHECK(key_is_unique(target, shape.read));
    shape.read.wider_indexes.insert("wide");
    CHECK_FALSE(key_is_unique(target, shape.read));
}

TEST_CASE("keys compare by value unless a collation decides", "[mariadb]") {
    const auto target = testing::template_maker("words")
                            .field("word", "string:20")
                            .field("n", "int32")
                            .key({"word"})
                            .build();
    auto shape = assumed_shape(target);
    CHECK(keys_compare_by_value(target, shape.read));
    auto told = target;
    told.fields[0].collation = "utf8mb4_general_ci";
    CHECK_FALSE(keys_compare_by_value(told, shape.read));
    shape.read.columns[0] = {.known = true, .charset = "utf8mb4", .collation = "utf8mb4_bin"};
    CHECK(keys_compare_by_value(told, shape.read));
    shape.read.columns[0].collation = "utf8mb4_general_ci";
    CHECK_FALSE(keys_compare_by_value(target, shape.read));
}

TEST_CASE("a page begins behind its cursor", "[mariadb]") {
    const auto target = people();
    const auto shape = assumed_shape(target);
    const auto text = [&](std::vector<std::string> sort, std::vector<core::value> after) {
        operations work;
        auto op = work.find(target).sort(std::move(sort)).limit(10).fields({"id"});
        auto changed = op.bound();
        changed.after = after;
        selection columns;
        columns.start(changed.fields);
        query q;
        core::arena memory;
        find(q, columns, changed, shape.read, memory);
        CHECK(marks(q.text()) == q.parameters().size());
        CHECK(q.parameters().back().value.unsigned_integer == 11);
        const auto where = q.text().find(" WHERE ");
        const auto order = q.text().find(" ORDER BY");
        return where == std::string_view::npos ? std::string{}
                                               : std::string{q.text().substr(where, order - where)};
    };
    const auto number = core::value::of_int(7);
    const auto null = core::value::of_null();
    CHECK(text({"age"}, {}).empty());
    CHECK(text({"age"}, {number, number}) ==
          " WHERE `age` >= ? AND ((`age` > ?) OR (`age` = ? AND `id` > ?))");
    CHECK(text({"age"}, {null, number}) ==
          " WHERE ((`age` IS NOT NULL) OR (`age` IS NULL AND `id` > ?))");
    CHECK(text({"-age"}, {number, number}) ==
          " WHERE (((`age` < ? OR `age` IS NULL)) OR (`age` = ? AND `id` > ?))");
    CHECK(text({"-age"}, {null, number}) == " WHERE ((`age` IS NULL AND `id` > ?))");
    CHECK(text({"-id"}, {number}) == " WHERE `id` <= ? AND ((`id` < ?))");
}

TEST_CASE("a prefix is a pattern whose signs are escaped", "[mariadb]") {
    const auto target = people();
    const auto shape = assumed_shape(target);
    operations work;
    work.count(target).where("name", comparison::prefix, {"50%_|x"});
    query q;
    core::arena memory;
    count(q, work[0], shape.read, memory);
    CHECK(q.text() ==
          "/* beds people.count */ SELECT COUNT(*) FROM `ms``people` WHERE `name_peo` LIKE ? "
          "ESCAPE '|'");
    CHECK(q.parameters()[0].value.text == "50|%|_||x%");
}

TEST_CASE("grouped updates join on typed values", "[mariadb]") {
    const auto target = people();
    auto shape = assumed_shape(target);
    operations work;
    for (int i = 0; i < 3; ++i) {
        work.update(target, {i}).set({{"name", "n"}}).inc({{"age", 1}});
    }
    query q;
    update_by_join(q, list(work), shape.write);
    CHECK(q.text() ==
          "/* beds people.update */ UPDATE (SELECT CAST(? AS SIGNED) k0,? s0,? i0 UNION ALL SELECT "
          "CAST(? AS SIGNED),?,? UNION ALL SELECT CAST(? AS SIGNED),?,? UNION ALL SELECT CAST(? AS "
          "SIGNED),?,?) v STRAIGHT_JOIN `ms``people` t ON t.`id` = v.k0 AND t.`age` IS NOT "
          "NULL SET t.`name_peo` = v.s0, t.`age` = t.`age` + v.i0");
    REQUIRE(q.parameters().size() == 12);
    CHECK(q.parameters()[6].value.integer == 2);
    CHECK(q.parameters()[9].value.is_null()); // padding matches nothing

    auto by_name = target;
    by_name.key = {1};
    shape.write.columns[1] = {.known = true, .charset = "ascii", .collation = "ascii_bin"};
    operations named;
    named.update(by_name, {"x"}).set({{"age", 1}});
    named.update(by_name, {"y"}).set({{"age", 1}});
    update_by_join(q, list(named), shape.write);
    CHECK(q.text().find("CONVERT(? USING ascii) COLLATE ascii_bin k0") != std::string_view::npos);
}

TEST_CASE("values never stand in a statement's text", "[mariadb]") {
    const auto target = people();
    const auto shape = assumed_shape(target);
    const std::string evil = "'; DROP TABLE x; -- */";
    core::arena memory;
    query q;
    const auto check = [&] {
        CHECK(q.text().find("DROP") == std::string_view::npos);
        CHECK(marks(q.text()) == q.parameters().size());
    };
    operations work;
    work.update(target, {1}).set({{"name", evil}}).expect({{"name", evil}});
    update_one(q, work[0], shape.write, memory);
    CHECK(q.text() ==
          "/* beds people.update */ UPDATE `ms``people` SET `name_peo` = ? WHERE `id` = ? AND "
          "`name_peo` <=> ?");
    check();
    work.remove(target).where("name", evil).where("age", comparison::in, {1, 2, 3});
    remove_one(q, work[1], shape.write, memory);
    CHECK(q.text() ==
          "/* beds people.delete */ DELETE FROM `ms``people` WHERE `name_peo` = ? AND `age` IN "
          "(?,?,?,?)");
    check();
    work.insert(target, {{"id", 1}, {"name", evil}});
    const insert_row rows[] = {work[2].rows[0], work[2].rows[0]};
    const adapters::field_id key[] = {0};
    insert(q, target, rows, key, shape.write);
    CHECK(q.text() == "/* beds people.insert */ INSERT INTO `ms``people` (`id`, `name_peo`) VALUES "
                      "(?,?),(?,?) RETURNING `id`");
    check();
    work.exists(target).where("name", comparison::is_null).where("age", comparison::ne, {5});
    exists(q, work[3], shape.read, memory);
    CHECK(q.text() == "/* beds people.exists */ SELECT EXISTS (SELECT 1 FROM `ms``people` WHERE "
                      "`name_peo` IS NULL AND `age` <> ?)");
    check();
}
