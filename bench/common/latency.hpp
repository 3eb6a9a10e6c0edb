#pragma once

#include "common/driver.hpp"
#include "common/histogram.hpp"

namespace beds::bench {

struct latencies {
    histogram times;
    std::uint64_t wrong = 0;
    std::string first_wrong;
};

/// One message at a time, each sent when the one before is answered: how long a reply takes. The
/// first `warm_up` messages are not counted. Transient messages only; the window does not matter.
latencies run_one_by_one(const rabbitmq_endpoint& where, const load& what, std::uint64_t warm_up);

/// Messages leave at a fixed rate, whether replies come or not, and each time counts from the
/// moment at which its message was due, not from when it was sent: what waits behind a slow reply
/// has waited (no coordinated omission).
latencies run_open_loop(const rabbitmq_endpoint& where, const load& what, double per_second,
                        std::uint64_t warm_up);

} // namespace beds::bench
