#include "support/catch.hpp"
#include "support/folder.hpp"

#include <connect.hpp>
#include <map>
#include <options.hpp>
#include <schema.hpp>
#include <sstream>

using namespace bedsctl;
using namespace std::chrono_literals;
using beds::test::contains;

namespace {

struct outcome {
    std::variant<options, exit_code> result;
    std::string out;
    std::string err;
};

outcome parse(std::vector<const char*> arguments,
              const std::map<std::string, std::string>& variables = {{"AMQP_URL", "amqp://h"}}) {
    arguments.insert(arguments.begin(), "bedsctl");
    std::ostringstream out;
    std::ostringstream err;
    const auto look_up = [&](const char* name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional<std::string>{found->second};
    };
    auto result =
        parse_options(static_cast<int>(arguments.size()), arguments.data(), look_up, out, err);
    return {std::move(result), out.str(), err.str()};
}

options parsed(const std::vector<const char*>& arguments,
               const std::map<std::string, std::string>& variables = {{"AMQP_URL", "amqp://h"}}) {
    auto got = parse(arguments, variables);
    INFO(got.err);
    REQUIRE(std::holds_alternative<options>(got.result));
    return std::get<options>(got.result);
}

} // namespace

TEST_CASE("call with everything") {
    const auto got = parsed({"call",
                             "languages",
                             "find",
                             "scope=I",
                             "name.prefix=[a,b]",
                             "--fields",
                             "code,name",
                             "--sort=-name,code",
                             "--limit",
                             "5",
                             "--after",
                             "c",
                             "--timeout",
                             "500ms",
                             "-o",
                             "json",
                             "--where",
                             "a=1,2",
                             "--where",
                             "b=2"});
    CHECK(got.task == task::call);
    CHECK(got.call.template_name == "languages");
    CHECK(got.call.op == "find");
    CHECK(got.call.members == std::vector<std::string>{"scope=I", "name.prefix=[a,b]"});
    CHECK(got.call.fields == std::vector<std::string>{"code", "name"});
    CHECK(got.call.sort == std::vector<std::string>{"-name", "code"});
    CHECK(got.call.limit == 5U);
    CHECK(got.call.after == "c");
    CHECK(got.call.where == std::vector<std::string>{"a=1,2", "b=2"});
    CHECK(got.timeout == 500ms);
    CHECK(got.output == format::json);

    const auto write = parsed({"call", "items", "update", "key=1", "--set", "a=1", "--inc", "b=-2",
                               "--if", "c=3", "--id", "x"});
    CHECK(write.call.set == std::vector<std::string>{"a=1"});
    CHECK(write.call.inc == std::vector<std::string>{"b=-2"});
    CHECK(write.call.expect == std::vector<std::string>{"c=3"});
    CHECK(write.id == "x");
    CHECK_FALSE(write.output.has_value());
    CHECK(write.timeout == 10s);
}

TEST_CASE("conditions take one expression each, and words that follow stay words") {
    const auto got = parsed({"call", "items", "update", "--if", "a=1", "key=1", "--inc", "n=2",
                             "b=3", "--where", "c=4", "d=5"});
    CHECK(got.call.expect == std::vector<std::string>{"a=1"});
    CHECK(got.call.inc == std::vector<std::string>{"n=2"});
    CHECK(got.call.where == std::vector<std::string>{"c=4"});
    CHECK(got.call.members == std::vector<std::string>{"key=1", "b=3", "d=5"});
    const auto first = parsed({"call", "--if", "a=1", "--if", "b=2", "items", "update", "key=1"});
    CHECK(first.call.template_name == "items");
    CHECK(first.call.expect == std::vector<std::string>{"a=1", "b=2"});
    CHECK(first.call.members == std::vector<std::string>{"key=1"});
    const auto set = parsed({"call", "--set", "a=1", "items", "update", "key=1"});
    CHECK(set.call.set == std::vector<std::string>{"a=1"});
}

