// What the comparison of a template with a live MariaDB finds.
#include "adapters/mariadb/compare.hpp"
#include "support/catch.hpp"
#include "support/running_node.hpp"

#include <beds/core/supervisor.hpp>

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view head = R"([template]
name = "t"
store = "rel"
object = "things"
key = ["id"]
[fields]
id = { type = "int64", required = true }
)";

/// A session with a database of its own.
class world {
public:
    world() {
        data.sql(
            "CREATE TABLE things (id BIGINT PRIMARY KEY, name VARCHAR(40), n INT, KEY (name))");
        connect(data.settings());
    }
    void connect(const config::rel_service_settings& settings) {
        session.reset();
        adapter = adapters::make_mariadb("rel", settings);
        adapters::session_context context;
        context.name = "compare";
        context.supervisor = supervisor.get();
        session = adapter->open_session(std::move(context));
        session->connect(limit());
    }

    /// All findings, as lines. `text` comes behind the field `id`.
    std::string found(std::string_view text, core::op_class highest = core::op_class::bulk) {
        auto toml = std::string{head} + std::string{text};
        return found_in(toml, highest);
    }
    std::string found_in(const std::string& toml, core::op_class highest = core::op_class::bulk) {
        const auto parsed = templates::parse(toml, {}, "t.toml");
        INFO((parsed.problems.empty() ? "" : to_string(parsed.problems.front())));
        REQUIRE(parsed.parsed);
        std::string lines;
        const auto all = adapter->compare(*session, *parsed.parsed, highest, limit());
        for (const auto& each : all.value()) {
            CHECK_FALSE(each.advice.empty());
            CHECK(parsed.parsed->line_of(each.key) != 0);
            lines += to_string(each, *parsed.parsed) + '\n';
        }
        return lines;
    }
    std::string own(core::op_class highest = core::op_class::write) {
        const auto parsed = templates::parse(std::string{head}, {}, "t.toml");
        const std::vector<const templates::template_def*> targets{&*parsed.parsed};
        std::string lines;
        for (const auto& each : adapter->compare_own(*session, targets, highest, limit())) {
            CHECK_FALSE(each.advice.empty());
            lines += (each.how == adapters::difference::severity::error ? "error: " : "warning: ") +
                     each.text + '\n';
        }
        return lines;
    }

    server_control control = shared_servers();
    database data{require_mariadb(), control};
    std::shared_ptr<core::supervisor> supervisor = core::supervisor::shared();
    std::shared_ptr<adapters::adapter> adapter;
    std::unique_ptr<adapters::session> session;

private:
    static core::deadline limit() { return core::deadline::after(30s); }
};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::size_t lines_in(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

} // namespace

TEST_CASE("a finding names file, line and key, what is expected, what is there, and what to do") {
    world at;
    CHECK(at.found("name = { type = \"string\", max = 40 }\n") == "");
    CHECK(at.found("nmae = { type = \"string\", max = 40 }\n") ==
          "t.toml:8: fields.nmae.column: error: 'things' has no column 'nmae'; did you mean "
          "'name'?\n");
    CHECK(at.found("name = { type = \"date\" }\n") ==
          "t.toml:8: fields.name.type: error: the template says date, column 'name' is string of "
          "40; say type = \"string\", max = 40, or change the column\n");
    CHECK(at.found("n = { type = \"int32\" }\n[[index]]\nfields = [\"n\"]\n")
              .starts_with("t.toml:9: index[0]: error: 'things' has no index that begins with n"));
    // The key's own line in a table that has several.
    CHECK(
        at.found("[fields.name]\ntype = \"string\"\nmax = 40\ncollation = \"utf8mb4_general_ci\"\n")
            .starts_with("t.toml:11: fields.name.collation: warning: "));
}

