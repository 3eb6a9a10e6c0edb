#include "adapters/mariadb/session.hpp"
#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <map>
#include <thread>

using namespace beds;
using namespace beds::test;
using adapters::commit_result;
using adapters::group_mode;
using adapters::lookup;
using adapters::step_result;
using adapters::work_kind;
using testing::operations;

namespace {

/// A broker that stands still when it has run one operation, of the id `z`, and not sealed it.
struct standing_still {
    standing_still(world& here, operations& work) : session(here.session("zombie")) {
        std::vector<adapters::stored_reply> known;
        REQUIRE(session->begin(work_kind::write, core::deadline::after(30s), {&id, 1}, lookup::none,
                               work.memory(), known) == step_result::done);
        REQUIRE(session->run(work.group(), rows, results, work.memory()) == step_result::done);
    }
    step_result seal() {
        const adapters::sealed_reply reply{id, R"({"status":"ok"})"};
        return session->seal({&reply, 1});
    }

    const adapters::operation_identity id{0, "tester", "z", core::hash(std::string_view{"z"})};
    std::vector<core::outcome> results{1};
    testing::recording_sink rows;
    std::unique_ptr<adapters::session> session;
};

} // namespace

TEST_CASE("a broker that stands still within its unit loses it, and its rows are let go",
          "[mariadb][slow]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto other = here.session("other");
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    operations apart;
    apart.update(target, {2}).inc({{"balance", 1}});
    REQUIRE(write(*other, apart).commit == commit_result::applied);

    standing_still zombie{here, work};
    // It stands still here. The message is delivered to another broker.
    other->wait_for_rows(15s);
    const auto began = std::chrono::steady_clock::now();
    const auto went = run(*other, work, work_kind::write, {.ids = {"z"}, .how = lookup::all},
                          group_mode::independent, core::deadline::after(15s));
    CHECK(went.commit == commit_result::applied);
    CHECK(std::chrono::steady_clock::now() - began < 9s);
    // And goes on.
    CHECK(zombie.seal() == step_result::broken);
    CHECK(zombie.session->commit() == commit_result::none);
    CHECK_FALSE(zombie.session->usable());
    zombie.session->connect(core::deadline::after(5s));
    const auto again = write(*zombie.session, work, {.ids = {"z"}, .how = lookup::all});
    CHECK(again.known.size() == 1);
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "101.00\n");
}

TEST_CASE("a broker that stands still before its seal meets the id that another one stored",
          "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto other = here.session("other");
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    operations same; // whatever it does: the same id
    same.update(target, {2}).inc({{"balance", 1}});
    standing_still zombie{here, work};
    REQUIRE(write(*other, same, {.ids = {"z"}}).commit == commit_result::applied);
    CHECK(zombie.seal() == step_result::known_id);
    zombie.session->rollback();
    CHECK(here.sql("SELECT balance FROM accounts WHERE id <= 2") == "100.00\n101.00\n");
}

TEST_CASE("a session that the server ended while it rested is made anew", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    REQUIRE(write(*session, work).commit == commit_result::applied);
    auto& link = dynamic_cast<adapters::mariadb::mariadb_session&>(*session).link();
    REQUIRE(link.command("SET SESSION wait_timeout = 1"));
    std::this_thread::sleep_for(3s);
    const auto went = write(*session, work, {.ids = {"a"}});
    CHECK(went.step == step_result::broken);
    CHECK_FALSE(session->usable());
    session->connect(core::deadline::after(5s));
    CHECK(write(*session, work, {.ids = {"a"}}).commit == commit_result::applied);
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "102.00\n");
}

