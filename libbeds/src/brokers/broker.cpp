#include "brokers/impl.hpp"

#include <algorithm>
#include <pthread.h>
#include <sched.h>
#include <utility>

namespace beds::brokers {
namespace {

wire::decode_limits limits(const broker_settings& from) {
    wire::decode_limits made;
    made.max_body = from.max_request;
    return made;
}

} // namespace

broker::impl::impl(broker_settings settings, std::shared_ptr<const factory::template_set> set,
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
        given.amqp.heartbeat = std::max<decltype(given.amqp.heartbeat)>(given.amqp.heartbeat, 900s);
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

void broker::impl::follow_templates() {
    if (!templates_wait.load(std::memory_order_relaxed) || stopping) {
        return;
    }
    wake.clear(); // who called for this must not keep a broker awake that waits for RabbitMQ
    if (stopping) {
        wake.set();
    }
    finish_waiting(); // it was worked on by the templates from before
    take_templates();
    work->change_templates(templates_now);
    note_backend();
    generation = templates_now->generation;
    counters.note_turn(std::chrono::steady_clock::now());
}

void broker::impl::take_templates() {
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

void broker::impl::run() {
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

void broker::impl::begin_anew() {
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

void broker::impl::step() {
    try {
        follow_templates();
        if (!ensure_amqp()) {
            idle();
            return;
        }
        if (out->blocked()) {
            // RabbitMQ takes no replies: work that cannot be answered is not begun.
            note_blocked(*out);
            was_blocked = true;
            amqp::wait(nullptr, &*out, wake.descriptor(), 200ms);
            in->pump();
            return;
        }
        note_amqp({});
        tend_further();
        tend_again();
        finish_confirmed();
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
        finish_confirmed();
        take_held();
        if (!woke.deliveries && deliveries.empty()) {
            go_on_waiting();
            return;
        }
        // Whoever waits for this core is likely to bring the next deliveries (RabbitMQ,
        // clients): under load a batch grows by a seventh and costs 5 us less a message; an
        // idle node waits for nobody.
        ::sched_yield();
        in->drain(deliveries, given.prefetch, 0ms);
        // Early, but no smaller for it: what a commit costs is to be shared by as many.
        if (deliveries.size() < waiting.chunk.size()) {
            go_on_waiting();
            return;
        }
        work_on_deliveries();
        deliveries.clear();
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

void broker::impl::idle() {
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

void broker::impl::go_on_waiting() {
    if (waiting.chunk.empty()) {
        idle();
    } else if (waiting.until.expired()) {
        finish_waiting(); // which knows what to do about it
    }
}

void broker::impl::drain() {
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
        finish_waiting();
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

void broker::impl::take_what_is_on_its_way() {
    constexpr auto quiet = 30ms;
    constexpr auto longest = 1'000ms;
    constexpr std::size_t most_bytes = 32 * 1024 * 1024;
    const auto until = core::deadline::after(longest).earlier(drain_limit());
    const auto queue = amqp::request_queue_name(given.queue_tag, given.connection, given.op_class);
    std::size_t bytes = 0;
    std::size_t requests = deliveries.size();
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
