#include "testing/conformance/harness.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace beds::testing::conformance {

namespace {

/// Different from each other: they serve as keys, too.
template <class Integer>
std::vector<literal> bounds() {
    std::vector<literal> made = {std::numeric_limits<Integer>::max(), Integer{0}, Integer{1}};
    if (std::numeric_limits<Integer>::is_signed) {
        made.emplace_back(std::numeric_limits<Integer>::min());
    }
    return made;
}

struct type_case {
    std::string type;
    std::vector<literal> values;
};

std::vector<type_case> every_type(const conformance_traits& traits) {
    std::vector<type_case> all = {
        {"bool", {true, false}},
        {"int8", bounds<std::int8_t>()},
        {"int16", bounds<std::int16_t>()},
        {"int32", bounds<std::int32_t>()},
        {"int64", bounds<std::int64_t>()},
        {"uint8", bounds<std::uint8_t>()},
        {"uint16", bounds<std::uint16_t>()},
        {"uint32", bounds<std::uint32_t>()},
        {"uint64", bounds<std::uint64_t>()},
        {"double",
         {0.0, 1.5, -0.1, 1.0 / 3, std::numeric_limits<double>::max(),
          std::numeric_limits<double>::lowest(), std::numeric_limits<double>::min(),
          std::numeric_limits<double>::epsilon(), 123456789.123456789, 1e22, 5e-300}},
        {"decimal(18,2)",
         {"0.00", "-0.01", "0.01", "10.00", "9999999999999999.99", "-9999999999999999.99"}},
        {"decimal(10,0)", {"0", "-1", "9999999999", "-9999999999"}},
        {"decimal(9,9)", {"0.000000001", "-0.999999999"}},
        {"decimal(34,10)",
         {"123456789012345678901234.0123456789", "-999999999999999999999999.9999999999",
          "0.0000000001"}},
        {"decimal(38,10)",
         {"9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999"}},
        {"string:200",
         {"", " ", "  trailing  ", "plain", "null", "Ünïcödé", "日本語", "العربية",
          "\U0001F1F2\U0001F1FD family \U0001F468\u200D\U0001F469\u200D\U0001F467", "e\u0301",
          "tab\tline\nreturn\r", "quotes ' \" ` \\", "'; DROP TABLE x; --", "%_\\%",
          "{\"$gt\":\"\"}", "$set", "a.b", "\x01\x7f"}},
        {"enum:open,frozen,über", {"open", "frozen", "über"}},
        {"uuid",
         {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
          "0198f1c2-7b1a-7c3d-9e4f-001122334455"}},
        {"bytes:200",
         {"", std::string{"\0", 1}, std::string{"\0\x01\xfe\xff\x80'\"\\", 8}, "text",
          std::string(200, '\xff')}},
        {"date",
         {"1970-01-01", "1969-12-31", "2000-02-29", "2026-11-21", "1000-01-01", "9999-12-31"}},
        {"time", {"00:00:00", "23:59:59", "12:34:56"}},
        {"datetime",
         {"1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2000-02-29T12:00:00Z",
          "2026-11-21T10:15:30.123Z", "1000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"}},
        {"json",
         {R"({"a":1,"b":[true,null,"x",1.5],"c":{"d":{}}})", "[]", "{}", "[1,2,3]", R"("text")",
          "12", "true", R"({"é":"\u00e9\ud83d\ude00","quote":"\"\\"})",
          R"({"big":9223372036854775807,"small":-9223372036854775808})"}},
        {"document",
         {R"({"a":1,"b":[true,null,"x",1.5],"c":{"d":{}}})", "{}",
          R"({"z":1,"a":{"y":2,"b":[[],[{"x":null}]]}})"}},
    };
    std::erase_if(all, [&](const type_case& each) {
        const auto type = core::parse_field_type(each.type);
        return type && type->precision > traits.decimal_digits;
    });
    for (auto& each : all) {
        if (each.type == "string:200" && traits.zero_in_text) {
            each.values.emplace_back(std::string{"a\0b", 3});
        }
        if (each.type == "datetime" && traits.datetime_step == std::chrono::microseconds{1}) {
            each.values.emplace_back("2026-11-21T10:15:30.123456Z");
            each.values.emplace_back("1969-12-31T23:59:59.999999Z");
        }
        if (each.type == "time" && traits.datetime_step == std::chrono::microseconds{1}) {
            each.values.emplace_back("23:59:59.999999");
            each.values.emplace_back("00:00:00.000001");
        }
    }
    return all;
}

