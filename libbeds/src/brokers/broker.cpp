#include "brokers/arrival.hpp"
#include "brokers/bookkeeping.hpp"
#include "brokers/event_id.hpp"
#include "brokers/failure_log.hpp"
#include "brokers/incoming.hpp"
#include "brokers/parts.hpp"
#include "brokers/resend.hpp"
#include "brokers/taken.hpp"
#include "brokers/wake_event.hpp"
#include "brokers/what_next.hpp"
#include "core/failpoint.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/reconnect.hpp>
#include <beds/brokers/broker.hpp>
#include <beds/core/error.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <random>
#include <sched.h>
#include <thread>
#include <utility>

namespace beds::brokers {
namespace {

using namespace std::chrono_literals;
using core::code;
using core::outcome;
using observe::level;
using live = observe::live_counters;

/// A connection beside the two of every broker.
struct further_connection {
    std::optional<amqp::publisher_connection> open{};
    core::steady_time used{};
};

} // namespace

struct broker::impl {
    impl(broker_settings settings, std::shared_ptr<const factory::template_set> set,
         std::vector<std::shared_ptr<adapters::adapter>> adapters,
         adapters::session_context context)
        : given(std::move(settings)), log(context.log), decoder(limits(given)),
          writer(wire::reply_limits{.max_reply = given.max_reply, .max_batch = given.max_replies},
                 given.factory.cursors),
          events(given.event_prefix), failures(log, given.name), books(set->registry->all().size()),
          reconnect(amqp::reconnect_policy{}, amqp::system_random()), topology(given.topology),
          catalog_queue(amqp::catalog_queue(given.queue_tag)), again(given.amqp.user, given.name),
          random(std::random_device{}()) {
        if (given.lead == nullptr) {
            given.lead = std::make_shared<amqp::reconnect_lead>();
        }
        auto& options = given.factory;
        options.highest_class = given.op_class;
        options.strict_route = given.strict_route;
        if (given.op_class == core::op_class::bulk) {
            // Long jobs: RabbitMQ hears nothing from this thread while one runs.
            given.amqp.heartbeat =
                std::max<decltype(given.amqp.heartbeat)>(given.amqp.heartbeat, 900s);
        }
        options.longest_work =
            std::min(options.longest_work, std::chrono::milliseconds{given.amqp.heartbeat} * 2 / 3);
        context.name = given.name;
        templates_now = std::move(set);
        generation = templates_now->generation;
        make_work = [this, adapters = std::move(adapters), context = std::move(context)] {
            work.emplace(templates_now, adapters, given.connection, context, given.factory);
        };
        make_work();
        confirmed = given.op_class != core::op_class::read;
        for (const auto& [queue, template_name] : given.lanes) {
            lanes.emplace(queue, lane{template_name});
        }
        counters.books = &books;
    }

    static wire::decode_limits limits(const broker_settings& from) {
        wire::decode_limits made;
        made.max_body = from.max_request;
        return made;
    }

    broker_settings given;
    observe::log_sink log;
    wire::request_decoder decoder;
    wire::reply_writer writer;
    event_ids events;
    failure_log failures;
    observe::ledger books;
    amqp::reconnect_fsm reconnect;
    amqp::topology topology; ///< declared on every new connection
    std::shared_ptr<const factory::template_set> templates_now;
    std::optional<factory::factory> work; ///< not while the broker is stopped
    std::function<void()> make_work;
    bool confirmed = false; ///< replies are waited for before the request is acknowledged

    std::optional<amqp::consumer_connection> in;
    std::optional<amqp::publisher_connection> out;
    /// Read brokers do not wait for confirms; what must not get lost goes through here, if ever.
    further_connection careful;
    further_connection direct_out; ///< for direct reply-to
    static constexpr std::uint32_t no_consumer = 0xFFFFFFFFU;
    std::uint32_t request_consumer = no_consumer;
    std::uint32_t catalog_consumer = no_consumer;
    std::uint32_t quarantine_consumer = no_consumer;
    std::uint32_t again_consumer = no_consumer; ///< only while the database is there
    const amqp::queue_name catalog_queue;       ///< compared with every message's: made once
    resender again;
    std::minstd_rand random;

