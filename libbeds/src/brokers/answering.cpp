#include "brokers/impl.hpp"
#include "core/failpoint.hpp"

#include <algorithm>
#include <utility>

namespace beds::brokers {

bool broker::impl::reply(core::deadline until) {
    bool careful_with_one = false;
    direct.clear();
    for (auto& entry : chunk) {
        const auto reply_to = entry.delivery->properties().reply_to;
        const auto why = worst(entry);
        careful_with_one = careful_with_one || why;
        if (reply_to.empty()) {
            if (why) {
                keep(entry, *why, until);
            }
        } else if (reply_to.starts_with(direct_reply_to)) {
            direct.push_back(&entry);
        } else {
            // Rows that were read and reach nobody are lost to nobody (decision 0005).
            const bool must_arrive = confirmed || why;
            const auto sequence =
                publish_reply(entry, why ? sure() : *out,
                              must_arrive ? amqp::mandatory::yes : amqp::mandatory::no, until);
            entry.sequence = must_arrive ? sequence : 0;
        }
    }
    reply_directly(until);
    if (!confirmed) {
        out->flush(until);
    }
    BEDS_FAILPOINT(reply_published);
    return confirmed || careful_with_one;
}

std::uint64_t broker::impl::publish_reply(const taken& entry, amqp::publisher_connection& through,
                                          amqp::mandatory mandatory, core::deadline until) {
    body.clear();
    if (entry.refused) {
        wire::append_refusal(body, entry.event, *entry.refused);
    } else {
        const auto& message = messages[entry.message];
        writer.append_reply(body, entry.event, message.request.enveloped, message.first,
                            message.results);
        // Thousands of long errors: RabbitMQ would end the channel over a message above its
        // limit.
        constexpr std::size_t room_for_outcomes = 512 * 1024;
        if (body.size() > given.max_reply + room_for_outcomes) {
            body.clear();
            wire::append_refusal(body, entry.event, too_long(message.results));
        }
    }
    live::add(counters.replies);
    return publish_bytes(entry, body, through, mandatory, until);
}

std::uint64_t broker::impl::publish_bytes(const taken& entry, std::string_view bytes,
                                          amqp::publisher_connection& through,
                                          amqp::mandatory mandatory, core::deadline until) {
    const auto& request = entry.delivery->properties();
    amqp::properties properties; // no headers: RabbitMQ takes them apart (decision 0007)
    properties.correlation_id = request.correlation_id;
    properties.type = "beds.reply";
    properties.content_type = "application/json";
    return through.publish({}, request.reply_to, properties, bytes, mandatory, until);
}

outcome broker::impl::too_long(std::span<const outcome> results) {
    auto effect = core::effect::none;
    for (const auto& one : results) {
        if (one.effect == core::effect::unknown) {
            effect = core::effect::unknown;
        } else if (one.effect == core::effect::applied && effect == core::effect::none) {
            effect = core::effect::applied;
        }
    }
    return outcome::failure(code::limit_exceeded,
                            "the results of the envelope are larger than one reply may be", {},
                            effect);
}

void broker::impl::reply_directly(core::deadline until) {
    if (direct.empty() || publish_directly(direct, until)) {
        return;
    }
    for (auto*& entry : direct) {
        if (!publish_directly({&entry, 1}, until)) {
            lost_reply(*entry, until);
        }
    }
}

bool broker::impl::publish_directly(std::span<taken* const> entries, core::deadline until) {
    auto& through = connected(direct_out, " direct");
    try {
        std::vector<std::uint64_t> sequences;
        for (const auto* entry : entries) {
            sequences.push_back(publish_reply(*entry, through, amqp::mandatory::yes, until));
        }
        await_confirms(through, until);
        for (const auto& lost : through.take_undelivered()) {
            const auto found = std::find(sequences.begin(), sequences.end(), lost.sequence);
            if (found != sequences.end()) {
                lost_reply(*entries[static_cast<std::size_t>(found - sequences.begin())], until);
            }
        }
        return true;
    } catch (const core::error&) {
        direct_out.open.reset();
        return false;
    }
}

void broker::impl::lost_reply(taken& entry, core::deadline until) {
    live::add(counters.replies_returned);
    if (const auto why = worst(entry)) {
        bury(entry, *why, until);
    }
}

bool broker::impl::wait_on_while_blocked() {
    was_blocked = true;
    counters.note_turn(std::chrono::steady_clock::now());
    in->pump();
    return !(stopping && out_of_time());
}

void broker::impl::await_confirms(amqp::publisher_connection& of, core::deadline until) {
    constexpr auto look = 200ms;
    while (!of.wait_confirms(until.earlier(core::deadline::after(look)))) {
        if (of.blocked() && !(stopping && out_of_time())) {
            note_blocked(of);
            wait_on_while_blocked();
            until = batch_limit();
        } else if (std::exchange(was_blocked, false)) {
            until = batch_limit(); // it was while the replies were written
        } else if (until.expired()) {
            throw core::error(
                core::errc::deadline_exceeded,
                "RabbitMQ did not confirm replies or requests that are kept in time",
                {.origin = core::error_origin::rabbitmq, .handle = core::handle_state::broken});
        }
    }
}

void broker::impl::settle(amqp::publisher_connection& through, core::deadline until) {
    await_confirms(through, until);
    auto undelivered = through.take_undelivered();
    for (const auto& lost : undelivered) {
        const auto found = std::find_if(chunk.begin(), chunk.end(), [&](const taken& entry) {
            return entry.sequence != 0 && entry.sequence == lost.sequence;
        });
        if (found == chunk.end()) {
            not_kept(lost);
        }
        lost_reply(*found, until);
    }
    if (!undelivered.empty()) {
        await_confirms(through, until);
        if (undelivered = through.take_undelivered(); !undelivered.empty()) {
            not_kept(undelivered.front());
        }
    }
}

void broker::impl::not_kept(const amqp::undelivered& lost) const {
    throw core::error(core::errc::unreachable,
                      "a request could not be kept: " + lost.text +
                          "; the request stays in its queue",
                      {.origin = core::error_origin::rabbitmq});
}

std::optional<outcome> broker::impl::worst(const taken& entry) const {
    if (entry.refused) {
        return entry.refused;
    }
    const auto* found = worst_of(messages[entry.message].results);
    return found == nullptr ? std::nullopt : std::optional{*found};
}

void broker::impl::keep(taken& entry, const outcome& why, core::deadline until) {
    const auto now = std::chrono::system_clock::now();
    worked_on seen{.results = {&why, 1},
                   .op_class = given.op_class,
                   .attempts = entry.from.attempts + 1,
                   .max_attempts = given.max_attempts};
    if (!entry.refused) {
        const auto& message = messages[entry.message];
        const auto& operations = message.request.operations;
        seen.results = message.results;
        seen.database_away = was_away && !work->connected();
        seen.has_deadline =
            message.request.deadline ||
            std::any_of(operations.begin(), operations.end(),
                        [](const core::operation& op) { return op.deadline.has_value(); });
    }
    entry.after = next_for(seen);
    std::string delay;
    auto to = amqp::again_queue(given.queue_tag, given.connection, given.op_class);
    switch (entry.after) {
    case what_next::nothing:
        return;
    case what_next::dead_letter:
        bury(entry, why, until);
        return;
    case what_next::parked:
        entry.held_for = 500ms;
        break;
    case what_next::retried: {
        const auto step =
            next_retry(seen.attempts, std::uniform_real_distribution<double>{0.0, 1.0}(random));
        to = amqp::retry_queue(given.queue_tag, given.connection, given.op_class, step.level);
        delay = std::to_string(step.delay.count());
        entry.held_for = step.delay;
        break;
    }
    }
    if (is_held(entry)) {
        lanes.find(entry.from.queue)->second.attempts += entry.after == what_next::retried ? 1 : 0;
        live::add(counters.requeued);
        return;
    }
    again.send(*entry.delivery,
               {.key = to.str(),
                .expiration = delay,
                .failure = entry.after == what_next::retried ? &why : nullptr},
               sure(), now, until);
    live::add(counters.requeued);
}

bool broker::impl::repeats(const taken& entry) const {
    return !entry.refused && brokers::repeats(messages[entry.message].results);
}

std::string_view broker::impl::effect_of(const taken& entry, const outcome& why) const {
    return entry.refused ? to_string(why.effect) : effect_of_all(messages[entry.message].results);
}

void broker::impl::bury(taken& entry, const outcome& why, core::deadline until) {
    if (is_whole(*entry.delivery)) {
        const auto parts =
            entry.refused ? std::string{} : tell_parts(messages[entry.message].results);
        std::vector<amqp::header> headers{
            amqp::header::of("beds-event", entry.event),
            amqp::header::of("beds-node", given.name),
            amqp::header::of("beds-error-code", to_string(why.code)),
            amqp::header::of("beds-error-detail", why.detail.substr(0, 512)),
            amqp::header::of("beds-error-effect", effect_of(entry, why)),
        };
        if (!parts.empty()) {
            headers.push_back(amqp::header::of(parts_header, parts));
        }
        if (repeats(entry)) { // sent again it may happen twice
            headers.push_back(
                amqp::header::of("beds-error-guarantee", std::string_view{"at_least_once"}));
        }
        again.send(*entry.delivery,
                   {.exchange = amqp::dead_exchange(given.queue_tag).str(),
                    .key = entry.from.routing_key,
                    .more = headers,
                    .failure = &why},
                   sure(), std::chrono::system_clock::now(), until);
    }
    live::add(counters.dead);
    entry.after = what_next::dead_letter;
    say(level::warning, "BEDS_DEAD_LETTER",
        "a request that nobody can be told about went to the dead queue: code=" +
            std::string{to_string(why.code)} + " effect=" + std::string{effect_of(entry, why)} +
            " event=" + std::string{entry.event});
}

void broker::impl::acknowledge() {
    amqp::delivery* last = nullptr;
    for (auto& entry : chunk) {
        if (is_held(entry)) {
            continue;
        }
        if (entry.after == what_next::dead_letter && !is_whole(*entry.delivery)) {
            entry.delivery->reject();
        } else if (!lanes.empty()) {
            lanes.find(entry.from.queue)->second.attempts = 0;
            entry.delivery->ack();
        } else if (!left_out.empty() && entry.delivery > left_out.front().delivery) {
            entry.delivery->ack();
        } else {
            last = entry.delivery;
        }
    }
    if (last != nullptr) {
        in->ack_up_to(*last);
    }
}

} // namespace beds::brokers
