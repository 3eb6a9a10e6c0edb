#include "integration/mariadb/batches.hpp"

using namespace beds;
using namespace beds::test;
using adapters::commit_result;
using adapters::step_result;
using testing::operations;

TEST_CASE("a full disk is told as such, by a table and by the inbox, and nothing is done",
          "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto full = [](const char* table) {
        return "CREATE TRIGGER full_disk BEFORE " +
               std::string{table == std::string_view{"accounts"} ? "UPDATE" : "INSERT"} + " ON " +
               table +
               " FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = "
               "'The table is full'";
    };
    const auto target = accounts();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    auto session = here.session();
    SECTION("the table") {
        here.sql(full("accounts"));
        const auto went = write(*session, work, {.ids = {"a"}});
        CHECK(went[0].code == core::code::backend_storage_full);
        CHECK(went[0].effect == core::effect::none);
    }
    SECTION("the inbox") {
        here.sql(full("beds_inbox"));
        const auto went = write(*session, work, {.ids = {"a"}});
        CHECK(went.step == step_result::full);
        CHECK(here.log().has("BEDS_MARIADB_FULL"));
    }
    session->rollback();
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "100.00\n");
    here.sql("DROP TRIGGER full_disk");
    CHECK(write(*session, work, {.ids = {"b"}}).commit == commit_result::applied);
}

TEST_CASE("a missing inbox is made when that is configured, and told otherwise", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto made_by_hand = here.sql("SHOW CREATE TABLE beds_inbox");
    here.sql("DROP TABLE beds_inbox");
    const auto target = accounts();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    auto settings = here.settings();
    CHECK_FALSE(settings.create_tables); // nobody makes tables unasked
    SECTION("off") {
        auto session = here.session();
        CHECK(session->trouble().code == core::code::backend_unavailable);
        CHECK(write(*session, work, {.ids = {"a"}}).step == step_result::no_inbox);
        CHECK(here.log().has("bedsctl schema | mariadb " + here.database()));
        CHECK(here.sql("SHOW TABLES LIKE 'beds_inbox'").empty());
        CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "100.00\n");
    }
    SECTION("on") {
        settings.create_tables = true;
        here.make_adapter(settings);
        auto session = here.session();
        CHECK(here.log().has("BEDS_MARIADB_TABLE"));
        CHECK(write(*session, work, {.ids = {"a"}}).commit == commit_result::applied);
        CHECK(here.sql("SHOW CREATE TABLE beds_inbox") == made_by_hand);
        const auto again = here.session();
        CHECK(again->usable());
    }
    SECTION("on, and not allowed") {
        const auto user = unique_name("beds_u");
        const auto name = user + "@'127.0.0.1'";
        here.control().mariadb_root("CREATE USER " + name +
                                    " IDENTIFIED BY 'secret'; GRANT "
                                    "SELECT, INSERT, UPDATE ON " +
                                    here.database() + ".* TO " + name);
        settings.create_tables = true;
        settings.user = user;
        settings.pass = core::secret{"secret"};
        here.make_adapter(settings);
        std::string told;
        try {
            here.session();
        } catch (const core::error& failed) {
            told = failed.message();
            CHECK(failed.code() == core::errc::refused);
            CHECK(failed.native_code() == 1142);
        }
        CHECK(told.find("bedsctl schema | mariadb " + here.database()) != std::string::npos);
        // What the DBA made serves it.
        here.make_adapter();
        std::ifstream file{BEDS_INBOX_SQL};
        here.sql(std::string{std::istreambuf_iterator<char>{file}, {}});
        here.make_adapter(settings);
        auto session = here.session();
        CHECK(write(*session, work, {.ids = {"a"}}).commit == commit_result::applied);
        here.control().mariadb_root("DROP USER " + name);
    }
}

