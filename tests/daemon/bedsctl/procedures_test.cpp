#include "daemon/service.hpp"
#include "support/catch.hpp"

#include <memory>

using namespace beds;
using namespace daemon_test;
using namespace std::chrono_literals;

namespace {

// Its names and character sets are those that go wrong: a column that is called as a parameter, the
// text of another character set than the database's.
constexpr const char* tables = R"(
CREATE TABLE `order` (
    id      BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `key`   VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL,
    p_id    INT DEFAULT NULL,
    total   DECIMAL(18,2) NOT NULL DEFAULT 0.00,
    copies  INT UNSIGNED NOT NULL DEFAULT 3,
    big     BIGINT UNSIGNED NOT NULL DEFAULT 0,
    weight  DECIMAL(10,3) UNSIGNED NOT NULL DEFAULT 5.000,
    speed   FLOAT UNSIGNED NOT NULL DEFAULT 4.5,
    ratio   DOUBLE UNSIGNED NOT NULL DEFAULT 2.5,
    state   ENUM('new','it''s paid') CHARACTER SET utf8mb4 NOT NULL DEFAULT 'new',
    note    VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
    papers  JSON,
    photo   BLOB,
    opened  DATE NOT NULL DEFAULT (CURRENT_DATE),
    shelf   INT DEFAULT (40 + 2),
    changed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    gross   DECIMAL(18,2) AS (total * 2) PERSISTENT,
    UNIQUE KEY by_key (`key`));
CREATE TABLE places (
    land CHAR(2) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    town VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    people INT DEFAULT 0,
    PRIMARY KEY (land, town));
CREATE TABLE loose (name TEXT);
CREATE TABLE clash (id INT PRIMARY KEY, `set` INT);
CREATE VIEW seen AS SELECT id FROM `order`;
)";

/// An account that may do what `schema --grants` says and nothing else, and a node with it.
class guarded : public installation {
public:
    guarded() : installation({.sql = tables, .character_set = "latin1"}) {
        control.mariadb_root("CREATE USER '" + user + "'@'%' IDENTIFIED BY 'pw'");
    }
    ~guarded() {
        try {
            control.mariadb_root("DROP USER '" + user + "'@'%'");
        } catch (const std::exception&) {
            // The server is gone: nothing to clean.
        }
    }
    guarded(const guarded&) = delete;
    guarded& operator=(const guarded&) = delete;

    [[nodiscard]] answer scaffold(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {"scaffold", "--config", config});
        return ask(std::move(arguments));
    }
    [[nodiscard]] std::string path(const char* name) const { return files.path(name).string(); }

    /// From now on the configuration is that of the least account, and denies tables.
    void take_least_account() {
        auto text = files.read("beds.toml");
        const auto from = "user = " + in_quotes(mariadb.user);
        const auto at = text.find(from, text.find("[rel_services.rel]"));
        REQUIRE(at != std::string::npos);
        text.replace(at, from.size(), "user = " + in_quotes(user));
        files.write("beds.toml", text + "[templates]\ndirectory = \"templates\"\n"
                                        "direct = \"deny\"\n");
        files.write("pass", "pw");
    }
    void start() {
        bedsd_ = std::make_unique<process>(
            files, std::vector<std::string>{BEDSD_PROGRAM, "--config", config},
            std::vector<std::string>{password()});
        const auto until = std::chrono::steady_clock::now() + soon;
        while (ask({"call", "order", "count"}).code != 0 ||
               ask({"call", "order", "delete", "key:=999"}).code != 1) {
            INFO(files.read("err"));
            REQUIRE(bedsd_->wait(50ms) == -1);
            REQUIRE(std::chrono::steady_clock::now() < until);
        }
    }
    [[nodiscard]] answer call(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), "call");
        return ask(std::move(arguments));
    }
    /// One request of the protocol, and its answer.
    [[nodiscard]] std::string send(const std::string& request) const {
        files.write("requests", request + '\n');
        return ask({"call", "--json", path("requests")}).out;
    }

    std::string user = beds::test::unique_name("beds_u");

private:
    std::unique_ptr<process> bedsd_;
};

} // namespace

