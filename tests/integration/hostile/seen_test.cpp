#include "statements.hpp"
#include "support/catch.hpp"
#include "support/running_node.hpp"

#include <sstream>
#include <thread>

// What an operator sees of a node on the database's side.

using namespace beds;
using namespace std::chrono_literals;

namespace {

constexpr const char* books = R"toml(
[template]
name = "books"
store = "rel"
object = "books"
key = ["id"]
[fields]
id = { type = "int64", required = true }
title = { type = "string", max = 80 }
kind = { type = "string", max = 20 }
[[index]]
fields = ["kind"]
[calls.nap]
function = "nap"
class = "read"
args = [["seconds", "int32"]]
out = [["result", "int32"]]
[calls.dream]
procedure = "dream"
class = "write"
args = [["seconds", "int32"]]
[calls.twice]
function = "twice"
class = "read"
args = [["n", "int64"]]
out = [["result", "int64"]]
)toml";

struct world {
    world()
        : rabbitmq(test::require_amqp()),
          server({test::server::mariadb}, {},
                 {"--performance-schema=ON", "--performance-schema-instrument=%=OFF"}),
          data(server.mariadb(), server), log(server) {
        data.sql(R"sql(
CREATE TABLE books (id BIGINT PRIMARY KEY, title VARCHAR(80), kind VARCHAR(20), KEY (kind))
  ENGINE=InnoDB;
DELIMITER //
CREATE PROCEDURE dream(IN seconds INT) MODIFIES SQL DATA BEGIN DO SLEEP(seconds); END//
DELIMITER ;
CREATE FUNCTION nap(seconds INT) RETURNS INT READS SQL DATA RETURN SLEEP(seconds);
CREATE FUNCTION twice(n BIGINT) RETURNS BIGINT NO SQL DETERMINISTIC RETURN 2 * n;
)sql");
        test::node_options options;
        options.rel = {.read = 2, .write = 1, .bulk = 1};
        options.templates.emplace_back(books);
        const auto rel = data.settings();
        running = std::make_unique<test::running_node>(rabbitmq, &rel, options);
        REQUIRE(running->ready(30s));
        client = running->new_client();
    }

    /// The node's sessions in the server's list: its names for them, and what they run now.
    [[nodiscard]] std::multimap<std::string, std::string> sessions() const {
        std::istringstream lines{server.mariadb_root(
            "SELECT n.attr_value, IFNULL(s.info, '') FROM information_schema.processlist s "
            "JOIN performance_schema.session_connect_attrs n ON n.processlist_id = s.id AND "
            "n.attr_name = 'beds_name'")}; // in a procedure `user` is its definer
        std::multimap<std::string, std::string> found;
        for (std::string line; std::getline(lines, line);) {
            const auto tab = line.find('\t');
            found.emplace(line.substr(0, tab), line.substr(tab + 1));
        }
        return found;
    }

    /// What one of them runs while a call of this name is under way; "": none did in time.
    [[nodiscard]] std::pair<std::string, std::string> seen_at(const char* call) const {
        std::pair<std::string, std::string> seen;
        std::thread sleeper{[&] {
            const auto own = running->new_client();
            const auto got = own->call(client::call("books", call, {{"seconds", 2}}));
            CHECK(got.ok());
        }};
        for (const auto until = core::deadline::after(10s); seen.second.empty();) {
            for (const auto& [name, statement] : sessions()) {
                if (!statement.empty()) {
                    seen = {name, statement};
                }
            }
            if (until.expired()) {
                break;
            }
        }
        sleeper.join();
        return seen;
    }

    test::endpoint rabbitmq;
    test::private_servers server;
    test::database data;
    test::general_log log;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<client::client> client;
};

std::set<std::string> names_in(const std::multimap<std::string, std::string>& sessions) {
    std::set<std::string> names;
    for (const auto& [name, statement] : sessions) {
        names.insert(name);
    }
    return names;
}

} // namespace

TEST_CASE("MariaDB's lists of sessions say which node and broker each is, and what it does") {
    const world here;
    const auto sessions = here.sessions();
    CHECK(names_in(sessions) == std::set<std::string>{"test rel.read/0", "test rel.read/1",
                                                      "test rel.write/0", "test rel.bulk/0"});
    CHECK(sessions.size() == 4);
    CHECK(here.data.number("SELECT COUNT(*) FROM performance_schema.session_connect_attrs WHERE "
                           "attr_name = 'program_name' AND attr_value = 'beds'") == 4);

    const auto reading = here.seen_at("nap");
    CHECK_THAT(reading.first, Catch::StartsWith("test rel.read/"));
    const auto writing = here.seen_at("dream"); // of a procedure MariaDB lists what it does within
    CHECK(writing.first == "test rel.write/0");
    CHECK_THAT(reading.second, Catch::StartsWith("/* beds books.nap */ SELECT "));
}

