#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

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
        CHECK(write(*session, work, {.ids = {"a"}}).step == step_result::broken);
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
