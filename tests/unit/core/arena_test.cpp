#include "random.hpp"
#include "support/catch.hpp"

#include <beds/core/arena.hpp>

#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <vector>

using beds::core::arena;

namespace {

bool aligned(const void* at, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(at) % alignment == 0;
}

struct point {
    int x = 7;
    double y = 1.5;
};

} // namespace

TEST_CASE("memory is aligned as asked", "[arena]") {
    arena memory{256};
    for (std::size_t round = 0; round < 50; ++round) {
        for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
            memory.allocate(1, 1); // moves the position off any alignment
            CHECK(aligned(memory.allocate(round, alignment), alignment));
        }
    }
}

TEST_CASE("a first block holds what it was made for, whatever the alignment", "[arena]") {
    for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        arena memory{1};
        std::memset(memory.allocate(100, alignment), 'x', 100);
        CHECK(memory.capacity() >= 100 + alignment - 1);
    }
}

TEST_CASE("what was handed out does not overlap", "[arena]") {
    beds::test::seeded random;
    INFO(random.note());
    arena memory{128};
    for (int batch = 0; batch < 5; ++batch) {
        struct piece {
            std::span<std::uint8_t> bytes;
            std::uint8_t fill;
        };
        std::vector<piece> pieces;
        for (int i = 0; i < 300; ++i) {
            const auto fill = static_cast<std::uint8_t>(random.between(1, 255));
            const auto bytes = memory.make_span<std::uint8_t>(random.between<std::size_t>(1, 700));
            REQUIRE(bytes.front() == 0);
            REQUIRE(bytes.back() == 0);
            std::fill(bytes.begin(), bytes.end(), fill);
            pieces.push_back({bytes, fill});
        }
        for (const auto& each : pieces) {
            REQUIRE(std::all_of(each.bytes.begin(), each.bytes.end(),
                                [&each](std::uint8_t byte) { return byte == each.fill; }));
        }
        memory.reset();
    }
}

TEST_CASE("objects are value-initialised", "[arena]") {
    arena memory{64};
    std::fill_n(memory.make_span<char>(60).data(), 60, 'x');
    memory.reset();
    CHECK(memory.make_span<int>(4)[3] == 0);
    CHECK(memory.make<point>()->x == 7);
    CHECK(memory.make_span<int>(0).empty());
}

TEST_CASE("copies are the arena's own", "[arena]") {
    arena memory;
    std::string text = "abc";
    const std::string_view copy = memory.copy(std::string_view{text});
    text[0] = 'x';
    CHECK(copy == "abc");
    CHECK(memory.copy(std::string_view{}).empty());
    const std::vector<int> numbers{1, 2, 3};
    const auto copied = memory.copy(std::span<const int>{numbers});
    CHECK(std::vector<int>(copied.begin(), copied.end()) == numbers);
}

TEST_CASE("a steady load takes no new blocks", "[arena]") {
    arena memory{1024};
    std::size_t settled = 0;
    for (int batch = 0; batch < 20; ++batch) {
        for (int i = 0; i < 100; ++i) {
            memory.allocate(100, 8);
        }
        memory.allocate(5000, 8); // larger than the first blocks
        if (batch == 1) {
            settled = memory.capacity();
        }
        memory.reset();
    }
    CHECK(settled >= 15'000);
    CHECK(memory.capacity() == settled);
}

TEST_CASE("blocks double, so that many small pieces take few blocks", "[arena]") {
    arena memory{1024};
    std::size_t steps = 0;
    std::size_t before = memory.capacity();
    for (int i = 0; i < 10'000; ++i) {
        memory.allocate(100, 1);
        if (memory.capacity() != before) {
            if (before != 0) {
                CHECK(memory.capacity() >= 2 * before);
            }
            before = memory.capacity();
            ++steps;
        }
    }
    CHECK(steps <= 11);
    CHECK(memory.capacity() < 2'200'000);
}

TEST_CASE("reset gives back what grew past its bound", "[arena]") {
    arena memory{1024};
    memory.allocate(100, 1);
    memory.allocate(1'000'000, 1);
    memory.reset(4096);
    CHECK(memory.capacity() == 1024);
    memory.reset(0);
    CHECK(memory.capacity() == 0);
    CHECK(memory.copy(std::string_view{"usable"}) == "usable");
}

TEST_CASE("sizes that cannot be had are refused, not wrapped around", "[arena]") {
    arena memory;
    constexpr auto most = std::numeric_limits<std::size_t>::max();
    memory.allocate(8, 8);
    CHECK_THROWS_AS(memory.allocate(most, 8), std::bad_alloc);
    CHECK_THROWS_AS(memory.allocate(most - 16, 1), std::bad_alloc);
    CHECK_THROWS_AS(memory.make_span<std::uint64_t>(most / 8 + 2), std::bad_alloc);
    CHECK(memory.copy(std::string_view{"usable"}) == "usable");
}
