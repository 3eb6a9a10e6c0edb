#include "adapters/mariadb/session.hpp"
#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

#include <set>
#include <sstream>
#include <thread>

using namespace beds;
using namespace beds::test;
using adapters::commit_result;
using adapters::step_result;
using core::code;
using core::effect;
using testing::operations;

namespace {

operations& transfer(operations& work, const templates::template_def& target) {
    work.update(target, {1}).inc({{"balance", -1}});
    work.update(target, {2}).inc({{"balance", 1}});
    return work;
}

} // namespace

TEST_CASE("a killed connection breaks the unit, and connect starts over", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    transfer(work, target);
    REQUIRE(write(*session, work).commit == commit_result::applied);

    const auto kill_all = [&] {
        const auto ids = here.control().mariadb_root(
            "SELECT id FROM information_schema.processlist WHERE db = '" + here.database() + "'");
        std::istringstream lines{ids};
        for (std::string id; std::getline(lines, id);) {
            here.control().mariadb_root("KILL CONNECTION " + id);
        }
    };
    std::vector<adapters::stored_reply> known;
    std::vector<core::outcome> results(2);
    testing::recording_sink rows;
    const auto until = core::deadline::after(5s);
    SECTION("before a statement") {
        kill_all();
        CHECK(write(*session, work).step == step_result::broken);
    }
    SECTION("between two statements of a unit") {
        REQUIRE(session->begin(adapters::work_kind::write, until, {}, adapters::lookup::none,
                               work.memory(), known) == step_result::done);
        REQUIRE(session->run(work.group(0, 1, adapters::group_mode::independent), rows, results,
                             work.memory()) == step_result::done);
        kill_all();
        CHECK(session->run(work.group(1, 1, adapters::group_mode::independent), rows, results,
                           work.memory()) == step_result::broken);
        CHECK(session->seal({}) == step_result::broken);
        CHECK(session->commit() == commit_result::none);
        session->rollback();
    }
    SECTION("before the commit") {
        REQUIRE(session->begin(adapters::work_kind::write, until, {}, adapters::lookup::none,
                               work.memory(), known) == step_result::done);
        REQUIRE(session->run(work.group(), rows, results, work.memory()) == step_result::done);
        kill_all();
        CHECK(session->commit() == commit_result::unknown);
    }
    SECTION("while it rests") {
        CHECK(session->alive(core::deadline::after(1s)));
        kill_all();
        CHECK_FALSE(session->alive(core::deadline::after(1s)));
    }
    CHECK_FALSE(session->usable());
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "99.00\n");
    session->connect(core::deadline::after(5s));
    CHECK(session->usable());
    CHECK(write(*session, work).commit == commit_result::applied);
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "98.00\n");
}

TEST_CASE("a server that dies, freezes and comes back", "[mariadb][slow]") {
    private_servers server{test::server::mariadb};
    world here{server.mariadb(), server};
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    transfer(work, target);
    REQUIRE(write(*session, work).commit == commit_result::applied);

    server.kill(test::server::mariadb);
    CHECK(write(*session, work).step == step_result::broken);
    CHECK_FALSE(session->usable());
    const auto refused = [&](std::chrono::milliseconds budget) {
        try {
            session->connect(core::deadline::after(budget));
        } catch (const core::error& why) {
            CHECK(why.handle() == core::handle_state::broken);
            return why.code() == core::errc::unreachable;
        }
        return false;
    };
    CHECK(refused(1s));
    server.start(test::server::mariadb);
    session->connect(core::deadline::after(5s));
    CHECK(write(*session, work).commit == commit_result::applied);
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "98.00\n");

    server.pause(test::server::mariadb);
    const auto began = core::machine_clock().steady_now();
    const auto frozen = run(*session, work, adapters::work_kind::write, {},
                            adapters::group_mode::independent, core::deadline::after(500ms));
    const auto took = core::machine_clock().steady_now() - began;
    CHECK(frozen.step == step_result::expired);
    CHECK(took < 1200ms);
    CHECK(refused(1s)); // accepted by the kernel, greeted by nobody
    CHECK(core::machine_clock().steady_now() - began < 4s);
    server.resume(test::server::mariadb);
    session->connect(core::deadline::after(5s));
    CHECK(write(*session, work).commit == commit_result::applied);
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1000.00\n");
}