TEST_CASE("what scaffold --procedures writes is served without a right on any table") {
    guarded here;
    const auto made = here.scaffold({"order", "places", "--directory", here.path("templates"),
                                     "--procedures", here.path("tables.sql")});
    INFO(made.out << made.err);
    REQUIRE(made.code == 0);
    const auto sql = here.files.read("tables.sql");
    INFO(sql << here.files.read("templates/order.toml"));
    for (const auto* part :
         {"CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW "
          "`order_view` AS",
          "SET SESSION sql_mode = 'STRICT_TRANS_TABLES", "IN `p_set` text CHARACTER SET utf8mb4"}) {
        CHECK(contains(sql, part));
    }
    here.sql(sql);
    here.sql("SET NAMES utf8mb4;\n" + sql); // run again it changes nothing
    here.take_least_account();

    const auto grants = here.ask({"schema", "--grants", "--config", here.config});
    INFO(grants.out << grants.err);
    REQUIRE(grants.code == 0);
    CHECK(contains(grants.out, "GRANT SELECT ON `" + here.database + "`.`order_view` TO "));
    CHECK(contains(grants.out,
                   "GRANT EXECUTE ON PROCEDURE `" + here.database + "`.`places_delete` TO "));
    CHECK_FALSE(contains(grants.out, "`order` TO"));
    CHECK_FALSE(contains(grants.out, "`places` TO"));
    here.sql(here.ask({"schema"}).out);
    here.sql(grants.out);

    const auto check = here.ask({"check", "--config", here.config});
    INFO(check.out << check.err);
    CHECK(check.code == 0);
    // The view's columns that are never NULL are not said to be; `shelf` may be.
    CHECK(contains(check.out, "2 templates compared, 0 errors, 1 warning\n"));
    CHECK(contains(check.out, "fields.shelf.nullable: warning: "));
    CHECK(contains(check.out, "places: as the database has it\n"));
    // What a view does not show is left as the template has it.
    const auto picture = here.ask({"check", "order", "--diff", "--config", here.config}).out;
    INFO(picture);
    CHECK(contains(picture, "\n  key = [\"id\"]\n"));
    CHECK(contains(picture, "\n  [[index]]\n"));
    CHECK(contains(picture, "\n- shelf "));
    CHECK(contains(picture, "\n+ shelf "));
    const auto changed_lines = [&](char mark) {
        std::size_t lines = 0;
        for (auto at = picture.find('\n'); at != std::string::npos;
             at = picture.find('\n', at + 1)) {
            lines += picture.compare(at + 1, 2, {mark, ' '}) == 0 ? 1U : 0U;
        }
        return lines;
    };
    CHECK(changed_lines('-') == 1);
    CHECK(changed_lines('+') == 1);

    here.start();
    const auto says = [](const answer& got, const char* part) {
        INFO(part << " in " << got.out << got.err);
        CHECK(contains(got.out + got.err, part));
    };
    // What the client leaves out: the template's defaults, the database's, NULL.
    const auto first = here.call({"order", "insert", "key=a/1", "total=10.50"});
    INFO(first.out << first.err);
    REQUIRE(first.code == 0);
    CHECK(contains(first.out, R"("keys":[1])"));
    CHECK_FALSE(contains(first.out, "at_least_once"));
    const auto fetched = here.call({"order", "fetch", "key:=1"});
    for (const auto* part :
         {R"("id":1)", R"("key":"a/1")", R"("total":"10.50")", R"("copies":3)", R"("state":"new")",
          R"("note":null)", R"("p_id":null)", R"("papers":null)", R"("photo":null)",
          R"("shelf":42)", R"("gross":"21.00")", R"("opened":"2)"}) {
        says(fetched, part);
    }
    // All of it, with characters that the database's own character set does not hold.
    const auto all = here.send(
        R"({"v":1,"template":"order","op":"insert","data":{"key":"ж/2","p_id":7,"total":"1.00",)"
        R"("copies":5,"big":"18446744073709551615","state":"it's paid","note":"日本 ","papers":)"
        R"({"a":[1,"ж"]},"photo":"AP8nXA==","opened":"2001-02-03","shelf":1}})");
    INFO(all);
    CHECK(contains(all, R"("status":"ok")"));
    const auto found = here.call({"order", "find", "key=Ж/2"}); // by the column's collation
    for (const auto* part :
         {R"("key":"ж/2")", R"("p_id":7)", R"("big":18446744073709551615)",
          R"("state":"it's paid")", R"("note":"日本 ")", R"({"a":[1,"ж"]})", R"("AP8nXA==")",
          R"("opened":"2001-02-03")", R"("shelf":1)", R"("gross":"2.00")"}) {
        says(found, part);
    }
    says(here.call({"order", "insert", "key=A/1"}), "DUPLICATE_KEY");
    CHECK(contains(
        here.send(R"({"v":1,"template":"order","op":"insert","data":{"key":"x","shelf":null}})"),
        "INVALID_FIELD"));
    // Several in one message, which go to the server together: each its own key, one refused.
    const auto several =
        here.send(R"({"v":1,"mode":"each","ops":[)"
                  R"({"template":"order","op":"insert","data":{"key":"s1"}},)"
                  R"({"template":"order","op":"insert","data":{"key":"s1"}},)"
                  R"({"template":"order","op":"insert","data":{"key":"s2","note":"n"}}]})");
    INFO(several);
    CHECK(contains(several, "DUPLICATE_KEY"));
    says(here.call({"order", "find", "key=s2"}), R"("note":"n")");

    // set, inc, if.
    const auto update = [&](const std::string& changes) {
        return here.send(R"({"v":1,"template":"order","op":"update",)" + changes + "}");
    };
    const auto one_row = [](const std::string& got) {
        INFO(got);
        CHECK(contains(got, R"("status":"ok")"));
        CHECK(contains(got, R"("effect":"applied")"));
        CHECK(contains(got, R"("count":1)"));
        CHECK_FALSE(contains(got, "at_least_once"));
    };
    one_row(update(R"("key":1,"set":{"note":"n","p_id":5,"photo":"AA=="})"));
    one_row(update(R"("key":1,"set":{"note":"n"})")); // as it is: matched all the same
    one_row(update(R"("key":1,"set":{"p_id":null},"inc":{"total":"0.25","copies":-1,"big":4})"));
    one_row(update(R"("key":1,"inc":{"copies":1},"if":{"total":"10.75","state":"new"})"));
    // What is taken away is below zero, also where the column is not.
    one_row(update(R"("key":1,"inc":{"weight":"-1.500","speed":-1.5,"ratio":-1.25})"));
    CHECK(contains(update(R"("key":1,"inc":{"weight":"-9.000"})"), "CONSTRAINT"));
    CHECK(contains(update(R"("key":1,"inc":{"copies":9},"if":{"total":"10.50"})"), "CONFLICT"));
    CHECK(contains(update(R"("key":77,"set":{"note":"n"},"if":{"total":"0.00"})"), "NOT_FOUND"));
    CHECK(contains(update(R"("key":77,"set":{"note":"n"})"), "NOT_FOUND"));
    CHECK(contains(update(R"("key":1,"set":{"key":"Ж/2"})"), "DUPLICATE_KEY"));
    CHECK(contains(update(R"("key":1,"inc":{"copies":-9})"), "CONSTRAINT"));
    // NULL in p_if_note would mean that nothing is expected: so there is none.
    CHECK(contains(update(R"("key":1,"set":{"p_id":1},"if":{"note":"n"})"), "UNSUPPORTED"));
    CHECK(contains(update(R"("key":1,"set":{"p_id":1},"if":{"note":null})"), "UNSUPPORTED"));
    CHECK(contains(update(R"("key":1,"set":{"gross":"1.00"})"), "INVALID_FIELD"));
    const auto changed = here.call({"order", "fetch", "key:=1"});
    for (const auto* part :
         {R"("key":"a/1")", R"("note":"n")", R"("p_id":null)", R"("photo":"AA==")",
          R"("total":"10.75")", R"("copies":3)", R"("big":4)", R"("gross":"21.50")",
          R"("weight":"3.500")", R"("speed":3,)", R"("ratio":1.25)"}) {
        says(changed, part);
    }

    // A compound key; the one that is answered is as the column keeps it.
    const auto place = here.call({"places", "insert", "land=M ", "town=Oaxaca"});
    INFO(place.out << place.err);
    REQUIRE(place.code == 0);
    CHECK(contains(place.out, R"("land":"M","town":"Oaxaca")"));
    const std::string oaxaca = R"(key:={"land":"M","town":"Oaxaca"})";
    says(here.call({"places", "fetch", oaxaca}), R"("people":0)");
    says(here.call({"places", "insert", "land=M", "town=Oaxaca"}), "DUPLICATE_KEY");
    says(here.call({"places", "delete", R"(key:={"land":"M","town":"Puebla"})"}), "NOT_FOUND");
    const auto gone = here.call({"places", "delete", oaxaca});
    says(gone, R"("count":1)");
    CHECK_FALSE(contains(gone.out, "at_least_once"));
    says(here.call({"places", "fetch", oaxaca}), R"("rows":[])");
    says(here.call({"places", "count"}), R"("total":0)");
}

