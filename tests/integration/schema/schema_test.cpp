#include "integration/mongodb/fixture.hpp"
#include "integration/mongodb/requests.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

#include <beds/adapters/mariadb.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <regex>
#include <string>
#include <sys/wait.h>
#include <vector>

// What `bedsctl schema` prints, run in an empty database as its DBA runs it: the inbox works, and
// nobody complains of anything that is missing.

using namespace beds;
using namespace beds::test;

namespace {

struct ended {
    std::string text;
    int code = 0;
};

ended output(const std::string& arguments) {
    FILE* const from = ::popen((std::string{BEDSCTL_PROGRAM} + ' ' + arguments).c_str(), "r");
    REQUIRE(from != nullptr);
    ended made;
    std::array<char, 4096> part{};
    for (std::size_t got = 0; (got = std::fread(part.data(), 1, part.size(), from)) > 0;) {
        made.text.append(part.data(), got);
    }
    made.code = WEXITSTATUS(::pclose(from));
    return made;
}

std::string printed(const std::string& arguments) {
    const auto made = output("schema" + arguments);
    REQUIRE(made.code == 0);
    return made.text;
}

std::string items_template(const std::string& store) {
    return "[template]\nname = \"items\"\nstore = \"" + store + "\"\nconnection = \"" + store +
           R"toml("
object = "items"
key = ["id"]
[fields]
id = { type = "int64", required = true)toml" +
           (store == "rec" ? R"(, column = "_id")" : "") + R"toml( }
n = { type = "int64", default = 0 }
)toml";
}

/// Complaints of the adapter.
struct complaints {
    observe::log_sink sink() {
        return observe::log_sink{observe::level::warning, [this](const observe::log_record& one) {
                                     all.push_back(std::string{one.id} + " " +
                                                   std::string{one.text});
                                 }};
    }
    std::vector<std::string> all;
};

/// The same write three times, by two brokers, is one.
void check_inbox(const std::shared_ptr<adapters::adapter>& engine, const std::string& store) {
    complaints heard;
    const auto text = items_template(store);
    const auto registry = mongodb::registry_of({text});
    mongodb::requests one{engine, registry, heard.sink()};
    mongodb::requests other{engine, registry, heard.sink()};
    const std::string insert = R"("template":"items","op":"insert","data":{"id":1,"n":5})";
    const std::string raise = R"("template":"items","op":"update","key":1,"inc":{"n":1})";
    CHECK(one.run("first", insert).find(R"("effect":"applied")") != std::string::npos);
    const auto told = one.run("second", raise);
    CHECK(told.find(R"("effect":"applied")") != std::string::npos);
    CHECK(told.find("at_least_once") == std::string::npos);
    CHECK(one.run("second", raise) == told);
    CHECK(other.run("second", raise, true) == told);
    CHECK(other.run("third", R"("template":"items","op":"fetch","key":1)").find("\"n\":6") !=
          std::string::npos);
    for (const auto& complaint : heard.all) {
        FAIL_CHECK(complaint);
    }
}

/// Here is no mongosh: the two commands of inbox.js are taken from the script.
void run_inbox(const std::string& script, mongodb::raw_database& made) {
    std::smatch found;
    REQUIRE(std::regex_search(script, found, std::regex{R"(const days = (\d+);)"}));
    const auto seconds = std::to_string(std::stol(found[1]) * 86400);
    REQUIRE(std::regex_search(script, found, std::regex{R"(db\.createCollection\('(\w+)'\);)"}));
    const std::string collection = found[1];
    REQUIRE(
        std::regex_search(script, found,
                          std::regex{R"(db\.(\w+)\.createIndex\(\{(\w+): 1\}, )"
                                     R"(\{name: '(\w+)', expireAfterSeconds: days \* 86400\}\))"}));
    CHECK(found[1] == collection);
    made.run(R"({"create": ")" + collection + "\"}");
    made.run(R"({"createIndexes": ")" + collection + R"(", "indexes": [{"key": {")" +
             std::string{found[2]} + R"(": 1}, "name": ")" + std::string{found[3]} +
             R"(", "expireAfterSeconds": )" + seconds + "}]}");
}

/// And what it does beside that: each command stands in a line of its own.
void run_indexes(const std::string& script, mongodb::raw_database& made) {
    const std::regex line{R"(\ndb\.runCommand\((?:EJSON\.deserialize\()?(\{.*\})\)?\);(?=\n))"};
    std::size_t run = 0;
    for (std::sregex_iterator at{script.begin(), script.end(), line}, end; at != end; ++at) {
        made.run((*at)[1]);
        ++run;
    }
    REQUIRE(run > 0);
}

} // namespace

