#include "adapters/mariadb/routine_scan.hpp"
#include "support/catch.hpp"

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
