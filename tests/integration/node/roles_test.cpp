#include "fixture.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/running_node.hpp"

#include <thread>

using namespace beds;
using namespace std::chrono_literals;
using beds::client::members;
using test::contains;

namespace {

/// A second template over the same connection.
constexpr std::string_view notes_template = R"toml(
[template]
name       = "notes"
store      = "rel"
connection = "mem"
object     = "notes"
key        = ["id"]
[fields]
id   = { type = "int64", required = true }
text = { type = "string", max = 40 }
[calls.recount]
procedure = "recount"
class     = "bulk"
)toml";

/// A node of one role with a connection in memory, as the test wants it; not started yet.
class small_node {
public:
    small_node(const test::endpoint& rabbitmq, config::broker_counts counts,
               const std::function<void(config::settings&)>& change = {},
               std::string tag = test::unique_name("t") + "_")
        : tag_(std::move(tag)) {
        config::settings settings;
        settings.id.node = "test";
        settings.templates.directory.clear();
        auto role = test::role_on(rabbitmq, tag_);
        role.instances["mem"] = counts;
        settings.broker_services["app_server"] = role;
        if (change) {
            change(settings);
        }
        node_ = std::make_unique<node::node>(
            std::move(settings),
            observe::log_sink{observe::level::warning, [this](const observe::log_record& record) {
                                  const std::lock_guard lock{mutex_};
                                  log_ += std::string{record.id} + ' ' + std::string{record.text} +
                                          '\n';
                              }});
        adapters::memory_settings memory;
        memory.calls["recount"] = [](adapters::memory_call&) { return core::outcome{}; };
        node_->add_connection(adapters::make_memory("mem", std::move(memory)));
    }

    void add_templates() {
        node_->add_template(test::items_template, "items.toml");
        node_->add_template(notes_template, "notes.toml");
    }
    /// Live and ready, or the test ends.
    void start() {
        node_->start();
        INFO(log());
        REQUIRE(node_->wait_ready(core::deadline::after(10s)));
    }

    [[nodiscard]] node::node& node() { return *node_; }
    [[nodiscard]] const std::string& tag() const { return tag_; } ///< of `app_server`
    [[nodiscard]] std::string log() const {
        const std::lock_guard lock{mutex_};
        return log_;
    }
    /// Of the broker with this in its name.
    [[nodiscard]] std::uint64_t operations(std::string_view broker) const {
        for (const auto& one : node_->status().brokers) {
            if (one.broker.find(broker) != std::string::npos) {
                return one.operations;
            }
        }
        return 0;
    }

private:
    std::string tag_;
    mutable std::mutex mutex_;
    std::string log_;
    std::unique_ptr<node::node> node_;
};

const node::dependency& dependency(const node::node_status& status, std::string_view name) {
    for (const auto& one : status.dependencies) {
        if (one.name == name) {
            return one;
        }
    }
    FAIL("there is no dependency " << name);
    throw std::logic_error{"not reached"};
}

/// What is answered to this body under this key.
std::string ask(test::raw_client& client, const std::string& key, const std::string& body) {
    test::raw_message what;
    what.key = key;
    what.body = body;
    what.message_id = test::unique_name("id");
    what.reply_to = client.reply_queue();
    client.publish(what);
    CHECK(client.settle());
    const auto answer = client.reply();
    return answer ? answer->body : "no reply";
}

client::request within(client::operation what, std::chrono::milliseconds span) {
    what.deadline = std::chrono::system_clock::now() + span;
    return client::request{std::move(what)};
}

} // namespace

TEST_CASE("a role without read brokers answers what goes through the catalog") {
    const auto rabbitmq = test::require_amqp();
    const auto counts = GENERATE(config::broker_counts{.read = 0, .write = 1, .bulk = 0},
                                 config::broker_counts{.read = 0, .write = 0, .bulk = 1});
    small_node running{rabbitmq, counts};
    running.add_templates();
    running.start();
    const auto client = test::client_on(rabbitmq, running.tag());

    const auto described = client->call(within(client::describe(), 5s));
    INFO(described.json());
    REQUIRE(described.ok());
    const auto unknown = client->call(within(client::fetch("itmes", 1), 5s));
    INFO(unknown.json());
    CHECK(unknown.front().code() == core::code::unknown_template);
}

