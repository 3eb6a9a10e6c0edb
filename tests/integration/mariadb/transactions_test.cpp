#include "adapters/mariadb/session.hpp"
#include "adapters/no_rows.hpp"
#include "integration/mariadb/batches.hpp"

#include <sstream>
#include <thread>

using namespace beds;
using namespace beds::test;
using adapters::commit_result;
using adapters::step_result;
using adapters::work_kind;
using core::code;
using core::effect;
using testing::operations;

namespace {

templates::template_def with_calls(const std::vector<std::string>& names) {
    auto made = testing::template_maker("accounts")
                    .field("id", "int64")
                    .field("owner", "string:40", {.indexed = true})
                    .field("balance", "decimal(18,2)")
                    .field("status", "enum:open,frozen,closed")
                    .key({"id"})
                    .unique({"owner"});
    for (const auto& name : names) {
        templates::call called;
        called.name = name;
        called.routine = "sp_" + name;
        called.op_class = core::op_class::write;
        called.args = {{"id", *core::parse_field_type("int64")}};
        made.call(std::move(called));
    }
    return made.build();
}

/// Accounts that are called by `p`, which is sp_p(p_id).
const auto accounts_and_p = std::string{accounts_text} + R"toml(
[calls.p]
procedure = "sp_p"
dynamic_sql = true
class = "write"
args = [["id", "int64"]]
)toml";

/// CREATE OR REPLACE of `sp_NAME(p_id)`.
void make_procedure(const world& here, const std::string& name, const std::string& body) {
    here.sql("DELIMITER //\nCREATE OR REPLACE PROCEDURE sp_" + name + "(IN p_id BIGINT)\nBEGIN\n" +
             body + "\nEND//\nDELIMITER ;\n");
}

/// One unit of work, step by step.
struct unit {
    unit(adapters::session& of, operations& given)
        : session(of), work(given), results(given.size()) {}

    step_result begin(core::deadline until = core::deadline::after(10s)) {
        return session.begin(work_kind::write, until, ids, adapters::lookup::none, work.memory(),
                             known);
    }
    step_result run(std::size_t first, std::size_t count,
                    adapters::group_mode mode = adapters::group_mode::independent) {
        return session.run(work.group(first, count, mode), rows, results, work.memory());
    }

    adapters::session& session;
    operations& work;
    std::vector<core::outcome> results;
    std::vector<adapters::operation_identity> ids;
    std::vector<adapters::stored_reply> known;
    testing::recording_sink rows;
};

void kill_connections(const world& here) {
    const auto ids = here.control().mariadb_root(
        "SELECT id FROM information_schema.processlist WHERE db = '" + here.database() + "'");
    std::istringstream lines{ids};
    for (std::string id; std::getline(lines, id);) {
        here.control().mariadb_root("KILL CONNECTION " + id);
    }
}

std::string balance(const world& here, int id) {
    return here.sql("SELECT balance FROM accounts WHERE id = " + std::to_string(id));
}

/// Loses the transaction when an operation's rows are forgotten: after a refused INSERT and before
/// its savepoint is gone back to.
class losing_sink final : public adapters::no_rows_sink {
public:
    explicit losing_sink(adapters::session& of)
        : link_(dynamic_cast<adapters::mariadb::mariadb_session&>(of).link()) {}
    void reset(core::op_index) override {
        if (!lost_) {
            lost_ = true;
            REQUIRE(link_.command("ROLLBACK"));
        }
    }

private:
    adapters::mariadb::connection& link_;
    bool lost_ = false;
};

} // namespace

