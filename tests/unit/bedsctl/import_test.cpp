#include "support/catch.hpp"
#include "support/folder.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <arguments.hpp>
#include <fcntl.h>
#include <functional>
#include <import.hpp>
#include <import_state.hpp>
#include <map>
#include <sstream>
#include <unistd.h>

using namespace bedsctl;
using namespace std::chrono_literals;
using beds::test::contains;

namespace {

constexpr const char* ok = R"({"status":"ok","effect":"applied","count":1})";

std::string error(const std::string& code, const std::string& effect, bool retryable = false) {
    return R"({"status":"error","effect":")" + effect + R"(","code":")" + code +
           R"(","retryable":)" + (retryable ? "true" : "false") + R"(,"detail":"so it is"})";
}

/// Answers at once, each operation by its id and content.
class scripted_client final : public beds::client::client {
public:
    using script = std::function<std::string(const std::string& id, const std::string& data)>;
    explicit scripted_client(script answers) : answers_(std::move(answers)) {}

    void submit(beds::client::request what, beds::core::deadline, completion done) override {
        if (what.operations.front().op == beds::core::verb::describe) {
            done(
                {R"({"v":1,"event":"e","status":"ok","effect":"none","templates":[{"name":"t",)"
                 R"("key":["id"],"fields":[{"name":"id","type":"int64","key":true,"required":true})" +
                     fields +
                     R"(],)"
                     R"("operations":[{"op":"insert")" +
                     guarantee + R"(}],"limits":{"max_rows":9})" + more + "}]}",
                 {}});
            return;
        }
        most = std::max(most, what.operations.size());
        std::string results;
        for (const auto& op : what.operations) {
            beds::core::arena memory;
            std::string data;
            beds::core::append_json(data, op.data->view(memory));
            ++asked[op.id];
            const auto answer = answers_(op.id, data);
            if (answer.empty()) { // the message is refused for it
                done({R"({"v":1,"event":"e","status":"error","effect":"none",)"
                      R"("code":"INVALID_ENVELOPE","retryable":false})",
                      {}});
                return;
            }
            results += (results.empty() ? "" : ",") + answer;
        }
        done({R"({"v":1,"event":"e","status":"ok","results":[)" + results + "]}", {}});
    }
    bool wait_ready(beds::core::deadline) override { return true; }

    std::map<std::string, int> asked;
    std::size_t most = 0;
    std::string guarantee;
    std::string fields; ///< more of the template's
    std::string more;   ///< of the template

private:
    script answers_;
};

/// Ten rows, 0 to 9, from line 2.
struct importing {
    explicit importing(scripted_client::script answers) : client(std::move(answers)) {
        std::string text = "id\n";
        for (int i = 0; i < 10; ++i) {
            text += std::to_string(i) + '\n';
        }
        asked.template_name = "t";
        asked.input = files.write("t.csv", text).string();
        asked.batch = 4;
        asked.job = "j";
        asked.first_pause = 1ms;
    }
    exit_code run() {
        said.str({});
        return run_import(client, asked, said, false,
                          [this] { return stops && !client.asked.empty(); });
    }
    /// What it refuses with, before anything is sent.
    std::string refusal() {
        client.asked.clear();
        try {
            run();
        } catch (const usage_error& told) {
            CHECK(client.asked.empty());
            return told.what();
        }
        return "it was done: " + said.str();
    }
    /// The lines that were sent, in the order of their names.
    [[nodiscard]] std::string lines() const {
        std::string made;
        for (const auto& [id, times] : client.asked) {
            made += id.substr(id.rfind('/') + 1) + ' ';
        }
        return made;
    }
    [[nodiscard]] std::string job() const {
        const auto& id = client.asked.begin()->first;
        return id.substr(0, id.find('/', 7));
    }
    void append(const std::string& text) const { files.write("t.csv", files.read("t.csv") + text); }
    [[nodiscard]] import_state state() const {
        const auto made = load_state(files.path("t.csv.beds-import"));
        REQUIRE(made);
        return *made;
    }
    beds::test::folder files;
    scripted_client client;
    import_options asked;
    std::ostringstream said;
    bool stops = false; ///< Ctrl-C, as soon as something was sent
};

} // namespace

