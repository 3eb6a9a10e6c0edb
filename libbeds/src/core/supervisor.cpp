#include <beds/core/supervisor.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <vector>

namespace beds::core {
namespace {

// Arming wakes nobody, so the thread looks by itself; this bounds how late it notices.
constexpr std::chrono::milliseconds period{50};
constexpr std::int64_t unarmed = std::numeric_limits<std::int64_t>::max();

std::int64_t ticks(steady_time when) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
}

} // namespace

struct supervisor::socket::state {
    std::atomic<std::int64_t> until{unarmed}; ///< steady nanoseconds
    std::atomic<bool> fired{false};
    std::atomic<bool> gone{false};
    std::mutex
        descriptor_mutex; ///< held over shutdown(2), so that no other file has the number then
    int descriptor = -1;

    void shut_down_if_late(std::int64_t now) {
        const auto late = [this, now] {
            const std::int64_t at = until.load(std::memory_order_acquire);
            return at != unarmed && at < now - std::chrono::nanoseconds{supervisor::grace}.count();
        };
        if (!late()) {
            return;
        }
        const std::lock_guard lock{descriptor_mutex};
        // Once more: the call may have returned, and the socket changed, while the lock was taken.
        if (descriptor >= 0 && late() && !fired.load(std::memory_order_relaxed)) {
            fired.store(true, std::memory_order_release);
            ::shutdown(descriptor, SHUT_RDWR);
        }
    }
};

struct supervisor::impl {
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;
    std::vector<std::shared_ptr<socket::state>> sockets;
    std::thread watcher;

    void run() {
        std::vector<std::shared_ptr<socket::state>> watched;
        std::unique_lock lock{mutex};
        while (!stopping) {
            std::erase_if(sockets, [](const auto& each) {
                return each->gone.load(std::memory_order_acquire);
            });
            if (sockets.empty()) {
                changed.wait(lock, [this] { return stopping || !sockets.empty(); });
                continue;
            }
            watched = sockets;
            lock.unlock();
            const std::int64_t now = ticks(machine_clock().steady_now());
            for (const auto& each : watched) {
                each->shut_down_if_late(now);
            }
            watched.clear();
            lock.lock();
            changed.wait_for(lock, period, [this] { return stopping; });
        }
    }
};

supervisor::supervisor() : impl_(std::make_unique<impl>()) {
    impl_->watcher = std::thread{[watching = impl_.get()] { watching->run(); }};
}

supervisor::~supervisor() {
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->stopping = true;
    }
    impl_->changed.notify_all();
    impl_->watcher.join();
}

std::shared_ptr<supervisor> supervisor::shared() {
    static std::mutex mutex;
    static std::weak_ptr<supervisor> known;
    const std::lock_guard lock{mutex};
    auto there = known.lock();
    if (!there) {
        there = std::make_shared<supervisor>();
        known = there;
    }
    return there;
}

std::unique_ptr<supervisor::socket> supervisor::watch() {
    auto shared = std::make_shared<socket::state>();
    std::unique_ptr<socket> place{new socket{shared}};
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->sockets.push_back(std::move(shared));
    }
    impl_->changed.notify_all();
    return place;
}

supervisor::socket::socket(std::shared_ptr<state> shared) : state_(std::move(shared)) {}

supervisor::socket::~socket() {
    detach();
    state_->gone.store(true, std::memory_order_release);
}

void supervisor::socket::attach(int descriptor) {
    const std::lock_guard lock{state_->descriptor_mutex};
    state_->descriptor = descriptor;
    state_->fired.store(false, std::memory_order_release);
}

void supervisor::socket::detach() {
    const std::lock_guard lock{state_->descriptor_mutex};
    state_->descriptor = -1;
}

bool supervisor::socket::fired() const {
    return state_->fired.load(std::memory_order_acquire);
}

supervisor::socket::guard::guard(socket& armed, deadline until)
    : armed_(armed), outer_(armed.state_->until.load(std::memory_order_relaxed)) {
    const std::int64_t wanted = until.is_never() ? unarmed : ticks(until.when());
    armed_.state_->until.store(std::min(outer_, wanted), std::memory_order_release);
}

supervisor::socket::guard::~guard() {
    armed_.state_->until.store(outer_, std::memory_order_release);
}

} // namespace beds::core
