#include "support/catch.hpp"

#include <beds/amqp/reconnect.hpp>

#include <vector>

using namespace beds;
using namespace std::chrono_literals;
using amqp::connect_failure;
using amqp::reconnect_action;
using amqp::reconnect_fsm;

namespace {

struct world {
    core::steady_time now{1000s};
    double random = 1.0;
    amqp::reconnect_policy policy{
        .first = 100ms, .cap = 1000ms, .factor = 2.0, .refused = 500ms, .stable_after = 10s};
    reconnect_fsm fsm{policy, [this] { return random; }};

    /// How long the machine wants to wait now; zero: connect.
    core::steady_time::duration wait() {
        const auto action = fsm.next(now);
        if (action.what == reconnect_action::kind::connect) {
            return {};
        }
        REQUIRE(action.what == reconnect_action::kind::wait);
        return action.until - now;
    }
};

} // namespace

TEST_CASE("the first attempt is made at once, and again until its outcome is told") {
    world w;
    CHECK(w.wait() == 0ms);
    w.now += 1h;
    CHECK(w.wait() == 0ms);
    w.fsm.connected(w.now);
    CHECK(w.fsm.next(w.now).what == reconnect_action::kind::rest);
}

TEST_CASE("waits grow by the factor up to the cap, without end") {
    world w;
    for (const auto expected : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
        w.fsm.attempt_failed(connect_failure::unreachable, w.now);
        CHECK(w.wait() == expected);
        w.now += expected - 1ms;
        CHECK(w.wait() == 1ms);
        w.now += 1ms;
        CHECK(w.wait() == 0ms);
    }
    for (int i = 0; i < 5000; ++i) {
        w.fsm.attempt_failed(connect_failure::unreachable, w.now);
    }
    CHECK(w.wait() == 1000ms);
}

TEST_CASE("the jitter is full") {
    world w;
    w.fsm.attempt_failed(connect_failure::unreachable, w.now);
    w.fsm.attempt_failed(connect_failure::unreachable, w.now);
    w.random = 0.0;
    w.fsm.attempt_failed(connect_failure::unreachable, w.now);
    CHECK(w.wait() == 0ms);
    w.random = 0.25;
    w.fsm.attempt_failed(connect_failure::unreachable, w.now);
    CHECK(w.wait() == 200ms);
}

TEST_CASE("at the cap no wait is shorter than half of it") {
    world w;
    for (int i = 0; i < 6; ++i) {
        w.fsm.attempt_failed(connect_failure::unreachable, w.now);
    }
    w.random = 0.0;
    w.fsm.attempt_failed(connect_failure::unreachable, w.now);
    CHECK(w.wait() == 500ms);
}

TEST_CASE("50 clients and 3 nodes ask for a server that is away less than ten times a second") {
    const amqp::reconnect_policy policy;
    int soon = 0; // in the twenty seconds after the second
    int late = 0; // after a minute
    for (int client = 0; client < 53; ++client) {
        core::steady_time now{};
        reconnect_fsm fsm{policy, amqp::system_random()};
        const auto end = now + 10min;
        while (now < end) {
            fsm.attempt_failed(connect_failure::unreachable, now);
            now = fsm.next(now).until;
            const auto since = now - core::steady_time{};
            soon += since >= 2s && since < 22s ? 1 : 0;
            late += since >= 1min && since < 10min ? 1 : 0;
        }
    }
    CHECK(soon < 10 * 20); // waits that double made it 12 a second
    CHECK(late < 9 * 60 * 9);
}

TEST_CASE("a refusal waits its own least time") {
    world w;
    w.random = 0.0;
    w.fsm.attempt_failed(connect_failure::refused, w.now);
    CHECK(w.wait() == 500ms);
    w.random = 1.0;
    for (int i = 0; i < 5; ++i) {
        w.fsm.attempt_failed(connect_failure::refused, w.now);
    }
    CHECK(w.wait() == 1000ms);
}

TEST_CASE("even the first attempt after a loss is spread") {
    world w;
    w.random = 0.5;
    w.fsm.connected(w.now);
    w.now += 1h;
    w.fsm.lost(w.now);
    CHECK(w.wait() == 50ms);
    w.fsm.lost(w.now); // told twice
    CHECK(w.wait() == 50ms);
}

