#include "config/schema.hpp"
#include "support/catch.hpp"
#include "unit/config/files.hpp"

#include <beds/core/error.hpp>

using namespace beds;
using namespace std::chrono_literals;
using config_test::contains;
using config_test::files;
using config_test::minimal;
using config_test::problem_of;
namespace schema = beds::config::schema;

TEST_CASE("a minimal file gives settings with defaults") {
    const files room;
    const auto result = room.load(minimal);
    INFO(config::to_string(result.problems));
    REQUIRE(result.ok());
    const auto& app = result.settings.broker_services.at("app_server");
    CHECK(app.user == "beds");
    CHECK(app.pass.reveal() == "hunter2");
    CHECK(app.port == 5672);
    CHECK(app.heartbeat == 30s);
    CHECK(app.max_attempts == 5);
    CHECK(app.delivery_limit == 20);
    CHECK(app.instances.at("rel") == config::broker_counts{4, 2, 1});
    CHECK(result.settings.rel_services.at("rel").database == "beds");
    CHECK(result.settings.rel_services.at("rel").inbox);
    CHECK(result.settings.rel_services.at("rel").inbox_window == 24h);
    CHECK_FALSE(
        result.settings.rel_services.at("rel").create_tables); // nobody makes tables unasked
    CHECK(result.settings.id.env_name == "dev");
    CHECK(result.settings.id.node == config::host_name());
    CHECK(result.settings.templates.directory == room.root() / "templates");
    CHECK_FALSE(result.settings.admin.start_timeout.has_value());
}

namespace {

/// Every key there is, with a value that is neither its default nor another key's of its section.
/// Of two flags one keeps its default, so that they differ.
constexpr std::string_view everything = R"([id]
env_name = "qa"
version = "2026-11 Ñ"
wbid = "ms"
node = "node-1"
[broker_services.admin]
host = "rabbit"
port = 5673
vhost = "admin"
user = "ann"
pass = "p1"
is_local = false
queue_tag = "qa_"
declare = "passive"
strict_route = true
services = "billing shop"
prefetch = 65535
max_batch = 1
heartbeat = "2m"
connect_timeout = "250ms"
clock_skew = "5s"
max_request_bytes = "64KiB"
max_reply_bytes = 2048
reply_part_bytes = "4KiB"
max_queue_length = 7
delivery_limit = 3
max_attempts = 9
write_queues = "classic"
tls = { enabled = true, ca = "ca1", cert = "cert1", key = "key1", verify = false }
instances.rel = { read = 4, write = 2, bulk = 1, order = 3 }
[rel_services.rel]
host = "maria"
port = 3307
socket = "/run/mysqld/mysqld.sock"
user = "bob"
pass = "p2"
database = "d2"
connect_timeout = "3s"
inbox = false
inbox_window = "36h"
create_tables = true
coalesce = "fetch find"
required = true
tls = { enabled = true, ca = "ca2", cert = "cert2", key = "key2", verify = false }
[rec_services.rec]
uri = "mongodb://mongo"
host = "mongo"
port = 27018
user = "eve"
pass = "p3"
auth_source = "other"
replica_set = "rs0"
database = "d3"
connect_timeout = "1s"
inbox = true
coalesce = "off"
required = false
tls = { enabled = true, ca = "ca3", cert = "cert3", key = "key3", verify = false }
[templates]
directory = "contracts"
direct = "deny"
on_mismatch = "leave_out"
[cursors]
key = "thirty-two bytes are the least..."
previous_key = "thirty-two bytes are the least.., too"
lifetime = "10m"
[log]
level = "debug"
target = "journald"
[admin]
listen = "0.0.0.0:9464"
remote = "allow"
start_timeout = "90s"
drain_timeout = "0s"
)";

/// With the files that it names.
config::load_result load_everything(const files& room) {
    for (const auto* number : {"1", "2", "3"}) {
        for (const auto* kind : {"ca", "cert", "key"}) {
            room.write(std::string{kind} + number, "x");
        }
    }
    auto result = room.load(everything);
    INFO(config::to_string(result.problems));
    REQUIRE(result.ok());
    return result;
}

} // namespace

