#include "integration/mariadb/batches.hpp"

#include <thread>

using namespace beds;
using namespace beds::test;
using core::code;
using core::effect;

namespace {

const char* const rows_template = R"toml(
[template]
name = "rows"
store = "rel"
connection = "rel"
object = "things"
key = ["id"]
[fields]
id    = { type = "int64", required = true }
value = { type = "int64", default = 0 }
[calls.raise]
procedure = "sp_raise"
class = "write"
args = [["id", "int64"]]
[calls.commits]
procedure = "sp_commits"
class = "write"
args = [["id", "int64"]]
[calls.patience]
procedure = "sp_patience"
class = "write"
out = [["seconds", "int64"]]
[calls.handled]
procedure = "sp_handled"
class = "write"
out = [["seconds", "int64"]]
)toml";

std::string raise(int id) {
    return R"({"template":"rows","op":"update","key":)" + std::to_string(id) +
           R"(,"inc":{"value":1}})";
}
std::string remove(int id) {
    return R"({"template":"rows","op":"delete","key":)" + std::to_string(id) + "}";
}
std::string insert(int id) {
    return R"({"template":"rows","op":"insert","data":{"id":)" + std::to_string(id) +
           R"(,"value":1}})";
}
std::string call(const std::string& name, int id) {
    return R"({"template":"rows","op":"call","name":")" + name + R"(","args":{"id":)" +
           std::to_string(id) + "}}";
}

/// A table of 100 rows, and a factory over it.
struct shop : batches {
    explicit shop(world& of, factory::settings given = {})
        : batches(with_rows(of), rows_template, given) {}

    static world& with_rows(world& of) {
        of.sql("CREATE TABLE IF NOT EXISTS things (id BIGINT PRIMARY KEY, value BIGINT NOT NULL) "
               "ENGINE=InnoDB;"
               "INSERT IGNORE INTO things SELECT seq, 0 FROM seq_1_to_100;\n"
               "DELIMITER //\n"
               "CREATE OR REPLACE PROCEDURE sp_raise(IN p_id BIGINT) "
               "UPDATE things SET value = value + 1 WHERE id = p_id//"
               "CREATE OR REPLACE PROCEDURE sp_commits(IN p_id BIGINT) BEGIN "
               "UPDATE things SET value = value + 1 WHERE id = p_id; COMMIT; "
               "UPDATE things SET value = value + 1 WHERE id = p_id + 1; END//"
               "CREATE OR REPLACE PROCEDURE sp_patience(OUT seconds BIGINT) "
               "SET seconds = @@innodb_lock_wait_timeout//"
               "CREATE OR REPLACE PROCEDURE sp_handled(OUT seconds BIGINT) BEGIN "
               "DECLARE CONTINUE HANDLER FOR 1205 SET seconds = -1;"
               "SET seconds = @@innodb_lock_wait_timeout; END//\nDELIMITER ;\n");
        return of;
    }

    std::string values(const std::string& where) const {
        return here.sql("SELECT GROUP_CONCAT(value ORDER BY id) FROM things WHERE " + where);
    }
};

/// Until another session of this database sleeps, holding what it holds.
void wait_for_sleep(const world& here) {
    const auto until = core::deadline::after(5s);
    while (here.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE db = '" +
                    here.database() + "' AND info LIKE 'SELECT SLEEP(%'") == "0\n") {
        REQUIRE_FALSE(until.expired());
    }
}

/// Another session that runs `text` and rolls it back after `time`. Made when it holds its rows.
class holder {
public:
    holder(const world& here, const std::string& text, std::chrono::milliseconds time)
        : thread_([&here, text, time] {
              here.sql("BEGIN; " + text + "; CREATE TEMPORARY TABLE IF NOT EXISTS held (x INT); " +
                       "SELECT SLEEP(" + std::to_string(static_cast<double>(time.count()) / 1000) +
                       "); ROLLBACK");
          }) {
        wait_for_sleep(here);
    }
    ~holder() { thread_.join(); }
    holder(const holder&) = delete;
    holder& operator=(const holder&) = delete;

private:
    std::thread thread_;
};

