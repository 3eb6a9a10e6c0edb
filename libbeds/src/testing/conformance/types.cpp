#include "testing/conformance/harness.hpp"

#include <limits>

namespace beds::testing::conformance {

namespace {

template <class Integer>
std::vector<literal> bounds() {
    return {std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max(), Integer{0},
            Integer{1}};
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
    if (traits.decimal_digits >= 38) {
        all.push_back({"decimal(38,10)",
                       {"9999999999999999999999999999.9999999999",
                        "-9999999999999999999999999999.9999999999"}});
    }
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

template_def with_field(const conformance_fixture& fixture, const std::string& type) {
    // An object for each type, called by its letters and digits.
    std::string name = "conf_type_";
    for (const char letter : type.substr(0, type.find(':'))) {
        name += (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ? letter : '_';
    }
    return template_maker{name}
        .connection(fixture.store() == templates::engine::rel ? "rel" : "rec", fixture.store())
        .field("id", "int64")
        .field("v", type, {.column = "v_cty"})
        .field("w", type, {.column = "w_cty"})
        .key({"id"})
        .build();
}

/// Each value inserted and updated, read alone by fetch, among others by find.
void round_trip(conformance_fixture& fixture, const std::string& type) {
    const auto all = every_type(fixture.traits());
    const type_case* found = nullptr;
    for (const auto& each : all) {
        if (each.type == type) {
            found = &each;
        }
    }
    if (found == nullptr) {
        throw conformance_skip{"the engine does not keep " + type};
    }
    stage on{fixture, with_field(fixture, type)};
    const auto& values = found->values;
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
    to.push_back({"null, empty and absent", null_empty_and_absent});
}

} // namespace beds::testing::conformance