TEST_CASE("a string may read times as they are stored, where nobody asks for them by it") {
    world at;
    at.data.sql("ALTER TABLE things ADD (day DATE, clock TIME(6), at DATETIME(6), KEY (day))");
    for (const std::string column : {"day", "clock", "at"}) {
        INFO(column);
        CHECK(at.found(column + " = { type = \"string\" }\n") == "");
    }
    CHECK(has(at.found("day = { type = \"string\" }\n[[index]]\nfields = [\"day\"]\n"),
              "fields.day.type: error: the template says string, column 'day' is date"));
}

TEST_CASE("values and collations of enums are compared, too") {
    world at;
    at.data.sql("ALTER TABLE things ADD (short VARCHAR(3) COLLATE utf8mb4_bin, colour "
                "ENUM('red','green') COLLATE utf8mb4_general_ci, plain ENUM('a') COLLATE "
                "utf8mb4_bin)");
    CHECK_FALSE(has(at.found("short = { type = \"enum\", values = [\"\u00e9 \u20ac\"] }\n"),
                    "cannot hold every"));
    CHECK(has(at.found("short = { type = \"enum\", values = [\"\u00e9 \u20ac!\"] }\n"),
              "cannot hold every"));
    const std::string colour = "colour = { type = \"enum\", values = [\"red\", \"green\"]";
    CHECK(at.found(colour + " }\n") == "");
    CHECK(at.found(colour + ", collation = \"utf8mb4_general_ci\" }\n") == "");
    CHECK(at.found(colour + ", collation = \"utf8mb4_unicode_ci\" }\n") ==
          "t.toml:8: fields.colour.collation: warning: column 'colour' compares by "
          "'utf8mb4_general_ci', the template says 'utf8mb4_unicode_ci'; say collation = "
          "\"utf8mb4_general_ci\"\n");
    // Values that only one of the two has are named, the first five.
    CHECK(
        at.found("colour = { type = \"enum\", values = [\"red\", \"blue\"] }\n") ==
        "t.toml:8: fields.colour.type: warning: column 'colour' (enum) may hold values that are "
        "none of the template's: 'green'; they are read as they are; say type = \"enum\", values "
        "= [\"red\", \"green\"]\n"
        "t.toml:8: fields.colour.type: warning: column 'colour' (enum) cannot hold every value of "
        "the template; the database refuses 'blue'; say type = \"enum\", values = [\"red\", "
        "\"green\"], or change the column\n");
    CHECK(has(at.found("colour = { type = \"enum\", values = [\"red\", \"green\", \"1\", \"2\", "
                       "\"3\", \"4\", \"5\", \"6\", \"7\"] }\n"),
              "refuses '1', '2', '3', '4', '5' and 2 more; "));
    CHECK(has(at.found("colour = { type = \"string\", max = 4 }\n"),
              "may hold values that are no string of 4: 'green'; "));
    CHECK(has(at.found("name = { type = \"enum\", values = [\"x\"] }\n"),
              "(string of 40) may hold values that are none of the template's; "));
    const std::string plain = "plain = { type = \"enum\", values = [\"a\"], collation = ";
    CHECK(at.found(plain + "\"utf8mb4_bin\" }\n") == "");
    CHECK(has(at.found(plain + "\"utf8mb4_general_ci\" }\n"), "compares binary"));
}

