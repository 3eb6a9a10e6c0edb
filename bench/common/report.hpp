#pragma once

#include "common/driver.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace beds::bench {

struct bench_options {
    unsigned rounds = 5;
    double scale = 1.0; ///< of the number of messages; `--quick` makes it small
    bool judge = true;  ///< `--quick` is too short for a verdict on speed
    unsigned brokers = 1;
};
/// `--rounds N`, `--quick`, `--brokers N`, `--help`. Ends the program on bad use.
bench_options parse_options(int argc, char** argv, const char* what);

/// What is compared, and the ratio that BEDS has to reach.
struct comparison {
    std::string name;
    std::string unit;
    double goal = 1.0;
};

/// Runs floor and BEDS in turn for some rounds, prints each and whether the median of the ratios
/// reaches the goal, and last the line `NAME ratio=R beds=X floor=Y unit=…` with the medians.
/// Returns the exit code: 1 when an answer was wrong or `check` says that the effects are not
/// there, 3 when the goal was missed.
int compare(const comparison& what, const bench_options& options,
            const std::function<measurement()>& floor, const std::function<measurement()>& beds,
            const std::function<std::string()>& check = {});

} // namespace beds::bench
