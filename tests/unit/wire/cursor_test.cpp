#include "support/catch.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>
#include <beds/wire/cursor.hpp>

#include <chrono>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace beds;
using namespace std::chrono_literals;
using core::value;
using verdict = wire::cursor_codec::verdict;

namespace {

using kind = value::kind;

std::vector<value> every_kind() {
    return {value::of_null(),
            value::of_bool(true),
            value::of_int(std::numeric_limits<std::int64_t>::min()),
            value::of_uint(std::numeric_limits<std::uint64_t>::max()),
            value::of_real(-0.1),
            value::of_text(kind::decimal, "-12.50"),
            value::of_text(kind::string, std::string_view{"a\0é\xff", 5}),
            value::of_text(kind::string, ""),
            value::of_text(kind::uuid, "0198f1c2-0000-7000-8000-0123456789ab"),
            value::of_text(kind::bytes, std::string_view{"\0\xff", 2}),
            value::of_number(kind::date, -1),
            value::of_number(kind::time, 1),
            value::of_number(kind::datetime, 1'767'225'600'000'000)};
}

class set_clock final : public core::clock {
public:
    core::system_time time{std::chrono::sys_days{std::chrono::year{2026} / 1 / 31}};

    [[nodiscard]] core::steady_time steady_now() const override { return {}; }
    [[nodiscard]] core::system_time system_now() const override { return time; }
};

core::secret key_of(char letter) {
    return core::secret{std::string(wire::cursor_keys::least_key, letter)};
}

std::shared_ptr<const wire::cursor_keys> keys(core::secret key, core::secret previous = {},
                                              std::string_view domain = "app_server") {
    return std::make_shared<const wire::cursor_keys>(key, previous, domain, 60s);
}

/// One side that seals, and one that opens, as two nodes are.
struct pair_of_nodes {
    set_clock clock;
    wire::cursor_codec here{keys(key_of('k')), clock};
    wire::cursor_codec there{keys(key_of('k')), clock};
    core::arena memory;

    std::string make(std::uint64_t tag, std::span<const value> position) {
        std::string text;
        here.append(text, tag, position);
        return text;
    }
    wire::cursor_codec::opened open(std::string_view text, std::uint64_t tag) {
        return there.open(text, tag, clock.time, memory);
    }
};

bool same(std::span<const value> got, std::span<const value> position) {
    return std::equal(got.begin(), got.end(), position.begin(), position.end());
}

} // namespace

TEST_CASE("a cursor comes back on another node as it was made") {
    pair_of_nodes nodes;
    const auto values = every_kind();
    for (std::size_t count = 0; count <= values.size(); ++count) {
        const auto position = std::span{values}.first(count);
        const auto tag = 0xFEDC'BA98'7654'3210ULL + count;
        const auto got = nodes.open(nodes.make(tag, position), tag);
        REQUIRE(got.verdict == verdict::good);
        CHECK(same(got.position, position));
    }
    const std::vector<value> most(64, value::of_int(7));
    CHECK(nodes.open(nodes.make(1, most), 1).verdict == verdict::good);
    const std::vector<value> more(65, value::of_int(7));
    CHECK(nodes.open(nodes.make(1, more), 1).verdict == verdict::foreign);
}

TEST_CASE("a cursor that is not whole is refused, whichever byte it is") {
    pair_of_nodes nodes;
    const auto values = every_kind();
    const auto text = nodes.make(42, values);
    REQUIRE(nodes.open(text, 42).verdict == verdict::good);
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            auto damaged = text;
            damaged[at] = static_cast<char>(byte);
            if (damaged != text && nodes.open(damaged, 42).verdict != verdict::foreign) {
                FAIL("byte " << at << " as " << byte << " changes nothing");
            }
        }
        nodes.memory.reset();
    }
    for (std::size_t size = 0; size < text.size(); ++size) {
        CHECK(nodes.open(std::string_view{text}.substr(0, size), 42).verdict == verdict::foreign);
    }
    for (const auto* tail : {"=", "A", "AAAA", "====", "\n"}) {
        CHECK(nodes.open(text + tail, 42).verdict == verdict::foreign);
    }
    for (const auto* never : {"", "A", "AAAA", "AQ==", "not base64!", "[1,2]", "1"}) {
        INFO(never);
        CHECK(nodes.open(never, 42).verdict == verdict::foreign);
    }
    // None of these attempts spoils the next one.
    CHECK(nodes.open(text, 42).verdict == verdict::good);
}

