#include "amqp/confirm_tracker.hpp"

#include <algorithm>
#include <utility>

namespace beds::amqp::detail {

std::uint64_t confirm_tracker::published(std::uint64_t fingerprint) {
    if (next_ - base_ == ring_.size()) {
        grow();
    }
    at(next_) = {fingerprint, false, false};
    ++outstanding_;
    return next_++;
}

void confirm_tracker::settle(std::uint64_t tag, bool multiple, std::vector<std::uint64_t>* nacked) {
    // Tag 0 with `multiple` means everything so far.
    const auto last = tag == 0 ? next_ - 1 : std::min(before_ + tag, next_ - 1);
    if (multiple) {
        for (auto each = base_; each <= last; ++each) {
            settle_one(each, nacked);
        }
    } else if (tag != 0 && before_ + tag >= base_ && before_ + tag < next_) {
        settle_one(last, nacked);
    }
    while (base_ < next_ && at(base_).settled) {
        ++base_;
    }
}

void confirm_tracker::settle_one(std::uint64_t sequence, std::vector<std::uint64_t>* nacked) {
    entry& settling = at(sequence);
    if (settling.settled) {
        return;
    }
    settling.settled = true;
    --outstanding_;
    if (nacked != nullptr && !settling.returned) {
        nacked->push_back(sequence);
    }
}

std::uint64_t confirm_tracker::returned(std::uint64_t fingerprint) {
    const auto search = [&](std::uint64_t from, std::uint64_t to) -> std::uint64_t {
        for (auto each = from; each < to; ++each) {
            entry& candidate = at(each);
            if (candidate.fingerprint == fingerprint && !candidate.settled && !candidate.returned) {
                candidate.returned = true;
                return each;
            }
        }
        return 0;
    };
    const auto expected = std::max(base_, last_returned_ + 1);
    auto found = search(expected, next_);
    if (found == 0) {
        found = search(base_, std::min(expected, next_));
    }
    if (found != 0) {
        last_returned_ = found;
    }
    return found;
}

void confirm_tracker::restart() {
    before_ = next_ - 1;
    base_ = next_;
    outstanding_ = 0;
}

bool confirm_tracker::settled(std::uint64_t sequence) const {
    return sequence < base_ || (sequence < next_ && at(sequence).settled);
}

void confirm_tracker::grow() {
    std::vector<entry> bigger(ring_.size() * 2);
    for (auto each = base_; each < next_; ++each) {
        bigger[each & (bigger.size() - 1)] = at(each);
    }
    ring_ = std::move(bigger);
}

} // namespace beds::amqp::detail