TEST_CASE("what does not fit a field is told, and what reading it does") {
    world at;
    at.data.sql("ALTER TABLE things ADD (ratio FLOAT, medium MEDIUMINT, big BIGINT, stamp "
                "TIMESTAMP(6) NULL, at DATETIME NULL, clock TIME(6), colour ENUM('red','green'), "
                "price DECIMAL(10,2), year YEAR, spot POINT)");
    const auto of = [&](const char* field) { return at.found(std::string{field} + '\n'); };
    CHECK(has(of("ratio = { type = \"double\" }"), "warning: column 'ratio' is float, which keeps "
                                                   "about 7 digits"));
    CHECK(has(of("medium = { type = \"int32\" }"), "is mediumint(9), which keeps 24 bits"));
    CHECK(of("medium = { type = \"int16\" }") != "");
    CHECK_FALSE(has(of("medium = { type = \"int16\" }"), "24 bits"));
    CHECK(has(of("stamp = { type = \"datetime\" }"), "the years 1970 to 2038"));
    CHECK(has(of("at = { type = \"datetime\" }"), "keeps whole seconds"));
    CHECK_FALSE(has(of("at = { type = \"datetime\", generated = \"now\" }"), "whole seconds"));
    CHECK(of("clock = { type = \"time\" }") == "");
    // Nobody writes it.
    CHECK(of("ratio = { type = \"double\" }\n[protect]\nprotected = [\"ratio\"]") == "");
    CHECK(has(of("name = { type = \"string\", max = 10 }"), "they are read as they are"));
    CHECK(has(of("colour = { type = \"enum\", values = [\"red\"] }"), "they are read as they are"));
    CHECK(has(of("big = { type = \"int32\" }"), "who reads such a row is refused"));
    CHECK(has(of("price = { type = \"decimal(8,2)\" }"), "they are read as they are"));
    CHECK(has(of("price = { type = \"decimal(10,1)\" }"), "who reads such a row is refused"));
    CHECK(has(of("year = { type = \"int32\" }"), "error: the template says int32, column 'year' is "
                                                 "year(4), which no type"));
    CHECK(has(of("spot = { type = \"bytes\" }"), "error: the template says bytes, column 'spot' is "
                                                 "point, which no type"));
}

TEST_CASE("indexes that the server does not use, or uses for conditions only, are told") {
    world at;
    const auto asked = "name = { type = \"string\", max = 40 }\n[[index]]\nfields = [\"name\"]\n";
    CHECK(at.found(asked) == "");
    at.data.sql("ALTER TABLE things ALTER INDEX name IGNORED");
    CHECK(has(at.found(asked), "index[0]: error: 'things' has no index that begins with name"));
    at.data.sql("ALTER TABLE things DROP INDEX name, ADD INDEX name (name(10))");
    CHECK(has(at.found(asked), "index[0]: warning: the index of 'things' over name holds "
                               "beginnings only"));
}

TEST_CASE("arguments of a call: their number, order, direction and types") {
    world at;
    const auto call = [&](const char* parameters, const char* args, const char* out) {
        at.data.sql(std::string{"DELIMITER //\nCREATE OR REPLACE PROCEDURE sp("} + parameters +
                    ") MODIFIES SQL DATA BEGIN UPDATE things SET n = 1 WHERE id = 0; END//");
        return at.found(std::string{"[calls.c]\nprocedure = \"sp\"\nclass = \"write\"\nargs = ["} +
                        args + "]\nout = [" + out + "]\n");
    };
    constexpr auto two = R"(["from", "int64"], ["to", "int64"])";
    CHECK(call("IN p_from BIGINT, IN p_to BIGINT", two, "") == "");
    CHECK(call("IN a BIGINT, IN b BIGINT", two, "") == ""); // names are the DBA's own
    const auto swapped = call("IN p_to BIGINT, IN p_from BIGINT", two, "");
    INFO(swapped);
    CHECK(swapped.starts_with("t.toml:11: calls.c.args[0]: error: 'from' is given to parameter "
                              "'p_to' of procedure 'sp'"));
    CHECK(has(swapped, "p_to, p_from"));
    CHECK(lines_in(swapped) == 1);

    constexpr auto with_inout = "IN p_from BIGINT, INOUT p_to BIGINT, OUT c INT";
    constexpr auto to_and_c = R"(["to", "int64"], ["c", "int32"])";
    CHECK(call(with_inout, two, to_and_c) == "");
    CHECK(has(call("IN p_from BIGINT, INOUT p_to BIGINT", two, R"(["c", "int64"])"),
              "calls.c.out: error: parameter 'p_to' of procedure 'sp' is INOUT; name 'to' in "
              "`out`, too"));
    CHECK(has(call("IN p_from BIGINT, IN p_to BIGINT, OUT c INT, OUT d INT", two, to_and_c),
              "calls.c.out: error: 'to' is an argument and an out parameter, 'p_to' of procedure "
              "'sp' is IN only; take it out of `out`"));

    CHECK(has(call("IN a BIGINT", two, ""),
              "the template gives 2 arguments, procedure 'sp' takes 1"));
    CHECK(has(call("IN a BIGINT, IN b BIGINT, OUT c INT", two, ""),
              "the template names 0 out parameters, procedure 'sp' has 1"));
    const auto mixed = call("OUT c INT, IN a BIGINT, IN b BIGINT", two, R"(["c", "int32"])");
    INFO(mixed);
    CHECK(has(mixed, "has the OUT parameter 'c' before one that is IN"));
    CHECK(lines_in(mixed) == 1);

    CHECK(has(call("IN a INT, IN b BIGINT", two, ""),
              "calls.c.args[0]: warning: argument 'from' is "
              "int64, parameter 'a' is int(11): it cannot "
              "hold every one; say int32"));
    CHECK(has(call("IN a DATE, IN b BIGINT", two, ""), "parameter 'a' is date: the database "
                                                       "converts what it can"));
    CHECK(call("IN a DECIMAL(20,0), IN b BIGINT", two, "") == "");
    CHECK(call("IN a VARCHAR(10), IN b CHAR(36)", R"(["x", "string"], ["y", "uuid"])", "") == "");
    CHECK(
        has(call("IN a DECIMAL(8,2)", R"a(["x", "decimal(18,2)"])a", ""), "cannot hold every one"));
    CHECK(call("OUT c DECIMAL(18,2)", "", R"a(["left", "decimal(18,2)"])a") == "");
    CHECK(has(call("OUT c DATE", "", R"(["left", "int64"])"), "calls.c.out[0]: error: 'left' is "
                                                              "int64, parameter 'c' is date"));
    CHECK(has(call("OUT c BIGINT", "", R"(["left", "int32"])"), "calls.c.out[0]: warning: "));
    // A class that no broker here runs is not looked at.
    CHECK(at.found("[calls.c]\nprocedure = \"none\"\nclass = \"bulk\"\n", core::op_class::write) ==
          "");
}

