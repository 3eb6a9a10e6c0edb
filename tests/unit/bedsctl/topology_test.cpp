#include "arguments.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"
#include "topology.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>
#include <beds/node/topology.hpp>

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

using namespace bedsctl;
using beds::test::contains;

namespace {

/// A configuration with one template over one database.
class world {
public:
    world() {
        files_.write("items.toml", R"([template]
name = "items"
version = 1
service = "app_server"
store = "rel"
object = "items"
key = ["id"]
[fields]
id = { type = "int64" }
)");
        files_.write("shop.password", "correct horse\n");
        settings.templates.directory = files_.root();
        auto& service = settings.broker_services["app_server"];
        service.user = "node";
        service.pass = beds::core::secret{"c4n4ry"};
        service.vhost = "prod";
        service.queue_tag = "p.";
        service.instances["rel"] = {.read = 2, .write = 1, .bulk = 0};
        settings.rel_services["rel"] = {};
    }

    std::string print(const topology_options& how, const std::string& role = {}) {
        std::ostringstream out;
        std::ostringstream err;
        const auto code = print_topology(out, err, settings, role, how);
        CHECK(code == exit_code::ok);
        complaint = err.str();
        return out.str();
    }
    [[nodiscard]] std::string file(const char* name) const { return files_.path(name).string(); }

    beds::config::settings settings;
    std::string complaint;

private:
    beds::test::folder files_;
};

bool matches(const std::string& pattern, const std::string& name) {
    return std::regex_match(name, std::regex{pattern});
}

} // namespace