TEST_CASE("a code that there is not is no choice of dead letters") {
    for (const auto* const each : {"list", "show", "replay", "drop"}) {
        const auto wrong = parse({"dlq", each, "--code", "NOSUCH"});
        CHECK(std::get<exit_code>(wrong.result) == exit_code::usage);
        CHECK(wrong.err.find("no code 'NOSUCH'") != std::string::npos);
        CHECK(wrong.err.find(" DUPLICATE_KEY ") != std::string::npos);
        CHECK(wrong.err.find(" OK") == std::string::npos);
    }
    CHECK(std::holds_alternative<exit_code>(parse({"dlq", "list", "--code", "OK"}).result));
    CHECK(parsed({"dlq", "list", "--code", "NOT_FOUND"}).letters.code == "NOT_FOUND");
    CHECK(parsed({"dlq", "list", "--code", "(RabbitMQ)"}).letters.code == "(RabbitMQ)");
}

TEST_CASE("explain takes an operation as call does, and a configuration") {
    const auto got = parsed({"explain", "--config", "c", "items", "find", "a=1", "--sort=-b",
                             "--limit", "5", "--fields", "a,b", "--where", "c=2"},
                            {});
    CHECK(got.task == task::explain);
    CHECK(got.call.template_name == "items");
    CHECK(got.call.op == "find");
    CHECK(got.call.members == std::vector<std::string>{"a=1"});
    CHECK(got.call.sort == std::vector<std::string>{"-b"});
    CHECK(got.call.limit == 5U);
    CHECK(got.call.fields == std::vector<std::string>{"a", "b"});
    CHECK(got.call.where == std::vector<std::string>{"c=2"});
    for (const auto& wrong : std::vector<std::vector<const char*>>{
             {"explain", "items", "find"},
             {"explain", "--config", "c", "items", "find", "--after", "x"},
             {"explain", "--config", "c", "items", "find", "--limit", "0"},
             {"explain", "--config", "c", "items", "find", "--fields", ""}}) {
        CHECK(std::get<exit_code>(parse(wrong, {}).result) == exit_code::usage);
    }
}

TEST_CASE("describe and the stream") {
    CHECK(parsed({"describe"}).task == task::describe);
    CHECK(parsed({"describe", "items"}).described_template == "items");
    const auto stream = parsed({"call", "--json", "-"});
    CHECK(stream.task == task::stream);
    CHECK(stream.input == "-");
}

TEST_CASE("what a database needs is printed without asking anybody") {
    const auto plain = parsed({"schema"}, {});
    CHECK(plain.task == task::schema);
    CHECK(plain.engine == "mariadb");
    CHECK(parsed({"schema", "--engine", "mongodb"}, {}).engine == "mongodb");
    CHECK(std::holds_alternative<exit_code>(parse({"schema", "--engine", "other"}, {}).result));
    const auto sql = schema_of("mariadb");
    const auto table = sql.find("CREATE TABLE IF NOT EXISTS beds_inbox");
    CHECK(table != std::string_view::npos);
    CHECK(sql.find("CREATE PROCEDURE beds_kill") > table);
    CHECK(schema_of("mongodb").find("beds_inbox") != std::string_view::npos);
    CHECK(schema_of("other").empty());
}

TEST_CASE("topology is that of a configuration") {
    const auto table = parsed({"topology", "--config", "beds.toml"}, {});
    CHECK(table.task == task::topology);
    CHECK(table.topology.form == topology_form::table);
    const auto made = parsed({"topology", "--definitions", "--application", "a", "--application",
                              "b=b.password", "--service", "logger"},
                             {{"BEDS_CONFIG", "beds.toml"}, {"AMQP_URL", "amqp://elsewhere"}});
    CHECK(made.topology.form == topology_form::definitions);
    CHECK(made.topology.applications == std::vector<std::string>{"a", "b=b.password"});
    CHECK(made.connection.config == "beds.toml");
    CHECK(made.connection.service == "logger");
    CHECK(std::holds_alternative<exit_code>(parse({"topology"}, {}).result));
    CHECK(std::holds_alternative<exit_code>(
        parse({"topology", "-c", "x", "--application", "a"}, {}).result));
}