TEST_CASE("every key is read, into its own place") {
    const files room;
    const auto result = load_everything(room);
    const auto tls = [&](const std::string& number) {
        return config::tls_settings{.enabled = true,
                                    .ca = room.path("ca" + number),
                                    .cert = room.path("cert" + number),
                                    .key = room.path("key" + number),
                                    .verify = false};
    };
    const auto& all = result.settings;
    CHECK(all.id == config::id_settings{"qa", "2026-11 Ñ", "ms", "node-1"});
    CHECK(all.broker_services.at("admin") ==
          config::broker_service_settings{.host = "rabbit",
                                          .port = 5673,
                                          .vhost = "admin",
                                          .user = "ann",
                                          .pass = core::secret{"p1"},
                                          .tls = tls("1"),
                                          .is_local = false,
                                          .queue_tag = "qa_",
                                          .declare = config::declare_mode::passive,
                                          .services = "billing shop",
                                          .strict_route = true,
                                          .prefetch = 65535,
                                          .max_batch = 1,
                                          .heartbeat = 2min,
                                          .connect_timeout = 250ms,
                                          .max_request_bytes = 65536,
                                          .max_reply_bytes = 2048,
                                          .reply_part_bytes = 4096,
                                          .max_queue_length = 7,
                                          .delivery_limit = 3,
                                          .clock_skew = 5s,
                                          .max_attempts = 9,
                                          .write_queues = config::queue_kind::classic,
                                          .instances = {{"rel", {4, 2, 1, 3}}}});
    CHECK(all.rel_services.at("rel") ==
          config::rel_service_settings{.host = "maria",
                                       .port = 3307,
                                       .socket = "/run/mysqld/mysqld.sock",
                                       .user = "bob",
                                       .pass = core::secret{"p2"},
                                       .database = "d2",
                                       .tls = tls("2"),
                                       .connect_timeout = 3s,
                                       .inbox = false,
                                       .inbox_window = 36h,
                                       .create_tables = true,
                                       .coalesce = "fetch find",
                                       .required = true});
    CHECK(all.rec_services.at("rec") ==
          config::rec_service_settings{.uri = core::secret{"mongodb://mongo"},
                                       .host = "mongo",
                                       .port = 27018,
                                       .user = "eve",
                                       .pass = core::secret{"p3"},
                                       .auth_source = "other",
                                       .replica_set = "rs0",
                                       .database = "d3",
                                       .tls = tls("3"),
                                       .connect_timeout = 1s,
                                       .inbox = true,
                                       .coalesce = "off",
                                       .required = false});
    CHECK(all.templates ==
          config::templates_settings{.directory = room.path("contracts"),
                                     .direct = config::direct_access::deny,
                                     .on_mismatch = config::mismatch_action::leave_out});
    CHECK(all.cursors == config::cursor_settings{
                             .key = core::secret{"thirty-two bytes are the least..."},
                             .previous_key = core::secret{"thirty-two bytes are the least.., too"},
                             .lifetime = 10min});
    CHECK(all.log == config::log_settings{config::log_level::debug, config::log_target::journald});
    CHECK(all.admin == config::admin_settings{.listen = "0.0.0.0:9464",
                                              .remote = config::remote_access::allow,
                                              .start_timeout = 90s,
                                              .drain_timeout = 0ms});
    for (const auto& section : schema::sections()) {
        for (const auto& where : section.list(all)) {
            for (const auto& key : section.keys) {
                INFO(schema::join(where, key.name));
                CHECK(result.origins.count(schema::join(where, key.name)) == 1);
            }
        }
    }
}

TEST_CASE("every key can be set on the command line, a secret one by its twins") {
    files room;
    auto wanted = load_everything(room).settings;
    const std::string twin = GENERATE("_env", "_file");
    std::vector<std::string> overrides;
    for (const auto& section : schema::sections()) {
        for (const auto& where : section.list(wanted)) {
            for (const auto& key : section.keys) {
                const auto name = schema::join(where, key.name);
                const auto value = key.at(section.at(wanted, where));
                if (const auto* hidden = std::get_if<core::secret*>(&value)) {
                    const auto& text = (*hidden)->reveal();
                    room.environment[name] = text;
                    const auto file = room.write(name, text).string();
                    overrides.push_back(name + twin + '=' + (twin == "_env" ? name : file));
                } else {
                    overrides.push_back(name + '=' + schema::format(key, value).value());
                }
            }
        }
    }
    const auto result = room.load("", overrides);
    INFO(config::to_string(result.problems));
    CHECK(result.ok());
    CHECK(result.settings == wanted);
    CHECK_FALSE(contains(config::print(result), "# default"));
}

