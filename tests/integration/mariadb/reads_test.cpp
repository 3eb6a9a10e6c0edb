#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

using namespace beds;
using namespace beds::test;
using adapters::comparison;
using testing::operations;

TEST_CASE("a group of fetches: found, missing, twice", "[mariadb]") {
    world here;
    make_accounts(here, 1000);
    const auto target = accounts();
    auto session = here.session();

    operations work;
    for (int i = 0; i < 700; ++i) {
        work.fetch(target, {i * 2}); // 0 and those above 1000 are not there
    }
    work.fetch(target, {10});
    work.fetch(target, {0});
    const auto got = read(*session, work);
    REQUIRE(got.step == adapters::step_result::done);
    REQUIRE(got.rows.violations().empty());
    for (unsigned i = 0; i < 700; ++i) {
        CAPTURE(i);
        REQUIRE(got[i].ok());
        const auto& result = got.rows.of(i);
        REQUIRE(result.has_rows);
        REQUIRE(result.rows.size() == (i > 0 && i <= 500 ? 1 : 0));
        if (!result.rows.empty()) {
            REQUIRE(testing::to_string(result.rows[0].at("id")) == std::to_string(i * 2));
            REQUIRE(testing::to_string(result.rows[0].at("owner")) ==
                    "\"owner" + std::to_string(i * 2) + '"');
        }
    }
    CHECK(got.rows.of(700).rows == got.rows.of(5).rows);
    CHECK(got.rows.of(701).rows.empty());
    CHECK(here.log().text().empty());
}

TEST_CASE("a projection without the key", "[mariadb]") {
    world here;
    make_accounts(here, 3);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    work.fetch(target, {2}).fields({"balance"});
    work.fetch(target, {3}).fields({"balance"});
    const auto got = read(*session, work);
    CHECK(text_of(got.rows.of(0)) == "decimal 100.00 \n");
    CHECK(got.rows.of(1).rows[0].names == std::vector<std::string>{"balance"});
}

TEST_CASE("keys whose equality the collation decides", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE words (word VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n INT);"
             "INSERT INTO words VALUES ('Apple', 1), ('pear', 2)");
    const auto target = testing::template_maker("words")
                            .field("word", "string:20", {.collation = "utf8mb4_general_ci"})
                            .field("n", "int32")
                            .key({"word"})
                            .build();
    auto session = here.session();
    operations work;
    work.fetch(target, {"apple"});
    work.fetch(target, {"APPLE"});
    work.fetch(target, {"Apple"});
    work.fetch(target, {"plum"});
    work.fetch(target, {"Pear"});
    const auto got = read(*session, work);
    CHECK(text_of(got.rows.of(0)) == "\"Apple\" 1 \n");
    CHECK(text_of(got.rows.of(1)) == "\"Apple\" 1 \n");
    CHECK(text_of(got.rows.of(2)) == "\"Apple\" 1 \n");
    CHECK(got.rows.of(3).has_rows);
    CHECK(got.rows.of(3).rows.empty());
    CHECK(text_of(got.rows.of(4)) == "\"pear\" 2 \n");

    SECTION("and writes agree") {
        operations changes;
        changes.update(target, {"APPLE"}).inc({{"n", 10}});
        changes.update(target, {"pear"}).inc({{"n", 10}});
        const auto done = write(*session, changes);
        CHECK(done[0].effect == core::effect::applied);
        CHECK(done[1].effect == core::effect::applied);
        CHECK(here.sql("SELECT SUM(n) FROM words") == "23\n");
    }
}