TEST_CASE("a stored function: that it is there, its arguments, its value, and what it does") {
    world at;
    const auto call = [&](const char* text, const char* out, const char* op_class = "read") {
        at.data.sql(std::string{"DELIMITER //\nCREATE OR REPLACE FUNCTION f"} + text + "//");
        return at.found(std::string{"[calls.c]\nfunction = \"f\"\nclass = \""} + op_class +
                        "\"\nargs = [[\"from\", \"int64\"]]\nout = [" + out + "]\n");
    };
    constexpr auto number = R"(["n", "int64"])";
    CHECK(call("(p_from BIGINT) RETURNS BIGINT RETURN p_from", number) == "");
    CHECK(has(call("(a BIGINT, b BIGINT) RETURNS BIGINT RETURN a", number),
              "calls.c.args: error: the template gives 1 argument, function 'f' takes 2"));
    CHECK(has(call("(a BIGINT) RETURNS DATE RETURN NULL", number),
              "calls.c.out[0]: error: 'n' is int64, parameter '(value)' is date"));
    constexpr auto writes =
        "(a BIGINT) RETURNS BIGINT BEGIN DELETE FROM things WHERE id = a; RETURN 1; END";
    CHECK(has(call(writes, number), "calls.c.class: error: function 'f' writes (DELETE things)"));
    CHECK(call(writes, number, "write") == "");
    at.data.sql("DROP FUNCTION f; CREATE PROCEDURE f(IN a BIGINT) SELECT 1");
    CHECK(
        at.found("[calls.c]\nfunction = \"f\"\nclass = \"read\"\nout = [[\"n\", "
                 "\"int64\"]]\n")
            .find("calls.c.function: error: there is no function 'f' that this account may see") !=
        std::string::npos);
}