TEST_CASE("every problem is reported at once, with its line") {
    const files room;
    const auto result = room.load(R"([broker_services.app_server]
hots = "localhost"
port = "5672"
user = "beds"
pass = 12345
declare = "pasive"
prefetch = 0
heartbeat = 30
max_batch = 1.5
is_local = "yes"
connect_timeout = "2 s"
max_reply_bytes = "1KB"
instances.rel = 4

[rel_services.rel]
user = "beds"
pass = "x"
port = -1

[rel_servces.other]
user = "x"

[templates]
direct = true
)");
    const auto check = [&](std::string_view key, unsigned line, std::string_view part) {
        const auto found = problem_of(result, key);
        INFO(key << " → " << config::to_string(found));
        CHECK(found.key == key);
        CHECK(found.line == line);
        CHECK(found.file == (room.root() / "beds.toml").string());
        CHECK(contains(found.message, part));
        CHECK_FALSE(found.expected.empty());
    };
    check("broker_services.app_server.hots", 2, "did you mean 'host'?");
    check("broker_services.app_server.port", 3, "must be an integer from 1 to 65535, not text");
    check("broker_services.app_server.pass", 5, "must be text, not an integer");
    check("broker_services.app_server.declare", 6, "not \"pasive\"; did you mean 'passive'?");
    check("broker_services.app_server.prefetch", 7, "from 1 to 65535, not 0");
    check("broker_services.app_server.heartbeat", 8, "such as \"30s\" or \"2m\", not an integer");
    check("broker_services.app_server.max_batch", 9, "not a number with a fraction");
    check("broker_services.app_server.is_local", 10, "must be true or false, not text");
    check("broker_services.app_server.connect_timeout", 11, "not \"2 s\"");
    check("broker_services.app_server.max_reply_bytes", 12, "not \"1KB\"");
    check("broker_services.app_server.instances.rel", 13, "{ read = 4, write = 2, bulk = 1 }");
    check("rel_services.rel.database", 15, "required");
    check("rel_services.rel.port", 18, "from 1 to 65535, not -1");
    check("rel_servces", 20, "did you mean 'rel_services'?");
    check("templates.direct", 24, "one of \"allow\", \"deny\", not true or false");
    CHECK(result.problems.size() == 15);
    CHECK(std::is_sorted(result.problems.begin(), result.problems.end(),
                         [](const auto& a, const auto& b) { return a.line < b.line; }));
}

TEST_CASE("a host has no port in it; an address of IPv6 may have colons") {
    const files room;
    const auto load = [&](const std::string& section, const std::string& host) {
        return room.load("[" + section +
                         "]\nuser = \"beds\"\npass = \"x\"\ndatabase = \"d\"\n"
                         "host = \"" +
                         host + "\"\n");
    };
    for (const std::string section :
         {"rel_services.rel", "rec_services.rec", "broker_services.app_server"}) {
        for (const auto* bad : {"127.0.0.1:5672", "localhost:5672", "db:", ":5672", "[::1]:5672",
                                "a:1,b:2", "::1::2", "[db:5672]", "[::1]"}) {
            INFO(section << ' ' << bad);
            const auto found = problem_of(load(section, bad), section + ".host");
            CHECK(found.line == 5);
            CHECK(contains(found.message,
                           "a host name or address (of IPv6 without brackets); port, "
                           "account and password have keys of their own"));
        }
        for (const auto* good : {"localhost", "db.example.org", "127.0.0.1", "::1", "fe80::1%eth0",
                                 "::ffff:10.0.0.1", "2001:db8::a:b"}) {
            INFO(section << ' ' << good);
            const auto result = load(section, good);
            CHECK(std::none_of(result.problems.begin(), result.problems.end(),
                               [&](const auto& each) { return each.key == section + ".host"; }));
        }
    }
}

TEST_CASE("a problem reads file, line, column, key") {
    config::problem one;
    one.file = "beds.toml";
    one.line = 3;
    one.column = 1;
    one.key = "id.wbid";
    one.message = "is wrong";
    CHECK(config::to_string(one) == "beds.toml:3:1: id.wbid: is wrong");
    one.file = "";
    one.line = 0;
    CHECK(config::to_string(one) == "id.wbid: is wrong");
}

