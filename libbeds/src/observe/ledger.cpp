#include <beds/observe/ledger.hpp>

#include <algorithm>
#include <thread>
#include <utility>

namespace beds::observe {
namespace {

using counter = std::atomic<std::uint64_t>;

constexpr std::size_t verb_count = static_cast<std::size_t>(core::verb::describe) + 1;
constexpr std::size_t no_verb = verb_count;
constexpr std::size_t cache_line = 64;

// Readers see that an entry is being written by what they read: the version is odd before the first
// figure changes (release) and is looked at after the last figure was read (acquire). On x86 these
// are plain instructions.
void change(counter& of, std::uint64_t by) {
    of.store(of.load(std::memory_order_relaxed) + by, std::memory_order_release);
}

} // namespace

struct alignas(cache_line) ledger::codes {
    std::array<counter, core::code_count> counts{};
};

struct alignas(cache_line) ledger::page {
    ~page() {
        for (auto& one : verbs) {
            delete one.load();
        }
    }
    counter received{0};
    counter requeued{0};
    counter in_flight{0};
    std::array<counter, fate_count> fates{};
    std::array<std::atomic<codes*>, verb_count + 1> verbs{};
};

void ledger::page_deleter::operator()(page* pages) const {
    delete[] pages;
}

std::int64_t template_traffic::missing() const {
    return static_cast<std::int64_t>(received - replied_ok - rejected - unknown - dead - requeued -
                                     in_flight);
}

void template_traffic::add(const template_traffic& other) {
    received += other.received;
    replied_ok += other.replied_ok;
    rejected += other.rejected;
    unknown += other.unknown;
    dead += other.dead;
    requeued += other.requeued;
    in_flight += other.in_flight;
    for (const auto& one : other.requests) {
        const auto found = std::find_if(requests.begin(), requests.end(), [&](const line& mine) {
            return mine.op == one.op && mine.code == one.code;
        });
        if (found == requests.end()) {
            requests.push_back(one);
        } else {
            found->count += one.count;
        }
    }
}

ledger::ledger(std::size_t templates) : pages_(new page[templates + 1]), count_(templates + 1) {}

ledger::~ledger() = default;

ledger::entry::entry(ledger& of) : of_(of) {
    of_.version_.store(of_.version_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

ledger::entry::~entry() {
    of_.version_.store(of_.version_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

void ledger::entry::received(slot of) {
    auto& page = of_.pages_[of];
    change(page.received, 1);
    change(page.in_flight, 1);
}

void ledger::entry::requeued(slot of) {
    auto& page = of_.pages_[of];
    change(page.requeued, 1);
    change(page.in_flight, std::uint64_t{0} - 1);
}

void ledger::entry::settled(slot of, std::optional<core::verb> op, core::code code, fate end) {
    auto& page = of_.pages_[of];
    auto& place = page.verbs[op ? static_cast<std::size_t>(*op) : no_verb];
    auto* by_code = place.load(std::memory_order_relaxed);
    if (by_code == nullptr) {
        by_code = new codes; // the page deletes it
        place.store(by_code, std::memory_order_release);
    }
    change(by_code->counts[static_cast<std::size_t>(code)], 1);
    change(page.fates[static_cast<std::size_t>(end)], 1);
    change(page.in_flight, std::uint64_t{0} - 1);
}

void ledger::grow(std::size_t templates) {
    if (templates < count_) {
        return;
    }
    constexpr auto order = std::memory_order_relaxed; // the lock orders it
    const std::lock_guard lock{growing_};
    std::unique_ptr<page[], page_deleter> wider{new page[templates + 1]};
    const auto take = [](counter& into, const counter& from) {
        into.store(from.load(order), order);
    };
    for (std::size_t i = 0; i < count_; ++i) {
        auto& from = pages_[i];
        auto& into = wider[i];
        take(into.received, from.received);
        take(into.requeued, from.requeued);
        take(into.in_flight, from.in_flight);
        for (std::size_t f = 0; f < into.fates.size(); ++f) {
            take(into.fates[f], from.fates[f]);
        }
        for (std::size_t v = 0; v < into.verbs.size(); ++v) {
            into.verbs[v].store(from.verbs[v].exchange(nullptr, order), order);
        }
    }
    pages_ = std::move(wider);
    count_ = templates + 1;
}

void ledger::add_to(std::span<template_traffic> totals) const {
    constexpr auto order = std::memory_order_acquire;
    const std::lock_guard lock{growing_};
    std::vector<template_traffic> read;
    for (;;) {
        const auto before = version_.load(order);
        if (before % 2 == 0) {
            read.assign(count_, {});
            for (std::size_t i = 0; i < count_; ++i) {
                const auto& from = pages_[i];
                auto& into = read[i];
                into.received = from.received.load(order);
                into.requeued = from.requeued.load(order);
                into.in_flight = from.in_flight.load(order);
                into.replied_ok =
                    from.fates[static_cast<std::size_t>(fate::replied_ok)].load(order);
                into.rejected = from.fates[static_cast<std::size_t>(fate::rejected)].load(order);
                into.unknown = from.fates[static_cast<std::size_t>(fate::unknown)].load(order);
                into.dead = from.fates[static_cast<std::size_t>(fate::dead)].load(order);
                for (std::size_t v = 0; v < from.verbs.size(); ++v) {
                    const auto* by_code = from.verbs[v].load(order);
                    for (std::size_t c = 0; by_code != nullptr && c < by_code->counts.size(); ++c) {
                        if (const auto count = by_code->counts[c].load(order); count != 0) {
                            into.requests.push_back(
                                {v == no_verb ? std::nullopt
                                              : std::optional{static_cast<core::verb>(v)},
                                 static_cast<core::code>(c), count});
                        }
                    }
                }
            }
            if (version_.load(std::memory_order_relaxed) == before) {
                break;
            }
        }
        std::this_thread::yield(); // an entry takes microseconds
    }
    for (std::size_t i = 0; i < count_ && i < totals.size(); ++i) {
        totals[i].add(read[i]);
    }
}

} // namespace beds::observe
