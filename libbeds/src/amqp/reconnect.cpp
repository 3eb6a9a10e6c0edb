#include <beds/amqp/reconnect.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

namespace beds::amqp {

using std::chrono::milliseconds;

reconnect_fsm::reconnect_fsm(const reconnect_policy& policy, random_source random)
    : policy_(policy), random_(std::move(random)) {}

reconnect_action reconnect_fsm::next(core::steady_time now) const {
    switch (state_) {
    case state::connected:
        return {reconnect_action::kind::rest, {}};
    case state::waiting:
        if (now < until_) {
            return {reconnect_action::kind::wait, until_};
        }
        break;
    case state::idle:
        break;
    }
    return {reconnect_action::kind::connect, {}};
}

void reconnect_fsm::connected(core::steady_time now) {
    state_ = state::connected;
    since_ = now;
}

void reconnect_fsm::attempt_failed(connect_failure why, core::steady_time now) {
    back_off(why == connect_failure::refused ? policy_.refused : milliseconds{0}, policy_.cap, now);
}

void reconnect_fsm::lost(core::steady_time now, loss what) {
    if (state_ != state::connected) {
        return;
    }
    if (now - since_ >= policy_.stable_after) {
        failures_ = 0;
    }
    back_off(milliseconds{0},
             what == loss::channel ? std::min(policy_.refused, policy_.cap) : policy_.cap, now);
}

void reconnect_fsm::back_off(milliseconds at_least, milliseconds at_most, core::steady_time now) {
    const auto first = static_cast<double>(policy_.first.count());
    const auto cap = static_cast<double>(at_most.count());
    // The exponent is bounded so that the power stays finite.
    const auto longest =
        std::min(cap, first * std::pow(policy_.factor, std::min<std::uint32_t>(failures_, 64)));
    // A server that is away for long is not asked at once by anybody: it halves what all of them
    // do.
    const auto least = longest < cap ? 0.0 : cap / 2;
    const auto wait =
        milliseconds{static_cast<milliseconds::rep>(least + (longest - least) * random_())};
    ++failures_;
    until_ = now + std::max(wait, at_least);
    state_ = state::waiting;
}

reconnect_lead::reconnect_lead(milliseconds patience) : patience_(patience) {}

bool reconnect_lead::leads_another(const void* who, core::steady_time now) const {
    return leads_ != nullptr && leads_ != who && now < next_ + patience_;
}

bool reconnect_lead::may_try(const void* who, core::steady_time now) const {
    const std::lock_guard lock{mutex_};
    return !leads_another(who, now);
}

void reconnect_lead::found_away(const void* who, core::steady_time now, core::steady_time next,
                                std::string why) {
    const std::lock_guard lock{mutex_};
    if (!leads_another(who, now)) {
        leads_ = who;
        next_ = next;
        why_ = std::move(why);
    }
}

std::string reconnect_lead::why() const {
    const std::lock_guard lock{mutex_};
    return why_;
}

void reconnect_lead::found_there() {
    const std::lock_guard lock{mutex_};
    leads_ = nullptr;
}

void reconnect_lead::gone(const void* who) {
    const std::lock_guard lock{mutex_};
    if (leads_ == who) {
        leads_ = nullptr;
    }
}

reconnect_fsm::random_source system_random() {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return [engine = std::mt19937{seed}]() mutable {
        return std::generate_canonical<double, 32>(engine);
    };
}

} // namespace beds::amqp