/// An object for each type, called by its letters and digits.
std::string object_name(std::string_view prefix, const std::string& type) {
    std::string name{prefix};
    for (const char letter : type.substr(0, type.find(':'))) {
        name += (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ? letter : '_';
    }
    return name;
}

template_def with_field(const conformance_fixture& fixture, const std::string& type) {
    return start(object_name("conf_type_", type), fixture)
        .field("id", "int64")
        .field("v", type, {.column = "v_cty"})
        .field("w", type, {.column = "w_cty"})
        .key({"id"})
        .build();
}

type_case values_of(conformance_fixture& fixture, const std::string& type) {
    for (auto& each : every_type(fixture.traits())) {
        if (each.type == type) {
            return each;
        }
    }
    throw conformance_skip{"the engine does not keep " + type};
}

/// Each value inserted and updated, read alone by fetch, among others by find.
void round_trip(conformance_fixture& fixture, const std::string& type) {
    const auto found = values_of(fixture, type);
    stage on{fixture, with_field(fixture, type)};
    const auto& values = found.values;
    operations in;
    for (std::size_t i = 0; i < values.size(); ++i) {
        in.insert(on.target, {{"id", i}, {"v", values[i]}, {"w", nullptr}});
    }
    in.insert(on.target, {{"id", values.size()}, {"v", nullptr}, {"w", nullptr}});
    const auto wrote = on.run(in);
    for (std::size_t i = 0; i < wrote.outcomes.size(); ++i) {
        require(wrote.outcomes[i].ok(), "value " + std::to_string(i) + " of " + type +
                                            " is inserted: " + text_of(wrote.outcomes[i]));
    }
    operations change;
    for (std::size_t i = 0; i < values.size(); ++i) {
        change.update(on.target, {i}).set({{"w", values[i]}});
    }
    const auto changed = on.run(change);
    for (std::size_t i = 0; i < changed.outcomes.size(); ++i) {
        require(changed.outcomes[i].ok(), "value " + std::to_string(i) + " of " + type +
                                              " is set: " + text_of(changed.outcomes[i]));
    }

    core::arena memory;
    const auto& as = on.target.fields[1].type;
    const auto check = [&](const recorded_row& row, const char* by) {
        const auto id = static_cast<std::size_t>(row.at("id").view().integer);
        const auto expected =
            id < values.size() ? owned_value{values[id].as(as, memory)} : owned_value{};
        for (const char* name : {"v", "w"}) {
            if (!(row.at(name) == expected)) {
                fail(type + " read by " + by + ": " + to_string(row.at(name)) + " instead of " +
                     to_string(expected) + (*name == 'v' ? " (inserted)" : " (updated)"));
            }
        }
    };
    operations out;
    std::vector<operation_maker> fetches;
    for (std::size_t i = 0; i <= values.size(); ++i) {
        fetches.push_back(out.fetch(on.target, {i}));
    }
    const auto finds = out.find(on.target);
    const auto got = on.run(out);
    for (const auto& each : fetches) {
        got.require_ok(each);
        require(got.of(each).rows.size() == 1, "the row is there");
        check(got.of(each).rows[0], "fetch");
    }
    got.require_ok(finds);
    require(got.of(finds).rows.size() == values.size() + 1, "all rows are found");
    for (const auto& row : got.of(finds).rows) {
        check(row, "find");
    }
}

/// Keys of the type: each row by its own key, read, changed and deleted in groups.
void keys_of(conformance_fixture& fixture, const std::string& type) {
    const auto values = values_of(fixture, type).values;
    stage on{fixture, start(object_name("conf_key_", type), fixture)
                          .field("k", type, {.column = "k_cky"})
                          .field("n", "int64", {.column = "n_cky"})
                          .key({"k"})
                          .build()};
    operations in;
    for (std::size_t i = 0; i < values.size(); ++i) {
        in.insert(on.target, {{"k", values[i]}, {"n", i}});
    }
    const auto again = in.insert(on.target, {{"k", values[0]}, {"n", 0}});
    const auto wrote = on.run(in);
    core::arena memory;
    const auto& as = on.target.fields[0].type;
    for (std::size_t i = 0; i < values.size(); ++i) {
        require(wrote.outcomes[i].ok(), "key " + std::to_string(i) + " of " + type +
                                            " is inserted: " + text_of(wrote.outcomes[i]));
        require(wrote.sink.of(static_cast<core::op_index>(i)).keys ==
                    std::vector<std::vector<owned_value>>{{owned_value{values[i].as(as, memory)}}},
                "the key is told as it is");
    }
    wrote.require_error(again, code::duplicate_key, "k");

    operations change;
    std::vector<operation_maker> updates;
    for (std::size_t i = 0; i < values.size(); ++i) {
        auto update = change.update(on.target, {values[i]});
        update.inc({{"n", 100}});
        updates.push_back(update);
    }
    const auto changed = on.run(change);
    for (const auto& each : updates) {
        changed.require_count(each, 1);
    }
    operations out;
    std::vector<operation_maker> fetches;
    for (std::size_t i = values.size(); i-- > 0;) {
        fetches.push_back(out.fetch(on.target, {values[i]}));
    }
    const auto got = on.run(out);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto& fetch = fetches[values.size() - 1 - i];
        got.require_ok(fetch);
        const auto& rows = got.of(fetch).rows;
        require(rows.size() == 1 && rows[0].at("k") == owned_value{values[i].as(as, memory)} &&
                    rows[0].at("n").view().integer == static_cast<std::int64_t>(100 + i),
                "each key of " + type + " finds its own row, " + std::to_string(i) + " found " +
                    (rows.empty() ? "none" : to_string(rows[0])));
    }
    operations gone;
    for (std::size_t i = 0; i + 1 < values.size(); ++i) {
        gone.remove(on.target, {values[i]});
    }
    const auto removed = on.run(gone);
    for (const auto& outcome : removed.outcomes) {
        require(outcome.ok(), "each key of " + type + " is deleted: " + text_of(outcome));
    }
    require(on.rows({"n"}) ==
                std::vector<std::string>{"{n: " + std::to_string(100 + values.size() - 1) + "}"},
            "the last row is left");
}

