#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

#include <optional>
#include <string>
#include <thread>

using namespace beds;
using namespace beds::test;
using core::code;
using core::effect;
using testing::operations;

TEST_CASE("text that a column's character set cannot hold is refused with the field", "[mariadb]") {
    world here;
    struct column {
        const char* charset;
        const char* collation;
        const char* text; ///< what it cannot hold
    };
    const auto each = GENERATE(column{"latin1", "latin1_swedish_ci", "smile \xF0\x9F\x98\x80"},
                               column{"latin1", "latin1_bin", "smile \xF0\x9F\x98\x80"},
                               column{"latin1", "latin1_general_ci", "\xC5\x82\xC3\xB3"}, // łó
                               column{"utf8mb3", "utf8mb3_general_ci", "smile \xF0\x9F\x98\x80"},
                               column{"utf8mb3", "utf8mb3_bin", "smile \xF0\x9F\x98\x80"},
                               column{"ascii", "ascii_bin", "\xC3\xA9"},
                               column{"cp1251", "cp1251_bin", "\xE4\xBD\xA0"});
    CAPTURE(each.collation, each.text);
    const auto type =
        std::string{"VARCHAR(40) CHARACTER SET "} + each.charset + " COLLATE " + each.collation;
    here.sql(
        "CREATE TABLE words (word " + type + " NOT NULL PRIMARY KEY, note " + type +
        ", other VARCHAR(40), KEY (note), KEY (other)) ENGINE=InnoDB; INSERT INTO words VALUES "
        "('one', 'uno', 'x'), ('?', '?', '?'), ('smile ?', 'smile ?', 'y'), ('two ?', '? ?', 'z'), "
        "('gone', 'x', 'y')");
    auto settings = here.settings();
    settings.coalesce = GENERATE("auto", "off");
    CAPTURE(settings.coalesce);
    here.make_adapter(settings);
    const auto target =
        testing::template_maker("words")
            .field("word", "string:40", {.collation = each.collation})
            .field("note", "string:40", {.indexed = true, .collation = each.collation})
            .field("other", "string:40", {.indexed = true})
            .key({"word"})
            .build();
    auto session = here.session();
    const std::string bad = each.text;

    // Alone, and between others of its shape.
    const auto check = [&](const char* what, auto&& add, const std::string& good, code expected,
                           const char* field, adapters::work_kind kind) {
        for (const bool several : {false, true}) {
            operations work;
            add(work, bad);
            if (several) {
                add(work, good);
                add(work, bad);
            }
            const auto got = run(*session, work, kind);
            for (const std::size_t at : {std::size_t{0}, work.size() - 1}) {
                INFO(what << ": " << core::to_string(got[at].code) << ' ' << got[at].detail << '\n'
                          << here.log().text());
                CHECK(got[at].code == expected);
                CHECK(got[at].field == field);
                CHECK(got[at].effect == effect::none);
                CHECK(got.rows.of(static_cast<core::op_index>(at)).rows.empty());
            }
            if (several) {
                INFO(what << ": " << core::to_string(got[1].code) << ' ' << got[1].detail);
                CHECK(got[1].ok());
            }
        }
    };
    const auto reads = [&](const char* what, auto&& add, const char* field, const char* good) {
        check(what, add, good, code::invalid_field, field, adapters::work_kind::read);
    };
    const auto writes = [&](const char* what, auto&& add, const char* field, const char* good,
                            code expected = code::invalid_field) {
        check(what, add, good, expected, field, adapters::work_kind::write);
    };
    reads(
        "fetch", [&](auto& to, const auto& text) { to.fetch(target, {text}); }, "word", "one");
    using adapters::comparison;
    for (const auto how : {comparison::eq, comparison::ne, comparison::lt, comparison::ge,
                           comparison::prefix, comparison::in}) {
        CAPTURE(static_cast<int>(how));
        const auto where = [&](auto&& made, const auto& text) { made.where("note", how, {text}); };
        reads(
            "find", [&](auto& to, const auto& text) { where(to.find(target), text); }, "note",
            "uno");
        reads(
            "count", [&](auto& to, const auto& text) { where(to.count(target), text); }, "note",
            "uno");
        reads(
            "exists", [&](auto& to, const auto& text) { where(to.exists(target), text); }, "note",
            "uno");
    }
    writes(
        "update by key",
        [&](auto& to, const auto& text) {
            to.update(target, {text}).set({{"other", "w"}});
        },
        "word", "one");
    writes(
        "update by where",
        [&](auto& to, const auto& text) {
            to.update(target).where("note", text).set({{"other", "w"}});
        },
        "note", "uno");
    writes(
        "delete by key", [&](auto& to, const auto& text) { to.remove(target, {text}); }, "word",
        "gone");
    writes(
        "delete by where",
        [&](auto& to, const auto& text) { to.remove(target).where("note", text); }, "note", "none");
    writes(
        "update, if",
        [&](auto& to, const auto& text) {
            to.update(target, {"one"}).set({{"other", "w"}}).expect({{"note", text}});
        },
        "note", "uno");
    writes(
        "update, set",
        [&](auto& to, const auto& text) {
            to.update(target, {"one"}).set({{"note", text}});
        },
        "note", "uno", code::constraint);
    writes(
        "insert",
        [&](auto& to, const auto& text) {
            to.insert(target, {{"word", text}, {"note", "n"}, {"other", "o"}});
        },
        "word", "new", code::constraint);
    CHECK(
        here.sql("SELECT GROUP_CONCAT(word, ' ', note, ' ', other ORDER BY word, other) FROM words "
                 "WHERE word <> 'new'") == "? ? ?,one uno w,smile ? smile ? y,two ? ? ? z\n");
}

