// What a node does when its templates do not fit the live MongoDB.
#include "integration/mongodb/fixture.hpp"
#include "integration/mongodb/scripted_server.hpp"
#include "support/becomes.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/gate.hpp"
#include "support/running_node.hpp"

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;
using config::mismatch_action;

namespace {

constexpr const char* things = R"([template]
name = "things"
store = "rec"
object = "things"
key = ["id"]
[fields]
id = { type = "int64", required = true }
n = { type = "int64" }
)";
constexpr const char* others = R"([template]
name = "others"
store = "rec"
object = "others"
key = ["id"]
[fields]
id = { type = "int64", required = true, column = "_id" }
)";

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

struct world {
    world() : way(server.host, server.port) {
        files.write("things.toml", things);
        files.write("others.toml", others);
        key();
        data.run(R"({"create": "others"})");
        data.run(R"({"createIndexes": "beds_inbox", "indexes": [{"key": {"t": 1}, "name": "w",
                     "expireAfterSeconds": 86400}]})");
    }
    void key() {
        data.run(R"({"createIndexes": "things", "indexes": [{"key": {"id": 1}, "name": "key",
                     "unique": true}]})");
    }
    void no_key() { data.run(R"({"dropIndexes": "things", "index": "key"})"); }
    void start(mismatch_action action) {
        node_options options;
        options.mongodb = mongodb::settings_for(
            "mongodb://127.0.0.1:" + std::to_string(way.port()) + "/", data.name());
        options.mongodb->connect_timeout = 2s;
        options.on_mismatch = action;
        options.directory = files.root();
        running = std::make_unique<running_node>(rabbitmq, nullptr, options);
    }
    [[nodiscard]] core::code code_of(client::operation asked) const {
        const auto client = running->new_client();
        const auto reply = client->call(std::move(asked), 10s);
        return reply.front().ok() ? core::code::ok : reply.front().code();
    }
    [[nodiscard]] core::code insert(std::int64_t id) const {
        return code_of(client::insert("things", client::members{{"id", id}}));
    }
    [[nodiscard]] std::string trouble() const {
        for (const auto& each : running->node().status().dependencies) {
            if (each.name == "schema rec" && !each.ready) {
                return each.trouble;
            }
        }
        return {};
    }
    [[nodiscard]] bool ready() const {
        return running->node().wait_ready(core::deadline::after(long_enough));
    }

    endpoint rabbitmq = require_amqp();
    endpoint server = require_mongodb();
    mongodb::raw_database data{server.uri, unique_name()};
    gate way;
    folder files;
    std::unique_ptr<running_node> running;
};

} // namespace

TEST_CASE("MongoDB: stop: a node does not start over a collection without the unique index of its "
          "key") {
    world here;
    here.no_key();
    try {
        here.start(mismatch_action::stop);
        FAIL("it started");
    } catch (const core::error& refused) {
        INFO(refused.message());
        CHECK(refused.code() == core::errc::invalid_template);
        CHECK(contains(refused.message(),
                       "things.toml:5: template.key: error: no unique index of 'things'"));
        CHECK_FALSE(contains(refused.message(), "others.toml"));
    }
    here.key();
    here.start(mismatch_action::stop);
    CHECK(here.ready());
    CHECK(here.insert(1) == core::code::ok);
    CHECK(here.insert(1) == core::code::duplicate_key);
}

TEST_CASE("MongoDB: leave_out, warn and ignore do as on MariaDB") {
    world here;
    here.no_key();
    here.start(mismatch_action::leave_out);
    CHECK(here.ready());
    CHECK(here.insert(1) == core::code::unknown_template);
    CHECK(here.code_of(client::count("others")) == core::code::ok);
    CHECK(contains(here.running->log(), "BEDS_TEMPLATE_LEFT_OUT"));
    here.running.reset();
    here.start(mismatch_action::warn);
    CHECK(here.ready());
    CHECK(here.insert(1) == core::code::ok);
    CHECK(becomes([&] { return contains(here.trouble(), "template.key: error"); }));
    CHECK(contains(here.running->log(), "BEDS_SCHEMA_MISMATCH"));
    here.running.reset();
    here.start(mismatch_action::ignore);
    CHECK(here.ready());
    CHECK(here.insert(2) == core::code::ok);
    CHECK_FALSE(contains(here.running->log(), "BEDS_SCHEMA"));
}

TEST_CASE("MongoDB: a reload that brings what does not fit is refused, and the old one serves") {
    world here;
    here.start(mismatch_action::stop);
    REQUIRE(here.ready());
    here.files.write("things.toml", std::string{things} + "[[index]]\nfields = [\"n\"]\n");
    const auto refused = here.running->node().reload_templates(core::deadline::after(long_enough));
    CHECK(refused.result == node::reload_result::refused);
    REQUIRE(refused.problems.size() == 1);
    CHECK(contains(refused.problems.front(),
                   "things.toml:9: index[0]: error: 'things' has no index that begins with n"));
    CHECK(here.insert(1) == core::code::ok);
    here.data.run(R"({"createIndexes": "things", "indexes": [{"key": {"n": 1}, "name": "n"}]})");
    CHECK(here.running->node().reload_templates(core::deadline::after(long_enough)).result ==
          node::reload_result::changed);
}

TEST_CASE("MongoDB: when the database was away and comes back changed, the template is not served "
          "until it fits") {
    world here;
    here.start(mismatch_action::stop);
    REQUIRE(here.ready());
    CHECK(here.insert(1) == core::code::ok);
    here.no_key();
    here.way.reset();
    CHECK(becomes([&] {
        return here.code_of(client::count("things")) == core::code::backend_unavailable &&
               !here.trouble().empty();
    }));
    CHECK(contains(here.trouble(), "template.key: error: no unique index"));
    CHECK(becomes([&] { return here.code_of(client::count("others")) == core::code::ok; }));
    CHECK_FALSE(here.running->node().status().ready);
    here.key();
    CHECK(becomes([&] { return here.code_of(client::count("things")) == core::code::ok; }));
    CHECK(here.ready());
}

TEST_CASE("MongoDB: the server is told which node and broker each connection is of") {
    mongodb::scripted_server server{
        [](std::string_view, const std::string&) { return mongodb::scripted_reply{}; }};
    node_options options{.rec = {.read = 2, .write = 1, .bulk = 0}};
    options.mongodb = mongodb::settings_for(server.uri(), "db");
    options.templates = {things};
    options.on_mismatch = mismatch_action::ignore;
    const running_node running{require_amqp(), nullptr, options};
    for (const std::string name : {"rec.read/0", "rec.read/1", "rec.write/0"}) {
        INFO(name);
        CHECK(becomes([&] {
            const auto all = server.greetings();
            return std::any_of(all.begin(), all.end(), [&](const auto& each) {
                return contains(each, R"("application" : { "name" : "test )" + name + R"(" })");
            });
        }));
    }
}