TEST_CASE("each statement of a node on MariaDB says for which template and operation it is") {
    world here;
    using client::operation;
    const auto done = [&](std::vector<operation> all) {
        const auto got =
            here.client->call(client::request{std::move(all), core::envelope_mode::sequence});
        INFO(got.json().substr(0, 500));
        CHECK(got.ok());
    };
    (void)here.log.take(); // of the start
    done({client::insert("books", {{"id", 1}, {"title", "one"}, {"kind", "a"}}),
          client::fetch("books", 1), client::find("books", {{"kind", "a"}}),
          client::update("books", 1, {{"title", "two"}}),
          client::call("books", "twice", {{"n", 4}}),
          client::call("books", "nap", {{"seconds", 0}}),
          client::call("books", "dream", {{"seconds", 0}}), client::remove("books", 1),
          client::count("books", {{"kind", "a"}}), client::exists("books", {{"kind", "a"}})});
    const auto from = [](const char* json) {
        return client::request::from_json(std::string{R"({"v":1,"template":"books","op":)"} + json +
                                          '}')
            .operations.front();
    };
    done(
        {from(
             R"("insert","data":{"id":2,"kind":"b"},"on_conflict":{"do":"update","set":["kind"]})"),
         from(
             R"("insert","data":{"id":3,"kind":"b"},"on_conflict":{"do":"nothing"},"return":["id"])"),
         from(R"("insert","data":[{"id":4,"kind":"c"},{"id":5,"kind":"c"}],"return":["title"])"),
         from(R"("update","key":2,"set":{"title":"x"},"return":["title"])"),
         from(R"("update","where":{"kind":"c"},"set":{"title":"y"})"),
         from(R"("update","where":{"kind":"c"},"set":{"title":"z"},"return":["id"])"),
         from(R"("update","key":2,"set":{"title":"u"},"if":{"title":"x"})"),
         from(R"("delete","key":3,"return":["id"])"), from(R"("delete","where":{"kind":"c"})"),
         from(R"("find","sort":["-kind"],"limit":1)")});
    const auto missed =
        here.client->call(from(R"("update","key":2,"set":{"title":"u"},"if":{"title":"?"})"));
    CHECK(missed.front().code() == core::code::conflict);
    std::vector<client::operation> together; // each a statement of several operations
    for (int id = 10; id < 20; ++id) {
        together.push_back(client::insert("books", {{"id", id}, {"kind", "d"}}));
    }
    done(together);
    together.clear();
    for (int id = 10; id < 20; ++id) {
        together.push_back(client::update("books", id, {{"kind", "e"}}));
    }
    done(together);
    together.clear();
    for (int id = 10; id < 20; ++id) {
        together.push_back(client::fetch("books", id));
    }
    done(together);
    together.clear();
    for (int id = 10; id < 20; ++id) {
        together.push_back(client::remove("books", id));
    }
    done(together);
    const auto made = here.log.take();
    std::set<std::string> with;
    std::set<std::string> without;
    for (const auto* all : {&made.prepared, &made.queries}) {
        for (const auto& [text, times] : *all) {
            const auto end = text.find(" */ ");
            if (text.starts_with("/* beds ") && end != std::string::npos) {
                with.insert(text.substr(8, end - 8));
            } else {
                without.insert(text);
            }
        }
    }
    CHECK(with == std::set<std::string>{"books.insert", "books.fetch", "books.find", "books.update",
                                        "books.twice", "books.nap", "books.dream", "books.delete",
                                        "books.count", "books.exists", "inbox.insert"});
    // Of no one operation.
    for (const auto& text : without) {
        CHECK_THAT(text, Catch::Equals("COMMIT") || Catch::StartsWith("SAVEPOINT beds_") ||
                             Catch::StartsWith("ROLLBACK TO SAVEPOINT beds_") ||
                             Catch::StartsWith("RELEASE SAVEPOINT beds_") ||
                             Catch::StartsWith("SET autocommit = "));
    }
}
