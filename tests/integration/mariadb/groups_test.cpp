#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

#include <map>
#include <set>
#include <string>

using namespace beds;
using namespace beds::test;
using adapters::commit_result;
using core::code;
using core::effect;
using testing::operations;

namespace {

/// How many prepared statements the session has run: equal for rows that one statement read or
/// wrote.
constexpr std::string_view statements_so_far =
    "(SELECT CAST(variable_value AS SIGNED) FROM information_schema.session_status "
    "WHERE variable_name = 'COM_STMT_EXECUTE')";

world& with(world& here, const std::string& coalesce) {
    auto settings = here.settings();
    settings.coalesce = coalesce;
    here.make_adapter(settings);
    return here;
}

/// The numbers of the statements that touched rows of `things`, by kind.
std::size_t statements(const world& here, const std::string& kind) {
    return static_cast<std::size_t>(
        std::stoul(here.sql("SELECT COUNT(DISTINCT at) FROM touched WHERE kind = '" + kind + "'")));
}

templates::template_def things() {
    return testing::template_maker("things")
        .field("a", "int64")
        .field("b", "string:20")
        .field("n", "int64")
        .key({"a", "b"})
        .build();
}

} // namespace

TEST_CASE("operations of one shape share statements, as far as the settings allow", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE things (a BIGINT, b VARCHAR(20), n BIGINT NOT NULL, PRIMARY KEY (a, b));"
             "CREATE TABLE touched (kind VARCHAR(10), at BIGINT);"
             "CREATE TRIGGER t_i BEFORE INSERT ON things FOR EACH ROW INSERT INTO touched VALUES "
             "('insert', " +
             std::string{statements_so_far} +
             ");"
             "CREATE TRIGGER t_u BEFORE UPDATE ON things FOR EACH ROW INSERT INTO touched VALUES "
             "('update', " +
             std::string{statements_so_far} +
             ");"
             "CREATE TRIGGER t_d BEFORE DELETE ON things FOR EACH ROW INSERT INTO touched VALUES "
             "('delete', " +
             std::string{statements_so_far} +
             ");"
             "CREATE VIEW v_things AS SELECT a, b, " +
             std::string{statements_so_far} +
             " AS n FROM things;"
             "CREATE PROCEDURE sp_put(IN p_a BIGINT, OUT at BIGINT) SET at = " +
             std::string{statements_so_far} +
             ";CREATE FUNCTION fn_put(p_a BIGINT) RETURNS BIGINT READS SQL DATA RETURN " +
             std::string{statements_so_far});
    auto target = things();
    auto through_view = target;
    through_view.name = "seen";
    through_view.read_view = "v_things";
    templates::call put;
    put.name = "put";
    put.routine = "sp_put";
    put.op_class = core::op_class::write;
    put.args = {{"a", *core::parse_field_type("int64")}};
    put.out = {{"at", *core::parse_field_type("int64")}};
    put.out_layout = core::row_layout{{{"at", put.out[0].type}}};
    target.calls.push_back(put);
    auto put_by_function = put;
    put_by_function.name = "put_by_function";
    put_by_function.routine = "fn_put()";
    target.calls.push_back(put_by_function);

    constexpr int count = 40;
    const std::string coalesce =
        GENERATE("auto", "off", "fetch find insert update delete", "call returning");
    INFO("coalesce = " << coalesce);
    with(here, coalesce);
    const bool all = coalesce == "auto";
    const bool tables = all || coalesce.starts_with("fetch");
    const bool calls = all || coalesce.starts_with("call");
    // 40 is 32 and 8 where a statement cannot be padded.
    const std::size_t apart = count;
    const std::size_t unpadded = tables ? 2 : apart;
    const std::size_t padded = tables ? 1 : apart;
    const auto session = here.session();
    const templates::template_def* targets[] = {&target, &through_view};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));

    operations inserts;
    operations fetches;
    operations finds;
    operations updates;
    operations removals;
    operations puts;
    operations puts_by_function;
    for (int i = 0; i < count; ++i) {
        const auto b = "b" + std::to_string(i % 7);
        inserts.insert(target, {{"a", i}, {"b", b}, {"n", i}});
        fetches.fetch(through_view, {i, b});
        finds.find(through_view).where("a", i).sort({"a", "b"}).limit(3);
        updates.update(target, {i, b}).inc({{"n", 1}}).expect({{"n", i}});
        removals.remove(target, {i, b}).expect({{"n", i + 1}});
        puts.call(target, "put", {i});
        puts_by_function.call(target, "put_by_function", {i});
    }
    const auto all_applied = [&](const answers& got) {
        return std::all_of(got.outcomes.begin(), got.outcomes.end(),
                           [](const auto& each) { return each.effect == effect::applied; });
    };
    const auto numbers = [&](const answers& got) {
        std::set<std::int64_t> seen;
        for (unsigned i = 0; i < count; ++i) {
            REQUIRE(got.rows.of(i).rows.size() == 1);
            seen.insert(got.rows.of(i).rows[0].at("n").view().integer);
        }
        return seen.size();
    };
    CHECK(all_applied(write(*session, inserts)));
    CHECK(statements(here, "insert") == unpadded);
    CHECK(numbers(read(*session, fetches)) == padded);
    CHECK(numbers(read(*session, finds)) == unpadded);
    CHECK(all_applied(write(*session, updates)));
    CHECK(statements(here, "update") == padded);
    CHECK(all_applied(write(*session, removals)));
    CHECK(statements(here, "delete") == padded);
    for (auto* work : {&puts, &puts_by_function}) {
        const auto called = write(*session, *work);
        CHECK(all_applied(called));
        std::set<std::int64_t> at;
        for (unsigned i = 0; i < count; ++i) {
            at.insert(called.rows.of(i).out->at("at").view().integer);
        }
        CHECK(at.size() == (calls ? 2 : apart));
    }
    CHECK(here.sql("SELECT COUNT(*) FROM things; DROP TABLE things, touched; DROP VIEW v_things; "
                   "DROP PROCEDURE sp_put; DROP FUNCTION fn_put") == "0\n");
}

