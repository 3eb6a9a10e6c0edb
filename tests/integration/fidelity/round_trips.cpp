#include "round_trips.hpp"

#include "support/catch.hpp"
#include "support/servers.hpp"

#include <beds/client/reply.hpp>

#include <chrono>
#include <iostream>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace beds::test {
namespace {

using namespace std::chrono_literals;

struct written_row {
    std::int64_t id = 0;
    std::string sent;                ///< members of all given fields
    std::vector<std::string> given;  ///< each of them, as `"name":value`
    std::vector<std::string> wanted; ///< in the order of typed_fields(), canonical
};

/// A field may be absent, null or a value.
written_row random_row(random_engine& random, std::int64_t id) {
    written_row made;
    made.id = id;
    for (const auto& field : typed_fields()) {
        std::string wanted = "null";
        if (const auto chance = random() % 10; chance != 0) {
            auto value = chance == 1 ? sample{"null", "null"} : field.make(random);
            const auto member = '"' + field.name + "\":" + value.sent;
            made.sent += (made.sent.empty() ? "" : ",") + member;
            if (field.type != "json" && field.type != "document") { // those are never compared
                made.given.push_back(member);
            }
            wanted = canonical(value.wanted);
        }
        made.wanted.push_back(std::move(wanted));
    }
    return made;
}

client::operation insert_of(const std::vector<written_row>& rows) {
    std::string json;
    for (const auto& row : rows) {
        json += (json.empty() ? "[" : ",") + std::string{"{\"id\":"} + std::to_string(row.id) +
                (row.sent.empty() ? "" : ",") + row.sent + '}';
    }
    auto made = client::insert("everything", std::vector<client::value>{});
    made.data = client::value::from_json(json + ']');
    return made;
}

void check_row(const client::row& got, const written_row& row) {
    const auto& fields = typed_fields();
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const auto* value = got.find(fields[i].name);
        if (value == nullptr || canonical(*value) != row.wanted[i]) {
            INFO("id " << row.id << ", " << fields[i].name << " (" << fields[i].type << "), sent "
                       << row.sent);
            REQUIRE(value != nullptr);
            REQUIRE(canonical(*value) == row.wanted[i]);
        }
    }
}

/// What is stored is what a condition finds, of any type.
std::vector<client::operation> conditions_of(const std::vector<written_row>& rows,
                                             random_engine& random) {
    std::vector<client::operation> made;
    for (const auto& row : rows) {
        if (!row.given.empty()) {
            const auto one =
                client::value::from_json('{' + row.given[random() % row.given.size()] + '}');
            auto& op = made.emplace_back(
                client::update("everything", client::value{row.id}, client::members{}));
            op.set = one;
            op.expect = one;
        }
    }
    return made;
}