TEST_CASE("import: what fails for a while is sent again under its id, and nothing else is") {
    std::map<std::string, int> seen;
    importing of{[&](const std::string& id, const std::string& data) -> std::string {
        const auto before = seen[id]++;
        if (data == R"({"id":"3"})" && before < 3) {
            return error(before == 0   ? "BACKEND_UNAVAILABLE"
                         : before == 1 ? "DEADLINE_EXCEEDED"
                                       : "OVERLOADED",
                         before == 0 ? "unknown" : "none", before == 2);
        }
        return ok;
    }};
    CHECK(of.run() == exit_code::ok);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "read 10, applied 10, rejected 0"));
    CHECK(of.client.asked.size() == 10);
    CHECK(of.client.most == 4);
    for (const auto& [id, times] : of.client.asked) {
        INFO(id);
        CHECK(times == (id == "import/j/t/5" ? 4 : 1));
    }
    CHECK(of.state().done);
    of.client.asked.clear();
    CHECK(of.run() == exit_code::ok); // over and done
    CHECK(of.client.asked.empty());
}

TEST_CASE("import: a row whose effect stays unknown is told apart") {
    importing of{[](const std::string&, const std::string& data) -> std::string {
        return data == R"({"id":"3"})" ? error("BACKEND_CONFLICT", "unknown", true) : ok;
    }};
    CHECK(of.run() == exit_code::unknown);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "rejected 1 (1 of them perhaps applied)"));
    CHECK(contains(of.files.read("t.rejects.csv"),
                   "3,5,BACKEND_CONFLICT,\"\",it is not known whether this row is in: so it is"));
    CHECK(of.state().applied == 9);
}

TEST_CASE("import: what is wrong with all rows stops it before they are refused") {
    const auto* why = GENERATE("BACKEND_PERMISSION_DENIED", "UNKNOWN_TEMPLATE", "UNSUPPORTED");
    bool mended = false;
    importing of{[&](const std::string&, const std::string&) -> std::string {
        return mended ? ok : error(why, "none");
    }};
    CHECK(of.run() == exit_code::unknown);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), why));
    CHECK(contains(of.said.str(), "applied 0, rejected 0"));
    CHECK_FALSE(of.state().done);
    mended = true;
    CHECK(of.run() == exit_code::ok);
    CHECK(of.state().applied == 10);
}

TEST_CASE("import: when nothing is answered for good for long it stops") {
    importing of{[](const std::string&, const std::string& data) -> std::string {
        return data == R"({"id":"9"})" ? error("OVERLOADED", "none", true) : ok;
    }};
    of.asked.patience = 50ms;
    CHECK(of.run() == exit_code::unknown);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "OVERLOADED: so it is"));
    CHECK(of.state().applied == 8); // of whole messages
    CHECK(of.state().line == 10);
    CHECK_FALSE(of.state().settled);
}

TEST_CASE("import: a message that is refused for one row costs that row alone") {
    importing of{[](const std::string&, const std::string& data) -> std::string {
        return data == R"({"id":"6"})" ? "" : ok;
    }};
    CHECK(of.run() == exit_code::refused);
    INFO(of.said.str());
    CHECK(of.state().applied == 9);
    CHECK(contains(of.files.read("t.rejects.csv"), "\n6,8,INVALID_ENVELOPE,"));
}

TEST_CASE("import: without an inbox only when that is said") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    of.client.guarantee = R"(,"guarantee":"at_least_once")";
    CHECK_THROWS_AS(of.run(), usage_error);
    CHECK(of.client.asked.empty());
    of.asked.may_happen_twice = true;
    CHECK(of.run() == exit_code::ok);
}

TEST_CASE("import: a template whose writes have an order is refused before anything is sent") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    of.client.more = R"(,"order_by":"id")";
    CHECK_THAT(of.refusal(), Catch::Contains("ordered by 'id'"));
    of.asked.dry_run = true;
    CHECK_THAT(of.refusal(), Catch::Contains("ordered by 'id'"));
}

