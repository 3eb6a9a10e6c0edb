#include "brokers/replacement.hpp"

namespace beds::brokers {

replacement::action replacement::next(const broker_view& seen, core::steady_time now) {
    if (current_ == brokers_) {
        return action::done;
    }
    const bool late = now - since_ >= patience_;
    switch (phase_) {
    case phase::next:
        phase_ = phase::finishing;
        since_ = now;
        served_before_ = seen.serves;
        return action::retire;
    case phase::finishing:
    case phase::late:
        if (seen.stopped) {
            phase_ = phase::starting;
            since_ = now;
            return action::start;
        }
        if (late && phase_ == phase::finishing) {
            phase_ = phase::late;
            return action::tell;
        }
        return action::wait;
    case phase::starting:
        // The servers of one that did not serve before may stay away: that is no reason to wait.
        if (seen.tried && (seen.serves || !served_before_)) {
            ++current_;
            phase_ = phase::next;
            return current_ == brokers_ ? action::done : action::wait;
        }
        if (!late) {
            return action::wait;
        }
        phase_ = phase::gave_up;
        return action::give_up;
    case phase::gave_up:
        return action::give_up;
    }
    return action::wait;
}

} // namespace beds::brokers