bool is_applied(const core::outcome& result) {
    return result.ok() && result.effect == effect::applied;
}

} // namespace

TEST_CASE("rows that others hold for a while: neighbours are committed, then they have their turn",
          "[mariadb]") {
    world here;
    auto settings = here.settings();
    settings.coalesce = GENERATE("auto", "off");
    CAPTURE(settings.coalesce);
    here.make_adapter(settings);
    shop run{here};
    std::string seen;
    std::vector<std::span<const core::outcome>> got;
    {
        const holder held{here,
                          "UPDATE things SET value = 100 WHERE id IN (3, 11, 31, 42, 52, 62); "
                          "INSERT INTO things VALUES (203, 100)",
                          4s};
        std::thread witness{[&] {
            std::this_thread::sleep_for(2s);
            seen = run.values("id IN (1, 2, 30, 41, 51, 201)") + run.values("id IN (10, 61, 63)");
        }};
        got = run({{{raise(1)}},
                   {{raise(2)}},
                   {{raise(3)}}, // held
                   {{remove(10)}},
                   {{remove(11)}}, // held
                   {{insert(201)}},
                   {{insert(203)}}, // held
                   {{call("raise", 30)}},
                   {{call("raise", 31)}}, // held
                   {{raise(41), raise(42), raise(43)}, 8s, "sequence"},
                   {{raise(51)}},
                   {{raise(52), raise(53)}, 8s, "atomic"},
                   {{call("raise", 62), call("raise", 62), raise(61), raise(63)}}});
        witness.join();
    }
    for (std::size_t i = 0; i < got.size(); ++i) {
        for (const auto& result : got[i]) {
            INFO("message " << i << ": " << run.reply(i));
            CHECK(is_applied(result));
        }
    }
    // While the rows were held. What stands behind a call of the same message waits with it.
    CHECK(seen == "1,1,1,1,1,1\n0,0\n");
    CHECK(run.took < 6s);
    CHECK(run.values("id IN (1, 2, 3, 30, 31, 41, 42, 43, 51, 52, 53, 61, 62, 63, 201, 203)") ==
          "1,1,1,1,1,1,1,1,1,1,1,1,2,1,1,1\n");
    CHECK(here.sql("SELECT COUNT(*) FROM things WHERE id IN (10, 11)") == "0\n");
    CHECK(here.sql("SELECT COUNT(*) FROM beds_inbox") == "19\n");
}

TEST_CASE("rows that stay held: each is told so by its own deadline, and nothing of it is done",
          "[mariadb]") {
    world here;
    shop run{here};
    {
        const holder held{here, "UPDATE things SET value = 100 WHERE id IN (3, 4, 52)", 4300ms};
        const auto got = run({{{raise(1)}},
                              {{raise(3)}, 1500ms},
                              {{raise(4)}, 2s},
                              {{raise(51), raise(52)}, 2s, "atomic"},
                              {{raise(2)}}});
        CHECK(run.took > 1900ms);
        CHECK(run.took < 2300ms);
        CHECK(is_applied(got[0][0]));
        CHECK(is_applied(got[4][0]));
        for (const std::size_t late : {1U, 2U}) {
            INFO(run.reply(late));
            CHECK(got[late][0].code == code::deadline_exceeded);
            CHECK(got[late][0].effect == effect::none);
        }
        INFO(run.reply(3));
        for (const auto& result : got[3]) {
            CHECK(result.effect == effect::none);
            CHECK((result.code == code::deadline_exceeded || result.code == code::skipped));
        }
        // Also where there is no second to wait: neighbours are in no less a hurry.
        const auto hurried = run({{{raise(61)}, 500ms}, {{raise(3)}, 500ms}, {{raise(62)}, 500ms}});
        CHECK(is_applied(hurried[0][0]));
        CHECK(is_applied(hurried[2][0]));
        CHECK(hurried[1][0].code == code::deadline_exceeded);
        CHECK(hurried[1][0].effect == effect::none);
        CHECK(run.took < 800ms);
        // One alone waits at the server.
        const auto alone = run({{{raise(3)}, 1300ms}});
        CHECK(alone[0][0].code == code::deadline_exceeded);
        CHECK(alone[0][0].effect == effect::none);
        CHECK(run.took < 1600ms);
        CHECK(run.work.connected());
    }
    CHECK(run.values("id IN (1, 2, 3, 4, 51, 52)") == "1,1,0,0,0,0\n");
    CHECK(here.sql("SELECT COUNT(*) FROM beds_inbox") == "4\n");
    const auto after = run({{{raise(3)}}, {{raise(52)}}});
    CHECK(is_applied(after[0][0]));
    CHECK(is_applied(after[1][0]));
}