TEST_CASE("files that cannot be read or parsed are problems") {
    files room;
    SECTION("missing base") {
        const auto result = room.load();
        REQUIRE(result.problems.size() == 1);
        CHECK(contains(result.problems[0].message, "cannot be opened"));
    }
    SECTION("a folder") {
        std::filesystem::create_directories(room.root() / "beds.toml");
        REQUIRE(room.load().problems.size() == 1);
    }
    SECTION("syntax error: its line; required keys are not blamed too") {
        const auto result = room.load("[id]\nwbid = ms\n");
        REQUIRE(result.problems.size() == 1);
        CHECK(result.problems[0].line == 2);
        CHECK(contains(result.problems[0].message, "is not valid TOML"));
    }
    SECTION("the same key twice") {
        const auto result = room.load("[id]\nwbid = \"a\"\nwbid = \"b\"\n");
        REQUIRE(result.problems.size() == 1);
        CHECK(result.problems[0].line == 3);
    }
    SECTION("an overlay that BEDS_ENV asks for") {
        room.environment["BEDS_ENV"] = "prod";
        const auto result = room.load(minimal);
        REQUIRE(result.problems.size() == 1);
        CHECK(result.problems[0].file == (room.root() / "env_prod.toml").string());
    }
    SECTION("BEDS_ENV that is no name") {
        room.environment["BEDS_ENV"] = "../prod";
        const auto result = room.load(minimal);
        REQUIRE(result.problems.size() == 1);
        CHECK(result.problems[0].file == "BEDS_ENV");
    }
    SECTION("problems of both files together") {
        room.write("env_dev.toml", "[log]\nlevel = \"loud\"\n");
        const auto result = room.load("[log]\ntarget = \"printer\"\n");
        REQUIRE(result.problems.size() == 2);
        CHECK(result.problems[0].key == "log.target");
        CHECK(result.problems[1].key == "log.level");
        CHECK(contains(result.problems[1].file, "env_dev.toml"));
    }
    SECTION("load_or_throw names them all") {
        room.write("beds.toml", "[log]\ntarget = \"printer\"\nlevel = 3\n");
        config::load_options options;
        options.base = room.root() / "beds.toml";
        try {
            (void)config::load_or_throw(options);
            FAIL("nothing was thrown");
        } catch (const core::error& error) {
            CHECK(error.code() == core::errc::invalid_configuration);
            CHECK(contains(error.message(), "log.target"));
            CHECK(contains(error.message(), "log.level"));
        }
    }
}

TEST_CASE("the overlay changes only the keys that it names") {
    files room;
    room.write("env_dev.toml", R"(
[broker_services.app_server]
host = "127.0.0.1"
instances.rel.read = 1
[rel_services.rel]
tls = { enabled = false }
[rel_services.archive]
user = "a"
pass = "a"
database = "a"
required = false
)");
    room.write("ca.pem", "x");
    const auto base = std::string{minimal} + "[rel_services.rel.tls]\nca = \"ca.pem\"\n";
    auto result = room.load(base);
    INFO(config::to_string(result.problems));
    REQUIRE(result.ok());
    const auto& app = result.settings.broker_services.at("app_server");
    CHECK(app.host == "127.0.0.1");
    CHECK(app.user == "beds");
    CHECK(app.instances.at("rel") == config::broker_counts{1, 2, 1});
    CHECK_FALSE(result.settings.rel_services.at("rel").tls.enabled);
    CHECK(result.settings.rel_services.at("rel").tls.ca == room.root() / "ca.pem");
    CHECK(result.settings.rel_services.size() == 2);
    CHECK(result.files.size() == 2);

    SECTION("BEDS_ENV chooses another one") {
        room.environment["BEDS_ENV"] = "qa";
        room.write("env_qa.toml", "[broker_services.app_server]\nhost = \"qa\"\n");
        result = room.load();
        REQUIRE(result.ok());
        CHECK(result.settings.broker_services.at("app_server").host == "qa");
        CHECK(result.settings.id.env_name == "qa");
        CHECK(result.settings.rel_services.at("rel").tls.enabled);
    }
}

