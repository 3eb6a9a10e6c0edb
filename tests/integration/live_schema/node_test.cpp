// What a node does when its templates do not fit the live database.
#include "support/becomes.hpp"
#include "support/catch.hpp"
#include "support/counters.hpp"
#include "support/folder.hpp"
#include "support/gate.hpp"

#include <algorithm>
#include <memory>

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;
using config::mismatch_action;

namespace {

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

/// The templates lie in files; MariaDB is behind a gate.
struct reloaded {
    explicit reloaded(mismatch_action action) : way(here.settings.host, here.settings.port) {
        files.write("counters.toml", counters_template);
        files.write("marks.toml", marks_template);
        settings.host = "127.0.0.1";
        settings.port = way.port();
        options.directory = files.root();
        options.on_mismatch = action;
    }
    void start() {
        running = std::make_unique<running_node>(here.rabbitmq, &settings, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(long_enough)));
    }
    [[nodiscard]] node::reload_report reload() const {
        return running->node().reload_templates(core::deadline::after(long_enough));
    }
    [[nodiscard]] core::code count(const std::string& name) const {
        return code_of(*running, client::count(name));
    }
    [[nodiscard]] bool comes_to(const std::string& name, core::code code) const {
        return becomes([&] { return count(name) == code; });
    }
    void write_marks(const std::string& more) const {
        files.write("marks.toml", std::string{marks_template} + more + '\n');
    }

    world here;
    folder files;
    gate way;
    config::rel_service_settings settings = here.settings;
    node_options options;
    std::unique_ptr<running_node> running;
};

std::string all_of(const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& one : lines) {
        text += one + '\n';
    }
    return text;
}

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

TEST_CASE("what is changed under a running node is told as a misfit, and done when it is mended") {
    const world here;
    const auto action = GENERATE(mismatch_action::stop, mismatch_action::ignore);
    CAPTURE(action);
    const running_node running{here.rabbitmq, &here.settings, here.options(action)};
    REQUIRE(running.node().wait_ready(core::deadline::after(long_enough)));
    const auto client = running.new_client();
    const auto noted = [](const std::string& id) {
        auto made = client::update("counters", 1, {{"note", "x"}});
        made.id = id;
        return made;
    };
    auto insert = client::insert("counters", client::members{{"id", 9}});
    insert.id = "w-2";
    auto call = client::call("counters", "slow", {{"id", 1}, {"seconds", 0}});
    call.id = "w-3";
    const auto check = [&](const client::operation& asked) {
        const auto refused = client->call(asked, 10s);
        INFO(refused.json());
        CHECK(refused.front().code() == core::code::backend_unavailable);
        CHECK(contains(refused.json(), "does not fit its database"));
        CHECK(contains(refused.json(), R"("effect":"none")"));
        CHECK(contains(refused.json(), R"("retry_after_ms":5000)"));
    };
    here.data.sql("ALTER TABLE counters RENAME COLUMN note TO remark, ADD COLUMN more INT NOT NULL;"
                  "RENAME TABLE marks TO marks_old; DROP PROCEDURE slow");
    check(noted("w-1"));
    check(client::fetch("counters", 1));
    check(client::count("marks"));
    check(insert); // nobody can give `more` a value
    check(call);
    INFO(running.log());
    CHECK(contains(running.log(), "BEDS_MARIADB_MISFIT template 'counters' (update on 'counters') "
                                  "does not fit the database any more: error 1054: Unknown column "
                                  "'note'"));
    CHECK(contains(running.log(), "'bedsctl check' says what differs"));
    CHECK(contains(running.log(), "kill -HUP"));
    if (action == mismatch_action::stop) {
        REQUIRE(becomes([&] { return !trouble(running, "schema rel").empty(); }));
        CHECK(
            contains(trouble(running, "schema rel"), "test.toml:10: fields.note.column: error: "));
        CHECK_FALSE(running.node().status().ready);
        CHECK(contains(running.log(), "BEDS_SCHEMA_MISMATCH"));
    }
    CHECK(here.data.number("SELECT COUNT(*) FROM beds_inbox") == 0);

    here.data.sql("ALTER TABLE counters RENAME COLUMN remark TO note, DROP COLUMN more;"
                  "RENAME TABLE marks_old TO marks;\nDELIMITER //\n"
                  "CREATE PROCEDURE slow(IN p_id BIGINT, IN p_seconds DOUBLE) MODIFIES SQL DATA\n"
                  "BEGIN\nUPDATE counters SET value = value + 1 WHERE id = p_id;\nEND //\n");
    REQUIRE(becomes([&] {
        return code_of(running, client::count("marks")) == core::code::ok &&
               code_of(running, client::fetch("counters", 1)) == core::code::ok;
    }));
    CHECK(running.node().wait_ready(core::deadline::after(long_enough)));
    for (const auto& asked : std::vector{noted("w-1"), insert, call}) {
        const auto done = client->call(asked, 10s);
        INFO(done.json());
        CHECK(done.front().ok());
    }
    CHECK(here.data.number("SELECT COUNT(*) FROM counters WHERE note = 'x' OR id = 9") == 2);
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 1);
}

