#include "support/catch.hpp"

#include <beds/core/supervisor.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace beds::core;
using namespace std::chrono_literals;

namespace {

/// A connection whose other end says nothing.
class silent_peer {
public:
    silent_peer() { must(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()) == 0); }
    ~silent_peer() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    silent_peer(const silent_peer&) = delete;
    silent_peer& operator=(const silent_peer&) = delete;

    [[nodiscard]] int descriptor() const { return ends_[0]; }
    void speak() const { must(::send(ends_[1], "x", 1, MSG_NOSIGNAL) == 1); }
    /// Blocks until something comes; 0: the connection is shut down.
    [[nodiscard]] auto listen() const {
        char byte = 0;
        return ::recv(ends_[0], &byte, 1, 0);
    }

private:
    // Not REQUIRE: Catch2's macros are for one thread only.
    static void must(bool done) {
        if (!done) {
            throw std::system_error{errno, std::generic_category()};
        }
    }

    std::array<int, 2> ends_{-1, -1};
};

std::chrono::milliseconds since(steady_time start) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(machine_clock().steady_now() -
                                                                 start);
}

} // namespace

TEST_CASE("a call that hangs past its deadline is freed", "[supervisor]") {
    supervisor watching;
    const auto supervised = watching.watch();
    const silent_peer peer;
    supervised->attach(peer.descriptor());
    const auto start = machine_clock().steady_now();
    {
        const auto guard = supervised->arm(deadline::after(50ms));
        CHECK(peer.listen() == 0);
    }
    CHECK(supervised->fired());
    CHECK(since(start) >= 50ms + supervisor::grace);
    CHECK(since(start) < 2s);
    supervised->detach();

    // The next connection starts afresh.
    const silent_peer next;
    supervised->attach(next.descriptor());
    CHECK_FALSE(supervised->fired());
    next.speak();
    const auto guard = supervised->arm(deadline::after(1h));
    CHECK(next.listen() == 1);
}

TEST_CASE("a call that ends in time is left alone, and so is an unarmed socket", "[supervisor]") {
    supervisor watching;
    const auto supervised = watching.watch();
    const auto idle = watching.watch();
    const silent_peer peer;
    const silent_peer other;
    supervised->attach(peer.descriptor());
    idle->attach(other.descriptor());
    peer.speak();
    {
        const auto guard = supervised->arm(deadline::after(1ms));
        CHECK(peer.listen() == 1);
    }
    std::this_thread::sleep_for(supervisor::grace + 200ms);
    CHECK_FALSE(supervised->fired());
    CHECK_FALSE(idle->fired());
    peer.speak();
    other.speak();
    CHECK(peer.listen() == 1);
    CHECK(other.listen() == 1);
}

TEST_CASE("the earliest of nested deadlines counts until its guard is gone", "[supervisor]") {
    supervisor watching;
    const auto supervised = watching.watch();
    const silent_peer peer;
    supervised->attach(peer.descriptor());

    SECTION("an inner guard cannot extend the outer one") {
        const auto outer = supervised->arm(deadline::after(50ms));
        const auto inner = supervised->arm(deadline::never());
        CHECK(peer.listen() == 0);
        CHECK(supervised->fired());
    }
    SECTION("the outer one comes back") {
        const auto outer = supervised->arm(deadline::after(100ms));
        { const auto inner = supervised->arm(deadline::after(50ms)); }
        CHECK(peer.listen() == 0);
        CHECK(supervised->fired());
    }
    SECTION("the inner one goes") {
        const auto outer = supervised->arm(deadline::never());
        { const auto inner = supervised->arm(deadline::after(1ms)); }
        std::this_thread::sleep_for(supervisor::grace + 200ms);
        CHECK_FALSE(supervised->fired());
    }
}

TEST_CASE("a detached descriptor is never touched", "[supervisor]") {
    supervisor watching;
    const auto supervised = watching.watch();
    const silent_peer peer;
    supervised->attach(peer.descriptor());
    supervised->detach();
    const auto guard = supervised->arm(deadline::after(-1s));
    std::this_thread::sleep_for(200ms);
    CHECK_FALSE(supervised->fired());
    peer.speak();
    CHECK(peer.listen() == 1);

    const silent_peer next;
    supervised->attach(next.descriptor());
    CHECK(next.listen() == 0); // still armed
}

TEST_CASE("the process's own supervisor is one, as long as somebody holds it", "[supervisor]") {
    auto first = supervisor::shared();
    CHECK(first == supervisor::shared());
    const std::weak_ptr<supervisor> gone = first;
    first.reset();
    CHECK(gone.expired());
    const auto next = supervisor::shared();
    const auto supervised = next->watch();
    const silent_peer peer;
    supervised->attach(peer.descriptor());
    const auto guard = supervised->arm(deadline::after(1ms));
    CHECK(peer.listen() == 0);
}

TEST_CASE("many sockets come and go while others are watched", "[supervisor]") {
    supervisor watching;
    std::atomic<int> freed{0};
    std::vector<std::thread> threads;
    threads.reserve(8);
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&watching, &freed, i] {
            for (int round = 0; round < 100; ++round) {
                const auto supervised = watching.watch();
                const silent_peer peer;
                supervised->attach(peer.descriptor());
                peer.speak();
                const auto guard = supervised->arm(deadline::after(1h));
                if (peer.listen() != 1 || supervised->fired()) {
                    return;
                }
                supervised->detach();
            }
            const auto supervised = watching.watch();
            const silent_peer peer;
            supervised->attach(peer.descriptor());
            const auto guard = supervised->arm(deadline::after(10ms * i));
            if (peer.listen() == 0 && supervised->fired()) {
                ++freed;
            }
            supervised->detach();
        });
    }
    for (auto& each : threads) {
        each.join();
    }
    CHECK(freed == 8);
}

TEST_CASE("a supervisor with sockets left to watch stops at once", "[supervisor]") {
    const auto start = machine_clock().steady_now();
    {
        supervisor watching;
        const auto supervised = watching.watch();
        const auto guard = supervised->arm(deadline::never());
    }
    { supervisor idle; }
    CHECK(since(start) < 1s);
}
