#pragma once

#include <beds/core/deadline.hpp>

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace beds::adapters::memory {

/// A lock for many readers or one writer with deadlines. A waiting writer lets no new reader in:
/// std::shared_timed_mutex may let it starve. May be unlocked by another thread than locked it.
class store_lock {
public:
    [[nodiscard]] bool lock(core::deadline until);
    void unlock();
    [[nodiscard]] bool lock_shared(core::deadline until);
    void unlock_shared();

private:
    std::mutex mutex_;
    std::condition_variable readers_go_;
    std::condition_variable writer_goes_;
    std::uint32_t readers_ = 0;
    std::uint32_t waiting_writers_ = 0;
    bool writing_ = false;
};

} // namespace beds::adapters::memory
