#include "adapters/mariadb/connection.hpp"
#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"
#include "support/gate.hpp"

#include <mysql.h>

#include <atomic>
#include <thread>

using namespace beds;
using namespace beds::test;
using adapters::commit_result;
using adapters::group_mode;
using adapters::step_result;
using adapters::work_kind;
using core::effect;
using testing::operations;
using clock_type = std::chrono::steady_clock;

namespace {

/// A connection without BEDS, as root.
class plain_connection {
public:
    explicit plain_connection(const world& here) : handle_(mysql_init(nullptr)) {
        const auto socket = environment("BEDS_MARIADB_SOCKET");
        REQUIRE(socket);
        REQUIRE(mysql_real_connect(handle_, nullptr, "root", nullptr, here.database().c_str(), 0,
                                   socket->c_str(), 0) != nullptr);
    }
    ~plain_connection() { mysql_close(handle_); }
    plain_connection(const plain_connection&) = delete;
    plain_connection& operator=(const plain_connection&) = delete;

    /// Of the first row; "" when there is none.
    std::string ask(const std::string& sql) {
        std::string first;
        const auto failed =
            mysql_real_query(handle_, sql.data(), static_cast<unsigned long>(sql.size()));
        INFO(sql << ": " << mysql_error(handle_));
        REQUIRE(failed == 0);
        if (auto* rows = mysql_store_result(handle_); rows != nullptr) {
            if (auto* row = mysql_fetch_row(rows); row != nullptr && row[0] != nullptr) {
                first = row[0];
            }
            mysql_free_result(rows);
        }
        return first;
    }

private:
    MYSQL* handle_;
};

/// Watches which statements run in the database, and for how long the last one did.
class observer {
public:
    explicit observer(const world& here)
        : here_(here), link_(here), thread_([this] {
              while (!stop_) {
                  if (running() != "0") {
                      last_ = clock_type::now();
                  }
                  std::this_thread::sleep_for(2ms);
              }
              mysql_thread_end();
          }) {}
    ~observer() { stop(); }
    /// When the last statement was seen.
    clock_type::time_point stop() {
        stop_ = true;
        if (thread_.joinable()) {
            thread_.join();
        }
        return last_;
    }

private:
    std::string running() {
        return link_.ask("SELECT COUNT(*) FROM information_schema.processlist WHERE db = '" +
                         here_.database() +
                         "' AND command NOT IN ('Sleep', 'Killed') AND id <> CONNECTION_ID() AND "
                         "(info LIKE '%SLEEP(%' OR info LIKE '/* beds acc%')");
    }

    const world& here_;
    plain_connection link_;
    std::atomic<bool> stop_{false};
    clock_type::time_point last_{};
    std::thread thread_;
};

/// How late this machine is at anything now.
class lateness {
public:
    lateness()
        : thread_([this] {
              while (!stop_) {
                  const auto due = clock_type::now() + 10ms;
                  std::this_thread::sleep_until(due);
                  most_ = std::max(most_.load(), clock_type::now() - due);
              }
          }) {}
    ~lateness() {
        stop_ = true;
        thread_.join();
    }
    [[nodiscard]] std::chrono::milliseconds most() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(2 * most_.load());
    }

private:
    std::atomic<bool> stop_{false};
    std::atomic<clock_type::duration> most_{clock_type::duration{0}};
    std::thread thread_;
};

templates::template_def targets() {
    auto made = testing::template_maker("accounts")
                    .field("id", "int64")
                    .field("owner", "string:40", {.indexed = true})
                    .field("balance", "decimal(18,2)")
                    .field("status", "enum:open,frozen,closed")
                    .key({"id"})
                    .unique({"owner"});
    for (const std::string name : {"naps", "sleepy", "stubborn", "mine"}) {
        templates::call called;
        called.name = name;
        called.routine = "sp_" + name;
        called.op_class = core::op_class::write;
        called.args = {{"id", *core::parse_field_type("int64")}};
        made.call(std::move(called));
    }
    return made.build();
}

void make_objects(const world& here) {
    make_accounts(here, 10);
    here.sql("CREATE FUNCTION f_nap() RETURNS INT RETURN SLEEP(30)");
    here.sql("CREATE VIEW by_view AS SELECT id, SLEEP(30) AS nap FROM accounts;"
             "CREATE VIEW by_function AS SELECT id, f_nap() AS nap FROM accounts");
    here.sql(R"(DELIMITER //
CREATE PROCEDURE sp_naps(IN p_id BIGINT)
BEGIN
  UPDATE accounts SET balance = balance + 1 WHERE id = p_id;
  DO SLEEP(30);
  UPDATE accounts SET balance = balance + 1 WHERE id = p_id;
END//
CREATE PROCEDURE sp_sleepy(IN p_id BIGINT)
BEGIN
  UPDATE accounts SET balance = balance + 1 WHERE id = p_id;
  DO SLEEP(30); DO SLEEP(30);
END//
CREATE PROCEDURE sp_stubborn(IN p_id BIGINT)
BEGIN
  DECLARE i INT DEFAULT 0;
  WHILE i < 3000 DO DO SLEEP(0.01); SET i = i + 1; END WHILE;
END//
CREATE PROCEDURE sp_mine(IN p_id BIGINT) SQL SECURITY INVOKER
BEGIN
  UPDATE accounts SET balance = balance + 1 WHERE id = p_id;
  DO SLEEP(30);
END//
DELIMITER ;
)");
}

