#include "client/company.hpp"
#include "client/known_templates.hpp"
#include "client/outstanding.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/reconnect.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/client/amqp_client.hpp>
#include <beds/core/error.hpp>
#include <beds/wire/request.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <iterator>
#include <memory>
#include <mutex>
#include <poll.h>
#include <span>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <unordered_map>
#include <unordered_set>

namespace beds::client {
namespace {

using namespace std::chrono_literals;
using core::code;
using core::op_class;
using core::outcome;
using observe::level;

bool may_write(const operation& op) {
    return op.op == core::verb::insert || op.op == core::verb::update ||
           op.op == core::verb::remove || op.op == core::verb::call;
}

/// So long the I/O thread has to say goodbye when the client ends; then its sockets are shut down.
constexpr auto goodbye = 700ms;
/// And so long altogether; then it is left to itself.
constexpr auto longest_end = 1'200ms;

/// What the I/O thread lives on. It may outlive the client: nothing ends a look-up of a host name
/// or a connection attempt from outside.
class client_io : public std::enable_shared_from_this<client_io> {
public:
    explicit client_io(amqp_client_settings settings)
        : given_(std::move(settings)), waiting_(given_.max_outstanding),
          reconnect_(amqp::reconnect_policy{}, amqp::system_random()),
          wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        const auto problems = amqp::validate(given_.amqp);
        if (!problems.empty()) {
            throw core::error(core::errc::invalid_configuration, "amqp." + problems.front().key +
                                                                     ": expected " +
                                                                     problems.front().expected);
        }
        if (wake_ < 0) {
            throw core::error(core::errc::internal, "cannot make an eventfd");
        }
        reply_queue_ = amqp::reply_queue_name(given_.queue_tag, given_.amqp.user, new_uuid());
    }

    ~client_io() { ::close(wake_); }
    client_io(const client_io&) = delete;
    client_io& operator=(const client_io&) = delete;

    void start() {
        thread_ = std::thread{[self = shared_from_this()] { self->run(); }};
    }

    /// Ends everything that waits, in bounded time.
    void stop() {
        stopping_ = true;
        wake();
        const auto begin = std::chrono::steady_clock::now();
        std::unique_lock lock{mutex_};
        const auto ended = [&] { return ended_; };
        if (!state_changed_.wait_until(lock, begin + goodbye, ended)) {
            for (const auto socket : sockets_) {
                if (socket >= 0) {
                    ::shutdown(socket, SHUT_RDWR);
                }
            }
            state_changed_.wait_until(lock, begin + longest_end, ended);
        }
        const bool left_alone = !ended_ && connecting_; // else a completion is still running
        lock.unlock();
        if (left_alone) {
            {
                const std::lock_guard quiet{log_mutex_};
                may_log_ = false;
            }
            thread_.detach();
        } else {
            thread_.join();
        }
        waiting_.stop();
    }

    void submit(request what, core::deadline until, client::completion done) {
        const bool writes = std::any_of(what.operations.begin(), what.operations.end(), may_write);
        if (writes && what.id.empty()) {
            what.id = new_uuid();
        }
        sending made;
        made.what = std::make_shared<const request>(std::move(what));
        made.until = until;
        made.writes = writes;
        if (made.what->operations.empty()) {
            done(make_reply(*made.what, outcome::failure(code::invalid_envelope,
                                                         "the request holds no operation")));
            return;
        }
        const auto number = waiting_.add(made.what, until, writes, std::move(done));
        if (!number) {
            return;
        }
        made.number = *number;
        bool first = false;
        {
            const std::lock_guard lock{mutex_};
            first = submitted_.empty();
            submitted_.push_back(std::move(made));
        }
        if (first) { // else the I/O thread was woken for the one before
            wake();
        }
    }

    bool wait_ready(core::deadline until) {
        std::unique_lock lock{mutex_};
        const auto ready = [&] { return connected_; };
        if (until.is_never()) {
            state_changed_.wait(lock, ready);
            return true;
        }
        return state_changed_.wait_until(lock, until.when(), ready);
    }

private:
    /// One message under way: the requests in it, in the order of its operations.
    struct sent_message {
        std::vector<sending> parts;
        std::uint64_t sequence = 0; ///< of its confirm
    };

    void wake() const {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
    }

    // ---- everything below runs on the I/O thread ---------------------------------------------