TEST_CASE("a statement ends with its deadline, and the session lives", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql(
        "CREATE VIEW slow AS SELECT id, owner, balance, status, SLEEP(5) AS nap FROM accounts");
    auto target = testing::template_maker("slow")
                      .field("id", "int64")
                      .field("nap", "int32")
                      .key({"id"})
                      .build();
    auto session = here.session();
    operations work;
    work.fetch(target, {1});
    const auto began = core::machine_clock().steady_now();
    const auto got = run(*session, work, adapters::work_kind::read, {},
                         adapters::group_mode::independent, core::deadline::after(400ms));
    CHECK(got.step == step_result::expired);
    CHECK(core::machine_clock().steady_now() - began < 700ms);
    CHECK(session->usable());

    const auto plain = accounts();
    operations after;
    after.fetch(plain, {1});
    CHECK(read(*session, after).rows.of(0).rows.size() == 1);
    SECTION("waiting for a row lock too") {
        auto holder = here.session();
        operations held;
        held.update(plain, {1}).inc({{"balance", 1}});
        std::vector<adapters::stored_reply> known;
        std::vector<core::outcome> results(1);
        testing::recording_sink rows;
        REQUIRE(holder->begin(adapters::work_kind::write, core::deadline::after(5s), {},
                              adapters::lookup::none, held.memory(), known) == step_result::done);
        REQUIRE(holder->run(held.group(), rows, results, held.memory()) == step_result::done);
        operations wants;
        wants.update(plain, {1}).inc({{"balance", 1}});
        wants.update(plain, {2}).inc({{"balance", 1}});
        const auto waited = run(*session, wants, adapters::work_kind::write, {},
                                adapters::group_mode::independent, core::deadline::after(300ms));
        CHECK(waited.step == step_result::expired);
        CHECK(session->usable());
        holder->rollback();
        CHECK(write(*session, wants).commit == commit_result::applied);
        CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1002.00\n");
    }
}

TEST_CASE("a row that reaches beyond its packet is a broken connection", "[mariadb]") {
    world here;
    auto session = here.session();
    auto& link = dynamic_cast<adapters::mariadb::mariadb_session&>(*session).link();
    core::arena memory;
    using adapters::mariadb::statement;
    for (const int number : {250, 251, 252 + (1000 << 8), 253 + (1000 << 8), 254, 255}) {
        auto* const made =
            link.prepared("SELECT 'before', 1 + " + std::to_string(number - 1) + ", 'after'");
        REQUIRE(made != nullptr);
        REQUIRE(made->execute({}, 1 << 20, memory));
        CHECK(made->fetch() == statement::fetched::row);
        CHECK(made->cells()[2].text() == "after");
        CHECK(made->fetch() == statement::fetched::end);
        // Read as a text, the bytes of this number are its length.
        REQUIRE(made->execute({}, 1 << 20, memory));
        const_cast<MYSQL_FIELD&>(made->column(1)).type = MYSQL_TYPE_BLOB;
        CHECK(made->fetch() == statement::fetched::failed);
        CHECK(made->error().number == 2027);
        CHECK(adapters::mariadb::classify(made->error()).reach ==
              adapters::mariadb::reach::session);
        link.close();
        session->connect(core::deadline::after(5s));
    }
}

