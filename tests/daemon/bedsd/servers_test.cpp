#include "daemon/bedsd/process.hpp"
#include "support/catch.hpp"
#include "support/servers.hpp"

using namespace daemon_test;
using namespace std::chrono_literals;

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
    node.write("templates/countries.toml", "[template]\nname = \"countries\"\nversion = 1\n"
                                           "service = \"app_server\"\nstore = \"rel\"\n"
                                           "object = \"ms_countries\"\nkey = [\"alpha2\"]\n"
                                           "[fields]\nalpha2 = { type = \"string\", max = 2 }\n");
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