TEST_CASE("what a procedure does to autocommit ends with its unit", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedure(here, "auto",
                   "SET autocommit = 1; UPDATE accounts SET balance = balance + 1 WHERE id = p_id;"
                   "IF p_id = 9 THEN SIGNAL SQLSTATE '45000'; END IF;");
    const auto target = with_calls({"auto"});
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    operations plain;
    plain.update(target, {1}).inc({{"balance", 1}});
    REQUIRE(write(*session, plain).commit == commit_result::applied);
    operations calls;
    const int row = GENERATE(2, 9);
    CAPTURE(row);
    calls.call(target, "auto", {row});
    const auto called = write(*session, calls, {.ids = {"a"}});
    REQUIRE(called.commit == commit_result::applied);
    CHECK(called[0].effect == (row == 2 ? effect::applied : effect::unknown));

    unit undone{*session, plain};
    REQUIRE(undone.begin() == step_result::done);
    REQUIRE(undone.run(0, 1) == step_result::done);
    session->rollback();
    CHECK(balance(here, 1) == "101.00\n");

    const identities who{.ids = {"k"}};
    REQUIRE(write(*session, plain, who).commit == commit_result::applied);
    CHECK(write(*session, plain, who).step == step_result::known_id);
    CHECK(balance(here, 1) == "102.00\n");

    operations both;
    both.update(target, {1}).inc({{"balance", 50}});
    both.update(target, {77}).inc({{"balance", 1}});
    const auto got = write(*session, both, {}, adapters::group_mode::atomic);
    CHECK(got[0].status == core::status::skipped);
    CHECK(got[1].code == code::not_found);
    CHECK(balance(here, 1) == "102.00\n");
}

TEST_CASE("autocommit changed within a unit does not reach the rest of it", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedure(here, "auto", "SET autocommit = 1;");
    const auto target = with_calls({"auto"});
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    operations work;
    work.call(target, "auto", {1});
    work.update(target, {1}).inc({{"balance", 1}});
    unit both{*session, work};
    REQUIRE(both.begin() == step_result::done);
    REQUIRE(both.run(0, 1) == step_result::done);
    REQUIRE(both.run(1, 1) == step_result::done);
    session->rollback();
    CHECK(balance(here, 1) == "100.00\n");
}

TEST_CASE("a savepoint that is gone ends the unit", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    work.insert(target, {{"id", 20}, {"owner", "x"}, {"balance", 0}, {"status", "open"}});
    work.insert(target, {{"id", 21}, {"owner", "owner1"}, {"balance", 0}, {"status", "open"}});
    unit doubtful{*session, work};
    REQUIRE(doubtful.begin() == step_result::done);
    REQUIRE(doubtful.run(0, 1) == step_result::done);
    losing_sink loses{*session};
    CHECK(session->run(work.group(1, 2, adapters::group_mode::independent), loses, doubtful.results,
                       work.memory()) == step_result::rerun);
    session->rollback();

    unit again{*session, work};
    REQUIRE(again.begin() == step_result::done);
    REQUIRE(again.run(0, 1) == step_result::done);
    REQUIRE(again.run(1, 2) == step_result::done);
    REQUIRE(session->commit() == commit_result::applied);
    CHECK(balance(here, 1) == "101.00\n");
    CHECK(here.sql("SELECT COUNT(*) FROM accounts WHERE id >= 20") == "1\n");
}