TEST_CASE("import: of a file that has grown only what is new is sent") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    of.asked.job = GENERATE("", "j");
    REQUIRE(of.run() == exit_code::ok);
    const auto job = of.job();
    of.client.asked.clear();
    of.append("10\n11\n");
    CHECK(of.run() == exit_code::ok);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "has grown since it was imported"));
    CHECK(contains(of.said.str(), "read 2, applied 2, rejected 0"));
    CHECK(of.lines() == "12 13 ");
    CHECK(of.job() == job);

    of.client.asked.clear();
    CHECK(of.run() == exit_code::ok);
    CHECK(of.client.asked.empty());

    // All of it again is sent under the ids that it had, and so known to the inbox.
    of.append("12\n");
    of.asked.restart = true;
    CHECK(of.run() == exit_code::ok);
    CHECK(of.client.asked.size() == 13);
    CHECK(of.job() == job);
    of.client.asked.clear();
    of.asked.restart = false;
    of.append("13\n");
    CHECK(of.run() == exit_code::ok);
    CHECK(of.lines() == "15 ");
    CHECK(of.job() == job);
}

TEST_CASE("import: of a file that has changed where it was imported nothing is sent") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    of.asked.job = GENERATE("", "j");
    REQUIRE(of.run() == exit_code::ok);
    const auto job = of.job();
    for (const std::string text : {"id\n0\n1\n7\n3\n4\n5\n6\n7\n8\n9\n10\n", "id\n0\n1\n2\n"}) {
        of.files.write("t.csv", text);
        const auto told = of.refusal();
        INFO(told);
        CHECK(contains(told, "has changed since it was imported"));
        CHECK(contains(told, "--restart"));
    }
    of.asked.restart = true;
    CHECK(of.run() == exit_code::ok);
    CHECK(of.client.asked.size() == 3);
    CHECK((of.job() == job) == (of.asked.job == "j")); // another content
}

TEST_CASE("import: a last line without its end goes on only when it was whole") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    of.asked.job.clear();
    of.files.write("t.csv", "id\n10\n11");
    REQUIRE(of.run() == exit_code::ok);
    of.client.asked.clear();
    SECTION("it was") {
        of.append(GENERATE("\n12\n", "\r\n12\n"));
        CHECK(of.run() == exit_code::ok);
        CHECK(of.lines() == "4 ");
        CHECK(contains(of.said.str(), "read 1, applied 1, rejected 0"));
    }
    SECTION("it was not") {
        of.append("2\n12\n");
        CHECK(contains(of.refusal(), "has changed since it was imported"));
    }
}

TEST_CASE("import: an import that was stopped goes on though the file has grown, or was mended") {
    bool well = false;
    importing of{[&](const std::string&, const std::string& data) -> std::string {
        return !well && data == R"({"id":"9"})" ? error("UNSUPPORTED", "none") : ok;
    }};
    of.asked.job.clear();
    of.asked.window = 1;
    SECTION("grown") {
        CHECK(of.run() == exit_code::unknown);
        of.append("10\n");
        well = true;
        of.client.asked.clear();
        CHECK(of.run() == exit_code::ok);
        INFO(of.said.str());
        CHECK(of.lines() == "10 11 12 ");
        CHECK(of.state().applied == 11);
    }
    SECTION("mended behind what was imported") {
        of.files.write("t.csv", "id\n1\n2\n\"3\n4\n");
        CHECK(of.run() == exit_code::unknown);
        INFO(of.said.str());
        CHECK(contains(of.said.str(), "line 4: a quote is not closed"));
        CHECK(contains(of.said.str(), "Mend it there"));
        of.client.asked.clear();
        of.files.write("t.csv", "id\n1\n2\n3\n4\n");
        CHECK(of.run() == exit_code::ok);
        CHECK(of.lines() == "4 5 ");
    }
}

TEST_CASE("import: where it stopped is the line that is to be mended, whatever stands before it") {
    bool well = true;
    importing of{[&](const std::string&, const std::string&) -> std::string {
        return well ? ok : error("UNSUPPORTED", "none");
    }};
    std::string text;
    std::string line;
    std::tie(text, line) = GENERATE(table<std::string, std::string>({
        {"id\n\"1\n2\n", "2"},          // nothing was sent yet
        {"\n\"id\"\n1\n\"2\n3\n", "4"}, // an empty line before the header
        {"id\n1\n2\n\"3\n", "4"},
    }));
    of.files.write("t.csv", text);
    CHECK(of.run() == exit_code::unknown);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "line " + line + ": a quote is not closed"));
    CHECK(contains(of.said.str(), "every row before line " + line + " is answered. Mend it there"));
    text.erase(text.rfind('"'), 1);
    of.files.write("t.csv", text);
    CHECK(of.run() == exit_code::ok);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "rejected 0"));

    // Stopped at the first row, which is not the header.
    well = false;
    of.files.write("t.csv", "id\n1\n");
    of.asked.restart = true;
    CHECK(of.run() == exit_code::unknown);
    CHECK(contains(of.said.str(), "every row before line 2 is answered. The same command"));
}

