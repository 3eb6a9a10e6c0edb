// What a node does when its templates do not fit the live database.
#include "support/catch.hpp"
#include "support/counters.hpp"
#include "support/gate.hpp"

#include <thread>

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;
using config::mismatch_action;

namespace {

constexpr auto long_enough = 30s;

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

template <class Condition>
bool becomes(Condition condition) {
    const auto until = core::deadline::after(long_enough);
    while (!condition()) {
        if (until.expired()) {
            return false;
        }
        std::this_thread::sleep_for(20ms);
    }
    return true;
}

struct world {
    world() { make_counters(data, 3); }

    [[nodiscard]] node_options options(mismatch_action action) const {
        node_options made;
        made.templates = counter_templates();
        made.on_mismatch = action;
        return made;
    }

    endpoint rabbitmq = require_amqp();
    server_control control = shared_servers();
    database data{require_mariadb(), control};
    config::rel_service_settings settings = data.settings();
};

core::code code_of(const running_node& at, client::operation asked) {
    const auto client = at.new_client();
    const auto reply = client->call(std::move(asked), 10s);
    return reply.front().ok() ? core::code::ok : reply.front().code();
}

/// "" when there is no such dependency.
std::string trouble(const running_node& of, const std::string& name) {
    for (const auto& each : of.node().status().dependencies) {
        if (each.name == name && !each.ready) {
            return each.trouble;
        }
    }
    return {};
}

std::string step_of(const running_node& of, const std::string& name) {
    for (const auto& each : of.node().report()) {
        if (each.name == name) {
            return to_string(each);
        }
    }
    return {};
}

/// MariaDB behind a gate that lets nobody in.
struct away {
    explicit away(const world& of) : way(of.settings.host, of.settings.port) {
        settings = of.settings;
        settings.host = "127.0.0.1";
        settings.port = way.port();
        way.stop_accepting();
    }
    gate way;
    config::rel_service_settings settings;
};

} // namespace

TEST_CASE(
    "stop: a node does not start over a table that does not fit, and says all that is wrong") {
    const world here;
    {
        const running_node fine{here.rabbitmq, &here.settings, here.options(mismatch_action::stop)};
        CHECK(fine.node().wait_ready(core::deadline::after(long_enough)));
        CHECK(contains(step_of(fine, "schema rel"), "ok"));
        CHECK(contains(step_of(fine, "schema rel"), "2 template(s) fit"));
        CHECK(code_of(fine, client::fetch("counters", 1)) == core::code::ok);
    }
    here.data.sql("ALTER TABLE counters DROP COLUMN note; DROP PROCEDURE slow; DROP TABLE marks");
    try {
        const running_node stopped{here.rabbitmq, &here.settings,
                                   here.options(mismatch_action::stop)};
        FAIL("it started");
    } catch (const core::error& refused) {
        INFO(refused.message());
        CHECK(refused.code() == core::errc::invalid_template);
        CHECK(contains(refused.message(),
                       "test.toml:10: fields.note.column: error: 'counters' has no column 'note'"));
        CHECK(contains(refused.message(), "test.toml:19: calls.slow.procedure: error: there is no "
                                          "procedure 'slow'"));
        CHECK(contains(refused.message(), "test.toml:5: template.object: error: there is no table "
                                          "or view 'marks'"));
    }
}

TEST_CASE("leave_out: the template is not there, the others are served, and /ready names it") {
    const world here;
    here.data.sql("ALTER TABLE marks MODIFY value DATE");
    const running_node left{here.rabbitmq, &here.settings,
                            here.options(mismatch_action::leave_out)};
    CHECK(left.node().wait_ready(core::deadline::after(long_enough)));
    CHECK(code_of(left, client::count("marks")) == core::code::unknown_template);
    CHECK(code_of(left, client::fetch("counters", 1)) == core::code::ok);
    CHECK(contains(left.log(), "BEDS_TEMPLATE_LEFT_OUT test.toml:9: fields.value.type: error: "));
    CHECK(contains(trouble(left, "schema rel"), "fields.value.type"));
    CHECK(left.node().status().ready);
}

TEST_CASE("warn: it is told, shown and served") {
    const world here;
    here.data.sql("ALTER TABLE marks MODIFY value DATE");
    const running_node warned{here.rabbitmq, &here.settings, here.options(mismatch_action::warn)};
    CHECK(warned.node().wait_ready(core::deadline::after(long_enough)));
    CHECK(becomes([&] { return contains(trouble(warned, "schema rel"), "fields.value.type"); }));
    CHECK(contains(warned.log(), "BEDS_SCHEMA_MISMATCH test.toml:9: fields.value.type: error: "));
    CHECK(warned.node().status().ready);
    CHECK(code_of(warned, client::count("marks")) == core::code::ok);
}

