#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace beds::adapters {

/// How an engine would do one operation that is alone in its batch. Nothing of it was done.
struct explanation {
    /// What a session sends first for the operation, with a placeholder for every value.
    std::string statement;
    std::size_t values = 0; ///< number of placeholders that were filled for the plan
    /// What the server makes of it, as JSON, in its own words. Empty: `no_plan` says why.
    std::string plan;
    std::string no_plan;

    /// One table or collection, in the order in which the server reads them.
    struct step {
        std::string object;
        std::string access;                ///< in the server's words: `ref`, `ALL`, `IXSCAN`
        std::string index;                 ///< empty: none
        std::optional<std::uint64_t> rows; ///< as the server guesses
    };
    std::vector<step> steps;
    /// What gets slow as the data grows: reads everything, sorts. Empty: none was seen.
    std::vector<std::string> warnings;
};

} // namespace beds::adapters