TEST_CASE("a session that is made anew is set as the first one was", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    const auto facts = testing::template_maker("facts")
                           .object("information_schema.system_variables")
                           .field("name", "string", {.column = "variable_name"})
                           .field("value", "string", {.column = "session_value"})
                           .key({"name"})
                           .build();
    auto session = here.session();
    auto& link = dynamic_cast<adapters::mariadb::mariadb_session&>(*session).link();
    /// All that BEDS sets, as a unit of this kind has it.
    const auto settings = [&](work_kind kind) {
        std::map<std::string, std::string> made;
        for (const char* const name :
             {"SQL_MODE", "TIME_ZONE", "CHARACTER_SET_CLIENT", "CHARACTER_SET_CONNECTION",
              "CHARACTER_SET_RESULTS", "COLLATION_CONNECTION", "TX_ISOLATION", "AUTOCOMMIT",
              "IDLE_TRANSACTION_TIMEOUT", "IDLE_WRITE_TRANSACTION_TIMEOUT",
              "IDLE_READONLY_TRANSACTION_TIMEOUT", "INNODB_LOCK_WAIT_TIMEOUT", "SQL_SAFE_UPDATES",
              "SQL_SELECT_LIMIT", "MAX_STATEMENT_TIME"}) {
            operations ask;
            ask.fetch(facts, {name});
            const auto got = run(*session, ask, kind);
            INFO(static_cast<int>(got.step) << here.log().text());
            REQUIRE(got.rows.of(0).rows.size() == 1);
            made[name] = got.rows.of(0).rows[0].at("value").view().text;
        }
        const auto limit = std::stod(made.at("MAX_STATEMENT_TIME"));
        made.erase("MAX_STATEMENT_TIME"); // by the deadline
        CHECK(limit > 10);
        CHECK(limit < 40);
        made["beds_kill"] =
            here.sql("SELECT IS_USED_LOCK('beds_kill/" + std::to_string(link.facts().session) +
                     "') = " + std::to_string(link.facts().session));
        return made;
    };
    const auto written = settings(work_kind::write);
    const auto first_session = link.facts().session;
    CHECK(written.at("SQL_MODE").find("STRICT_ALL_TABLES") != std::string::npos);
    CHECK(written.at("TIME_ZONE") == "+00:00");
    CHECK(written.at("CHARACTER_SET_CLIENT") == "utf8mb4");
    CHECK(written.at("CHARACTER_SET_RESULTS") == "utf8mb4");
    CHECK(written.at("COLLATION_CONNECTION") == "utf8mb4_bin");
    CHECK(written.at("TX_ISOLATION") == "READ-COMMITTED");
    CHECK(written.at("AUTOCOMMIT") == "OFF");
    CHECK(written.at("IDLE_WRITE_TRANSACTION_TIMEOUT") == "5");
    CHECK(written.at("INNODB_LOCK_WAIT_TIMEOUT") == "1");
    CHECK(written.at("SQL_SAFE_UPDATES") == "OFF");
    CHECK(written.at("beds_kill") == "1\n");
    auto as_read = settings(work_kind::read);
    CHECK(as_read.at("AUTOCOMMIT") == "ON");

    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    const bool in_unit = GENERATE(false, true);
    const bool by_kill = in_unit || GENERATE(true, false);
    const auto first_kind = GENERATE(work_kind::write, work_kind::read);
    CAPTURE(in_unit, by_kill, first_kind == work_kind::write);
    // As nobody should leave it.
    REQUIRE(link.command("SET SESSION sql_mode = '', time_zone = '+05:00', "
                         "innodb_lock_wait_timeout = 33, wait_timeout = 1, autocommit = 0"));
    REQUIRE(link.command("SET NAMES latin1"));
    std::vector<adapters::stored_reply> known;
    std::vector<core::outcome> results(1);
    testing::recording_sink rows;
    if (in_unit) {
        REQUIRE(session->begin(work_kind::write, core::deadline::after(5s), {}, lookup::none,
                               work.memory(), known) == step_result::done);
        REQUIRE(session->run(work.group(), rows, results, work.memory()) == step_result::done);
    }
    if (by_kill) {
        here.control().mariadb_root("KILL CONNECTION " + std::to_string(first_session));
    } else {
        std::this_thread::sleep_for(2s);
    }
    if (in_unit) {
        CHECK(session->seal({}) == step_result::done);
        CHECK(session->commit() == commit_result::unknown);
    } else {
        CHECK(write(*session, work).step == step_result::broken);
    }
    REQUIRE_FALSE(session->usable());
    session->connect(core::deadline::after(5s));
    CHECK(link.facts().session != first_session);
    auto again = settings(first_kind);
    if (first_kind ==
        work_kind::read) { // nothing was written by it, so no row was to be waited for
        again["INNODB_LOCK_WAIT_TIMEOUT"] = as_read["INNODB_LOCK_WAIT_TIMEOUT"];
    }
    CHECK(again == (first_kind == work_kind::write ? written : as_read));
    CHECK(settings(work_kind::write) == written);
    CHECK(settings(work_kind::read) == as_read);
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "100.00\n");
}

TEST_CASE("a table that changes between two uses of a statement", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    operations reads;
    reads.fetch(target, {1});
    operations writes;
    writes.update(target, {1}).inc({{"balance", 1}});
    for (int i = 0; i < 5; ++i) {
        const auto got = read(*session, reads);
        REQUIRE(got.step == step_result::done);
        REQUIRE(got.rows.of(0).rows.size() == 1);
        REQUIRE(write(*session, writes, {.ids = {"w" + std::to_string(i)}}).commit ==
                commit_result::applied);
        here.sql("ALTER TABLE accounts ADD COLUMN extra" + std::to_string(i) +
                 " INT NOT NULL DEFAULT 7 FIRST");
    }
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "105.00\n");
}

TEST_CASE("two opposing batches, 500 times: no errors, and nothing lost", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql("UPDATE accounts SET balance = 10000");
    const auto target = accounts();
    std::atomic<int> reruns{0};
    std::atomic<int> wrong{0};
    const auto run_all = [&](int from, int to) {
        auto session = here.session();
        for (int i = 0; i < 500; ++i) {
            operations work;
            work.update(target, {from}).inc({{"balance", -1}});
            work.update(target, {to}).inc({{"balance", 1}});
            std::vector<core::outcome> results(2);
            std::vector<adapters::stored_reply> known;
            const auto until = core::deadline::after(10s);
            auto step = step_result::rerun;
            while (step == step_result::rerun) {
                testing::recording_sink rows;
                step =
                    session->begin(work_kind::write, until, {}, lookup::none, work.memory(), known);
                for (std::size_t one = 0; one < 2 && step == step_result::done; ++one) {
                    step = session->run(work.group(one, 1, group_mode::independent), rows, results,
                                        work.memory());
                }
                if (step == step_result::done) {
                    if (session->commit() != commit_result::applied || !results[0].ok() ||
                        !results[1].ok()) {
                        ++wrong;
                    }
                } else {
                    session->rollback();
                    reruns += step == step_result::rerun ? 1 : 0;
                    wrong += step == step_result::rerun ? 0 : 1;
                }
            }
        }
    };
    std::thread other{[&] { run_all(2, 1); }};
    run_all(1, 2);
    other.join();
    CHECK(wrong == 0);
    CHECK(here.sql("SELECT balance FROM accounts WHERE id <= 2") == "10000.00\n10000.00\n");
    WARN("reruns after deadlocks: " << reruns);
}
