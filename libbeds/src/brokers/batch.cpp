#include "brokers/impl.hpp"
#include "core/failpoint.hpp"

#include <algorithm>
#include <iterator>

namespace beds::brokers {

void broker::impl::work_on_deliveries() {
    const auto read = std::chrono::steady_clock::now();
    set_suspects_aside();
    std::size_t next = 0;
    std::size_t counted = 0; // those that are read again are there twice
    while (next < deliveries.size()) {
        if (stopping && out_of_time()) {
            return; // what is not acknowledged is delivered to another node
        }
        follow_templates();
        memory.reset();
        chunk.clear();
        messages.clear();
        std::size_t operations = 0;
        std::size_t bytes = 0;
        bool in_parts = false; // its rows leave while they are read
        bool alone = false;
        constexpr std::size_t most_bytes = 32 * 1024 * 1024;
        constexpr std::size_t most_bytes_ahead = 4 * 1024 * 1024; // held beside the next batch
        const auto first = next;
        const auto most = most_operations();
        while (next < deliveries.size() && operations < most && bytes < most_bytes && !alone) {
            in_parts = takes_parts(deliveries[next]);
            alone = in_parts || deliveries[next].consumer() == quarantine_consumer ||
                    (!lanes.empty() && deliveries[next].redelivered());
            if (alone && !chunk.empty()) {
                break;
            }
            bytes += deliveries[next].body().size();
            operations += take(deliveries[next]);
            ++next;
        }
        live::add(counters.messages, next - std::max(first, counted));
        counted = std::max(next, counted);
        enter_refused(books, chunk);
        writer.start(operations);
        if (!confirmed) { // reads may run again
            writer.leave_out();
        }
        core::op_index index = 0;
        for (const auto& one : messages) {
            writer.same_reply(index, one.request.operations.size());
            for (std::size_t i = 0; i < one.request.operations.size(); ++i, ++index) {
                if (one.request.int64_as_string) {
                    writer.int64_as_string(index);
                }
            }
        }
        if (in_parts && operations == 1 && !messages.front().request.enveloped &&
            messages.front().request.operations.front().op == core::verb::find) {
            send_in_parts(chunk.front());
        }
        was_away = !work->connected();
        try {
            if (alone) {
                finish_waiting(); // a suspect takes nobody else's message with it
            }
            work->run(messages, writer, memory, counters);
            if (part_failed) {
                std::rethrow_exception(std::exchange(part_failed, nullptr));
            }
            finish_waiting();
            set_left_out_aside();
            const auto until = batch_limit();
            const bool await = reply(until);
            note_reply_size(operations);
            note_backend(); // under load no turn is idle
            if (!alone && bytes <= most_bytes_ahead && may_wait()) {
                let_wait(first, next, read);
                continue;
            }
            finish(await, read, until);
        } catch (...) {
            enter_as_requeued(books, chunk, messages);
            throw;
        }
        const auto kept = hold_back(first, next);
        next -= kept;
        counted -= kept;
        next -= put_back_left_out(first, next);
    }
}

bool broker::impl::may_wait() const {
    return confirmed && !stopping && lanes.empty() && left_out.empty() && out->outstanding() != 0;
}

void broker::impl::let_wait(std::size_t first, std::size_t end, core::steady_time read) {
    out->flush(batch_limit());
    const auto begin = deliveries.begin() + static_cast<std::ptrdiff_t>(first);
    waiting.deliveries.assign(
        std::make_move_iterator(begin),
        std::make_move_iterator(deliveries.begin() + static_cast<std::ptrdiff_t>(end)));
    for (auto& entry : chunk) {
        entry.delivery = &waiting.deliveries[static_cast<std::size_t>(entry.delivery - &*begin)];
    }
    swap_with_waiting();
    waiting.read = read;
    waiting.until = batch_limit();
}

void broker::impl::swap_with_waiting() noexcept {
    chunk.swap(waiting.chunk);
    messages.swap(waiting.messages);
    memory.swap(waiting.memory);
}

void broker::impl::finish_waiting() {
    if (waiting.chunk.empty()) {
        return;
    }
    swap_with_waiting();
    try {
        finish(true, waiting.read, waiting.until);
    } catch (...) {
        swap_with_waiting();
        throw;
    }
    chunk.clear();
    swap_with_waiting();
    waiting.deliveries.clear();
}

void broker::impl::finish(bool await, core::steady_time read, core::deadline until) {
    if (await) {
        settle(sure(), until);
    }
    BEDS_FAILPOINT(reply_confirmed);
    BEDS_FAILPOINT(before_ack);
    acknowledge();
    BEDS_FAILPOINT(after_ack);
    const auto now = std::chrono::steady_clock::now();
    counters.message_time.add(
        static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(now - read).count()),
        chunk.size());
    enter_as_settled(books, chunk, messages); // last: who sees nothing in flight sees all
    failures.enter(chunk, messages, now);
    counters.note_turn(now);
}