TEST_CASE("import: of empty lines before a quote that is not closed, the quote's line is told") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    of.asked.columns = {"id", "beds:line"};
    of.asked.batch = 1; // the empty lines are of no message
    of.files.write("t.csv", "1,\n\n\n\"2,\n");
    CHECK(of.run() == exit_code::unknown);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "every row before line 4 is answered. Mend it there"));
}

TEST_CASE("import: what grew while it was read waits for the next run") {
    importing of{[&](const std::string& id, const std::string&) -> std::string {
        if (id.ends_with("/2")) {
            of.append("10\n");
        }
        return ok;
    }};
    of.asked.window = 1;
    CHECK(of.run() == exit_code::ok);
    CHECK(of.client.asked.size() == 10);
    of.client.asked.clear();
    CHECK(of.run() == exit_code::ok);
    CHECK(of.lines() == "12 ");
}

TEST_CASE("import: refused rows of a file that has grown are not written over those of before") {
    importing of{[](const std::string&, const std::string& data) -> std::string {
        return data == R"({"id":"3"})" || data == R"({"id":"10"})" ? error("NO", "none") : ok;
    }};
    REQUIRE(of.run() == exit_code::refused);
    const auto before = of.files.read("t.rejects.csv");
    of.append("10\n11\n");
    SECTION("they go on behind them") {
        CHECK(of.run() == exit_code::refused);
        INFO(of.said.str());
        CHECK(contains(of.said.str(), "read 2, applied 1, rejected 1"));
        const auto after = of.files.read("t.rejects.csv");
        CHECK(after.size() > before.size());
        CHECK(after.substr(0, before.size()) == before);
        CHECK(contains(after.substr(before.size()), "10,12,NO"));
        of.append("12\n");
        CHECK(of.run() == exit_code::ok);
        CHECK(of.files.read("t.rejects.csv") == after);
        return;
    }
    const auto mended = before + "9\n";
    of.files.write("t.rejects.csv", mended);
    const auto told = of.refusal();
    CHECK(contains(told, "t.rejects.csv' is there already"));
    CHECK(of.files.read("t.rejects.csv") == mended);
    of.asked.rejects = of.files.path("more.csv").string();
    CHECK(of.run() == exit_code::refused);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "read 2, applied 1, rejected 1"));
    CHECK(of.lines() == "12 13 ");
}

TEST_CASE("import: under another account nothing is sent, as its rows would not be known") {
    bool stops = false;
    importing of{[&](const std::string&, const std::string& data) -> std::string {
        return stops && data == R"({"id":"9"})" ? error("UNSUPPORTED", "none") : ok;
    }};
    of.asked.account = "ann";
    stops = GENERATE(true, false);
    INFO((stops ? "stopped" : "finished"));
    CHECK(of.run() == (stops ? exit_code::unknown : exit_code::ok));
    CHECK(of.state().account == "ann");
    stops = false;
    of.asked.account = "bob";
    for (const bool restart : {false, true}) {
        of.asked.restart = restart;
        const auto told = of.refusal();
        INFO(told);
        CHECK(contains(told, "'ann'"));
        CHECK(contains(told, "'bob'"));
        CHECK(contains(told, "--may-happen-twice"));
    }
    of.asked.may_happen_twice = true;
    CHECK(of.run() == exit_code::ok);
    CHECK(of.client.asked.size() == 10);
    CHECK(of.state().account == "bob");
}

TEST_CASE("import: the progress of another template is left alone") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    REQUIRE(of.run() == exit_code::ok);
    auto other = of.state();
    other.template_name = "other";
    save_state(of.files.path("t.csv.beds-import"), other);
    const auto told = of.refusal();
    INFO(told);
    CHECK(contains(told, "'other'"));
    CHECK(contains(told, "--state"));
}

TEST_CASE("import: --restart does not say that rows were applied which may only be known") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    REQUIRE(of.run() == exit_code::ok);
    of.asked.restart = true;
    CHECK(of.run() == exit_code::ok);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "read 10, answered 10 (some may have been imported before), "
                                  "rejected 0"));
    CHECK_FALSE(contains(of.said.str(), "applied"));
}