TEST_CASE("a procedure that was changed to commit: nothing of its unit runs twice", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedure(here, "p", "UPDATE accounts SET balance = balance + 1 WHERE id = p_id;");
    make_procedure(here, "inner", "UPDATE accounts SET balance = balance + 1 WHERE id = p_id;");
    make_procedure(here, "outer", "CALL sp_inner(p_id);");
    const auto target = with_calls({"p", "outer"});
    auto session = here.session();
    auto other = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    REQUIRE_FALSE(here.adapter().runs_alone(target, core::verb::call, target.find_call("p")));
    REQUIRE_FALSE(here.adapter().runs_alone(target, core::verb::call, target.find_call("outer")));
    const std::string called = GENERATE("p", "outer");
    const bool fails = GENERATE(false, true);
    const auto mode = GENERATE(adapters::group_mode::independent, adapters::group_mode::atomic);
    CAPTURE(called, fails, mode == adapters::group_mode::atomic);
    make_procedure(here, called == "p" ? "p" : "inner",
                   "UPDATE accounts SET balance = balance + 1 WHERE id = p_id; COMMIT;" +
                       std::string{fails ? "SIGNAL SQLSTATE '45000';"
                                         : "UPDATE accounts SET "
                                           "balance = balance + 1 WHERE id = p_id;"});
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    work.update(target, {99}).inc({{"balance", 1}});
    work.call(target, called, {2});
    work.update(target, {3}).inc({{"balance", 1}});
    unit one{*session, work};
    REQUIRE(one.begin() == step_result::done);
    REQUIRE(one.run(0, 1) == step_result::done);
    REQUIRE(one.run(1, 1) == step_result::done);
    REQUIRE(one.run(2, 1, mode) == step_result::done);
    REQUIRE(one.run(3, 1) == step_result::done);
    const std::string reply = R"("status":"error")";
    const std::vector<adapters::sealed_reply> seals{{{1, "tester", "id", {}}, reply}};
    CHECK(session->seal(seals) == step_result::done);
    CHECK(session->commit() == commit_result::applied);
    INFO(here.log().text());
    CHECK(one.results[0].effect == effect::unknown);
    CHECK(one.results[0].code == code::internal);
    CHECK(one.results[0].at_least_once);
    CHECK(one.results[0].detail.find("COMMIT") == std::string_view::npos);
    CHECK_FALSE(one.rows.of(0).count);
    CHECK(one.results[1].code == code::not_found);
    CHECK(one.results[1].effect == effect::none);
    CHECK(one.results[2].effect == effect::unknown);
    CHECK_FALSE(one.results[2].ok());
    CHECK(one.results[3].effect == effect::none);
    CHECK(one.results[3].code == code::backend_conflict);
    CHECK(balance(here, 1) == "101.00\n");
    CHECK(balance(here, 2) == (fails ? "101.00\n" : "102.00\n"));
    CHECK(balance(here, 3) == "100.00\n");
    CHECK(here.log().has("BEDS_MARIADB_PROCEDURE"));
    CHECK(here.adapter().runs_alone(target, core::verb::call, target.find_call(called)));

    operations alone;
    alone.call(target, called, {4});
    const auto again = write(*other, alone, {.ids = {"b"}});
    CHECK(again.step == step_result::done);
    CHECK(again.commit == commit_result::applied);
    CHECK(again[0].at_least_once);
}

TEST_CASE("an atomic envelope whose procedure was changed to commit runs once, whatever it meets",
          "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedure(here, "p", "UPDATE accounts SET balance = balance + 1 WHERE id = p_id;");
    batches run{here, accounts_and_p};
    make_procedure(here, "p",
                   "UPDATE accounts SET balance = balance + 1 WHERE id = p_id; COMMIT;"
                   "IF p_id = 9 THEN EXECUTE IMMEDIATE CONCAT('KILL ', CONNECTION_ID()); END IF;");
    auto holder = here.session();
    const auto target = accounts();
    operations heavy;
    heavy.update(target, {3}).inc({{"balance", 1}});
    unit holds{*holder, heavy};
    REQUIRE(holds.begin() == step_result::done);
    REQUIRE(holds.run(0, 1) == step_result::done);

    // The connection ends within the call, or a row of the next operation is held until the end.
    const int row = GENERATE(9, 2);
    CAPTURE(row);
    const auto got =
        run({{{R"({"template":"accounts","op":"update","key":1,"inc":{"balance":"1"}})",
               R"({"template":"accounts","op":"call","name":"p","args":{"id":)" +
                   std::to_string(row) + "}}",
               R"({"template":"accounts","op":"update","key":3,"inc":{"balance":"1"}})"},
              2s,
              "atomic"}})[0];
    INFO(run.reply(0));
    INFO(here.log().text());
    CHECK(got[0].effect == effect::unknown);
    CHECK(got[1].effect == effect::unknown);
    // Where the connection broke, how far the envelope came is not known any more.
    CHECK(got[2].effect == (row == 9 ? effect::unknown : effect::none));
    holder->rollback();
    CHECK(balance(here, 1) == "101.00\n");
    CHECK(balance(here, row) == "101.00\n");
    CHECK(balance(here, 3) == "100.00\n");
}