TEST_CASE("an id that somebody else holds in the inbox does not stop its neighbours", "[mariadb]") {
    world here;
    shop run{here};
    std::vector<std::span<const core::outcome>> got;
    std::string seen;
    {
        // As another node does that stands still before its commit.
        const holder held{here,
                          "INSERT INTO beds_inbox (principal, id, content, reply) VALUES "
                          "('tester', 'message-1/0', REPEAT('x', 16), '')",
                          3900ms};
        std::thread witness{[&] {
            std::this_thread::sleep_for(3500ms);
            seen = run.values("id < 4");
        }};
        got = run({{{raise(1)}}, {{raise(2)}}, {{raise(3)}}});
        witness.join();
    }
    CHECK(seen == "1,0,1\n");
    for (const auto& message : got) {
        CHECK(is_applied(message[0]));
    }
    CHECK(run.took > 3500ms);
    CHECK(run.took < 6s);
    CHECK(run.values("id < 4") == "1,1,1\n");
}

TEST_CASE("what committed by itself is not called again, whatever becomes of its neighbours",
          "[mariadb]") {
    world here;
    shop run{here};
    SECTION("rows are held by others") {
        std::vector<std::span<const core::outcome>> got;
        {
            const holder held{here, "UPDATE things SET value = 100 WHERE id IN (3, 21)", 1500ms};
            got = run({{{raise(1)}}, {{raise(3)}}, {{call("commits", 20)}}, {{raise(2)}}});
        }
        INFO(run.reply(2));
        // It waits as its author knows it, within its deadline.
        CHECK(got[2][0].effect == effect::applied);
        CHECK(is_applied(got[1][0]));
        CHECK(run.values("id IN (1, 2, 3, 20, 21)") == "1,1,1,1,1\n");
    }
    SECTION("it was not known to commit, and others have not run yet") {
        here.sql("DELIMITER //\nCREATE OR REPLACE PROCEDURE sp_raise(IN p_id BIGINT) BEGIN UPDATE "
                 "things SET value = value + 1 WHERE id = p_id; COMMIT; END//\nDELIMITER ;\n");
        const auto got = run({{{raise(1), call("raise", 20), raise(2), raise(3)}}});
        INFO(run.reply(0));
        CHECK(got[0][0].effect == effect::unknown);
        CHECK(got[0][1].effect == effect::unknown);
        CHECK(is_applied(got[0][2])); // in a transaction of their own
        CHECK(is_applied(got[0][3]));
        CHECK(run.values("id IN (1, 2, 3, 20)") == "1,1,1,1\n");
    }
    SECTION("it meets held rows when it has committed") {
        const std::string name = GENERATE("commits", "raise"); // known to commit, and not
        here.sql("DELIMITER //\nCREATE OR REPLACE PROCEDURE sp_" + name +
                 "(IN p_id BIGINT) BEGIN UPDATE things SET value = value + 1 WHERE id = p_id; "
                 "COMMIT; SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205, MESSAGE_TEXT = 'Lock "
                 "wait timeout exceeded'; END//\nDELIMITER ;\n");
        const auto got = run({{{call(name, 20)}}, {{raise(1)}}});
        INFO(run.reply(0) << run.reply(1));
        CHECK_FALSE(got[0][0].ok());
        CHECK(got[0][0].effect == effect::unknown);
        CHECK(run.values("id = 20") == "1\n");
        CHECK(run.values("id = 1") == (got[1][0].effect == effect::none ? "0\n" : "1\n"));
    }
    SECTION("its neighbours and then it meet deadlocks") {
        // Waits for row 5, which the other one holds; that one then wants row 4 or 20 and is
        // heavier.
        here.sql("DELIMITER //\nCREATE OR REPLACE PROCEDURE sp_commits(IN p_id BIGINT) BEGIN "
                 "UPDATE things SET value = value + 1 WHERE id = p_id; COMMIT; "
                 "UPDATE things SET value = value + 1 WHERE id = p_id + 1; "
                 "UPDATE things SET value = value + 1 WHERE id = 5; END//\nDELIMITER ;\n");
        std::thread other{[&] {
            here.sql("BEGIN; UPDATE things SET value = value + 100 WHERE id BETWEEN 5 AND 15; "
                     "SELECT SLEEP(0.5); UPDATE things SET value = value + 100 WHERE id = 4; "
                     "ROLLBACK; BEGIN; "
                     "UPDATE things SET value = value + 100 WHERE id BETWEEN 5 AND 15; "
                     "SELECT SLEEP(0.8); UPDATE things SET value = value + 100 WHERE id = 21; "
                     "ROLLBACK");
        }};
        wait_for_sleep(here);
        const auto got =
            run({{{raise(4), raise(5)}, 8s, "atomic"}, {{call("commits", 20)}}, {{raise(1)}}});
        other.join();
        INFO(run.reply(0) << run.reply(1) << run.counters.reruns.load());
        CHECK(is_applied(got[0][0]));
        CHECK(is_applied(got[0][1]));
        CHECK(is_applied(got[2][0]));
        CHECK(run.counters.reruns.load() > 0);
        CHECK(run.values("id IN (1, 4, 20)") == "1,1,1\n"); // called once
        if (got[1][0].effect == effect::applied) {
            CHECK(run.values("id = 21") == "1\n");
        }
    }
}