    struct lane {
        std::string template_name;
        unsigned attempts = 0; ///< at the message that it holds
    };
    std::map<std::string, lane, std::less<>> lanes; ///< by queue; empty: requests are worked on
    struct held_message {
        amqp::delivery delivery;
        core::steady_time until;
    };
    std::vector<held_message> held; ///< of lanes: tried again then

    core::arena memory;
    std::vector<amqp::delivery> deliveries;
    std::vector<taken> chunk;
    std::vector<taken> left_out; ///< of the chunk: read again after the rest
    std::size_t reply_size = 0;  ///< of one operation, as it was lately
    std::vector<taken*> direct;  ///< of the chunk: with a direct reply-to
    std::vector<factory::message> messages;
    std::string body;
    bool was_blocked = false;       ///< RabbitMQ took no replies for a while
    bool was_away = false;          ///< there was no database session when the batch began
    std::exception_ptr part_failed; ///< a part of a reply could not be sent
    live counters;
    core::steady_time last_idle{};

    wake_event wake;
    std::thread thread;
    std::atomic<broker_state> state{broker_state::starting};
    std::atomic<bool> stopping{false};
    std::atomic<bool> abandon{false};
    std::atomic<bool> being_replaced{false};
    std::atomic<bool> templates_wait{false};  ///< looked at before every batch
    std::atomic<std::uint64_t> generation{0}; ///< of `templates_now`, for other threads
    mutable std::mutex mutex;                 // guards what other threads ask rarely
    struct {
        std::shared_ptr<const factory::template_set> set;
        amqp::topology topology;
    } templates_next;
    core::deadline stop_until = core::deadline::never();
    static constexpr const char* amqp_unseen = "not connected to RabbitMQ yet";
    static constexpr const char* backend_unseen = "not connected to the database yet";
    std::string amqp_trouble = amqp_unseen;
    std::string backend_trouble = backend_unseen;
    // The broker's own copies: it looks at every turn whether there is news.
    std::string amqp_noted = amqp_unseen;
    std::string backend_noted = backend_unseen;
    bool amqp_told = false; ///< a trouble stands in the log
    arrival amqp_arrival;
    arrival backend_arrival;

    void say(level severity, std::string_view id, std::string_view text) const {
        log.write(severity, id, given.name, text);
    }

    /// Longest time that one call to RabbitMQ may take; below the heartbeat, which would end it.
    [[nodiscard]] core::deadline amqp_limit() const {
        return core::deadline::after(
            std::clamp(std::chrono::milliseconds{given.amqp.heartbeat} * 3 / 4, 1'000ms, 30'000ms));
    }

    [[nodiscard]] core::deadline drain_limit() const {
        const std::lock_guard lock{mutex};
        return stop_until;
    }
    [[nodiscard]] bool out_of_time() const { return abandon || drain_limit().expired(); }
    /// For everything that RabbitMQ has to do with one batch.
    [[nodiscard]] core::deadline batch_limit() const {
        return stopping ? amqp_limit().earlier(drain_limit()) : amqp_limit();
    }

    // ---- connecting --------------------------------------------------------------------------

    void connect() {
        auto settings = given.amqp;
        const auto until = core::deadline::after(settings.connect_timeout * 2);
        settings.connection_name = given.name + " consume";
        in.emplace(settings, until);
        given.lead->found_there(); // what fails from here on may be this broker's alone
        settings.connection_name = given.name + " publish";
        out.emplace(settings, until,
                    publishing(confirmed ? amqp::confirms::on : amqp::confirms::off));
        in->declare(topology, given.declare, until);
        consume(until);
        live::add(counters.amqp_connects);
    }

    amqp::publisher_options publishing(amqp::confirms confirms) {
        return {.confirms = confirms, .while_blocked = [this] {
                    note_amqp("RabbitMQ blocks publishers in the middle of a message");
                    return wait_on_while_blocked();
                }};
    }

    void consume(core::deadline until) {
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
            quarantine_consumer = in->consume(
                amqp::quarantine_queue(given.queue_tag, given.connection, given.op_class), options,
                until);
        }
    }

