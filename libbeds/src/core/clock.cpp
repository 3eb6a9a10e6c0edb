#include <beds/core/clock.hpp>

namespace beds::core {
namespace {

class machine final : public clock {
public:
    [[nodiscard]] steady_time steady_now() const override {
        return std::chrono::steady_clock::now();
    }
    [[nodiscard]] system_time system_now() const override {
        return std::chrono::system_clock::now();
    }
};

} // namespace

const clock& machine_clock() {
    static const machine the_clock;
    return the_clock;
}

} // namespace beds::core
