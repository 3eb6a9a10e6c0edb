#include "support/catch.hpp"
#include "support/folder.hpp"

#include <beds/core/json.hpp>

#include <export.hpp>
#include <set>
#include <sstream>

using namespace bedsctl;
using namespace std::chrono_literals;
using beds::test::contains;

namespace {

/// A template with the rows 1 to 20; pages with one of `bad` are refused, as a node does.
class rows_client final : public beds::client::client {
public:
    void submit(beds::client::request what, beds::core::deadline, completion done) override {
        const auto& op = what.operations.front();
        if (op.op == beds::core::verb::describe) {
            done({R"({"v":1,"event":"e","status":"ok","effect":"none","templates":[{"name":"t",)"
                  R"("key":["id"],"fields":[{"name":"id","type":"int64","key":true},)"
                  R"({"name":"born","type":"date"}],"operations":[],"limits":{"max_rows":9}}]})",
                  {}});
            return;
        }
        ++pages;
        const bool of_keys = op.fields == std::vector<std::string>{"id"};
        const auto first = op.after.empty() ? 1U : std::stoul(op.after) + 1;
        const auto last = std::min<unsigned long>(20, first + op.limit.value_or(9) - 1);
        std::string rows;
        for (auto id = first; id <= last; ++id) {
            if (bad.count(id) != 0 && (!of_keys || field == "id")) {
                done({R"({"v":1,"event":"e","status":"error","effect":"none","code":")" + code +
                          R"(","retryable":false,"field":")" + field + R"(","detail":"so it is"})",
                      {}});
                return;
            }
            rows += (rows.empty() ? "{\"id\":" : ",{\"id\":") + std::to_string(id) +
                    (of_keys ? "}" : ",\"born\":null}");
        }
        done({R"({"v":1,"event":"e","status":"ok","effect":"none","rows":[)" + rows + "]" +
                  (last < 20 ? ",\"next\":\"" + std::to_string(last) + "\"" : "") + "}",
              {}});
    }
    bool wait_ready(beds::core::deadline) override { return true; }

    std::set<unsigned long> bad;
    std::string code = "INTERNAL";
    std::string field = "born";
    int pages = 0;
};

struct exporting {
    exporting() {
        asked.template_name = "t";
        asked.output = files.path("t.csv").string();
        asked.patience = 0ms;
    }
    exit_code run() {
        said.str({});
        client.pages = 0;
        return run_export(client, asked, out, said, false, [] { return false; });
    }
    beds::test::folder files;
    rows_client client;
    export_options asked;
    std::ostringstream out;
    std::ostringstream said;
};

} // namespace

TEST_CASE("export: one row that cannot be read is named, and what stands before it is written") {
    exporting of;
    of.client.code = GENERATE("INTERNAL", "UNSUPPORTED");
    of.client.bad = {GENERATE(1UL, 2UL, 7UL, 9UL, 10UL, 20UL)};
    const auto row = *of.client.bad.begin();
    INFO(row);
    for (int again = 0; again < 2; ++again) { // gone on with it is told, too
        CHECK(of.run() == exit_code::refused);
        INFO(of.said.str());
        const auto id = std::to_string(row);
        CHECK(contains(of.said.str(),
                       "bedsctl: " + of.client.code + ": so it is, field 'born' of row " + id +
                           ", {\"id\":" + id +
                           "}: mend it in the database, or leave the field out with --fields; " +
                           std::to_string(row - 1) + " rows were written"));
        CHECK(contains(of.said.str(), "the same command goes on") == (row != 1));
        CHECK(of.client.pages < 14);
    }
    of.client.bad.clear();
    CHECK(of.run() == exit_code::ok);
    std::string wanted = "id,born\n";
    for (int i = 1; i <= 20; ++i) {
        wanted += std::to_string(i) + ",\n";
    }
    CHECK(of.files.read("t.csv") == wanted);
}

TEST_CASE("export: a key that cannot be read has its number alone, and cannot be left out") {
    exporting of;
    of.client.field = "id";
    of.client.bad = {5};
    CHECK(of.run() == exit_code::refused);
    CHECK(contains(of.said.str(), "field 'id' of row 5: mend it in the database; 4 rows"));
}

TEST_CASE("export: what is of no field of a row ends it at once") {
    exporting of;
    of.client.bad = {5};
    of.client.field = GENERATE("", "where");
    CHECK(of.run() == exit_code::refused);
    INFO(of.said.str());
    CHECK(contains(of.said.str(), "bedsctl: INTERNAL: so it is; 0 rows were written"));
    CHECK(of.client.pages == 1);
}

TEST_CASE("export: a row behind --limit is not asked for") {
    exporting of;
    of.client.bad = {5};
    of.asked.limit = 4;
    CHECK(of.run() == exit_code::ok);
    of.asked.limit = 5;
    of.asked.output = "-";
    of.asked.goes_on = false;
    CHECK(of.run() == exit_code::refused);
    CHECK(contains(of.said.str(), "row 5, {\"id\":5}"));
    CHECK(of.out.str() == "id,born\n1,\n2,\n3,\n4,\n");
}
