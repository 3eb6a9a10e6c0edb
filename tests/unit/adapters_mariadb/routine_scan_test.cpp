#include "adapters/mariadb/routine_scan.hpp"
#include "support/catch.hpp"

#include <algorithm>

using beds::adapters::mariadb::scan_routine;

TEST_CASE("routines that may commit", "[mariadb]") {
    const char* const commit[] = {
        "BEGIN UPDATE t SET a = 1; COMMIT; END",
        "commit",
        "BEGIN COMMIT WORK; END",
        "BEGIN ROLLBACK; END",
        "BEGIN ROLLBACK WORK; END",
        "BEGIN START TRANSACTION; UPDATE t SET a = 1; END",
        "BEGIN start /* x */ transaction read only; END",
        "BEGIN BEGIN WORK; END",
        "CREATE TABLE x (a INT)",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
        "ALTER TABLE t ADD b INT",
        "BEGIN DROP TABLE t; END",
        "TRUNCATE TABLE t",
        "TRUNCATE t",
        "RENAME TABLE a TO b",
        "GRANT SELECT ON t TO u",
        "LOCK TABLES t WRITE",
        "UNLOCK TABLES",
        "SET autocommit = 1",
        "SET @@session.autocommit = 1",
        "PREPARE s FROM 'UPDATE t SET a = 1'",
        "EXECUTE IMMEDIATE CONCAT('UPD', 'ATE t SET a = 1')",
        "ANALYZE TABLE t",
        "CHECK TABLES t",
        "REPAIR VIEW v",
        "SET PASSWORD = PASSWORD('x')",
        "STOP SLAVE",
        "START REPLICA",
        "RESET MASTER",
        "CACHE INDEX t IN k",
        "LOAD INDEX INTO CACHE t",
        "BEGIN /*!50000 COMMIT */; END",
        "BEGIN /*M!100100 COMMIT */; END",
        "BEGIN SELECT 'it''s'; COMMIT; END",
        "BEGIN SELECT 'a\\'b'; COMMIT; END",
        "BEGIN SELECT 1; # no; COMMIT\n COMMIT; END",
        "BEGIN SELECT 5--1; COMMIT; END",
        "XA END 'x'",
    };
    for (const char* const text : commit) {
        CAPTURE(text);
        CHECK(scan_routine(text).may_commit);
        CHECK_FALSE(scan_routine(text).why.empty());
    }
}

TEST_CASE("routines that do not", "[mariadb]") {
    const char* const harmless[] = {
        "BEGIN UPDATE t SET a = 1; END",
        "BEGIN -- COMMIT\n UPDATE t SET a = 1; END",
        "BEGIN # COMMIT\n UPDATE t SET a = 1; END",
        "BEGIN /* COMMIT; */ UPDATE t SET a = 'COMMIT'; END",
        "BEGIN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = \"ROLLBACK\"; END",
        "BEGIN SAVEPOINT a; ROLLBACK TO SAVEPOINT a; ROLLBACK TO a; ROLLBACK WORK TO a; END",
        "BEGIN SELECT TRUNCATE(a, 2) FROM t; END",
        "BEGIN SELECT TRUNCATE (a, 2), `commit`, t.commit FROM t; END",
        "BEGIN CREATE TEMPORARY TABLE x (a INT); DROP TEMPORARY TABLE x; END",
        "BEGIN SELECT a FROM t LOCK IN SHARE MODE; SELECT a FROM t FOR UPDATE; END",
        "BEGIN SELECT committed, start, begin_date FROM t; END",
        "BEGIN SELECT start, stop, reset, cache, change FROM t; SET @password = 1; END",
        "",
    };
    for (const char* const text : harmless) {
        CAPTURE(text);
        CHECK_FALSE(scan_routine(text).may_commit);
    }
}

TEST_CASE("calls of other procedures", "[mariadb]") {
    const auto found = scan_routine(
        "BEGIN CALL Sp_One(1); call `Odd Name`(); CALL other.`x`; /* CALL no() */ END");
    CHECK_FALSE(found.may_commit);
    REQUIRE(found.calls.size() == 3);
    CHECK(found.calls[0] == "sp_one");
    CHECK(found.calls[1] == "Odd Name");
    CHECK(found.calls[2] == "other.x");
}

TEST_CASE("the tables of a view", "[mariadb]") {
    using names = std::vector<std::pair<std::string, std::string>>;
    using beds::adapters::mariadb::tables_of_view;
    CHECK(tables_of_view("select `shop`.`a`.`id` AS `id`,`x`.`n` AS `n` from (`shop`.`a` left join "
                         "`other`.`b``c` `x` on(`shop`.`a`.`id` = `x`.`id`)) where `x`.`n` > 1") ==
          names{{"shop", "a"}, {"other", "b`c"}});
    CHECK(tables_of_view("select `a`.`id` AS `id` from `shop`.`a` where `a`.`t` <> ' from `q`.`r`'"
                         " union select 1 from ((`s`.`t` straight_join `s`.`u`))") ==
          names{{"shop", "a"}, {"s", "t"}, {"s", "u"}});
    CHECK(tables_of_view("").empty());
}

TEST_CASE("procedures with handlers are known", "[mariadb]") {
    CHECK(scan_routine("BEGIN DECLARE EXIT HANDLER FOR 1205 SET @a = 1; DO 0; END").handles);
    CHECK_FALSE(
        scan_routine("BEGIN /* no HANDLER */ SELECT 'HANDLER' FROM t.handler; END").handles);
}

