#pragma once

#include <string>
#include <vector>

namespace beds::test {

/// What corpus.txt holds, in its order.
struct hostile_corpus {
    std::vector<std::string> texts; ///< UTF-8
    std::vector<std::string> bytes; ///< no UTF-8
    std::vector<std::string> json;  ///< JSON of objects and arrays
};
/// Throws std::runtime_error for a line that is none.
hostile_corpus read_hostile_corpus();

/// A few names of accounts, all different.
std::vector<std::string> hostile_principals();

} // namespace beds::test
