#pragma once

#include "exit_code.hpp"

#include <beds/client/client.hpp>

#include <chrono>
#include <cstddef>
#include <iosfwd>

namespace bedsctl {

struct stream_limits {
    std::chrono::milliseconds timeout{10'000}; ///< of each request
    std::size_t window = 256;                  ///< requests under way; reading waits beyond it
};

/// Reads one request per line and writes one reply per line, in the order of the requests; each
/// reply is written as soon as it and all before it are there. Empty lines are skipped. Returns the
/// highest exit code of all replies, at least `unknown` when writing fails.
exit_code run_stream(beds::client::client& through, std::istream& in, std::ostream& out,
                     stream_limits limits = {});

} // namespace bedsctl