TEST_CASE("a password is hashed as RabbitMQ does it") {
    // The example of RabbitMQ's documentation.
    CHECK(password_hash("test12", "\x90\x8d\xc6\x0a") ==
          "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
}

TEST_CASE("definitions hold each object once, and no password") {
    world here;
    const auto text = here.print({.form = topology_form::definitions,
                                  .applications = {"web", "shop=" + here.file("shop.password")}});
    INFO(text);
    beds::core::arena memory;
    beds::core::datum all;
    REQUIRE_FALSE(beds::core::parse_json(text, memory, all));
    const auto names = [&](const char* section) {
        std::multiset<std::string> made;
        for (const auto& one : all.find(section)->items()) {
            made.insert(std::string{one.find("name")->text});
        }
        return made;
    };
    CHECK(names("users") == std::multiset<std::string>{"node", "shop"}); // web has to exist
    CHECK(names("vhosts") == std::multiset<std::string>{"prod"});
    CHECK(names("queues").count("p.rel.read") == 1);
    CHECK(names("queues").count("p.rel.write.again") == 1);
    CHECK(names("queues").count("p.rel.bulk") == 0);
    CHECK(names("queues").count("p.dead") == 1);
    CHECK(all.find("permissions")->items().size() == 3);
    CHECK(contains(text, R"("destination":"p.rel.write","destination_type":"queue",)"
                         R"("routing_key":"items.write")"));
    CHECK(contains(text, R"("x-delivery-limit":20)"));
    CHECK_FALSE(contains(text, "c4n4ry"));
    CHECK_FALSE(contains(text, "correct horse"));
    CHECK(here.complaint.empty());

    const auto table = here.print({});
    CHECK(contains(table, "p.rel.read"));
    CHECK_FALSE(contains(table, "password"));
}

TEST_CASE("the configuration says of what kinds queues and exchanges are") {
    using beds::amqp::argument;
    using beds::amqp::exchange_kind;
    world here;
    auto& service = here.settings.broker_services["app_server"];
    const auto named = [](const auto& all, const char* name) {
        const auto found = std::find_if(all.begin(), all.end(),
                                        [&](const auto& one) { return one.name.str() == name; });
        INFO(name);
        REQUIRE(found != all.end());
        return *found;
    };
    const auto made = [&] { return beds::node::topologies(here.settings).at("app_server"); };
    const auto exchange = [&](const char* name) { return named(made().exchanges, name).kind; };
    const auto has = [&](const char* queue, const argument& wanted) {
        const auto given = named(made().queues, queue).arguments;
        return std::count(given.begin(), given.end(), wanted) == 1;
    };
    CHECK(has("p.rel.write", {"x-queue-type", "quorum"}));
    CHECK(has("p.rel.read", {"x-queue-type", "classic"}));
    service.delivery_limit = 3;
    service.max_queue_length = 7;
    CHECK(has("p.rel.write", {"x-delivery-limit", std::int64_t{3}}));
    CHECK(has("p.rel.write", {"x-max-length", std::int64_t{7}}));
    service.write_queues = beds::config::queue_kind::classic;
    CHECK(has("p.rel.write", {"x-queue-type", "classic"}));

    CHECK(exchange("p.beds.events") == exchange_kind::direct);
    service.strict_route = true; // RabbitMQ's topic permissions know topic exchanges alone
    CHECK(exchange("p.beds.events") == exchange_kind::topic);
    CHECK(exchange("p.beds.logs") == exchange_kind::topic);
    CHECK(exchange("p.beds.dead") == exchange_kind::topic);
    CHECK(exchange("p.beds.unrouted") == exchange_kind::fanout);
}

TEST_CASE("who may do what") {
    world here;
    auto& service = here.settings.broker_services["app_server"];
    const auto shop = application_account(service, "shop");
    CHECK(matches(shop.configure, "p.reply.shop.0815"));
    CHECK_FALSE(matches(shop.configure, "p.reply.shopping.0815"));
    CHECK_FALSE(matches(shop.configure, "pxreply.shop.0815"));
    CHECK(matches(shop.write, "p.beds.events"));
    CHECK_FALSE(matches(shop.write, "amq.default"));
    CHECK_FALSE(matches(shop.read, "p.dead"));

    const auto topology = beds::node::topologies(here.settings).at("app_server");
    const auto active = node_account(service, topology);
    CHECK(matches(active.configure, "p.rel.read"));
    CHECK(matches(active.write, "amq.default"));
    CHECK_FALSE(matches(active.read, "other.rel.read"));
    service.declare = beds::config::declare_mode::passive;
    const auto passive = node_account(service, topology);
    CHECK_FALSE(matches(passive.configure, "p.rel.read"));
    CHECK(matches(passive.configure, "p.reply.node.0815"));
    CHECK_FALSE(matches(passive.write, "p.rel.read"));
    CHECK(matches(passive.read, "p.rel.write.quarantine"));
}

TEST_CASE("two services of one account get the rights of both") {
    world here;
    auto& second = here.settings.broker_services["logger"];
    second = here.settings.broker_services["app_server"];
    second.queue_tag = "q.";
    const auto text = here.print({.form = topology_form::definitions});
    INFO(text);
    beds::core::arena memory;
    beds::core::datum all;
    REQUIRE_FALSE(beds::core::parse_json(text, memory, all));
    CHECK(all.find("users")->items().size() == 1);
    REQUIRE(all.find("permissions")->items().size() == 1);
    const std::string read{all.find("permissions")->items()[0].find("read")->text};
    CHECK(matches(read, "p.dead"));
    CHECK(matches(read, "q.dead"));
    CHECK_FALSE(contains(here.print({}, "logger"), "p.dead"));
}

TEST_CASE("what is wrong with a topology is said") {
    world here;
    CHECK_THROWS_AS(here.print({}, "nobody"), usage_error);
    CHECK_THROWS_AS(here.print({.form = topology_form::definitions,
                                .applications = {"shop=" + here.file("missing")}}),
                    usage_error);
    CHECK_THROWS_AS(
        here.print({.form = topology_form::definitions, .applications = {"=shop.password"}}),
        usage_error);
    here.settings.broker_services["app_server"].user = "guest";
    const auto text = here.print({.form = topology_form::definitions});
    CHECK(contains(here.complaint, "'guest' is left as it is"));
    CHECK_FALSE(contains(text, "password_hash"));
    here.settings.broker_services["app_server"].instances.clear();
    CHECK_THROWS_AS(here.print({}), usage_error);
}