TEST_CASE("where the service is") {
    const std::map<std::string, std::string> both{{"AMQP_URL", "amqp://variable"},
                                                  {"BEDS_CONFIG", "/etc/variable.toml"},
                                                  {"BEDS_QUEUE_TAG", "v_"}};
    const auto variables = parsed({"describe"}, both);
    CHECK(variables.connection.url == "amqp://variable");
    CHECK(variables.connection.config.empty());
    CHECK(variables.connection.queue_tag == "v_");

    const auto options = parsed({"--url", "amqp://o", "describe", "--queue-tag", "o_"}, both);
    CHECK(options.connection.url == "amqp://o");
    CHECK(options.connection.queue_tag == "o_");

    const auto config = parsed({"--config", "a.toml", "describe"}, both);
    CHECK(config.connection.url.empty());
    CHECK(config.connection.config == "a.toml");
    CHECK_FALSE(config.connection.queue_tag.has_value()); // the configuration has its own

    const auto second = parsed({"describe"}, {{"AMQP_URL", ""}, {"BEDS_CONFIG", "b.toml"}});
    CHECK(second.connection.config == "b.toml");

    const auto nothing = parse({"describe"}, {});
    CHECK(std::get<exit_code>(nothing.result) == exit_code::usage);
    CHECK(nothing.err.find("where is the service?") != std::string::npos);
}

TEST_CASE("a client's settings come from a URL") {
    const auto made =
        client_settings({.url = "amqp://app:p%40ss@rabbit:5673/v", .queue_tag = "prod_"});
    CHECK(made.amqp.host == "rabbit");
    CHECK(made.amqp.port == 5673);
    CHECK(made.amqp.user == "app");
    CHECK(made.amqp.password.reveal() == "p@ss");
    CHECK(made.amqp.vhost == "v");
    CHECK(made.queue_tag == "prod_");
    CHECK_THROWS_AS(client_settings({.url = "http://rabbit"}), usage_error);
    CHECK_THROWS_AS(client_settings({.config = "/nowhere/beds.toml"}), usage_error);
}

TEST_CASE("help and version end with 0 and say it on standard output") {
    const auto help = parse({"--help"}, {});
    CHECK(std::get<exit_code>(help.result) == exit_code::ok);
    for (const auto* part :
         {"--url", "AMQP_URL", "BEDS_CONFIG", "--timeout", "Exit codes:", "call", "describe"}) {
        INFO(part);
        CHECK(help.out.find(part) != std::string::npos);
    }
    const auto call = parse({"call", "--help"}, {});
    CHECK(std::get<exit_code>(call.result) == exit_code::ok);
    for (const auto* part : {"--fields", "--sort", "--limit", "--after", "--set", "--inc", "--id",
                             "--json", "transfer from:=1 to:=2 amount=10.00",
                             "booleans, lists and null are JSON: ratio:=0.1 active:=true"}) {
        INFO(part);
        CHECK(call.out.find(part) != std::string::npos);
    }
    const auto version = parse({"--version"}, {});
    CHECK(std::get<exit_code>(version.result) == exit_code::ok);
    CHECK(version.out.find("bedsctl ") == 0);
}

TEST_CASE("help of import says when the same rows are inserted again") {
    const auto help = parse({"import", "--help"}, {}).out;
    INFO(help);
    for (const auto* part : {"for - another one each time", "a copy of the file under another name",
                             "without --job standard input"}) {
        CHECK(help.find(part) != std::string::npos);
    }
}

