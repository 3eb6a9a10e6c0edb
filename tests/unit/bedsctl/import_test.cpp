#include "support/catch.hpp"
#include "support/folder.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <arguments.hpp>
#include <functional>
#include <import.hpp>
#include <import_state.hpp>
#include <map>
#include <sstream>

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
                 R"("key":["id"],"fields":[{"name":"id","type":"int64","key":true,"required":true}],)"
                 R"("operations":[{"op":"insert")" +
                     guarantee + R"(}],"limits":{"max_rows":9}}]})",
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
        return run_import(client, asked, said, false, [] { return false; });
    }
    [[nodiscard]] import_state state() const {
        const auto made = load_state(files.path("t.csv.beds-import"));
        REQUIRE(made);
        return *made;
    }
    beds::test::folder files;
    scripted_client client;
    import_options asked;
    std::ostringstream said;
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
