#pragma once

#include <beds/core/error.hpp>

namespace bedsd {

/// What bedsd ends with. Scripts and units rely on the numbers; `--help` lists them.
enum class exit_code : int {
    ok = 0,
    failure = 1, ///< work was left behind at the end, or anything that has no number of its own
    usage = 2,
    bad_configuration = 3,
    bad_template = 4,
    unreachable = 5, ///< a required server was not reached within `admin.start_timeout`
};

/// What an error that ends the daemon means to its caller.
exit_code exit_code_of(const beds::core::error& error);

} // namespace bedsd
