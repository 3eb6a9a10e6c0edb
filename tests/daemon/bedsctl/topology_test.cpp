#include "daemon/bedsd/process.hpp"
#include "support/catch.hpp"
#include "support/servers.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/core/error.hpp>

#include <memory>

using namespace beds;
using namespace daemon_test;
using namespace std::chrono_literals;

namespace {

constexpr auto soon = 20s;

constexpr std::string_view items_template = R"([template]
name = "items"
version = 1
service = "app_server"
store = "rel"
object = "items"
key = ["id"]
[fields]
id = { type = "int64" }
)";

/// A RabbitMQ of this test alone, in which there is nothing yet but its administrator.
class fresh_rabbitmq {
public:
    fresh_rabbitmq() : control{test::server::rabbitmq}, amqp(control.amqp()) {
        files.write("node.pass", "Kn0ten\n");
        files.write("app.pass", "4nwendung\n");
        files.write("templates/items.toml", items_template);
        // Nobody listens at the database's port: requests get as far as the node, and their answers
        // back, which is all that RabbitMQ has to do with it.
        config =
            files
                .write("beds.toml", "[broker_services.app_server]\nhost = " + in_quotes(amqp.host) +
                                        "\nport = " + std::to_string(amqp.port) + "\nvhost = " +
                                        in_quotes(name) + "\nuser = " + in_quotes(name + "_node") +
                                        "\npass_file = \"node.pass\"\nqueue_tag = \"q.\"\n"
                                        "declare = \"passive\"\n"
                                        "instances.rel = { read = 1, write = 1 }\n"
                                        "[rel_services.rel]\nhost = \"127.0.0.1\"\nport = 1\n"
                                        "user = \"u\"\npass = \"p\"\ndatabase = \"d\"\n")
                .string();
    }

    answer ask(std::vector<std::string> arguments,
               const std::vector<std::string>& environment = {}) const {
        arguments.insert(arguments.begin(), BEDSCTL_PROGRAM);
        return run_program(std::move(arguments), environment, soon);
    }
    amqp::connection_settings app() const {
        amqp::connection_settings made;
        made.host = amqp.host;
        made.port = amqp.port;
        made.vhost = name;
        made.user = name + "_app";
        made.password = core::secret{"4nwendung"};
        return made;
    }
    std::string app_url() const {
        return "amqp://" + name + "_app:4nwendung@" + amqp.host + ":" + std::to_string(amqp.port) +
               "/" + name;
    }

    test::private_servers control;
    test::endpoint amqp;
    std::string name = test::unique_name();
    folder files;
    std::string config;
};

} // namespace

TEST_CASE("what topology prints is imported, and a node that declares nothing serves with it") {
    fresh_rabbitmq here;
    const auto definitions =
        here.ask({"topology", "--config", here.config, "--definitions", "--application",
                  here.name + "_app=" + here.files.path("app.pass").string()});
    INFO(definitions.out << definitions.err);
    REQUIRE(definitions.code == 0);
    const auto file = here.files.write("definitions.json", definitions.out).string();
    here.control.rabbitmqctl({"import_definitions", file});

    const folder output;
    process bedsd{output, {BEDSD_PROGRAM, "--config", here.config}};
    const std::vector<std::string> as_app{"AMQP_URL=" + here.app_url(), "BEDS_QUEUE_TAG=q."};
    const auto until = std::chrono::steady_clock::now() + soon;
    const auto served = [&](std::vector<std::string> request) {
        for (;;) {
            const auto reply = here.ask(request, as_app);
            INFO(reply.out << reply.err << output.read("err"));
            if (contains(reply.out, "BACKEND_UNAVAILABLE")) {
                return;
            }
            REQUIRE(bedsd.wait(100ms) == -1);
            REQUIRE(std::chrono::steady_clock::now() < until);
        }
    };
    served({"call", "items", "fetch", "key:=1"});
    served({"call", "items", "insert", "id:=1"});
    CHECK(here.ask({"describe"}, as_app).code == 0);
    CHECK(here.ask({"describe", "--config", here.config}, {"AMQP_URL="}).code == 0);

    // What nobody waits for: a refusal becomes a dead letter, a write waits for its database.
    const auto limit = core::deadline::after(soon);
    amqp::publisher_connection as_application{here.app(), limit};
    const amqp::properties numbered{.message_id = "1"};
    as_application.publish("q.beds.events", "items.write", numbered, "nonsense",
                           amqp::mandatory::yes, limit);
    const amqp::properties second{.message_id = "2"};
    as_application.publish("q.beds.events", "items.write", second,
                           R"({"v":1,"template":"items","op":"insert","data":{"id":7}})",
                           amqp::mandatory::yes, limit);
    REQUIRE(as_application.wait_confirms(limit));
    CHECK(as_application.take_undelivered().empty());
    const auto waits = [&](const char* queue) {
        while (!limit.expired()) {
            const auto there = as_application.inspect(amqp::queue_name{queue}, limit);
            if (there && there->messages == 1) {
                return true;
            }
        }
        return false;
    };
    CHECK(waits("q.dead"));
    CHECK(waits("q.rel.write.again"));
    const auto letters = here.ask({"dlq", "list", "--config", here.config});
    INFO(letters.err);
    CHECK(contains(letters.out, "INVALID_ENVELOPE"));

    // An application may send requests and read its replies, and no more.
    const auto refused = [&](auto&& act) {
        amqp::consumer_connection in{here.app(), limit};
        try {
            act(in);
        } catch (const core::error& error) {
            INFO(error.message());
            return contains(error.message(), "ACCESS_REFUSED") ||
                   error.code() == core::errc::refused;
        }
        return false;
    };
    CHECK(refused([&](amqp::consumer_connection& in) {
        static_cast<void>(in.consume(amqp::queue_name{"q.dead"}, {}, limit));
    }));
    CHECK(refused([&](amqp::consumer_connection& in) {
        in.declare({.queues = {{amqp::queue_name{"q.mine"}, amqp::queue_kind::exclusive, {}}}},
                   amqp::declare_mode::active, limit);
    }));
    CHECK_FALSE(refused([&](amqp::consumer_connection& in) {
        in.declare(amqp::reply_topology("q.", here.name + "_app", "0815"),
                   amqp::declare_mode::active, limit);
    }));
}