TEST_CASE("compound keys", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE cells (x INT, y VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin, "
             "v INT, PRIMARY KEY (x, y));"
             "INSERT INTO cells SELECT seq % 10, CONCAT('r', seq DIV 10), seq FROM seq_0_to_99");
    const auto target = testing::template_maker("cells")
                            .field("x", "int32")
                            .field("y", "string:10")
                            .field("v", "int32")
                            .key({"x", "y"})
                            .build();
    auto session = here.session();
    operations work;
    work.fetch(target, {3, "r4"});
    work.fetch(target, {3, "r5"});
    work.fetch(target, {3, "none"});
    const auto got = read(*session, work);
    CHECK(text_of(got.rows.of(0)) == "3 \"r4\" 43 \n");
    CHECK(text_of(got.rows.of(1)) == "3 \"r5\" 53 \n");
    CHECK(got.rows.of(2).rows.empty());

    operations changes;
    for (int i = 0; i < 10; ++i) {
        changes.update(target, {i, "r7"}).set({{"v", -i}});
    }
    auto done = write(*session, changes);
    for (unsigned i = 0; i < 10; ++i) {
        CHECK(done[i].effect == core::effect::applied);
    }
    CHECK(here.sql("SELECT SUM(v) FROM cells WHERE y='r7'") == "-45\n");
    operations removals;
    removals.remove(target, {1, "r1"});
    removals.remove(target, {2, "r1"});
    removals.remove(target, {2, "r99"});
    done = write(*session, removals);
    CHECK(done[0].effect == core::effect::applied);
    CHECK(done[1].effect == core::effect::applied);
    CHECK(done[2].code == core::code::not_found);
    CHECK(here.sql("SELECT COUNT(*) FROM cells") == "98\n");
}

TEST_CASE("find pages through nullable sort fields", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE notes (id INT PRIMARY KEY, prio INT NULL, word VARCHAR(20));"
             "INSERT INTO notes SELECT seq, IF(seq % 3 = 0, NULL, seq % 4), CONCAT('w', seq % 5) "
             "FROM seq_1_to_50");
    const auto target = testing::template_maker("notes")
                            .field("id", "int32")
                            .field("prio", "int32", {.indexed = true})
                            .field("word", "string:20", {.indexed = true})
                            .key({"id"})
                            .build();
    auto session = here.session();
    for (const std::string first : {"prio", "-prio"}) {
        for (const std::string second : {"word", "-word"}) {
            std::string paged;
            testing::recorded_cursor at;
            for (int page = 0; page < 20; ++page) {
                operations work;
                auto op = work.find(target).sort({first, second}).limit(7).fields({"id"});
                if (page > 0) {
                    op.after(at);
                }
                const auto got = read(*session, work);
                REQUIRE(got[0].ok());
                REQUIRE(got.rows.violations().empty());
                paged += text_of(got.rows.of(0));
                if (!got.rows.of(0).next) {
                    break;
                }
                at = *got.rows.of(0).next;
            }
            operations all;
            all.find(target).sort({first, second}).limit(1000).fields({"id"});
            const auto whole = read(*session, all);
            CHECK(paged == text_of(whole.rows.of(0)));
            CHECK(whole.rows.of(0).rows.size() == 50);
            CHECK_FALSE(whole.rows.of(0).next);
        }
    }
}