TEST_CASE("only a stable connection resets the waits") {
    world w;
    for (int i = 0; i < 4; ++i) {
        w.fsm.attempt_failed(connect_failure::unreachable, w.now);
    }
    CHECK(w.fsm.failures() == 4);
    w.fsm.connected(w.now);
    w.now += 9s;
    w.fsm.lost(w.now);
    CHECK(w.wait() == 1000ms);
    CHECK(w.fsm.failures() == 5);

    w.fsm.connected(w.now);
    w.now += 10s;
    w.fsm.lost(w.now);
    CHECK(w.wait() == 100ms);
    CHECK(w.fsm.failures() == 1);
}

TEST_CASE("a server that is there and closes channels is not waited for as one that is away") {
    world w;
    for (int i = 0; i < 4; ++i) {
        w.fsm.attempt_failed(connect_failure::unreachable, w.now);
    }
    w.fsm.connected(w.now);
    w.fsm.lost(w.now, amqp::loss::channel);
    CHECK(w.wait() == 500ms);
    w.fsm.connected(w.now);
    w.fsm.lost(w.now, amqp::loss::connection);
    CHECK(w.wait() == 1000ms);
    w.fsm.connected(w.now);
    w.now += 10s; // it was stable
    w.fsm.lost(w.now, amqp::loss::channel);
    CHECK(w.wait() == 100ms);
}

TEST_CASE("many clients that lose a server together come back spread out") {
    // 50 clients, the server away for 5 s after the loss: attempts per second stay few.
    const amqp::reconnect_policy policy;
    std::vector<int> attempts(60);
    for (int client = 0; client < 50; ++client) {
        core::steady_time now{};
        reconnect_fsm fsm{policy, amqp::system_random()};
        fsm.connected(now);
        now += 1h;
        const auto lost = now;
        fsm.lost(now);
        for (;;) {
            const auto action = fsm.next(now);
            if (action.what == reconnect_action::kind::wait) {
                now = action.until;
                continue;
            }
            const auto second = static_cast<std::size_t>((now - lost) / 1s);
            REQUIRE(second < attempts.size());
            ++attempts[second];
            if (now - lost >= 5s) {
                break;
            }
            fsm.attempt_failed(connect_failure::unreachable, now);
        }
    }
    // From the sixth second on everybody tries once; a client waits 10 s at most.
    for (std::size_t second = 1; second < attempts.size(); ++second) {
        CHECK(attempts[second] <= 120);
    }
    CHECK(attempts[0] <= 400);
    int late = 0;
    for (std::size_t second = 16; second < attempts.size(); ++second) {
        late += attempts[second];
    }
    CHECK(late == 0);
}

TEST_CASE("of several connections one asks for the server that is away") {
    const int one = 0;
    const int other = 0;
    const core::steady_time now{1000s};
    amqp::reconnect_lead lead{5s};
    CHECK(lead.may_try(&one, now));
    CHECK(lead.may_try(&other, now));
    lead.found_away(&one, now, now + 3s, "it is away");
    lead.found_away(&other, now, now + 9s, "so it is"); // it tried at the same time
    CHECK(lead.why() == "it is away");
    CHECK(lead.may_try(&one, now + 3s));
    CHECK_FALSE(lead.may_try(&other, now + 3s));

    SECTION("when it finds the server all try") {
        lead.found_there();
        CHECK(lead.may_try(&other, now + 3s));
        lead.found_away(&other, now + 3s, now + 4s);
        CHECK_FALSE(lead.may_try(&one, now + 4s));
    }
    SECTION("when it ends another one asks") {
        lead.gone(&other);
        CHECK_FALSE(lead.may_try(&other, now + 3s));
        lead.gone(&one);
        CHECK(lead.may_try(&other, now + 3s));
    }
    SECTION("when it is long overdue another one asks in its place") {
        CHECK_FALSE(lead.may_try(&other, now + 7999ms));
        CHECK(lead.may_try(&other, now + 8s));
        lead.found_away(&other, now + 8s, now + 9s);
        CHECK_FALSE(lead.may_try(&one, now + 9s));
    }
}

TEST_CASE("random numbers are in [0, 1) and differ between objects") {
    auto one = amqp::system_random();
    auto other = amqp::system_random();
    bool differ = false;
    for (int i = 0; i < 1000; ++i) {
        const double number = one();
        CHECK(number >= 0.0);
        CHECK(number < 1.0);
        differ = differ || number != other();
    }
    CHECK(differ);
}