TEST_CASE("ignore: the live database is not looked at") {
    const world here;
    here.data.sql("ALTER TABLE marks MODIFY value DATE");
    const running_node blind{here.rabbitmq, &here.settings, here.options(mismatch_action::ignore)};
    CHECK(blind.node().wait_ready(core::deadline::after(long_enough)));
    CHECK(code_of(blind, client::count("marks")) == core::code::ok);
    CHECK(step_of(blind, "schema rel").empty());
    CHECK(trouble(blind, "schema rel").empty());
    CHECK_FALSE(contains(blind.log(), "BEDS_SCHEMA"));
}

TEST_CASE("a database that is away at the start is looked at when it is there: what does not fit "
          "is not served until it does") {
    const world here;
    away behind{here};
    here.data.sql("ALTER TABLE marks MODIFY value DATE");
    const running_node late{here.rabbitmq, &behind.settings, here.options(mismatch_action::stop)};
    CHECK(contains(step_of(late, "schema rel"), "waiting"));
    CHECK(code_of(late, client::count("counters")) == core::code::backend_unavailable);
    behind.way.accept_again();
    REQUIRE(becomes([&] { return !trouble(late, "schema rel").empty(); }));
    CHECK(contains(trouble(late, "schema rel"), "test.toml:9: fields.value.type: error: "));
    REQUIRE(becomes([&] { return code_of(late, client::count("counters")) == core::code::ok; }));
    CHECK_FALSE(late.node().status().ready);
    const auto client = late.new_client();
    const auto refused = client->call(client::count("marks"), 10s);
    INFO(refused.json());
    CHECK(refused.front().code() == core::code::backend_unavailable);
    CHECK(contains(refused.json(), "does not fit its database"));
    CHECK(contains(refused.json(), R"("effect":"none")"));
    CHECK(code_of(late, client::insert("marks", client::members{{"id", "a"}})) ==
          core::code::backend_unavailable);

    here.data.sql("ALTER TABLE marks MODIFY value BIGINT");
    REQUIRE(becomes([&] { return code_of(late, client::count("marks")) == core::code::ok; }));
    CHECK(late.node().wait_ready(core::deadline::after(long_enough)));
    CHECK(contains(late.log(), "BEDS_SCHEMA_FITS"));
}

TEST_CASE("when the database was away and comes back changed, the template is not served") {
    const world here;
    gate way{here.settings.host, here.settings.port};
    auto settings = here.settings;
    settings.host = "127.0.0.1";
    settings.port = way.port();
    const running_node running{here.rabbitmq, &settings, here.options(mismatch_action::stop)};
    REQUIRE(running.node().wait_ready(core::deadline::after(long_enough)));
    CHECK(code_of(running, client::count("marks")) == core::code::ok);
    here.data.sql("ALTER TABLE marks MODIFY value DATE");
    CHECK(code_of(running, client::count("marks")) == core::code::ok); // nobody looks as long as
                                                                       // it stays there
    way.reset();
    CHECK(becomes([&] {
        return code_of(running, client::count("marks")) == core::code::backend_unavailable &&
               !trouble(running, "schema rel").empty();
    }));
    CHECK(code_of(running, client::fetch("counters", 1)) == core::code::ok);
    CHECK_FALSE(running.node().status().ready);
}

TEST_CASE("a role without write instances needs no rights to write, and no inbox") {
    const world here;
    const auto account = unique_name("r");
    here.control.mariadb_root("CREATE USER '" + account +
                              "'@'%' IDENTIFIED BY 'R3ad'; GRANT "
                              "SELECT ON " +
                              here.data.name() + ".marks TO '" + account + "'@'%'");
    here.data.sql("DROP TABLE beds_inbox");
    auto settings = here.settings;
    settings.user = account;
    settings.pass = core::secret{"R3ad"};
    auto options = here.options(mismatch_action::stop);
    options.templates = {std::string{marks_template}};
    options.rel = {.read = 1, .write = 0, .bulk = 0};
    {
        const running_node reading{here.rabbitmq, &settings, options};
        CHECK(reading.node().wait_ready(core::deadline::after(long_enough)));
        CHECK_FALSE(contains(reading.log(), "BEDS_SCHEMA"));
    }
    options.rel.write = 1;
    try {
        const running_node writing{here.rabbitmq, &settings, options};
        FAIL("it started");
    } catch (const core::error& refused) {
        INFO(refused.message());
        CHECK(contains(refused.message(), "beds_inbox"));
    }
    here.control.mariadb_root("DROP USER '" + account + "'@'%'");
}
