#include "client/outstanding.hpp"

#include <beds/wire/reply.hpp>

#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

namespace beds::client {

using core::code;
using core::effect;
using core::outcome;

reply make_reply(const request& to, const outcome& result) {
    std::string body;
    if (to.enveloped || to.operations.size() != 1) {
        wire::reply_writer writer;
        const auto count = std::max<std::size_t>(to.operations.size(), 1);
        writer.start(count);
        const std::vector<outcome> results(count, result);
        writer.append_reply(body, {}, true, 0, results);
    } else {
        wire::append_refusal(body, {}, result);
    }
    return {std::move(body), to.id};
}

std::optional<core::system_time> time_of_day(core::deadline until) {
    if (until.is_never()) {
        return std::nullopt;
    }
    constexpr std::chrono::hours year{24 * 365};
    const auto left = std::min<core::deadline::duration>(until.remaining(), year);
    return std::chrono::system_clock::now() +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(left);
}

std::string new_uuid() {
    thread_local std::mt19937_64 random{[] {
        std::random_device device;
        return (static_cast<std::uint64_t>(device()) << 32U) | device();
    }()};
    const auto high = random();
    const auto low = random();
    char text[37];
    std::snprintf(
        text, sizeof text, "%08x-%04x-4%03x-%04x-%012llx", static_cast<unsigned>(high >> 32U),
        static_cast<unsigned>((high >> 16U) & 0xFFFFU), static_cast<unsigned>(high & 0xFFFU),
        static_cast<unsigned>(((low >> 48U) & 0x3FFFU) | 0x8000U),
        static_cast<unsigned long long>(low & 0xFFFFFFFFFFFFULL));
    return text;
}

outstanding::outstanding(std::size_t most) : most_(most), watcher_([this] { watch(); }) {}

void outstanding::stop() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    changed_.notify_all();
    if (!watcher_.joinable()) {
        return;
    }
    watcher_.join();
    // Somebody may be finishing one of them at this moment.
    std::unordered_map<std::uint64_t, entry> all;
    {
        const std::lock_guard lock{mutex_};
        all.swap(entries_);
    }
    for (auto& [number, left] : all) {
        complete(left, outcome::failure(code::backend_unavailable, "the client was stopped", {},
                                        known_effect(left)));
    }
}

/// All that this side can know.
effect outstanding::known_effect(const entry& of) {
    return of.writes && of.sent ? effect::unknown : effect::none;
}

void outstanding::complete(entry& finished, const outcome& result) {
    finished.done(make_reply(*finished.what, result));
}

std::optional<std::uint64_t> outstanding::add(std::shared_ptr<const request> what,
                                              core::deadline until, bool writes, completion done) {
    entry made{std::move(what), until, writes, false, std::move(done)};
    {
        const std::lock_guard lock{mutex_};
        if (entries_.size() < most_ && !stopping_) {
            const auto number = next_++;
            entries_.emplace(number, std::move(made));
            if (until < earliest_) {
                earliest_ = until;
                changed_.notify_one();
            }
            return number;
        }
    }
    // While the client is being destroyed it is full too: completions may try to submit.
    auto full = outcome::failure(code::overloaded, "too many requests wait for a reply");
    full.retry_after = std::chrono::milliseconds{100};
    complete(made, full);
    return std::nullopt;
}

void outstanding::mark_sent(std::uint64_t number) {
    const std::lock_guard lock{mutex_};
    if (const auto found = entries_.find(number); found != entries_.end()) {
        found->second.sent = true;
    }
}

void outstanding::mark_unsent(std::uint64_t number) {
    const std::lock_guard lock{mutex_};
    if (const auto found = entries_.find(number); found != entries_.end()) {
        found->second.sent = false;
    }
}

std::optional<outstanding::entry> outstanding::take(std::uint64_t number) {
    const std::lock_guard lock{mutex_};
    const auto found = entries_.find(number);
    if (found == entries_.end()) {
        return std::nullopt; // answered already
    }
    auto taken = std::move(found->second);
    entries_.erase(found);
    return taken;
}

void outstanding::finish(std::uint64_t number, reply got) {
    if (const auto taken = take(number)) {
        taken->done(std::move(got));
    }
}

void outstanding::part(std::uint64_t number, reply got) {
    auto taken = take(number); // nobody ends it while its completion runs
    if (!taken) {
        return;
    }
    taken->done(std::move(got));
    const std::lock_guard lock{mutex_};
    if (taken->until < earliest_) {
        earliest_ = taken->until;
        changed_.notify_one();
    }
    entries_.emplace(number, std::move(*taken));
}

void outstanding::finish(std::uint64_t number, const outcome& result) {
    if (auto taken = take(number)) {
        complete(*taken, result);
    }
}

void outstanding::fail(std::uint64_t number) {
    if (auto taken = take(number)) {
        complete(*taken, outcome::failure(code::internal, "the request failed in the client", {},
                                          known_effect(*taken)));
    }
}

std::vector<std::uint64_t> outstanding::lost() {
    std::vector<std::uint64_t> again;
    std::vector<entry> ended;
    {
        const std::lock_guard lock{mutex_};
        for (auto at = entries_.begin(); at != entries_.end();) {
            if (!at->second.sent) {
                ++at;
                continue;
            }
            if (at->second.writes) {
                ended.push_back(std::move(at->second));
                at = entries_.erase(at);
            } else {
                at->second.sent = false;
                again.push_back(at->first);
                ++at;
            }
        }
    }
    for (auto& one : ended) {
        complete(one, outcome::failure(code::backend_unavailable,
                                       "the connection to RabbitMQ broke; send the same request "
                                       "with the same id again to learn the outcome",
                                       {}, effect::unknown));
    }
    return again;
}

std::size_t outstanding::size() const {
    const std::lock_guard lock{mutex_};
    return entries_.size();
}

void outstanding::watch() {
    std::unique_lock lock{mutex_};
    while (!stopping_) {
        if (earliest_.is_never()) {
            changed_.wait(lock);
        } else {
            changed_.wait_until(lock, earliest_.when());
        }
        const auto now = std::chrono::steady_clock::now();
        if (stopping_ || now < earliest_.when()) {
            continue;
        }
        std::vector<entry> ended;
        earliest_ = core::deadline::never();
        for (auto at = entries_.begin(); at != entries_.end();) {
            if (now >= at->second.until.when()) {
                ended.push_back(std::move(at->second));
                at = entries_.erase(at);
            } else {
                earliest_ = earliest_.earlier(at->second.until);
                ++at;
            }
        }
        // Looking at every request costs: not more often than this. A deadline may be late by as
        // much.
        constexpr std::chrono::milliseconds rest{5};
        if (!earliest_.is_never()) {
            earliest_ = std::max(earliest_, core::deadline::at(now + rest));
        }
        lock.unlock();
        for (auto& one : ended) {
            complete(one,
                     outcome::failure(code::deadline_exceeded, "no reply came before the deadline",
                                      {}, known_effect(one)));
        }
        lock.lock();
    }
}

} // namespace beds::client