TEST_CASE("the key that an insert answers is the key that is stored", "[mariadb]") {
    world here;
    struct column {
        const char* type;
        const char* field;
        const char* given;
    };
    const auto each =
        GENERATE(column{"DATETIME", "datetime", "2024-02-29T23:59:59.999999Z"},
                 column{"DATETIME(3)", "datetime", "1969-12-31T23:59:59.123987Z"},
                 column{"TIMESTAMP(2)", "datetime", "2024-02-29T23:59:58.996Z"},
                 column{"DATETIME(6)", "datetime", "2024-02-29T23:59:58.999999Z"},
                 column{"TIME", "time", "11:22:33.9"}, column{"TIME(5)", "time", "11:22:33.999999"},
                 column{"BINARY(4)", "bytes:4", "ab"}, column{"VARBINARY(4)", "bytes:4", "ab"},
                 column{"CHAR(6)", "string:6", "ab  "}, column{"VARCHAR(6)", "string:6", "ab  "});
    CAPTURE(each.type, each.given);
    here.sql(std::string{"CREATE TABLE keyed (id "} + each.type +
             " NOT NULL, part INT NOT NULL AUTO_INCREMENT, n INT NOT NULL, PRIMARY KEY (id, part), "
             "KEY (part)) ENGINE=InnoDB");
    const auto target = testing::template_maker("keyed")
                            .field("id", each.field)
                            .field("part", "int32", {.source = templates::generated::database})
                            .field("n", "int32")
                            .key({"id", "part"})
                            .build();
    auto session = here.session();
    const bool made_part = GENERATE(false, true);
    const int count = GENERATE(1, 3);
    CAPTURE(made_part, count);
    operations inserts;
    for (int i = 0; i < count; ++i) {
        if (made_part) {
            inserts.insert(target, {{"id", each.given}, {"n", i}});
        } else {
            inserts.insert(target, {{"id", each.given}, {"part", i + 1}, {"n", i}});
        }
    }
    const auto made = write(*session, inserts);
    operations fetches;
    for (int i = 0; i < count; ++i) {
        const auto at = static_cast<core::op_index>(i);
        REQUIRE(made[at].effect == effect::applied);
        REQUIRE(made.rows.of(at).keys.size() == 1);
        const auto& key = made.rows.of(at).keys[0];
        fetches.fetch(target, {key[0], key[1]});
    }
    const auto got = read(*session, fetches);
    for (int i = 0; i < count; ++i) {
        const auto at = static_cast<core::op_index>(i);
        CHECK(got[at].ok());
        REQUIRE(got.rows.of(at).rows.size() == 1);
        const auto& row = got.rows.of(at).rows[0].cells;
        CHECK(row[0].view() == made.rows.of(at).keys[0][0].view());
        CHECK(row[2].view().integer == i);
    }
}

