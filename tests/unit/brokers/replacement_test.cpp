#include "brokers/replacement.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using beds::brokers::broker_view;
using beds::brokers::replacement;
using action = replacement::action;

namespace {

constexpr broker_view serving{.stopped = false, .tried = true, .serves = true};
constexpr broker_view finishing{.stopped = false, .tried = false, .serves = true};
constexpr broker_view finished{.stopped = true, .tried = false, .serves = false};
constexpr broker_view beginning{.stopped = false, .tried = false, .serves = false};
constexpr broker_view away{.stopped = false, .tried = true, .serves = false};

struct group {
    replacement order;
    beds::core::steady_time now{1h};

    explicit group(std::size_t brokers) : order(brokers, 10s) {}
    action next(const broker_view& seen, std::chrono::milliseconds later = 1ms) {
        now += later;
        return order.next(seen, now);
    }
};

} // namespace

TEST_CASE("replacement: the next broker goes only when the one before serves anew") {
    group two{2};
    CHECK(two.next(serving) == action::retire);
    CHECK(two.next(finishing) == action::wait);
    CHECK(two.next(finished) == action::start);
    CHECK(two.next(beginning) == action::wait);
    CHECK(two.order.replaced() == 0);
    CHECK(two.next(away) == action::wait); // tried, and not there yet
    CHECK(two.next(serving) == action::wait);
    CHECK(two.order.replaced() == 1);
    CHECK(two.next(serving) == action::retire);
    CHECK(two.order.current() == 1);
    CHECK(two.next(finished) == action::start);
    CHECK_FALSE(two.order.ended());
    CHECK(two.next(serving) == action::done);
    CHECK(two.order.ended());
    CHECK(two.order.replaced() == 2);
    CHECK(two.next(serving) == action::done);
}

TEST_CASE("replacement: a broker that is late is told of once and waited for") {
    group one{1};
    CHECK(one.next(serving) == action::retire);
    CHECK(one.next(finishing, 9'999ms) == action::wait);
    CHECK(one.next(finishing, 1ms) == action::tell);
    CHECK(one.next(finishing, 1h) == action::wait);
    CHECK(one.next(finished) == action::start);
    CHECK(one.next(beginning, 9'999ms) == action::wait); // its own time begins with its start
    CHECK(one.next(serving) == action::done);
}

TEST_CASE("replacement: what does not serve any more keeps the rest of its group") {
    group two{2};
    CHECK(two.next(serving) == action::retire);
    CHECK(two.next(finished) == action::start);
    CHECK(two.next(away, 9'999ms) == action::wait);
    CHECK(two.next(away, 1ms) == action::give_up);
    CHECK(two.order.ended());
    CHECK(two.order.replaced() == 0);
    CHECK(two.next(serving) == action::give_up);
}

TEST_CASE("replacement: while its servers are away a broker is replaced without waiting for them") {
    group two{2};
    CHECK(two.next(away) == action::retire);
    CHECK(two.next(finished) == action::start);
    CHECK(two.next(beginning) == action::wait);
    CHECK(two.next(away) == action::wait);
    CHECK(two.order.replaced() == 1);
    CHECK(two.next(away) == action::retire);
    CHECK(two.next(finished) == action::start);
    CHECK(two.next(away) == action::done);
}
