#include "support/catch.hpp"
#include "unit/config/files.hpp"

#include <beds/config/settings.hpp>
#include <beds/core/error.hpp>

#include <algorithm>

using namespace beds;
using namespace std::chrono_literals;
using config_test::contains;

namespace {

config::settings good() {
    config::settings all;
    all.rel_services["rel"] = {.user = "u", .database = "d"};
    all.broker_services["app_server"] = {
        .user = "u", .pass = core::secret{"p"}, .instances = {{"rel", {.read = 1}}}};
    return all;
}

} // namespace

TEST_CASE("an embedding program needs no TOML") {
    CHECK(config::check(config::settings{}).empty());
    CHECK(config::check(good()).empty());
    CHECK_NOTHROW(config::validate(good()));
}

TEST_CASE("check names the key that is wrong") {
    const auto wrong = [](auto change) {
        auto all = good();
        change(all);
        const auto found = config::check(all);
        REQUIRE(found.size() == 1);
        CHECK_FALSE(found[0].expected.empty());
        CHECK_THROWS_AS(config::validate(all), core::error);
        return found[0].key;
    };
    auto app = [](config::settings & all) -> auto& {
        return all.broker_services["app_server"];
    };
    CHECK(wrong([&](auto& all) { app(all).heartbeat = 0s; }) ==
          "broker_services.app_server.heartbeat");
    CHECK(wrong([&](auto& all) { app(all).heartbeat = -1s; }) ==
          "broker_services.app_server.heartbeat");
    CHECK(wrong([&](auto& all) { app(all).port = 0; }) == "broker_services.app_server.port");
    CHECK(wrong([&](auto& all) { app(all).max_batch = 0; }) ==
          "broker_services.app_server.max_batch");
    CHECK(wrong([&](auto& all) { app(all).max_reply_bytes = 1; }) ==
          "broker_services.app_server.max_reply_bytes");
    CHECK(wrong([&](auto& all) { app(all).pass = {}; }) == "broker_services.app_server.pass");
    CHECK(wrong([&](auto& all) { app(all).queue_tag = "a b"; }) ==
          "broker_services.app_server.queue_tag");
    CHECK(wrong([&](auto& all) { app(all).instances["rec"].read = 1; }) ==
          "broker_services.app_server.instances.rec");
    CHECK(wrong([&](auto& all) { app(all).instances["rel"].bulk = 257; }) ==
          "broker_services.app_server.instances.rel.bulk");
    CHECK(wrong([](auto& all) { all.rel_services["rel"].database.clear(); }) ==
          "rel_services.rel.database");
    CHECK(wrong([](auto& all) { all.rel_services["rel"].inbox_window = 59s; }) ==
          "rel_services.rel.inbox_window");
    CHECK(wrong([](auto& all) {
              all.rel_services["beds"] = all.rel_services["rel"];
              all.rel_services["beds"].required = false;
          }) == "rel_services.beds");
    CHECK(wrong([](auto& all) { all.admin.start_timeout = 1ms; }) == "admin.start_timeout");
    CHECK(wrong([](auto& all) { all.admin.drain_timeout = -1ms; }) == "admin.drain_timeout");
    CHECK(wrong([](auto& all) { all.admin.listen = "0.0.0.0:8077"; }) == "admin.listen");
    CHECK(wrong([](auto& all) { all.id.wbid = "MS"; }) == "id.wbid");
    CHECK(wrong([](auto& all) { all.log.level = static_cast<config::log_level>(9); }) ==
          "log.level");
}

TEST_CASE("a required database that no broker of this node would look at is a problem") {
    auto all = good();
    all.rec_services["rec"].database = "d";
    const auto found = config::check(all);
    REQUIRE(found.size() == 1);
    CHECK(found[0].key == "rec_services.rec.required");
    INFO(found[0].message);
    CHECK(contains(found[0].message, "instances"));
    CHECK(contains(found[0].message, "required = false"));

    auto served = all;
    served.broker_services["app_server"].instances["rec"].write = 1;
    CHECK(config::check(served).empty());
    served.broker_services["app_server"].instances["rec"].write = 0; // no broker at all
    CHECK(config::check(served).size() == 1);
    auto optional = all;
    optional.rec_services["rec"].required = false;
    CHECK(config::check(optional).empty());

    auto elsewhere = all; // a role that another node plays does not look at it here
    elsewhere.broker_services["admin"] = {.is_local = false, .instances = {{"rec", {.read = 1}}}};
    CHECK(config::check(elsewhere).size() == 1);
    auto embedded = all; // no brokers at all: the program uses its connections itself
    embedded.broker_services.clear();
    CHECK(config::check(embedded).empty());
}

TEST_CASE("a role that is played elsewhere needs no account here") {
    auto all = good();
    all.broker_services["admin"].is_local = false;
    CHECK(config::check(all).empty());
}

TEST_CASE("connections of the embedding program's own are known when it says so") {
    auto all = good();
    all.broker_services["app_server"].instances["mem"].read = 1;
    CHECK(config::check(all).size() == 1);
    CHECK(config::check(all, {"mem"}).empty());
}

TEST_CASE("the sample configuration is good in every environment") {
    for (const auto* environment : {"dev", "qa", "prod"}) {
        config::load_options options;
        options.base = std::filesystem::path{BEDS_SAMPLE_CONFIG_DIR} / "beds.toml";
        options.environment = [&](const std::string& name) -> std::optional<std::string> {
            if (name == "BEDS_ENV") {
                return environment;
            }
            return "x";
        };
        const auto result = config::load(options);
        // Files that hold secrets and certificates are on the operator's machine only.
        for (const auto& each : result.problems) {
            INFO(environment << ": " << each);
            CHECK(contains(each.message, "names the file \"" BEDS_SAMPLE_CONFIG_DIR "/"));
        }
        CHECK(result.settings.id.env_name == environment);
        CHECK(result.files.size() == 2);
    }
}

TEST_CASE("an address with a password in it is refused, and not repeated") {
    config::settings all;
    all.broker_services["app_server"].host = "amqp://beds:hunter2@127.0.0.1";
    const auto problems = config::check(all, {});
    const auto found = std::find_if(problems.begin(), problems.end(), [](const auto& one) {
        return one.key == "broker_services.app_server.host";
    });
    REQUIRE(found != problems.end());
    CHECK(found->message.find("hunter2") == std::string::npos);
    CHECK(found->message.find("keys of their own") != std::string::npos);
}