TEST_CASE("scaffold --procedures refuses what it cannot make, with the reason") {
    const guarded here;
    const struct {
        const char* table;
        const char* said;
    } refused[] = {
        {"loose", "it has no primary key"},
        {"seen", "it is a view"},
        {"clash", "two parameters would be p_set"},
    };
    for (const auto& each : refused) {
        const auto got = here.scaffold({each.table, "--procedures", here.path("none.sql")});
        INFO(each.table << got.out << got.err);
        CHECK(got.code == 1);
        CHECK(contains(got.err, "no procedures are made: "));
        CHECK(contains(got.err, each.said));
        CHECK(got.out.empty());
        CHECK_FALSE(std::filesystem::exists(here.files.path("none.sql")));
    }
    // The others go on; nothing that is there is overwritten unless that is asked for.
    const auto file = here.path("tables.sql");
    const auto some = here.scaffold({"loose", "places", "--procedures", file});
    INFO(some.out << some.err);
    CHECK(some.code == 1);
    CHECK(contains(some.out, "insert = \"places_insert\"\n"));
    CHECK(contains(here.files.read("tables.sql"), "PROCEDURE `places_insert`"));
    here.files.write("tables.sql", "the DBA's");
    const auto again = here.scaffold({"places", "--procedures", file});
    CHECK(again.code == 1);
    CHECK(contains(again.err, "--overwrite"));
    CHECK(here.files.read("tables.sql") == "the DBA's");
    here.sql("CREATE PROCEDURE places_update() SELECT 1");
    const auto over = here.scaffold({"places", "--procedures", file, "--overwrite"});
    INFO(over.err);
    CHECK(over.code == 0);
    CHECK(contains(over.err, "procedure places_update is there already; the file replaces it"));
    CHECK(contains(here.files.read("tables.sql"), "PROCEDURE `places_insert`"));
    CHECK(here.scaffold({"places", "--overwrite"}).code == 2);
}