/// Conditions on fields of the type, and pages sorted by them.
void conditions_on(conformance_fixture& fixture, const std::string& type) {
    const auto values = values_of(fixture, type).values;
    stage on{fixture, start(object_name("conf_where_", type), fixture)
                          .field("id", "int64", {.column = "id_cwh"})
                          .field("v", type, {.column = "v_cwh"})
                          .key({"id"})
                          .index({"v"})
                          .build()};
    // Three rows of each value and three nulls: ids i, i + 1000, i + 2000.
    operations in;
    auto insert = in.insert(on.target);
    for (std::size_t i = 0; i <= values.size(); ++i) {
        for (const std::size_t more : {0U, 1000U, 2000U}) {
            insert.row({{"id", i + more}, {"v", i < values.size() ? values[i] : literal{nullptr}}});
        }
    }
    on.run(in).require_count(insert, 3 * (values.size() + 1));

    const auto ids = [](std::size_t i) {
        std::vector<std::string> rows;
        for (const std::size_t more : {0U, 1000U, 2000U}) {
            rows.push_back("{id: " + std::to_string(i + more) + "}");
        }
        return rows;
    };
    operations ops;
    std::vector<operation_maker> equal;
    std::vector<operation_maker> within;
    std::vector<operation_maker> others;
    for (const auto& value : values) {
        auto find = ops.find(on.target);
        find.where("v", value).fields({"id"});
        equal.push_back(find);
    }
    for (const auto& value : values) {
        auto find = ops.find(on.target);
        find.where("v", comparison::in, {value, value}).fields({"id"});
        within.push_back(find);
    }
    for (const auto& value : values) {
        auto count = ops.count(on.target);
        count.where("v", comparison::ne, {value});
        others.push_back(count);
    }
    const auto got = on.run(ops);
    for (std::size_t i = 0; i < values.size(); ++i) {
        got.require_rows(equal[i], ids(i));
        got.require_rows(within[i], ids(i));
        require(got.of(others[i]).total == 3 * (values.size() - 1),
                "`ne` leaves out one value and null");
    }

    for (const char* sort : {"v", "-v"}) {
        std::vector<std::string> seen;
        std::optional<recorded_cursor> at;
        do {
            operations page;
            auto find = page.find(on.target);
            find.sort({sort}).limit(2).fields({"id"});
            if (at) {
                find.after(*at);
            }
            const auto read = on.run(page);
            read.require_ok(find);
            for (const auto& row : read.of(find).rows) {
                seen.push_back(to_string(row));
            }
            at = read.of(find).next;
        } while (at && seen.size() <= 3 * values.size() + 3);
        std::vector<std::string> all = on.rows({"id"});
        std::sort(seen.begin(), seen.end());
        std::sort(all.begin(), all.end());
        require(seen == all, "pages sorted by " + type + " (" + sort + ") show every row once");
    }
}