TEST_CASE("statements that are made at run time are told unless the template says that they may") {
    world at;
    at.data.sql("DELIMITER //\nCREATE PROCEDURE sp(IN p_id BIGINT) READS SQL DATA BEGIN EXECUTE "
                "IMMEDIATE 'SELECT 1'; END//");
    const std::string called = "[calls.c]\nprocedure = \"sp\"\nclass = \"read\"\nargs = "
                               "[[\"id\", \"int64\"]]\n";
    CHECK(has(at.found(called),
              "calls.c.procedure: error: procedure 'sp' makes statements at run time (PREPARE or "
              "EXECUTE in 'sp'): it is not called; write them out; or see that no argument"));
    CHECK(at.found(called + "dynamic_sql = true\n") == "");
    const std::string write = "[write]\ndelete = \"sp\"\n";
    CHECK(has(at.found(write), "write.delete: error: procedure 'sp' makes statements at run time"));
    CHECK_FALSE(has(at.found(write + "dynamic_sql = true\n"), "makes statements at run time"));
}

TEST_CASE("procedures of [write] get every field that an insert always gives") {
    world at;
    const auto write = [&](const char* parameters, const char* which) {
        at.data.sql(std::string{"DELIMITER //\nCREATE OR REPLACE PROCEDURE sp("} + parameters +
                    ") MODIFIES SQL DATA BEGIN UPDATE things SET n = 1 WHERE id = 0; END//");
        return at.found(std::string{"name = { type = \"string\", max = 40 }\nn = { type = "
                                    "\"int32\", default = 7 }\n[write]\n"} +
                        which + " = \"sp\"\n");
    };
    CHECK(write("IN p_id BIGINT, IN p_name VARCHAR(40), IN p_n INT", "insert") == "");
    CHECK(
        has(write("IN p_id BIGINT, IN p_name VARCHAR(40)", "insert"),
            "t.toml:11: write.insert: error: procedure 'sp' has no parameter for field 'n', which "
            "has a default that BEDS gives: every insert is refused; add the parameter p_n"));
    CHECK(has(write("IN p_name VARCHAR(40), IN p_n INT", "insert"),
              "no parameter for field 'id', which every insert gives"));
    CHECK(has(write("IN p_id BIGINT, IN p_n INT", "insert"),
              "warning: procedure 'sp' has no parameter for 'name': who gives a value is refused"));
    CHECK(write("IN p_id BIGINT, IN p_name VARCHAR(40), IN p_n INT, IN p_set TEXT, IN p_inc_n INT, "
                "IN p_if_name VARCHAR(40), OUT affected INT",
                "update") == "");
    CHECK(has(write("IN p_id BIGINT, IN p_name VARCHAR(40), IN p_n INT", "update"),
              "t.toml:11: write.update: error: procedure 'sp' has no parameter p_set and cannot "
              "tell a field that is not given from null; add the parameter p_set"));
    CHECK(has(write("IN p_id BIGINT, IN p_name VARCHAR(40), IN p_inc_n INT", "update"), "p_set"));
    // Whoever calls it gives this one.
    CHECK_FALSE(has(write("IN p_id BIGINT, IN p_name VARCHAR(40)", "update"), "p_set"));
    CHECK_FALSE(has(write("IN p_id BIGINT, IN p_inc_n INT", "update"), "p_set"));
    CHECK(write("IN p_id BIGINT, IN p_if_n INT, OUT affected INT", "delete") == "");
    CHECK(has(write("IN p_id BIGINT, IN p_inc_n INT", "delete"), "is no field of the template"));
    CHECK(
        has(write("IN p_name VARCHAR(40), IN p_n INT", "update"), "which says which row is meant"));
    CHECK(
        has(write("IN p_id BIGINT, IN p_nam VARCHAR(40)", "delete"),
            "error: parameter 'p_nam' of procedure 'sp' is no field of the template; did you mean "
            "'name'?"));
    CHECK(has(write("IN p_id BIGINT, IN p_name VARCHAR(40), IN p_n DATE", "insert"),
              "warning: field 'n' is int32, parameter 'p_n' is date"));
}