    /// Whoever asks first for a lane gets it, and the others when he is gone: each broker begins
    /// somewhere else.
    void consume_lanes(amqp::consume_options options, core::deadline until) {
        options.prefetch = 1;
        std::vector<amqp::queue_name> queues;
        for (const auto& [queue, of] : lanes) {
            queues.emplace_back(queue);
        }
        std::shuffle(queues.begin(), queues.end(), random);
        for (const auto& queue : queues) {
            in->consume(queue, options, until);
        }
    }

    /// What waits to be tried again waits in its queue while there is no database to try it on.
    void tend_again() {
        const bool wanted = confirmed && lanes.empty() && work->connected();
        if (wanted == (again_consumer != no_consumer)) {
            return;
        }
        const auto until = amqp_limit();
        if (wanted) {
            amqp::consume_options options;
            options.prefetch = given.prefetch;
            options.max_body = given.max_request;
            again_consumer =
                in->consume(amqp::again_queue(given.queue_tag, given.connection, given.op_class),
                            options, until);
        } else {
            in->cancel(std::exchange(again_consumer, no_consumer), until);
        }
    }

    /// A connection with confirms: for errors and dead letters, which are told or kept.
    amqp::publisher_connection& sure() {
        if (confirmed) {
            return *out;
        }
        return connected(careful, " errors");
    }