TEST_CASE("procedures with handlers wait as the server has it, others as statements do",
          "[mariadb]") {
    world here;
    shop run{here};
    const std::string ask = R"({"template":"rows","op":"call","name":")";
    static_cast<void>(run(
        {{{ask + "patience\"}", raise(1), ask + "handled\"}", raise(2), ask + "patience\"}"}}}));
    const auto reply = run.reply(0);
    const auto own = here.sql("SELECT @@global.innodb_lock_wait_timeout");
    INFO(reply);
    const auto handled = reply.find("\"seconds\":" + own.substr(0, own.size() - 1));
    CHECK(handled != std::string::npos);
    CHECK(reply.find("\"seconds\":1}") < handled);
    CHECK(reply.rfind("\"seconds\":1}") != std::string::npos);
    CHECK(reply.rfind("\"seconds\":1}") > handled);
    const auto before = here.sql("SELECT variable_value FROM information_schema.global_status "
                                 "WHERE variable_name = 'COM_SET_OPTION'");
    constexpr int units = 40;
    for (int i = 0; i < units; ++i) { // nothing is set again in the good case
        static_cast<void>(run({{{raise(1), call("raise", 2), insert(300 + i)}}}));
    }
    const auto after = here.sql("SELECT variable_value FROM information_schema.global_status "
                                "WHERE variable_name = 'COM_SET_OPTION'");
    CHECK(std::stoi(after) - std::stoi(before) < units / 2); // of all that use this server
}