TEST_CASE("a group's keys match what each alone would", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE words (word VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci "
             "PRIMARY KEY, n INT NOT NULL DEFAULT 0);"
             "INSERT INTO words (word) VALUES ('?'), ('ab'), ('c')");
    const auto target = testing::template_maker("words")
                            .field("word", "string:20", {.collation = "latin1_swedish_ci"})
                            .field("n", "int32")
                            .key({"word"})
                            .build();
    const auto session = here.session();
    operations updates;
    updates.update(target, {"\xE6\xBC\xA2"}).inc({{"n", 1}}); // latin1 has no such letter
    updates.update(target, {"c"}).inc({{"n", 1}});
    auto got = write(*session, updates);
    CHECK_FALSE(got[0].ok()); // and it is not the row '?'
    CHECK(got[1].effect == effect::applied);
    operations fetches;
    fetches.fetch(target, {"\xE6\xBC\xA2"});
    fetches.fetch(target, {"C"});
    got = read(*session, fetches);
    CHECK_FALSE(got[0].ok());
    CHECK(text_of(got.rows.of(1)) == "\"c\" 1 \n");

    operations twice; // one row in two spellings, as two messages may have it
    twice.update(target, {"AB"}).inc({{"n", 1}});
    twice.update(target, {"ab "}).inc({{"n", 1}});
    got = write(*session, twice);
    CHECK(got[0].effect == effect::applied);
    CHECK(got[1].effect == effect::applied);
    CHECK(here.sql("SELECT word, n FROM words ORDER BY word") == "?\t0\nab\t2\nc\t1\n");

    operations removals;
    removals.remove(target, {"AB"});
    removals.remove(target, {"ab"});
    removals.remove(target, {"c"});
    got = write(*session, removals);
    const int gone = (got[0].ok() ? 1 : 0) + (got[1].ok() ? 1 : 0);
    CHECK(gone == 1); // the other one found it gone
    CHECK(got[2].effect == effect::applied);
    CHECK(here.sql("SELECT word FROM words") == "?\n");
}

TEST_CASE("a key that is not unique is not trusted", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE loose (id BIGINT, n INT NOT NULL DEFAULT 0, tenant INT, KEY (id), "
             "UNIQUE KEY (id, n, tenant)); INSERT INTO loose (id, n, tenant) VALUES (1, 0, 1), (1, "
             "5, 2)");
    const auto target = testing::template_maker("loose")
                            .field("id", "int64")
                            .field("n", "int32")
                            .key({"id"})
                            .build();
    const auto session = here.session();
    operations updates;
    updates.update(target, {1}).inc({{"n", 1}});
    updates.update(target, {2}).inc({{"n", 1}});
    const auto got = write(*session, updates);
    CHECK(got.rows.of(0).count == 2U);
    CHECK(got[1].code == code::not_found); // two rows for two operations, and still not theirs
}