void check_all_well(const client::reply& reply) {
    for (std::size_t i = 0; i < reply.size(); ++i) {
        INFO(reply.json().substr(0, 1'000));
        REQUIRE(reply[i].ok());
    }
}

void write(client::client& through, const std::vector<written_row>& rows) {
    if (rows.front().id % 1'000 != 1) {
        check_all_well(through.call(insert_of(rows), 60s));
        return;
    }
    std::vector<written_row> bare = rows; // and the values by updates
    std::vector<client::operation> updates;
    for (auto& row : bare) {
        if (!row.sent.empty()) {
            auto& op = updates.emplace_back(
                client::update("everything", client::value{row.id}, client::members{}));
            op.set = client::value::from_json('{' + row.sent + '}');
        }
        row.sent.clear();
    }
    check_all_well(through.call(insert_of(bare), 60s));
    check_all_well(through.call(client::request{std::move(updates)}, 60s));
}

} // namespace

void check_rows(client::client& through, std::int64_t first, std::size_t rows, std::uint64_t seed) {
    random_engine random{seed};
    constexpr std::size_t together = 100;
    for (std::size_t done = 0; done < rows; done += together) {
        std::vector<written_row> batch;
        for (std::size_t i = 0; i < together; ++i) {
            const auto number = static_cast<std::int64_t>(done + i + 1);
            batch.push_back(random_row(random, first + number));
        }
        write(through, batch);
        const auto met = conditions_of(batch, random);
        const auto met_reply = through.call(client::request{met}, 60s);
        for (std::size_t i = 0; i < met.size(); ++i) {
            INFO(batch[i].sent << ' ' << met_reply[i].code_text() << ' ' << met_reply[i].field());
            REQUIRE(met_reply[i].ok());
        }
        auto find = client::find("everything");
        find.where = client::value::object(
            {{"id", client::value::object({{"ge", batch.front().id}, {"le", batch.back().id}})}});
        std::vector<client::operation> reads{std::move(find)};
        for (const auto& row : batch) {
            reads.push_back(client::fetch("everything", client::value{row.id}));
        }
        const auto read = through.call(client::request{std::move(reads)}, 60s);
        check_all_well(read);
        REQUIRE(read[0].size() == batch.size());
        for (std::size_t i = 0; i < batch.size(); ++i) {
            check_row(read[0][i], batch[i]);
            REQUIRE(read[i + 1].size() == 1);
            check_row(read[i + 1][0], batch[i]);
        }
    }
}

void check_calls(client::client& through, std::size_t calls, std::uint64_t seed,
                 nested_data nested) {
    std::vector<typed_field> fields;
    for (const auto& field : typed_fields()) {
        if (nested == nested_data::given || (field.type != "json" && field.type != "document")) {
            fields.push_back(field);
        }
    }
    random_engine random{seed};
    for (std::size_t done = 0; done < calls;) {
        std::vector<client::operation> several;
        std::vector<std::vector<std::string>> wanted;
        for (; several.size() < 50; ++done) {
            auto& expected = wanted.emplace_back();
            client::members args;
            for (const auto& field : fields) {
                const auto value = random() % 10 == 0 ? sample{"null", "null"} : field.make(random);
                args.emplace_back(field.name, client::value::from_json(value.sent));
                expected.push_back(canonical(value.wanted));
            }
            several.push_back(client::call("everything", "echo", std::move(args)));
        }
        const auto reply = through.call(client::request{std::move(several)}, 60s);
        for (std::size_t i = 0; i < reply.size(); ++i) {
            INFO(reply[i].code_text() << reply[i].detail() << reply[i].field());
            REQUIRE(reply[i].ok());
            const auto* again = reply[i].set("again");
            REQUIRE(again != nullptr);
            REQUIRE(again->count == 1);
            for (std::size_t field = 0; field < wanted[i].size(); ++field) {
                const auto& name = fields[field].name;
                const auto* as_row = again->items()[0].find(name);
                INFO(name);
                REQUIRE(as_row != nullptr);
                REQUIRE(canonical(*as_row) == wanted[i][field]);
                if (reply[i].out() != nullptr) {
                    const auto* as_out = reply[i].out()->find("out_" + name);
                    REQUIRE(as_out != nullptr);
                    REQUIRE(canonical(*as_out) == wanted[i][field]);
                }
            }
        }
    }
}

void check_large_document(client::client& through, std::int64_t id, std::size_t bytes) {
    std::string part(1'000, 'x');
    std::string tree = "{\"parts\":[";
    while (tree.size() + part.size() < bytes) {
        tree += (tree.back() == '[' ? "\"" : ",\"") + part + '"';
    }
    tree += "]}";
    auto insert = client::insert("everything", client::members{});
    insert.data =
        client::value::from_json("{\"id\":" + std::to_string(id) + ",\"tree\":" + tree + '}');
    check_all_well(through.call(std::move(insert), 60s));
    auto fetch = client::fetch("everything", client::value{id});
    fetch.fields = {"tree"};
    const auto read = through.call(std::move(fetch), 60s);
    check_all_well(read);
    REQUIRE(read.front().size() == 1);
    const auto* got = read.front()[0].find("tree");
    REQUIRE(got != nullptr);
    REQUIRE((canonical(*got) == canonical(tree))); // not shown when it differs
}

std::uint64_t chosen_seed() {
    const auto given = environment("BEDS_TEST_SEED");
    const auto seed = given ? std::stoull(*given) : std::random_device{}() % 1'000'000U;
    std::cout << "BEDS_TEST_SEED=" << seed << '\n';
    return seed;
}

} // namespace beds::test
