#include "client/company.hpp"

#include <algorithm>

namespace beds::client {
namespace {

using core::op_class;

/// The class of a whole request: its highest. nullopt: the catalog has to be asked first.
std::optional<op_class> class_of(const request& what, const known_templates& known) {
    auto highest = op_class::read;
    for (const auto& op : what.operations) {
        const auto needs = known.class_of(op);
        if (!needs) {
            return std::nullopt;
        }
        highest = std::max(highest, *needs);
    }
    return highest;
}

/// Long jobs would make others wait for them.
bool may_share(const sending& one, op_class highest) {
    return !one.alone && one.what->order.empty() && one.what->event.empty() &&
           !one.what->enveloped && !one.what->in_parts && one.what->operations.size() == 1 &&
           highest != op_class::bulk && one.what->operations.front().op != core::verb::describe;
}

} // namespace

std::span<parcel> company::gather(std::vector<sending>& from, const known_templates& known,
                                  std::vector<sending>& unknown) {
    used_ = 0;
    shared_.clear();
    for (auto& one : from) {
        if (one.until.expired()) {
            continue; // ended by its deadline
        }
        // What has an order must not wait for the catalog while the next one does not.
        const auto highest =
            one.what->order.empty() ? class_of(*one.what, known) : std::optional{op_class::write};
        if (!highest) {
            unknown.push_back(std::move(one));
            continue;
        }
        const auto& first = one.what->operations.front();
        if (may_share(one, *highest)) {
            open(known.group_of(first.template_name), *highest).parts.push_back(std::move(one));
        } else {
            auto& own = next();
            own.highest = *highest;
            own.parts.push_back(std::move(one));
        }
    }
    from.clear();
    return {parcels_.data(), used_};
}

parcel& company::open(template_group group, op_class highest) {
    // A handful: one per database and class.
    for (const auto i : shared_) {
        if (parcels_[i].highest == highest && parcels_[i].group == group) {
            return parcels_[i];
        }
    }
    shared_.push_back(used_);
    auto& made = next();
    made.group = group;
    made.highest = highest;
    return made;
}

parcel& company::next() {
    if (used_ == parcels_.size()) {
        parcels_.emplace_back();
    }
    auto& made = parcels_[used_++];
    made.group = {};
    made.parts.clear();
    return made;
}

void company::give_back(std::vector<sending>& to) {
    for (std::size_t i = 0; i < used_; ++i) {
        for (auto& one : parcels_[i].parts) {
            if (one.what != nullptr) {
                to.push_back(std::move(one));
            }
        }
        parcels_[i].parts.clear();
    }
    used_ = 0;
}

} // namespace beds::client
