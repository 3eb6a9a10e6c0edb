#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

#include <thread>

using namespace beds;
using namespace beds::test;
using adapters::commit_result;
using testing::operations;

namespace {

/// Rows of the inbox, `count` of them, begun so many seconds ago; ids PREFIX1, PREFIX2, …
void fill(const world& here, const std::string& prefix, int count, int age) {
    here.sql("SET time_zone = '+00:00'; INSERT INTO beds_inbox (principal, id, content, reply, "
             "created) SELECT 'tester', CONCAT('" +
             prefix + "', seq), REPEAT('x', 16), '{}', NOW(6) - INTERVAL " + std::to_string(age) +
             " SECOND - INTERVAL seq MICROSECOND FROM seq_1_to_" + std::to_string(count));
}

int rows(const world& here, const std::string& prefix) {
    return std::stoi(here.sql("SELECT COUNT(*) FROM beds_inbox WHERE id LIKE '" + prefix + "%'"));
}

bool comes_to(const world& here, const std::string& prefix, int count,
              std::chrono::seconds within = 10s) {
    const auto until = core::deadline::after(within);
    while (!until.expired()) {
        if (rows(here, prefix) == count) {
            return true;
        }
        std::this_thread::sleep_for(50ms);
    }
    return false;
}

} // namespace

