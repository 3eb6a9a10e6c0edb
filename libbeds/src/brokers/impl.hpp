#pragma once

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

#include <beds/amqp/connection.hpp>
#include <beds/amqp/reconnect.hpp>
#include <beds/brokers/broker.hpp>
#include <beds/core/error.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <atomic>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>

namespace beds::brokers {

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

/// A broker's thread goes round in turns: it makes sure of its connections, waits for deliveries,
/// works on all that are there in batches, answers, and acknowledges. The members are shared by
/// these steps; what other threads touch is atomic or guarded by `mutex`.
struct broker::impl {
    impl(broker_settings settings, std::shared_ptr<const factory::template_set> set,
         std::vector<std::shared_ptr<adapters::adapter>> adapters,
         adapters::session_context context);

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
    /// The batch before, when its replies are on their way and RabbitMQ has not confirmed them all:
    /// the next one is worked on meanwhile, and no third (decision 0022).
    struct {
        std::vector<amqp::delivery> deliveries;
        std::vector<taken> chunk; ///< empty: nothing waits
        std::vector<factory::message> messages;
        core::arena memory; ///< holds what these refer to
        core::steady_time read{};
        core::deadline until = core::deadline::never(); ///< for the confirms
    } waiting;
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

    // ---- broker.cpp: the thread, turn by turn, and its end

    /// Between two batches: what was given to `change_templates` last comes in force here.
    void follow_templates();
    void take_templates();
    void run();
    /// After `run` has ended: as new, but for what it counted.
    void begin_anew();
    /// One turn. Nothing that happens in it ends the thread.
    void step();
    void idle();
    /// Nothing to be worked on for now.
    void go_on_waiting();
    void drain();
    /// A quorum queue (RabbitMQ 3.10) takes back what is on its way to a consumer that is cancelled
    /// and delivers it again. So nothing is acknowledged for a moment: either `prefetch` is used up
    /// and nothing more is sent, or the queue is empty.
    void take_what_is_on_its_way();

    // ---- connecting.cpp: both servers, and what operators are told of them

    void connect();
    amqp::publisher_options publishing(amqp::confirms confirms);
    void consume(core::deadline until);
    /// What waits to be tried again waits in its queue while there is no database to try it on.
    void tend_again();
    /// A connection with confirms: for errors and dead letters, which are told or kept.
    amqp::publisher_connection& sure();
    /// A further connection for replies, with confirms: made when it is needed.
    amqp::publisher_connection& connected(further_connection& which, std::string_view name);
    /// Heartbeats for the further connections; they go when they were not needed for a while.
    void tend_further();
    void disconnect();
    /// What other threads see changes under the lock; the log is written after it.
    void note(std::string& shown, const std::string& text) const;
    void note_amqp(std::string text);
    void note_blocked(const amqp::publisher_connection& by);
    void note_backend();
    /// True when both connections are there.
    bool ensure_amqp();

    // ---- batch.cpp: from deliveries to a batch that was worked on

    /// Works through what was drained, in batches of `max_batch` operations.
    void work_on_deliveries();
    /// May the next batch be worked on while RabbitMQ confirms the replies to this one?
    [[nodiscard]] bool may_wait() const;
    void let_wait(std::size_t first, std::size_t end, core::steady_time read);
    /// Afterwards nothing waits; as fast as RabbitMQ has confirmed it.
    void finish_waiting();
    /// The same, if there is nothing to wait for.
    void finish_confirmed() {
        if (out->outstanding() == 0) {
            finish_waiting();
        }
    }
    /// Of what waits or was worked on last: one of them in the place of the other.
    void swap_with_waiting() noexcept;
    /// The replies to the batch have been published: waits until RabbitMQ has confirmed those that
    /// must arrive, acknowledges, and enters it all in the books.
    void finish(bool await, core::steady_time read, core::deadline until);
    /// So many that their replies are likely to fit.
    [[nodiscard]] std::size_t most_operations() const;
    /// Grows at once and shrinks slowly: a batch that turns out too large is read twice.
    void note_reply_size(std::size_t operations);
    /// What the replies of this batch have no room for leaves it.
    void set_left_out_aside();
    /// Behind the answered ones of this batch and before those that follow; returns how many.
    std::size_t put_back_left_out(std::size_t first, std::size_t end);
    /// What was delivered before and not acknowledged may be what ended the process that held it,
    /// and everybody whose messages it held with it. It goes to the quarantine, where it harms
    /// nobody but itself.
    void set_suspects_aside();
    /// The parts before the last go out while the database still sends rows.
    void send_in_parts(const taken& entry);
    /// Decodes one delivery into the batch; returns its number of operations.
    std::size_t take(amqp::delivery& from);

