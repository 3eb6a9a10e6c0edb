#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <beds/observe/histogram.hpp>
#include <beds/observe/ledger.hpp>

#include <atomic>
#include <thread>

using namespace beds;
using namespace beds::observe;

namespace {

std::uint64_t count(const template_traffic& of, std::optional<core::verb> op, core::code code) {
    for (const auto& line : of.requests) {
        if (line.op == op && line.code == code) {
            return line.count;
        }
    }
    return 0;
}

std::vector<template_traffic> totals(const ledger& of, std::size_t templates) {
    std::vector<template_traffic> made(templates + 1);
    of.add_to(made);
    return made;
}

} // namespace

TEST_CASE("every operation is in one figure, by template", "[ledger]") {
    ledger books{2};
    {
        ledger::entry entry{books};
        for (int i = 0; i < 7; ++i) {
            entry.received(1);
        }
        entry.received(ledger::no_template);
        entry.received(2);
    }
    {
        ledger::entry entry{books};
        entry.settled(1, core::verb::fetch, core::code::ok, fate::replied_ok);
        entry.settled(1, core::verb::fetch, core::code::ok, fate::replied_ok);
        entry.settled(1, core::verb::update, core::code::conflict, fate::rejected);
        entry.settled(1, core::verb::update, core::code::backend_unavailable, fate::unknown);
        entry.settled(1, core::verb::insert, core::code::duplicate_key, fate::dead);
        entry.requeued(1);
        entry.settled(ledger::no_template, std::nullopt, core::code::invalid_envelope,
                      fate::rejected);
    }
    const auto seen = totals(books, 2);
    CHECK(seen[1].received == 7);
    CHECK(seen[1].replied_ok == 2);
    CHECK(seen[1].rejected == 1);
    CHECK(seen[1].unknown == 1);
    CHECK(seen[1].dead == 1);
    CHECK(seen[1].requeued == 1);
    CHECK(seen[1].in_flight == 1);
    CHECK(count(seen[1], core::verb::fetch, core::code::ok) == 2);
    CHECK(count(seen[1], core::verb::update, core::code::conflict) == 1);
    CHECK(count(seen[1], core::verb::insert, core::code::duplicate_key) == 1);
    CHECK(seen[0].rejected == 1);
    CHECK(count(seen[0], std::nullopt, core::code::invalid_envelope) == 1);
    CHECK(seen[2].in_flight == 1);
    CHECK(seen[2].requests.empty());
    for (const auto& each : seen) {
        CHECK(each.missing() == 0);
    }
}

TEST_CASE("totals of several brokers add up", "[ledger]") {
    ledger one{1};
    ledger other{1};
    for (auto* each : {&one, &other, &other}) {
        ledger::entry entry{*each};
        entry.received(1);
        entry.settled(1, core::verb::find, core::code::ok, fate::replied_ok);
    }
    std::vector<template_traffic> made(2);
    one.add_to(made);
    other.add_to(made);
    CHECK(made[1].received == 3);
    CHECK(count(made[1], core::verb::find, core::code::ok) == 3);
    CHECK(made[1].requests.size() == 1);
}

TEST_CASE("whoever reads while it is written gets figures that belong together", "[ledger]") {
    ledger books{1};
    std::atomic<bool> ready{false};
    std::atomic<bool> done{false};
    std::thread writer{[&] {
        for (std::uint64_t turn = 0; !done; ++turn) {
            {
                ledger::entry entry{books};
                for (int i = 0; i < 3; ++i) {
                    entry.received(1);
                }
            }
            {
                ledger::entry entry{books};
                entry.settled(1, core::verb::fetch, core::code::ok, fate::replied_ok);
                entry.requeued(1);
                entry.settled(1, core::verb::fetch, core::code::rejected, fate::rejected);
            }
            ready = true;
        }
    }};
    while (!ready) {
        std::this_thread::yield();
    }
    std::uint64_t last = 0;
    bool together = true;
    for (int i = 0; i < 2000; ++i) {
        const auto seen = totals(books, 1).at(1);
        together = together && seen.missing() == 0 && seen.received % 3 == 0 &&
                   seen.replied_ok == seen.requeued && seen.received >= last;
        last = seen.received;
    }
    done = true;
    writer.join();
    CHECK(together);
    CHECK(last > 0);
}

TEST_CASE("the books allocate only when an operation is new to a template", "[ledger]") {
    ledger books{3};
    const auto work = [&books] {
        ledger::entry entry{books};
        for (ledger::slot slot = 0; slot < 4; ++slot) {
            entry.received(slot);
            entry.settled(slot, core::verb::update, core::code::ok, fate::replied_ok);
        }
    };
    work();
    const auto before = test::costs_so_far();
    work();
    const auto after = test::costs_so_far();
    CHECK(after.allocations == before.allocations);
    CHECK(after.locks == before.locks);
}

TEST_CASE("a histogram counts a value where its upper bound is", "[histogram]") {
    live_histogram live{batch_bounds};
    live.add(1);
    live.add(2, 3);
    live.add(3);
    live.add(4096);
    live.add(4097);
    auto seen = live.snapshot();
    CHECK(seen.bounds.front() == 1);
    CHECK(seen.counts.at(0) == 1);
    CHECK(seen.counts.at(1) == 3);
    CHECK(seen.counts.at(2) == 1);
    CHECK(seen.counts.at(10) == 1);
    CHECK(seen.counts.at(11) == 1);
    CHECK(seen.sum == 1 + 6 + 3 + 4096 + 4097);
    CHECK(seen.count() == 7);
    histogram total;
    total.add(seen);
    total.add(seen);
    CHECK(total.count() == 14);
    CHECK(total.sum == 2 * seen.sum);
    CHECK(total.bounds == seen.bounds);
    CHECK(time_bounds.size() <= live_histogram::most_bounds);
}

TEST_CASE("books that grow keep what was entered, and are read meanwhile", "[ledger]") {
    ledger books{1};
    const auto enter = [&](ledger::slot of) {
        {
            ledger::entry entry{books};
            entry.received(of);
        }
        ledger::entry entry{books};
        entry.settled(of, core::verb::fetch, core::code::ok, fate::replied_ok);
    };
    constexpr std::size_t most = 40;
    std::atomic<bool> stop{false};
    bool fits = true;
    std::uint64_t last = 0;
    std::thread reader{[&] {
        while (!stop) {
            const auto seen = totals(books, most);
            for (const auto& one : seen) {
                fits = fits && one.missing() == 0;
            }
            fits = fits && seen[1].received >= last; // nothing is lost on the way
            last = seen[1].received;
        }
    }};
    std::uint64_t entered = 0;
    for (std::size_t size = 2; size <= most; ++size) {
        for (int i = 0; i < 50; ++i, ++entered) {
            enter(1);
        }
        enter(static_cast<ledger::slot>(size - 1));
        entered += size == 2 ? 1 : 0;
        books.grow(size);
        books.grow(1); // never less
        enter(static_cast<ledger::slot>(size));
    }
    stop = true;
    reader.join();
    CHECK(fits);
    const auto seen = totals(books, most);
    CHECK(seen[1].replied_ok == entered);
    CHECK(count(seen[1], core::verb::fetch, core::code::ok) == entered);
    CHECK(seen[2].replied_ok == 2);
    CHECK(seen[most].replied_ok == 1);
    // With room for fewer a reader gets the first ones.
    CHECK(totals(books, 1)[1].replied_ok == entered);
}