TEST_CASE("an optional database that is away: the node is ready without it and serves the rest") {
    const auto rabbitmq = test::require_amqp();
    const auto old = std::make_shared<test::switched_adapter>("old", false);
    small_node running{
        rabbitmq, {.read = 1, .write = 1, .bulk = 0}, [](config::settings& all) {
            all.rel_services["old"] = {.user = "u", .database = "d", .required = false};
            all.broker_services["app_server"].instances["old"] = {.read = 1, .write = 0, .bulk = 0};
        }};
    running.add_templates();
    running.node().add_connection(old);
    std::string archive{test::items_template};
    archive.replace(archive.find("\"items\""), 7, "\"archive\"");
    archive.replace(archive.find("\"mem\""), 5, "\"old\"");
    running.node().add_template(archive, "archive.toml");
    running.start();

    const auto status = running.node().status();
    CHECK(status.ready);
    const auto& away = dependency(status, "database old");
    CHECK_FALSE(away.ready);
    CHECK_FALSE(away.required);
    CHECK(contains(away.trouble, "the switch is off"));
    for (const auto& step : running.node().report()) {
        CHECK(step.required == (step.name != "database old"));
    }

    const auto client = test::client_on(rabbitmq, running.tag());
    CHECK(client->call(within(client::count("items"), 5s)).ok());
    const auto refused = client->call(within(client::count("archive"), 5s));
    INFO(refused.json());
    CHECK(refused.front().code() == core::code::backend_unavailable);
    CHECK(contains(refused.json(), "\"retryable\":true"));

    old->turn_on();
    const auto until = core::deadline::after(20s);
    while (!dependency(running.node().status(), "database old").ready && !until.expired()) {
        std::this_thread::sleep_for(10ms);
    }
    CHECK(client->call(within(client::count("archive"), 5s)).ok());
}

TEST_CASE("strict_route: only the template in the routing key may be used") {
    const auto rabbitmq = test::require_amqp();
    const bool strict = GENERATE(true, false);
    small_node running{rabbitmq, {.read = 1, .write = 1, .bulk = 0}, [&](config::settings& all) {
                           all.broker_services["app_server"].strict_route = strict;
                       }};
    running.add_templates();
    running.start();
    test::raw_client client{rabbitmq, running.tag()};

    CHECK(contains(ask(client, "items.read", R"({"v":1,"op":"count","template":"items"})"),
                   R"("status":"ok")"));
    const auto other = ask(client, "items.read", R"({"v":1,"op":"count","template":"notes"})");
    INFO(other);
    CHECK(contains(other, "MISROUTED") == strict);
    CHECK(contains(other, R"("total":0)") == !strict);
    // Under the connection's name nothing is granted either.
    const auto connection = ask(client, "mem.read", R"({"v":1,"op":"count","template":"notes"})");
    INFO(connection);
    CHECK(contains(connection, "MISROUTED") == strict);
    // A write that is refused has no effect.
    const auto write =
        ask(client, "items.write",
            R"({"v":1,"op":"insert","template":"notes","data":{"id":1,"text":"x"}})");
    INFO(write);
    CHECK(contains(write, "MISROUTED") == strict);
    CHECK(contains(ask(client, "notes.read", R"({"v":1,"op":"count","template":"notes"})"),
                   strict ? R"("total":0)" : R"("total":1)"));
}

TEST_CASE("declare = passive: what the operator has not made is named, and waited for") {
    const auto rabbitmq = test::require_amqp();
    small_node running{rabbitmq, {.read = 1, .write = 1, .bulk = 0}, [](config::settings& all) {
                           all.broker_services["app_server"].declare =
                               config::declare_mode::passive;
                       }};
    running.add_templates();
    running.node().start();
    CHECK_FALSE(running.node().wait_ready(core::deadline::after(1s)));
    const auto missing = dependency(running.node().status(), "rabbitmq app_server").trouble;
    INFO(missing);
    CHECK(contains(missing, "'" + running.tag() + "beds."));
    CHECK(contains(running.log(), "BEDS_AMQP_TROUBLE " + missing));

    // Somebody makes it: the node comes by itself.
    small_node active{rabbitmq, {.read = 1, .write = 1, .bulk = 0}, {}, running.tag()};
    active.add_templates();
    active.start();
    CHECK(active.node().stop(core::deadline::after(5s)));
    CHECK(running.node().wait_ready(core::deadline::after(30s)));
    const auto client = test::client_on(rabbitmq, running.tag());
    CHECK(client->call(within(client::count("items"), 5s)).ok());
}