TEST_CASE("a cursor is good for the tag, the key and the role that it was made for alone") {
    pair_of_nodes nodes;
    const auto values = every_kind();
    const auto text = nodes.make(42, values);
    CHECK(nodes.open(text, 43).verdict == verdict::foreign);
    const auto opened_with = [&](std::shared_ptr<const wire::cursor_keys> with) {
        wire::cursor_codec other{std::move(with), nodes.clock};
        return other.open(text, 42, nodes.clock.time, nodes.memory).verdict;
    };
    CHECK(opened_with(keys(key_of('k'))) == verdict::good);
    CHECK(opened_with(keys(key_of('x'))) == verdict::foreign);
    CHECK(opened_with(keys(key_of('k'), {}, "segundo")) == verdict::foreign);
    CHECK(opened_with(nullptr) == verdict::foreign); // a key of the process
}

TEST_CASE("a key is replaced without breaking the cursors that it sealed") {
    pair_of_nodes nodes;
    const auto values = every_kind();
    const auto old = nodes.make(42, values);
    const auto text_of = [&](wire::cursor_codec& from) {
        std::string text;
        from.append(text, 42, values);
        return text;
    };
    const auto open = [&](wire::cursor_codec& by, const std::string& text) {
        return by.open(text, 42, nodes.clock.time, nodes.memory).verdict;
    };
    wire::cursor_codec rotated{keys(key_of('n'), key_of('k')), nodes.clock};
    wire::cursor_codec done{keys(key_of('n')), nodes.clock};
    const auto fresh = text_of(rotated);
    CHECK(open(rotated, old) == verdict::good);
    CHECK(open(rotated, fresh) == verdict::good);
    CHECK(open(rotated, old) == verdict::good);
    CHECK(open(done, fresh) == verdict::good);
    CHECK(open(done, old) == verdict::foreign);
}

TEST_CASE("a cursor expires, and only a whole one is said to have") {
    pair_of_nodes nodes;
    const auto values = every_kind();
    const auto text = nodes.make(42, values);
    nodes.clock.time += 59s;
    CHECK(nodes.open(text, 42).verdict == verdict::good);
    nodes.clock.time += 1s;
    CHECK(nodes.open(text, 42).verdict == verdict::expired);
    CHECK(nodes.open(text, 43).verdict == verdict::foreign);
    CHECK(nodes.open(nodes.make(42, values), 42).verdict == verdict::good);
}

TEST_CASE("a cursor shows nothing of its position, and no two are the same") {
    pair_of_nodes nodes;
    const value position[]{value::of_text(kind::string, "a secret that nobody asked for")};
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
        const auto text = nodes.make(42, position);
        CHECK(seen.insert(text.substr(24)).second); // behind version and salt
        const auto bytes = core::decode_base64(text, nodes.memory);
        REQUIRE(bytes);
        CHECK(bytes->find("secret") == std::string_view::npos);
    }
    // Two codecs with one key count alike; their salts differ.
    std::string other;
    nodes.there.append(other, 42, position);
    CHECK(other.substr(0, 22) != nodes.make(42, position).substr(0, 22));
}

TEST_CASE("a stretched password is the same key everywhere, and another for another salt") {
    const core::secret password{"rabbit"};
    const auto made = wire::cursor_keys::stretch(password, "dev");
    CHECK(made.reveal().size() >= wire::cursor_keys::least_key);
    CHECK(made == wire::cursor_keys::stretch(password, "dev"));
    CHECK(made != wire::cursor_keys::stretch(password, "prod"));
    CHECK(made != wire::cursor_keys::stretch(core::secret{"rabbis"}, "dev"));
}