TEST_CASE("help says of every option its default, of times and numbers their bounds") {
    const std::vector<std::pair<std::vector<const char*>, const char*>> commands{
        {{}, "default: 10s"},
        {{"call"}, "default: 10s"},
        {{"describe"}, "default: 10s"},
        {{"import"}, "default: 30s"},
        {{"export"}, "default: 30s"},
        {{"status"}, "default: 10s"},
        {{"check"}, "default: 10s"},
        {{"explain"}, "default: 10s"},
        {{"scaffold"}, "default: 10s"},
        {{"schema"}, nullptr}, // these two ask nobody
        {{"topology"}, nullptr},
        {{"dlq"}, "default: 10s"},
        {{"dlq", "list"}, "default: 10s"},
        {{"dlq", "show"}, "default: 10s"},
        {{"dlq", "replay"}, "default: 10s"},
        {{"dlq", "drop"}, "default: 10s"}};
    std::size_t looked_at = 0;
    for (auto [words, timeout] : commands) {
        INFO((words.empty() ? "bedsctl" : words.back()));
        words.push_back("--help");
        const auto got = parse(words);
        CHECK(contains(got.out, "Exit codes:"));
        // An option reaches from its name to the next one, or to an empty line.
        std::istringstream help{got.out};
        std::vector<std::string> options;
        bool within = false;
        for (std::string line; std::getline(help, line) && line.rfind("Where the", 0) != 0;) {
            const bool begins = line.rfind("  -", 0) == 0;
            within = !line.empty() && (begins || within);
            if (begins) {
                options.emplace_back();
            }
            if (within) {
                options.back() += line + ' ';
            }
        }
        bool told = false;
        for (const auto& one : options) {
            INFO(one);
            const auto name = one.find("--");
            const auto value = one.find(' ', name) + 1;
            const bool flag = one.compare(value, 1, " ") == 0 || contains(one, "Excludes: TABLE") ||
                              one.compare(value, 6, "Needs:") == 0 ||
                              one.compare(value, 9, "Excludes:") == 0;
            if (flag) {
                continue;
            }
            ++looked_at;
            CHECK((contains(one, "efault:") || contains(one, "(default") ||
                   contains(one, "may be repeated")));
            const auto type = one.substr(value, one.find_first_of(" :", value) - value);
            if (type == "TIME") {
                CHECK(contains(one, "1ms to 1440m; 10 is 10s"));
            }
            if (type == "N") {
                CHECK((contains(one, " to ") || contains(one, " in [")));
            }
            if (one.compare(name, 9, "--timeout") == 0) {
                told = true;
                CHECK((timeout != nullptr && contains(one, timeout)));
            }
        }
        CHECK(told == (timeout != nullptr));
    }
    CHECK(looked_at > 60);
}

TEST_CASE("a wrong command line ends with 2 and says why on standard error") {
    for (const auto& arguments :
         std::vector<std::vector<const char*>>{{},
                                               {"cal"},
                                               {"--ulr", "x", "describe"},
                                               {"call", "items", "find", "--limit", "0"},
                                               {"call", "items", "find", "--limit", "many"},
                                               {"call", "--json", "-", "items"},
                                               {"call", "--json", "-", "-o", "table"},
                                               {"describe", "--timeout", "soon"},
                                               {"describe", "-o", "xml"},
                                               {"--url", "a", "--config", "b", "describe"}}) {
        const auto wrong = parse(arguments);
        REQUIRE(std::holds_alternative<exit_code>(wrong.result));
        CHECK(std::get<exit_code>(wrong.result) == exit_code::usage);
        CHECK_FALSE(wrong.err.empty());
        CHECK(wrong.out.empty());
    }
}