TEST_CASE("what commits by itself is not called again", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedure(here, "slow",
                   "UPDATE accounts SET balance = balance + 1 WHERE id = p_id; COMMIT;"
                   "DO SLEEP(2);");
    make_procedure(here, "blocked",
                   "UPDATE accounts SET balance = balance + 1 WHERE id = p_id; COMMIT;"
                   "UPDATE accounts SET balance = balance + 1 WHERE id = 4;"
                   "UPDATE accounts SET balance = balance + 1 WHERE id = 5;");
    make_procedure(here, "late",
                   "UPDATE accounts SET balance = balance + 1 WHERE id = p_id;"
                   "COMMIT; SET p_id = SLEEP(0.6);");
    const auto target = with_calls({"slow", "blocked", "late"});
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    SECTION("its deadline passes") {
        const std::string name = GENERATE("slow", "late");
        operations work;
        work.call(target, name, {1});
        const auto got = run(*session, work, work_kind::write, {.ids = {"a"}},
                             adapters::group_mode::independent, core::deadline::after(400ms));
        CHECK(got.step == step_result::done);
        CHECK(got.commit == commit_result::applied);
        CHECK(got[0].code == code::deadline_exceeded);
        CHECK(got[0].effect == effect::unknown);
    }
    SECTION("its connection breaks") {
        operations work;
        work.call(target, "slow", {1});
        std::thread killer{[&] {
            std::this_thread::sleep_for(500ms);
            kill_connections(here);
        }};
        const auto got = write(*session, work, {.ids = {"a"}});
        killer.join();
        CHECK(got.step == step_result::done);
        CHECK(got.commit == commit_result::applied);
        CHECK(got[0].code == code::backend_unavailable);
        CHECK(got[0].effect == effect::unknown);
        CHECK_FALSE(session->usable());
        session->connect(core::deadline::after(5s));
    }
    SECTION("it meets a deadlock") {
        auto other = here.session();
        operations heavy;
        for (int id : {5, 6, 7, 8, 9, 10}) {
            heavy.update(target, {id}).inc({{"balance", 1}});
        }
        heavy.update(target, {4}).inc({{"balance", 1}});
        unit holder{*other, heavy};
        REQUIRE(holder.begin() == step_result::done);
        REQUIRE(holder.run(0, 6) == step_result::done);
        std::thread second{[&] {
            std::this_thread::sleep_for(300ms); // by then the call waits for row 5
            static_cast<void>(holder.run(6, 1));
            other->rollback();
        }};
        operations work;
        work.call(target, "blocked", {1});
        const auto got = write(*session, work, {.ids = {"a"}});
        second.join();
        CHECK(got.reruns == 0);
        CHECK(got.commit == commit_result::applied);
        CHECK(got[0].code == code::backend_conflict);
        CHECK(got[0].effect == effect::unknown);
        CHECK(balance(here, 4) == "100.00\n");
    }
    SECTION("its id was stored meanwhile") {
        here.sql("INSERT INTO beds_inbox (principal, id, content, reply) VALUES "
                 "('tester', 'a', REPEAT('x', 16), '')");
        operations work;
        work.call(target, "late", {1});
        const auto got = write(*session, work, {.ids = {"a"}});
        CHECK(got.step == step_result::done);
        CHECK(got.commit == commit_result::applied);
        CHECK(got[0].effect == effect::unknown);
    }
    CHECK(balance(here, 1) == "101.00\n");
    operations after;
    after.update(target, {1}).inc({{"balance", 1}});
    const auto went = write(*session, after);
    INFO(here.log().text());
    CHECK(went.step == step_result::done);
    CHECK(went.commit == commit_result::applied);
    CHECK(balance(here, 1) == "102.00\n");
}

TEST_CASE("a unit that nobody ended is undone by the next one", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    work.update(target, {2}).inc({{"balance", 1}});
    unit left{*session, work};
    REQUIRE(left.begin() == step_result::done);
    REQUIRE(left.run(0, 1) == step_result::done);
    REQUIRE(left.begin() == step_result::done);
    REQUIRE(left.run(1, 1) == step_result::done);
    REQUIRE(session->commit() == commit_result::applied);
    CHECK(balance(here, 1) == "100.00\n");
    CHECK(balance(here, 2) == "101.00\n");
}

