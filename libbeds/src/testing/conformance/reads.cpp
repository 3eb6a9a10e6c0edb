#include "testing/conformance/harness.hpp"

#include <algorithm>

namespace beds::testing::conformance {

namespace {

void fetch_finds_what_was_inserted(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations in;
    const auto inserted = in.insert(on.target, {{"id", 7},
                                                {"n", -3},
                                                {"name", "Mexico"},
                                                {"day", "2026-01-31"},
                                                {"price", "10.50"},
                                                {"flag", true}});
    const auto wrote = on.run(in);
    wrote.require_count(inserted, 1);
    require(wrote.of(inserted).keys ==
                std::vector<std::vector<owned_value>>{{owned_value{core::value::of_int(7)}}},
            "the key of the inserted row is told");

    operations out;
    const auto hit = out.fetch(on.target, {7});
    const auto miss = out.fetch(on.target, {8});
    const auto got = on.run(out);
    got.require_rows(hit,
                     {"{id: 7, n: -3, name: \"Mexico\", day: 2026-01-31, price: decimal 10.50, "
                      "flag: true}"});
    got.require_rows(miss, {});
}

void fetch_gives_the_fields_asked_for(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations in;
    in.insert(on.target, {{"id", 1}, {"n", 5}, {"name", "x"}});
    on.run(in);
    operations out;
    auto two = out.fetch(on.target, {1});
    two.fields({"name", "id"});
    auto one = out.fetch(on.target, {1});
    one.fields({"n"});
    const auto got = on.run(out);
    got.require_rows(two, {"{name: \"x\", id: 1}"});
    got.require_rows(one, {"{n: 5}"});
}

void fetch_group_answers_each_key(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    constexpr int rows = 200;
    operations in;
    auto many = in.insert(on.target);
    for (int i = 0; i < rows; ++i) {
        many.row({{"id", i * 2}, {"name", "row " + std::to_string(i * 2)}});
    }
    on.run(in).require_count(many, rows);

    // Hits and misses, in no order, some keys several times.
    operations out;
    std::vector<operation_maker> asked;
    for (int i = 0; i < 2 * rows; ++i) {
        auto fetch = out.fetch(on.target, {(i * 7919) % (2 * rows)});
        fetch.fields({"id", "name"});
        asked.push_back(fetch);
        if (i % 10 == 0) {
            auto again = out.fetch(on.target, {(i * 7919) % (2 * rows)});
            again.fields({"id", "name"});
            asked.push_back(again);
        }
    }
    const auto got = on.run(out);
    for (const auto& each : asked) {
        const auto id = each.bound().key[0].integer;
        std::vector<std::string> expected;
        if (id % 2 == 0) {
            const auto number = std::to_string(id);
            expected.push_back("{id: " + number + ", name: \"row " + number + "\"}");
        }
        got.require_rows(each, expected);
    }
}

void fetch_group_keeps_text_keys_apart(conformance_fixture& fixture) {
    stage on{fixture, named(fixture)};
    const std::vector<std::string> names = {
        "a", "A",      "a ",  " a",     "ä",       "a%", "a_", "a\\",        "a'b",  "a\"b",
        "",  "$where", "a.b", "\u00e9", "e\u0301", "ß",  "ss", "\U0001F600", "null", "0"};
    operations in;
    for (std::size_t i = 0; i < names.size(); ++i) {
        in.insert(on.target, {{"name", names[i]}, {"n", i}});
    }
    const auto wrote = on.run(in);
    for (std::size_t i = 0; i < names.size(); ++i) {
        require(wrote.outcomes[i].ok(), "texts that differ in one byte are different keys: " +
                                            names[i] + ": " + text_of(wrote.outcomes[i]));
    }
    operations out;
    std::vector<operation_maker> asked;
    for (const auto& name : names) {
        auto fetch = out.fetch(on.target, {name});
        fetch.fields({"n"});
        asked.push_back(fetch);
    }
    const auto got = on.run(out);
    for (std::size_t i = 0; i < names.size(); ++i) {
        got.require_rows(asked[i], {"{n: " + std::to_string(i) + "}"});
    }
}

void compound_keys(conformance_fixture& fixture) {
    stage on{fixture, compound(fixture)};
    operations in;
    for (const char* country : {"MX", "DE", "M"}) {
        for (int number = 0; number < 5; ++number) {
            in.insert(on.target, {{"country", country},
                                  {"code", number},
                                  {"name", country + std::to_string(number)},
                                  {"n", number % 2}});
        }
    }
    const auto twice =
        in.insert(on.target, {{"country", "MX"}, {"code", 3}, {"name", "x"}, {"n", 0}});
    const auto wrote = on.run(in);
    require(wrote.outcomes[0].ok(), "rows with a compound key are inserted");
    wrote.require_error(twice, code::duplicate_key);
    require(wrote.outcome(twice).field == "country" || wrote.outcome(twice).field == "code",
            "a field of the key is named");
    require(wrote.sink.of(0).keys[0].size() == 2, "a compound key has all its values");
    require(to_string(wrote.sink.of(1).keys[0][0]) == "\"MX\"" &&
                to_string(wrote.sink.of(1).keys[0][1]) == "1",
            "the values of a compound key come in key order");

    operations out;
    std::vector<operation_maker> asked;
    for (const char* country : {"DE", "MX", "M", "FR"}) {
        for (int number : {4, 0, 2}) {
            auto fetch = out.fetch(on.target, {country, number});
            fetch.fields({"name"});
            asked.push_back(fetch);
        }
    }
    const auto got = on.run(out);
    for (const auto& each : asked) {
        const auto country = std::string{each.bound().key[0].text};
        const auto name = country + std::to_string(each.bound().key[1].integer);
        got.require_rows(each, country == "FR"
                                   ? std::vector<std::string>{}
                                   : std::vector<std::string>{"{name: \"" + name + "\"}"});
    }

    operations change;
    auto update = change.update(on.target, {"DE", 1});
    update.set({{"name", "changed"}});
    auto other = change.update(on.target, {"DE", 9});
    other.set({{"name", "changed"}});
    const auto remove = change.remove(on.target, {"MX", 1});
    const auto remove_none = change.remove(on.target, {"FR", 1});
    const auto changed = on.run(change);
    changed.require_count(update, 1);
    changed.require_error(other, code::not_found);
    changed.require_count(remove, 1);
    changed.require_error(remove_none, code::not_found);

    operations check;
    auto all = check.find(on.target);
    all.where("code", 1).fields({"country", "name"});
    on.run(check).require_rows(
        all, {"{country: \"DE\", name: \"changed\"}", "{country: \"M\", name: \"M1\"}"});
}

void large_rows(conformance_fixture& fixture) {
    auto made = start("conf_large", fixture)
                    .field("id", "int64")
                    .field("body", "string:60000")
                    .field("raw", "bytes:60000")
                    .key({"id"})
                    .build();
    stage on{fixture, std::move(made)};
    const auto text_of_size = [](std::size_t size, unsigned seed) {
        std::string text(size, 'x');
        for (std::size_t i = 0; i < size; ++i) {
            text[i] = static_cast<char>('a' + (i * seed + i / 251) % 26);
        }
        return text;
    };
    const std::vector<std::size_t> sizes = {0, 1, 254, 255, 256, 4095, 4096, 20'000, 60'000, 3};
    operations in;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        in.insert(
            on.target,
            {{"id", i}, {"body", text_of_size(sizes[i], 7)}, {"raw", text_of_size(sizes[i], 11)}});
    }
    on.run(in);
    operations out;
    std::vector<operation_maker> asked;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        asked.push_back(out.fetch(on.target, {i}));
    }
    const auto got = on.run(out);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        got.require_ok(asked[i]);
        require(got.of(asked[i]).rows.size() == 1, "a large row is read");
        const auto& row = got.of(asked[i]).rows[0];
        require(row.at("body").view().text == text_of_size(sizes[i], 7) &&
                    row.at("raw").view().text == text_of_size(sizes[i], 11),
                "large texts come back whole, whatever was read before them");
    }
}