TEST_CASE("what bedsctl schema prints makes an inbox that works on MariaDB") {
    const auto where = require_mariadb();
    const auto control = shared_servers();
    struct empty_database {
        const server_control& control;
        std::string name = unique_name();
        ~empty_database() { control.mariadb_root("DROP DATABASE " + name); }
    } const made{control};
    control.mariadb_root("CREATE DATABASE " + made.name);
    const auto sql = printed("");
    for (int times = 0; times < 2; ++times) { // again harms nothing
        control.mariadb_root("USE " + made.name + ";\n" + sql);
    }
    CHECK(control.mariadb_root("SHOW TABLES FROM " + made.name) == "beds_inbox\n");
    CHECK(control.mariadb_root("SELECT routine_name FROM information_schema.routines WHERE "
                               "routine_schema = '" +
                               made.name + "'") == "beds_kill\n");
    control.mariadb_root("CREATE TABLE " + made.name +
                         ".items (id BIGINT PRIMARY KEY, n BIGINT) ENGINE=InnoDB");
    config::rel_service_settings settings;
    settings.host = where.host;
    settings.port = where.port;
    settings.user = where.user;
    settings.pass = core::secret{where.password};
    settings.database = made.name;
    check_inbox(adapters::make_mariadb("rel", settings), "rel");
    CHECK(control.mariadb_root("SELECT COUNT(*) FROM " + made.name + ".beds_inbox") == "2\n");
}

TEST_CASE("what bedsctl schema prints makes an inbox that works on MongoDB") {
    const auto where = require_mongodb();
    mongodb::raw_database made{where.uri, unique_name()};
    const auto script = printed(" --engine mongodb");
    run_inbox(script, made);
    check_inbox(adapters::make_mongodb("rec", mongodb::settings_for(where.uri, made.name())),
                "rec");
    CHECK(made.documents("beds_inbox").size() == 2);
}

TEST_CASE("MongoDB: what bedsctl schema --indexes prints makes bedsctl check silent") {
    const auto where = require_mongodb();
    mongodb::raw_database made{where.uri, unique_name()};
    const folder files;
    files.write("templates/things.toml", R"toml([template]
name = "things"
store = "rec"
object = "things"
key = ["id", "part"]
[fields]
id = { type = "int64", required = true }
part = { type = "string", required = true }
name = { type = "string" }
price = { type = "decimal(8,2)" }
open = { type = "bool" }
seen = { type = "datetime" }
[[index]]
fields = ["id"]
[[index]]
fields = ["name", "price"]
unique = true
[[index]]
fields = ["name"]
where = { price = "1.50", open = true }
[[index]]
fields = ["seen"]
expire_after = "2h"
)toml");
    files.write("templates/items.toml", items_template("rec"));
    const auto config = files.write(
        "beds.toml",
        "[broker_services.app_server]\nhost = \"127.0.0.1\"\nuser = \"u\"\npass = \"p\"\n"
        "instances.rec = { read = 1, write = 1 }\n"
        "[rec_services.rec]\nuri = \"" +
            where.uri + "\"\ndatabase = \"" + made.name() + "\"\n");
    const auto check = [&] { return output("check --config " + config.string() + " 2>&1"); };
    const auto before = check();
    INFO(before.text);
    CHECK(before.code == 1);
    const auto has = [](const std::string& text, const std::string& part) {
        return text.find(part) != std::string::npos;
    };
    CHECK(has(before.text, "things.toml:5: template.key: error: no unique index of 'things' tells "
                           "documents apart by id, part: two inserts of one key both succeed"));
    CHECK(has(before.text, "items.toml:5: template.object: warning: there is no collection "
                           "'items'"));
    CHECK(has(before.text, "database rec: beds_inbox: warning: there is no collection "
                           "'beds_inbox'"));
    CHECK(has(before.text, "2 templates compared, 5 errors, 3 warnings\n"));

    const auto script = output("schema --engine mongodb --indexes --config " + config.string());
    INFO(script.text);
    REQUIRE(script.code == 0);
    CHECK(has(script.text, "db = db.getSiblingDB(\"" + made.name() + "\");\n"));
    for (int times = 0; times < 2; ++times) { // again harms nothing
        run_indexes(script.text, made);
    }
    run_inbox(script.text, made);
    const auto after = check();
    CHECK(after.text == "items: as the database has it\nthings: as the database has it\n"
                        "2 templates compared, 0 errors, 0 warnings\n");
    CHECK(after.code == 0);
    CHECK(output("schema --indexes --config " + config.string() + " 2>&1").code == 2);
    CHECK(output("schema --engine mongodb --indexes 2>&1").code == 2);
}