TEST_CASE("what stops to fit under requests shows soon, and so does that it was mended") {
    const world here;
    const running_node running{here.rabbitmq, &here.settings, here.options(mismatch_action::stop)};
    REQUIRE(running.node().wait_ready(core::deadline::after(long_enough)));
    using time = std::chrono::steady_clock;
    const auto takes = [&](bool ready) {
        const auto begin = time::now();
        REQUIRE(becomes([&] { return running.node().status().ready == ready; }));
        return time::now() - begin;
    };
    // The least of a few: a machine may stand still once.
    auto told = time::duration::max();
    auto mended = time::duration::max();
    for (int round = 0; round < 6 && (told >= 4s || mended >= 2s); ++round) {
        here.data.sql("ALTER TABLE counters RENAME COLUMN note TO remark");
        REQUIRE(code_of(running, client::fetch("counters", 1)) == core::code::backend_unavailable);
        told = std::min(told, takes(false));
        here.data.sql("ALTER TABLE counters RENAME COLUMN remark TO note");
        mended = std::min(mended, takes(true));
    }
    using std::chrono::milliseconds;
    INFO("told after " << std::chrono::duration_cast<milliseconds>(told).count()
                       << " ms, mended after "
                       << std::chrono::duration_cast<milliseconds>(mended).count() << " ms");
    CHECK(told < 4s);
    CHECK(mended < 2s);
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

TEST_CASE("a reload that brings what does not fit the live database is refused, and the old one "
          "serves") {
    const auto action = GENERATE(mismatch_action::stop, mismatch_action::leave_out);
    reloaded node{action};
    node.start();
    node.write_marks("more = { type = \"int64\" }");
    node.files.write("other.toml", "template = { name = \"other\", store = \"rel\", object = "
                                   "\"others\", key = [\"id\"] }\n[fields]\n"
                                   "id = { type = \"int64\", required = true }\n");
    const auto refused = node.reload();
    CHECK(refused.result == node::reload_result::refused);
    const auto told = all_of(refused.problems);
    INFO(told);
    CHECK(refused.problems.size() == 2);
    CHECK(contains(told, "marks.toml:10: fields.more.column: error: 'marks' has no column 'more'"));
    CHECK(contains(told, "; name a column that is there, add it, or leave the field out"));
    CHECK(contains(told, "other.toml:1: template.object: error: there is no table or view "
                         "'others'"));
    CHECK(node.count("marks") == core::code::ok);
    CHECK(node.count("other") == core::code::unknown_template);
    CHECK(node.running->node().status().ready);

    node.here.data.sql("ALTER TABLE marks ADD COLUMN more BIGINT; CREATE TABLE others (id BIGINT "
                       "PRIMARY KEY) ENGINE=InnoDB");
    const auto changed = node.reload();
    INFO(all_of(changed.problems));
    CHECK(changed.result == node::reload_result::changed);
    CHECK(node.count("other") == core::code::ok);
}

TEST_CASE("warn: a reload brings what does not fit, and it is told") {
    reloaded node{mismatch_action::warn};
    node.start();
    node.write_marks("more = { type = \"int64\" }");
    CHECK(node.reload().result == node::reload_result::changed);
    CHECK(becomes([&] { return contains(trouble(*node.running, "schema rel"), "fields.more"); }));
    CHECK(node.count("counters") == core::code::ok);
}

TEST_CASE("after a reload the new templates are those that are compared and withheld") {
    reloaded node{mismatch_action::stop};
    node.start();
    // `counters` goes: every other template has another position than before.
    std::filesystem::remove(node.files.path("counters.toml"));
    node.here.data.sql("ALTER TABLE marks ADD COLUMN more BIGINT");
    node.write_marks("more = { type = \"int64\" }");
    REQUIRE(node.reload().result == node::reload_result::changed);
    CHECK(node.count("marks") == core::code::ok);
    CHECK(node.count("counters") == core::code::unknown_template);
    node.here.data.sql("ALTER TABLE marks DROP COLUMN more; DROP TABLE counters");
    node.way.reset();
    REQUIRE(node.comes_to("marks", core::code::backend_unavailable));
    REQUIRE(becomes([&] { return !trouble(*node.running, "schema rel").empty(); }));
    const auto told = trouble(*node.running, "schema rel");
    CHECK(contains(told, "fields.more.column"));
    CHECK_FALSE(contains(told, "counters"));

    // Known before the next comparison, which cannot be made: brokers keep their sessions.
    REQUIRE(becomes([&] {
        const auto brokers = node.running->node().status().brokers;
        return std::all_of(brokers.begin(), brokers.end(),
                           [](const auto& one) { return one.backend_connected; });
    }));
    node.way.stop_accepting();
    node.files.write("other.toml", "template = { name = \"another\", store = \"rel\", object = "
                                   "\"others\", key = [\"id\"] }\n[fields]\n"
                                   "id = { type = \"int64\", required = true }\n");
    const auto added = node.reload();
    INFO(all_of(added.problems));
    REQUIRE(added.result == node::reload_result::changed);
    CHECK(contains(all_of(added.warnings), "not compared with the database of 'rel'"));
    CHECK(node.count("marks") == core::code::backend_unavailable);
    CHECK(contains(trouble(*node.running, "schema rel"), "fields.more.column"));

    node.here.data.sql("ALTER TABLE marks ADD COLUMN more BIGINT");
    node.way.accept_again();
    CHECK(node.comes_to("marks", core::code::ok));
    CHECK(node.comes_to("another", core::code::backend_unavailable));
    CHECK(becomes([&] {
        const auto now = trouble(*node.running, "schema rel");
        return contains(now, "'others'") && !contains(now, "fields.more");
    }));
    // What does not fit may go at any time.
    std::filesystem::remove(node.files.path("other.toml"));
    REQUIRE(node.reload().result == node::reload_result::changed);
    CHECK(node.count("another") == core::code::unknown_template);
    CHECK(node.running->node().wait_ready(core::deadline::after(long_enough)));
}

TEST_CASE("a template that was left out at the start comes with the reload after it fits") {
    reloaded node{mismatch_action::leave_out};
    node.here.data.sql("ALTER TABLE marks MODIFY value DATE");
    node.start();
    CHECK(node.count("marks") == core::code::unknown_template);
    const auto refused = node.reload();
    CHECK(refused.result == node::reload_result::refused);
    CHECK(contains(all_of(refused.problems), "marks.toml:9: fields.value.type: error: "));
    CHECK(contains(trouble(*node.running, "schema rel"), "fields.value.type"));
    node.here.data.sql("ALTER TABLE marks MODIFY value BIGINT");
    CHECK(node.reload().result == node::reload_result::changed);
    CHECK(node.count("marks") == core::code::ok);
    CHECK(trouble(*node.running, "schema rel").empty());
}

TEST_CASE("a connection that gets its first template by a reload is looked at from then on") {
    reloaded node{mismatch_action::stop};
    std::filesystem::remove(node.files.path("marks.toml"));
    node.files.write("counters.toml",
                     "template = { name = \"notes\", connection = \"mem\", store = "
                     "\"rel\", object = \"notes\", key = [\"id\"] }\n[fields]\n"
                     "id = { type = \"int64\", required = true }\n");
    node.options.mem = {.read = 1, .write = 0, .bulk = 0};
    node.start();
    CHECK(step_of(*node.running, "schema rel").empty());
    node.write_marks("");
    REQUIRE(node.reload().result == node::reload_result::changed);
    CHECK(node.count("marks") == core::code::ok);
    node.here.data.sql("ALTER TABLE marks MODIFY value DATE");
    node.way.reset();
    CHECK(node.comes_to("marks", core::code::backend_unavailable));
    CHECK(node.count("notes") == core::code::ok);
}
