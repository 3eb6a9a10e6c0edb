#include "factory/backoff.hpp"
#include "support/catch.hpp"

using namespace beds;
using namespace std::chrono_literals;

TEST_CASE("back-off doubles up to its bound, jitters, and starts over after success") {
    factory::backoff retry{42, 100ms, 1'000ms};
    core::steady_time now{};
    now += 1h;
    CHECK(retry.may_try(now));
    auto bound = 100ms;
    for (int i = 0; i < 8; ++i) {
        retry.failed(now);
        CHECK_FALSE(retry.may_try(now));
        CHECK(retry.left(now) <= bound);
        CHECK(retry.left(now) >= bound / 2);
        CHECK(retry.may_try(now + bound));
        now += bound;
        bound = std::min<std::chrono::milliseconds>(bound * 2, 1'000ms);
    }
    retry.succeeded();
    CHECK(retry.may_try(now));
    retry.failed(now);
    CHECK(retry.left(now) <= 100ms);
}
