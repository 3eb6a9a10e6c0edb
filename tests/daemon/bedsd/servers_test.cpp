#include "daemon/bedsd/process.hpp"
#include "daemon/broker_service.hpp"
#include "support/catch.hpp"
#include "support/queues.hpp"
#include "support/servers.hpp"

#include <optional>

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
alpha2 = { type = "string", max = 2, required = true }
)";

std::string broker_service(const beds::test::endpoint& amqp, const std::string& instances) {
    const auto tag = beds::test::unique_name("t") + "_";
    beds::test::remove_queues_after_the_test(amqp, tag);
    return daemon_test::broker_service(amqp, tag, "rel", instances);
}

/// What the node finds there when it compares.
void make_countries(const beds::test::endpoint& mariadb) {
    beds::test::shared_servers().mariadb_root(
        "CREATE TABLE IF NOT EXISTS " + mariadb.path +
        ".ms_countries (alpha2 VARCHAR(2) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY)");
}

/// bedsd with the template countries over the shared servers, up.
struct running_bedsd {
    running_bedsd() {
        make_countries(mariadb);
        node.write("beds.toml", configuration);
        node.write("pass", mariadb.password + "\n");
        node.write("templates/countries.toml", countries);
        program.emplace(
            node,
            std::vector<std::string>{BEDSD_PROGRAM, "--config", node.path("beds.toml").string()},
            std::vector<std::string>{"TEST_AMQP_PASS=" + amqp.password});
        REQUIRE(said("database rel: ok"));
    }
    /// Waits for a line of its log.
    [[nodiscard]] bool said(std::string_view what) const {
        const auto until = std::chrono::steady_clock::now() + 20s;
        while (std::chrono::steady_clock::now() < until) {
            if (contains(node.read("err"), what)) {
                return true;
            }
            ::poll(nullptr, 0, 10);
        }
        UNSCOPED_INFO(node.read("err"));
        return false;
    }
    void stops() {
        CHECK(program->wait(0ms) == -1);
        program->signal(SIGTERM);
        CHECK(program->wait(20s) == 0);
    }

    beds::test::endpoint amqp = beds::test::require_amqp();
    beds::test::endpoint mariadb = beds::test::require_mariadb();
    folder node;
    std::string configuration = broker_service(amqp, "{ read = 2, write = 1 }") +
                                "[rel_services.rel]\nhost = " + in_quotes(mariadb.host) +
                                "\nport = " + std::to_string(mariadb.port) +
                                "\nuser = " + in_quotes(mariadb.user) +
                                "\npass_file = \"pass\"\ndatabase = " + in_quotes(mariadb.path) +
                                "\ncreate_tables = true\n";
    std::optional<process> program;
};

constexpr const char* nobody_there = R"([rel_services.rel]
host = "127.0.0.1"
port = 1
user = "u"
pass = "p"
database = "d"
)";

} // namespace

TEST_CASE("with its servers and a credential of systemd the node becomes ready, tells it, and "
          "stops in order") {
    const auto amqp = beds::test::require_amqp();
    const auto mariadb = beds::test::require_mariadb();
    make_countries(mariadb);
    const folder node;
    const notify_socket manager{node.path("notify")};
    node.write("beds.toml", broker_service(amqp, "{ read = 2, write = 1 }") +
                                "[rel_services.rel]\nhost = " + in_quotes(mariadb.host) +
                                "\nport = " + std::to_string(mariadb.port) +
                                "\nuser = " + in_quotes(mariadb.user) +
                                "\npass_file = \"${CREDENTIALS_DIRECTORY}/mariadb\"\ndatabase = " +
                                in_quotes(mariadb.path) + "\ncreate_tables = true\n");
    node.write("credentials/mariadb", mariadb.password + "\n");
    node.write("templates/countries.toml", countries);
    process bedsd{node,
                  {BEDSD_PROGRAM, "--config", node.path("beds.toml").string()},
                  {manager.variable(), "TEST_AMQP_PASS=" + amqp.password,
                   "CREDENTIALS_DIRECTORY=" + node.path("credentials").string()}};
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

TEST_CASE("SIGUSR1 replaces the brokers of a running node") {
    running_bedsd bedsd;
    bedsd.program->signal(SIGUSR1);
    CHECK(bedsd.said("replacing 3 broker(s) of 2 group(s)"));
    CHECK(bedsd.said("3 of 3 replaced"));
    bedsd.stops();
    INFO(bedsd.node.read("err"));
    CHECK_FALSE(contains(bedsd.node.read("err"), "warning"));
}

TEST_CASE("SIGHUP reloads the templates of a running node; with a broken file all stays as it is") {
    running_bedsd bedsd;
    std::string other{countries};
    other.replace(other.find("version = 1"), 11, "version = 2");
    bedsd.node.write("templates/countries.toml", other);
    bedsd.program->signal(SIGHUP);
    CHECK(bedsd.said(
        "BEDS_RELOADED node: changed: countries (version 1 to 2); 3 of 3 broker(s) work by them"));
    CHECK_FALSE(contains(bedsd.node.read("err"), "BEDSD_CONFIGURATION"));

    bedsd.node.write("templates/broken.toml", "[template]\nname = \"broken\"\ncolour = 1\n");
    bedsd.node.write("beds.toml", bedsd.configuration + "[log]\nlevel = \"error\"\n");
    bedsd.program->signal(SIGHUP);
    CHECK(bedsd.said("BEDS_RELOAD_REFUSED"));
    CHECK(bedsd.said("broken.toml:3: template.colour: "));
    CHECK(bedsd.said(
        "BEDSD_CONFIGURATION bedsd: the configuration says something else than at the start"));
    CHECK(bedsd.program->wait(0ms) == -1);

    std::filesystem::remove(bedsd.node.path("templates/broken.toml"));
    bedsd.node.write("templates/places.toml", [&] {
        std::string text{countries};
        return text.replace(text.find("\"countries\""), 11, "\"places\"");
    }());
    bedsd.program->signal(SIGHUP);
    CHECK(
        bedsd.said("BEDS_RELOADED node: added: places (version 1); 3 of 3 broker(s) work by them"));
    bedsd.stops();
}

TEST_CASE("an optional database that is away is named in a status that is ready") {
    const auto amqp = beds::test::require_amqp();
    if (BEDSD_WITH_SYSTEMD == 0) {
        WARN("built without libsystemd");
        return;
    }
    const folder node;
    const notify_socket manager{node.path("notify")};
    node.write("beds.toml", broker_service(amqp, "{ read = 1, write = 1 }") + nobody_there +
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

TEST_CASE("with RabbitMQ there, start_timeout ends the wait for the database with 5") {
    const auto amqp = beds::test::require_amqp();
    const folder node;
    node.write("beds.toml", broker_service(amqp, "{ read = 1 }") + nobody_there);
    node.write("templates/countries.toml", countries);
    process bedsd{node,
                  {BEDSD_PROGRAM, "--config", node.path("beds.toml").string(), "--set",
                   "admin.start_timeout=2s"},
                  {"TEST_AMQP_PASS=" + amqp.password}};
    CHECK(bedsd.wait(20s) == 5);
    INFO(node.read("err"));
    CHECK(contains(node.read("err"), "BEDSD_START_TIMEOUT"));
    CHECK(contains(node.read("err"), "still missing: database rel: "));
    CHECK_FALSE(contains(node.read("err"), "cannot connect to RabbitMQ"));
}
