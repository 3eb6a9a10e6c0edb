#include "support/catch.hpp"
#include "unit/config/files.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>

using namespace beds;
using config_test::contains;
using config_test::files;
using config_test::minimal;

TEST_CASE("what is printed has defaults, values and origins") {
    files room;
    room.write("env_dev.toml", "[broker_services.app_server]\nhost = \"127.0.0.1\"\n");
    const auto text = config::print(room.load(minimal, {"log.level=debug"}));
    const auto base = (room.root() / "beds.toml").string();
    INFO(text);
    CHECK(contains(text, "[broker_services.app_server]\n"));
    CHECK(contains(text, "user = \"beds\"  # " + base + ":2\n"));
    CHECK(contains(text, "pass = \"***\"  # " + base + ":3\n"));
    CHECK(contains(text,
                   "host = \"127.0.0.1\"  # " + (room.root() / "env_dev.toml").string() + ":2\n"));
    CHECK(contains(text, "port = 5672  # default\n"));
    CHECK(contains(text, "level = \"debug\"  # --set\n"));
    CHECK(contains(text, "env_name = \"dev\"  # BEDS_ENV\n"));
    CHECK(contains(text, "[broker_services.app_server.instances.rel]\nread = 4"));
    CHECK(contains(text, "# start_timeout: not set\n"));
}

TEST_CASE("what is printed can be read again") {
    files room;
    const auto first = room.load(
        minimal, {"id.version=say \"hi\" \\ \t\x01 Ñ", "admin.start_timeout=90s",
                  "broker_services.app_server.strict_route=true", "templates.directory=/srv/t"});
    INFO(config::to_string(first.problems));
    REQUIRE(first.ok());
    const auto second = room.load(config::print(first));
    INFO(config::to_string(second.problems));
    REQUIRE(second.ok());
    auto expected = first.settings;
    expected.broker_services.at("app_server").pass = core::secret{"***"};
    expected.rel_services.at("rel").pass = core::secret{"***"};
    CHECK(second.settings == expected);
}

TEST_CASE("names that are not bare are quoted") {
    config::settings all;
    all.rel_services["a \"b\".c"].user = "u";
    CHECK(contains(config::print(all), "[rel_services.\"a \\\"b\\\".c\"]\n"));
}

TEST_CASE("the reference in the documents is the table's") {
    // BEDS_UPDATE_DOCS=1 writes it.
    const auto made = config::reference();
    if (const char* update = std::getenv("BEDS_UPDATE_DOCS"); update != nullptr && *update == '1') {
        std::ofstream{BEDS_CONFIG_REFERENCE, std::ios::binary} << made;
    }
    std::ifstream stream{BEDS_CONFIG_REFERENCE, std::ios::binary};
    const std::string written{std::istreambuf_iterator<char>{stream}, {}};
    CHECK(written == made);
}
