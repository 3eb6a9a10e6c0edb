#pragma once

#include <beds/core/clock.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

namespace beds::amqp {

/// When to try again after a connection was lost or could not be made. Never gives up: a server
/// that is away comes back, and whoever has waited long enough stops the owner.
///
/// These defaults: after the first second 50 clients and 3 nodes ask for a server that is away less
/// than ten times a second, and all of them are back within ten seconds of its return.
struct reconnect_policy {
    std::chrono::milliseconds first{100}; ///< the longest first wait, greater than 0
    std::chrono::milliseconds cap{9'000}; ///< no wait is longer, at least `first`
    double factor = 3.0;                  ///< growth of the longest wait per failure, at least 1
    /// A refusal (credentials, vhost, certificate) does not heal by hurrying: waits at least this.
    /// A server that is there and closed a channel is not waited for any longer than this.
    std::chrono::milliseconds refused{2'000};
    /// A connection that lived this long counts as stable, and the next loss starts from `first`
    /// again. One that is lost sooner goes on where the waits were.
    std::chrono::milliseconds stable_after{10'000};
};

/// Why an attempt failed.
enum class connect_failure {
    unreachable, ///< no answer, connection refused or reset, deadline
    refused,     ///< the server said no
};

/// What was lost.
enum class loss {
    connection, ///< the server may be away
    channel,    ///< the server is there, and closed a channel: what was used is not there (yet)
};

/// What the owner should do now.
struct reconnect_action {
    enum class kind {
        connect, ///< try now, then report `connected` or `attempt_failed`
        wait,    ///< nothing before `until`
        rest,    ///< connected; nothing to do
    };
    kind what = kind::connect;
    core::steady_time until{}; ///< `wait` only

    friend bool operator==(const reconnect_action&, const reconnect_action&) = default;
};

/// The decisions of reconnecting without the doing: fed with events and the time, answers what to
/// do next. Exponential back-off with full jitter (each wait is random between zero and the
/// longest, from the cap on between half of it and all of it), so that many clients of a restarted
/// server do not come back at once. The first attempt ever is made at once; after a loss even the
/// first attempt is spread.
///
/// `random` gives numbers in [0, 1). Not thread-safe.
class reconnect_fsm {
public:
    using random_source = std::function<double()>;

    reconnect_fsm(const reconnect_policy& policy, random_source random);

    /// The action that is due at `now`. `connect` is repeated until an outcome is reported.
    [[nodiscard]] reconnect_action next(core::steady_time now) const;

    void connected(core::steady_time now);
    void attempt_failed(connect_failure why, core::steady_time now);
    void lost(core::steady_time now, loss what = loss::connection);

    /// Attempts that failed in a row, losses of unstable connections included.
    [[nodiscard]] std::uint32_t failures() const { return failures_; }

private:
    enum class state { idle, waiting, connected };
    void back_off(std::chrono::milliseconds at_least, std::chrono::milliseconds at_most,
                  core::steady_time now);

    reconnect_policy policy_;
    random_source random_;
    state state_ = state::idle;
    std::uint32_t failures_ = 0;
    core::steady_time since_{}; ///< of the connection
    core::steady_time until_{}; ///< end of the wait
};

/// Connections of one process to one server: while it is away one of them asks whether it is back,
/// and the others wait for what that one finds. Any thread.
class reconnect_lead {
public:
    /// Until whoever leads is this late, nobody else asks in its place.
    explicit reconnect_lead(std::chrono::milliseconds patience = std::chrono::seconds{5});

    /// Whether `who`, whose own wait is over, is to try now.
    [[nodiscard]] bool may_try(const void* who, core::steady_time now) const;
    /// `who` found the server away, for this reason, and will ask again at `next`: it leads if
    /// nobody else does.
    void found_away(const void* who, core::steady_time now, core::steady_time next,
                    std::string why = {});
    /// What the one that leads found.
    [[nodiscard]] std::string why() const;
    /// Somebody found the server there: all may try.
    void found_there();
    /// `who` asks no more. Another one does if it was the one.
    void gone(const void* who);

private:
    [[nodiscard]] bool leads_another(const void* who, core::steady_time now) const;

    const std::chrono::milliseconds patience_;
    mutable std::mutex mutex_;
    const void* leads_ = nullptr;
    core::steady_time next_{}; ///< when it asks again
    std::string why_;
};

/// Numbers in [0, 1) from a generator that is seeded differently in every process and object.
reconnect_fsm::random_source system_random();

} // namespace beds::amqp