TEST_CASE("views that cannot be read or written are told, and what is behind them") {
    world at;
    const auto with_view = [&](const char* view, core::op_class highest = core::op_class::bulk) {
        at.data.sql(std::string{"CREATE OR REPLACE VIEW v AS "} + view);
        auto toml = std::string{head} + "name = { type = \"string\", max = 40 }\n";
        toml.replace(toml.find("things"), 6, "v");
        return at.found_in(toml, highest);
    };
    CHECK(with_view("SELECT id, name FROM things") == "");
    for (const auto* view : {"SELECT DISTINCT id, name FROM things",
                             "SELECT id, MAX(name) AS name FROM things GROUP BY id",
                             "SELECT id, name FROM things UNION SELECT 1, 'x'"}) {
        const auto told = with_view(view);
        INFO(view << '\n' << told);
        CHECK(has(told, "t.toml:4: template.object: warning: 'v' takes no INSERT, and every insert "
                        "is refused: "));
        CHECK(has(told, "'v' takes no UPDATE"));
        CHECK(has(told, "'v' takes no DELETE"));
        CHECK(with_view(view, core::op_class::read) == "");
    }
    at.data.sql("CREATE TABLE old (id BIGINT PRIMARY KEY, name VARCHAR(40)) ENGINE = MyISAM");
    CHECK(has(with_view("SELECT id, name FROM old"), "template.object: error: what is written to "
                                                     "'v' cannot be undone"));
    CHECK(with_view("SELECT id, name FROM old", core::op_class::read) == "");
    // Whether a column is ever NULL is what the server says, behind outer joins and beside a 0,
    // too.
    at.data.sql(
        "CREATE TABLE counted (id BIGINT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL DEFAULT "
        "0, name VARCHAR(40))");
    const auto of_n = [&](const char* view, const char* id = "") {
        at.data.sql(std::string{"CREATE OR REPLACE VIEW v AS "} + view);
        auto toml = std::string{head} + "n = { type = \"int32\", nullable = false }\n";
        toml.replace(toml.find("things"), 6, "v");
        if (*id != '\0') {
            toml.replace(toml.find("required = true"), 15, id);
        }
        return at.found_in(toml);
    };
    CHECK(of_n("SELECT id, n FROM counted") == "");
    CHECK(of_n("SELECT id, n FROM counted", "generated = \"database\"") == "");
    CHECK(has(of_n("SELECT things.id, counted.n FROM things LEFT JOIN counted USING (id)"),
              "fields.n.nullable: warning: column 'n' may be NULL"));
    // One column of two is computed.
    CHECK(has(with_view("SELECT id, UPPER(name) AS name FROM things"), "'v' takes no INSERT"));

    with_view("SELECT id, name FROM old");
    at.data.sql("DROP TABLE old");
    auto toml = std::string{head};
    toml.replace(toml.find("things"), 6, "v");
    const auto broken = at.found_in(toml);
    INFO(broken);
    CHECK(has(broken, "t.toml:4: template.object: error: 'v' cannot be read: "));
    CHECK(lines_in(broken) == 1);
}

