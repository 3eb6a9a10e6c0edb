#include "daemon/bedsd/process.hpp"
#include "support/catch.hpp"
#include "support/servers.hpp"

using namespace daemon_test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view countries = R"([template]
name = "countries"
version = 1
service = "app_server"
store = "rel"
object = "ms_countries"
key = ["alpha2"]
[fields]
alpha2 = { type = "string", max = 2 }
)";

} // namespace

TEST_CASE("with its servers the node becomes ready, tells systemd, and stops in order") {
    const auto amqp = beds::test::require_amqp();
    const auto mariadb = beds::test::require_mariadb();
    const folder node;
    const notify_socket manager{node.path("notify")};
    const auto quoted = [](const std::string& text) { return '"' + text + '"'; };
    node.write("beds.toml", "[broker_services.app_server]\nhost = " + quoted(amqp.host) +
                                "\nport = " + std::to_string(amqp.port) +
                                "\nvhost = " + quoted(amqp.path) + "\nuser = " + quoted(amqp.user) +
                                "\npass_env = \"TEST_AMQP_PASS\"\nqueue_tag = " +
                                quoted(beds::test::unique_name("t") + "_") +
                                "\ninstances.rel = { read = 2, write = 1 }\n"
                                "[rel_services.rel]\nhost = " +
                                quoted(mariadb.host) + "\nport = " + std::to_string(mariadb.port) +
                                "\nuser = " + quoted(mariadb.user) +
                                "\npass_file = \"pass\"\ndatabase = " + quoted(mariadb.path) +
                                "\n");
    node.write("pass", mariadb.password + "\n");
    node.write("templates/countries.toml", countries);
    process bedsd{node,
                  {BEDSD_PROGRAM, "--config", node.path("beds.toml").string()},
                  {manager.variable(), "TEST_AMQP_PASS=" + amqp.password}};
    if (BEDSD_WITH_SYSTEMD != 0) {
        const auto ready = manager.wait_for("READY=1", 20s);
        INFO(node.read("err"));
        REQUIRE(ready == "READY=1");
    } else {
        CHECK(bedsd.wait(3s) == -1);
    }
    bedsd.signal(SIGTERM);
    CHECK(bedsd.wait(20s) == 0);
    CHECK(node.read("err").find(mariadb.password) == std::string::npos);
    CHECK(node.read("err").find("error") == std::string::npos);
}

TEST_CASE("an optional database that is away is named in a status that is ready") {
    const auto amqp = beds::test::require_amqp();
    if (BEDSD_WITH_SYSTEMD == 0) {
        WARN("built without libsystemd");
        return;
    }
    const folder node;
    const notify_socket manager{node.path("notify")};
    const auto quoted = [](const std::string& text) { return '"' + text + '"'; };
    node.write("beds.toml", "[broker_services.app_server]\nhost = " + quoted(amqp.host) +
                                "\nport = " + std::to_string(amqp.port) +
                                "\nvhost = " + quoted(amqp.path) + "\nuser = " + quoted(amqp.user) +
                                "\npass_env = \"TEST_AMQP_PASS\"\nqueue_tag = " +
                                quoted(beds::test::unique_name("t") + "_") +
                                "\ninstances.rel = { read = 1, write = 1 }\n"
                                "[rel_services.rel]\nhost = \"127.0.0.1\"\nport = 1\n"
                                "user = \"u\"\npass = \"p\"\ndatabase = \"d\"\n"
                                "required = false\n");
    node.write("templates/countries.toml", countries);
    process bedsd{node,
                  {BEDSD_PROGRAM, "--config", node.path("beds.toml").string()},
                  {manager.variable(), "TEST_AMQP_PASS=" + amqp.password}};
    const auto status = manager.wait_for("STATUS=ready; without database rel: ", 20s);
    INFO(status << '\n' << node.read("err"));
    CHECK(status.find("rabbitmq") == std::string::npos);
    CHECK_FALSE(status.empty());
    CHECK(manager.wait_for("READY=1", 5s) == "READY=1");
    bedsd.signal(SIGTERM);
    CHECK(bedsd.wait(20s) == 0);
}
