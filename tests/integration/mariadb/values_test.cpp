#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

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