TEST_CASE("what could not be rolled back is not written; reads are served", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE plain (id BIGINT PRIMARY KEY, n BIGINT NOT NULL) ENGINE=InnoDB;"
             "INSERT INTO plain SELECT seq, 0 FROM seq_1_to_9");
    const std::string engine = GENERATE("MyISAM", "Aria", "MEMORY");
    here.sql("CREATE TABLE old (id BIGINT PRIMARY KEY, n BIGINT NOT NULL) ENGINE=" + engine +
             ";"
             "INSERT INTO old SELECT seq, 0 FROM seq_1_to_9;"
             "CREATE VIEW inner_old AS SELECT id, n FROM old;"
             "CREATE VIEW outer_old AS SELECT o.id AS id, o.n AS n FROM inner_old o WHERE o.id < 9;"
             "CREATE VIEW outer_plain AS SELECT id, n FROM plain WHERE id < 9");
    const std::string object = GENERATE("old", "outer_old");
    CAPTURE(engine, object);
    const auto over = [](const std::string& name) {
        return testing::template_maker(name)
            .object(name)
            .field("id", "int64")
            .field("n", "int64")
            .key({"id"})
            .build();
    };
    const auto target = over(object);
    const auto safe = over(object == "old" ? "plain" : "outer_plain");
    const templates::template_def* targets[] = {&target, &safe};
    auto session = here.session();
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    CHECK(here.log().has("BEDS_MARIADB_ENGINE template '" + object + "': " + here.database() +
                         ".old (" + engine + ')'));
    CHECK(here.log().has("ALTER TABLE " + here.database() + ".old ENGINE=InnoDB"));
    CHECK_FALSE(here.log().has("'" + safe.name + "'"));

    operations several;
    several.update(target, {1}).inc({{"n", 1}});
    several.update(target, {2}).inc({{"n", 1}});
    operations inserts;
    inserts.insert(target, {{"id", 11}, {"n", 1}});
    inserts.insert(target, {{"id", 12}, {"n", 1}});
    operations one;
    one.remove(target, {3});
    for (auto* work : {&several, &inserts, &one}) {
        const auto got = write(*session, *work);
        for (const auto& each : got.outcomes) {
            CHECK(each.code == core::code::unsupported);
            CHECK(each.effect == core::effect::none);
        }
    }
    CHECK(here.sql("SELECT COUNT(*), SUM(n) FROM old") == "9\t0\n");
    operations fetch;
    fetch.fetch(target, {1});
    CHECK(text_of(read(*session, fetch).rows.of(0)) == "1 0 \n");
    operations neighbour;
    neighbour.update(safe, {1}).inc({{"n", 1}});
    CHECK(write(*session, neighbour)[0].effect == core::effect::applied);

    here.sql("ALTER TABLE old ENGINE=InnoDB");
    CHECK(write(*session, several)[0].effect == core::effect::applied);
    CHECK(here.sql("SELECT COUNT(*), SUM(n) FROM old") == "9\t2\n");
}

TEST_CASE("an inbox that could not be rolled back: nothing is written", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql("ALTER TABLE beds_inbox ENGINE=Aria");
    const auto target = accounts();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    work.update(target, {2}).inc({{"balance", 1}});
    auto session = here.session();
    CHECK(
        here.log().has("BEDS_MARIADB_ENGINE the inbox: " + here.database() + ".beds_inbox (Aria)"));
    auto got = write(*session, work, {.ids = {"a", "b"}});
    CHECK(got.step == step_result::no_inbox);
    CHECK(session->trouble().code == core::code::backend_unavailable);
    CHECK(here.sql("SELECT SUM(balance) FROM accounts; SELECT COUNT(*) FROM beds_inbox") ==
          "1000.00\n0\n");
    operations fetch;
    fetch.fetch(target, {1});
    CHECK(read(*session, fetch).rows.of(0).rows.size() == 1);
    here.sql("ALTER TABLE beds_inbox ENGINE=InnoDB");
    got = write(*session, work, {.ids = {"a", "b"}});
    CHECK(got[0].effect == core::effect::applied);
    CHECK(here.sql("SELECT SUM(balance) FROM accounts; SELECT COUNT(*) FROM beds_inbox") ==
          "1002.00\n2\n");
}