TEST_CASE("import: what it ends with says what to do, and the exit code") {
    std::string refused = error("NO", "none");
    importing of{[&](const std::string&, const std::string& data) -> std::string {
        return data == R"({"id":"3"})" ? refused : ok;
    }};
    SECTION("refused") {
        CHECK(of.run() == exit_code::refused);
        CHECK(contains(of.said.str(), "1 row is not in (exit code 1): mend it in "));
        CHECK(contains(of.said.str(), "t.rejects.csv, and import that file\n"));
        CHECK(of.run() == exit_code::refused); // over and done, and no better
        CHECK(contains(of.said.str(), "1 row is not in (exit code 1): mend it in "));
    }
    SECTION("not known") {
        refused = error("BACKEND_CONFLICT", "unknown");
        CHECK(of.run() == exit_code::unknown);
        CHECK(contains(of.said.str(), "of 1 row it is not known whether it is in (exit code 3): "));
    }
    SECTION("stopped") {
        refused = error("UNSUPPORTED", "none");
        CHECK(of.run() == exit_code::unknown);
        CHECK(contains(of.said.str(), "stopped (exit code 3)"));
    }
    INFO(of.said.str());
}

TEST_CASE("import: the file of refused rows has a name of its own, however often it is mended") {
    CHECK(rejects_beside("a/people.csv") == "a/people.rejects.csv");
    CHECK(rejects_beside("people.rejects.csv") == "people.rejects.2.csv");
    CHECK(rejects_beside("a.b/people.rejects.2.csv") == "a.b/people.rejects.3.csv");
    CHECK(rejects_beside("people.rejects.9.ndjson") == "people.rejects.10.ndjson");
    CHECK(rejects_beside("people") == "people.rejects");
    CHECK(rejects_beside("people.rejects") == "people.rejects.2");
    CHECK(rejects_beside("people.rejects.2") == "people.rejects.3");
    CHECK(rejects_beside("rejects.csv") == "rejects.2.csv");
    CHECK(rejects_beside("rejects") == "rejects.2");
    CHECK(rejects_beside("norejects.csv") == "norejects.rejects.csv");
    CHECK(rejects_beside("people.2026.csv") == "people.2026.rejects.csv");
}

TEST_CASE("import: a file that is not UTF-8 is told so, and its raw bytes are not printed") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    SECTION("its header") {
        of.files.write("t.csv", "id,caf\xE9\n1,x\n");
        const auto told = of.refusal();
        INFO(told);
        CHECK(contains(told, "the header line of '"));
        CHECK(contains(told, "': not UTF-8, at byte 6; iconv -f latin1 -t utf8 converts the file"));
        CHECK_FALSE(contains(told, "\xE9"));
    }
    SECTION("a row") {
        of.files.write("t.csv", "id\n1\n2\xE9\n3\n");
        CHECK(of.run() == exit_code::refused);
        INFO(of.said.str());
        CHECK(contains(of.said.str(), "line 3: INVALID_FIELD: field 'id' is not UTF-8, at byte 1; "
                                      "iconv -f latin1 -t utf8 converts it"));
        CHECK(of.lines() == "2 4 ");
        CHECK(contains(of.files.read("t.rejects.csv"), "\n2\xE9,3,INVALID_FIELD,id,")); // as it was
    }
}

TEST_CASE("import: fields that clients do not give are named all at once, and left out") {
    importing of{[](const std::string&, const std::string& data) -> std::string {
        return data == R"({"id":1})" || data == R"({"id":"1"})" ? ok : error("NO", "none");
    }};
    of.client.fields = R"(,{"name":"vat","type":"int64","protected":true})"
                       R"(,{"name":"stamp","type":"datetime","protected":true,"generated":true})";
    SECTION("CSV") {
        of.files.write("t.csv", "id,vat,x,stamp\n1,2,3,4\n");
        of.asked.ignored = {"x"};
        CHECK(of.refusal() == "fields 'vat', 'stamp' are not given by clients; leave their columns "
                              "out with --ignore x,vat,stamp");
        of.asked.ignored = {"x", "vat", "stamp"};
    }
    SECTION("NDJSON") {
        of.asked.format = row_format::ndjson;
        of.files.write("t.csv", R"({"id":1,"vat":2,"x":3,"stamp":"4"})"
                                "\n");
        of.asked.ignored = {"x"};
        CHECK(of.run() == exit_code::refused);
        INFO(of.said.str());
        CHECK(contains(of.said.str(), "line 1: INVALID_FIELD: field 'vat' is protected and cannot "
                                      "be given (leave it out with --ignore x,vat,stamp)"));
        CHECK(of.client.asked.empty());
        of.asked.ignored = {"x", "vat", "stamp"};
        of.asked.restart = true; // they were refused here, and never sent
    }
    CHECK(of.run() == exit_code::ok);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "read 1, a"));
    CHECK(contains(of.said.str(), "rejected 0"));
}

