#include "config/schema.hpp"
#include "support/catch.hpp"
#include "unit/config/files.hpp"

#include <beds/core/error.hpp>

#include <sstream>

using namespace beds;
using config_test::contains;
using config_test::files;
using config_test::problem_of;
namespace schema = beds::config::schema;

namespace {

constexpr std::string_view canary = "c4n4ry-S3cret";

std::string with_pass(std::string_view lines) {
    return "[broker_services.app_server]\nuser = \"u\"\n" + std::string{lines} + "\n";
}

const core::secret& pass_of(const config::load_result& result) {
    return result.settings.broker_services.at("app_server").pass;
}

} // namespace

TEST_CASE("a secret comes from a file, without its last line break") {
    const files room;
    const auto text = GENERATE(std::string{"s3\n"}, std::string{"s3\r\n"}, std::string{"s3"});
    room.write("keys/pass", text);
    const auto result = room.load(with_pass("pass_file = \"keys/pass\""));
    INFO(config::to_string(result.problems));
    REQUIRE(result.ok());
    CHECK(pass_of(result).reveal() == "s3");
    CHECK(contains(config::print(result), "beds.toml:3 (pass_file)"));
}

TEST_CASE("a secret comes from a credential of systemd") {
    files room;
    room.write("run/credentials/rabbitmq", "s3\n");
    const auto text = with_pass("pass_file = \"${CREDENTIALS_DIRECTORY}/rabbitmq\"");
    const auto without = room.load(text);
    REQUIRE(without.problems.size() == 1);
    CHECK(contains(without.problems[0].message, "CREDENTIALS_DIRECTORY is not set"));
    room.environment["CREDENTIALS_DIRECTORY"] = (room.root() / "run/credentials").string();
    const auto result = room.load(text);
    INFO(config::to_string(result.problems));
    REQUIRE(result.ok());
    CHECK(pass_of(result).reveal() == "s3");
    const auto missing = room.load(with_pass("pass_file = \"${CREDENTIALS_DIRECTORY}/other\""));
    CHECK(contains(problem_of(missing, "broker_services.app_server.pass_file").message,
                   "run/credentials/other\", which cannot be opened"));
}

TEST_CASE("only one line break is cut off") {
    const files room;
    room.write("pass", " s3 \n\n");
    const auto result = room.load(with_pass("pass_file = \"pass\""));
    REQUIRE(result.ok());
    CHECK(pass_of(result).reveal() == " s3 \n");
}

TEST_CASE("a secret comes from an environment variable") {
    files room;
    room.environment["APP_PASS"] = "s3";
    const auto result = room.load(with_pass("pass_env = \"APP_PASS\""));
    REQUIRE(result.ok());
    CHECK(pass_of(result).reveal() == "s3");
    CHECK(contains(config::print(result), "(pass_env)"));
}

