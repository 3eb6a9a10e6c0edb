#include "shop.hpp"
#include "support/catch.hpp"

using namespace daemon_test;

// `bedsctl explain` on MariaDB; what MongoDB answers stands in integration_mongodb_trouble.

namespace {

constexpr const char* things_template = R"(
[template]
name   = "things"
store  = "rel"
object = "ms_things"
key    = ["id"]
[fields]
id   = { type = "int64", required = true, column = "the_id" }
name = { type = "string", max = 20 }
n    = { type = "int32" }
note = { type = "string", max = 40 }
[[index]]
fields = ["name"]
[[index]]
fields = ["n"]
[calls.empty]
procedure = "ms_empty"
class = "write"
args = [["from", "int64"]]
)";

struct explained : shop {
    explained() {
        sql("CREATE TABLE ms_things (the_id BIGINT PRIMARY KEY, name VARCHAR(20) COLLATE "
            "utf8mb4_bin, "
            "n INT, note VARCHAR(40), KEY by_name (name));\n"
            "INSERT INTO ms_things SELECT seq, CONCAT('n', seq % 50), seq % 7, 'x' FROM "
            "seq_1_to_2000;"
            "\nCREATE PROCEDURE ms_empty(IN p_from BIGINT) MODIFIES SQL DATA "
            "DELETE FROM ms_things WHERE the_id > p_from;\nANALYZE TABLE ms_things");
        files.write("templates/things.toml", things_template);
    }
    [[nodiscard]] answer operator()(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {"explain", "--config", config});
        return ask(std::move(arguments));
    }
    [[nodiscard]] answer table(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {"--output", "table"});
        return (*this)(std::move(arguments));
    }
    [[nodiscard]] std::string answered(const std::string& query) const {
        return control.mariadb_root("USE " + database + ";\n" + query);
    }
};

} // namespace

TEST_CASE("explain shows the statement without values, the plan and the index") {
    explained here;
    const auto by_name = here.table({"things", "find", "name=canary", "--fields", "n"});
    INFO(by_name.out << by_name.err);
    CHECK(by_name.code == 0);
    CHECK(contains(by_name.out,
                   "/* beds things.find */ SELECT `n`, `the_id` FROM `ms_things` WHERE "
                   "`name` = ? ORDER BY `the_id` LIMIT ?"));
    CHECK(contains(by_name.out, "by_name"));
    CHECK(contains(by_name.out, "ref"));
    CHECK_FALSE(contains(by_name.out, "warning"));
    CHECK_FALSE(contains(by_name.out, "canary"));

    const auto sorted = here.table({"things", "find", "--sort=-n", "--fields", "id"});
    INFO(sorted.out << sorted.err);
    CHECK(sorted.code == 0);
    CHECK(contains(sorted.out, "warning: the rows are sorted"));
    CHECK(contains(sorted.out, "warning: every row of 'ms_things' is read"));
    const auto picked = here.table({"things", "count", "n=3"});
    CHECK(contains(picked.out, "warning: every row of 'ms_things' is read"));
    const auto key = here.table({"things", "fetch", "key=7"});
    CHECK(contains(key.out, "PRIMARY"));
    CHECK_FALSE(contains(key.out, "warning"));

    // For programs: one line, with the server's own plan.
    const auto whole = here({"things", "find", "--where", "name=n7", "--limit", "5"});
    INFO(whole.out << whole.err);
    CHECK(whole.code == 0);
    CHECK(contains(whole.out, R"({"template":"things","op":"find","connection":"rel",)"
                              R"("engine":"mariadb","statement":"/* beds things.find */)"));
    CHECK(contains(whole.out, R"("values":2,"steps":[{"object":"ms_things","access":"ref",)"
                              R"("index":"by_name","rows":)"));
    CHECK(contains(whole.out, R"("warnings":[],"plan":{"query_block")"));
    CHECK(std::count(whole.out.begin(), whole.out.end(), '\n') == 1);
}

TEST_CASE("explain of a write does none of it") {
    explained here;
    const auto before = here.answered("CHECKSUM TABLE ms_things");
    const auto said = [&](std::vector<std::string> words, const char* statement) {
        words.insert(words.begin(), "things");
        const auto got = here.table(std::move(words));
        INFO(got.out << got.err);
        CHECK(got.code == 0);
        CHECK(contains(got.out, statement));
        return got.out;
    };
    CHECK(contains(said({"update", "key=1", "note=new", "--if", "n=1"},
                        "UPDATE `ms_things` SET `note` = ? WHERE `the_id` = ? AND `n` <=> ?"),
                   "PRIMARY"));
    CHECK(contains(said({"update", "--where", "n=3", "--set", "note=new"},
                        "UPDATE `ms_things` SET `note` = ? WHERE `n` = ?"),
                   "warning"));
    CHECK(contains(said({"delete", "key=1"}, "DELETE FROM `ms_things` WHERE `the_id` = ?"),
                   "PRIMARY"));
    said({"insert", "id=9999", "name=new"},
         "INSERT INTO `ms_things` (`the_id`, `name`) VALUES (?,?)");
    CHECK(contains(said({"empty", "from=0"}, "/* beds things.empty */ CALL `ms_empty`(?)"),
                   "no plan: the server explains no procedure"));
    CHECK(here.answered("CHECKSUM TABLE ms_things") == before);
    CHECK(here.answered("SELECT COUNT(*) FROM beds_inbox") == "0\n");
}

TEST_CASE("explain says what a node would refuse, and what cannot be asked") {
    explained here;
    const auto unindexed = here({"things", "find", "note=x"});
    CHECK(unindexed.code == 1);
    CHECK(contains(unindexed.err, "INVALID_FIELD: field 'note' is not indexed"));
    const auto unknown = here({"thing", "find"});
    CHECK(unknown.code == 2);
    CHECK(contains(unknown.err, "did you mean 'things'?"));
    CHECK(here({"things", "emtpy"}).code == 2);
    CHECK(here({"things", "find", "--after", "x"}).code == 2);
    CHECK(here({}).code == 2);
    // A view whose tables the account may not explain is told in the server's words.
    here.sql("CREATE DEFINER=root@localhost VIEW seen AS SELECT * FROM ms_things");
    here.sql("DROP TABLE ms_things");
    const auto gone = here.table({"things", "find"});
    INFO(gone.out << gone.err);
    CHECK(gone.code == 0);
    CHECK(contains(gone.out, "no plan: "));
}