TEST_CASE("what is wrong is named") {
    const auto says = [](const std::vector<const char*>& arguments) {
        auto wrong = parse(arguments);
        REQUIRE(std::holds_alternative<exit_code>(wrong.result));
        CHECK(std::get<exit_code>(wrong.result) == exit_code::usage);
        return wrong.err;
    };
    CHECK(says({"frobnicate"}).find("no command or option 'frobnicate'") != std::string::npos);
    CHECK(says({"--frobnicate"}).find("'--frobnicate'") != std::string::npos);
    CHECK(says({}).find("subcommand is required") != std::string::npos);
    CHECK(says({"call", "items", "find", "--limit", "0"}) ==
          "bedsctl: --limit is a number of rows, at least 1\n");
    // What an unset variable of a script leaves must not be taken for "none".
    CHECK(says({"call", "items", "insert", "name=a", "--id", ""}) ==
          "bedsctl: --id is empty; leave it out, or say which\n");
    CHECK(says({"call", "items", "find", "--fields", ""}) ==
          "bedsctl: --fields is empty; leave it out, or say which\n");
    // Written without quotes it would be other fields, or another line, when it is read again.
    for (const auto* text : {",", "a\"b", "a\rb", "a\nb"}) {
        for (const auto& way : {"import", "export"}) {
            CHECK(says({way, "items", "rows.csv", "--null", text}) ==
                  "bedsctl: --null stands without quotes: no comma, quote or end of line in it; "
                  "take another text, such as '\\N'\n");
        }
    }
    CHECK(says({"--url", "amqp://h", "--service", "other", "describe"})
              .find("name the configuration with --config") != std::string::npos);
    for (const auto* option : {"--fields", "--sort", "--limit", "--after", "--where", "--set",
                               "--inc", "--if", "--id"}) {
        INFO(option);
        CHECK(says({"call", "--json", "-", option, "1"}) ==
              "bedsctl: --json takes whole requests: no " + std::string{option} + " beside it\n");
    }
    CHECK(parsed({"call", "--json", "-", "--timeout", "1s"}).timeout == 1s);
}

TEST_CASE("times") {
    CHECK(parse_timeout("10") == 10s);
    CHECK(parse_timeout("3s") == 3s);
    CHECK(parse_timeout("250ms") == 250ms);
    CHECK(parse_timeout("2m") == 2min);
    CHECK(parse_timeout("1ms") == 1ms);
    CHECK(parse_timeout("1440m") == 24h);
    for (const auto* wrong : {"", "0", "-1", "1h", "s", "1.5s", "99999999999", "1441m"}) {
        INFO(wrong);
        CHECK_FALSE(parse_timeout(wrong).has_value());
    }
}

TEST_CASE("dead letters: what to do with which") {
    const std::map<std::string, std::string> there{{"BEDS_CONFIG", "a.toml"}};
    const auto list = parsed({"dlq", "list", "--each"}, there);
    CHECK(list.task == task::dead_letters);
    CHECK(list.letters.task == letter_task::list);
    CHECK(list.letters.each);
    const auto show = parsed({"dlq", "show", "a", "b"}, there);
    CHECK(show.letters.ids == std::vector<std::string>{"a", "b"});
    CHECK(show.letters.values == shown_values::masked);
    CHECK(parsed({"dlq", "show", "a", "--reveal"}, there).letters.values == shown_values::revealed);
    const auto replay = parsed({"dlq", "replay", "--code", "NOT_FOUND", "--new-id"}, there);
    CHECK(replay.letters.task == letter_task::replay);
    CHECK(replay.letters.replay_ids == letter_ids::renewed);
    CHECK_FALSE(replay.letters.may_happen_twice);
    CHECK_FALSE(replay.letters.deadline);
    CHECK(parsed({"dlq", "replay", "a", "--deadline", "30s"}, there).letters.deadline == 30s);
    CHECK(std::get<exit_code>(parse({"dlq", "replay", "a", "--deadline", "x"}, there).result) ==
          exit_code::usage);
    CHECK(parsed({"dlq", "replay", "a", "--may-happen-twice"}, there).letters.may_happen_twice);
    CHECK(parsed({"dlq", "drop", "--all"}, there).letters.task == letter_task::drop);
    for (const auto* task : {"show", "replay", "drop"}) {
        INFO(task);
        const auto which = parse({"dlq", task}, there);
        CHECK(std::get<exit_code>(which.result) == exit_code::usage);
        CHECK(which.err.find("which ones?") != std::string::npos);
    }
    CHECK(std::get<exit_code>(parse({"dlq"}, there).result) == exit_code::usage);
}