    // ---- answering.cpp: replies, retries, dead letters, acknowledgements

    /// True: one of them must arrive, and its confirm is to be waited for.
    bool reply(core::deadline until);
    std::uint64_t publish_reply(const taken& entry, amqp::publisher_connection& through,
                                amqp::mandatory mandatory, core::deadline until);
    static std::uint64_t publish_bytes(const taken& entry, std::string_view bytes,
                                       amqp::publisher_connection& through,
                                       amqp::mandatory mandatory, core::deadline until);
    static outcome too_long(std::span<const outcome> results);
    /// The address that RabbitMQ makes for a direct reply-to is taken apart by RabbitMQ again, and
    /// one that somebody made up ends the connection which publishes to it. So these replies have a
    /// connection of their own, and when it ends they go one by one, to harm nobody but the
    /// culprit.
    void reply_directly(core::deadline until);
    /// False: RabbitMQ ended the connection over one of them.
    bool publish_directly(std::span<taken* const> entries, core::deadline until);
    /// A reply that reached nobody. A refusal is kept as a dead letter; what was done stands in the
    /// inbox.
    void lost_reply(taken& entry, core::deadline until);
    /// The thread is not stuck, and the other connection lives. False: it is time to give up.
    bool wait_on_while_blocked();
    /// While RabbitMQ blocks publishers the time does not run: what was done would be delivered
    /// again and again, towards the delivery limit, only because its reply has to wait.
    void await_confirms(amqp::publisher_connection& of, core::deadline until);
    /// Waits for the confirms of replies and of requests that are kept (dead letters, retries). One
    /// that could not be kept throws: it is not acknowledged, and comes back when its queue is
    /// there again.
    void settle(amqp::publisher_connection& through, core::deadline until);
    [[noreturn]] void not_kept(const amqp::undelivered& lost) const;
    /// The first error among a message's results, or nothing when all went well.
    std::optional<outcome> worst(const taken& entry) const;
    /// Nobody waits for this request, and it failed: it is tried again, or becomes a dead letter.
    void keep(taken& entry, const outcome& why, core::deadline until);
    /// Was a part of it applied, perhaps, that would be applied once more?
    [[nodiscard]] bool repeats(const taken& entry) const;
    /// What became of the whole message, of which `why` is one part.
    [[nodiscard]] std::string_view effect_of(const taken& entry, const outcome& why) const;
    /// Nobody can be told: the request goes to the dead queue, whole, with the reason in its
    /// headers. What this node does not hold whole goes there by RabbitMQ alone: `acknowledge`.
    void bury(taken& entry, const outcome& why, core::deadline until);
    /// Once for the whole batch, unless something of it was left out.
    void acknowledge();

    // ---- lanes.cpp: one message of each lane at a time, until it is done

    /// Whoever asks first for a lane gets it, and the others when he is gone: each broker begins
    /// somewhere else.
    void consume_lanes(amqp::consume_options options, core::deadline until);
    /// How long a turn may wait for something to happen.
    [[nodiscard]] std::chrono::milliseconds until_held() const;
    /// Those whose time has come are worked on again.
    void take_held();
    /// Messages of lanes that are tried again leave the deliveries; returns how many.
    std::size_t hold_back(std::size_t first, std::size_t end);
    [[nodiscard]] bool is_held(const taken& entry) const;
};

} // namespace beds::brokers
