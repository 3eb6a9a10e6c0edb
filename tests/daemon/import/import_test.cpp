#include "daemon/service.hpp"
#include "samples.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <algorithm>
#include <progress.hpp>
#include <sstream>

using namespace daemon_test;
using namespace std::chrono_literals;

namespace {

/// The key is the database's: a row that is inserted twice is there twice.
constexpr std::string_view events_template = R"([template]
name = "events"
store = "rel"
object = "events"
key = ["id"]
[fields]
id = { type = "int64", generated = "database" }
name = { type = "string", max = 40, required = true }
amount = { type = "int64", default = 0 }
)";

constexpr std::string_view people_template = R"([template]
name = "people"
store = "rel"
object = "people"
key = ["id"]
[fields]
id = { type = "int64", required = true }
name = { type = "string", max = 40 }
)";

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream stream{text};
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

installed what_is_installed() {
    installed made;
    made.writers = 2;
    made.sql = "CREATE TABLE events (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT "
               "NULL, amount BIGINT NOT NULL DEFAULT 0) ENGINE=InnoDB;"
               "CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(40)) ENGINE=InnoDB;";
    made.templates = {{"events", std::string{events_template}},
                      {"people", std::string{people_template}}};
    std::string columns;
    for (const auto& field : beds::test::typed_fields()) {
        columns += ", " + field.name + ' ' + field.column;
    }
    for (const std::string table : {"everything", "again"}) {
        made.sql +=
            "CREATE TABLE " + table + " (id BIGINT PRIMARY KEY" + columns + ") ENGINE=InnoDB;";
        auto text = beds::test::everything_template("rel");
        constexpr std::string_view named = "\"everything\"";
        for (std::size_t at = 0; (at = text.find(named, at)) != std::string::npos; ++at) {
            text.replace(at, named.size(), in_quotes(table));
        }
        made.templates.emplace(table, std::move(text));
    }
    return made;
}

/// bedsd over a database of its own.
struct tables_service : service {
    tables_service() : service(what_is_installed()) {}

    [[nodiscard]] std::uint64_t count(const std::string& table) const {
        const auto got = ask({"call", table, "count"});
        const auto at = got.out.find("\"total\":");
        INFO(got.out << got.err);
        REQUIRE(at != std::string::npos);
        return std::stoull(got.out.substr(at + 8));
    }
    /// True when the table holds at least so many rows before long.
    [[nodiscard]] bool reaches(const std::string& table, std::uint64_t rows) const {
        const auto until = std::chrono::steady_clock::now() + soon;
        while (count(table) < rows) {
            if (std::chrono::steady_clock::now() > until) {
                return false;
            }
        }
        return true;
    }
};

std::string events(std::size_t rows) {
    std::string made = "name,amount\n";
    for (std::size_t i = 0; i < rows; ++i) {
        made += "event " + std::to_string(i) + ',' + std::to_string(i) + '\n';
    }
    return made;
}

} // namespace