TEST_CASE("SQL in every string is data", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE words (word VARCHAR(200) PRIMARY KEY, note TEXT, n INT)");
    const auto target = testing::template_maker("words")
                            .field("word", "string:200", {.indexed = true})
                            .field("note", "string", {.indexed = true})
                            .field("n", "int32")
                            .key({"word"})
                            .build();
    const std::vector<std::string> payloads{
        "' OR '1'='1",
        "'; DROP TABLE words; -- ",
        "\\'; DELETE FROM words; #",
        "\" UNION SELECT user, password FROM mysql.user -- ",
        "`; TRUNCATE words; --",
        "*/ DROP TABLE words /*",
        "%' OR note LIKE '%",
        "1; LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE words",
        "\xE2\x80\x98 OR 1=1",
        "? ? ?",
        "@@version",
        "0x27204f5220313d31",
        "a\\",
        "''''",
    };
    here.control().mariadb_root("SET GLOBAL general_log = 'ON', GLOBAL log_output = 'TABLE'");
    const auto before = here.sql("SELECT table_name, column_name FROM information_schema.columns "
                                 "WHERE table_schema = DATABASE() ORDER BY 1, 2");
    auto session = here.session("sql in strings");
    operations inserts;
    operations updates;
    operations reads;
    for (const auto& each : payloads) {
        inserts.insert(target, {{"word", each}, {"note", each}, {"n", 0}});
        updates.update(target, {each}).set({{"note", each + each}}).inc({{"n", 1}});
        reads.fetch(target, {each});
    }
    const identities who{.principal = payloads[0], .ids = payloads};
    REQUIRE(write(*session, inserts, who).commit == commit_result::applied);
    REQUIRE(write(*session, updates).commit == commit_result::applied);
    auto got = read(*session, reads);
    for (unsigned i = 0; i < payloads.size(); ++i) {
        REQUIRE(got.rows.of(i).rows.size() == 1);
        CHECK(got.rows.of(i).rows[0].at("word").view().text == payloads[i]);
        CHECK(got.rows.of(i).rows[0].at("note").view().text == payloads[i] + payloads[i]);
    }
    for (const auto& each : payloads) {
        operations finds;
        finds.find(target).where("note", each + each).sort({"word"}).limit(10);
        finds.find(target)
            .where("word", adapters::comparison::prefix, {each})
            .sort({"word"})
            .limit(10);
        got = read(*session, finds);
        CHECK(got.rows.of(0).rows.size() == 1);
        CHECK(got.rows.of(1).rows.size() == 1);
        operations counts;
        counts.count(target).where("note", adapters::comparison::in, {each, each + each});
        CHECK(read(*session, counts).rows.of(0).total == 1U);
        operations exist;
        exist.exists(target).where("note", each);
        CHECK(read(*session, exist).rows.of(0).exists == false);
        operations one;
        one.update(target, {each}).set({{"note", each}}).expect({{"note", each + each}});
        CHECK(write(*session, one)[0].effect == effect::applied);
    }
    auto again = who;
    again.how = adapters::lookup::all;
    CHECK(write(*session, inserts, again).known.size() == payloads.size());
    operations removals;
    for (const auto& each : payloads) {
        removals.remove(target, {each});
    }
    CHECK(write(*session, removals).commit == commit_result::applied);
    CHECK(here.sql("SELECT COUNT(*) FROM words") == "0\n");
    CHECK(here.sql("SELECT table_name, column_name FROM information_schema.columns "
                   "WHERE table_schema = DATABASE() ORDER BY 1, 2") == before);

    // What was prepared holds no value: every statement is one of a few known shapes.
    here.control().mariadb_root("SET GLOBAL general_log = 'OFF'");
    const auto prepared = here.control().mariadb_root(
        "SELECT DISTINCT argument FROM mysql.general_log WHERE command_type = 'Prepare' AND "
        "argument LIKE '/* beds words.%'");
    const auto other = here.control().mariadb_root(
        "SELECT COUNT(*) FROM mysql.general_log WHERE command_type IN ('Prepare', 'Query') AND "
        "thread_id IN (SELECT DISTINCT thread_id FROM mysql.general_log WHERE command_type = "
        "'Prepare' AND argument LIKE '/* beds words.%') AND argument NOT LIKE '/* beds %' AND "
        "argument NOT LIKE 'SET %' AND argument NOT LIKE 'SELECT @@max_allowed_packet, %' AND "
        "argument NOT IN ('COMMIT', 'ROLLBACK', 'SAVEPOINT beds_group', "
        "'BEGIN NOT ATOMIC DO 0; END', 'DO 0') AND argument NOT LIKE 'DO GET_LOCK(%'");
    CHECK(other == "0\n");
    for (const std::string_view part : {"DROP", "UNION SELECT user", "LOAD", "1'='1", "TRUNCATE"}) {
        CHECK(prepared.find(part) == std::string::npos);
    }
    CHECK(prepared.find("words.insert") != std::string::npos);
    CHECK(prepared.find("words.update") != std::string::npos);
}

TEST_CASE("statements per session are bounded", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    for (unsigned mask = 1; mask < 16; ++mask) {
        for (unsigned size = 1; size <= 256; size *= 2) {
            for (int twice = 0; twice < 3; ++twice) {
                operations work;
                std::vector<std::string> fields;
                const std::vector<std::string> all{"id", "owner", "balance", "status"};
                for (unsigned bit = 0; bit < 4; ++bit) {
                    if ((mask >> bit & 1U) != 0) {
                        fields.push_back(all[(bit + static_cast<unsigned>(twice)) % 4]);
                    }
                }
                for (unsigned i = 0; i < size; ++i) {
                    work.fetch(target, {static_cast<int>(i)}).fields(fields);
                }
                REQUIRE(read(*session, work).step == step_result::done);
            }
        }
    }
    const auto count = here.control().mariadb_root(
        "SELECT SUM(variable_value) FROM information_schema.global_status WHERE variable_name = "
        "'Prepared_stmt_count'");
    CHECK(std::stoi(count) < 3000); // of all that use this server
    operations work;
    work.fetch(target, {1});
    CHECK(read(*session, work).rows.of(0).rows.size() == 1);
}

