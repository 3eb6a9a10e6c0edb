#include "common/client_load.hpp"

#include <beds/client/amqp_client.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>

namespace beds::bench {
namespace {

class caller {
public:
    caller(client::client& through, const client_load& what) : through_(through), what_(what) {}

    measurement run() {
        const auto begin = std::chrono::steady_clock::now();
        for (std::uint64_t i = 0; i < std::min(what_.window, what_.calls); ++i) {
            next();
        }
        std::unique_lock lock{mutex_};
        finished_.wait(lock, [&] { return answered_ == what_.calls; });
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        result_.operations = what_.calls;
        result_.operations_per_second = static_cast<double>(what_.calls) / took.count();
        return result_;
    }

private:
    void next() {
        const auto i = started_.fetch_add(1, std::memory_order_relaxed);
        if (i >= what_.calls) {
            return;
        }
        through_.submit(what_.make(i), core::deadline::after(std::chrono::seconds{30}),
                        [this, i](const client::reply& got) { take(i, got); });
    }

    void take(std::uint64_t i, const client::reply& got) {
        const bool right = what_.verify(i, got);
        next();
        // Completions come one after the other, but the last of them and the one that waits meet.
        const std::lock_guard lock{mutex_};
        if (!right && result_.wrong++ == 0) {
            result_.first_wrong = got.json();
        }
        if (++answered_ == what_.calls) {
            finished_.notify_one();
        }
    }

    client::client& through_;
    const client_load& what_;
    std::atomic<std::uint64_t> started_{0};
    std::mutex mutex_;
    std::condition_variable finished_;
    std::uint64_t answered_ = 0;
    measurement result_;
};

} // namespace

std::unique_ptr<client::client> connect_client(const rabbitmq_endpoint& where,
                                               const bench_node& node) {
    client::amqp_client_settings settings;
    settings.amqp.host = where.host;
    settings.amqp.port = static_cast<std::uint16_t>(where.port);
    settings.amqp.vhost = where.vhost;
    settings.amqp.user = where.user;
    settings.amqp.password = core::secret{where.password};
    settings.queue_tag = node.tag();
    auto made = client::make_amqp_client(settings);
    if (!made->wait_ready(core::deadline::after(std::chrono::seconds{10}))) {
        throw std::runtime_error("the client did not connect");
    }
    return made;
}

measurement run_client_load(const rabbitmq_endpoint& where, const bench_node& node,
                            const client_load& what) {
    const auto beds = connect_client(where, node);
    caller calls{*beds, what};
    return calls.run();
}

} // namespace beds::bench
