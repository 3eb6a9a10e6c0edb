#include "client/outstanding.hpp"
#include "support/catch.hpp"
#include "world.hpp"

#include <set>

using namespace beds;
using namespace std::chrono_literals;
using client::outstanding;
using core::code;
using core::effect;
using test::inbox;

namespace {

std::shared_ptr<const client::request> some() {
    return std::make_shared<const client::request>(client::fetch("items", 1));
}
core::deadline late() {
    return core::deadline::after(20s);
}

} // namespace

TEST_CASE("outstanding: a request ends once, whoever comes first") {
    inbox got{1};
    outstanding waiting{10};
    const auto number = waiting.add(some(), late(), true, got.place(0)).value();
    waiting.mark_sent(number);
    CHECK(waiting.size() == 1);
    waiting.finish(number, core::outcome::failure(code::not_found, "first"));
    waiting.finish(number, core::outcome::failure(code::internal, "second"));
    waiting.fail(number);
    CHECK(waiting.lost().empty());
    CHECK(waiting.size() == 0);
    REQUIRE(got.of(0).size() == 1);
    CHECK(got.of(0)[0].front().code() == code::not_found);
}

TEST_CASE(
    "outstanding: a lost connection ends writes as unknown and keeps reads to be sent again") {
    inbox got{3};
    outstanding waiting{10};
    const auto written = waiting.add(some(), late(), true, got.place(0)).value();
    const auto read = waiting.add(some(), late(), false, got.place(1)).value();
    const auto unsent = waiting.add(some(), late(), true, got.place(2)).value();
    waiting.mark_sent(written);
    waiting.mark_sent(read);
    CHECK(waiting.lost() == std::vector<std::uint64_t>{read});
    REQUIRE(got.count() == 1);
    CHECK(got.of(0).at(0).front().code() == code::backend_unavailable);
    CHECK(got.of(0).at(0).front().effect() == effect::unknown);
    CHECK(waiting.size() == 2);
    CHECK(waiting.lost().empty()); // the read is not under way any more
    waiting.mark_sent(unsent);
    waiting.mark_unsent(unsent);
    CHECK(waiting.lost().empty());
}

TEST_CASE("outstanding: what is left at the end is told, with what may have happened to it") {
    inbox got{4};
    {
        outstanding waiting{10};
        const auto written = waiting.add(some(), late(), true, got.place(0)).value();
        const auto read = waiting.add(some(), late(), false, got.place(1)).value();
        waiting.add(some(), late(), true, got.place(2));
        waiting.add(some(), core::deadline::never(), false, got.place(3));
        waiting.mark_sent(written);
        waiting.mark_sent(read);
    }
    REQUIRE(got.count() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        INFO(i);
        REQUIRE(got.of(i).size() == 1);
        CHECK(got.of(i)[0].front().code() == code::backend_unavailable);
        CHECK(got.of(i)[0].front().effect() == (i == 0 ? effect::unknown : effect::none));
    }
}

TEST_CASE("outstanding: deadlines are kept in their order, not in that of the requests") {
    inbox got{3};
    outstanding waiting{10};
    waiting.add(some(), core::deadline::never(), false, got.place(0));
    waiting.add(some(), late(), false, got.place(1));
    waiting.add(some(), core::deadline::after(5ms), false, got.place(2));
    REQUIRE(got.wait_for(1));
    REQUIRE(got.of(2).size() == 1);
    CHECK(got.of(2)[0].front().code() == code::deadline_exceeded);
    CHECK(waiting.size() == 2);
}

TEST_CASE("outstanding: past its deadline a write that was sent is unknown, all else is not") {
    inbox got{3};
    outstanding waiting{10};
    const auto soon = core::deadline::after(50ms);
    waiting.mark_sent(waiting.add(some(), soon, true, got.place(0)).value());
    waiting.add(some(), soon, true, got.place(1));
    waiting.mark_sent(waiting.add(some(), soon, false, got.place(2)).value());
    REQUIRE(got.wait_for(3));
    for (std::size_t i = 0; i < 3; ++i) {
        INFO(i);
        CHECK(got.of(i).at(0).front().code() == code::deadline_exceeded);
        CHECK(got.of(i).at(0).front().effect() == (i == 0 ? effect::unknown : effect::none));
    }
}

TEST_CASE("outstanding: a client that fails answers for what was under way") {
    inbox got{2};
    outstanding waiting{10};
    const auto written = waiting.add(some(), late(), true, got.place(0)).value();
    const auto read = waiting.add(some(), late(), false, got.place(1)).value();
    waiting.mark_sent(written);
    waiting.mark_sent(read);
    waiting.fail(written);
    waiting.fail(read);
    CHECK(got.of(0).at(0).front().code() == code::internal);
    CHECK(got.of(0).at(0).front().effect() == effect::unknown);
    CHECK(got.of(1).at(0).front().effect() == effect::none);
}

TEST_CASE("outstanding: a deadline becomes a time of day that clocks and the protocol can hold") {
    CHECK(!client::time_of_day(core::deadline::never()));
    const auto now = std::chrono::system_clock::now();
    const auto soon = client::time_of_day(core::deadline::after(1min)).value();
    CHECK(soon > now + 50s);
    CHECK(soon < now + 70s);
    const auto far = client::time_of_day(core::deadline::after(24h * 365 * 250)).value();
    CHECK(far > now + 24h * 364);
    CHECK(far < now + 24h * 366);
    CHECK(client::time_of_day(core::deadline::after(-1min)).value() < now + 1s);
}

TEST_CASE("ids are random UUIDs") {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        const auto id = client::new_uuid();
        REQUIRE(id.size() == 36);
        REQUIRE(id[14] == '4');
        REQUIRE(std::string{"89ab"}.find(id[19]) != std::string::npos);
        seen.insert(id);
    }
    CHECK(seen.size() == 1000);
}
