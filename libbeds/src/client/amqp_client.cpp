#include "client/outstanding.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/reconnect.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/client/amqp_client.hpp>
#include <beds/core/error.hpp>
#include <beds/wire/request.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <map>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <unordered_map>

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

/// What the client knows of one template: only what routing needs.
struct known_template {
    std::map<std::string, op_class, std::less<>> calls;
};

class amqp_client final : public client {
public:
    explicit amqp_client(amqp_client_settings settings)
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
        thread_ = std::thread{[this] { run(); }};
    }

    ~amqp_client() override {
        stopping_ = true;
        wake();
        thread_.join();
        ::close(wake_);
    }
    amqp_client(const amqp_client&) = delete;
    amqp_client& operator=(const amqp_client&) = delete;

    void submit(request what, core::deadline until, completion done) override {
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

    bool wait_ready(core::deadline until) override {
        std::unique_lock lock{mutex_};
        const auto ready = [&] { return connected_; };
        if (until.is_never()) {
            state_changed_.wait(lock, ready);
            return true;
        }
        return state_changed_.wait_until(lock, until.when(), ready);
    }

private:
    struct sending {
        std::uint64_t number = 0;
        std::shared_ptr<const request> what;
        core::deadline until = core::deadline::never();
        bool writes = false;
        bool rerouted = false;
        std::uint64_t sequence = 0;
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
                constexpr int not_found = 404;
                if (failed.native_code() == not_found) {
                    end_reads("no BEDS node has declared its exchange here: " + failed.message());
                }
                drop_connections();
            } catch (const std::exception& failed) {
                note(failed.what());
                drop_connections();
            }
        }
    }

    /// Reads that were sent need not wait for another connection: it would end like this one.
    void end_reads(const std::string& why) {
        for (auto at = sent_.begin(); at != sent_.end();) {
            if (at->second.writes) {
                ++at;
                continue;
            }
            auto refused = outcome::failure(code::backend_unavailable, why);
            refused.retry_after = 1s;
            waiting_.finish(at->first, refused);
            at = sent_.erase(at);
        }
    }

    void note(const std::string& text) {
        if (text != trouble_) {
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
        try {
            auto settings = given_.amqp;
            settings.connection_name = given_.name + " consume";
            in_.emplace(settings, until);
            settings.connection_name = given_.name + " publish";
            out_.emplace(settings, until);
            amqp::topology own;
            own.queues.push_back({reply_queue_, amqp::queue_kind::exclusive, {}});
            in_->declare(own, amqp::declare_mode::active, until);
            amqp::consume_options options;
            options.acknowledge = amqp::acknowledge::automatic;
            options.exclusive = amqp::exclusivity::exclusive;
            in_->consume(reply_queue_, options, until);
        } catch (const core::error& failed) {
            in_.reset();
            out_.reset();
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
        in_.reset();
        out_.reset();
        reconnect_.lost(std::chrono::steady_clock::now());
        {
            const std::lock_guard lock{mutex_};
            connected_ = false;
        }
        catalog_asked_ = {};
        for (const auto number : waiting_.lost()) {
            if (const auto found = sent_.find(number); found != sent_.end()) {
                queued_.push_back(std::move(found->second));
            }
        }
        sent_.clear();
        by_sequence_.clear();
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
        if (out_->blocked()) {
            note("RabbitMQ blocks publishers: " + out_->blocked_reason());
            return;
        }
        // What cannot be sent yet (the catalog is not known) stays queued.
        publishing_.swap(queued_);
        std::size_t next = 0;
        try {
            while (next < publishing_.size()) {
                auto& one = publishing_[next++];
                if (!one.until.expired() && !publish(one)) { // else ended by its deadline
                    queued_.push_back(std::move(one));
                }
            }
            out_->flush(core::deadline::after(5s));
        } catch (...) {
            std::move(publishing_.begin() + static_cast<std::ptrdiff_t>(next), publishing_.end(),
                      std::back_inserter(queued_));
            publishing_.clear();
            throw;
        }
        publishing_.clear();
    }

    /// False: not yet, the catalog has to be asked first.
    bool publish(sending& one) {
        op_class highest = op_class::read;
        for (const auto& op : one.what->operations) {
            const auto needs = class_of(op);
            if (!needs) {
                ask_catalog();
                return false;
            }
            highest = std::max(highest, *needs);
        }
        const auto& first = one.what->operations.front();
        const auto key = first.op == core::verb::describe
                             ? amqp::catalog_key()
                             : amqp::request_key(first.template_name, highest);
        body_.clear();
        memory_.reset();
        wire::append_request(body_, view(*one.what, memory_));

        char number[24];
        const auto number_end = std::to_chars(number, number + sizeof number, one.number).ptr;
        const auto deadline = time_of_day(one.until).value_or(core::system_time{});
        const amqp::header headers[] = {amqp::header::of(
            "beds-deadline", std::int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(
                                              deadline.time_since_epoch())
                                              .count()})};
        amqp::properties properties;
        properties.correlation_id = {number, static_cast<std::size_t>(number_end - number)};
        properties.reply_to = reply_queue_.str();
        properties.content_type = "application/json";
        properties.user_id = given_.amqp.user;
        properties.message_id = one.what->id;
        if (one.writes) {
            properties.mode = amqp::delivery_mode::persistent;
        }
        if (!one.until.is_never()) {
            properties.headers = headers;
        }
        waiting_.mark_sent(one.number);
        try {
            one.sequence =
                out_->publish(amqp::events_exchange(given_.queue_tag).str(), key.str(), properties,
                              body_, amqp::mandatory::yes, core::deadline::after(5s));
        } catch (const core::error& failed) {
            if (failed.code() != core::errc::unsupported) {
                const auto key_of_it = one.number;
                sent_.emplace(key_of_it, std::move(one)); // perhaps, as all that was sent before
                throw;
            }
            // Nothing was written: an id or a name that AMQP cannot carry.
            waiting_.finish(one.number, outcome::failure(code::invalid_envelope,
                                                         "an id or name is longer than 255 bytes"));
            return true;
        }
        by_sequence_.emplace(one.sequence, one.number);
        sent_.emplace(one.number, std::move(one));
        return true;
    }

    std::optional<op_class> class_of(const operation& op) const {
        switch (op.op) {
        case core::verb::insert:
        case core::verb::update:
        case core::verb::remove:
            return op_class::write;
        case core::verb::call: {
            const auto found = catalog_.find(op.template_name);
            if (found == catalog_.end()) {
                if (catalog_known_) {
                    return op_class::write; // unknown here: the node answers what is wrong with it
                }
                return std::nullopt;
            }
            const auto called = found->second.calls.find(op.name);
            return called == found->second.calls.end() ? op_class::write : called->second;
        }
        default:
            return op_class::read;
        }
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

    void learn_catalog(std::string_view body) {
        const reply got{std::string{body}, {}};
        if (!got.ok()) {
            return;
        }
        catalog_.clear();
        const auto* templates = got.front().data().find("templates");
        if (templates == nullptr) {
            return;
        }
        for (const auto& one : templates->items()) {
            const auto* name = one.find("name");
            const auto* operations = one.find("operations");
            if (name == nullptr || operations == nullptr) {
                continue;
            }
            auto& known = catalog_[std::string{name->text}];
            for (const auto& op : operations->items()) {
                const auto* call_name = op.find("name");
                const auto* call_class = op.find("class");
                if (call_name == nullptr || call_class == nullptr) {
                    continue;
                }
                if (const auto parsed = core::parse_op_class(call_class->text)) {
                    known.calls.emplace(std::string{call_name->text}, *parsed);
                }
            }
        }
        catalog_known_ = true;
        catalog_asked_ = {};
    }

    void take_reply(const amqp::delivery& from) {
        const auto correlation = from.properties().correlation_id;
        try {
            if (correlation == "catalog") {
                learn_catalog(from.body());
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
            reply got{std::string{from.body()}, found->second.what->id};
            auto answered = std::move(found->second);
            sent_.erase(found);
            by_sequence_.erase(answered.sequence);
            if (!answered.rerouted && is_misrouted(got)) {
                // Templates move: learn where it is now and send it there, once.
                answered.rerouted = true;
                catalog_known_ = false;
                catalog_.clear();
                waiting_.mark_unsent(number);
                queued_.push_back(std::move(answered));
                return;
            }
            waiting_.finish(number, std::move(got));
        } catch (const core::error& failed) {
            note("a reply that cannot be read: " + failed.message());
        }
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
            const auto number = found->second;
            by_sequence_.erase(found);
            sent_.erase(number);
            const bool full = lost.why == amqp::undelivered::cause::nacked;
            auto refused = full
                               ? outcome::failure(code::overloaded, "the request queue is full")
                               : outcome::failure(code::backend_unavailable,
                                                  "no BEDS node serves this service at the moment");
            refused.retry_after = full ? 200ms : 1'000ms;
            waiting_.finish(number, refused);
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
            if (now >= at->second.until.when()) {
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

    std::optional<amqp::consumer_connection> in_;
    std::optional<amqp::publisher_connection> out_;
    std::vector<sending> queued_;
    std::vector<sending> publishing_; ///< only while they are published
    std::unordered_map<std::uint64_t, sending> sent_;
    std::unordered_map<std::uint64_t, std::uint64_t> by_sequence_;
    std::map<std::string, known_template, std::less<>> catalog_;
    bool catalog_known_ = false;
    core::steady_time catalog_asked_{};
    core::steady_time next_sweep_{};
    std::vector<amqp::delivery> replies_;
    std::string body_;
    core::arena memory_;
    std::string trouble_;
    std::thread thread_; // last: it uses everything above
};

} // namespace

std::unique_ptr<client> make_amqp_client(amqp_client_settings settings) {
    return std::make_unique<amqp_client>(std::move(settings));
}

} // namespace beds::client