std::size_t broker::impl::most_operations() const {
    return std::clamp<std::size_t>(given.max_replies / std::max<std::size_t>(reply_size, 1), 1,
                                   given.max_batch);
}

void broker::impl::note_reply_size(std::size_t operations) {
    const auto now = writer.offered() / std::max<std::size_t>(operations, 1);
    reply_size = std::max(now, reply_size - reply_size / 8);
}

void broker::impl::set_left_out_aside() {
    left_out.clear();
    if (writer.left_out() == 0) {
        return;
    }
    const auto is_left_out = [this](const taken& one) {
        return !one.refused && writer.left_out(messages[one.message].first);
    };
    std::copy_if(chunk.begin(), chunk.end(), std::back_inserter(left_out), is_left_out);
    std::erase_if(chunk, is_left_out);
    enter_as_requeued(books, left_out, messages);
}

std::size_t broker::impl::put_back_left_out(std::size_t first, std::size_t end) {
    if (!left_out.empty()) {
        const auto begin = deliveries.begin() + static_cast<std::ptrdiff_t>(first);
        std::stable_partition(begin, deliveries.begin() + static_cast<std::ptrdiff_t>(end),
                              [](const amqp::delivery& one) { return one.resolved(); });
    }
    return left_out.size();
}

void broker::impl::set_suspects_aside() {
    if (!lanes.empty()) {
        // Each is worked on alone. Nobody knows which of them it was: in another order each
        // time the others get through before it.
        std::shuffle(deliveries.begin(), deliveries.end(), random);
        return;
    }
    const auto is_suspect = [this](const amqp::delivery& one) {
        return one.redelivered() && one.consumer() != quarantine_consumer && is_whole(one);
    };
    if (std::none_of(deliveries.begin(), deliveries.end(), is_suspect)) {
        return;
    }
    finish_waiting();
    const auto until = batch_limit();
    const auto to = amqp::quarantine_queue(given.queue_tag, given.connection, given.op_class);
    for (const auto& one : deliveries) {
        if (is_suspect(one)) {
            again.send(one, {.key = to.str()}, sure(), std::chrono::system_clock::now(), until);
            live::add(counters.quarantined);
        }
    }
    chunk.clear();
    settle(sure(), until);
    std::erase_if(deliveries, [&](amqp::delivery& one) {
        const bool gone = is_suspect(one);
        if (gone) {
            one.ack();
        }
        return gone;
    });
}

void broker::impl::send_in_parts(const taken& entry) {
    writer.in_parts(given.reply_part, entry.event, [this, &entry](std::string_view part) {
        if (part_failed) {
            return;
        }
        try {
            const auto until = batch_limit();
            publish_bytes(entry, part, *out, amqp::mandatory::no, until);
            out->flush(until);
        } catch (const core::error&) {
            part_failed = std::current_exception();
        }
    });
}

std::size_t broker::impl::take(amqp::delivery& from) {
    auto& entry = chunk.emplace_back();
    entry.delivery = &from;
    entry.event = events.next(std::chrono::system_clock::now(), memory);
    entry.from = origin_of(from, given.amqp.user);
    const auto& properties = from.properties();
    BEDS_FAILPOINT_OF(after_deliver, properties.message_id);
    core::request request;
    if (auto refused = read_properties(from, given.amqp.user, request)) {
        entry.refused = refused;
        return 0;
    }
    if (from.oversized()) {
        entry.refused =
            outcome::failure(code::limit_exceeded, "the message is larger than this service takes");
        return 0;
    }
    if (auto refused = decoder.decode(from.body(), memory, request)) {
        entry.refused = outcome::failure(refused->code, refused->detail, refused->field);
        return 0;
    }
    request.message_id = properties.message_id;
    request.principal = entry.from.principal;
    request.service = given.services.contains(request.principal);
    request.redelivered = from.redelivered() || entry.from.again;
    auto& message = messages.emplace_back();
    message.request = request;
    const bool unrouted = given.catalog && entry.from.queue == catalog_queue.str();
    message.source = unrouted ? factory::source::catalog : factory::source::requests;
    message.routing_key = entry.from.routing_key;
    message.event = entry.event;
    if (const auto from_lane = lanes.find(entry.from.queue); from_lane != lanes.end()) {
        message.lane_of = from_lane->second.template_name;
        entry.from.attempts += from_lane->second.attempts;
    }
    if (given.strict_route && message.source == factory::source::requests) {
        message.routed_template = routed_name(entry.from.routing_key);
    }
    entry.message = messages.size() - 1;
    return request.operations.size();
}

} // namespace beds::brokers