TEST_CASE("paths are relative to the file that names them") {
    files room;
    room.write("elsewhere/over.toml", "[templates]\ndirectory = \"t\"\n");
    room.write("beds.toml", minimal);
    config::load_options options;
    options.base = room.root() / "beds.toml";
    options.overlay = room.root() / "elsewhere" / "over.toml";
    const auto result = config::load(options);
    REQUIRE(result.ok());
    CHECK(result.settings.templates.directory == room.root() / "elsewhere" / "t");
}

TEST_CASE("tls is on as soon as its table is there, and moves RabbitMQ's port") {
    files room;
    room.write("ca.pem", "x");
    const auto with = [&](std::string_view more) {
        return room.load(std::string{minimal} + std::string{more});
    };
    const auto plain = with("[broker_services.app_server.tls]\nca = \"ca.pem\"\n");
    REQUIRE(plain.ok());
    CHECK(plain.settings.broker_services.at("app_server").tls.enabled);
    CHECK(plain.settings.broker_services.at("app_server").tls.verify);
    CHECK(plain.settings.broker_services.at("app_server").port == 5671);

    const auto off = with("[broker_services.app_server.tls]\nca = \"ca.pem\"\nenabled = false\n");
    REQUIRE(off.ok());
    CHECK(off.settings.broker_services.at("app_server").port == 5672);

    const auto half = with("[broker_services.app_server.tls]\ncert = \"ca.pem\"\n");
    CHECK(problem_of(half, "broker_services.app_server.tls.key").line == 12);

    const auto missing = with("[rel_services.rel.tls]\nca = \"none.pem\"\n");
    const auto found = problem_of(missing, "rel_services.rel.tls.ca");
    CHECK(found.line == 13);
    CHECK(contains(found.message, "none.pem"));
}

TEST_CASE("names and relations between sections are checked") {
    const files room;
    const auto result = room.load(R"([broker_services.app_server]
user = "u"
pass = "p"
[broker_services.app_server.instances]
rell = { read = 1 }
[rel_services.rel]
user = "u"
pass = "p"
database = "d"
[rel_services.catalog]
user = "u"
pass = "p"
database = "d"
[rel_services."Bad.Name"]
user = "u"
pass = "p"
database = "d"
[rec_services.rel]
database = "d"
user = "lonely"
)");
    const auto check = [&](std::string_view key, unsigned line, std::string_view part) {
        const auto found = problem_of(result, key);
        INFO(key << " → " << config::to_string(found));
        CHECK(found.line == line);
        CHECK(contains(found.message, part));
    };
    check("broker_services.app_server.instances.rell", 5, "did you mean 'rel'?");
    check("rel_services.catalog", 10, "keeps for itself");
    check("rel_services.\"Bad.Name\"", 14, "lower-case");
    check("rec_services.rel", 18, "unique");
    check("rec_services.rel.pass", 18, "required");
    CHECK(result.problems.size() == 5);
}

TEST_CASE("overrides need no quotes") {
    const files room;
    const auto result = room.load(
        minimal, {"broker_services.app_server.port=5999", "log.level=debug",
                  "broker_services.app_server.vhost=a=b", "id.version=1.0",
                  "broker_services.app_server.instances.rel.read=9",
                  "broker_services.app_server.strict_route=true", "id.wbid=\"ms\"",
                  "broker_services.app_server.max_reply_bytes=64KiB",
                  "broker_services.app_server.max_request_bytes=4096", "admin.start_timeout=5s",
                  "admin.drain_timeout=1s", "admin.drain_timeout=2s"});
    INFO(config::to_string(result.problems));
    REQUIRE(result.ok());
    const auto& app = result.settings.broker_services.at("app_server");
    CHECK(app.port == 5999);
    CHECK(app.vhost == "a=b");
    CHECK(app.strict_route);
    CHECK(app.instances.at("rel").read == 9);
    CHECK(app.instances.at("rel").write == 2);
    CHECK(app.max_reply_bytes == 65536);
    CHECK(app.max_request_bytes == 4096);
    CHECK(result.settings.id.version == "1.0");
    CHECK(result.settings.id.wbid == "ms");
    CHECK(result.settings.log.level == config::log_level::debug);
    CHECK(result.settings.admin.start_timeout == std::optional<std::chrono::milliseconds>{5s});
    CHECK(result.settings.admin.drain_timeout == 2s);
}

