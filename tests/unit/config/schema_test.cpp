#include "config/schema.hpp"
#include "support/catch.hpp"

#include <set>

using namespace beds;
using namespace std::chrono_literals;
namespace schema = beds::config::schema;

TEST_CASE("durations are whole numbers with a unit") {
    CHECK(schema::parse_duration("500ms") == std::optional{500ms});
    CHECK(schema::parse_duration("2s") == std::optional{2000ms});
    CHECK(schema::parse_duration("5m") == std::optional<std::chrono::milliseconds>{5min});
    CHECK(schema::parse_duration("1h") == std::optional<std::chrono::milliseconds>{1h});
    for (const auto* text : {"", "5", "s", "-1s", "1.5s", "2 s", " 2s", "2S", "2sec", "1d",
                             "99999999999999999999s", "9999999999999h", "0x1s"}) {
        INFO(text);
        CHECK_FALSE(schema::parse_duration(text).has_value());
    }
    CHECK(schema::format_duration(90s) == "90s");
    CHECK(schema::format_duration(120s) == "2m");
    CHECK(schema::format_duration(1500ms) == "1500ms");
    CHECK(schema::format_duration(0ms) == "0s");
}

TEST_CASE("sizes are bytes or have a binary unit") {
    CHECK(schema::parse_size("1") == std::optional<std::uint64_t>{1});
    CHECK(schema::parse_size("64KiB") == std::optional<std::uint64_t>{65536});
    CHECK(schema::parse_size("1GiB") == std::optional<std::uint64_t>{1U << 30U});
    for (const auto* text : {"", "KiB", "1KB", "1kib", "-1", "1.5MiB", "99999999999999999999"}) {
        INFO(text);
        CHECK_FALSE(schema::parse_size(text).has_value());
    }
    CHECK(schema::format_size(65537) == "65537");
    CHECK(schema::format_size(16U << 20U) == "16MiB");
}

TEST_CASE("text is quoted as TOML wants it") {
    CHECK(schema::quote("a\"b\\c\n\x7f"
                        "Ñ") == "\"a\\\"b\\\\c\\u000A\\u007FÑ\"");
}

namespace {

const void* place(const schema::value_ref& of) {
    if (const auto* choice = std::get_if<schema::choice_ref>(&of)) {
        return choice->target;
    }
    return std::visit(
        [](const auto& target) -> const void* {
            if constexpr (std::is_pointer_v<std::decay_t<decltype(target)>>) {
                return target;
            }
            return nullptr;
        },
        of);
}

} // namespace

TEST_CASE("the table is sound") {
    config::settings scratch;
    std::set<std::string> seen;
    for (const auto& section : schema::sections()) {
        schema::path where;
        for (const auto part : section.pattern) {
            where.emplace_back(part);
        }
        CHECK_FALSE(section.doc.empty());
        void* owner = section.at(scratch, where);
        CHECK(section.at(scratch, where) == owner);
        std::set<const void*> places;
        for (const auto& key : section.keys) {
            const auto full = schema::join(where, key.name);
            INFO(full);
            CHECK(seen.insert(full).second);
            CHECK(places.insert(place(key.at(owner))).second);
            CHECK_FALSE(key.doc.empty());
            CHECK(key.low <= key.high);
            CHECK_FALSE(schema::expected(key).empty());
            CHECK(section.find(key.name) == &key);
            // Every default keeps its own bounds.
            CHECK(schema::breaks(key, key.at(owner)) == std::nullopt);
        }
    }
}