    void run() {
        while (!stopping_) {
            try {
                turn();
            } catch (const core::error& failed) {
                note(failed.message());
                constexpr int access_refused = 403;
                constexpr int not_found = 404;
                if (failed.native_code() == access_refused &&
                    catalog_asked_ != core::steady_time{}) {
                    known_.do_without(); // this account may not ask
                }
                if (failed.native_code() == not_found) {
                    end_reads("no BEDS node has declared its exchange here: " + failed.message());
                }
                drop_connections();
            } catch (const std::exception& failed) {
                note(failed.what());
                drop_connections();
            }
        }
        if (in_) {
            in_->close(core::deadline::after(200ms));
        }
        if (out_) {
            out_->close(core::deadline::after(200ms));
        }
        forget_connections();
        const std::lock_guard lock{mutex_};
        ended_ = true;
        state_changed_.notify_all();
    }

    /// The sockets can be shut down from outside from now on.
    void show_sockets() {
        const std::lock_guard lock{mutex_};
        sockets_ = {in_ ? in_->native_socket() : -1, out_ ? out_->native_socket() : -1};
    }
    void connecting(bool now) {
        const std::lock_guard lock{mutex_};
        connecting_ = now;
    }
    void forget_connections() {
        {
            const std::lock_guard lock{mutex_};
            sockets_ = {-1, -1};
        }
        in_.reset();
        out_.reset();
    }

    /// Reads that were sent need not wait for another connection: it would end like this one.
    void end_reads(const std::string& why) {
        auto refused = outcome::failure(code::backend_unavailable, why);
        refused.retry_after = 1s;
        for (auto& [number, message] : sent_) {
            auto& parts = message.parts;
            for (const auto& one : parts) {
                if (!one.writes) {
                    waiting_.finish(one.number, refused);
                }
            }
            parts.erase(std::remove_if(parts.begin(), parts.end(),
                                       [](const sending& one) { return !one.writes; }),
                        parts.end());
        }
    }

    void note(const std::string& text) {
        if (text != trouble_) {
            const std::lock_guard lock{log_mutex_};
            if (!may_log_) {
                return; // the client is gone, and so may be what its sink writes to
            }
            given_.log.write(level::warning, "BEDS_CLIENT_TROUBLE", given_.name, text);
            trouble_ = text;
        }
    }

    void turn() {
        if (!in_ || !out_ || !in_->is_open() || !out_->is_open() || !in_->channel_open() ||
            !out_->channel_open()) {
            if (!connect()) {
                take_submitted();
                forget_expired();
                return;
            }
        }
        take_submitted();
        publish_queued();
        const auto woke = amqp::wait(&*in_, &*out_, wake_, 500ms);
        if (woke.event) {
            std::uint64_t count = 0;
            [[maybe_unused]] const auto read = ::read(wake_, &count, sizeof count);
        }
        if (woke.notice && !in_->take_cancelled().empty()) {
            drop_connections();
            return;
        }
        if (woke.publisher) {
            settle_undelivered();
        }
        if (woke.deliveries) {
            replies_.clear();
            in_->drain(replies_, 4096, 0ms);
            for (const auto& one : replies_) {
                take_reply(one);
            }
            replies_.clear();
        }
        forget_expired();
    }