std::string session_count(const world& here) {
    return here.control().mariadb_root(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '" + here.database() + "'");
}

} // namespace

TEST_CASE("what is late ends at the server, with its neighbours unharmed", "[mariadb]") {
    world here;
    make_objects(here);
    const auto target = targets();
    const auto view = testing::template_maker("accounts_slow")
                          .object("by_view")
                          .field("id", "int64")
                          .field("nap", "int32")
                          .key({"id"})
                          .build();
    const auto function = testing::template_maker("accounts_slow")
                              .object("by_function")
                              .field("id", "int64")
                              .field("nap", "int32")
                              .key({"id"})
                              .build();
    auto session = here.session();
    auto neighbour = here.session("neighbour");
    plain_connection other{here};
    // What the sessions look for before they run it is looked for now.
    operations plain;
    plain.update(target, {9}).inc({{"balance", 1}});
    REQUIRE(write(*session, plain).commit == commit_result::applied);
    REQUIRE(write(*neighbour, plain).commit == commit_result::applied);
    const templates::template_def* all[] = {&target, &view, &function};
    here.adapter().inspect(*session, all, core::deadline::after(5s));

    operations work;
    auto kind = work_kind::write;
    bool ends_connection = false;
    SECTION("a view that sleeps") {
        work.fetch(view, {1});
        kind = work_kind::read;
    }
    SECTION("a function that sleeps, in a view") {
        work.fetch(function, {1});
        kind = work_kind::read;
    }
    SECTION("a procedure that sleeps and then goes on") {
        work.call(target, "naps", {1});
    }
    SECTION("a procedure that sleeps twice") {
        work.call(target, "sleepy", {1});
    }
    SECTION("a procedure that runs with our own rights") {
        work.call(target, "mine", {1});
    }
    SECTION("several calls in one statement") {
        work.call(target, "mine", {1});
        work.call(target, "mine", {2});
        work.call(target, "mine", {3});
    }
    SECTION("a procedure that no KILL QUERY ends") {
        work.call(target, "stubborn", {1});
        ends_connection = true;
    }
    SECTION("a row that stays locked") {
        other.ask("BEGIN");
        other.ask("UPDATE accounts SET balance = balance WHERE id = 1");
        work.update(target, {2}).inc({{"balance", 1}});
        work.update(target, {1}).inc({{"balance", 1}});
    }
    SECTION("a table that stays locked") {
        other.ask("LOCK TABLES accounts WRITE");
        work.update(target, {1}).inc({{"balance", 1}});
    }
    SECTION("a table that stays locked, read") {
        other.ask("LOCK TABLES accounts WRITE");
        work.fetch(target, {1});
        kind = work_kind::read;
    }
    const auto before = session_count(here);

    lateness machine;
    auto seen = std::make_unique<observer>(here);
    std::this_thread::sleep_for(50ms);
    const auto deadline = clock_type::now() + 400ms;
    const auto got = run(*session, work, kind, {.ids = {"a", "b", "c"}}, group_mode::independent,
                         core::deadline::at(deadline));
    const auto returned = clock_type::now();
    std::this_thread::sleep_until(deadline + 400ms);
    const auto last = seen->stop();
    seen.reset();
    const auto late = [&](clock_type::time_point when) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(when - deadline);
    };
    INFO(here.log().text() << "returned " << late(returned).count() << " ms, last seen "
                           << late(last).count() << " ms after the deadline, machine late by "
                           << machine.most().count());
    CHECK(got.step == step_result::expired);
    CHECK(got.commit != commit_result::applied);
    CHECK(returned >= deadline);
    CHECK(late(returned) <= 300ms + machine.most());
    CHECK(late(last) > -100ms); // it was seen at all
    CHECK(late(last) <= 300ms + machine.most());
    // A machine that stands still at the wrong moment makes a KILL QUERY late, and then the last
    // resort follows it.
    if (ends_connection || machine.most() < 20ms) {
        CHECK(session->usable() != ends_connection);
        CHECK(here.log().has("BEDS_MARIADB_KILLED") == ends_connection);
    }

    // The neighbours run at once on the same session, and nothing of the late ones is left.
    other.ask("UNLOCK TABLES");
    other.ask("ROLLBACK");
    if (!session->usable()) {
        session->connect(core::deadline::after(5s));
    }
    operations rest;
    rest.update(target, {3}).inc({{"balance", 1}});
    rest.update(target, {9}).inc({{"balance", 1}});
    for (auto* each : {session.get(), neighbour.get()}) {
        const auto went = write(*each, rest);
        CHECK(went.step == step_result::done);
        CHECK(went.commit == commit_result::applied);
        CHECK(went[1].effect == effect::applied);
    }
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1006.00\n");
    CHECK(here.sql("SELECT COUNT(*) FROM beds_inbox") == "0\n");
    // And one of the watchdog, for a while.
    CHECK(std::stoi(session_count(here)) - std::stoi(before) <= 1);
}