TEST_CASE("a reply that the inbox does not take is stored in short", "[mariadb][slow]") {
    const auto store = [](world& here, std::size_t bytes) {
        make_accounts(here, 10);
        const auto target = accounts();
        auto session = here.session();
        operations work;
        for (int id : {1, 2, 3, 99}) {
            work.update(target, {id}).inc({{"balance", 1}});
        }
        const std::string large = R"("status":"ok","out":")" + std::string(bytes, 'x') + '"';
        const std::string small = R"("status":"ok")";
        unit one{*session, work};
        REQUIRE(one.begin() == step_result::done);
        REQUIRE(one.run(0, 4) == step_result::done);
        const std::vector<adapters::sealed_reply> seals{{{0, "tester", "a", {}}, small},
                                                        {{1, "tester", "b", {}}, large},
                                                        {{2, "tester", "c", {}}, small},
                                                        {{3, "tester", "d", {}}, large}};
        CHECK(session->seal(seals) == step_result::done);
        INFO(here.log().text());
        REQUIRE(session->usable());
        REQUIRE(session->commit() == commit_result::applied);
        CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1003.00\n");
        CHECK(here.sql("SELECT GROUP_CONCAT(id ORDER BY id) FROM beds_inbox "
                       "WHERE reply = '\"status\":\"ok\"'") == "a,c\n");
        const auto stored = here.sql("SELECT reply FROM beds_inbox WHERE id = 'b'");
        CHECK(stored.find(R"("status":"error")") == 0);
        CHECK(stored.find(R"("code":"LIMIT_EXCEEDED")") != std::string::npos);
        CHECK(stored.find(R"("effect":"applied")") != std::string::npos);
        const auto none = here.sql("SELECT reply FROM beds_inbox WHERE id = 'd'");
        CHECK(none.find(R"("code":"LIMIT_EXCEEDED")") != std::string::npos);
        CHECK(none.find(R"("effect":"applied")") == std::string::npos);
    };
    SECTION("larger than the column") {
        world here;
        store(here, 17U << 20U);
    }
    SECTION("the column is smaller than it was made") {
        world here;
        here.sql("ALTER TABLE beds_inbox MODIFY reply BLOB NOT NULL");
        store(here, 100'000);
    }
    SECTION("larger than a packet") {
        private_servers server{test::server::mariadb};
        server.mariadb_root("SET GLOBAL max_allowed_packet = 1048576");
        world here{server.mariadb(), server};
        store(here, 1'100'000);
    }
}

TEST_CASE("who cannot be named in the inbox writes nothing", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    for (int id : {1, 2, 3}) {
        work.update(target, {id}).inc({{"balance", 1}});
    }
    const std::string name = GENERATE(std::string(256, 'p'), std::string{"\xFF\xFE"});
    unit one{*session, work};
    one.ids = {{0, "tester", "a", {}}, {1, name, "b", {}}, {2, "tester", "c", {}}};
    const auto how = GENERATE(adapters::lookup::none, adapters::lookup::all);
    REQUIRE(session->begin(work_kind::write, core::deadline::after(5s), one.ids, how, work.memory(),
                           one.known) == step_result::done);
    const auto mode = GENERATE(adapters::group_mode::independent, adapters::group_mode::atomic);
    REQUIRE(one.run(0, 3, mode) == step_result::done);
    const std::string reply = R"("status":"ok")";
    std::vector<adapters::sealed_reply> seals;
    for (const auto& id : one.ids) {
        seals.push_back({id, reply});
    }
    REQUIRE(session->seal(seals) == step_result::done);
    REQUIRE(session->commit() == commit_result::applied);
    CHECK(one.results[1].code == code::limit_exceeded);
    CHECK(one.results[1].effect == effect::none);
    const bool atomic = mode == adapters::group_mode::atomic;
    CHECK(one.results[0].effect == (atomic ? effect::none : effect::applied));
    CHECK(one.results[0].ok() == !atomic);
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == (atomic ? "1000.00\n" : "1002.00\n"));
    CHECK(here.sql("SELECT COUNT(*) FROM beds_inbox") == "2\n");
}

TEST_CASE("without an inbox a write that is sent twice happens twice", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    auto settings = here.settings();
    settings.inbox = false;
    here.make_adapter(settings);
    CHECK_FALSE(here.adapter().can().inbox);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    const identities who{.ids = {"m1/0"}, .how = adapters::lookup::all};
    CHECK(write(*session, work, who).commit == commit_result::applied);
    CHECK(write(*session, work, who).commit == commit_result::applied);
    CHECK(balance(here, 1) == "102.00\n");
    CHECK(here.sql("SELECT COUNT(*) FROM beds_inbox") == "0\n");
}

