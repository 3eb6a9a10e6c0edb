#include "common/report.hpp"
#include "support/catch.hpp"

using namespace beds;

namespace {

std::function<bench::measurement()> measured(double operations_per_second) {
    bench::measurement made;
    made.operations_per_second = operations_per_second;
    return [made] { return made; };
}

constexpr int reached = 0;
constexpr int wrong = 1;
constexpr int missed = 3;

} // namespace

TEST_CASE("a bench ends with what its goal deserves") {
    const bench::comparison higher{.name = "made_up", .unit = "things/s", .goal = 0.75};
    const bench::comparison lower{
        .name = "made_up", .unit = "ms", .goal = 1.1, .direction = bench::better::lower};
    const bench::bench_options options{.rounds = 3};
    const auto floor = measured(100);
    CHECK(compare(higher, options, floor, measured(75)) == reached);
    CHECK(compare(higher, options, floor, measured(74)) == missed);
    CHECK(compare(lower, options, floor, measured(110)) == reached);
    CHECK(compare(lower, options, floor, measured(111)) == missed);
    // By the median of the rounds.
    double next = 60;
    CHECK(compare(higher, options, floor, [&] { return measured(next += 10)(); }) == reached);
    // A short run says nothing about speed.
    CHECK(compare(higher, {.rounds = 1, .judge = false}, floor, measured(1)) == reached);
}

TEST_CASE("a fast bench with wrong answers or effects is wrong, a short run of it too") {
    const bench::comparison what{.name = "made_up", .unit = "things/s"};
    const auto lies = [] {
        return bench::measurement{
            .operations_per_second = 1000, .wrong = 1, .first_wrong = "made up"};
    };
    for (const bool judge : {true, false}) {
        const bench::bench_options options{.rounds = 1, .judge = judge};
        CHECK(compare(what, options, measured(1), lies) == wrong);
        CHECK(compare(what, options, lies, measured(1000)) == wrong);
        CHECK(compare(what, options, measured(1), measured(1000),
                      [] { return std::string{"a row is missing"}; }) == wrong);
    }
}

TEST_CASE("a further floor has a goal of its own") {
    const bench::comparison what{.name = "made_up", .unit = "things/s", .goal = 2};
    const bench::bench_options options{.rounds = 1};
    const auto against = [&](double by_hand) {
        return compare(what, options, measured(1), measured(4), {},
                       {{.name = "by_hand", .goal = 0.8, .run = measured(by_hand)}});
    };
    CHECK(against(5) == reached);
    CHECK(against(6) == missed);
}