TEST_CASE("rights that the account lacks are told, one line each") {
    world at;
    at.data.sql("CREATE PROCEDURE sp() MODIFIES SQL DATA UPDATE things SET n = 1 WHERE id = 0");
    const auto name = unique_name("c");
    const auto root = [&](const std::string& text) { at.control.mariadb_root(text); };
    const auto account = "'" + name + "'@'%'";
    const auto things = at.data.name() + ".things";
    root("CREATE USER " + account + " IDENTIFIED BY 'C0mpare'");
    auto settings = at.data.settings();
    settings.user = name;
    settings.pass = core::secret{"C0mpare"};
    const auto now = [&](core::op_class highest = core::op_class::bulk) {
        at.connect(settings); // rights on databases are taken when a session begins
        return at.found("name = { type = \"string\", max = 40 }\n[calls.c]\nprocedure = "
                        "\"sp\"\nclass = \"write\"\n",
                        highest);
    };
    root("GRANT SELECT, INSERT, UPDATE, DELETE ON " + things + " TO " + account +
         "; GRANT EXECUTE ON PROCEDURE " + at.data.name() + ".sp TO " + account +
         "; GRANT SELECT ON mysql.proc TO " + account);
    CHECK(now() == "");
    for (const std::string right : {"INSERT", "UPDATE", "DELETE"}) {
        root("REVOKE " + right + " ON " + things + " FROM " + account);
        const auto told = now();
        INFO(told);
        CHECK(has(told, "t.toml:4: template.object: warning: this account may not " + right +
                            " 'things'"));
        CHECK(has(told, "GRANT " + right + " ON things"));
        CHECK(lines_in(told) == 1);
        CHECK(now(core::op_class::read) == "");
        root("GRANT " + right + " ON " + things + " TO " + account);
    }
    root("REVOKE SELECT ON " + things + " FROM " + account);
    CHECK(has(now(), "error: this account may not SELECT from 'things'"));
    root("GRANT SELECT (id) ON " + things + " TO " + account);
    CHECK(has(now(), "error: this account may not SELECT from 'things'"));
    root("GRANT SELECT ON " + things + " TO " + account);
    // It sees the procedure in mysql.proc.
    root("REVOKE EXECUTE ON PROCEDURE " + at.data.name() + ".sp FROM " + account);
    CHECK(has(now(), "t.toml:10: calls.c.procedure: error: this account may not EXECUTE procedure "
                     "'sp'"));
    root("GRANT EXECUTE ON " + at.data.name() + ".* TO " + account);
    CHECK(now() == "");
    root("REVOKE SELECT ON mysql.proc FROM " + account);
    CHECK(has(now(), "calls.c.procedure: warning: procedure 'sp' commits by itself, or its text "
                     "cannot be read"));
    root("DROP USER " + account);
    at.session.reset();
}

TEST_CASE("columns of JSON are seen with a right on the one table, too") {
    world at;
    at.data.sql(R"(CREATE TABLE papers (
        id BIGINT PRIMARY KEY, a JSON, Big JSON COMMENT 'it''s \\', `odd ``)name` JSON,
        both_of LONGTEXT CHECK (json_valid(both_of) AND LENGTH(both_of) > 1),
        either LONGTEXT CHECK (json_valid(either) OR either = ''),
        by_name LONGTEXT, plain LONGTEXT COMMENT ' CHECK (json_valid(`plain`))',
        kind ENUM('a\\', ' CHECK (json_valid(`plain`))') DEFAULT 'a\\',
        said LONGTEXT CHECK (said <> ' CHECK (json_valid(`said`)) \\'),
        CONSTRAINT `odd ``' one` CHECK (json_valid(by_name))))");
    const auto name = unique_name("c");
    const auto account = "'" + name + "'@'%'";
    const auto papers = at.data.name() + ".papers TO ";
    at.control.mariadb_root("CREATE USER " + account +
                            " IDENTIFIED BY 'C0mpare'; GRANT SELECT ON " + papers + account);
    const auto found = [&] {
        std::string made;
        const auto there = at.adapter->survey(*at.session, "papers", core::deadline::after(30s));
        for (const auto& each : there.found.fields) {
            made += each.type.kind == core::type_kind::json ? each.column + ' ' : std::string{};
        }
        for (const auto& each : there.beside.head) {
            CHECK_FALSE(has(each, "no type of a template"));
        }
        return made;
    };
    constexpr auto wanted = "a Big both_of by_name ";
    CHECK(found() == wanted);
    auto settings = at.data.settings();
    settings.user = name;
    settings.pass = core::secret{"C0mpare"};
    at.connect(settings);
    CHECK(found() == wanted);
    // With a right on columns only nobody tells.
    at.control.mariadb_root("REVOKE SELECT ON " + at.data.name() + ".papers FROM " + account +
                            "; GRANT SELECT (id, a) ON " + papers + account);
    at.connect(settings);
    CHECK(found() == "");
    at.control.mariadb_root("DROP USER " + account);
    at.session.reset();
}

