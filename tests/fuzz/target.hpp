#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>

/// What every target defines: takes any bytes, and neither crashes nor says things that do not fit
/// together. libFuzzer calls it with what it makes up, the replay driver with the corpus.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace beds::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// A promise of the code under test: broken means a finding.
inline void expect(bool holds) {
    if (!holds) {
        std::abort();
    }
}

} // namespace beds::fuzz