TEST_CASE("what is no JSON fails its own operation", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE notes (id INT PRIMARY KEY, j LONGTEXT);"
             "INSERT INTO notes VALUES (1, '{\"a\": [1, 2]}'), (2, '{\"a\": [1'), (3, ''), "
             "(4, '\"x\"}, {\"y\"'), (5, NULL), (6, CONCAT(REPEAT('[', 200), REPEAT(']', 200)))");
    const auto target = testing::template_maker("notes")
                            .field("id", "int32")
                            .field("j", "json")
                            .key({"id"})
                            .build();
    auto session = here.session();
    operations reads;
    for (int id = 1; id <= 6; ++id) {
        reads.fetch(target, {id});
    }
    const auto got = read(*session, reads);
    for (const unsigned fine : {0U, 4U}) {
        CAPTURE(fine);
        CHECK(got[fine].ok());
        CHECK(got.rows.of(fine).rows.size() == 1);
    }
    for (const unsigned bad : {1U, 2U, 3U, 5U}) {
        CAPTURE(bad);
        CHECK(got[bad].code == code::internal);
        CHECK(got[bad].field == "j");
        CHECK(got.rows.of(bad).rows.empty());
    }
    operations finds;
    finds.find(target).where("id", 4).sort({"id"}).limit(10);
    finds.find(target).where("id", 1).sort({"id"}).limit(10);
    const auto found = read(*session, finds);
    CHECK(found[0].code == code::internal);
    CHECK(found[1].ok());
}

TEST_CASE("a lost connection is told once", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedure(here, "p", "UPDATE accounts SET balance = balance + 1 WHERE id = p_id;");
    const auto target = with_calls({"p"});
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    operations work;
    work.call(target, "p", {1});
    const auto mode = GENERATE(adapters::group_mode::independent, adapters::group_mode::atomic);
    unit one{*session, work};
    REQUIRE(one.begin() == step_result::done);
    kill_connections(here);
    CHECK(one.run(0, 1, mode) == step_result::broken);
    CHECK(here.log().has("BEDS_MARIADB_LOST"));
    CHECK_FALSE(here.log().has("BEDS_MARIADB_REFUSED"));
}

TEST_CASE("a procedure that was changed to commit, and whose connection dies in that very call, is "
          "not called again",
          "[mariadb]") {
    world here;
    make_accounts(here, 10);
    auto settings = here.settings();
    settings.coalesce = GENERATE("auto", "off");
    const int calls = GENERATE(1, 3);
    const std::string changed = GENERATE("commits", "inner commits", "nothing");
    CAPTURE(settings.coalesce, calls, changed);
    here.make_adapter(settings);
    // A sequence keeps what is rolled back: the connection dies in the first call only.
    here.sql("CREATE SEQUENCE tries");
    const std::string add = "UPDATE accounts SET balance = balance + 1 WHERE id = p_id;";
    const std::string dies = "IF NEXTVAL(tries) = 1 THEN KILL CONNECTION_ID(); END IF;";
    make_procedure(here, "inner", "DO 0;");
    make_procedure(here, "p", add + "CALL sp_inner(p_id);" + (changed == "nothing" ? dies : ""));
    batches run{here, accounts_and_p};
    if (changed == "commits") {
        make_procedure(here, "p", add + "COMMIT;" + dies);
    } else if (changed == "inner commits") {
        make_procedure(here, "inner", "COMMIT;" + dies);
    }
    asked message{{R"({"template":"accounts","op":"update","key":1,"inc":{"balance":"1"}})"}};
    for (int i = 0; i < calls; ++i) {
        message.operations.push_back(
            R"({"template":"accounts","op":"call","name":"p","args":{"id":)" +
            std::to_string(i + 2) + "}}");
    }
    const auto got = run({message}).front();
    INFO(here.log().text());
    const bool again = changed == "nothing";
    for (const auto& each : got) {
        CHECK(each.effect == (again ? effect::applied : effect::unknown));
        CHECK(each.at_least_once == !again);
    }
    // What the dead call committed is there once, and nothing twice.
    CHECK(balance(here, 1) == "101.00\n");
    CHECK(balance(here, 2) == "101.00\n");
    for (int i = 1; i < calls; ++i) {
        CHECK(balance(here, i + 2) == (again ? "101.00\n" : "100.00\n"));
    }
    if (!again) {
        CHECK(here.log().has("the connection broke while it was at work, and it was changed"));
        const auto then =
            run({{{R"({"template":"accounts","op":"call","name":"p","args":{"id":9}})"}}});
        CHECK(then[0][0].effect == effect::applied);
        CHECK(then[0][0].at_least_once);
    }
}
