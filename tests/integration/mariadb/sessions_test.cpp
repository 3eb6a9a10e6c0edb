#include "adapters/mariadb/session.hpp"
#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

#include <atomic>
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
