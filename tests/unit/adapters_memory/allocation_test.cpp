#include "adapters/no_rows.hpp"
#include "support/catch.hpp"
#include "unit/adapters_memory/work.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::uint64_t> allocations{0};

} // namespace

void* operator new(std::size_t size) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* const place = std::malloc(size == 0 ? 1 : size)) {
        return place;
    }
    throw std::bad_alloc{};
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* place) noexcept {
    std::free(place);
}
void operator delete(void* place, std::size_t) noexcept {
    std::free(place);
}

using namespace beds;

namespace {

/// Looks at every cell as a codec would.
class looking_sink final : public adapters::no_rows_sink {
public:
    std::uint64_t cells = 0;
    std::uint64_t bytes = 0;

    void cell(const core::value& given) override {
        ++cells;
        bytes += given.text.size();
    }
};

} // namespace

TEST_CASE("fetch allocates nothing once it runs") {
    const auto target = testing::template_maker{"countries"}
                            .field("alpha2", "string:2")
                            .field("name", "string:200")
                            .field("numeric", "int32")
                            .key({"alpha2"})
                            .build();
    const auto memory = adapters::make_memory("rel");
    const auto session = tests::connected(*memory);
    testing::operations in;
    for (char a = 'A'; a <= 'Z'; ++a) {
        for (char b = 'A'; b <= 'J'; ++b) {
            in.insert(target, {{"alpha2", std::string{a, b}},
                               {"name", "A country with quite a long name, " + std::string{a, b}},
                               {"numeric", a * 26 + b}});
        }
    }
    tests::run(*session, in);

    testing::operations out;
    for (int i = 0; i < 32; ++i) {
        out.fetch(target,
                  {std::string{static_cast<char>('A' + i % 26), static_cast<char>('A' + i % 11)}});
    }
    const auto group = out.group();
    std::vector<core::outcome> outcomes(out.size());
    std::vector<adapters::stored_reply> known;
    looking_sink sink;
    const auto unit = [&] {
        session->begin(adapters::work_kind::read, core::deadline::never(), {},
                       adapters::lookup::none, out.memory(), known);
        session->run(group, sink, outcomes, out.memory());
        session->commit();
    };
    unit();
    REQUIRE(sink.cells > 0);
    const auto before = allocations.load();
    for (int i = 0; i < 1000; ++i) {
        unit();
    }
    const auto made = allocations.load() - before;
    CHECK(made == 0);
    CHECK(sink.bytes > 1'000'000);
}
