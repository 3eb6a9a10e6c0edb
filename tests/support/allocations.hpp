#pragma once

#include <cstdint>

/// What a piece of code takes from the heap, and which locks. A program that compiles
/// allocations.cpp counts every `malloc` and mutex of all its threads, the C libraries' included.
namespace beds::test {

struct costs {
    std::uint64_t allocations = 0;
    std::uint64_t locks = 0;
};

/// Since the program started.
costs costs_so_far();

/// False with address or thread sanitizer: they bring their own `malloc`, and nothing is counted.
bool costs_are_counted();

} // namespace beds::test
