#include "brokers/impl.hpp"

#include <algorithm>
#include <utility>

namespace beds::brokers {

void broker::impl::connect() {
    auto settings = given.amqp;
    const auto until = core::deadline::after(settings.connect_timeout * 2);
    settings.connection_name = given.name + " consume";
    in.emplace(settings, until);
    given.lead->found_there(); // what fails from here on may be this broker's alone
    settings.connection_name = given.name + " publish";
    out.emplace(settings, until, publishing(confirmed ? amqp::confirms::on : amqp::confirms::off));
    in->declare(topology, given.declare, until);
    consume(until);
    live::add(counters.amqp_connects);
}

amqp::publisher_options broker::impl::publishing(amqp::confirms confirms) {
    return {.confirms = confirms, .while_blocked = [this] {
                note_amqp("RabbitMQ blocks publishers in the middle of a message");
                return wait_on_while_blocked();
            }};
}

void broker::impl::consume(core::deadline until) {
    amqp::consume_options options;
    options.prefetch = given.prefetch;
    options.max_body = given.max_request;
    if (!lanes.empty()) {
        consume_lanes(options, until);
        return;
    }
    request_consumer =
        in->consume(amqp::request_queue_name(given.queue_tag, given.connection, given.op_class),
                    options, until);
    if (given.catalog) {
        catalog_consumer = in->consume(catalog_queue, options, until);
    }
    if (given.quarantine) {
        options.prefetch = 1;
        quarantine_consumer =
            in->consume(amqp::quarantine_queue(given.queue_tag, given.connection, given.op_class),
                        options, until);
    }
}

void broker::impl::tend_again() {
    const bool wanted = confirmed && lanes.empty() && work->connected();
    if (wanted == (again_consumer != no_consumer)) {
        return;
    }
    const auto until = amqp_limit();
    if (wanted) {
        amqp::consume_options options;
        options.prefetch = given.prefetch;
        options.max_body = given.max_request;
        again_consumer = in->consume(
            amqp::again_queue(given.queue_tag, given.connection, given.op_class), options, until);
    } else {
        in->cancel(std::exchange(again_consumer, no_consumer), until);
    }
}

amqp::publisher_connection& broker::impl::sure() {
    if (confirmed) {
        return *out;
    }
    return connected(careful, " errors");
}

amqp::publisher_connection& broker::impl::connected(further_connection& which,
                                                    std::string_view name) {
    which.used = std::chrono::steady_clock::now();
    if (!which.open || !which.open->is_open() || !which.open->channel_open()) {
        auto settings = given.amqp;
        settings.connection_name = given.name + std::string{name};
        which.open.reset();
        which.open.emplace(settings, core::deadline::after(settings.connect_timeout),
                           publishing(amqp::confirms::on));
    }
    return *which.open;
}

void broker::impl::tend_further() {
    for (auto* which : {&careful, &direct_out}) {
        if (!which->open) {
            continue;
        }
        try {
            which->open->pump();
        } catch (const core::error&) {
            which->open.reset(); // made anew when it is needed
            continue;
        }
        if (std::chrono::steady_clock::now() - which->used > 10s) {
            which->open.reset();
        }
    }
}

void broker::impl::disconnect() {
    enter_as_requeued(books, waiting.chunk, waiting.messages);
    waiting.chunk.clear();
    waiting.deliveries.clear();
    deliveries.clear();
    held.clear();
    for (auto& [queue, one] : lanes) {
        one.attempts = 0;
    }
    for (auto* consumer :
         {&request_consumer, &catalog_consumer, &quarantine_consumer, &again_consumer}) {
        *consumer = no_consumer;
    }
    in.reset();
    out.reset();
    careful.open.reset();
    direct_out.open.reset();
    counters.amqp_connected.store(false, std::memory_order_relaxed);
}

void broker::impl::note(std::string& shown, const std::string& text) const {
    const std::lock_guard lock{mutex};
    shown = text;
}

void broker::impl::note_amqp(std::string text) {
    if (text == amqp_noted) {
        return; // said already
    }
    note(amqp_trouble, text);
    amqp_noted = std::move(text);
    if (!amqp_noted.empty()) {
        say(level::warning, "BEDS_AMQP_TROUBLE", amqp_noted);
        amqp_told = true;
    } else if (amqp_told) {
        say(level::info, "BEDS_AMQP_CONNECTED", "RabbitMQ can be used again");
        amqp_told = false;
    }
}

void broker::impl::note_blocked(const amqp::publisher_connection& by) {
    note_amqp("RabbitMQ blocks publishers: " + by.blocked_reason());
}

void broker::impl::note_backend() {
    const bool connected = work->connected();
    std::string text;
    if (connected) {
        backend_arrival.note();
        text = work->write_trouble();
    } else {
        text = work->last_error().empty() ? backend_unseen : work->last_error();
    }
    if (text != backend_noted) { // the factory has said it
        note(backend_trouble, text);
        backend_noted = std::move(text);
    }
    counters.backend_connected.store(connected, std::memory_order_relaxed);
    counters.backend_connects.store(work->connects(), std::memory_order_relaxed);
}

bool broker::impl::ensure_amqp() {
    if (in && out && in->is_open() && out->is_open() && in->channel_open() && out->channel_open()) {
        return true;
    }
    if (in || out) {
        note_amqp("the connection to RabbitMQ is gone");
        disconnect();
        reconnect.lost(std::chrono::steady_clock::now());
    }
    const auto now = std::chrono::steady_clock::now();
    const auto action = reconnect.next(now);
    if (action.what == amqp::reconnect_action::kind::wait) {
        wake.wait(std::min<std::chrono::milliseconds>(
            std::chrono::duration_cast<std::chrono::milliseconds>(action.until - now) + 1ms,
            500ms));
        return false;
    }
    if (!given.lead->may_try(this, now)) {
        note_amqp(given.lead->why());
        wake.wait(200ms);
        return false;
    }
    try {
        connect();
        reconnect.connected(std::chrono::steady_clock::now());
        amqp_arrival.note();
        counters.amqp_connected.store(true, std::memory_order_relaxed);
        note_amqp({});
        being_replaced = false;
        return true;
    } catch (const core::error& failed) {
        being_replaced = false;
        const bool was_there = in.has_value();
        disconnect();
        const bool refused =
            failed.code() == core::errc::refused || failed.code() == core::errc::topology_conflict;
        const auto failed_at = std::chrono::steady_clock::now();
        reconnect.attempt_failed(refused ? amqp::connect_failure::refused
                                         : amqp::connect_failure::unreachable,
                                 failed_at);
        if (!was_there && !refused) {
            given.lead->found_away(this, failed_at, reconnect.next(failed_at).until,
                                   failed.message());
        } else {
            given.lead->found_there();
        }
        note_amqp(failed.message());
        return false;
    }
}

} // namespace beds::brokers
