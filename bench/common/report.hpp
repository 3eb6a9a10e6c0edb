#pragma once

#include "common/driver.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace beds::bench {

struct bench_options {
    unsigned rounds = 5;
    double scale = 1.0; ///< of the number of messages; `--quick` makes it small
    bool judge = true;  ///< `--quick` is too short for a verdict on speed
    unsigned brokers = 1;
    unsigned window = 0;   ///< `--window N`: operations under way; 0: what the bench is about
    unsigned envelope = 0; ///< `--envelope N`: operations per message; 0: what the bench is about
    /// `--beds-only`: no floor beside BEDS and no verdict, for profiles. Heeded by `compare`.
    bool beds_only = false;
};
/// `--rounds N`, `--quick`, `--brokers N`, `--scale F`, `--window N`, `--envelope N`, `--help`.
/// Ends the program on bad use.
bench_options parse_options(int argc, char** argv, const char* what);

/// A setting of a run, printed before the first round and recorded.
struct setting {
    setting(std::string its_name, std::string its_value)
        : name(std::move(its_name)), value(std::move(its_value)) {}
    setting(std::string its_name, std::uint64_t its_value)
        : name(std::move(its_name)), value(std::to_string(its_value)) {}
    std::string name;
    std::string value;
};

/// A curve or a table that a bench leaves beside its ratio: percentiles, cost over brokers.
struct series {
    std::string name;
    std::vector<std::string> columns; ///< the first is what the others depend on
    std::vector<std::vector<double>> rows;
};

enum class better { higher, lower };

/// What the goal is about: BEDS / floor, or BEDS's own value (milliseconds, megabytes).
enum class goal_of { ratio, value };

/// What is compared, and what BEDS has to reach.
struct comparison {
    std::string name;
    std::string unit;
    double goal = 1.0; ///< at least this, or at most where lower is better
    std::vector<setting> settings{};
    better direction = better::higher;
    /// Asked once, after the last round.
    std::function<std::vector<series>()> curves{};
    goal_of judged = goal_of::ratio;
};

/// Both values of one round, in the unit of the comparison.
struct round {
    double floor = 0;
    double beds = 0;
};

/// Prints the name and `key=value` of each setting. `compare` does it.
void print_settings(const comparison& what);

/// The end of every bench: prints the spread of the ratios, whether their median reaches the goal,
/// and last the line `NAME ratio=R beds=X floor=Y unit=…` with the medians. Appends the same as one
/// line of JSON to the file that the environment variable BEDS_BENCH_RESULTS names. `wrong` says
/// what was wrong with answers or effects, empty: nothing.
/// Returns the exit code: 1 when something was wrong, 3 when the goal was missed.
///
/// The line: {"name","unit","direction":"higher"|"lower","goal",
/// "goal_of":"ratio"|"value","settings":{name:text},
/// "rounds":[[floor,beds],…],"ratio":{"median","least","most"},"floor","beds",
/// "verdict":"reached"|"missed"|"wrong"|"unjudged","wrong":text,
/// "series":[{"name","columns":[…],"rows":[[…],…]}]}
int finish(const comparison& what, const bench_options& options, std::span<const round> rounds,
           const std::string& wrong);

/// Another floor for the same figure of BEDS, with a goal and a last line of its own.
struct further_floor {
    std::string name; ///< of its line: that of the bench and what the floor is
    double goal = 1.0;
    std::function<measurement()> run;
};

/// Runs floor and BEDS in turn for some rounds, prints each, and finishes; with further floors each
/// of them too, in the same rounds, before the bench's own line. `check` looks for the effects
/// afterwards and says what is wrong with them.
int compare(const comparison& what, const bench_options& options,
            const std::function<measurement()>& floor, const std::function<measurement()>& beds,
            const std::function<std::string()>& check = {},
            const std::vector<further_floor>& further = {});

} // namespace beds::bench
