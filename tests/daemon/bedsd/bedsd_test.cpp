#include "daemon/bedsd/process.hpp"
#include "support/catch.hpp"
#include "support/loopback.hpp"

#include <sstream>

using namespace daemon_test;
using namespace std::chrono_literals;

namespace {

constexpr auto soon = 10s;
constexpr std::string_view canary = "c4n4ry-S3cret";

/// Servers on a port where nobody listens.
constexpr std::string_view nobody_there = R"([id]
wbid = "ms"
[broker_services.app_server]
host = "127.0.0.1"
port = 1
user = "beds"
pass = "c4n4ry-S3cret"
instances.rel = { read = 1 }
[rel_services.rel]
host = "127.0.0.1"
port = 1
user = "beds"
pass = "c4n4ry-S3cret"
database = "beds"
[admin]
drain_timeout = "1s"
)";

constexpr std::string_view countries = R"([template]
name = "countries"
version = 1
service = "app_server"
store = "rel"
object = "ms_countries"
key = ["alpha2"]
[fields]
alpha2 = { type = "string", max = 2 }
name = { type = "string", max = 100 }
)";

struct node_files : folder {
    node_files() {
        write("beds.toml", nobody_there);
        write("templates/countries.toml", countries);
    }
    [[nodiscard]] std::vector<std::string> command(std::vector<std::string> more) const {
        std::vector<std::string> all{BEDSD_PROGRAM, "--config", path("beds.toml").string()};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    [[nodiscard]] int run(const std::vector<std::string>& more) const {
        return process{*this, command(more)}.wait(soon);
    }
    [[nodiscard]] std::string out() const { return read("out"); }
    [[nodiscard]] std::string err() const { return read("err"); }
    [[nodiscard]] bool says(std::string_view what) const {
        const auto until = std::chrono::steady_clock::now() + 20s;
        while (!contains(err(), what)) {
            if (std::chrono::steady_clock::now() > until) {
                return false;
            }
            ::poll(nullptr, 0, 10);
        }
        return true;
    }
};

} // namespace

TEST_CASE("--version and --help end with 0") {
    const node_files node;
    CHECK(node.run({"--version"}) == 0);
    CHECK(node.out().find("bedsd ") == 0);
    CHECK(node.run({"--help"}) == 0);
    CHECK(contains(node.out(), "Exit codes:"));
}

TEST_CASE("a wrong command line ends with 2") {
    const node_files node;
    CHECK(node.run({"--chekc"}) == 2);
    CHECK(contains(node.err(), "--chekc"));
}

TEST_CASE("a bad configuration ends with 3 and names every problem") {
    const node_files node;
    node.write("beds.toml", "[id]\nwbdi = \"ms\"\n[log]\nlevel = \"loud\"\n");
    const auto task = GENERATE(std::string{"--check"}, std::string{"--print-config"},
                               std::string{"--set=admin.listen="});
    CHECK(node.run({task}) == 3);
    CHECK(
        contains(node.err(), "beds.toml:2:1: id.wbdi: is not a key of [id]; did you mean 'wbid'?"));
    CHECK(contains(node.err(), "beds.toml:4:1: log.level:"));
    CHECK(node.out().empty());
}

TEST_CASE("--print-config shows values and no secret") {
    const node_files node;
    CHECK(node.run({"--print-config", "--set", "log.level=debug"}) == 0);
    CHECK(contains(node.out(), "port = 1  # "));
    CHECK(contains(node.out(), "level = \"debug\"  # --set"));
    CHECK(contains(node.out(), "pass = \"***\""));
    CHECK_FALSE(contains(node.out(), canary));
    CHECK(node.err().empty());
}

TEST_CASE("--check needs no server") {
    const node_files node;
    CHECK(node.run({"--check"}) == 0);
    INFO(node.err());
    CHECK(contains(node.out(), "templates"));
    CHECK(node.run({"--check", "--set", "id.version=2026-11 b"}) == 0);
    CHECK(contains(node.out(), "environment dev, version 2026-11 b"));
}

TEST_CASE("a bad template ends with 4 and names file and line") {
    const node_files node;
    node.write("templates/bad.toml", "[template]\nname = \"bad\"\nversoin = 1\n");
    for (const auto& task : std::vector<std::vector<std::string>>{{"--check"}, {}}) {
        CHECK(node.run(task) == 4);
        CHECK(contains(node.err(), "bad.toml:3"));
    }
}

TEST_CASE("each bad template is a line of the log") {
    const node_files node;
    node.write("templates/bad.toml", "[template]\nname = \"bad\"\nversoin = 1\n");
    node.write("templates/worse.toml", "[template]\nname = \"worse\"\nversoin = 1\n");
    CHECK(node.run({}) == 4);
    INFO(node.err());
    CHECK_FALSE(contains(node.err(), "\\x0a"));
    std::istringstream lines{node.err()};
    int bad = 0;
    int worse = 0;
    for (std::string line; std::getline(lines, line);) {
        if (contains(line, "BEDS_IPL_STEP ipl: templates: FAILED")) {
            const bool first = contains(line, "bad.toml:3");
            const bool second = contains(line, "worse.toml:3");
            CHECK_FALSE((first && second));
            bad += first ? 1 : 0;
            worse += second ? 1 : 0;
        }
    }
    CHECK(bad == 1);
    CHECK(worse == 1);
}