TEST_CASE("import and export: what goes where") {
    const auto in = parsed({"import",  "people",    "p.csv",     "--format",
                            "ndjson",  "--columns", "a,b",       "--ignore",
                            "c,d",     "--null",    "-",         "--batch",
                            "5",       "--window",  "2",         "--rate",
                            "9",       "--job",     "j",         "--state",
                            "s",       "--rejects", "r",         "--max-rejects",
                            "0",       "--dry-run", "--restart", "--may-happen-twice",
                            "--quiet", "--timeout", "3s",        "--patience",
                            "1m"});
    CHECK(in.task == task::import_rows);
    const auto& to = in.importing;
    CHECK(to.template_name == "people");
    CHECK(to.input == "p.csv");
    CHECK(to.format == row_format::ndjson);
    CHECK(to.columns == std::vector<std::string>{"a", "b"});
    CHECK(to.ignored == std::vector<std::string>{"c", "d"});
    CHECK(to.null_text == "-");
    CHECK(to.batch == 5);
    CHECK(to.window == 2);
    CHECK(to.rate == 9);
    CHECK(to.job == "j");
    CHECK(to.state == "s");
    CHECK(to.rejects == "r");
    CHECK(to.max_rejects == 0);
    CHECK((to.dry_run && to.restart && to.may_happen_twice && to.quiet));
    CHECK(to.timeout == 3s);
    CHECK(to.patience == 1min);
    const auto plain = parsed({"import", "people", "-"}).importing;
    CHECK_FALSE(plain.format);
    CHECK_FALSE(plain.rate);
    CHECK_FALSE(plain.max_rejects);
    CHECK(plain.timeout == 30s);

    const auto out = parsed({"export", "people", "p.csv", "--fields", "a,b", "--where", "a=1",
                             "--where", "b.ge=2", "--limit", "7", "--page", "3"});
    CHECK(out.task == task::export_rows);
    CHECK(out.exporting.output == "p.csv");
    CHECK(out.exporting.fields == std::vector<std::string>{"a", "b"});
    CHECK(out.exporting.where == std::vector<std::string>{"a=1", "b.ge=2"});
    CHECK(out.exporting.limit == 7);
    CHECK(out.exporting.page == 3);
    CHECK(parsed({"export", "people"}).exporting.output == "-");
    CHECK(parsed({"export", "people", "--in-process"},
                 {{"AMQP_URL", "amqp://h"}, {"BEDS_CONFIG", "b.toml"}})
              .connection.config == "b.toml");

    for (const auto& wrong :
         std::vector<std::vector<const char*>>{{"import"},
                                               {"import", "people"},
                                               {"import", "people", "p.csv", "--job", ""},
                                               {"import", "people", "p.csv", "--batch", "0"},
                                               {"import", "people", "p.csv", "--batch", "5000"},
                                               {"import", "people", "p.csv", "--rate", "0"},
                                               {"import", "people", "p.csv", "--format", "xml"},
                                               {"import", "people", "p.csv", "-o", "json"},
                                               {"import", "people", "p.csv", "--patience", "soon"},
                                               {"import", "people", "p.csv", "--in-process"},
                                               {"export"},
                                               {"export", "people", "--limit", "0"},
                                               {"export", "people", "--fields", ""}}) {
        const auto got = parse(wrong);
        INFO(wrong.back());
        REQUIRE(std::holds_alternative<exit_code>(got.result));
        CHECK(std::get<exit_code>(got.result) == exit_code::usage);
        CHECK_FALSE(got.err.empty());
    }
}