TEST_CASE("the inbox forgets what is older than its window, and nothing else", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    auto settings = here.settings();
    settings.inbox_window = 2s;
    here.make_adapter(settings);
    fill(here, "old", 20'000, 3);
    fill(here, "young", 1000, -60);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    CHECK(rows(here, "old") == 20'000); // nobody wrote
    REQUIRE(write(*session, work, {.ids = {"mine"}}).commit == commit_result::applied);
    // Within the window it is known.
    const identities again{.ids = {"mine"}, .how = adapters::lookup::all};
    CHECK(write(*session, work, again).known.size() == 1);
    CHECK(comes_to(here, "old", 0));
    CHECK(rows(here, "young") == 1000);
    // Behind it the same id is new.
    CHECK(comes_to(here, "mine", 0));
    const auto new_again = write(*session, work, again);
    CHECK(new_again.known.empty());
    CHECK(new_again.commit == commit_result::applied);
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "102.00\n");
    CHECK(here.log().text().empty());
}

TEST_CASE("the inbox keeps what is within its window while it forgets the rest", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    auto settings = here.settings();
    settings.inbox_window = 60s; // looked at every 3 s
    here.make_adapter(settings);
    fill(here, "old", 1000, 90);
    fill(here, "recent", 1000, 20); // the next ones in the order of deletion
    const auto target = accounts();
    auto session = here.session();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    REQUIRE(write(*session, work, {.ids = {"mine"}}).commit == commit_result::applied);
    CHECK(comes_to(here, "old", 0, 20s));
    CHECK(rows(here, "recent") == 1000);
    CHECK(rows(here, "mine") == 1);
}

TEST_CASE("of several nodes one prunes, and none is in the way of writes", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    auto settings = here.settings();
    settings.inbox_window = 3600s;
    const auto lock_held = [&](const std::string& first, const std::string& then) {
        return std::thread{[&here, first, then] { here.sql(first + "; " + then); }};
    };
    fill(here, "old", 3000, 4000);
    const auto target = accounts();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    settings.inbox_window = 2s; // short rounds
    here.make_adapter(settings);
    SECTION("another node is at it") {
        auto other =
            lock_held("DO GET_LOCK(CONCAT('beds_prune/', MD5(DATABASE())), 5)", "DO SLEEP(2)");
        while (here.sql("SELECT IS_USED_LOCK(CONCAT('beds_prune/', MD5(DATABASE()))) IS NULL") !=
               "0\n") {
            std::this_thread::sleep_for(10ms);
        }
        auto session = here.session();
        REQUIRE(write(*session, work, {.ids = {"a"}}).commit == commit_result::applied);
        std::this_thread::sleep_for(700ms);
        CHECK(rows(here, "old") == 3000);
        other.join();
        CHECK(comes_to(here, "old", 0));
    }
    SECTION("somebody holds an old row") {
        auto other = lock_held("BEGIN", "SELECT id FROM beds_inbox WHERE principal = 'tester' AND "
                                        "id = 'old7' FOR UPDATE; "
                                        "DO SLEEP(3); ROLLBACK");
        std::this_thread::sleep_for(300ms);
        auto session = here.session();
        std::chrono::steady_clock::duration longest{};
        for (int i = 0; i < 100; ++i) {
            const auto began = std::chrono::steady_clock::now();
            const auto got = write(*session, work, {.ids = {"w" + std::to_string(i)}});
            longest = std::max(longest, std::chrono::steady_clock::now() - began);
            REQUIRE(got.commit == commit_result::applied);
            if (i == 20) { // it is still held
                CHECK(rows(here, "old") > 0);
            }
            std::this_thread::sleep_for(10ms);
        }
        CHECK(longest < 500ms);
        other.join();
        CHECK(comes_to(here, "old", 0));
        CHECK(here.log().text().empty());
    }
}

TEST_CASE("an account that may not delete is told so, and writes go on", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto user = unique_name("beds_u");
    here.control().mariadb_root(
        "CREATE USER " + user + "@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT SELECT, UPDATE ON " +
        here.database() + ".accounts TO " + user + "@'127.0.0.1'; GRANT SELECT, INSERT ON " +
        here.database() + ".beds_inbox TO " + user + "@'127.0.0.1'");
    auto settings = here.settings();
    settings.inbox_window = 1s;
    settings.user = user;
    settings.pass = core::secret{"secret"};
    here.make_adapter(settings);
    fill(here, "old", 10, 100);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    for (int i = 0; i < 40 && !here.log().has("BEDS_MARIADB_PRUNE"); ++i) {
        REQUIRE(write(*session, work, {.ids = {"w" + std::to_string(i)}}).commit ==
                commit_result::applied);
        std::this_thread::sleep_for(50ms);
    }
    std::this_thread::sleep_for(300ms);
    const auto told = here.log().text();
    CHECK(told.find("BEDS_MARIADB_PRUNE") != std::string::npos);
    CHECK(told.find("BEDS_MARIADB_PRUNE") == told.rfind("BEDS_MARIADB_PRUNE"));
    CHECK(rows(here, "old") == 10);
    here.control().mariadb_root("DROP USER " + user + "@'127.0.0.1'");
}

namespace {

/// `things` with a time `seen`, after which their rows go.
templates::template_def things(std::chrono::seconds after) {
    auto made = testing::template_maker("things")
                    .field("id", "int64")
                    .field("seen", "datetime", {.nullable = true, .indexed = true})
                    .key({"id"})
                    .index({"seen"})
                    .build();
    made.indexes.back().expire_after = after;
    return made;
}

void make_things(const world& here, const std::string& type = "DATETIME(6)") {
    here.sql("CREATE TABLE things (id BIGINT PRIMARY KEY, seen " + type +
             ", KEY (seen)) ENGINE=InnoDB");
}

/// Ids from..to, seen so many seconds ago.
void see(const world& here, int from, int to, int age) {
    here.sql("SET time_zone = '+00:00'; INSERT INTO things SELECT seq, NOW(6) - INTERVAL " +
             std::to_string(age) + " SECOND FROM seq_" + std::to_string(from) + "_to_" +
             std::to_string(to));
}

bool things_come_to(const world& here, const std::string& count) {
    const auto until = core::deadline::after(10s);
    while (!until.expired()) {
        if (here.sql("SELECT COUNT(*) FROM things") == count + "\n") {
            return true;
        }
        std::this_thread::sleep_for(50ms);
    }
    return false;
}

void expire(world& here, const std::vector<const templates::template_def*>& targets) {
    here.adapter().expire(targets, {.name = "test old rows", .log = here.log_sink()});
}

} // namespace

TEST_CASE("rows go when their time lies behind expire_after, and no others", "[mariadb]") {
    world here;
    make_things(here);
    see(here, 1, 10'000, 100);
    see(here, 10'001, 10'100, -60);
    see(here, 10'101, 10'200, 3);
    here.sql("INSERT INTO things VALUES (20000, NULL)");
    const auto target = things(5s);
    expire(here, {&target});
    CHECK(things_come_to(here, "101")); // what was seen three seconds ago goes, too
    CHECK(here.sql("SELECT COUNT(*) FROM things WHERE id BETWEEN 10001 AND 10100") == "100\n");
    // Not the inbox's rule that nothing older comes: what is written old goes as well.
    see(here, 1, 100, 1'000'000);
    CHECK(things_come_to(here, "101"));
    SECTION("until the templates say otherwise") {
        expire(here, {});
        see(here, 1, 10, 100);
        std::this_thread::sleep_for(1s);
        CHECK(here.sql("SELECT COUNT(*) FROM things") == "111\n");
        const auto later = things(90s);
        expire(here, {&later});
        CHECK(things_come_to(here, "101"));
    }
    CHECK(here.log().text().empty());
}

TEST_CASE("a time column that became a number loses no row", "[mariadb]") {
    world here;
    make_things(here, "BIGINT");
    // Both are times when they are read as numbers of their digits.
    here.sql("INSERT INTO things VALUES (1, 20000101000000), (2, 1700000000), (3, 0)");
    const auto target = things(2s);
    expire(here, {&target});
    for (int i = 0; i < 100 && !here.log().has("BEDS_MARIADB_EXPIRE"); ++i) {
        std::this_thread::sleep_for(50ms);
    }
    std::this_thread::sleep_for(500ms);
    const auto told = here.log().text();
    CHECK(told.find("things") != std::string::npos);
    CHECK(told.find("BEDS_MARIADB_EXPIRE") == told.rfind("BEDS_MARIADB_EXPIRE"));
    CHECK(here.sql("SELECT COUNT(*) FROM things") == "3\n");
}

TEST_CASE("rows that somebody holds go later, and the inbox is pruned beside them", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_things(here);
    auto settings = here.settings();
    settings.inbox_window = 2s;
    here.make_adapter(settings);
    fill(here, "old", 1000, 100);
    see(here, 1, 1000, 100);
    const auto target = things(2s);
    std::thread other{[&here] {
        here.sql("BEGIN; SELECT id FROM things WHERE id = 7 FOR UPDATE; DO SLEEP(3); ROLLBACK");
    }};
    std::this_thread::sleep_for(300ms);
    expire(here, {&target});
    const auto account = accounts();
    auto session = here.session();
    operations work;
    work.update(account, {1}).inc({{"balance", 1}});
    REQUIRE(write(*session, work, {.ids = {"a"}}).commit == commit_result::applied);
    CHECK(comes_to(here, "old", 0));
    other.join();
    CHECK(things_come_to(here, "0"));
    CHECK(here.log().text().empty());
}
