#pragma once

namespace bedsctl {

/// What bedsctl ends with. Scripts rely on the numbers; `--help` lists them.
enum class exit_code : int {
    ok = 0,
    refused = 1, ///< the answer is an error, and nothing was changed
    usage = 2,
    unknown = 3, ///< effect unknown, or nobody was there to answer
};

} // namespace bedsctl
