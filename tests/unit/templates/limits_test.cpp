#include "support/catch.hpp"
#include "templates/keys.hpp"

#include <beds/templates/registry.hpp>

#include <map>
#include <string>
#include <string_view>

using namespace beds;

namespace {

/// A template in which one thing is as large as it may be, or a step larger or smaller.
struct edges {
    std::string name = "things";
    std::string version = "1";
    std::string object = "things";
    std::string field = "title";
    std::string type = R"("string")";
    std::string column = "title";
    std::string more;
    bool relational = true;

    [[nodiscard]] bool good() const {
        const auto parsed = templates::parse(
            "[template]\nname = \"" + name + "\"\nversion = " + version + "\nstore = \"" +
            (relational ? "rel" : "rec") + "\"\nobject = \"" + object +
            "\"\nkey = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n" + field +
            " = { type = " + type + ", column = \"" + column + "\" }\n" + more);
        if (parsed.problems.size() > 1) {
            UNSCOPED_INFO(templates::to_string(parsed.problems[1]));
            FAIL_CHECK("one step too far is one problem");
        }
        return parsed.problems.empty();
    }
};

edges with(std::string edges::*member, std::string text, bool relational = true) {
    edges made;
    made.*member = std::move(text);
    made.relational = relational;
    return made;
}

} // namespace

TEST_CASE("the bounds and defaults of [limits] that the reference prints are the loader's") {
    const auto parsed = templates::parse("[template]\nname = \"t\"\nstore = \"rel\"\nobject = "
                                         "\"t\"\nkey = [\"id\"]\n[fields]\nid = { type = "
                                         "\"int64\", required = true }\n");
    REQUIRE(parsed.parsed);
    const auto& limits = parsed.parsed->limits;
    const std::map<std::string_view, std::uint64_t> defaults{
        {"max_rows", limits.max_rows}, {"max_in", limits.max_in}, {"max_depth", limits.max_depth}};
    std::size_t bounded = 0;
    for (const auto& row : templates::keys::limits) {
        const std::string value{row.value};
        const auto between = value.find(" to ");
        if (between == std::string::npos || value.find(',') != std::string::npos) {
            continue; // of the deadline: below
        }
        ++bounded;
        INFO(row.name << ": " << value);
        const auto least = std::stoll(value);
        const auto most = std::stoll(value.substr(between + 4));
        const auto taken = [&](long long number) {
            return with(&edges::more, "[limits]\n" + std::string{row.name} + " = " +
                                          std::to_string(number) + '\n')
                .good();
        };
        CHECK(taken(least));
        CHECK(taken(most));
        CHECK_FALSE(taken(least - 1));
        CHECK_FALSE(taken(most + 1));
        if (const auto found = defaults.find(row.name); found != defaults.end()) {
            CHECK(std::to_string(found->second) == row.absent);
        }
    }
    CHECK(bounded == 4);
}

TEST_CASE("the limits of what a template may say are exact") {
    const auto limit = [](const std::string& text) {
        return with(&edges::more, "[limits]\n" + text + '\n').good();
    };
    for (const char* good : {"max_rows = 1", "max_rows = 99999", "max_rows = 100000", "max_in = 1",
                             "max_in = 9999", "max_in = 10000", "max_depth = 1", "max_depth = 100",
                             "max_bytes = 256", "max_bytes = 1073741824", "deadline = '10ms'",
                             "deadline = '11ms'", "deadline = '599999ms'", "deadline = '10m'"}) {
        INFO(good);
        CHECK(limit(good));
    }
    for (const char* bad :
         {"max_rows = 0", "max_rows = 100001", "max_rows = -1", "max_in = 0", "max_in = 10001",
          "max_depth = 0", "max_depth = 101", "max_bytes = 255", "max_bytes = 1073741825",
          "deadline = '9ms'", "deadline = '600001ms'", "deadline = '0s'"}) {
        INFO(bad);
        CHECK_FALSE(limit(bad));
    }

    for (const char* good : {"1", "2147483646", "2147483647"}) {
        CHECK(with(&edges::version, good).good());
    }
    for (const char* bad : {"0", "2147483648", "-1"}) {
        CHECK_FALSE(with(&edges::version, bad).good());
    }

    const auto type = [](const std::string& text, bool relational = true) {
        return with(&edges::type, text, relational).good();
    };
    for (const char* kind : {R"("string")", R"("bytes")"}) {
        for (const char* good : {"1", "16777215", "16777216"}) {
            CHECK(type(kind + std::string{", max = "} + good));
        }
        for (const char* bad : {"0", "16777217"}) {
            CHECK_FALSE(type(kind + std::string{", max = "} + bad));
        }
    }
    for (const char* good : {"decimal(1,0)", "decimal(37,1)", "decimal(38,0)", "decimal(38,38)"}) {
        CHECK(type('"' + std::string{good} + '"'));
    }
    for (const char* bad : {"decimal(0,0)", "decimal(39,0)", "decimal(3,4)", "decimal(3,-1)"}) {
        CHECK_FALSE(type('"' + std::string{bad} + '"'));
    }
    CHECK(type(R"x("decimal(34,34)")x", false));
    CHECK_FALSE(type(R"x("decimal(35,0)")x", false));

    for (const std::size_t size : {63U, 64U}) {
        const std::string text(size, 'a');
        for (std::string edges::*const member :
             {&edges::name, &edges::object, &edges::field, &edges::column}) {
            CHECK(with(member, text).good());
        }
        CHECK(with(&edges::object, text + '.' + text).good());
    }
    const std::string long_text(65, 'a');
    for (std::string edges::*const member :
         {&edges::name, &edges::object, &edges::field, &edges::column}) {
        CHECK_FALSE(with(member, long_text).good());
    }
    CHECK_FALSE(with(&edges::object, long_text + ".a").good());
    CHECK_FALSE(with(&edges::object, "a." + long_text).good());
}