TEST_CASE("import: standard input without --job is known to no other run, which is told") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    const auto from_stdin = [&] {
        const int before = ::dup(STDIN_FILENO);
        const int file = ::open(of.files.path("t.csv").c_str(), O_RDONLY | O_CLOEXEC);
        REQUIRE(::dup2(file, STDIN_FILENO) == STDIN_FILENO);
        ::close(file);
        of.client.asked.clear();
        const auto got = of.run();
        ::dup2(before, STDIN_FILENO);
        ::close(before);
        CHECK(got == exit_code::ok);
        return contains(of.said.str(), "bedsctl: without --job no other run knows these rows: sent "
                                       "again they are inserted again\n");
    };
    of.asked.input = "-";
    of.asked.format = row_format::csv;
    CHECK_FALSE(from_stdin());
    of.asked.job.clear();
    CHECK(from_stdin());
    const auto job = of.job();
    CHECK(from_stdin());
    CHECK(of.job() != job);
    of.asked.quiet = true;
    CHECK_FALSE(from_stdin());
    of.asked.quiet = false;
    of.asked.dry_run = true;
    CHECK_FALSE(from_stdin());
}

TEST_CASE("import: a copy of a file under another name is the same job") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    of.asked.job.clear();
    REQUIRE(of.run() == exit_code::ok);
    const auto job = of.job();
    CHECK_FALSE(contains(of.said.str(), "--job"));
    of.client.asked.clear();
    of.asked.input = of.files.write("copy.csv", of.files.read("t.csv")).string();
    REQUIRE(of.run() == exit_code::ok);
    CHECK(of.job() == job);
}

TEST_CASE("import: refused rows are not written over the file that is read") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    of.asked.rejects = of.asked.input;
    of.asked.restart = true;
    CHECK(contains(of.refusal(), "--rejects"));
}

TEST_CASE("import: what an import that was killed had sent is in doubt until its file is through") {
    bool well = false;
    importing of{[&](const std::string&, const std::string& data) -> std::string {
        return !well && data == R"({"id":"3"})" ? error("OVERLOADED", "none", true) : ok;
    }};
    of.asked.patience = 50ms;
    CHECK(of.run() == exit_code::unknown); // all rows were sent, and none is noted
    CHECK_FALSE(of.state().settled);
    well = true;
    of.client.asked.clear();
    of.stops = true;
    of.asked.window = 1;
    of.asked.restart = GENERATE(false, true);
    CHECK(of.run() == exit_code::unknown);
    CHECK(of.client.asked.size() == 4);
    CHECK_FALSE(of.state().settled); // what is behind them was sent before
    of.stops = false;
    of.asked.restart = false;
    CHECK(of.run() == exit_code::ok);
    CHECK(of.state().settled);
}

TEST_CASE("import: --restart is refused when the inbox has forgotten the rows") {
    importing of{[](const std::string&, const std::string&) -> std::string { return ok; }};
    REQUIRE(of.run() == exit_code::ok);
    const auto state = of.files.path("t.csv.beds-import");
    of.asked.restart = true;
    of.asked.inbox_window = 1h;
    std::filesystem::last_write_time(state, std::filesystem::last_write_time(state) - 2h);
    const auto told = of.refusal();
    INFO(told);
    CHECK(contains(told, "older than the inbox_window"));
    CHECK(contains(told, "--may-happen-twice"));
    SECTION("unless that is said") {
        of.asked.may_happen_twice = true;
    }
    SECTION("but not under a job of its own") {
        of.asked.job = "k";
    }
    CHECK(of.run() == exit_code::ok);
    CHECK(of.client.asked.size() == 10);
}
