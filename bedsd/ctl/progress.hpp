#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

namespace bedsctl {

/// 1234567 as "1,234,567".
std::string with_commas(std::uint64_t number);

/// Says now and then how far it is: on a terminal in one line that is written over, elsewhere a
/// line every 10 seconds.
class progress {
public:
    enum class manner { quiet, lines, terminal };
    struct counts {
        std::uint64_t rows = 0;
        std::uint64_t rejected = 0;
        std::optional<double> part = {}; ///< of the whole, 0 … 1
    };

    using clock = std::chrono::steady_clock;

    progress(std::ostream& out, manner how, clock::time_point begin = clock::now());
    void show(const counts& now, clock::time_point time = clock::now());
    /// Before anything else is written: the line that is written over is ended.
    void end();
    [[nodiscard]] std::chrono::duration<double> elapsed() const;

private:
    std::ostream& out_;
    manner how_;
    clock::time_point begin_;
    clock::time_point next_;
    std::optional<double> first_part_;
    bool line_open_ = false;
};

} // namespace bedsctl