    /// A further connection for replies, with confirms: made when it is needed.
    amqp::publisher_connection& connected(further_connection& which, std::string_view name) {
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

    /// Heartbeats for the further connections; they go when they were not needed for a while.
    void tend_further() {
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

    void disconnect() {
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

    /// What other threads see changes under the lock; the log is written after it.
    void note(std::string& shown, const std::string& text) const {
        const std::lock_guard lock{mutex};
        shown = text;
    }

    void note_amqp(std::string text) {
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

    void note_blocked(const amqp::publisher_connection& by) {
        note_amqp("RabbitMQ blocks publishers: " + by.blocked_reason());
    }

    void note_backend() {
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

    /// True when both connections are there.
    bool ensure_amqp() {
        if (in && out && in->is_open() && out->is_open() && in->channel_open() &&
            out->channel_open()) {
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
            const bool refused = failed.code() == core::errc::refused ||
                                 failed.code() == core::errc::topology_conflict;
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

    // ---- templates ---------------------------------------------------------------------------

    /// Between two batches: what was given to `change_templates` last comes in force here.
    void follow_templates() {
        if (!templates_wait.load(std::memory_order_relaxed) || stopping) {
            return;
        }
        wake.clear(); // who called for this must not keep a broker awake that waits for RabbitMQ
        if (stopping) {
            wake.set();
        }
        take_templates();
        work->change_templates(templates_now);
        note_backend();
        generation = templates_now->generation;
        counters.note_turn(std::chrono::steady_clock::now());
    }

    void take_templates() {
        const std::lock_guard lock{mutex};
        templates_wait = false;
        templates_now = std::move(templates_next.set);
        topology = std::move(templates_next.topology);
        std::size_t places = 0;
        for (const auto slot : templates_now->slots) {
            places = std::max<std::size_t>(places, slot);
        }
        books.grow(places);
    }

    // ---- the loop ----------------------------------------------------------------------------

    void run() {
        // The database is tried at once, so that a node is ready before its first request. The
        // factory bounds it, by the number of templates: a node with a thousand of them must start,
        // too.
        work->ensure_session(core::deadline::never());
        note_backend();
        state = broker_state::running;
        while (!stopping) {
            counters.note_turn(std::chrono::steady_clock::now());
            step();
        }
        if (!abandon) {
            state = broker_state::draining;
            drain();
        }
        counters.turn.store(0, std::memory_order_relaxed);
        given.lead->gone(this);
        disconnect();
        given.factory.connects_before = work->connects();
        counters.backend_connected.store(false, std::memory_order_relaxed);
        work.reset(); // with its session, on the session's own thread
        state = broker_state::stopped;
    }

    /// After `run` has ended: as new, but for what it counted.
    void begin_anew() {
        stopping = false;
        state = broker_state::starting;
        reconnect = amqp::reconnect_fsm{amqp::reconnect_policy{}, amqp::system_random()};
        memory.reset(0);
        body = {};
        last_idle = {};
        {
            const std::lock_guard lock{mutex};
            stop_until = core::deadline::never();
        }
        note(amqp_trouble, amqp_noted = amqp_unseen);
        note(backend_trouble, backend_noted = backend_unseen);
        wake.clear();
        make_work();
    }

    /// One turn. Nothing that happens in it ends the thread.
    void step() {
        try {
            follow_templates();
            if (!ensure_amqp()) {
                idle();
                return;
            }
            if (out->blocked()) {
                // RabbitMQ takes no replies: work that cannot be answered is not begun.
                note_blocked(*out);
                amqp::wait(nullptr, &*out, wake.descriptor(), 200ms);
                in->pump();
                return;
            }
            note_amqp({});
            tend_further();
            tend_again();
            const auto woke = amqp::wait(&*in, &*out, wake.descriptor(), until_held());
            if (woke.event) {
                wake.clear();
            }
            if (woke.notice) {
                for (const auto& queue : in->take_cancelled()) {
                    note_amqp("RabbitMQ cancelled the consumer of '" + queue.str() + "'");
                    disconnect(); // and come back with everything declared anew
                    reconnect.lost(std::chrono::steady_clock::now());
                    return;
                }
            }
            deliveries.clear();
            take_held();
            if (!woke.deliveries && deliveries.empty()) {
                idle();
                return;
            }
            // Whoever waits for this core is likely to bring the next deliveries (RabbitMQ,
            // clients): under load a batch grows by a seventh and costs 5 us less a message; an
            // idle node waits for nobody.
            ::sched_yield();
            in->drain(deliveries, given.prefetch, 0ms);
            work_on_deliveries();
        } catch (const core::error& failed) {
            note_amqp(failed.message());
            disconnect();
            reconnect.lost(std::chrono::steady_clock::now());
        } catch (const std::exception& failed) {
            // A defect must not end the node; what was held is delivered again.
            say(level::error, "BEDS_BROKER_FAILED", failed.what());
            note_amqp("begins anew after a failure of its own");
            disconnect();
            reconnect.attempt_failed(amqp::connect_failure::unreachable,
                                     std::chrono::steady_clock::now());
        }
    }

    /// How long a turn may wait for something to happen.
    [[nodiscard]] std::chrono::milliseconds until_held() const {
        std::chrono::milliseconds longest{500};
        const auto now = std::chrono::steady_clock::now();
        for (const auto& one : held) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(one.until - now);
            longest = std::clamp(left, 0ms, longest);
        }
        return longest;
    }

    /// Those whose time has come are worked on again.
    void take_held() {
        const auto now = std::chrono::steady_clock::now();
        const auto is_due = [now](const held_message& one) { return one.until <= now; };
        for (auto& one : held) {
            if (is_due(one)) {
                deliveries.push_back(std::move(one.delivery));
            }
        }
        std::erase_if(held, is_due);
    }

    void idle() {
        const auto now = std::chrono::steady_clock::now();
        failures.sum_up(now);
        // Trouble that is over is to show soon.
        const auto pause = !work->connected()              ? 100ms
                           : work->write_trouble().empty() ? 5'000ms
                                                           : 1'000ms;
        if (now < last_idle + pause) {
            return;
        }
        last_idle = now;
        work->idle(core::deadline::after(given.factory.connect_timeout));
        note_backend();
    }

    void drain() {
        try {
            if (!in || !out || !in->is_open() || !out->is_open()) {
                return;
            }
            if (!lanes.empty()) {
                // A lane that is cancelled while one of its messages is under way would go on with
                // the next one elsewhere; one whose connection ends begins with it again.
                in->close(batch_limit());
                out->close(batch_limit());
                return;
            }
            take_what_is_on_its_way();
            for (const auto consumer :
                 {request_consumer, catalog_consumer, quarantine_consumer, again_consumer}) {
                if (consumer != no_consumer) {
                    in->cancel(consumer, batch_limit());
                }
            }
            while (!out_of_time()) {
                in->drain(deliveries, given.prefetch, 0ms);
                if (deliveries.empty()) {
                    break;
                }
                work_on_deliveries();
                deliveries.clear();
            }
            deliveries.clear();
            const auto until = batch_limit();
            out->close(until);
            // RabbitMQ does not answer acknowledgements, and a quorum queue may hold the last ones
            // back for a moment: what it has not worked through when the connection ends comes
            // again.
            amqp::wait(&*in, nullptr, -1, std::min(until.remaining_ms(), 50ms));
            in->close(until);
        } catch (const core::error& failed) {
            say(level::warning, "BEDS_DRAIN_FAILED", failed.message());
        } catch (const std::exception& failed) {
            say(level::error, "BEDS_BROKER_FAILED", failed.what());
        }
    }

    /// A quorum queue (RabbitMQ 3.10) takes back what is on its way to a consumer that is cancelled
    /// and delivers it again. So nothing is acknowledged for a moment: either `prefetch` is used up
    /// and nothing more is sent, or the queue is empty.
    void take_what_is_on_its_way() {
        constexpr auto quiet = 30ms;
        constexpr auto longest = 1'000ms;
        constexpr std::size_t most_bytes = 32 * 1024 * 1024;
        const auto until = core::deadline::after(longest).earlier(drain_limit());
        const auto queue =
            amqp::request_queue_name(given.queue_tag, given.connection, given.op_class);
        deliveries.clear();
        std::size_t bytes = 0;
        std::size_t requests = 0;
        while (!until.expired() && !abandon && bytes < most_bytes && requests < given.prefetch) {
            const auto before = deliveries.size();
            if (in->drain(deliveries, given.prefetch, std::min(until.remaining_ms(), quiet)) == 0) {
                // A busy RabbitMQ is silent, too, before it has looked at the last acknowledgement.
                const auto status = in->inspect(queue, batch_limit());
                if (!status || status->messages == 0) {
                    break;
                }
            }
            for (auto i = before; i < deliveries.size(); ++i) {
                bytes += deliveries[i].body().size();
                requests += deliveries[i].consumer() == request_consumer ? 1U : 0U;
            }
        }
    }

    // ---- one batch ---------------------------------------------------------------------------

    /// Works through what was drained, in batches of `max_batch` operations.
    void work_on_deliveries() {
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
                work->run(messages, writer, memory, counters);
                if (part_failed) {
                    std::rethrow_exception(std::exchange(part_failed, nullptr));
                }
                set_left_out_aside();
                reply();
                BEDS_FAILPOINT(before_ack);
                acknowledge();
                BEDS_FAILPOINT(after_ack);
            } catch (...) {
                enter_as_requeued(books, chunk, messages);
                throw;
            }
            note_reply_size(operations);
            const auto now = std::chrono::steady_clock::now();
            counters.message_time.add(
                static_cast<std::uint64_t>(
                    std::chrono::duration_cast<std::chrono::microseconds>(now - read).count()),
                chunk.size());
            enter_as_settled(books, chunk, messages); // last: who sees nothing in flight sees all
            failures.enter(chunk, messages, now);
            counters.note_turn(now);
            note_backend(); // under load no turn is idle
            const auto kept = hold_back(first, next);
            next -= kept;
            counted -= kept;
            next -= put_back_left_out(first, next);
        }
    }

    /// So many that their replies are likely to fit.
    [[nodiscard]] std::size_t most_operations() const {
        return std::clamp<std::size_t>(given.max_replies / std::max<std::size_t>(reply_size, 1), 1,
                                       given.max_batch);
    }

    /// Grows at once and shrinks slowly: a batch that turns out too large is read twice.
    void note_reply_size(std::size_t operations) {
        const auto now = writer.offered() / std::max<std::size_t>(operations, 1);
        reply_size = std::max(now, reply_size - reply_size / 8);
    }

    /// What the replies of this batch have no room for leaves it.
    void set_left_out_aside() {
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

    /// Behind the answered ones of this batch and before those that follow; returns how many.
    std::size_t put_back_left_out(std::size_t first, std::size_t end) {
        if (!left_out.empty()) {
            const auto begin = deliveries.begin() + static_cast<std::ptrdiff_t>(first);
            std::stable_partition(begin, deliveries.begin() + static_cast<std::ptrdiff_t>(end),
                                  [](const amqp::delivery& one) { return one.resolved(); });
        }
        return left_out.size();
    }

    /// Messages of lanes that are tried again leave the deliveries; returns how many.
    std::size_t hold_back(std::size_t first, std::size_t end) {
        if (lanes.empty()) {
            return 0;
        }
        const auto now = std::chrono::steady_clock::now();
        std::vector<const amqp::delivery*> gone;
        for (auto& entry : chunk) {
            if (is_held(entry)) {
                held.push_back({std::move(*entry.delivery), now + entry.held_for});
                gone.push_back(entry.delivery);
            }
        }
        const auto begin = deliveries.begin() + static_cast<std::ptrdiff_t>(first);
        const auto behind = deliveries.begin() + static_cast<std::ptrdiff_t>(end);
        deliveries.erase(std::remove_if(begin, behind,
                                        [&](const amqp::delivery& one) {
                                            return std::find(gone.begin(), gone.end(), &one) !=
                                                   gone.end();
                                        }),
                         behind);
        return gone.size();
    }

    [[nodiscard]] bool is_held(const taken& entry) const {
        return !lanes.empty() &&
               (entry.after == what_next::parked || entry.after == what_next::retried);
    }

    /// What was delivered before and not acknowledged may be what ended the process that held it,
    /// and everybody whose messages it held with it. It goes to the quarantine, where it harms
    /// nobody but itself.
    void set_suspects_aside() {
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

    /// The parts before the last go out while the database still sends rows.
    void send_in_parts(const taken& entry) {
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

    /// Decodes one delivery into the batch; returns its number of operations.
    std::size_t take(amqp::delivery& from) {
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
            entry.refused = outcome::failure(code::limit_exceeded,
                                             "the message is larger than this service takes");
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

    void reply() {
        const auto until = batch_limit();
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
        if (confirmed || careful_with_one) {
            settle(sure(), until);
        }
        BEDS_FAILPOINT(reply_confirmed);
    }

    std::uint64_t publish_reply(const taken& entry, amqp::publisher_connection& through,
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

    static std::uint64_t publish_bytes(const taken& entry, std::string_view bytes,
                                       amqp::publisher_connection& through,
                                       amqp::mandatory mandatory, core::deadline until) {
        const auto& request = entry.delivery->properties();
        amqp::properties properties; // no headers: RabbitMQ takes them apart (decision 0007)
        properties.correlation_id = request.correlation_id;
        properties.type = "beds.reply";
        properties.content_type = "application/json";
        return through.publish({}, request.reply_to, properties, bytes, mandatory, until);
    }

    static outcome too_long(std::span<const outcome> results) {
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

    /// The address that RabbitMQ makes for a direct reply-to is taken apart by RabbitMQ again, and
    /// one that somebody made up ends the connection which publishes to it. So these replies have a
    /// connection of their own, and when it ends they go one by one, to harm nobody but the
    /// culprit.
    void reply_directly(core::deadline until) {
        if (direct.empty() || publish_directly(direct, until)) {
            return;
        }
        for (auto*& entry : direct) {
            if (!publish_directly({&entry, 1}, until)) {
                lost_reply(*entry, until);
            }
        }
    }

    /// False: RabbitMQ ended the connection over one of them.
    bool publish_directly(std::span<taken* const> entries, core::deadline until) {
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
                    lost_reply(*entries[static_cast<std::size_t>(found - sequences.begin())],
                               until);
                }
            }
            return true;
        } catch (const core::error&) {
            direct_out.open.reset();
            return false;
        }
    }

    /// A reply that reached nobody. A refusal is kept as a dead letter; what was done stands in the
    /// inbox.
    void lost_reply(taken& entry, core::deadline until) {
        live::add(counters.replies_returned);
        if (const auto why = worst(entry)) {
            bury(entry, *why, until);
        }
    }

    /// The thread is not stuck, and the other connection lives. False: it is time to give up.
    bool wait_on_while_blocked() {
        was_blocked = true;
        counters.note_turn(std::chrono::steady_clock::now());
        in->pump();
        return !(stopping && out_of_time());
    }

    /// While RabbitMQ blocks publishers the time does not run: what was done would be delivered
    /// again and again, towards the delivery limit, only because its reply has to wait.
    void await_confirms(amqp::publisher_connection& of, core::deadline until) {
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

    /// Waits for the confirms of replies and of requests that are kept (dead letters, retries). One
    /// that could not be kept throws: it is not acknowledged, and comes back when its queue is
    /// there again.
    void settle(amqp::publisher_connection& through, core::deadline until) {
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

    [[noreturn]] void not_kept(const amqp::undelivered& lost) const {
        throw core::error(core::errc::unreachable,
                          "a request could not be kept: " + lost.text +
                              "; the request stays in its queue",
                          {.origin = core::error_origin::rabbitmq});
    }

    /// The first error among a message's results, or nothing when all went well.
    std::optional<outcome> worst(const taken& entry) const {
        if (entry.refused) {
            return entry.refused;
        }
        const auto* found = worst_of(messages[entry.message].results);
        return found == nullptr ? std::nullopt : std::optional{*found};
    }

    /// Nobody waits for this request, and it failed: it is tried again, or becomes a dead letter.
    void keep(taken& entry, const outcome& why, core::deadline until) {
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
            lanes.find(entry.from.queue)->second.attempts +=
                entry.after == what_next::retried ? 1 : 0;
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

    /// Was a part of it applied, perhaps, that would be applied once more?
    [[nodiscard]] bool repeats(const taken& entry) const {
        return !entry.refused && brokers::repeats(messages[entry.message].results);
    }

    /// What became of the whole message, of which `why` is one part.
    [[nodiscard]] std::string_view effect_of(const taken& entry, const outcome& why) const {
        return entry.refused ? to_string(why.effect)
                             : effect_of_all(messages[entry.message].results);
    }

    /// Nobody can be told: the request goes to the dead queue, whole, with the reason in its
    /// headers. What this node does not hold whole goes there by RabbitMQ alone: `acknowledge`.
    void bury(taken& entry, const outcome& why, core::deadline until) {
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

    /// Once for the whole batch, unless something of it was left out.
    void acknowledge() {
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
};

broker::broker(broker_settings settings, std::shared_ptr<const factory::template_set> set,
               std::vector<std::shared_ptr<adapters::adapter>> adapters,
               adapters::session_context context)
    : impl_(std::make_unique<impl>(std::move(settings), std::move(set), std::move(adapters),
                                   std::move(context))) {}

broker::~broker() {
    impl_->abandon = true;
    impl_->stopping = true;
    impl_->wake.set();
    join();
}

void broker::start() {
    if (impl_->state == broker_state::stopped) {
        join();
        impl_->begin_anew();
    } else {
        impl_->amqp_arrival.start();
        impl_->backend_arrival.start();
    }
    impl_->thread = std::thread{[this] {
        // Shown by top -H and gdb; at most 15 characters.
        ::pthread_setname_np(::pthread_self(), impl_->given.name.substr(0, 15).c_str());
        impl_->run();
    }};
}

void broker::stop(core::deadline until) {
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->stop_until = until;
    }
    impl_->stopping = true;
    impl_->wake.set();
}

void broker::change_templates(std::shared_ptr<const factory::template_set> set,
                              amqp::topology topology) {
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->templates_next = {std::move(set), std::move(topology)};
        impl_->templates_wait = true;
    }
    impl_->wake.set();
}

std::uint64_t broker::templates_generation() const {
    return impl_->generation;
}

void broker::retire() {
    impl_->being_replaced = true;
    stop(core::deadline::never());
}

bool broker::being_replaced() const {
    return impl_->being_replaced;
}

void broker::join() {
    if (impl_->thread.joinable()) {
        impl_->thread.join();
    }
}

broker_state broker::state() const {
    return impl_->state;
}

observe::broker_counters broker::counters() const {
    auto made = impl_->counters.snapshot(impl_->given.name);
    made.connection = impl_->given.connection;
    made.op_class = impl_->given.op_class;
    return made;
}

void broker::add_traffic(std::span<observe::template_traffic> totals) const {
    impl_->books.add_to(totals);
}

const broker_settings& broker::settings() const {
    return impl_->given;
}

std::string broker::amqp_trouble() const {
    const std::lock_guard lock{impl_->mutex};
    return impl_->amqp_trouble;
}

std::string broker::backend_trouble() const {
    const std::lock_guard lock{impl_->mutex};
    return impl_->backend_trouble;
}

std::chrono::microseconds broker::amqp_waited() const {
    return impl_->amqp_arrival.waited();
}

std::chrono::microseconds broker::backend_waited() const {
    return impl_->backend_arrival.waited();
}

} // namespace beds::brokers