TEST_CASE("who may not connect is told so", "[mariadb]") {
    world here;
    auto settings = here.settings();
    const auto fails_as =
        [](const config::rel_service_settings& with) -> std::optional<core::errc> {
        auto session = adapters::make_mariadb("rel", with)
                           ->open_session({.name = "x", .supervisor = nullptr, .log = {}});
        try {
            session->connect(core::deadline::after(2s));
        } catch (const core::error& why) {
            CHECK(why.origin() == core::error_origin::mariadb);
            CHECK(std::string{why.what()}.find(with.host) == std::string::npos);
            return static_cast<core::errc>(why.code().value());
        }
        return std::nullopt;
    };
    CHECK_FALSE(fails_as(settings));
    SECTION("password") {
        settings.pass = core::secret{"wrong"};
        CHECK(fails_as(settings) == core::errc::refused);
    }
    SECTION("database") {
        settings.database = "beds_there_is_none";
        CHECK(fails_as(settings) == core::errc::refused);
    }
    SECTION("port") {
        settings.port = 1;
        CHECK(fails_as(settings) == core::errc::unreachable);
    }
    SECTION("socket") {
        const auto socket = environment("BEDS_MARIADB_SOCKET");
        REQUIRE(socket);
        settings.port = 1; // not used then
        settings.socket = *socket;
        CHECK_FALSE(fails_as(settings));
        settings.socket += ".none";
        CHECK(fails_as(settings) == core::errc::unreachable);
    }
    SECTION("a certificate of its own") {
        settings.user = unique_name("u");
        here.control().mariadb_root("CREATE USER " + settings.user + " IDENTIFIED BY '" +
                                    settings.pass.reveal() + "' REQUIRE X509; GRANT ALL ON " +
                                    here.database() + ".* TO " + settings.user);
        settings.tls.enabled = true;
        settings.tls.ca = require_tls_ca();
        CHECK(fails_as(settings) == core::errc::refused);
        // The server's serves as one.
        settings.tls.cert = settings.tls.ca.parent_path() / "server.pem";
        settings.tls.key = settings.tls.ca.parent_path() / "server.key";
        CHECK_FALSE(fails_as(settings));
        here.control().mariadb_root("DROP USER " + settings.user);
    }
    SECTION("TLS") {
        settings.tls.enabled = true;
        settings.tls.ca = require_tls_ca();
        CHECK_FALSE(fails_as(settings));
        settings.tls.ca = require_tls_other_ca();
        CHECK(fails_as(settings) == core::errc::refused);
        settings.tls.ca.clear(); // the system's trust does not know this one
        CHECK(fails_as(settings) == core::errc::refused);
        settings.tls.verify = false;
        CHECK_FALSE(fails_as(settings));
        settings.tls.ca = require_tls_other_ca();
        CHECK_FALSE(fails_as(settings));
        settings.tls.verify = true;
        settings.tls.ca = require_tls_ca();
        settings.host = "127.1"; // the same machine, but no name of the certificate
        CHECK(fails_as(settings) == core::errc::refused);
    }
}

TEST_CASE("a session is set up as it must be", "[mariadb]") {
    world here;
    const auto target = testing::template_maker("facts")
                            .object("information_schema.system_variables")
                            .field("name", "string", {.column = "variable_name"})
                            .field("value", "string", {.column = "session_value"})
                            .key({"name"})
                            .build();
    auto session = here.session("rel.read/7");
    const auto value = [&](adapters::work_kind kind, std::string name) {
        operations work;
        work.fetch(target, {std::move(name)});
        const auto got = run(*session, work, kind);
        INFO(here.log().text());
        REQUIRE(got.rows.of(0).rows.size() == 1);
        return std::string{got.rows.of(0).rows[0].at("value").view().text};
    };
    using adapters::work_kind;
    CHECK(value(work_kind::read, "TX_ISOLATION") == "READ-COMMITTED");
    CHECK(value(work_kind::read, "TIME_ZONE") == "+00:00");
    CHECK(value(work_kind::read, "SQL_MODE").find("STRICT_ALL_TABLES") != std::string::npos);
    CHECK(value(work_kind::read, "COLLATION_CONNECTION") == "utf8mb4_bin");
    CHECK(value(work_kind::read, "AUTOCOMMIT") == "ON");
    CHECK(value(work_kind::write, "AUTOCOMMIT") == "OFF");
    CHECK(value(work_kind::read, "AUTOCOMMIT") == "ON");
    const auto limit = std::stod(value(work_kind::read, "MAX_STATEMENT_TIME"));
    CHECK(limit > 10);
    CHECK(limit < 40);
}
