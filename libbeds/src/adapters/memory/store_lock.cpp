#include "adapters/memory/store_lock.hpp"

namespace beds::adapters::memory {

namespace {

template <class Ready>
bool wait(std::condition_variable& signal, std::unique_lock<std::mutex>& held, core::deadline until,
          Ready ready) {
    if (until.is_never()) {
        signal.wait(held, ready);
        return true;
    }
    return signal.wait_until(held, until.when(), ready);
}

} // namespace

bool store_lock::lock(core::deadline until) {
    std::unique_lock held{mutex_};
    ++waiting_writers_;
    const bool got = wait(writer_goes_, held, until, [this] { return !writing_ && readers_ == 0; });
    --waiting_writers_;
    if (got) {
        writing_ = true;
    } else if (waiting_writers_ == 0 && !writing_) {
        // Readers stood back for a writer that has given up.
        held.unlock();
        readers_go_.notify_all();
    }
    return got;
}

void store_lock::unlock() {
    bool writers_wait = false;
    {
        const std::lock_guard held{mutex_};
        writing_ = false;
        writers_wait = waiting_writers_ > 0;
    }
    if (writers_wait) {
        writer_goes_.notify_one();
    } else {
        readers_go_.notify_all();
    }
}

bool store_lock::lock_shared(core::deadline until) {
    std::unique_lock held{mutex_};
    if (!wait(readers_go_, held, until, [this] { return !writing_ && waiting_writers_ == 0; })) {
        return false;
    }
    ++readers_;
    return true;
}

void store_lock::unlock_shared() {
    bool writer_may = false;
    {
        const std::lock_guard held{mutex_};
        writer_may = --readers_ == 0 && waiting_writers_ > 0;
    }
    if (writer_may) {
        writer_goes_.notify_one();
    }
}

} // namespace beds::adapters::memory