TEST_CASE("conditions", "[mariadb]") {
    world here;
    here.sql(
        "CREATE TABLE notes (id INT PRIMARY KEY, prio INT NULL, word VARCHAR(20));"
        "INSERT INTO notes VALUES (1,NULL,'50%'),(2,1,'50_x'),(3,2,'50|'),(4,3,'5'),(5,4,'x')");
    const auto target = testing::template_maker("notes")
                            .field("id", "int32")
                            .field("prio", "int32", {.indexed = true})
                            .field("word", "string:20", {.indexed = true})
                            .key({"id"})
                            .build();
    auto session = here.session();
    const auto ids = [&](auto&& conditions) {
        operations work;
        auto op = work.find(target).sort({"id"}).limit(100).fields({"id"});
        conditions(op);
        const auto got = read(*session, work);
        REQUIRE(got[0].ok());
        std::string made = text_of(got.rows.of(0));
        made.erase(std::remove(made.begin(), made.end(), '\n'), made.end());
        return made;
    };
    CHECK(ids([](auto& op) { op.where("word", comparison::prefix, {"50%"}); }) == "1 ");
    CHECK(ids([](auto& op) { op.where("word", comparison::prefix, {"50_"}); }) == "2 ");
    CHECK(ids([](auto& op) { op.where("word", comparison::prefix, {"50|"}); }) == "3 ");
    CHECK(ids([](auto& op) { op.where("word", comparison::prefix, {"50"}); }) == "1 2 3 ");
    CHECK(ids([](auto& op) { op.where("word", comparison::prefix, {""}); }) == "1 2 3 4 5 ");
    CHECK(ids([](auto& op) { op.where("prio", comparison::ne, {2}); }) == "2 4 5 ");
    CHECK(ids([](auto& op) { op.where("prio", comparison::is_null); }) == "1 ");
    CHECK(ids([](auto& op) { op.where("prio", comparison::is_not_null); }) == "2 3 4 5 ");
    CHECK(ids([](auto& op) { op.where("prio", comparison::in, {1, 4, 77}); }) == "2 5 ");
    CHECK(ids([](auto& op) {
              op.where("prio", comparison::ge, {2});
              op.where("prio", comparison::lt, {4});
          }) == "3 4 ");

    operations work;
    work.count(target).where("prio", comparison::gt, {1});
    work.exists(target).where("prio", comparison::gt, {1});
    work.exists(target).where("prio", comparison::gt, {100});
    const auto got = read(*session, work);
    CHECK(got.rows.of(0).total == 3U);
    CHECK(got.rows.of(1).exists == true);
    CHECK(got.rows.of(2).exists == false);
}