TEST_CASE("import and export: 20,000 random rows of every type, in and out and in again") {
    tables_service node;
    const auto& files = node.files;
    beds::test::random_engine random{20'000};
    std::string sent;
    std::vector<std::string> wanted;
    for (int id = 1; id <= 20'000; ++id) {
        sent += "{\"id\":" + std::to_string(id);
        auto& row = wanted.emplace_back("{\"id\":" + std::to_string(id));
        for (const auto& field : beds::test::typed_fields()) {
            const auto value =
                random() % 10 == 0 ? beds::test::sample{"null", "null"} : field.make(random);
            if (random() % 20 != 0 || value.sent != "null") { // absent is NULL, too
                sent += ",\"" + field.name + "\":" + value.sent;
            }
            row += ",\"" + field.name + "\":" + value.wanted;
        }
        sent += "}\n";
        row += "}";
    }
    files.write("rows.ndjson", sent);

    const auto in = node.ask({"import", "everything", files.path("rows.ndjson").string()});
    INFO(in.err);
    REQUIRE(in.code == 0);
    CHECK(contains(in.err, "read 20,000, applied 20,000, rejected 0"));
    CHECK(node.count("everything") == 20'000);

    const auto out = node.ask({"export", "everything", files.path("out.ndjson").string()});
    REQUIRE(out.code == 0);
    CHECK_FALSE(std::filesystem::exists(files.path("out.ndjson.partial")));
    const auto lines = lines_of(files.read("out.ndjson"));
    REQUIRE(lines.size() == wanted.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
        REQUIRE(beds::test::canonical(lines[i]) == beds::test::canonical(wanted[i]));
    }

    for (const std::string null : {"", "\\N"}) {
        INFO("NULL is '" << null << "'");
        REQUIRE(node.ask({"export", "everything", files.path("out.csv").string(), "--null", null})
                    .code == 0);
        const auto again = node.ask({"import", "again", files.path("out.csv").string(), "--null",
                                     null, "--job", "with" + null, "--restart"});
        INFO(again.err);
        REQUIRE(again.code == 0);
        REQUIRE(
            node.ask({"export", "again", files.path("again.csv").string(), "--null", null}).code ==
            0);
        CHECK(files.read("again.csv") == files.read("out.csv"));
        REQUIRE(node.ask({"export", "again", files.path("again.ndjson").string()}).code == 0);
        CHECK(files.read("again.ndjson") == files.read("out.ndjson"));
        node.sql("TRUNCATE again");
    }
}

TEST_CASE("import: what is refused goes to a file that is mended and imported") {
    tables_service node;
    const auto& files = node.files;
    const auto file = files
                          .write("people.csv", "id,name\n"
                                               "1,Ann\n"
                                               "2,\"Bob, \"\"the\"\" second\nof his name\"\n"
                                               "x,Cleo\n"
                                               "1,Dora\n"
                                               "5\n"
                                               "6,\n"
                                               "7,\"\"\n"
                                               "8,odd\"quote\n")
                          .string();

    const auto dry = node.ask({"import", "people", file, "--dry-run"});
    INFO(dry.err);
    CHECK(dry.code == 1);
    CHECK(contains(dry.err, "read 8, would send 5, would refuse 3"));
    CHECK(node.count("people") == 0);
    CHECK_FALSE(std::filesystem::exists(file + ".beds-import"));
    CHECK_FALSE(std::filesystem::exists(files.path("people.rejects.csv")));

    const auto first = node.ask({"import", "people", file});
    INFO(first.err);
    CHECK(first.code == 1);
    CHECK(contains(first.err, "read 8, applied 4, rejected 4"));
    CHECK(node.count("people") == 4);
    const auto rejects = files.read("people.rejects.csv");
    INFO(rejects);
    const auto lines = lines_of(rejects);
    REQUIRE(lines.size() == 5);
    CHECK(lines[0] == "id,name,beds:line,beds:code,beds:field,beds:detail");
    CHECK(lines[1].starts_with("x,Cleo,5,INVALID_FIELD,id,"));
    CHECK(lines[2].starts_with("1,Dora,6,DUPLICATE_KEY,"));
    CHECK(lines[3].starts_with("5,7,INVALID_CSV,"));
    CHECK(lines[4].starts_with("8,odd\"quote,10,INVALID_CSV,"));

    const auto again = node.ask({"import", "people", file});
    INFO(again.err);
    CHECK(again.code == 1);
    CHECK(contains(again.err, "were imported before, 4 applied and 4 rejected"));

    const auto exported = node.ask({"export", "people", "--where", "id.ge=2"});
    CHECK(exported.code == 0);
    CHECK(exported.out == "id,name\n2,\"Bob, \"\"the\"\" second\nof his name\"\n6,\n7,\"\"\n");

    // The file of refused rows, mended: one is right, one still is not.
    const auto mended = files.write("mended.csv", lines[0] + "\n3,Cleo" + lines[1].substr(6) +
                                                      "\n" + lines[2] + "\n");
    const auto second = node.ask({"import", "people", mended.string()});
    INFO(second.err);
    CHECK(second.code == 1);
    CHECK(contains(second.err, "read 2, applied 1, rejected 1"));
    const auto still = lines_of(files.read("mended.rejects.csv"));
    REQUIRE(still.size() == 2);
    CHECK(still[0] == lines[0]);
    CHECK(still[1].starts_with("1,Dora,3,DUPLICATE_KEY,"));

    // The same in NDJSON.
    files.write("people.ndjson",
                "{\"id\":11,\"name\":null}\n\n{\"id\":\"y\"}\nnot json\n{\"id\":1}\n");
    CHECK(node.ask({"import", "people", files.path("people.ndjson").string()}).code == 1);
    const auto refused = lines_of(files.read("people.rejects.ndjson"));
    REQUIRE(refused.size() == 3);
    CHECK(refused[0].starts_with(
        R"({"id":"y","beds:reject":{"line":3,"code":"INVALID_FIELD","field":"id","detail":)"));
    CHECK(refused[1].starts_with(
        R"({"beds:text":"not json","beds:reject":{"line":4,"code":"INVALID_JSON")"));
    CHECK(refused[2].starts_with(R"({"id":1,"beds:reject":{"line":5,"code":"DUPLICATE_KEY")"));
    auto better = refused[0];
    better.replace(better.find("\"y\""), 3, "12");
    files.write("better.ndjson", better + '\n' + refused[1] + '\n' + refused[2] + '\n');
    const auto third = node.ask({"import", "people", files.path("better.ndjson").string()});
    INFO(third.err);
    CHECK(contains(third.err, "read 3, applied 1, rejected 2"));
    CHECK(lines_of(files.read("better.rejects.ndjson")).size() == 2);
    CHECK(node.count("people") == 7);

    // A file that would be written over, a quote that is not closed, more than may be refused.
    files.write("open.csv", "id,name\n21,a\n22,\"b\n23,c\n");
    const auto open = node.ask({"import", "people", files.path("open.csv").string()});
    CHECK(open.code == 3);
    CHECK(contains(open.err, "line 3: a quote is not closed"));
    CHECK(node.count("people") == 8);
    files.write("many.csv", "id,name\nx,\ny,\nz,\n31,a\n");
    const auto many = node.ask({"import", "people", files.path("many.csv").string(), "--batch", "1",
                                "--window", "1", "--max-rejects", "1"});
    INFO(many.err);
    CHECK(many.code == 3);
    CHECK(contains(many.err, "--max-rejects"));
    CHECK(node.count("people") == 8);
    files.write("few.csv", "id,name\nx,\n");
    files.write("few.rejects.csv", "somebody's work\n");
    const auto over = node.ask({"import", "people", files.path("few.csv").string()});
    CHECK(over.code == 2);
    CHECK(files.read("few.rejects.csv") == "somebody's work\n");

    // Nested so deep that no message can hold it: it alone is refused.
    files.write("deep.ndjson", "{\"id\":1}\n{\"id\":2,\"tree\":" + std::string(97, '[') +
                                   std::string(97, ']') + "}\n{\"id\":3}\n");
    const auto deep = node.ask({"import", "everything", files.path("deep.ndjson").string()});
    INFO(deep.err);
    CHECK(deep.code == 1);
    CHECK(contains(deep.err, "read 3, applied 2, rejected 1"));

    // What cannot be meant is told before anything is sent.
    files.write("wrong.csv", "id,nmae\n41,x\n");
    const auto wrong = node.ask({"import", "people", files.path("wrong.csv").string()});
    CHECK(wrong.code == 2);
    CHECK(contains(wrong.err, "did you mean 'name'?"));
    CHECK(
        node.ask({"import", "people", files.path("wrong.csv").string(), "--ignore", "nmae"}).code ==
        0);
    CHECK(node.ask({"import", "peeple", file}).code == 2);
}

TEST_CASE("import: bedsctl is killed in the middle, and goes on: each row is there once") {
    tables_service node;
    const auto& files = node.files;
    const std::size_t rows = 20'000;
    // Some are refused on the way, of all lines: what is noted of them must not be lost or doubled.
    std::string text;
    std::size_t bad = 0;
    for (const auto& line : lines_of(events(rows))) {
        text += line + '\n';
        if (text.size() / 20'000 > bad) {
            text += "bad " + std::to_string(++bad) + '\n';
        }
    }
    REQUIRE(bad > 10);
    const auto file = files.write("events.csv", text).string();
    const bool keeps_state = GENERATE(true, false);
    INFO((keeps_state ? "with its state" : "without its state"));
    {
        const folder says;
        const auto first = node.begin(says, {"import", "events", file, "--rate", "3000"});
        REQUIRE(node.reaches("events", 5'000));
        first->signal(SIGKILL);
        REQUIRE(first->wait(soon) == 128 + SIGKILL);
        CHECK(node.count("events") < rows);
    }
    if (keeps_state) { // killed while it wrote a refused row that is not noted yet
        std::ofstream{files.path("events.rejects.csv"), std::ios::app} << "bad 99,\"to";
        // Two days later the inbox would not know what was on its way.
        const std::filesystem::path state{file + ".beds-import"};
        const auto written = std::filesystem::last_write_time(state);
        std::filesystem::last_write_time(state, written - std::chrono::hours{48});
        const auto late = node.ask({"import", "events", file});
        INFO(late.err);
        CHECK(late.code == 2);
        CHECK(contains(late.err, "older than the inbox_window"));
        CHECK(node.count("events") < rows);
        std::filesystem::last_write_time(state, written);
    } else { // the ids alone tell what was there
        std::filesystem::remove(file + ".beds-import");
        std::filesystem::remove(files.path("events.rejects.csv"));
    }
    const auto second = node.ask({"import", "events", file});
    INFO(second.err);
    CHECK(second.code == 1);
    CHECK(contains(second.err, "applied before") == keeps_state);
    CHECK(node.count("events") == rows);
    const auto refused_in_order = [&] {
        const auto refused = lines_of(files.read("events.rejects.csv"));
        REQUIRE(refused.size() == 1 + bad);
        for (std::size_t i = 1; i <= bad; ++i) {
            CHECK(refused[i].starts_with("bad " + std::to_string(i) + ','));
        }
    };
    refused_in_order();
    const auto third = node.ask({"import", "events", file, "--restart"}); // all of it again
    INFO(third.err);
    CHECK(third.code == 1);
    CHECK(node.count("events") == rows);
    refused_in_order();
}

TEST_CASE("import: bedsd is killed in the middle: each row is there once") {
    tables_service node;
    const std::size_t rows = 20'000;
    const auto file = node.files.write("events.csv", events(rows)).string();
    const folder says;
    const auto running = node.begin(
        says, {"import", "events", file, "--rate", "6000", "--timeout", "1s", "--batch", "50"});
    for (const std::uint64_t at : {3'000U, 9'000U}) {
        REQUIRE(node.reaches("events", at));
        node.kill();
        REQUIRE(running->wait(3s) == -1); // longer than its messages live
        node.start();
    }
    CHECK(running->wait(4 * soon) == 0);
    INFO(says.read("err"));
    CHECK(contains(says.read("err"), "read 20,000, applied 20,000, rejected 0"));
    CHECK(node.count("events") == rows);
}

TEST_CASE("import: Ctrl-C answers what is on its way, and says how to go on") {
    tables_service node;
    const std::size_t rows = 100'000;
    const auto file = node.files.write("events.csv", events(rows)).string();
    const folder says;
    const auto running = node.begin(says, {"import", "events", file});
    REQUIRE(node.reaches("events", 500));
    running->signal(SIGINT);
    CHECK(running->wait(soon) == 3);
    const auto told = says.read("err");
    INFO(told);
    CHECK(contains(told, "The same command goes on from there"));
    // What was sent was answered, and noted: so the next run begins behind it, and may do so late.
    std::filesystem::last_write_time(file + ".beds-import",
                                     std::filesystem::file_time_type::clock::now() -
                                         std::chrono::hours{48});
    const auto there = node.count("events");
    CHECK(there < rows);
    const auto state = node.files.read("events.csv.beds-import");
    INFO(state);
    CHECK(contains(state, "\"applied\":" + std::to_string(there) + ","));
    const auto second = node.ask({"import", "events", file});
    INFO(second.err);
    CHECK(second.code == 0);
    CHECK(contains(second.err, "applied before " + bedsctl::with_commas(there)));
    CHECK(contains(second.err, "read " + bedsctl::with_commas(rows - there) + ", "));
    CHECK(node.count("events") == rows);

    // A file that changed meanwhile is not gone on with.
    node.files.write("events.csv.beds-import", state);
    auto changed = events(rows);
    changed[changed.find("event 7")] = 'E';
    node.files.write("events.csv", changed);
    const auto refused = node.ask({"import", "events", file});
    CHECK(refused.code == 2);
    CHECK(contains(refused.err, "has changed since it was imported"));
    CHECK(node.count("events") == rows);
}

TEST_CASE("import: a file that grows is imported again and again: each row is there once") {
    tables_service node;
    const auto& files = node.files;
    const auto file = files.write("events.csv", events(100)).string();
    const auto import = [&](std::vector<std::string> more = {}) {
        std::vector<std::string> words{"import", "events", file};
        words.insert(words.end(), more.begin(), more.end());
        return node.ask(std::move(words));
    };
    REQUIRE(import().code == 0);
    files.write("events.csv", events(150));
    const auto grown = import();
    INFO(grown.err);
    CHECK(grown.code == 0);
    CHECK(contains(grown.err, "has grown since it was imported: going on with line 102"));
    CHECK(contains(grown.err, "read 50, applied 50, rejected 0"));
    CHECK(node.count("events") == 150);

    files.write("events.csv", events(170));
    const auto all = import({"--restart"}); // those of before have their ids still
    INFO(all.err);
    CHECK(all.code == 0);
    CHECK(contains(all.err, "read 170, answered 170 (some may have been imported before)"));
    CHECK(node.count("events") == 170);

    files.write("events.csv", "name,amount\nx,1\n");
    const auto changed = import();
    CHECK(changed.code == 2);
    CHECK(contains(changed.err, "--restart"));
    CHECK(node.count("events") == 170);
}

TEST_CASE("import: the same file under another account is refused, as each row would be there "
          "twice") {
    const auto second = beds::test::environment("BEDS_AMQP_APP_URL");
    if (!second) {
        beds::test::skip("a second user of rabbitmq", "BEDS_AMQP_APP_URL is not set");
    }
    tables_service node;
    const auto file = node.files.write("events.csv", events(10)).string();
    REQUIRE(node.ask({"import", "events", file}).code == 0);
    const auto other = node.ask({"--url", *second, "import", "events", file, "--restart"});
    INFO(other.err);
    CHECK(other.code == 2);
    CHECK(contains(other.err, "and this is 'app'"));
    CHECK(node.count("events") == 10);
    const auto twice =
        node.ask({"--url", *second, "import", "events", file, "--restart", "--may-happen-twice"});
    INFO(twice.err);
    CHECK(twice.code == 0);
    CHECK(node.count("events") == 20);
}

TEST_CASE(
    "export: stopped, bedsctl killed, bedsd killed: the same command goes on, and every row is "
    "written once") {
    tables_service node;
    const auto& files = node.files;
    const std::size_t rows = 10'000;
    REQUIRE(node.ask({"import", "events", files.write("events.csv", events(rows)).string()}).code ==
            0);
    const auto out = files.path("out.csv");
    const auto partial = files.path("out.csv.partial");
    const std::vector<std::string> words{"export", "events",    out.string(), "--page",
                                         "5",      "--timeout", "1s"};
    const auto state = files.path("out.csv.beds-export");
    const auto begun = [&](const folder& says, std::size_t bytes) {
        auto made = node.begin(says, words);
        const auto until = std::chrono::steady_clock::now() + soon;
        std::error_code not_there;
        while (!(std::filesystem::exists(partial) &&
                 std::filesystem::file_size(partial, not_there) > bytes)) {
            REQUIRE(std::chrono::steady_clock::now() < until);
        }
        return made;
    };
    {
        const folder says;
        const auto running = begun(says, 8'000);
        running->signal(SIGINT);
        CHECK(running->wait(soon) == 3);
        CHECK(contains(says.read("err"), "stopped"));
        CHECK(contains(says.read("err"), "the same command goes on"));
        CHECK_FALSE(std::filesystem::exists(out));
        CHECK(std::filesystem::exists(partial));
    }
    const auto at_the_stop = files.read("out.csv.partial");
    { // begun anew, and killed before it could note anything: nothing speaks of the file before
        const auto before = std::filesystem::file_size(partial);
        const folder says;
        const auto running =
            node.begin(says, {"export", "events", out.string(), "--page", "1", "--restart"});
        const auto until = std::chrono::steady_clock::now() + soon;
        while (std::filesystem::file_size(partial) >= before) {
            REQUIRE(std::chrono::steady_clock::now() < until);
        }
        running->signal(SIGKILL);
        running->wait(soon);
        CHECK_FALSE(std::filesystem::exists(state));
    }
    {
        const folder says;
        const auto first = begun(says, at_the_stop.size() + 8'000);
        const auto beside = node.ask(words);
        CHECK(beside.code == 2);
        CHECK(contains(beside.err, "is being written by another bedsctl"));
        first->signal(SIGINT);
        CHECK(first->wait(soon) == 3);
    }
    const auto other = node.ask({"export", "events", out.string(), "--where", "id.ge=2"});
    CHECK(other.code == 2);
    CHECK(contains(other.err, "asked for something else: begin anew with --restart"));
    {
        const folder says; // killed: what was noted last holds, and what is behind it is cut off
        const auto running = begun(says, std::filesystem::file_size(partial) + 8'000);
        running->signal(SIGKILL);
        running->wait(soon);
        std::ofstream{partial, std::ios::app} << "half a li";
    }
    const folder says;
    const auto running = begun(says, std::filesystem::file_size(partial) + 8'000);
    node.kill();
    REQUIRE(running->wait(3s) == -1);
    node.start();
    CHECK(running->wait(2 * soon) == 0);
    INFO(says.read("err"));
    CHECK(contains(says.read("err"), "10,000 rows written, "));
    CHECK_FALSE(std::filesystem::exists(partial));
    CHECK_FALSE(std::filesystem::exists(state));
    CHECK(files.read("out.csv").starts_with(at_the_stop));
    const auto lines = lines_of(files.read("out.csv"));
    REQUIRE(lines.size() == rows + 1);
    for (std::size_t i = 2; i <= rows; ++i) { // numbers may be missing, none comes twice
        REQUIRE(std::stoull(lines[i - 1]) < std::stoull(lines[i]));
    }
}

TEST_CASE("export: where it was is not believed when it cannot be right") {
    tables_service node;
    const auto& files = node.files;
    REQUIRE(node.ask({"import", "events", files.write("events.csv", events(50)).string()}).code ==
            0);
    const auto out = files.path("out.csv").string();
    const std::vector<std::string> words{"export", "events", out};
    const auto whole = node.ask({"export", "events"}).out;
    const std::string question = R"("question":"csv \"events\" fields \"id\" \"name\" \"amount\" )"
                                 R"(where null \"\"")";
    const auto state = [&](const std::string& bytes) {
        files.write("out.csv.partial", "id,name,amount\n");
        files.write("out.csv.beds-export", R"({"beds_export":1,)" + question +
                                               R"(,"rows":3,"bytes":)" + bytes +
                                               R"(,"after":"not one of this service"})");
    };
    files.write("out.csv.beds-export", "{}");
    CHECK(contains(node.ask(words).err, "of another version of bedsctl"));
    state("4000");
    CHECK(contains(node.ask(words).err, "is not what"));
    state("15");
    const auto lost = node.ask(words);
    CHECK(lost.code == 2);
    CHECK(contains(lost.err, "does not know any more where it was: begin anew with --restart"));
    CHECK_FALSE(std::filesystem::exists(out));
    state("15");
    const auto alone = node.ask({"export", "events", out, "--in-process", "--config", node.config});
    CHECK(alone.code == 0);
    CHECK(files.read("out.csv") == whole);
    files.write("out.csv", "");
    state("15");
    auto again = words;
    again.emplace_back("--restart");
    CHECK(node.ask(again).code == 0);
    CHECK(files.read("out.csv") == whole);
    CHECK_FALSE(std::filesystem::exists(files.path("out.csv.beds-export")));
}

TEST_CASE("export: a row that cannot be read is named, and what stands before it is written") {
    tables_service node;
    const auto& files = node.files;
    node.sql("INSERT INTO people SELECT seq, "
             "CONCAT('p', seq) FROM seq_1_to_50; ALTER TABLE people ADD COLUMN born TIME; "
             "UPDATE people SET born = '12:00:00'; UPDATE people SET born = '-01:00:00' "
             "WHERE id = 38");
    auto text = std::string{people_template} + "born = { type = \"time\" }\n";
    text.insert(text.find("key = "), "version = 2\n");
    files.write("templates/people.toml", text);
    node.reload();
    const auto out = files.path("out.csv").string();
    for (int again = 0; again < 2; ++again) { // gone on with it is told, too
        const auto got = node.ask({"export", "people", out});
        INFO(got.err);
        CHECK(got.code == 1);
        CHECK(contains(got.err, "UNSUPPORTED: "));
        CHECK(contains(got.err,
                       ", field 'born' of row 38, {\"id\":38}: mend it in the database, or "
                       "leave the field out with --fields; 37 rows were written, and the "
                       "same command goes on from there"));
    }
    CHECK(node.ask({"export", "people", "--fields", "name"}).code == 0);
    node.sql("UPDATE people SET born = NULL WHERE id = 38");
    const auto mended = node.ask({"export", "people", out});
    INFO(mended.err);
    CHECK(mended.code == 0);
    const auto lines = lines_of(files.read("out.csv"));
    REQUIRE(lines.size() == 51);
    CHECK(lines[37].starts_with("37,p37,12:00"));
    CHECK(lines[38] == "38,p38,");
}

TEST_CASE(
    "import: bedsd reads its templates again 200 times, with broken files among them: each row "
    "is there once") {
    tables_service node;
    const auto& files = node.files;
    const auto file = files.write("events.csv", events(400'000)).string();
    const folder says;
    const auto running = node.begin(says, {"import", "events", file, "--rate", "4000"});
    REQUIRE(node.reaches("events", 1));
    for (int i = 1; i <= 200; ++i) {
        std::string text{events_template};
        text.replace(text.find("key = "), 0, "version = " + std::to_string(i + 1) + "\n");
        if (i % 3 == 0) {
            text += i % 2 == 0 ? "colour = 1\n" : "[[";
        }
        files.write("templates/events.toml", text);
        node.reload();
    }
    INFO(says.read("err"));
    CHECK(running->wait(0s) == -1); // it was under way all the time
    const auto log = files.read("err");
    CHECK_FALSE(contains(log, "to 199)")); // which was broken
    CHECK(contains(log, "changed: events (version 198 to 200)"));
    running->signal(SIGINT);
    CHECK(running->wait(soon) == 3);
    const auto rows = node.count("events");
    CHECK(contains(says.read("err"), "applied " + bedsctl::with_commas(rows)));
    CHECK_FALSE(contains(says.read("err"), "rejected 1"));
}

TEST_CASE("import: a rate is kept") {
    tables_service node;
    const auto file = node.files.write("events.csv", events(3'000)).string();
    const auto begin = std::chrono::steady_clock::now();
    const auto got = node.ask({"import", "events", file, "--rate", "1000"});
    const auto took = std::chrono::steady_clock::now() - begin;
    INFO(got.err);
    CHECK(got.code == 0);
    CHECK(took > 2'500ms);
    CHECK(took < 30s);
}

TEST_CASE("import and export in process: the same rows, the same ids") {
    tables_service node;
    const auto& files = node.files;
    const auto file = files.write("events.csv", events(1'000)).string();
    const auto in_process = [&](std::vector<std::string> words) {
        words.insert(words.end(), {"--in-process", "--config", node.config});
        return service::run(std::move(words), {node.password()});
    };
    const auto in = in_process({"import", "events", file});
    INFO(in.err);
    CHECK(in.code == 0);
    CHECK(node.count("events") == 1'000);
    const auto out = in_process({"export", "events", "--fields", "name,amount"});
    INFO(out.err);
    CHECK(out.code == 0);
    auto rows = lines_of(out.out); // in the order of their numbers, which they got as they came
    auto wanted = lines_of(files.read("events.csv"));
    std::sort(rows.begin(), rows.end());
    std::sort(wanted.begin(), wanted.end());
    CHECK(rows == wanted);
    // With the key that the database makes, which is left out.
    const auto whole = files.path("whole.ndjson").string();
    REQUIRE(in_process({"export", "events", whole}).code == 0);
    const auto keyed = in_process({"import", "events", whole, "--dry-run"});
    CHECK(keyed.code == 1);
    CHECK(contains(keyed.err, "(leave it out with --ignore id)"));
    CHECK(in_process({"import", "events", whole, "--dry-run", "--ignore", "id"}).code == 0);
    // Sent again through RabbitMQ they are known.
    const auto again = node.ask({"import", "events", file, "--restart"});
    INFO(again.err);
    CHECK(again.code == 0);
    CHECK(node.count("events") == 1'000);
}
