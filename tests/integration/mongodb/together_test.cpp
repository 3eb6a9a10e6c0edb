#include "fixture.hpp"
#include "scripted_server.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

// Finds and counts that differ in one value are one command and answer as each would alone.

using namespace beds;
using namespace beds::test::mongodb;
using testing::operation_maker;
using testing::operations;
using testing::template_maker;

namespace {

const auto target = template_maker{"sheep"}
                        .connection("rec", templates::engine::rec)
                        .field("id", "int64", {.column = "_id"})
                        .field("flock", "string:40", {.column = "fl"})
                        .field("n", "int32", {.column = "nn"})
                        .field("price", "decimal(8,2)", {.column = "pr"})
                        .key({"id"})
                        .index({"flock"})
                        .index({"n"})
                        .index({"price"})
                        .max_rows(1000)
                        .build();

struct world {
    explicit world(const std::string& coalesce = "auto")
        : raw(test::require_mongodb().uri, test::unique_name()) {
        auto settings = settings_for(test::require_mongodb().uri, raw.name());
        settings.coalesce = coalesce;
        adapter = adapters::make_mongodb("rec", settings);
        raw.make(target);
        session = adapter->open_session({"x", nullptr, {}});
        session->connect(core::deadline::after(std::chrono::seconds{5}));
        operations in;
        auto rows = in.insert(target);
        // Flock `f<k>` has k sheep.
        int id = 0;
        for (int k = 1; k <= 9; ++k) {
            for (int i = 0; i < k; ++i) {
                rows.row({{"id", ++id},
                          {"flock", "f" + std::to_string(k)},
                          {"n", i},
                          {"price", std::to_string(k) + ".50"}});
            }
        }
        REQUIRE(test::mongodb::run(*session, in).outcomes[0].ok());
    }
    answer run(operations& ops) { return test::mongodb::run(*session, ops); }

    test::mongodb::raw_database raw;
    std::shared_ptr<adapters::adapter> adapter;
    std::unique_ptr<adapters::session> session;
};

std::string rows_of(const answer& got, const operation_maker& op) {
    std::string text = text_of(got.outcome(op));
    for (const auto& row : got.of(op).rows) {
        text += " " + to_string(row);
    }
    return text + (got.of(op).next ? " more" : "");
}

/// Each in a unit of its own.
std::vector<std::string> apart(world& on, const std::vector<std::string>& flocks, unsigned limit) {
    std::vector<std::string> all;
    for (const auto& flock : flocks) {
        operations ops;
        auto one = ops.find(target).where("flock", flock).sort({"-n"}).fields({"id", "n"});
        if (limit != 0) {
            one.limit(limit);
        }
        all.push_back(rows_of(on.run(ops), one));
    }
    return all;
}

} // namespace

TEST_CASE("together: finds that differ in one value") {
    const auto coalesce = GENERATE(std::string{"auto"}, std::string{"off"});
    world on{coalesce};
    for (const unsigned limit : {0U, 1U, 3U, 5U, 100U}) {
        CAPTURE(limit, coalesce);
        const std::vector<std::string> flocks{"f3", "f9", "none", "f3", "f1", "F1", "f5", ""};
        operations ops;
        std::vector<operation_maker> made;
        for (const auto& flock : flocks) {
            made.push_back(ops.find(target).where("flock", flock).sort({"-n"}).fields({"id", "n"}));
            if (limit != 0) {
                made.back().limit(limit);
            }
        }
        const auto got = on.run(ops);
        const auto expected = apart(on, flocks, limit);
        for (std::size_t i = 0; i < flocks.size(); ++i) {
            CHECK(rows_of(got, made[i]) == expected[i]);
        }
        CHECK(got.sink.violations().empty());
    }
}

TEST_CASE("together: counts that differ in one value") {
    world on;
    operations ops;
    std::vector<operation_maker> made;
    for (const char* price : {"3.50", "9.5", "1.00", "3.5", "2.50"}) {
        made.push_back(ops.count(target).where("price", price));
    }
    const auto got = on.run(ops);
    const std::vector<std::uint64_t> expected{3, 9, 0, 3, 2};
    for (std::size_t i = 0; i < made.size(); ++i) {
        CHECK(got.of(made[i]).total == expected[i]);
    }
    operations two;
    auto one = two.count(target).where("flock", "f9").where("n", 3);
    auto other = two.count(target).where("flock", "f9").where("n", 12);
    auto third = two.count(target).where("flock", "f2").where("n", 1);
    const auto both = on.run(two);
    CHECK(both.of(one).total == 1U);
    CHECK(both.of(other).total == 0U);
    CHECK(both.of(third).total == 1U);
}