TEST_CASE("a session that does not end is ended again and again", "[mariadb]") {
    world here;
    make_objects(here);
    // A server that misses the first two.
    here.sql("CREATE SEQUENCE shots NOCACHE;\nDELIMITER //\n"
             "CREATE OR REPLACE PROCEDURE beds_kill(IN p_session BIGINT UNSIGNED, IN p_connection "
             "BOOLEAN) BEGIN IF p_connection THEN IF NEXTVAL(shots) >= 3 THEN KILL CONNECTION "
             "p_session; END IF; END IF; END//\nDELIMITER ;\n");
    const auto target = targets();
    auto session = here.session();
    const templates::template_def* all[] = {&target};
    here.adapter().inspect(*session, all, core::deadline::after(10s));
    operations work;
    work.call(target, "stubborn", {1});
    const auto got = run(*session, work, work_kind::write, {.ids = {"a"}}, group_mode::independent,
                         core::deadline::after(400ms));
    CHECK(got.step == step_result::expired);
    CHECK_FALSE(session->usable()); // cut here, where the server does not notice it
    const auto until = core::deadline::after(9s);
    const auto shots = [&] {
        return std::stoi(here.sql("SELECT next_not_cached_value FROM shots")) - 1;
    };
    while (shots() < 3 && !until.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    INFO(here.log().text());
    CHECK(shots() == 3);
    CHECK(here.log().has("is still there"));
    while (here.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE db = '" +
                    here.database() +
                    "' AND info LIKE '%SLEEP(0.01)%' AND info NOT LIKE "
                    "'%processlist%'") != "0\n" &&
           !until.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    CHECK_FALSE(until.expired());
    // And then it rests.
    std::this_thread::sleep_for(2500ms);
    CHECK(shots() == 3);
}

TEST_CASE("a success that comes too late is rolled back", "[mariadb]") {
    world here;
    make_objects(here);
    here.sql("DELIMITER //\nCREATE OR REPLACE PROCEDURE sp_naps(IN p_id BIGINT)\nBEGIN\n"
             "UPDATE accounts SET balance = balance + 1 WHERE id = p_id; DO SLEEP(0.41);\nEND//\n"
             "DELIMITER ;\n");
    const auto target = targets();
    auto session = here.session();
    operations work;
    work.call(target, "naps", {1});
    REQUIRE(write(*session, work).commit == commit_result::applied);
    // The last ones are late by less than the watchdog waits for.
    for (const auto budget : {250ms, 300ms, 350ms, 390ms, 400ms, 405ms, 407ms, 408ms, 409ms}) {
        const auto got = run(*session, work, work_kind::write, {.ids = {"late"}},
                             group_mode::independent, core::deadline::after(budget));
        CHECK(got.step == step_result::expired);
        CHECK(session->usable());
        // No KILL is left for what comes next.
        operations next;
        next.update(target, {2}).inc({{"balance", 1}});
        const auto went = write(*session, next);
        CHECK(went[0].effect == effect::applied);
        CHECK(went.commit == commit_result::applied);
    }
    CHECK(here.sql("SELECT balance FROM accounts WHERE id <= 2") == "101.00\n109.00\n");
}

TEST_CASE("a KILL that is under way is waited out", "[mariadb]") {
    world here;
    const auto direct = here.settings();
    gate slow{direct.host, direct.port};
    auto through_gate = direct;
    through_gate.port = slow.port();
    core::supervisor supervisor;
    const adapters::session_context context{.name = "waits", .supervisor = &supervisor, .log = {}};
    adapters::mariadb::watchdog late{
        std::make_shared<const config::rel_service_settings>(through_gate)};
    adapters::mariadb::connection session{direct, context, &late};
    session.open(core::deadline::after(5s));
    const auto nap = [&](const std::string& seconds, std::chrono::milliseconds budget) {
        adapters::mariadb::connection::guard watching;
        session.arm_statements(core::deadline::after(budget), watching);
        static_cast<void>(session.command("DO SLEEP(" + seconds + ")"));
    };
    nap("1", 100ms); // the watchdog connects
    REQUIRE(session.take_shot());
    slow.delay(gate::direction::to_server, 200ms);
    // Sent when the deadline passes, at work at the server long after the statement is over.
    nap("0.15", 50ms);
    CHECK(session.take_shot());
    const auto began = clock_type::now();
    CHECK(session.command("BEGIN NOT ATOMIC DO SLEEP(0.4); END"));
    CHECK(clock_type::now() - began >= 395ms);
    CHECK_FALSE(session.take_shot());
    session.close();
}

TEST_CASE("who may not end a procedure of others is told what is missing", "[mariadb]") {
    world here;
    make_objects(here);
    here.sql("DROP PROCEDURE beds_kill");
    const auto target = targets();
    auto session = here.session();
    operations work;
    work.call(target, "sleepy", {1});
    const auto began = clock_type::now();
    const auto got = run(*session, work, work_kind::write, {}, group_mode::independent,
                         core::deadline::after(300ms));
    // The caller does not wait for it.
    CHECK(got.step == step_result::expired);
    CHECK(clock_type::now() - began < 1500ms);
    CHECK(here.log().has("BEDS_MARIADB_WATCHDOG"));
    CHECK(here.log().has("bedsctl schema"));
    const auto ids = here.control().mariadb_root(
        "SELECT id FROM information_schema.processlist WHERE db = '" + here.database() +
        "' AND info LIKE '%SLEEP(30)%' AND command <> 'Sleep' AND info NOT LIKE '%processlist%'");
    CHECK_FALSE(ids.empty());
    here.control().mariadb_root("KILL CONNECTION " + ids);
}

TEST_CASE("where no second connection is to be had the server's time limit ends what is late",
          "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql(
        "CREATE VIEW naps AS SELECT id, SLEEP(1) AS nap FROM accounts;"
        "CREATE VIEW sums AS SELECT id, (SELECT SUM(seq) % 2 FROM seq_1_to_100000000000) AS nap "
        "FROM accounts"); // a SLEEP would look for its client every five seconds
    const auto account = unique_name("o");
    here.sql("CREATE USER '" + account +
             "'@'%' IDENTIFIED BY 'On3ly' WITH MAX_USER_CONNECTIONS 1;"
             "GRANT ALL ON " +
             here.database() + ".* TO '" + account + "'@'%'");
    auto settings = here.settings();
    settings.user = account;
    settings.pass = core::secret{"On3ly"};
    here.make_adapter(settings);
    const auto running = [&](const std::string& user) {
        return here.control().mariadb_root(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE user = '" + user + "'");
    };
    const auto of = [](const std::string& object) {
        return testing::template_maker(object)
            .field("id", "int64")
            .field("nap", "int32")
            .key({"id"})
            .build();
    };
    const auto fetch = [](adapters::session& through, const templates::template_def& target) {
        operations work;
        work.fetch(target, {1});
        return run(through, work, work_kind::read, {}, group_mode::independent,
                   core::deadline::after(400ms))
            .step;
    };
    auto session = here.session();
    CHECK(fetch(*session, of("naps")) == step_result::expired); // its watchdog cannot connect
    CHECK(here.log().has("BEDS_MARIADB_WATCHDOG"));
    session.reset();
    const auto until = core::deadline::after(10s);
    while (running(account) != "0\n" && !until.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    session = here.session("second");
    CHECK(fetch(*session, of("sums")) == step_result::expired);
    const auto soon = core::deadline::after(5s);
    const auto at_work = [&] {
        return here.control().mariadb_root(
                   "SELECT COUNT(*) FROM information_schema.processlist WHERE user = '" + account +
                   "' AND command <> 'Sleep'") != "0\n";
    };
    while (at_work() && !soon.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    INFO(here.log().text());
    CHECK_FALSE(soon.expired());
    session.reset();
    here.sql("KILL USER '" + account + "'@'%'");
    here.sql("DROP USER '" + account + "'@'%'");
}

TEST_CASE("batches with many deadlines share the server's time limit", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session("limits");
    const auto sets = [&] {
        return std::stoi(here.control().mariadb_root(
            "SELECT variable_value FROM information_schema.global_status WHERE variable_name = "
            "'Com_set_option'"));
    };
    operations work;
    work.fetch(target, {1});
    const auto run_once = [&](std::chrono::milliseconds budget) {
        REQUIRE(run(*session, work, work_kind::read, {}, group_mode::independent,
                    core::deadline::after(budget))
                    .step == step_result::done);
    };
    run_once(10s);
    const auto before = sets();
    for (int i = 0; i < 100; ++i) {
        run_once(std::chrono::milliseconds{200 + (i * 37 % 100) * 90});
    }
    CHECK(sets() - before < 50); // of all that use this server; each had its own otherwise
}
