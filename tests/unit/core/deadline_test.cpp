#include "support/catch.hpp"

#include <beds/core/deadline.hpp>

using namespace beds::core;
using namespace std::chrono_literals;

namespace {

class manual_clock final : public beds::core::clock {
public:
    [[nodiscard]] steady_time steady_now() const override { return steady_time{elapsed}; }
    [[nodiscard]] system_time system_now() const override {
        return system_time{std::chrono::seconds{1'767'225'600}} + elapsed + stepped;
    }
    std::chrono::milliseconds elapsed{1'000'000};
    std::chrono::milliseconds stepped{0};
};

} // namespace

TEST_CASE("a deadline ends when its time has come", "[deadline]") {
    manual_clock now;
    const auto until = deadline::after(100ms, now);
    CHECK_FALSE(until.expired(now));
    CHECK(until.remaining_ms(now) == 100ms);
    now.elapsed += 99ms;
    CHECK_FALSE(until.expired(now));
    now.elapsed += 1ms;
    CHECK(until.expired(now));
    CHECK(until.remaining(now) == deadline::duration::zero());
    now.elapsed += 1h;
    CHECK(until.remaining(now) == deadline::duration::zero());
}

TEST_CASE("never is never", "[deadline]") {
    manual_clock now;
    const auto never = deadline::never();
    now.elapsed += 24h * 365 * 100;
    CHECK(never.is_never());
    CHECK_FALSE(never.expired(now));
    CHECK(never.remaining(now) == deadline::duration::max());
    CHECK(deadline::after(1ms, now).earlier(never) == deadline::after(1ms, now));
    CHECK(never.earlier(deadline::after(1ms, now)) == deadline::after(1ms, now));
    CHECK(deadline::after(1ms, now) < never);
}

TEST_CASE("a time of day becomes a steady one once", "[deadline]") {
    manual_clock now;
    const auto until = deadline::at(now.system_now() + 5s, now);
    CHECK(until.remaining_ms(now) == 5s);
    now.stepped = -1h; // somebody sets the system clock
    CHECK(until.remaining_ms(now) == 5s);
    CHECK(deadline::at(now.system_now() - 5s, now).expired(now));
    CHECK(deadline::at(now.system_now(), now).expired(now));
}

TEST_CASE("absurd times of day do not wrap around", "[deadline]") {
    manual_clock now;
    CHECK(deadline::at(system_time::max(), now).is_never());
    CHECK(deadline::at(system_time::min(), now).expired(now));
    CHECK(deadline::at(system_time{}, now).expired(now));
    CHECK(deadline::after(deadline::duration::max(), now).is_never());
}

TEST_CASE("the machine's clock runs forwards", "[deadline]") {
    const auto before = machine_clock().steady_now();
    CHECK(machine_clock().steady_now() >= before);
    CHECK(&machine_clock() == &machine_clock());
    CHECK(machine_clock().system_now() > system_time{std::chrono::seconds{1'600'000'000}});
    CHECK_FALSE(deadline::after(1h).expired());
}
