#pragma once

#include "support/catch.hpp"

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace beds::test {

/// A generator whose seed is printed with a failure; BEDS_TEST_SEED repeats the run.
class seeded {
public:
    seeded() {
        const char* const given = std::getenv("BEDS_TEST_SEED");
        seed_ = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
        engine_.seed(seed_);
    }

    [[nodiscard]] std::string note() const { return "BEDS_TEST_SEED=" + std::to_string(seed_); }

    template <class Integer>
    Integer between(Integer least, Integer most) {
        return std::uniform_int_distribution<Integer>{least, most}(engine_);
    }

private:
    std::uint64_t seed_ = 0;
    std::mt19937_64 engine_;
};

} // namespace beds::test