TEST_CASE("secrets that are not there are problems with the twin's line") {
    files room;
    const auto check = [&](std::string_view line, std::string_view key, std::string_view part) {
        const auto result = room.load(with_pass(line));
        INFO(config::to_string(result.problems));
        REQUIRE(result.problems.size() == 1);
        CHECK(result.problems[0].key == "broker_services.app_server." + std::string{key});
        CHECK(result.problems[0].line == 3);
        CHECK(contains(result.problems[0].message, part));
    };
    check("pass_file = \"none\"", "pass_file", "cannot be opened");
    check("pass_file = \".\"", "pass_file", "cannot be opened");
    room.write("empty", "\n");
    check("pass_file = \"empty\"", "pass_file", "is empty");
    room.write("large", std::string(70'000, 'x'));
    check("pass_file = \"large\"", "pass_file", "64KiB");
    check("pass_env = \"NOT_SET\"", "pass_env", "NOT_SET");
    check("pass_env = 3", "pass_env", "must be text");
    check("user_file = \"x\"\npass = \"x\"", "user_file", "is not a key");
}

TEST_CASE("one layer gives one of the three; a later layer replaces it") {
    files room;
    room.environment["APP_PASS"] = "s3";
    const auto twice = room.load(with_pass("pass_env = \"APP_PASS\"\npass = \"x\""));
    REQUIRE(twice.problems.size() == 1);
    CHECK(contains(twice.problems[0].message, "give only one"));

    room.write("env_dev.toml", with_pass("pass_env = \"APP_PASS\""));
    const auto later = room.load(with_pass("pass_file = \"/only/in/production\""));
    INFO(config::to_string(later.problems));
    REQUIRE(later.ok());
    CHECK(pass_of(later).reveal() == "s3");
}

TEST_CASE("--set refuses secrets and takes their twins") {
    files room;
    room.environment["APP_PASS"] = "s3";
    const auto base = with_pass("pass = \"x\"");
    std::size_t secrets = 0;
    for (const auto& section : schema::sections()) {
        schema::path where;
        for (const auto part : section.pattern) {
            where.emplace_back(part == "*" ? "app_server" : part);
        }
        for (const auto& key : section.keys) {
            if (!schema::is_secret(key)) {
                continue;
            }
            ++secrets;
            const auto name = schema::join(where, key.name);
            const auto result = room.load(base, {name + '=' + std::string{canary}});
            REQUIRE(result.problems.size() == 1);
            const auto text = config::to_string(result.problems);
            CHECK(contains(text, name + ": is secret"));
            CHECK_FALSE(contains(text, canary));
        }
    }
    CHECK(secrets == 6);
    const auto result = room.load(base, {"broker_services.app_server.pass_env=APP_PASS"});
    INFO(config::to_string(result.problems));
    REQUIRE(result.ok());
    CHECK(pass_of(result).reveal() == "s3");
}

TEST_CASE("a secret is in no output") {
    files room;
    const std::string secret{canary};
    room.environment["APP_PASS"] = secret;
    room.write("pass", secret + "\n");
    const auto text = [&](const std::string& base, std::vector<std::string> overrides = {}) {
        room.write("beds.toml", base);
        const auto result = room.load(overrides);
        std::ostringstream out;
        out << config::to_string(result.problems) << config::print(result)
            << config::print(result.settings);
        for (const auto& each : result.problems) {
            out << each << each.expected;
        }
        config::load_options options;
        options.base = room.root() / "beds.toml";
        options.overrides = overrides;
        try {
            (void)config::load_or_throw(options);
        } catch (const core::error& error) {
            out << error.what() << error.message();
        }
        return out.str();
    };

    SECTION("good configurations, wherever the secret comes from") {
        for (const auto* line :
             {"pass_env = \"APP_PASS\"", "pass_file = \"pass\"", "pass = \"c4n4ry-S3cret\""}) {
            const auto shown = text(with_pass(line) + "[rec_services.rec]\ndatabase = \"d\"\nuri = "
                                                      "\"mongodb://u:c4n4ry-S3cret@h/\"\n");
            CHECK_FALSE(contains(shown, canary));
            CHECK(contains(shown, "pass = \"***\""));
            CHECK(contains(shown, "uri = \"***\""));
        }
    }
    SECTION("a connection string that is none") {
        const auto shown = text("[rec_services.rec]\ndatabase = \"d\"\nuri = \"c4n4ry-S3cret\"\n");
        CHECK(contains(shown, "rec_services.rec.uri: must begin with mongodb://"));
        CHECK_FALSE(contains(shown, canary));
    }
    SECTION("a misspelt key, a wrong type, a wrong place") {
        CHECK_FALSE(contains(text(with_pass("passs = \"c4n4ry-S3cret\"")), canary));
        CHECK_FALSE(contains(text(with_pass("pass = [\"c4n4ry-S3cret\"]")), canary));
        CHECK_FALSE(contains(text(with_pass("pass = { text = \"c4n4ry-S3cret\" }")), canary));
        CHECK_FALSE(contains(text("pass = \"c4n4ry-S3cret\"\n"), canary));
    }
    SECTION("overrides that are none") {
        CHECK_FALSE(contains(
            text(with_pass(""), {"broker_services.app_server.passs=c4n4ry-S3cret"}), canary));
        CHECK_FALSE(contains(text(with_pass(""), {"c4n4ry-S3cret"}), canary));
    }
}

TEST_CASE("text that the TOML parser stumbles on is not quoted") {
    const files room;
    // No piece of such a value may show, so every value here is made of one letter.
    for (const auto* value :
         {"zzzzzzzz", "\"zzzzzzzz",  "'zzzzzzzz",    "12zzzzzz",  "0xzzzzzz",  "truezzzzz",
          "fzzzzzzz", "1e5zzzzz",    "\"zz\\zzzz\"", "[zzzzzzzz", "{zzzzzzzz", "2020-01-zz",
          "+zzzzzzz", "\"zz\" zzzz", "1_zzzzzz",     "infzzzzz",  "zz=zz",     "\"\"\"zzzz",
          "0bzzzzzz", "tzzzzzzz",    "12:zz:zz"}) {
        const auto result = room.load(with_pass("pass = " + std::string{value}));
        INFO(value << " → " << config::to_string(result.problems));
        REQUIRE(result.problems.size() == 1);
        CHECK_FALSE(contains(result.problems[0].message, "z"));
    }
}