TEST_CASE("what the configuration forbids a template ends with 4") {
    const node_files node;
    CHECK(node.run({"--check", "--set", "templates.direct=deny"}) == 4);
    CHECK(contains(node.err(), "read.view"));
    CHECK(node.run({"--check", "--set", "id.wbid=zz"}) == 4);
    INFO(node.err());
    CHECK(contains(node.err(), "a name that begins with 'zz_'"));
}

TEST_CASE("--check names every template that is left out, and why") {
    const node_files node;
    node.write("templates/bad.toml", "[template]\nname = \"bad\"\nversoin = 1\n");
    CHECK(node.run({"--check", "--set", "templates.on_mismatch=leave_out"}) == 0);
    INFO(node.out());
    CHECK(contains(node.out(), "1 template(s)"));
    CHECK(contains(node.out(), "bad.toml:3"));
    CHECK(contains(node.out(), "versoin"));
}

TEST_CASE("start_timeout ends the wait for servers with 5") {
    const node_files node;
    CHECK(node.run({"--set", "admin.start_timeout=300ms"}) == 5);
    INFO(node.err());
    CHECK(contains(node.err(), "BEDSD_START_TIMEOUT"));
    CHECK(contains(node.err(), "rabbitmq app_server: cannot connect to RabbitMQ"));
    CHECK(contains(node.err(), "database rel: "));
    CHECK_FALSE(contains(node.err(), "database rel: RabbitMQ"));
    CHECK_FALSE(contains(node.err(), "database rel: cannot connect to RabbitMQ"));
    CHECK_FALSE(contains(node.err(), "(0.000"));
    CHECK_FALSE(contains(node.err(), canary));
}

TEST_CASE("without servers the node is live, says what is missing, and stops in order") {
    const node_files node;
    const notify_socket manager{node.path("notify")};
    process bedsd{node, node.command({"--set", "log.level=debug"}), {manager.variable()}};
    if (BEDSD_WITH_SYSTEMD != 0) {
        const auto status = manager.wait_for("STATUS=live, not ready: ", soon);
        CHECK(contains(status, "rabbitmq app_server: cannot connect to RabbitMQ"));
        CHECK(contains(status, "database rel: "));
        CHECK_FALSE(contains(status, "database rel: RabbitMQ"));
        CHECK_FALSE(contains(status, canary));
        CHECK(manager.wait_for("WATCHDOG=1", soon) == "WATCHDOG=1");
        bedsd.signal(SIGHUP);
        bedsd.signal(SIGTERM);
        CHECK(contains(manager.wait_for("STOPPING=1", soon), "STOPPING=1"));
    } else {
        CHECK(bedsd.wait(1s) == -1);
        bedsd.signal(SIGTERM);
    }
    CHECK(bedsd.wait(soon) == 0);
    CHECK(contains(node.err(), "BEDSD_STOP"));
    CHECK(contains(node.err(), "BEDSD_ENDED bedsd: ended after "));
    CHECK(contains(node.err(), " ms; finished 0 operation(s) meanwhile, 0 since the start\n"));
    CHECK(contains(node.err(), "BEDS_RELOADED node: the templates are what they were") ==
          (BEDSD_WITH_SYSTEMD != 0));
    CHECK_FALSE(contains(node.err(), canary));
}

TEST_CASE("a second SIGTERM ends it at once, with a line about it") {
    const node_files node;
    // It takes connections and says nothing: a broker that is connecting is not at its end yet.
    const beds::test::loopback_listener rabbitmq;
    process bedsd{
        node,
        node.command({"--set", "broker_services.app_server.port=" + std::to_string(rabbitmq.port()),
                      "--set", "broker_services.app_server.connect_timeout=50s", "--set",
                      "admin.drain_timeout=50s"})};
    REQUIRE(node.says("BEDS_IPL_STEP ipl: rabbitmq app_server: "));
    bedsd.signal(SIGTERM);
    REQUIRE(node.says("BEDSD_STOP"));
    CHECK(bedsd.wait(500ms) == -1);
    bedsd.signal(SIGTERM);
    CHECK(bedsd.wait(soon) == 1);
    INFO(node.err());
    CHECK(contains(node.err(), "Z warning BEDSD_ENDED_AT_ONCE bedsd: a second signal ends it at "
                               "once; unfinished requests are delivered again\n"));
    CHECK_FALSE(contains(node.err(), "BEDSD_ENDED bedsd"));
}

TEST_CASE("without a journal its log goes to the console and says so") {
    if (BEDSD_WITH_SYSTEMD != 0 && std::filesystem::exists("/run/systemd/journal/socket")) {
        WARN("there is a journal on this machine");
        return;
    }
    const node_files node;
    CHECK(node.run({"--set", "log.target=journald", "--set", "admin.start_timeout=100ms"}) == 5);
    CHECK(contains(node.err(), "BEDSD_NO_JOURNAL"));
    CHECK(contains(node.err(), "BEDSD_START_TIMEOUT"));
}