    bool connect() {
        if (in_ || out_) {
            drop_connections();
        }
        const auto now = std::chrono::steady_clock::now();
        const auto action = reconnect_.next(now);
        if (action.what == amqp::reconnect_action::kind::wait) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(action.until - now) + 1ms;
            pollfd watched{wake_, 0, 0}; // nothing can be sent: submissions need not wake us
            ::poll(&watched, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 50)));
            return false;
        }
        const auto until = core::deadline::after(given_.amqp.connect_timeout);
        connecting(true);
        try {
            auto settings = given_.amqp;
            settings.connection_name = given_.name + " consume";
            in_.emplace(settings, until);
            show_sockets();
            if (stopping_) {
                connecting(false);
                return false;
            }
            settings.connection_name = given_.name + " publish";
            out_.emplace(settings, until);
            show_sockets();
            amqp::topology own;
            own.queues.push_back({reply_queue_, amqp::queue_kind::exclusive, {}});
            in_->declare(own, amqp::declare_mode::active, until);
            amqp::consume_options options;
            options.acknowledge = amqp::acknowledge::automatic;
            options.exclusive = amqp::exclusivity::exclusive;
            in_->consume(reply_queue_, options, until);
            connecting(false);
        } catch (const core::error& failed) {
            connecting(false);
            forget_connections();
            reconnect_.attempt_failed(failed.code() == core::errc::refused
                                          ? amqp::connect_failure::refused
                                          : amqp::connect_failure::unreachable,
                                      std::chrono::steady_clock::now());
            note(failed.message());
            return false;
        }
        reconnect_.connected(std::chrono::steady_clock::now());
        trouble_.clear();
        const std::lock_guard lock{mutex_};
        connected_ = true;
        state_changed_.notify_all();
        return true;
    }

    void drop_connections() {
        replies_.clear();
        const bool server_is_there = in_ && out_ && in_->is_open() && out_->is_open();
        forget_connections();
        reconnect_.lost(std::chrono::steady_clock::now(),
                        server_is_there ? amqp::loss::channel : amqp::loss::connection);
        {
            const std::lock_guard lock{mutex_};
            connected_ = false;
        }
        catalog_asked_ = {};
        const auto lost = waiting_.lost();
        const std::unordered_set<std::uint64_t> again{lost.begin(), lost.end()};
        for (auto& [number, message] : sent_) {
            for (auto& one : message.parts) {
                if (again.count(one.number) != 0) {
                    queued_.push_back(std::move(one));
                }
            }
        }
        sent_.clear();
        by_sequence_.clear();
        std::sort(queued_.begin(), queued_.end(),
                  [](const sending& a, const sending& b) { return a.number < b.number; });
    }

    void take_submitted() {
        const std::lock_guard lock{mutex_};
        if (queued_.empty()) {
            queued_.swap(submitted_);
            return;
        }
        queued_.insert(queued_.end(), std::make_move_iterator(submitted_.begin()),
                       std::make_move_iterator(submitted_.end()));
        submitted_.clear();
    }

    void publish_queued() {
        if (queued_.empty()) {
            return;
        }
        if (out_->blocked()) {
            note("RabbitMQ blocks publishers: " + out_->blocked_reason());
            return;
        }
        publishing_.swap(queued_);
        // What cannot be sent yet, because the catalog is not known, stays queued.
        const auto parcels = company_.gather(publishing_, known_, queued_);
        try {
            if (!queued_.empty() || (!known_.learned() && parcels.size() > 1)) {
                ask_catalog();
            }
            for (auto& one : parcels) {
                publish(one);
            }
            out_->flush(core::deadline::after(5s));
        } catch (...) {
            company_.give_back(queued_);
            throw;
        }
    }

    void publish(parcel& of) {
        std::size_t next = 0;
        while (next < of.parts.size()) {
            const auto first = next;
            memory_.reset();
            if (of.parts.size() - first == 1) {
                body_.clear();
                wire::append_request(body_, view(*of.parts[first].what, memory_));
                ++next;
                publish({&of.parts[first], 1}, of.highest, body_);
                continue;
            }
            envelope_.start();
            while (next < of.parts.size() && envelope_.operations() < given_.max_envelope &&
                   envelope_.bytes() < given_.max_envelope_bytes) {
                add_to_envelope(of.parts[next++]);
            }
            publish({&of.parts[first], next - first}, of.highest, envelope_.finish());
        }
    }

    /// With its own id and deadline: who is in its company changes neither.
    void add_to_envelope(const sending& one) {
        auto op = view(*one.what, memory_).operations.front();
        if (op.id.empty() && !one.what->id.empty()) {
            id_.assign(one.what->id).append("/0"); // as if it had been sent alone
            op.id = id_;
        }
        if (const auto limit = time_of_day(one.until)) {
            op.deadline = op.deadline ? std::min(*op.deadline, *limit) : *limit;
        }
        envelope_.add(op);
    }

    void publish(std::span<sending> parts, op_class highest, std::string_view body) {
        const bool together = parts.size() > 1;
        const auto& what = *parts.front().what;
        const auto& first = what.operations.front();
        const bool ordered = !what.order.empty(); // never together
        const auto key = first.op == core::verb::describe ? amqp::catalog_key()
                         : ordered                        ? amqp::order_key(first.template_name)
                                   : amqp::request_key(first.template_name, highest);
        const auto message = ++last_message_;
        char digits[24];
        const auto digits_end = std::to_chars(digits, digits + sizeof digits, message).ptr;
        amqp::properties properties;
        properties.correlation_id = {digits, static_cast<std::size_t>(digits_end - digits)};
        properties.reply_to = reply_queue_.str();
        properties.content_type = "application/json";
        properties.user_id = given_.amqp.user;
        amqp::header headers[5];
        std::size_t header_count = 0;
        if (what.in_parts) { // never together
            headers[header_count++] = amqp::header::of("beds-parts", "true");
        }
        if (ordered) {
            headers[header_count++] = amqp::header::of(amqp::order_header, what.order);
        }
        if (!what.event.empty()) { // never together
            headers[header_count++] = amqp::header::of("beds-event", what.event);
            headers[header_count++] = amqp::header::of("beds-depth", std::int64_t{what.depth});
        }
        if (!together) {
            properties.message_id = what.id;
            if (const auto limit = time_of_day(parts.front().until)) {
                const auto since = limit->time_since_epoch();
                headers[header_count++] = amqp::header::of(
                    "beds-deadline",
                    std::int64_t{
                        std::chrono::duration_cast<std::chrono::milliseconds>(since).count()});
            }
        }
        properties.headers = {headers, header_count};
        if (std::any_of(parts.begin(), parts.end(),
                        [](const sending& one) { return one.writes; })) {
            properties.mode = amqp::delivery_mode::persistent;
        }
        for (const auto& one : parts) {
            waiting_.mark_sent(one.number);
        }
        std::uint64_t sequence = 0;
        try {
            sequence =
                out_->publish(amqp::events_exchange(given_.queue_tag).str(), key.str(), properties,
                              body, amqp::mandatory::yes, core::deadline::after(5s));
        } catch (const core::error& failed) {
            if (failed.code() != core::errc::unsupported) {
                keep(message, parts, 0); // perhaps sent, as all that was sent before
                throw;
            }
            // Nothing was written: an id or a name that AMQP cannot carry.
            const auto refused =
                outcome::failure(code::invalid_envelope, "an id or name is longer than 255 bytes");
            for (auto& one : parts) {
                waiting_.finish(one.number, refused);
                one.what = nullptr;
            }
            return;
        }
        by_sequence_.emplace(sequence, message);
        keep(message, parts, sequence);
    }

    void keep(std::uint64_t message, std::span<sending> parts, std::uint64_t sequence) {
        sent_message made;
        made.sequence = sequence;
        made.parts.assign(std::make_move_iterator(parts.begin()),
                          std::make_move_iterator(parts.end()));
        sent_.emplace(message, std::move(made));
    }

    void ask_catalog() {
        const auto now = std::chrono::steady_clock::now();
        if (catalog_asked_ != core::steady_time{} && now - catalog_asked_ < 1s) {
            return;
        }
        catalog_asked_ = now;
        amqp::properties properties;
        properties.correlation_id = "catalog";
        properties.reply_to = reply_queue_.str();
        properties.content_type = "application/json";
        properties.user_id = given_.amqp.user;
        out_->publish(amqp::events_exchange(given_.queue_tag).str(), amqp::catalog_key().str(),
                      properties, R"({"v":1,"op":"describe"})", amqp::mandatory::yes,
                      core::deadline::after(5s));
    }

    void take_reply(const amqp::delivery& from) {
        const auto correlation = from.properties().correlation_id;
        try {
            if (correlation == "catalog") {
                known_.learn(reply{std::string{from.body()}, {}});
                catalog_asked_ = {};
                return;
            }
            std::uint64_t number = 0;
            const auto parsed = std::from_chars(correlation.data(),
                                                correlation.data() + correlation.size(), number);
            if (parsed.ec != std::errc{} || parsed.ptr != correlation.data() + correlation.size()) {
                return; // not ours
            }
            const auto found = sent_.find(number);
            if (found == sent_.end()) {
                return; // answered or given up already
            }
            const bool together = found->second.parts.size() > 1;
            reply got{std::string{from.body()},
                      together ? std::string{} : found->second.parts.front().what->id};
            if (!got.last()) {
                waiting_.part(found->second.parts.front().number, std::move(got));
                return;
            }
            auto answered = std::move(found->second);
            sent_.erase(found);
            by_sequence_.erase(answered.sequence);
            if (!together) {
                settle(answered.parts.front(), std::move(got));
                return;
            }
            for (std::size_t i = 0; i < answered.parts.size(); ++i) {
                // One result for all of them: the message was refused as a whole.
                const auto at = got.size() == answered.parts.size() ? i : 0;
                auto& one = answered.parts[i];
                if (company_was_the_cause(got[at], got.size() != answered.parts.size())) {
                    one.alone = true;
                    send_again(one);
                } else {
                    settle(one, got.part(at, one.what->id));
                }
            }
        } catch (const core::error& failed) {
            note("a reply that cannot be read: " + failed.message());
        }
    }

    /// What would perhaps not have happened to the request alone.
    static bool company_was_the_cause(const result& of, bool refused_whole) {
        return !of.ok() && of.effect() == core::effect::none &&
               (refused_whole || of.code() == code::limit_exceeded);
    }

    void settle(sending& answered, reply got) {
        if (!answered.rerouted && is_misrouted(got)) {
            // Templates move: learn where it is now and send it there, once.
            answered.rerouted = true;
            known_.forget();
            send_again(answered);
            return;
        }
        waiting_.finish(answered.number, std::move(got));
    }

    void send_again(sending& one) {
        waiting_.mark_unsent(one.number);
        queued_.push_back(std::move(one));
    }

    static bool is_misrouted(const reply& got) {
        for (std::size_t i = 0; i < got.size(); ++i) {
            if (got[i].code() != code::misrouted) {
                return false;
            }
        }
        return true;
    }

    void settle_undelivered() {
        for (const auto& lost : out_->take_undelivered()) {
            const auto found = by_sequence_.find(lost.sequence);
            if (found == by_sequence_.end()) {
                continue;
            }
            const auto message = sent_.find(found->second);
            by_sequence_.erase(found);
            if (message == sent_.end()) {
                continue; // answered all the same
            }
            const auto parts = std::move(message->second.parts);
            sent_.erase(message);
            const bool full = lost.why == amqp::undelivered::cause::nacked;
            auto refused = full
                               ? outcome::failure(code::overloaded, "the request queue is full")
                               : outcome::failure(code::backend_unavailable,
                                                  "no BEDS node serves this service at the moment");
            refused.retry_after = full ? 200ms : 1'000ms;
            for (const auto& one : parts) {
                waiting_.finish(one.number, refused);
            }
        }
    }

    /// Requests whose deadline passed were ended elsewhere; here only their traces go.
    void forget_expired() {
        const auto now = std::chrono::steady_clock::now();
        if (now < next_sweep_) {
            return;
        }
        next_sweep_ = now + 1s;
        for (auto at = sent_.begin(); at != sent_.end();) {
            const auto& parts = at->second.parts;
            if (std::all_of(parts.begin(), parts.end(),
                            [&](const sending& one) { return now >= one.until.when(); })) {
                by_sequence_.erase(at->second.sequence);
                at = sent_.erase(at);
            } else {
                ++at;
            }
        }
        queued_.erase(std::remove_if(queued_.begin(), queued_.end(),
                                     [&](const sending& one) { return now >= one.until.when(); }),
                      queued_.end());
    }

    amqp_client_settings given_;
    outstanding waiting_;
    amqp::reconnect_fsm reconnect_;
    amqp::queue_name reply_queue_;
    int wake_;
    std::atomic<bool> stopping_{false};

    std::mutex mutex_; // guards what callers and the I/O thread share
    std::condition_variable state_changed_;
    std::vector<sending> submitted_;
    bool connected_ = false;
    bool connecting_ = false;
    bool ended_ = false;
    std::array<int, 2> sockets_{-1, -1}; ///< of `in_` and `out_`; -1: cannot be shut down

    /// Held while the sink is called, by nobody but this thread and the end of the client.
    std::mutex log_mutex_;
    bool may_log_ = true;

    std::optional<amqp::consumer_connection> in_;
    std::optional<amqp::publisher_connection> out_;
    std::vector<sending> queued_;
    std::vector<sending> publishing_; ///< only while they are published
    company company_;
    std::unordered_map<std::uint64_t, sent_message> sent_;
    std::unordered_map<std::uint64_t, std::uint64_t> by_sequence_; ///< confirm → message
    std::uint64_t last_message_ = 0;
    known_templates known_;
    core::steady_time catalog_asked_{};
    core::steady_time next_sweep_{};
    std::vector<amqp::delivery> replies_;
    std::string body_;
    std::string id_;
    wire::envelope_writer envelope_;
    core::arena memory_;
    std::string trouble_;
    std::thread thread_;
};

class amqp_client final : public client {
public:
    explicit amqp_client(amqp_client_settings settings)
        : io_(std::make_shared<client_io>(std::move(settings))) {
        io_->start();
    }
    ~amqp_client() override { io_->stop(); }
    amqp_client(const amqp_client&) = delete;
    amqp_client& operator=(const amqp_client&) = delete;

    void submit(request what, core::deadline until, completion done) override {
        io_->submit(std::move(what), until, std::move(done));
    }
    bool wait_ready(core::deadline until) override { return io_->wait_ready(until); }

private:
    std::shared_ptr<client_io> io_;
};

} // namespace

std::unique_ptr<client> make_amqp_client(amqp_client_settings settings) {
    return std::make_unique<amqp_client>(std::move(settings));
}

} // namespace beds::client
