#include <beds/client/client.hpp>

#include <condition_variable>
#include <mutex>
#include <optional>

namespace beds::client {

reply client::call(request what, core::deadline until) {
    struct waiting {
        std::mutex mutex;
        std::condition_variable done;
        std::optional<reply> got;
    };
    // Shared: the completion may still be on its way out when the waiter has seen the reply.
    const auto shared = std::make_shared<waiting>();
    what.in_parts = false; // one reply
    submit(std::move(what), until, [shared](reply got) {
        const std::lock_guard lock{shared->mutex};
        shared->got.emplace(std::move(got));
        shared->done.notify_one();
    });
    std::unique_lock lock{shared->mutex};
    shared->done.wait(lock, [&] { return shared->got.has_value(); });
    return std::move(*shared->got);
}

} // namespace beds::client