TEST_CASE("without a usable inbox callers hear the cause, nothing is written, and reads are served",
          "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto inbox = here.sql("SHOW CREATE TABLE beds_inbox");
    const auto user = unique_name("beds_u");
    const auto name = user + "@'%'";
    const auto root = [&](const std::string& text) { here.control().mariadb_root(text); };
    root("CREATE USER " + name + " IDENTIFIED BY 'secret'; GRANT SELECT, UPDATE ON " +
         here.database() + ".accounts TO " + name + "; GRANT SELECT, INSERT, DELETE ON " +
         here.database() + ".beds_inbox TO " + name);
    auto settings = here.settings();
    settings.user = user;
    settings.pass = core::secret{"secret"};
    here.make_adapter(settings);

    struct trouble {
        const char* what;
        std::string made;
        std::string mended;
        core::code code;
        const char* detail;
    };
    const auto on = " ON " + here.database() + ".beds_inbox ";
    const trouble troubles[] = {
        {"no SELECT", "REVOKE SELECT" + on + "FROM " + name, "GRANT SELECT" + on + "TO " + name,
         core::code::backend_permission_denied, "does not allow BEDS to use beds_inbox"},
        {"no INSERT", "REVOKE INSERT" + on + "FROM " + name, "GRANT INSERT" + on + "TO " + name,
         core::code::backend_permission_denied, "does not allow BEDS to use beds_inbox"},
        {"missing", "RENAME TABLE beds_inbox TO away", "RENAME TABLE away TO beds_inbox",
         core::code::backend_unavailable, "has no table beds_inbox"},
        {"without a column", "ALTER TABLE beds_inbox CHANGE reply rep MEDIUMBLOB NOT NULL",
         "ALTER TABLE beds_inbox CHANGE rep reply MEDIUMBLOB NOT NULL",
         core::code::backend_unavailable, "is not as BEDS needs it"},
        {"too small",
         "DELETE FROM beds_inbox; ALTER TABLE beds_inbox MODIFY reply BINARY(2) NOT NULL",
         "ALTER TABLE beds_inbox MODIFY reply MEDIUMBLOB NOT NULL", core::code::backend_unavailable,
         "is not as BEDS needs it"},
        {"without its key", "ALTER TABLE beds_inbox DROP PRIMARY KEY",
         "ALTER TABLE beds_inbox ADD PRIMARY KEY (principal, id)", core::code::backend_unavailable,
         "is not as BEDS needs it"}};
    const auto& each = troubles[GENERATE(0, 1, 2, 3, 4, 5)];
    // Without SELECT new writes are done until something has to be looked up, without the key until
    // the session connects again.
    const bool from_the_start = GENERATE(false, true) ||
                                std::string_view{each.what} == "no SELECT" ||
                                std::string_view{each.what} == "without its key";
    CAPTURE(each.what, from_the_start);
    if (from_the_start) {
        here.sql(each.made);
    }
    batches run{here, accounts_text};
    const bool seen_at_once = std::string_view{each.what} != "too small";
    CHECK(run.work.write_trouble().empty() == !(from_the_start && seen_at_once));
    const std::string add =
        R"({"template":"accounts","op":"update","key":1,"inc":{"balance":"1"}})";
    const std::string fetch = R"({"template":"accounts","op":"fetch","key":9})";
    if (!from_the_start) {
        REQUIRE(run({{{add}}})[0][0].effect == core::effect::applied);
        here.sql(each.made);
    }
    for (int i = 0; i < 3; ++i) {
        const auto got = run({{{add}}, {{fetch}}, {{add, fetch}, 8s, "sequence"}, {{add, add}}});
        for (const auto& refused : {got[0][0], got[2][0], got[3][0], got[3][1]}) {
            CHECK(refused.code == each.code);
            CHECK(refused.effect == core::effect::none);
            CHECK(refused.detail.find(each.detail) != std::string_view::npos);
        }
        CHECK(got[1][0].ok());
        CHECK(got[2][1].status == core::status::skipped);
    }
    // What may have been done before is not said to be undone.
    run.redelivered = true;
    const auto again = run({{{add}}});
    run.redelivered = false;
    CHECK(again[0][0].effect == core::effect::unknown);

    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") ==
          (from_the_start ? "100.00\n" : "101.00\n"));
    if (seen_at_once) {
        CHECK(run.work.write_trouble().find("bedsctl schema") != std::string::npos);
    }
    const auto log = here.log().text();
    const auto first = log.find("BEDS_MARIADB_INBOX");
    INFO(log);
    CHECK(first != std::string::npos);
    CHECK(log.find("BEDS_MARIADB_INBOX", first + 1) == std::string::npos);
    CHECK(log.find("connection breaks") == std::string::npos);

    here.sql(each.mended);
    run.work.idle(core::deadline::after(5s));
    CHECK(run.work.write_trouble().empty());
    CHECK(run({{{add}}})[0][0].effect == core::effect::applied);
    CHECK(here.log().has("beds_inbox can be used again"));
    CHECK(here.sql("SHOW CREATE TABLE beds_inbox") == inbox);
    root("DROP USER " + name);
}