TEST_CASE("a stored TIME that is no time of day is told with its field, and read as a string",
          "[mariadb]") {
    world here;
    here.sql("CREATE TABLE shifts (id INT PRIMARY KEY, took TIME(3)) ENGINE=InnoDB; INSERT INTO "
             "shifts VALUES (1, '01:02:03.5'), (2, '-00:30:00'), (3, '25:00:00.25'), (4, "
             "'838:59:59'), (5, '-100:00:00'), (6, NULL), (7, '00:00:00')");
    auto session = here.session();
    const auto as = [](const char* type) {
        return testing::template_maker(std::string{"shifts_"} + type)
            .object("shifts")
            .field("id", "int32")
            .field("took", type)
            .key({"id"})
            .build();
    };
    const auto target = as("time");
    operations fetches;
    for (int id = 1; id <= 7; ++id) {
        fetches.fetch(target, {id});
    }
    const auto got = read(*session, fetches);
    for (const std::size_t at : {0U, 5U, 6U}) {
        CHECK(got[at].ok());
        CHECK(got.rows.of(static_cast<core::op_index>(at)).rows.size() == 1);
    }
    for (const std::size_t at : {1U, 2U, 3U, 4U}) {
        CAPTURE(at);
        CHECK(got[at].code == code::unsupported);
        CHECK(got[at].field == "took");
        CHECK(got[at].detail.find("negative or longer than a day") != std::string_view::npos);
    }
    CHECK(here.log().has("BEDS_MARIADB_VALUE"));

    const auto text = as("string");
    operations all;
    all.find(text).sort({"id"}).limit(10);
    const auto read_all = read(*session, all);
    REQUIRE(read_all[0].ok());
    CHECK(text_of(read_all.rows.of(0)) ==
          "1 \"01:02:03.500\" \n2 \"-00:30:00\" \n3 \"25:00:00.250\" \n4 \"838:59:59\" \n"
          "5 \"-100:00:00\" \n6 null \n7 \"00:00:00\" \n");
}

TEST_CASE("stored dates and truths that are none are told with their field, and never taken for "
          "others",
          "[mariadb]") {
    world here;
    here.sql(
        "SET sql_mode = ''; CREATE TABLE days (id INT PRIMARY KEY, day DATE, at DATETIME(6), "
        "done TINYINT(1)) ENGINE=InnoDB; INSERT INTO days VALUES (1, '2026-01-31', '2026-01-31 "
        "01:02:03', 1), (2, '0000-00-00', NULL, 0), (3, '2026-01-00', NULL, NULL), (4, NULL, "
        "'0000-00-00 00:00:00', NULL), (5, NULL, NULL, 2), (6, NULL, NULL, -1)");
    auto session = here.session();
    const auto as = [](const char* name, const char* day, const char* at, const char* done) {
        return testing::template_maker(name)
            .object("days")
            .field("id", "int32")
            .field("day", day)
            .field("at", at)
            .field("done", done)
            .key({"id"})
            .build();
    };
    const auto target = as("days", "date", "datetime", "bool");
    operations fetches;
    for (int id = 1; id <= 6; ++id) {
        fetches.fetch(target, {id});
    }
    const auto got = read(*session, fetches);
    CHECK(got[0].ok());
    const std::array<std::pair<std::string_view, std::string_view>, 5> expected{
        {{"day", "no month or no day"},
         {"day", "no month or no day"},
         {"at", "no month or no day"},
         {"done", "neither 0 nor 1"},
         {"done", "neither 0 nor 1"}}};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CAPTURE(i);
        CHECK(got[i + 1].code == code::unsupported);
        CHECK(got[i + 1].field == expected[i].first);
        CHECK(got[i + 1].detail.find(expected[i].second) != std::string_view::npos);
        CHECK(got.rows.of(static_cast<core::op_index>(i + 1)).rows.empty());
    }
    CHECK(here.log().has("BEDS_MARIADB_VALUE"));

    const auto text = as("days_as_text", "string", "string", "int8");
    operations all;
    all.find(text).sort({"id"}).limit(10);
    const auto read_all = read(*session, all);
    REQUIRE(read_all[0].ok());
    CHECK(text_of(read_all.rows.of(0)) ==
          "1 \"2026-01-31\" \"2026-01-31T01:02:03Z\" 1 \n2 \"0000-00-00\" null 0 \n3 "
          "\"2026-01-00\" null null \n4 null \"0000-00-00T00:00:00Z\" null \n5 null null 2 \n6 "
          "null null -1 \n");
}

TEST_CASE("pages go on behind texts that differ late", "[mariadb]") {
    world here;
    // The condition takes its own index, so that the server sorts by itself.
    here.sql("CREATE TABLE texts (id INT PRIMARY KEY, n INT, body VARCHAR(700), KEY (n), KEY "
             "(body)) ENGINE=InnoDB; INSERT INTO texts SELECT seq, 1, CONCAT(REPEAT('x', 600), "
             "LPAD(100 - seq, 3, '0')) FROM seq_1_to_20; INSERT INTO texts SELECT seq, 2, 'y' FROM "
             "seq_100_to_999");
    const auto target = testing::template_maker("texts")
                            .field("id", "int32")
                            .field("n", "int32", {.indexed = true})
                            .field("body", "string:700", {.indexed = true})
                            .key({"id"})
                            .build();
    auto session = here.session();
    const bool descends = GENERATE(false, true);
    std::string seen;
    std::optional<testing::recorded_cursor> behind;
    do {
        operations work;
        auto page = work.find(target)
                        .fields({"id"})
                        .where("n", 1)
                        .sort({descends ? "-body" : "body"})
                        .limit(3);
        if (behind) {
            page.after(*behind);
        }
        const auto got = read(*session, work);
        REQUIRE(got[0].ok());
        seen += text_of(got.rows.of(0));
        behind = got.rows.of(0).next;
    } while (behind);
    std::string expected;
    for (int i = 1; i <= 20; ++i) {
        expected += std::to_string(descends ? i : 21 - i) + " \n";
    }
    CHECK(seen == expected);
}

