#include "common/histogram.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

using namespace std::chrono_literals;
using beds::bench::histogram;

TEST_CASE("a histogram with nothing in it has nothing to say") {
    const histogram empty;
    CHECK(empty.count() == 0);
    CHECK(empty.max() == 0ns);
    CHECK(empty.percentile(99) == 0ns);
}

TEST_CASE("one time is every percentile, exactly") {
    for (const auto time :
         {0ns, 1ns, 255ns, 256ns, 257ns, 123'456'789ns, 9'000'000'000'000'000'000ns}) {
        histogram one;
        one.record(time);
        CHECK(one.percentile(0) == time);
        CHECK(one.percentile(50) == time);
        CHECK(one.percentile(100) == time);
        CHECK(one.max() == time);
    }
    histogram negative;
    negative.record(-5ns);
    CHECK(negative.percentile(50) == 0ns);
}

TEST_CASE("percentiles are those of the sorted times, at most 0.8 % above") {
    std::mt19937_64 random{7};
    std::lognormal_distribution<double> like_latency{12, 2};
    std::vector<std::chrono::nanoseconds> all;
    histogram first;
    histogram second;
    for (int i = 0; i < 20'000; ++i) {
        const std::chrono::nanoseconds time{static_cast<std::int64_t>(like_latency(random))};
        all.push_back(time);
        (i % 3 == 0 ? first : second).record(time);
    }
    first.add(second);
    std::sort(all.begin(), all.end());
    CHECK(first.count() == all.size());
    CHECK(first.max() == all.back());
    for (const double share : {0.1, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
        const auto at =
            static_cast<std::size_t>(std::ceil(share / 100 * static_cast<double>(all.size()))) - 1;
        CAPTURE(share);
        CHECK(first.percentile(share) >= all[at]);
        CHECK(static_cast<double>(first.percentile(share).count()) <=
              static_cast<double>(all[at].count()) * 1.008 + 1);
    }
}