TEST_CASE("pages of several finds begin behind their own cursors", "[mariadb]") {
    world here;
    here.sql(
        "CREATE TABLE n (id BIGINT PRIMARY KEY, v INT); INSERT INTO n SELECT seq, IF(seq % 5 = 0, "
        "NULL, seq % 4) FROM seq_1_to_60");
    const auto target = testing::template_maker("n")
                            .field("id", "int64")
                            .field("v", "int32", {.indexed = true})
                            .key({"id"})
                            .build();
    const auto session = here.session();
    const std::string sort = GENERATE("v", "-v");
    std::vector<testing::recorded_cursor> cursors(6);
    std::vector<std::string> pages(6);
    for (int page = 0; page < 4; ++page) {
        operations together;
        for (int i = 0; i < 6; ++i) {
            auto op = together.find(target)
                          .where("id", adapters::comparison::gt, {i * 3})
                          .sort({sort})
                          .limit(7);
            if (page > 0) {
                op.after(cursors[static_cast<std::size_t>(i)]);
            }
        }
        const auto got = read(*session, together);
        for (unsigned i = 0; i < 6; ++i) {
            operations alone;
            auto op = alone.find(target)
                          .where("id", adapters::comparison::gt, {static_cast<int>(i) * 3})
                          .sort({sort})
                          .limit(7);
            if (page > 0) {
                op.after(cursors[i]);
            }
            const auto expected = read(*session, alone);
            REQUIRE(expected.rows.of(0).rows.size() == 7);
            CHECK(text_of(got.rows.of(i)) == text_of(expected.rows.of(0)));
            REQUIRE(got.rows.of(i).next);
            cursors[i] = *got.rows.of(i).next;
        }
    }
}

TEST_CASE("each row's own key comes back, however the server tells it", "[mariadb]") {
    world here;
    const std::string coalesce = GENERATE("auto", "off", "fetch find insert update delete");
    with(here, coalesce);
    here.sql("CREATE TABLE made (id BIGINT AUTO_INCREMENT PRIMARY KEY, tag INT NOT NULL UNIQUE)");
    const auto target = testing::template_maker("made")
                            .field("id", "int64", {.source = templates::generated::database})
                            .field("tag", "int32")
                            .key({"id"})
                            .build();
    here.control().mariadb_root("SET GLOBAL auto_increment_increment = 3");
    const auto session = here.session();
    here.control().mariadb_root("SET GLOBAL auto_increment_increment = 1");
    operations inserts;
    for (int i = 0; i < 20; ++i) {
        inserts.insert(target).row({{"tag", i}}).row({{"tag", 100 + i}});
    }
    operations clash;
    clash.insert(target, {{"tag", 200}});
    clash.insert(target, {{"tag", 7}}); // is there
    clash.insert(target, {{"tag", 201}});
    const auto check = [&](const answers& got, unsigned op, unsigned row, int tag) {
        REQUIRE(got.rows.of(op).keys.size() > row);
        const auto id = testing::to_string(got.rows.of(op).keys[row][0]);
        CHECK(here.sql("SELECT tag FROM made WHERE id = " + id) == std::to_string(tag) + "\n");
    };
    const auto got = write(*session, inserts);
    for (unsigned i = 0; i < 20; ++i) {
        CHECK(got.rows.of(i).count == 2U);
        check(got, i, 0, static_cast<int>(i));
        check(got, i, 1, static_cast<int>(100 + i));
    }
    const auto clashed = write(*session, clash);
    check(clashed, 0, 0, 200);
    CHECK(clashed[1].code == code::duplicate_key);
    CHECK(clashed[1].field == "tag");
    CHECK(clashed.rows.of(1).keys.empty());
    check(clashed, 2, 0, 201);
}

TEST_CASE("blanks at the end of a key count for all operations alike", "[mariadb]") {
    world here;
    const std::string collation = GENERATE("utf8mb4_bin", "utf8mb4_nopad_bin");
    const bool pads = collation == "utf8mb4_bin";
    CAPTURE(collation);
    here.sql("CREATE TABLE words (word VARCHAR(20) COLLATE " + collation +
             " PRIMARY KEY, n INT NOT NULL DEFAULT 0);"
             "INSERT INTO words (word) VALUES ('ab'), ('cd '), ('ef')");
    const auto target = testing::template_maker("words")
                            .field("word", "string:20")
                            .field("n", "int32")
                            .key({"word"})
                            .build();
    const auto session = here.session();
    const std::size_t found = pads ? 1 : 0;
    for (const bool several : {false, true}) {
        for (const auto& [asked, stored] :
             std::map<std::string, std::string>{{"ab ", "ab"}, {"cd", "cd "}}) {
            CAPTURE(asked, several);
            operations fetches;
            fetches.fetch(target, {asked});
            if (several) {
                fetches.fetch(target, {"ef"});
                fetches.fetch(target, {asked});
                fetches.fetch(target, {"none"});
                fetches.fetch(target, {stored});
            }
            const auto got = read(*session, fetches);
            CHECK(got.rows.of(0).rows.size() == found);
            if (several) {
                CHECK(got.rows.of(1).rows.size() == 1);
                CHECK(got.rows.of(2).rows.size() == found);
                CHECK(got.rows.of(3).rows.empty());
                CHECK(got.rows.of(4).rows.size() == 1);
            }
        }
    }
    operations updates;
    updates.update(target, {"ab "}).inc({{"n", 1}});
    updates.update(target, {"cd"}).inc({{"n", 1}});
    const auto got = write(*session, updates);
    CHECK(got[0].ok() == pads);
    CHECK(got[1].ok() == pads);
}