TEST_CASE("a UUID in upper case is told where no key would find it", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE things (id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, "
             "other CHAR(36) CHARACTER SET ascii COLLATE ascii_general_ci) ENGINE=InnoDB; "
             "INSERT INTO things VALUES ('a0000000-0000-4000-8000-000000000001', "
             "'B0000000-0000-4000-8000-00000000000B'), ('b0000000-0000-4000-8000-000000000001', "
             "NULL)");
    const auto target = testing::template_maker("things")
                            .field("id", "uuid")
                            .field("other", "uuid")
                            .key({"id"})
                            .build();
    auto session = here.session();
    operations all;
    all.find(target).sort({"id"}).limit(10);
    auto got = read(*session, all);
    CHECK(text_of(got.rows.of(0)) ==
          "uuid a0000000-0000-4000-8000-000000000001 uuid b0000000-0000-4000-8000-00000000000b \n"
          "uuid b0000000-0000-4000-8000-000000000001 null \n");
    here.sql("INSERT INTO things VALUES ('C0000000-0000-4000-8000-000000000001', NULL)");
    got = read(*session, all);
    CHECK(got[0].code == code::unsupported);
    CHECK(got[0].field == "id");
    CHECK(got[0].detail.find("in upper case") != std::string_view::npos);
    CHECK(here.log().has("tells from lower case"));
}

TEST_CASE("on_conflict finds the row that keeps less than was given", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE seen (id INT PRIMARY KEY, at DATETIME(0) UNIQUE, word VARCHAR(20) "
             "CHARACTER SET latin1 UNIQUE, n INT) ENGINE=InnoDB; INSERT INTO seen VALUES (1, "
             "'2026-01-31 12:00:00', 'one', 1)");
    const auto target = testing::template_maker("seen")
                            .field("id", "int32")
                            .field("at", "datetime")
                            .field("word", "string:20", {.collation = "latin1_swedish_ci"})
                            .field("n", "int32")
                            .key({"id"})
                            .unique({"at"})
                            .unique({"word"})
                            .build();
    auto session = here.session();
    operations work;
    work.insert(target, {{"id", 2}, {"at", "2026-01-31T12:00:00.5Z"}, {"n", 7}})
        .on_conflict({"at"}, {"n"});
    work.insert(target, {{"id", 3}, {"word", "smile \xF0\x9F\x98\x80"}, {"n", 7}})
        .on_conflict({"word"});
    const auto got = write(*session, work);
    CHECK(got[0].effect == effect::applied);
    CHECK(got[1].code == code::constraint);
    CHECK(got[1].field == "word");
    CHECK(here.sql("SELECT id, at, n FROM seen") == "1\t2026-01-31 12:00:00\t7\n");
    CHECK_FALSE(here.log().has("BEDS_MARIADB_REFUSED"));
}

TEST_CASE("inc by where adds to no row that loses its value meanwhile", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE pots (id INT PRIMARY KEY, owner INT, bal INT, KEY (owner)) "
             "ENGINE=InnoDB; INSERT INTO pots VALUES (1, 1, 5), (2, 1, 5)");
    const auto target = testing::template_maker("pots")
                            .field("id", "int32")
                            .field("owner", "int32", {.indexed = true})
                            .field("bal", "int32")
                            .key({"id"})
                            .build();
    auto session = here.session();
    std::thread other{
        [&] { here.sql("BEGIN; UPDATE pots SET bal = NULL WHERE id = 2; DO SLEEP(1); COMMIT"); }};
    while (here.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE "
                    "'DO SLEEP%' AND db = DATABASE()") == "0\n") {
        std::this_thread::sleep_for(10ms);
    }
    operations work;
    work.update(target).where("owner", 1).inc({{"bal", 1}});
    const auto got = write(*session, work);
    other.join();
    CHECK(got[0].code == code::constraint);
    CHECK(got[0].field == "bal");
    CHECK(here.sql("SELECT id, bal FROM pots") == "1\t5\n2\tNULL\n");
}