TEST_CASE("together: a row that does not fit fails its own find alone") {
    world on;
    // In both, as arrays match each of their items; and one that is no number.
    on.raw.run(R"({"insert": "sheep", "documents": [
        {"_id": {"$numberLong": "100"}, "fl": ["f1", "f2"], "nn": 0},
        {"_id": {"$numberLong": "101"}, "fl": "f4", "nn": "many"}]})");
    operations ops;
    auto bad = ops.find(target).where("flock", "f1").fields({"id", "flock", "n"});
    auto good = ops.find(target).where("flock", "f3").fields({"id", "flock", "n"});
    auto worse = ops.find(target).where("flock", "f4").fields({"id", "flock", "n"});
    const auto got = on.run(ops);
    CHECK(text_of(got.outcome(bad)) == "error INTERNAL none field=flock");
    CHECK(text_of(got.outcome(worse)) == "error INTERNAL none field=n");
    CHECK(got.of(good).rows.size() == 3);
    operations counts;
    auto one = counts.count(target).where("flock", "f1");
    auto two = counts.count(target).where("flock", "f2");
    const auto counted = on.run(counts);
    CHECK(counted.of(one).total == 2U);
    CHECK(counted.of(two).total == 3U);
}

TEST_CASE("together: how many commands there are") {
    struct expectation {
        const char* coalesce;
        bool collation;
        std::size_t finds;
    };
    const auto expected =
        GENERATE(expectation{"auto", false, 1}, expectation{"off", false, 3},
                 expectation{"fetch insert", false, 3}, expectation{"find", false, 1},
                 // There `A` equals `a`: which find a row belongs to is the server's to say.
                 expectation{"auto", true, 3});
    scripted_server server{[&](std::string_view name, const std::string&) {
        scripted_reply made;
        const std::string options =
            expected.collation ? R"({"collation": {"locale": "en", "strength": 2}})" : "{}";
        made.json = R"({"ok": 1, "cursor": {"id": {"$numberLong": "0"}, "ns": "db.sheep",
                     "firstBatch": [)" +
                    (name == "listCollections" ? R"({"name": "sheep", "options": )" + options + "}"
                                               : std::string{}) +
                    "]}}";
        return made;
    }};
    auto settings = settings_for(server.uri(), "db");
    settings.coalesce = expected.coalesce;
    const auto adapter = adapters::make_mongodb("rec", settings);
    const auto session = adapter->open_session({"x", nullptr, {}});
    session->connect(core::deadline::after(std::chrono::seconds{5}));
    operations ops;
    for (const char* flock : {"f1", "f2", "f3"}) {
        ops.find(target).where("flock", flock);
    }
    const auto got = run(*session, ops);
    for (const auto& outcome : got.outcomes) {
        CHECK(text_of(outcome) == "ok OK none");
    }
    const auto commands = server.commands();
    CHECK(static_cast<std::size_t>(
              std::count_if(commands.begin(), commands.end(), [](const std::string& one) {
                  return one.find(R"("find" : )") != std::string::npos;
              })) == expected.finds);
}

// By hand: integration_mongodb "[figures]". What a find, or a count, of 20 of 10,000 rows takes in
// a batch of 32, each with a command of its own and together.
TEST_CASE("together: figures", "[.][figures]") {
    test::mongodb::raw_database raw{test::require_mongodb().uri, test::unique_name()};
    raw.make(target);
    raw.run(R"({"createIndexes": "sheep", "indexes": [{"key": {"fl": 1}, "name": "fl_1"}]})");
    for (int first = 0; first < 10'000; first += 1'000) {
        std::string rows;
        for (int i = first; i < first + 1'000; ++i) {
            rows += (i == first ? "" : ",") + (R"({"_id": {"$numberLong": ")" + std::to_string(i)) +
                    R"("}, "fl": "f)" + std::to_string(i % 500) + R"(", "nn": 1})";
        }
        raw.run(R"({"insert": "sheep", "documents": [)" + rows + "]}");
    }
    for (const bool counts : {false, true}) {
        std::string line = counts ? "count" : "find";
        for (const char* coalesce : {"off", "auto"}) {
            auto settings = settings_for(test::require_mongodb().uri, raw.name());
            settings.coalesce = coalesce;
            const auto adapter = adapters::make_mongodb("rec", settings);
            const auto session = adapter->open_session({"x", nullptr, {}});
            session->connect(core::deadline::after(std::chrono::seconds{5}));
            double best = 1e9;
            for (int round = 0; round < 12; ++round) {
                operations ops;
                for (int i = 0; i < 32; ++i) {
                    const auto flock = "f" + std::to_string((round * 32 + i * 7) % 500);
                    if (counts) {
                        ops.count(target).where("flock", flock);
                    } else {
                        ops.find(target).where("flock", flock).limit(50);
                    }
                }
                const auto begin = std::chrono::steady_clock::now();
                const auto got = run(*session, ops, core::deadline::after(std::chrono::minutes{1}));
                const std::chrono::duration<double, std::micro> took =
                    std::chrono::steady_clock::now() - begin;
                REQUIRE(got.outcomes[0].ok());
                best = std::min(best, took.count() / 32);
            }
            line +=
                std::string{" "} + coalesce + " " + std::to_string(static_cast<int>(best)) + " us";
        }
        std::printf("%s\n", line.c_str());
    }
}
