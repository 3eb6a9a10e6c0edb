#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace beds::config {

/// One thing that is wrong with a configuration. Holds no value of a secret key, ever.
struct problem {
    /// Path as it was opened, `--set` for an override, "" for settings made in C++.
    std::string file = {};
    unsigned line = 0;   ///< counted from 1; 0: no position
    unsigned column = 0; ///< counted from 1; 0: no position
    /// Full path, for example `broker_services.app_server.port`; "" for a whole file.
    std::string key = {};
    std::string expected = {}; ///< what would be right, for example `an integer from 1 to 65535`
    std::string message = {}; ///< the sentence for people, with `expected` and "did you mean" in it

    friend bool operator==(const problem&, const problem&) = default;
};

/// `file:line:column: key: message`, without the parts that are not there.
std::string to_string(const problem& value);

/// One line each.
std::string to_string(const std::vector<problem>& values);

std::ostream& operator<<(std::ostream& out, const problem& value);

} // namespace beds::config