TEST_CASE("on_mismatch: a template that does not fit stops the start, or is left out") {
    const auto rabbitmq = test::require_amqp();
    std::string lost{test::items_template};
    lost.replace(lost.find("\"items\""), 7, "\"lost\"");
    lost.replace(lost.find("\"mem\""), 5, "\"nowhere\"");
    {
        small_node stopped{rabbitmq, {.read = 1, .write = 1, .bulk = 0}};
        stopped.node().add_template(lost, "lost.toml");
        try {
            stopped.node().start();
            FAIL("it started");
        } catch (const core::error& error) {
            CHECK(error.code() == core::errc::invalid_template);
            CHECK(contains(error.message(), "lost.toml"));
        }
        REQUIRE_FALSE(stopped.node().report().empty());
        CHECK(stopped.node().report().back().name == "templates");
        CHECK(stopped.node().report().back().state == node::step_state::failed);
    }
    small_node running{rabbitmq, {.read = 1, .write = 1, .bulk = 0}, [](config::settings& all) {
                           all.templates.on_mismatch = config::mismatch_action::leave_out;
                       }};
    running.add_templates();
    running.node().add_template(lost, "lost.toml");
    running.start();
    CHECK(contains(running.log(), "BEDS_TEMPLATE_LEFT_OUT lost.toml"));
    std::string templates;
    for (const auto& step : running.node().report()) {
        templates += step.name == "templates" ? to_string(step) : "";
    }
    INFO(templates);
    CHECK(contains(templates, "2 template(s), left out with 1 problem(s): lost.toml"));

    const auto client = test::client_on(rabbitmq, running.tag());
    CHECK(client->call(within(client::count("items"), 5s)).ok());
    CHECK(client->call(within(client::count("notes"), 5s)).ok());
    CHECK(client->call(within(client::count("lost"), 5s)).front().code() ==
          core::code::unknown_template);
}

TEST_CASE("class bulk: its own broker serves it, the broker of writes sends it away") {
    const auto rabbitmq = test::require_amqp();
    small_node running{rabbitmq, {.read = 1, .write = 1, .bulk = 1}};
    running.add_templates();
    running.start();
    constexpr auto call = R"({"v":1,"op":"call","template":"notes","name":"recount","args":{}})";

    test::raw_client raw{rabbitmq, running.tag()};
    const auto served = ask(raw, "notes.bulk", call);
    INFO(served);
    CHECK(contains(served, R"("status":"ok")"));
    CHECK(running.operations("mem.bulk/0") == 1);
    const auto refused = ask(raw, "notes.write", call);
    INFO(refused);
    CHECK(contains(refused, "MISROUTED"));
    CHECK(contains(refused, "'bulk'"));
    CHECK(running.operations("mem.bulk/0") == 1);

    // The client asks the catalog for the class and sends it where it belongs.
    const auto client = test::client_on(rabbitmq, running.tag());
    const auto answer = client->call(within(client::call("notes", "recount"), 5s));
    INFO(answer.json());
    CHECK(answer.ok());
    CHECK(running.operations("mem.bulk/0") == 2);
}

TEST_CASE("each role that a node plays serves its own templates under its own tag") {
    const auto rabbitmq = test::require_amqp();
    const auto admin_tag = test::unique_name("t") + "_";
    small_node running{rabbitmq, {.read = 1, .write = 1, .bulk = 0}, [&](config::settings& all) {
                           auto admin = test::role_on(rabbitmq, admin_tag);
                           admin.instances["mem"] = {.read = 1, .write = 1, .bulk = 0};
                           all.broker_services["admin"] = admin;
                       }};
    std::string theirs{notes_template};
    theirs.replace(theirs.find("store "), 0, "service = \"admin\"\n");
    running.node().add_template(test::items_template, "items.toml");
    running.node().add_template(theirs, "notes.toml");
    running.start();

    const auto app = test::client_on(rabbitmq, running.tag());
    const auto admin = test::client_on(rabbitmq, admin_tag);
    CHECK(app->call(within(client::count("items"), 5s)).ok());
    CHECK(admin->call(within(client::count("notes"), 5s)).ok());
    CHECK(app->call(within(client::count("notes"), 5s)).front().code() ==
          core::code::unknown_template);
    CHECK(admin->call(within(client::count("items"), 5s)).front().code() ==
          core::code::unknown_template);
}

TEST_CASE("is_local = false: the role is somebody else's, with its templates and its RabbitMQ") {
    const auto rabbitmq = test::require_amqp();
    small_node running{rabbitmq, {.read = 1, .write = 1, .bulk = 0}, [&](config::settings& all) {
                           config::broker_service_settings admin;
                           admin.host = "127.0.0.1";
                           admin.port = 1;
                           admin.is_local = false;
                           admin.instances["mem"] = {.read = 1, .write = 1, .bulk = 0};
                           all.broker_services["admin"] = admin;
                       }};
    std::string theirs{notes_template};
    theirs.replace(theirs.find("store "), 0, "service = \"admin\"\n");
    theirs.replace(theirs.find("\"mem\""), 5, "\"theirs\"");
    running.add_templates();
    running.node().add_template(theirs, "theirs.toml"); // 'notes' once more
    running.start();
    CHECK(running.node().status().dependencies.size() == 2); // RabbitMQ and `mem`
    const auto client = test::client_on(rabbitmq, running.tag());
    CHECK(client->call(within(client::count("notes"), 5s)).ok());
}