void large_groups(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    constexpr std::int64_t many = 1200;
    operations in;
    std::vector<operation_maker> inserts;
    for (std::int64_t i = 0; i < many; ++i) {
        // Every hundredth is a duplicate of the one before it.
        const auto id = i % 100 == 99 ? i - 1 : i;
        inserts.push_back(in.insert(on.target, {{"id", id}, {"n", i}}));
    }
    const auto wrote = on.run(in);
    std::int64_t refused = 0;
    for (const auto& each : inserts) {
        if (!wrote.outcome(each).ok()) {
            wrote.require_error(each, code::duplicate_key, "id");
            ++refused;
        }
    }
    require(refused == many / 100, "as many fail as there are duplicates");

    operations out;
    std::vector<operation_maker> fetches;
    for (std::int64_t i = 0; i < many; ++i) {
        auto fetch = out.fetch(on.target, {many - 1 - i});
        fetch.fields({"id"});
        fetches.push_back(fetch);
    }
    std::vector<literal> five_hundred;
    for (std::int64_t i = 0; i < 500; ++i) {
        five_hundred.emplace_back(i * 2);
    }
    auto some = out.count(on.target);
    some.where("id", comparison::in, five_hundred);
    const auto got = on.run(out);
    for (const auto& each : fetches) {
        const auto id = each.bound().key[0].integer;
        got.require_rows(each, id % 100 == 99
                                   ? std::vector<std::string>{}
                                   : std::vector<std::string>{"{id: " + std::to_string(id) + "}"});
    }
    got.require_ok(some);
    require(got.of(some).total == 500U, "`in` takes 500 values");

    operations remove;
    for (std::int64_t i = 0; i < many; ++i) {
        remove.remove(on.target, {i});
    }
    const auto removed = on.run(remove);
    for (std::int64_t i = 0; i < many; ++i) {
        const auto& outcome = removed.outcomes[static_cast<std::size_t>(i)];
        require(i % 100 == 99 ? outcome.code == code::not_found : outcome.ok(),
                "row " + std::to_string(i) + " is deleted when it is there: " + text_of(outcome));
    }
    require(on.rows().empty(), "all rows are deleted");
}

} // namespace

void add_reads(cases& to) {
    to.push_back({"fetch finds what was inserted", fetch_finds_what_was_inserted});
    to.push_back({"fetch gives the fields asked for, in order", fetch_gives_the_fields_asked_for});
    to.push_back({"fetch in a group answers each key", fetch_group_answers_each_key});
    to.push_back({"fetch keeps text keys apart by their bytes", fetch_group_keeps_text_keys_apart});
    to.push_back({"compound keys", compound_keys});
    to.push_back({"large rows", large_rows});
    to.push_back({"large groups", large_groups});
}

} // namespace beds::testing::conformance
