#include "support/catch.hpp"
#include "world.hpp"

#include <beds/client/async.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <future>

using namespace beds;
using namespace std::chrono_literals;
using client::async_call;
using client::members;
using core::code;
using test::world;

namespace {

core::deadline late() {
    return core::deadline::after(20s);
}

} // namespace

TEST_CASE("async_call: a plain callback gets the reply") {
    world it;
    std::promise<client::reply> answered;
    // What a handler owns need not be copyable.
    async_call(*it.beds, client::count("items"), late(),
               [&, owned = std::make_unique<int>(7)](client::reply got) {
                   if (*owned == 7) {
                       answered.set_value(std::move(got));
                   }
               });
    auto future = answered.get_future();
    REQUIRE(future.wait_for(20s) == std::future_status::ready);
    CHECK(future.get().front().total() == 0U);
}

TEST_CASE("async_call: futures") {
    world it;
    auto written = async_call(*it.beds, client::insert("items", members{{"id", 1}}), late(),
                              boost::asio::use_future);
    CHECK(written.get().ok());
    auto refused = async_call(*it.beds, client::fetch("itens", 1), late(), boost::asio::use_future);
    CHECK(refused.get().front().code() == code::unknown_template);
    auto slow = async_call(*it.beds, client::call("items", "look"), core::deadline::after(20ms),
                           boost::asio::use_future);
    CHECK(slow.get().front().code() == code::deadline_exceeded);
}

TEST_CASE("async_call: a handler runs on its own executor, which it keeps at work") {
    world it;
    boost::asio::io_context io;
    std::thread::id ran;
    async_call(*it.beds, client::count("items"), late(),
               boost::asio::bind_executor(
                   io, [&](const client::reply&) { ran = std::this_thread::get_id(); }));
    io.run(); // ends when the handler has run, not before
    CHECK(ran == std::this_thread::get_id());
}

TEST_CASE("async_call: coroutines") {
    world it;
    boost::asio::io_context io;
    std::vector<client::reply> got;
    boost::asio::co_spawn(
        io,
        [&]() -> boost::asio::awaitable<void> {
            for (int id = 1; id <= 3; ++id) {
                auto made = client::insert("items", members{{"id", id}, {"name", "rope"}});
                got.push_back(co_await async_call(*it.beds, std::move(made), late(),
                                                  boost::asio::use_awaitable));
            }
            got.push_back(co_await async_call(*it.beds, client::count("items"), late(),
                                              boost::asio::use_awaitable));
        },
        boost::asio::detached);
    io.run();
    REQUIRE(got.size() == 4);
    CHECK(got[0].ok());
    CHECK(got[3].front().total() == 3U);
}

TEST_CASE("async_call: what is refused at once does not run inside the call") {
    world it{{.max_outstanding = 0}};
    boost::asio::io_context io;
    bool inside = true;
    std::optional<bool> ran_inside;
    boost::asio::post(io, [&] {
        async_call(*it.beds, client::count("items"), late(),
                   boost::asio::bind_executor(io, [&](const client::reply& got) {
                       CHECK(got.front().code() == code::overloaded);
                       ran_inside = inside;
                   }));
        inside = false;
    });
    io.run();
    CHECK(ran_inside == false);

    // Many in a row: no coroutine is resumed inside the one before.
    int done = 0;
    io.restart();
    boost::asio::co_spawn(
        io,
        [&]() -> boost::asio::awaitable<void> {
            for (int i = 0; i < 20'000; ++i) {
                const auto got = co_await async_call(*it.beds, client::count("items"), late(),
                                                     boost::asio::use_awaitable);
                done += got.front().code() == code::overloaded ? 1 : 0;
            }
        },
        boost::asio::detached);
    io.run();
    CHECK(done == 20'000);
}

TEST_CASE("async_call: a client that is destroyed completes what is open") {
    world it;
    auto doomed = it.another({.workers = 1});
    auto first =
        async_call(*doomed, client::call("items", "look"), late(), boost::asio::use_future);
    REQUIRE(it.door.wait_for(1));
    auto second = async_call(*doomed, client::count("items"), late(), boost::asio::use_future);
    std::thread destroyer{[&] { doomed.reset(); }};
    it.door.open();
    destroyer.join();
    REQUIRE(first.wait_for(0s) == std::future_status::ready);
    REQUIRE(second.wait_for(0s) == std::future_status::ready);
    CHECK(first.get().ok());
    const auto got = second.get();
    CHECK((got.ok() || got.front().code() == code::backend_unavailable));
}