namespace {

/// `UPDATE a; UPDATE b | c; INTO`: what each statement writes to, one of several tables.
std::string written_by(const char* text) {
    std::string made;
    for (const auto& each : scan_routine(text).writes) {
        made += (made.empty() ? "" : "; ") + each.statement;
        std::string_view glue = " ";
        for (const auto& table : each.tables) {
            made += std::string{glue} + table;
            glue = " | ";
        }
    }
    return made;
}

} // namespace

TEST_CASE("what a routine writes to", "[mariadb]") {
    const std::pair<const char*, const char*> cases[] = {
        {"BEGIN INSERT INTO T (a) VALUES (1); END", "INSERT t"},
        {"INSERT t SET a = 1", "INSERT t"},
        {"INSERT LOW_PRIORITY IGNORE INTO shop.`T` SELECT 1", "INSERT shop.T"},
        {"INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)", "INSERT t"},
        {"REPLACE INTO t VALUES (1)", "REPLACE t"},
        {"IF x THEN UPDATE t SET a = 1; END IF", "UPDATE t"},
        {"UPDATE LOW_PRIORITY IGNORE t AS x SET a = 1", "UPDATE t"},
        {"UPDATE tmp x JOIN accounts a ON a.id = x.id SET x.n = a.n, x.m = (SELECT 1, 2)",
         "UPDATE tmp; UPDATE tmp"},
        {"UPDATE tmp x JOIN s.accounts ON accounts.id = x.id SET accounts.n = x.n WHERE x.a = 1",
         "UPDATE s.accounts"},
        {"UPDATE a, (SELECT id FROM c) d, b SET n = 1", "UPDATE a | b"},
        {"UPDATE (a JOIN b USING (id)) SET n = 1", "UPDATE a | b"},
        {"DELETE FROM t WHERE a = 1", "DELETE t"},
        {"DELETE QUICK FROM t", "DELETE t"},
        {"DELETE x, y.* FROM tmp x JOIN accounts y WHERE x.id = y.id",
         "DELETE tmp; DELETE accounts"},
        {"DELETE FROM x USING tmp x JOIN accounts y WHERE x.id = y.id", "DELETE tmp"},
        {"TRUNCATE t", "TRUNCATE t"},
        {"BEGIN SELECT 1; TRUNCATE TABLE t; END", "TRUNCATE t"},
        {"LOAD DATA INFILE 'x' INTO TABLE t", "LOAD"},
        {"SELECT a FROM t INTO OUTFILE '/tmp/x'", "OUTFILE"},
        {"SELECT a INTO DUMPFILE '/tmp/x' FROM t", "DUMPFILE"},
        {"CREATE TABLE t (a INT)", "CREATE"},
        {"CREATE UNIQUE INDEX i ON t (a)", "CREATE t"},
        {"DROP TABLE IF EXISTS t, u", "DROP t; DROP u"},
        {"ALTER TABLE t ADD INDEX (a)", "ALTER t"},
        {"RENAME TABLE a TO b", "RENAME"},
        {"SELECT NEXT VALUE FOR s", "NEXT"},
        {"SELECT NEXTVAL(s)", "NEXTVAL"},
        {"BEGIN /*!50000 DELETE FROM t */; END", "DELETE t"},
    };
    for (const auto& [text, expected] : cases) {
        CAPTURE(text);
        CHECK(written_by(text) == expected);
    }
}

TEST_CASE("what a routine only reads", "[mariadb]") {
    const char* const reads[] = {
        "SELECT a FROM t FOR UPDATE",
        "SELECT INSERT('abc', 1, 1, 'x'), REPLACE (a, 'b', 'c'), TRUNCATE(a, 2) FROM t",
        "BEGIN -- DELETE FROM t\n SELECT 'UPDATE t SET a = 1', t.`delete`, t.update INTO x FROM t; "
        "END",
        "CREATE TEMPORARY TABLE x (a TIMESTAMP DEFAULT NOW() ON UPDATE NOW())",
        "CREATE OR REPLACE TEMPORARY TABLE x (a INT)",
        "DROP TEMPORARY TABLE IF EXISTS x",
        "DECLARE c CURSOR FOR SELECT a FROM t; FETCH NEXT FROM c INTO x",
        "",
    };
    for (const char* const text : reads) {
        CAPTURE(text);
        CHECK(written_by(text).empty());
        CHECK_FALSE(scan_routine(text).made_at_run_time);
    }
    CHECK(scan_routine("EXECUTE IMMEDIATE 'SELECT 1'").made_at_run_time);
    CHECK(scan_routine("PREPARE s FROM @text").made_at_run_time);
}

TEST_CASE("temporary tables and functions of a routine", "[mariadb]") {
    const auto found =
        scan_routine("BEGIN CREATE TEMPORARY TABLE IF NOT EXISTS Lines (a INT); CREATE OR REPLACE "
                     "TEMPORARY TABLE shop.`Sums` SELECT count(*), other.rate(1) FROM t; END");
    CHECK(found.temporary == std::vector<std::string>{"lines", "shop.Sums"});
    CHECK(std::count(found.functions.begin(), found.functions.end(), "other.rate") == 1);
    CHECK(std::count(found.functions.begin(), found.functions.end(), "count") == 1);
}