TEST_CASE("lines of SHOW GRANTS are read as the server means them") {
    using adapters::mariadb::may_execute;
    const auto may = [](std::string line, std::string_view type = "PROCEDURE") {
        const std::vector<std::string> grants{"GRANT USAGE ON *.* TO `u`@`%`", std::move(line)};
        return may_execute(grants, "my_shop", "close", type);
    };
    CHECK(may("GRANT EXECUTE ON FUNCTION `my_shop`.`close` TO `u`@`%`", "FUNCTION"));
    CHECK_FALSE(may("GRANT EXECUTE ON FUNCTION `my_shop`.`close` TO `u`@`%`"));
    CHECK_FALSE(may("GRANT EXECUTE ON PROCEDURE `my_shop`.`close` TO `u`@`%`", "FUNCTION"));
    CHECK(may("GRANT EXECUTE ON PROCEDURE `my_shop`.`close` TO `u`@`%`"));
    CHECK(may("GRANT EXECUTE ON PROCEDURE `my_shop`.`Close` TO `u`@`%`"));
    CHECK(may("GRANT SELECT, EXECUTE, INSERT ON `my_shop`.* TO `u`@`%`"));
    CHECK(may("GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION"));
    CHECK(may("GRANT EXECUTE ON `my\\_%`.* TO `u`@`%`"));
    CHECK(may("GRANT EXECUTE ON `my_sho_`.* TO `u`@`%`"));
    CHECK_FALSE(may("GRANT EXECUTE ON `my\\_sho\\_`.* TO `u`@`%`"));
    CHECK_FALSE(may("GRANT EXECUTE ON PROCEDURE `other`.`close` TO `u`@`%`"));
    CHECK_FALSE(may("GRANT EXECUTE ON PROCEDURE `my_shop`.`closed` TO `u`@`%`"));
    CHECK_FALSE(may("GRANT EXECUTE ON FUNCTION `my_shop`.`close` TO `u`@`%`"));
    CHECK_FALSE(may("GRANT SELECT ON `my_shop`.* TO `u`@`%`"));
    CHECK_FALSE(may("GRANT ALTER ROUTINE ON PROCEDURE `my_shop`.`close` TO `u`@`%`"));
    CHECK_FALSE(may("GRANT `EXECUTE` TO `u`@`%`"));
    CHECK_FALSE(may(""));
}

TEST_CASE("an inbox that is missing, is misshapen or may not be used is told") {
    world at;
    CHECK(at.own() == "");
    const auto changed = [&](const char* how) {
        at.data.sql("DROP TABLE IF EXISTS beds_inbox");
        std::ifstream file{BEDS_INBOX_SQL};
        at.data.sql(std::string{std::istreambuf_iterator<char>{file}, {}});
        at.data.sql(how);
        return at.own();
    };
    CHECK(has(changed("DROP TABLE beds_inbox"), "error: there is no table 'beds_inbox'"));
    CHECK(at.own(core::op_class::read) == "");
    CHECK(has(changed("ALTER TABLE beds_inbox DROP COLUMN content"),
              "error: table 'beds_inbox' is none of BEDS: Unknown column 'content'"));
    CHECK(has(changed("ALTER TABLE beds_inbox MODIFY reply VARBINARY(1000)"),
              "its column reply is not MEDIUMBLOB"));
    CHECK(has(changed("ALTER TABLE beds_inbox MODIFY id VARBINARY(36)"), "its column id is not"));
    CHECK(
        has(changed("ALTER TABLE beds_inbox DROP PRIMARY KEY"), "no primary key (principal, id)"));
    CHECK(has(changed("ALTER TABLE beds_inbox ENGINE = Aria"), "cannot undo what it wrote"));
    CHECK(has(changed("ALTER TABLE beds_inbox MODIFY principal VARBINARY(255)"),
              "its column principal is not VARBINARY(1020)"));
    CHECK(has(changed("ALTER TABLE beds_inbox MODIFY principal VARCHAR(30)"), "column principal"));
    CHECK(changed("ALTER TABLE beds_inbox MODIFY principal VARCHAR(255) COLLATE utf8mb4_bin") ==
          "");
    CHECK(changed("ALTER TABLE beds_inbox MODIFY reply LONGBLOB NOT NULL") == "");
}
