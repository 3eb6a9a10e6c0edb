#pragma once

#include <beds/core/error.hpp>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace beds::core::failpoint {

enum class action { kill, abort, stop, sleep, error, defect };

/// What is to be done at a point.
struct order {
    action what = action::kill;
    std::chrono::milliseconds pause{0}; ///< of sleep
    errc code = errc::internal;         ///< of error
};

/// The points that BEDS_FAILPOINTS names. Thread-safe.
class table {
public:
    /// Throws core::error (invalid_configuration) for text that is not understood; "" names none.
    explicit table(std::string_view text);

    [[nodiscard]] bool empty() const { return entries_.empty(); }

    /// What is to be done now that the point is met, in the order of the text.
    [[nodiscard]] std::vector<order> meet(std::string_view name, std::string_view message_id);

private:
    struct entry {
        std::string name{};
        std::string message_id{};
        std::uint64_t only = 0; ///< 0: every time
        std::uint64_t met = 0;
        order does{};
    };

    static entry parse(std::string_view text);

    std::mutex mutex_;
    std::vector<entry> entries_;
};

} // namespace beds::core::failpoint