void null_empty_and_absent(conformance_fixture& fixture) {
    stage on{fixture, with_field(fixture, "string:20")};
    operations in;
    in.insert(on.target, {{"id", 1}, {"v", ""}, {"w", ""}});
    in.insert(on.target, {{"id", 2}, {"v", nullptr}, {"w", nullptr}});
    in.insert(on.target, {{"id", 3}}); // absent: the engine's null
    in.insert(on.target, {{"id", 4}, {"v", "x"}});
    on.run(in);
    require(on.rows() ==
                std::vector<std::string>{"{id: 1, v: \"\", w: \"\"}", "{id: 2, v: null, w: null}",
                                         "{id: 3, v: null, w: null}", "{id: 4, v: \"x\", w: null}"},
            "null, empty and absent are told apart");
    operations change;
    change.update(on.target, {1}).set({{"v", nullptr}});
    change.update(on.target, {2}).set({{"v", ""}});
    change.update(on.target, {3}).set({{"w", ""}});
    on.run(change);
    require(on.rows() ==
                std::vector<std::string>{"{id: 1, v: null, w: \"\"}", "{id: 2, v: \"\", w: null}",
                                         "{id: 3, v: null, w: \"\"}", "{id: 4, v: \"x\", w: null}"},
            "an update touches the fields it names and no other");
}

} // namespace

void add_types(cases& to) {
    auto every = conformance_traits{};
    for (const auto& each : every_type(every)) {
        to.push_back(
            {"round trip of " + each.type.substr(0, each.type.find(':')),
             [type = each.type](conformance_fixture& fixture) { round_trip(fixture, type); }});
    }
    for (const char* type :
         {"int8", "int64", "uint64", "decimal(18,2)", "string:200", "enum:open,frozen,über", "uuid",
          "bytes:200", "date", "time", "datetime"}) {
        const std::string name = type;
        to.push_back({"keys of " + name.substr(0, name.find(':')),
                      [name](conformance_fixture& fixture) { keys_of(fixture, name); }});
    }
    for (const char* type :
         {"bool", "int32", "int64", "uint64", "double", "decimal(18,2)", "string:200",
          "enum:open,frozen,über", "uuid", "bytes:200", "date", "time", "datetime"}) {
        const std::string name = type;
        to.push_back({"conditions on " + name.substr(0, name.find(':')),
                      [name](conformance_fixture& fixture) { conditions_on(fixture, name); }});
    }
    to.push_back({"null, empty and absent", null_empty_and_absent});
}

} // namespace beds::testing::conformance