TEST_CASE("overrides that do not fit are problems") {
    const files room;
    const auto check = [&](const std::string& override, std::string_view part) {
        const auto result = room.load(minimal, {override});
        INFO(override << " → " << config::to_string(result.problems));
        REQUIRE(result.problems.size() == 1);
        CHECK(result.problems[0].file.find("--set") == 0);
        CHECK(contains(config::to_string(result.problems), part));
    };
    check("broker_services.app_server.prot=1", "did you mean 'port'?");
    check("broker_service.app_server.port=1", "did you mean 'broker_services'?");
    check("broker_services.app_server.port=http", "must be an integer from 1 to 65535, not text");
    check("broker_services.app_server.port=0", "must be an integer from 1 to 65535, not 0");
    check("broker_services.app_server.port=", "must be an integer");
    check("broker_services.app_server.instances.rel={read=1}", "is a table");
    check("broker_services.app_server.instances.rel.reed=1", "did you mean 'read'?");
    check("log=debug", "is a table");
    check("log.level=loud", "one of \"debug\"");
    check("log..level=loud", "is not a key");
    check("id.wbid=\"ms", "is not a valid value");
    check("nonsense", "section.key=value");
    check("=x", "section.key=value");
    check("", "section.key=value");
}

TEST_CASE("a damaged file is a problem, never a crash") {
    const files room;
    for (const auto* text :
         {"[[[", "[", "=", "a.b.c", "\xff\xfe", "[id]\n\"", "x = [[[[[", "\"\\u"}) {
        INFO(text);
        CHECK_FALSE(room.load(text).ok());
    }
    std::size_t refused = 0;
    for (std::size_t length = 0; length < minimal.size(); ++length) {
        refused += room.load(minimal.substr(0, length)).ok() ? 0U : 1U;
        auto changed = std::string{minimal};
        changed[length] = '[';
        refused += room.load(changed).ok() ? 0U : 1U;
    }
    CHECK(refused > minimal.size());
}

TEST_CASE("a key of cursors is long, and the one before it goes with it") {
    files room;
    const auto with = [&](std::string_view more) {
        return room.load(std::string{minimal} + "[cursors]\n" + std::string{more});
    };
    const std::string good(32, 'k');
    CHECK(with("key = \"" + good + "\"\n").ok());
    CHECK(with("key = \"" + good + "\"\nprevious_key = \"" + good + "\"\n").ok());
    const auto refused = [&](const std::string& text, const std::string& key) {
        const auto result = with(text);
        CHECK_FALSE(result.ok());
        const auto problem = config_test::problem_of(result, key);
        CHECK_FALSE(contains(problem.message, "kkkk"));
        return problem.message;
    };
    const auto brief = good.substr(1);
    CHECK(contains(refused("key = \"" + brief + "\"\n", "cursors.key"), "32 bytes"));
    CHECK(contains(refused("key = \"" + good + "\"\nprevious_key = \"" + brief + "\"\n",
                           "cursors.previous_key"),
                   "32 bytes"));
    CHECK(contains(refused("previous_key = \"" + good + "\"\n", "cursors.key"), "required"));
}

TEST_CASE("admin pages are for this machine alone unless the configuration says otherwise") {
    files room;
    const auto with = [&](std::string_view more) {
        return room.load(std::string{minimal} + "[admin]\n" + std::string{more});
    };
    for (const auto* good : {"127.0.0.1:9464", "127.8.8.8:1", "[::1]:65535", "127.0.0.1:0", ""}) {
        CHECK(with("listen = \"" + std::string{good} + "\"\n").ok());
    }
    for (const auto* bad : {"localhost:9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                            "127.0.0.1:94x", "::1:9464", "[127.0.0.1]:9464", ":9464", "9464"}) {
        const auto result = with("listen = \"" + std::string{bad} + "\"\n");
        const auto problem = config_test::problem_of(result, "admin.listen");
        INFO(bad << ": " << problem.message);
        CHECK(problem.line == 13);
        CHECK(contains(problem.message, "an address with a port"));
    }
    for (const auto* open :
         {"0.0.0.0:9464", "[::]:9464", "192.168.1.1:9464", "[::ffff:127.0.0.1]:9"}) {
        const auto listen = "listen = \"" + std::string{open} + "\"\n";
        const auto refused = with(listen);
        INFO(open);
        CHECK(contains(config_test::problem_of(refused, "admin.listen").message, "remote"));
        CHECK(with(listen + "remote = \"allow\"\n").ok());
    }
}