TEST_CASE("every type comes back as it went", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE kinds (id BIGINT UNSIGNED PRIMARY KEY, b TINYINT(1), i8 TINYINT, i16 "
             "SMALLINT, i32 INT, i64 BIGINT, u8 TINYINT UNSIGNED, u32 INT UNSIGNED, f DOUBLE, d "
             "DECIMAL(38,10), s TEXT, e ENUM('red','blue'), u UUID, u36 CHAR(36), u16 BINARY(16), "
             "x LONGBLOB, da DATE, ti TIME(6), dt DATETIME(6), ts TIMESTAMP(6) NULL, j JSON)");
    const auto target = testing::template_maker("kinds")
                            .field("id", "uint64")
                            .field("b", "bool")
                            .field("i8", "int8")
                            .field("i16", "int16")
                            .field("i32", "int32")
                            .field("i64", "int64")
                            .field("u8", "uint8")
                            .field("u32", "uint32")
                            .field("f", "double")
                            .field("d", "decimal(38,10)")
                            .field("s", "string")
                            .field("e", "enum:red,blue")
                            .field("u", "uuid")
                            .field("u36", "uuid")
                            .field("u16", "uuid")
                            .field("x", "bytes")
                            .field("da", "date")
                            .field("ti", "time")
                            .field("dt", "datetime")
                            .field("ts", "datetime")
                            .field("j", "json")
                            .key({"id"})
                            .build();
    auto session = here.session();
    const std::string uuid = "123e4567-e89b-12d3-a456-4266141740ff";
    using testing::named_literal;
    const std::vector<std::vector<named_literal>> rows{
        {{"id", UINT64_MAX},
         {"b", true},
         {"i8", -128},
         {"i16", -32768},
         {"i32", INT32_MIN},
         {"i64", INT64_MIN},
         {"u8", 255},
         {"u32", 4294967295U},
         {"f", 0.1},
         {"d", "1234567890123456789012345678.0123456789"},
         {"s", std::string("a\0b'\"\\\xF0\x9F\x98\x80", 11)},
         {"e", "blue"},
         {"u", uuid},
         {"u36", uuid},
         {"u16", uuid},
         {"x", std::string("\0\xFF\x01", 3)},
         {"da", "1999-12-31"},
         {"ti", "23:59:59.999999"},
         {"dt", "0001-01-01T00:00:00.000001Z"},
         {"ts", "2024-02-29T12:34:56.789Z"},
         {"j", R"({"a":[1,2.5,null,"x"]})"}},
        {{"id", 0},
         {"b", false},
         {"i8", 127},
         {"i16", 32767},
         {"i32", INT32_MAX},
         {"i64", INT64_MAX},
         {"u8", 0},
         {"u32", 0},
         {"f", -1.7976931348623157e308},
         {"d", "-0.0000000001"},
         {"s", ""},
         {"e", "red"},
         {"u", nullptr},
         {"u36", nullptr},
         {"u16", nullptr},
         {"x", ""},
         {"da", "9999-12-31"},
         {"ti", "00:00:00"},
         {"dt", "9999-12-31T23:59:59.999999Z"},
         {"ts", nullptr},
         {"j", "[]"}},
        {{"id", 5},        {"b", nullptr},  {"i8", nullptr},  {"i16", nullptr}, {"i32", nullptr},
         {"i64", nullptr}, {"u8", nullptr}, {"u32", nullptr}, {"f", nullptr},   {"d", nullptr},
         {"s", nullptr},   {"e", nullptr},  {"u", nullptr},   {"u36", nullptr}, {"u16", nullptr},
         {"x", nullptr},   {"da", nullptr}, {"ti", nullptr},  {"dt", nullptr},  {"ts", nullptr},
         {"j", nullptr}},
    };
    operations inserts;
    for (const auto& row : rows) {
        inserts.insert(target, row);
    }
    const auto done = write(*session, inserts);
    for (unsigned i = 0; i < rows.size(); ++i) {
        INFO(here.log().text());
        REQUIRE(done[i].effect == core::effect::applied);
    }
    const auto check = [&](const std::vector<std::vector<named_literal>>& expected) {
        operations fetches;
        for (const auto& row : expected) {
            fetches.fetch(target, {row[0].value});
        }
        const auto got = read(*session, fetches);
        REQUIRE(got.rows.violations().empty());
        for (unsigned i = 0; i < expected.size(); ++i) {
            REQUIRE(got.rows.of(i).rows.size() == 1);
            core::arena memory;
            for (std::size_t f = 0; f < expected[i].size(); ++f) {
                const auto& name = expected[i][f].name;
                CAPTURE(i, name);
                const auto& type = target.fields[*target.find_field(name)].type;
                const testing::owned_value wanted{expected[i][f].value.as(type, memory)};
                CHECK(testing::to_string(got.rows.of(i).rows[0].at(name)) ==
                      testing::to_string(wanted));
            }
        }
    };
    check(rows);

    SECTION("through a grouped update too") {
        auto swapped = rows;
        std::swap(swapped[0][0], swapped[1][0]);
        operations updates;
        for (const auto& row : swapped) {
            updates.update(target, {row[0].value}).set({row.begin() + 1, row.end()});
        }
        const auto changed = write(*session, updates);
        for (unsigned i = 0; i < rows.size(); ++i) {
            INFO(here.log().text());
            CHECK(changed[i].effect == core::effect::applied);
        }
        check(swapped);
    }
    SECTION("keys of every kind find their row") {
        for (const std::string key :
             {"i8", "i64", "u32", "d", "s", "e", "u", "u36", "u16", "x", "da", "ti", "dt", "ts"}) {
            auto by = target;
            by.key = {*by.find_field(key)};
            operations fetches;
            const auto at = *by.find_field(key);
            fetches.fetch(by, {rows[0][at].value}).fields({"id"});
            fetches.fetch(by, {rows[1][at].value.is_null() ? rows[0][at].value : rows[1][at].value})
                .fields({"id"});
            const auto got = read(*session, fetches);
            CAPTURE(key, here.log().text());
            REQUIRE(got.rows.of(0).rows.size() == 1);
            CHECK(testing::to_string(got.rows.of(0).rows[0].at("id")) == "18446744073709551615u");
            CHECK(got.rows.of(1).rows.size() == 1);
            if (rows[1][at].value.is_null()) {
                continue;
            }
            operations updates;
            updates.update(by, {rows[0][at].value}).set({{"i32", 7}});
            updates.update(by, {rows[1][at].value}).set({{"i32", 7}});
            const auto changed = write(*session, updates);
            CHECK(changed[0].effect == core::effect::applied);
            CHECK(changed[1].effect == core::effect::applied);
        }
    }
}
