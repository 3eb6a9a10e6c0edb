#pragma once

#include <beds/client/client.hpp>
#include <beds/core/outcome.hpp>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>

namespace beds::client {

/// The reply that a client makes itself: every operation of the request gets the same outcome.
reply make_reply(const request& to, const core::outcome& result);

/// Requests that wait for a reply, and the thread that ends those whose deadline passes.
/// Completions run with no lock held, on whichever thread finishes the request first; each exactly
/// once.
class outstanding {
public:
    explicit outstanding(std::size_t most);
    ~outstanding() { stop(); }
    outstanding(const outstanding&) = delete;
    outstanding& operator=(const outstanding&) = delete;

    /// Ends what is left as BACKEND_UNAVAILABLE. Then it is as good as full.
    void stop();

    using completion = client::completion;

    /// A number for the request, or nullopt when too many wait (the completion was called).
    std::optional<std::uint64_t> add(std::shared_ptr<const request> what, core::deadline until,
                                     bool writes, completion done);
    /// From now on an unknown outcome is possible.
    void mark_sent(std::uint64_t number);
    /// Certainly not worked on, or worked on without effect: it may be sent again.
    void mark_unsent(std::uint64_t number);
    void finish(std::uint64_t number, reply got);
    /// A part that is not the last: the request goes on waiting.
    void part(std::uint64_t number, reply got);
    void finish(std::uint64_t number, const core::outcome& result);
    /// Ends as INTERNAL a request that was under way when the client itself failed.
    void fail(std::uint64_t number);
    /// Every request that may be under way: those that only read are returned to be sent again, the
    /// others end as unknown.
    std::vector<std::uint64_t> lost();
    [[nodiscard]] std::size_t size() const;

private:
    struct entry {
        std::shared_ptr<const request> what;
        core::deadline until = core::deadline::never();
        bool writes = false;
        bool sent = false;
        completion done;
    };
    void watch();
    std::optional<entry> take(std::uint64_t number);
    static core::effect known_effect(const entry& of);
    static void complete(entry& finished, const core::outcome& result);

    std::size_t most_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::unordered_map<std::uint64_t, entry> entries_;
    std::uint64_t next_ = 1;
    core::deadline earliest_ = core::deadline::never();
    bool stopping_ = false;
    std::thread watcher_;
};

/// The deadline as a time of day, for the node: a year ahead at most, which clocks and the protocol
/// can hold. nullopt for `never()`.
std::optional<core::system_time> time_of_day(core::deadline until);

/// A random (version 4) UUID.
std::string new_uuid();

} // namespace beds::client
