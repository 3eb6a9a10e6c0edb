#include "adapters/memory/store_lock.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <thread>
#include <vector>

using beds::adapters::memory::store_lock;
using beds::core::deadline;

namespace {

deadline passed() {
    return deadline::at(beds::core::machine_clock().steady_now());
}

} // namespace

TEST_CASE("readers share, a writer is alone") {
    store_lock lock;
    REQUIRE(lock.lock_shared(passed()));
    REQUIRE(lock.lock_shared(passed()));
    CHECK_FALSE(lock.lock(passed()));
    lock.unlock_shared();
    CHECK_FALSE(lock.lock(passed()));
    lock.unlock_shared();
    REQUIRE(lock.lock(passed()));
    CHECK_FALSE(lock.lock_shared(passed()));
    CHECK_FALSE(lock.lock(passed()));
    lock.unlock();
    CHECK(lock.lock_shared(passed()));
}

TEST_CASE("a writer that gave up does not keep readers out") {
    store_lock lock;
    REQUIRE(lock.lock_shared(deadline::never()));
    CHECK_FALSE(lock.lock(passed()));
    CHECK(lock.lock_shared(passed()));
}

TEST_CASE("a writer gets its turn among readers that never pause") {
    store_lock lock;
    std::atomic<bool> done{false};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) {
        readers.emplace_back([&] {
            while (!done) {
                if (lock.lock_shared(deadline::never())) {
                    lock.unlock_shared();
                }
            }
        });
    }
    for (int i = 0; i < 100; ++i) {
        REQUIRE(lock.lock(deadline::after(std::chrono::seconds{30})));
        lock.unlock();
    }
    done = true;
    for (auto& each : readers) {
        each.join();
    }
}

TEST_CASE("writers exclude each other") {
    store_lock lock;
    int counter = 0;
    std::vector<std::thread> writers;
    for (int i = 0; i < 4; ++i) {
        writers.emplace_back([&] {
            for (int turn = 0; turn < 1000; ++turn) {
                if (lock.lock(deadline::never())) {
                    ++counter;
                    lock.unlock();
                }
            }
        });
    }
    for (auto& each : writers) {
        each.join();
    }
    CHECK(counter == 4000);
}
