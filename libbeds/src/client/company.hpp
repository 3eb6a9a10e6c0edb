#pragma once

#include "client/known_templates.hpp"

#include <beds/core/deadline.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace beds::client {

/// A request on its way out.
struct sending {
    std::uint64_t number = 0; ///< among the requests that wait for a reply
    std::shared_ptr<const request> what;
    core::deadline until = core::deadline::never();
    bool writes = false;
    bool rerouted = false;
    bool alone = false; ///< company did it no good: it is sent in a message of its own
};

/// Requests that leave in one message, or in several when they exceed a message's bounds; one
/// request that goes alone.
struct parcel {
    template_group group; ///< none: of one that goes alone
    core::op_class highest = core::op_class::read;
    std::vector<sending> parts;
};

/// Sorts what was submitted since the I/O thread looked last: single operations of one group and
/// class share a message, each with its own id and deadline; everything else goes alone. Never
/// waits for more to come. The order of what shares a message is the order of submission.
class company {
public:
    /// Requests that cannot be routed before the catalog is known go to `unknown`, those whose
    /// deadline passed nowhere. `from` is left empty. Views into `known` until the next call.
    std::span<parcel> gather(std::vector<sending>& from, const known_templates& known,
                             std::vector<sending>& unknown);
    /// What a failure left: every request that is still in a parcel.
    void give_back(std::vector<sending>& to);

private:
    parcel& open(template_group group, core::op_class highest);
    parcel& next();

    std::vector<parcel> parcels_; // their memory is kept
    std::size_t used_ = 0;
    std::vector<std::size_t> shared_; ///< positions of those that take more
};

} // namespace beds::client
