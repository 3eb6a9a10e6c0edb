#include "core/failpoint.hpp"
#include "factory/backoff.hpp"
#include "factory/bind.hpp"
#include "factory/catalog.hpp"
#include "factory/plan.hpp"

#include <beds/core/data.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>
#include <beds/factory/factory.hpp>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <thread>
#include <utility>

namespace beds::factory {

using adapters::commit_result;
using adapters::lookup;
using adapters::step_result;
using adapters::work_kind;
using core::code;
using core::effect;
using core::outcome;

namespace {

/// Why an operation may have been applied already.
enum class doubt : std::uint8_t { none, redelivered, unanswered_commit };

/// Progress of one operation within a batch.
enum class stage : std::uint8_t {
    open,     ///< still to be run
    answered, ///< outcome is final
};

std::string_view operation_id(const core::request& from, const core::operation& op,
                              std::size_t index, core::arena& memory) {
    if (!op.id.empty()) {
        return op.id;
    }
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, index).ptr;
    return join(memory, {from.message_id, "/", {digits, static_cast<std::size_t>(end - digits)}});
}

/// Of an operation's id, in bytes: what the inbox keeps.
constexpr std::size_t longest_id = 255;

/// The content that an id stands for: everything but id and deadline.
core::content_hash content_of(const core::operation& op) {
    auto sum = core::hash(op.template_name);
    const auto add = [&](const core::datum* part) {
        sum = core::combine(sum, part == nullptr ? core::content_hash{} : core::hash(*part));
    };
    sum = core::combine(sum, core::hash(core::to_string(op.op)));
    sum = core::combine(sum, core::hash(op.name));
    add(op.key);
    add(op.where);
    add(op.data);
    add(op.set);
    add(op.inc);
    add(op.expect);
    add(op.args);
    return sum;
}

/// The time at which a batch was taken: asking the machine for each operation costs more than
/// binding it.
class stopped_clock final : public core::clock {
public:
    void set(const core::clock& from) {
        steady_ = from.steady_now();
        system_ = from.system_now();
    }
    [[nodiscard]] core::steady_time steady_now() const override { return steady_; }
    [[nodiscard]] core::system_time system_now() const override { return system_; }

private:
    core::steady_time steady_;
    core::system_time system_;
};

std::string_view text_member(const core::datum& from, std::string_view name) {
    const auto* const found = from.find(name);
    return found != nullptr && found->is(core::datum::kind::string) ? found->text
                                                                    : std::string_view{};
}

/// What a stored reply says, as far as the batch needs it; of a refusal also what people read in
/// the log and in a dead letter.
outcome outcome_of_stored(std::string_view reply, core::arena& memory) {
    outcome made;
    constexpr std::string_view refused = R"("status":"error","code":")";
    if (reply.starts_with(refused)) {
        const auto rest = reply.substr(refused.size());
        made.status = core::status::error;
        made.code = core::parse_code(rest.substr(0, rest.find('"'))).value_or(code::rejected);
        core::datum members;
        const auto whole = memory.copy("{" + std::string{reply} + "}");
        if (!core::parse_json(whole, memory, members)) {
            made.detail = text_member(members, "detail");
            made.field = text_member(members, "field");
            made.reason = text_member(members, "reason");
        }
    } else if (!reply.starts_with("\"status\":\"ok\"")) {
        made.status = core::status::error;
        made.code = code::rejected; // the bytes of the reply carry the real one
    }
    made.effect = reply.find("\"effect\":\"applied\"") != std::string_view::npos ? effect::applied
                                                                                 : effect::none;
    return made;
}

/// Nothing was done, for a reason that lies in the database and not in the request: when its people
/// have mended that (a right, a setting), the same request is to be done.
bool is_for_its_people(const outcome& result) {
    return result.effect == effect::none &&
           (result.code == code::backend_permission_denied || result.code == code::unsupported ||
            result.code == code::limit_exceeded);
}

/// Refused for good or done: what sending the same id again gets as its answer.
bool is_final(const outcome& result) {
    if (result.status == core::status::skipped || result.effect == effect::unknown ||
        is_for_its_people(result)) {
        return false;
    }
    return result.ok() || (!is_retryable(result.code) && result.code != code::deadline_exceeded &&
                           result.code != code::internal);
}

/// Rows that others hold stood in its way, or its unit ended before its turn: certainly not done,
/// and worth another try.
bool is_busy(const outcome& result) {
    return result.code == code::backend_conflict && result.effect == effect::none &&
           !result.at_least_once && result.status == core::status::error;
}

/// How long statements wait for rows that others hold: of a batch that knows nothing of them, of
/// several operations that met some, and of one.
constexpr std::chrono::seconds first_wait{1};
constexpr std::chrono::seconds wait_of_several{0};
constexpr std::chrono::seconds wait_of_one{2};

} // namespace

struct factory::impl {
    impl(std::shared_ptr<const template_set> set_given,
         std::vector<std::shared_ptr<adapters::adapter>> adapters_given,
         std::string connection_given, adapters::session_context context_given, settings options,
         const core::clock& clock_given)
        : set(std::move(set_given)), registry(set->registry), adapters(std::move(adapters_given)),
          connection(std::move(connection_given)), context(std::move(context_given)),
          given(std::move(options)), clock(clock_given), bind(registry->all(), given.cursors),
          retry(std::random_device{}()) {
        for (const auto& one : adapters) {
            if (one->connection_name() == connection) {
                adapter = one.get();
            }
        }
        if (adapter == nullptr) {
            throw core::error(core::errc::unknown_name,
                              "no adapter serves the connection '" + connection + "'");
        }
        can = adapter->can();
        context.writes = given.highest_class != core::op_class::read;
        served = served_since(0);
    }

    std::shared_ptr<const template_set> set;
    std::shared_ptr<const templates::registry> registry; ///< of the set
    std::vector<std::shared_ptr<adapters::adapter>> adapters;
    std::string connection;
    adapters::session_context context;
    settings given;
    const core::clock& clock;
    adapters::adapter* adapter = nullptr;
    adapters::capabilities can;
    std::vector<const templates::template_def*> served;
    binder bind;
    backoff retry;
    std::unique_ptr<adapters::session> session;
    std::string last_error;
    std::uint64_t connects = 0;

    // Of the batch under way.
    stopped_clock taken;
    core::result_sink* sink = nullptr;
    core::arena* memory = nullptr;
    observe::live_counters* counters = nullptr;
    std::span<message> batch;
    std::span<outcome> results;
    std::span<stage> stages;
    std::span<std::uint8_t> stopped; ///< by message: a `sequence` that failed
    /// By operation: whether it may have been applied already. It is no longer doubtful when its
    /// first reply is found or it was run to its end.
    std::span<doubt> doubts;
    /// By operation, without transactions: its reply is in the inbox.
    std::span<std::uint8_t> sealed;
    bool look_again = false;    ///< something of the unit was sent and got no answer
    std::vector<planned*> open; ///< of the unit under way
    /// Taken out of their unit, to be run when the rest of it is committed.
    std::vector<planned*> aside;
    bool apart = false; ///< their units ran into deadlocks too often: one at a time
    /// By message: which waves of it cannot be run, because operations of earlier ones are set
    /// aside. Zero: none.
    std::span<std::uint32_t> held_from;
    std::vector<adapters::operation_identity> ids;
    std::vector<adapters::stored_reply> known;
    std::vector<const adapters::bound_operation*> group;
    std::vector<adapters::sealed_reply> seals;
    std::vector<planned*> all;

    // ---- session -----------------------------------------------------------------------------

    bool ensure_session(core::deadline until) {
        if (session != nullptr && session->usable()) {
            return true;
        }
        const auto now = clock.steady_now();
        if (!retry.may_try(now)) {
            return false;
        }
        try {
            if (session == nullptr) {
                session = adapter->open_session(context);
            }
            session->connect(until.earlier(core::deadline::at(now + given.connect_timeout)));
            if (!look_at(served, now, until)) {
                return false;
            }
            ++connects;
            retry.succeeded();
            if (!last_error.empty()) {
                last_error.clear();
                context.log.write(observe::level::info, "BEDS_BACKEND_CONNECTED", context.name,
                                  "connected to '" + connection + "' again");
            }
            return true;
        } catch (const core::error& failed) {
            note_failure(failed.message() + (failed.server_message().empty()
                                                 ? std::string{}
                                                 : ": " + failed.server_message()));
        } catch (const std::exception& failed) {
            note_failure(failed.what());
        }
        return false;
    }

    /// Takes longer than a connection, the longer the more templates there are.
    bool look_at(std::span<const templates::template_def* const> targets, core::steady_time now,
                 core::deadline until) {
        constexpr std::chrono::milliseconds each{50};
        adapter->inspect(*session, targets,
                         until.earlier(core::deadline::at(now + 4 * given.connect_timeout +
                                                          targets.size() * each)));
        if (!session->usable()) {
            note_failure("the connection broke while the templates were looked at");
            return false;
        }
        can = adapter->can();
        return true;
    }

    // ---- templates ---------------------------------------------------------------------------

    [[nodiscard]] std::uint64_t since(const templates::template_def& target) const {
        return set->since.empty()
                   ? 0
                   : set->since[static_cast<std::size_t>(&target - registry->all().data())];
    }

    /// Those of this connection that are of this generation or a later one.
    [[nodiscard]] std::vector<const templates::template_def*>
    served_since(std::uint64_t generation) const {
        std::vector<const templates::template_def*> made;
        for (const auto& target : registry->all()) {
            if (target.connection == connection && since(target) >= generation) {
                made.push_back(&target);
            }
        }
        return made;
    }

    void change_templates(std::shared_ptr<const template_set> next) {
        const auto seen = set->generation;
        // What lives from batch to batch and points at templates: `bind`, `served`, the session.
        if (session != nullptr) {
            session->forget_templates();
        }
        descriptions.clear();
        const auto before = std::exchange(set, std::move(next)); // until the end of this function
        registry = set->registry;
        bind = binder{registry->all(), given.cursors};
        served = served_since(0);
        const auto news = served_since(seen + 1);
        if (news.empty() || session == nullptr || !session->usable()) {
            return; // a new session looks at all of them
        }
        try {
            look_at(news, clock.steady_now(), core::deadline::never());
        } catch (const std::exception& failed) { // what could not be seen is asked for again
            note_failure(failed.what());
        }
    }

    /// Was there another template of this name, which may have let pass what this one refuses?
    [[nodiscard]] bool has_changed(std::string_view name) const {
        if (set->generation == 0) {
            return false;
        }
        const auto* target = registry->find(name);
        return target != nullptr ? since(*target) > 0 : set->removed.contains(name);
    }

    void note_failure(std::string text) {
        retry.failed(clock.steady_now());
        if (text != last_error) { // once, not with every attempt
            last_error = std::move(text);
            context.log.write(observe::level::warning, "BEDS_BACKEND_UNREACHABLE", context.name,
                              "cannot use '" + connection + "': " + last_error);
        }
    }

    // ---- binding -----------------------------------------------------------------------------

    std::optional<outcome> bind_one(message& from, std::size_t index, planned& into) {
        const auto& op = from.request.operations[index];
        if (op.refused != code::ok) {
            return outcome::failure(op.refused, op.refusal, op.refused_field);
        }
        if (op.op == core::verb::describe) {
            return describe(op);
        }
        const auto* target = registry->find(op.template_name);
        if (target == nullptr) {
            const auto shown = memory->copy(op.template_name.substr(0, 64));
            return outcome::failure(
                code::unknown_template,
                join(*memory, {"there is no template '", shown, "'", registry->suggest(shown)}));
        }
        if (from.source == source::catalog) {
            return unrouted(from.routing_key, *target);
        }
        if (target->connection != connection) {
            return outcome::failure(code::misrouted,
                                    "this template is served elsewhere; ask the catalog");
        }
        if (!from.routed_template.empty() && from.routed_template != target->name) {
            return outcome::failure(code::misrouted,
                                    "every operation must be of the template in the routing key");
        }
        const templates::call* called = nullptr;
        if (op.op == core::verb::call) {
            called = target->find_call(op.name);
            if (called == nullptr) {
                return unknown_call(*target, op.name);
            }
        }
        const auto op_class = target->class_of(op.op, called);
        if (op_class > given.highest_class) {
            return outcome::failure(code::misrouted,
                                    join(*memory, {"this operation belongs to class '",
                                                   core::to_string(op_class), "'"}));
        }
        into.writes = op_class != core::op_class::read;
        if (into.writes && op.id.empty() && from.request.message_id.empty()) {
            return outcome::failure(
                code::invalid_envelope,
                "a write needs an id: the property message_id, or 'id' on the operation",
                "message_id");
        }

        if (set->withheld != nullptr && set->withheld->holds(*target)) {
            return withheld(into.writes && from.request.redelivered);
        }

        into.bound.target = target;
        into.bound.call = called;
        if (auto failure = bind.bind(op, taken.system_now(), *memory, into.bound)) {
            return failure;
        }
        const auto asked = deadline_of(from.request, op, *target);
        into.bound.deadline = asked.earlier(core::deadline::after(given.longest_work, taken));
        into.capped = into.bound.deadline.when() < asked.when();
        if (!into.writes && into.bound.deadline.expired(taken)) {
            return outcome::failure(code::deadline_exceeded,
                                    "the deadline passed before the start");
        }
        const auto& info = bind.info(*target);
        into.rank = info.rank;
        into.object = info.object;
        into.loose_key = info.loose_key;
        into.mode = from.request.mode;
        into.int64_as_string = from.request.int64_as_string;
        into.alone = runs_alone(into);
        if (into.writes) {
            into.identity.principal = from.request.principal;
            into.identity.id = operation_id(from.request, op, index, *memory);
            into.identity.content = content_of(op);
            into.identity.operation = &into.bound;
            if (into.identity.id.size() > longest_id) {
                return outcome::failure(
                    code::invalid_envelope,
                    "message_id and the operation's position must fit into 255 bytes",
                    "message_id");
            }
        }
        return std::nullopt;
    }

    /// What no binding took: the key may be wrong, or the right one of a database that nobody
    /// serves.
    outcome unrouted(std::string_view key, const templates::template_def& target) const {
        const auto dot = key.rfind('.');
        const bool right = dot != std::string_view::npos &&
                           registry->find(key.substr(0, dot)) != nullptr &&
                           core::parse_op_class(key.substr(dot + 1)).has_value();
        if (!right) {
            return outcome::failure(code::misrouted,
                                    join(*memory, {"the routing key must be the template and the "
                                                   "class of the operation, such as '",
                                                   target.name, ".read'"}));
        }
        auto refused =
            outcome::failure(code::backend_unavailable,
                             "no node serves the database of this template at the moment");
        refused.retry_after = std::chrono::seconds{1};
        return refused;
    }

    /// Nothing was done now; what a redelivered write did before shows when its template is served
    /// again.
    static outcome withheld(bool perhaps_done) {
        auto refused = outcome::failure(
            code::backend_unavailable,
            "this template does not fit its database at the moment; operators are told why", {},
            perhaps_done ? effect::unknown : effect::none);
        refused.retry_after = std::chrono::seconds{5};
        return refused;
    }

    outcome unknown_call(const templates::template_def& target, std::string_view name) {
        const auto shown = memory->copy(name.substr(0, 64));
        std::vector<std::string> names;
        for (const auto& one : target.calls) {
            names.push_back(one.name);
        }
        return outcome::failure(code::invalid_field,
                                join(*memory, {"template '", target.name, "' has no call '", shown,
                                               "'", core::did_you_mean(shown, names)}),
                                "name");
    }

    [[nodiscard]] bool runs_alone(const planned& op) const {
        return (op.writes || op.bound.call != nullptr) &&
               adapter->runs_alone(*op.bound.target, op.bound.op, op.bound.call);
    }

    core::deadline deadline_of(const core::request& request, const core::operation& op,
                               const templates::template_def& target) const {
        if (!op.deadline && !request.deadline) {
            return core::deadline::after(target.limits.deadline.value_or(given.default_deadline),
                                         taken);
        }
        auto made = core::deadline::never();
        if (op.deadline) {
            made = made.earlier(core::deadline::at(*op.deadline + given.clock_skew, taken));
        }
        if (request.deadline) {
            made = made.earlier(core::deadline::at(*request.deadline + given.clock_skew, taken));
        }
        return made;
    }

    outcome describe(const core::operation& op) {
        // The sink keeps a view: the text must live as long as the batch.
        const templates::template_def* only = nullptr;
        if (!op.template_name.empty()) {
            only = registry->find(op.template_name);
            if (only == nullptr) {
                const auto shown = memory->copy(op.template_name.substr(0, 64));
                return outcome::failure(code::unknown_template,
                                        join(*memory, {"there is no template '", shown, "'",
                                                       registry->suggest(shown)}));
            }
        }
        auto& text = descriptions[only];
        if (text.empty()) {
            text = memory->copy(std::string_view{
                ::beds::factory::describe(*registry, adapters, only, given.strict_route)});
        }
        described = text;
        return outcome{};
    }
    std::string_view described;
    /// Of this batch: an envelope may ask many times.
    std::map<const templates::template_def*, std::string_view> descriptions;

    void answer(core::op_index index, const outcome& result) {
        results[index] = result;
        stages[index] = stage::answered;
    }

    /// As `answer`, for an operation that was not run to its end: when it may have been applied
    /// before, its effect is not known, whatever else is said about it.
    void give_up(core::op_index index, outcome result) {
        sink->reset(index);
        if (doubts[index] != doubt::none) {
            result.status = core::status::error;
            if (result.code == code::skipped) {
                result.code = code::backend_unavailable;
            }
            result.effect = effect::unknown;
            if (doubts[index] == doubt::unanswered_commit) {
                result.detail = "the connection broke while the commit was under way; send the "
                                "same id again to learn the outcome";
            } else { // for operators the cause is what counts: of a dead letter, too
                result.detail = memory->copy(
                    std::string_view{std::string{result.detail} +
                                     "; the request was delivered before and may have been "
                                     "applied then: send the same id again to learn the outcome"});
            }
        }
        answer(index, result);
    }

    /// The same; what was called and cannot be asked for is never run again, and says so.
    void give_up(const planned& op, outcome result) {
        const bool not_kept = op.alone || (connects != 0 && !can.inbox);
        result.at_least_once = result.at_least_once ||
                               (not_kept && doubts[op.bound.index] == doubt::unanswered_commit);
        give_up(op.bound.index, result);
    }

    using ledger = observe::ledger;
    using live = observe::live_counters;

    [[nodiscard]] ledger::slot slot_of(const templates::template_def* target) const {
        if (target == nullptr) {
            return ledger::no_template;
        }
        const auto position = static_cast<std::size_t>(target - registry->all().data());
        return set->slots.empty() ? static_cast<ledger::slot>(position + 1) : set->slots[position];
    }

    /// A write that is refused by a template that has changed may have been done under the one
    /// before, and its caller asks for the answer: it is in the inbox. True: answered.
    bool answer_as_before(const message& from, std::size_t i, core::op_index index,
                          const outcome& refused) {
        const auto& op = from.request.operations[i];
        const bool reads = op.op == core::verb::call
                               ? given.highest_class == core::op_class::read
                               : op.op != core::verb::insert && op.op != core::verb::update &&
                                     op.op != core::verb::remove;
        if (reads || op.refused != code::ok || from.source == source::catalog ||
            (op.id.empty() && from.request.message_id.empty()) || !has_changed(op.template_name)) {
            return false;
        }
        adapters::operation_identity id;
        id.index = index;
        id.principal = from.request.principal;
        id.id = operation_id(from.request, op, i, *memory);
        id.content = content_of(op);
        if (id.id.size() > longest_id) {
            return false;
        }
        auto& may_be_done = doubts[index];
        may_be_done = from.request.redelivered ? doubt::redelivered : doubt::none;
        const auto away = [&] {
            auto made = outcome::failure(code::backend_unavailable,
                                         "the database cannot be reached at the moment");
            made.retry_after = retry.left(clock.steady_now());
            give_up(index, made);
            return true;
        };
        const auto until = core::deadline::at(clock.steady_now() + given.connect_timeout);
        if ((connects == 0 || can.inbox) && !ensure_session(until)) {
            return away();
        }
        if (!can.inbox) {
            if (may_be_done == doubt::none) {
                return false;
            }
            give_up(index, refused);
            return true;
        }
        known.clear();
        const bool asked = session->begin(work_kind::write, until, {&id, 1}, lookup::all, *memory,
                                          known) == step_result::done;
        session->rollback();
        if (!asked) {
            return away();
        }
        may_be_done = doubt::none; // its row is there, or it was not done
        const auto found = std::exchange(known, {});
        if (found.empty()) {
            return false;
        }
        const auto& stored = found.front();
        if (stored.content != id.content) {
            answer(index, reused());
        } else if (stored.reply.empty()) {
            // Begun, and how it ended cannot be seen through this template.
            may_be_done = doubt::redelivered;
            give_up(index, refused);
        } else {
            answer(index, outcome_of_stored(stored.reply, *memory));
            sink->stored(index, stored.reply);
        }
        return true;
    }

    /// From here on every operation stands in the books.
    void enter_into_books(std::span<const ledger::slot> slots) {
        if (counters->books != nullptr) {
            ledger::entry entry{*counters->books};
            for (const auto each : slots) {
                entry.received(each);
            }
        }
        for (auto& one : batch) {
            one.slots = slots.subspan(one.first, one.results.size());
        }
    }

    void bind_all() {
        taken.set(clock);
        const auto slots = memory->make_span<ledger::slot>(results.size());
        for (std::uint32_t m = 0; m < batch.size(); ++m) {
            auto& from = batch[m];
            const auto count = from.request.operations.size();
            const auto first_planned = all.size();
            bool writes = false;
            bool failed = false;
            std::size_t answered_before = 0;
            for (std::size_t i = 0; i < count; ++i) {
                const auto index = from.first + static_cast<core::op_index>(i);
                if (failed && from.request.mode == core::envelope_mode::sequence) {
                    answer(index, outcome::skip("an earlier operation of the sequence failed"));
                    slots[index] =
                        slot_of(registry->find(from.request.operations[i].template_name));
                    continue;
                }
                auto* made = memory->make<planned>();
                made->message = m;
                made->bound.index = index;
                described = {};
                auto refused = bind_one(from, i, *made);
                slots[index] =
                    slot_of(made->bound.target != nullptr
                                ? made->bound.target
                                : registry->find(from.request.operations[i].template_name));
                if (refused && !refused->ok() && answer_as_before(from, i, index, *refused)) {
                    failed = failed || !results[index].ok();
                    ++answered_before;
                    continue;
                }
                if (refused) {
                    answer(index, *refused);
                    if (refused->ok()) {
                        sink->raw(index, described);
                    } else {
                        failed = true;
                    }
                    continue;
                }
                writes = writes || made->writes;
                made->identity.index = index;
                if (made->writes && from.request.redelivered) {
                    doubts[index] = doubt::redelivered;
                }
                all.push_back(made);
            }
            const auto own = std::span{all}.subspan(first_planned);
            if (from.request.mode == core::envelope_mode::atomic) {
                if (refuse_atomic(from, own, failed, answered_before)) {
                    all.resize(first_planned);
                    continue;
                }
            }
            for (auto* one : own) {
                one->message_writes = writes;
            }
        }
        enter_into_books(slots);
    }

    /// What cannot be atomic is refused before anything runs: true.
    bool refuse_atomic(const message& from, std::span<planned* const> own, bool failed,
                       std::size_t answered_before) {
        bool alone =
            std::any_of(own.begin(), own.end(), [](const planned* op) { return op->alone; });
        const auto first = from.first;
        const auto count = from.request.operations.size();
        if (alone && !failed && connects == 0) {
            // Which procedures commit by themselves is not known before the database was seen.
            auto until = core::deadline::never();
            for (const auto* op : own) {
                until = until.earlier(op->bound.deadline);
            }
            if (!ensure_session(until)) {
                auto away = outcome::failure(code::backend_unavailable,
                                             "the database cannot be reached at the moment");
                away.retry_after = retry.left(clock.steady_now());
                for (core::op_index i = first; i < first + count; ++i) {
                    give_up(i, away);
                }
                return true;
            }
            alone = false;
            for (auto* op : own) {
                op->alone = runs_alone(*op);
                alone = alone || op->alone;
            }
        }
        if (!failed && !alone && can.transactions && own.size() + answered_before == count) {
            return false;
        }
        for (core::op_index i = first; i < first + count; ++i) {
            if (stages[i] == stage::answered &&
                (!results[i].ok() || results[i].effect == effect::applied)) {
                continue;
            }
            if (failed) {
                answer(i, outcome::skip("another operation of the atomic envelope is refused"));
            } else if (!can.transactions) {
                answer(i, outcome::failure(code::unsupported,
                                           "this database has no transactions here: 'atomic' is "
                                           "not offered"));
            } else {
                answer(i, outcome::failure(code::unsupported,
                                           "the envelope holds an operation that commits by "
                                           "itself, or may do so, and cannot be part of "
                                           "'atomic'"));
            }
        }
        // All of it is answered now.
        for (core::op_index i = first; i < first + count; ++i) {
            stages[i] = stage::answered;
        }
        return true;
    }

    // ---- the same id twice in one batch ------------------------------------------------------

    struct repeat {
        core::op_index original;
        planned* copy;
    };
    std::vector<repeat> repeats;
    std::vector<planned*> by_id;
    /// Run after everything else, message by message, when the inbox knows what became of the ids
    /// that they share with others of the batch.
    std::vector<planned*> later;

    void set_repeats_aside() {
        by_id.clear();
        for (auto* op : all) {
            if (op->writes) {
                by_id.push_back(op);
            }
        }
        if (by_id.size() < 2) {
            return;
        }
        // Not std::stable_sort: that takes memory from the heap.
        std::sort(by_id.begin(), by_id.end(), [](const planned* a, const planned* b) {
            return std::tie(a->identity.principal, a->identity.id, a->bound.index) <
                   std::tie(b->identity.principal, b->identity.id, b->bound.index);
        });
        const planned* original = by_id.front();
        for (std::size_t i = 1; i < by_id.size(); ++i) {
            auto* op = by_id[i];
            if (op->identity.id != original->identity.id ||
                op->identity.principal != original->identity.principal) {
                original = op;
                continue;
            }
            if (op->identity.content != original->identity.content) {
                answer(op->bound.index, reused());
                stop_message(*op, all);
            } else if (op->message == original->message || op->mode == core::envelope_mode::each) {
                repeats.push_back({original->bound.index, op});
                stages[op->bound.index] = stage::answered;
            } else {
                later.push_back(op); // its whole message waits, see below
            }
        }
        if (!later.empty()) {
            std::vector<std::uint32_t> waiting;
            for (const auto* op : later) {
                waiting.push_back(op->message);
            }
            later.clear();
            std::copy_if(all.begin(), all.end(), std::back_inserter(later), [&](const planned* op) {
                return std::find(waiting.begin(), waiting.end(), op->message) != waiting.end();
            });
            std::erase_if(all, [&](const planned* op) {
                return std::find(waiting.begin(), waiting.end(), op->message) != waiting.end();
            });
        }
        std::erase_if(
            all, [&](const planned* op) { return stages[op->bound.index] == stage::answered; });
    }

    static outcome reused() {
        return outcome::failure(code::id_reused,
                                "this id was used for an operation with other content", "id");
    }

    /// What was settled for the original holds for its copies; otherwise each copy is tried by
    /// itself.
    void answer_repeats() {
        std::size_t waiting = 0;
        for (const auto [original, copy] : repeats) {
            const auto index = copy->bound.index;
            if (stages[original] == stage::open) { // its message is run later
                repeats[waiting++] = {original, copy};
                continue;
            }
            const bool same_message =
                batch[copy->message].first <= original &&
                original < batch[copy->message].first + batch[copy->message].results.size();
            if (!same_message && !is_final(results[original]) &&
                results[original].effect != effect::unknown) {
                stages[index] = stage::open;
                later.push_back(copy);
                continue;
            }
            results[index] = results[original];
            sink->reset(index);
            if (results[original].status != core::status::skipped) {
                sink->stored(index, sink->encode(original, results[original], *memory));
            }
        }
        repeats.resize(waiting);
    }

    // ---- one transaction ---------------------------------------------------------------------

    void fail_open(code why, std::string_view detail, std::chrono::milliseconds retry_after = {}) {
        for (const auto* op : open) {
            const auto index = op->bound.index;
            if (stages[index] == stage::answered) {
                continue;
            }
            auto failed = outcome::failure(why, detail);
            failed.retry_after = std::max(failed.retry_after, retry_after);
            give_up(*op, failed);
            if (op->mode == core::envelope_mode::sequence) {
                stopped[op->message] = 1; // its operations in later transactions are not run
            }
        }
        open.clear();
    }

    void drop_answered() {
        std::erase_if(
            open, [&](const planned* op) { return stages[op->bound.index] == stage::answered; });
    }

    /// Ends operations whose deadline passed; returns how many.
    std::size_t expire(core::steady_time now) {
        std::size_t ended = 0;
        for (const auto* op : open) {
            const auto index = op->bound.index;
            if (stages[index] == stage::open && now >= op->bound.deadline.when()) {
                give_up(*op, outcome::failure(code::deadline_exceeded,
                                              op->capped ? "longer than an operation may work here"
                                                         : "the deadline passed"));
                ++ended;
                stop_message(*op, open);
            }
        }
        drop_answered();
        return ended;
    }

    /// One operation of the message was answered early, and not well: an atomic envelope ends with
    /// it, a sequence stops behind it.
    void stop_message(const planned& cause, std::span<planned* const> among) {
        if (cause.mode == core::envelope_mode::sequence) {
            stop_sequence(cause);
            return;
        }
        if (cause.mode != core::envelope_mode::atomic) {
            return;
        }
        for (const auto* op : among) {
            if (op->message == cause.message && stages[op->bound.index] == stage::open) {
                give_up(op->bound.index,
                        outcome::skip("another operation of the atomic envelope failed"));
            }
        }
    }

    [[nodiscard]] core::deadline earliest_deadline() const {
        auto earliest = core::deadline::never();
        for (const auto* op : open) {
            earliest = earliest.earlier(op->bound.deadline);
        }
        return earliest;
    }

    /// Operations that the inbox knows get their first reply again.
    void answer_known() {
        for (const auto& stored : known) {
            if (stages[stored.index] == stage::answered) {
                continue;
            }
            const auto found = std::find_if(open.begin(), open.end(), [&](const planned* op) {
                return op->bound.index == stored.index;
            });
            if (found == open.end()) {
                continue;
            }
            if ((*found)->identity.content == stored.content && stored.reply.empty()) {
                auto& may_be = doubts[stored.index];
                may_be = may_be == doubt::none ? doubt::redelivered : may_be;
            } else if ((*found)->identity.content == stored.content) {
                answer(stored.index, outcome_of_stored(stored.reply, *memory));
                sink->stored(stored.index, stored.reply);
            } else {
                answer(stored.index, reused());
            }
        }
        known.clear();
        // Only now: what was answered before is told as it was, whatever its neighbours became.
        for (const auto* op : open) {
            if (stages[op->bound.index] == stage::answered && !results[op->bound.index].ok()) {
                stop_message(*op, open);
            }
        }
        drop_answered();
    }

    void stop_sequence(const planned& cause) {
        for (const auto* op : all) {
            if (op->message == cause.message && op->bound.index > cause.bound.index &&
                stages[op->bound.index] == stage::open) {
                give_up(op->bound.index,
                        outcome::skip("an earlier operation of the sequence failed"));
            }
        }
    }

    step_result run_group(adapters::group_mode mode) {
        const auto step = session->run(adapters::group{mode, group}, *sink, results, *memory);
        if (step == step_result::done && !can.transactions) {
            for (const auto* op : group) { // nothing can take it back
                auto& result = results[op->index];
                if (!can.inbox && result.effect != effect::none) {
                    result.at_least_once = true;
                }
                // With an inbox and another session it can be learned what became of it. Once: what
                // is not known then stays so.
                auto& may_be = doubts[op->index];
                if (can.inbox && result.effect == effect::unknown && !result.at_least_once &&
                    !session->usable() && may_be != doubt::unanswered_commit) {
                    may_be = doubt::unanswered_commit;
                    look_again = true;
                    continue;
                }
                stages[op->index] = stage::answered;
            }
        }
        return step;
    }

    /// Runs everything that is open, group by group. Nothing in here is final until the commit.
    step_result run_open() {
        const auto before = [](const planned* a, const planned* b) {
            return std::tuple{a->mode != core::envelope_mode::each, a->wave, a->rank, a->shape,
                              a->bound.index} < std::tuple{b->mode != core::envelope_mode::each,
                                                           b->wave, b->rank, b->shape,
                                                           b->bound.index};
        };
        if (!std::is_sorted(open.begin(), open.end(), before)) { // often all of one kind
            std::sort(open.begin(), open.end(), before);
        }
        std::size_t i = 0;
        std::uint32_t unsealed_wave = 0;
        while (i < open.size() && open[i]->mode == core::envelope_mode::each) {
            group.clear();
            const auto* first = open[i];
            // Rows remember few writes: their replies must not wait for the end of a long unit.
            constexpr std::uint32_t most_waves = 8;
            if (!can.transactions && can.inbox && first->wave >= unsealed_wave + most_waves) {
                unsealed_wave = first->wave;
                if (const auto step = seal_answered(); step != step_result::done) {
                    return step;
                }
            }
            const auto begin = i;
            for (; i < open.size() && open[i]->mode == core::envelope_mode::each &&
                   open[i]->wave == first->wave && open[i]->shape == first->shape &&
                   open[i]->int64_as_string == first->int64_as_string &&
                   same_shape(open[i]->bound, first->bound);
                 ++i) {
                const auto from = held_from[open[i]->message];
                if (from != 0 && open[i]->wave >= from) {
                    results[open[i]->bound.index] =
                        outcome::failure(code::backend_conflict, "an earlier operation waits");
                    continue;
                }
                group.push_back(&open[i]->bound);
            }
            if (group.empty()) {
                continue;
            }
            if (const auto step = run_group(adapters::group_mode::independent);
                step != step_result::done) {
                return step;
            }
            for (auto at = begin; can.transactions && at < i; ++at) {
                if (is_busy(results[open[at]->bound.index]) && held_from[open[at]->message] == 0) {
                    held_from[open[at]->message] = open[at]->wave + 1;
                }
            }
        }
        // Messages with an order of their own, one after another; sorted by position within each
        // because their waves are all zero. The first operation's index orders the messages.
        std::sort(
            open.begin() + static_cast<std::ptrdiff_t>(i), open.end(),
            [](const planned* a, const planned* b) { return a->bound.index < b->bound.index; });
        while (i < open.size()) {
            const auto begin = i;
            while (i < open.size() && open[i]->message == open[begin]->message) {
                ++i;
            }
            const auto own = std::span{open}.subspan(begin, i - begin);
            const auto step = own.front()->mode == core::envelope_mode::atomic ? run_atomic(own)
                                                                               : run_sequence(own);
            if (step != step_result::done) {
                return step;
            }
        }
        return step_result::done;
    }

    step_result run_atomic(std::span<planned* const> own) {
        group.clear();
        for (const auto* op : own) {
            group.push_back(&op->bound);
        }
        return run_group(adapters::group_mode::atomic);
    }

    step_result run_sequence(std::span<planned* const> own) {
        bool failed = stopped[own.front()->message] != 0;
        bool for_good = true;
        for (const auto* op : own) {
            if (failed) {
                results[op->bound.index] =
                    outcome::skip("an earlier operation of the sequence failed");
                if (!can.transactions && for_good) {
                    stages[op->bound.index] = stage::answered;
                }
                continue;
            }
            group.assign(1, &op->bound);
            if (const auto step = run_group(adapters::group_mode::independent);
                step != step_result::done) {
                return step;
            }
            failed = !results[op->bound.index].ok();
            for_good = stages[op->bound.index] == stage::answered;
        }
        return step_result::done;
    }

    // ---- operations whose rows others hold ---------------------------------------------------

    /// Takes them out of the unit: the others are committed without them. With one operation of an
    /// atomic envelope goes all of it, with one of a sequence what stands behind it.
    void set_aside() {
        // What a procedure committed cannot be taken back: nothing of its envelope runs again.
        const auto committed = [this](const planned* op) {
            return op->mode != core::envelope_mode::each &&
                   std::any_of(open.begin(), open.end(), [&](const planned* other) {
                       return other->message == op->message &&
                              results[other->bound.index].effect == effect::unknown;
                   });
        };
        const auto busy = [&](const planned* op) {
            return is_busy(results[op->bound.index]) && !committed(op);
        };
        if (std::none_of(open.begin(), open.end(), busy)) {
            return;
        }
        for (const auto* op : open) {
            if (busy(op)) {
                held_from[op->message] = 1;
            }
        }
        std::erase_if(open, [&](planned* op) {
            const bool goes =
                busy(op) || (op->mode != core::envelope_mode::each && held_from[op->message] != 0 &&
                             !results[op->bound.index].ok());
            if (goes) {
                sink->reset(op->bound.index);
                aside.push_back(op);
            }
            return goes;
        });
        live::add(counters->reruns);
    }

    /// Do these share a transaction with nobody but themselves?
    static bool are_one(std::span<const planned* const> operations) {
        const auto* first = operations.front();
        return operations.size() == 1 ||
               (first->mode != core::envelope_mode::each &&
                std::all_of(operations.begin(), operations.end(),
                            [first](const auto* op) { return op->message == first->message; }));
    }

    /// Moves one operation that need not wait for others of its message from `aside` to `open`, or
    /// a whole envelope that has an order.
    void take_one() {
        const auto one = std::find_if(aside.begin(), aside.end(), [this](const planned* candidate) {
            return std::none_of(aside.begin(), aside.end(), [candidate](const planned* other) {
                return other->message == candidate->message && other->wave < candidate->wave;
            });
        });
        const planned* const chosen = *one;
        std::erase_if(aside, [&](planned* op) {
            const bool goes = op == chosen || (op->message == chosen->message &&
                                               op->mode != core::envelope_mode::each);
            if (goes) {
                open.push_back(op);
            }
            return goes;
        });
    }

    /// Runs what was set aside until each is answered: by its deadline at the latest. Several wait
    /// here, between short attempts, so that one lock does not hold up those that are free again;
    /// the last one waits at the server, which gives it its turn.
    void run_aside() {
        constexpr std::chrono::milliseconds longest_pause{100};
        std::chrono::milliseconds pause{5};
        while (!aside.empty()) {
            const auto before = aside.size();
            const bool one = are_one(aside);
            open.clear();
            if (apart) {
                take_one();
            } else {
                open.swap(aside);
            }
            const bool writes =
                std::any_of(open.begin(), open.end(), [](const auto* op) { return op->writes; });
            run_transaction(writes ? work_kind::write : work_kind::read, lookup::all, false,
                            one ? wait_of_one : wait_of_several);
            if (aside.size() < before) {
                pause = std::chrono::milliseconds{5};
            } else if (!one) {
                std::this_thread::sleep_for(pause);
                pause = std::min(2 * pause, longest_pause);
            }
        }
        apart = false;
    }

    step_result seal_open(bool alone, lookup how) {
        seals.clear();
        // What a procedure committed by itself cannot be rolled back: its unit does not run again.
        const bool once = std::any_of(open.begin(), open.end(), [&](const planned* op) {
            return results[op->bound.index].effect == effect::unknown;
        });
        for (const auto* op : open) {
            auto& result = results[op->bound.index];
            if (alone) {
                result.at_least_once = true;
            }
            if (!op->writes) {
                continue;
            }
            // A failed atomic envelope is run anew when it is sent again: its parts have no answer
            // of their own.
            if (!is_final(result) || (op->mode == core::envelope_mode::atomic && !result.ok())) {
                if (how == lookup::none && !once) {
                    return step_result::known_id; // perhaps: nothing is kept that would clash
                }
                continue;
            }
            seals.push_back({op->identity, sink->encode(op->bound.index, result, *memory)});
        }
        return seals.empty() ? step_result::done : session->seal(seals);
    }

    /// Without transactions: stores the replies of what was done, whatever becomes of the rest.
    /// What cannot be stored now the session keeps in mind for later.
    step_result seal_answered() {
        seals.clear();
        for (const auto* op : open) {
            const auto index = op->bound.index;
            if (op->writes && stages[index] == stage::answered && sealed[index] == 0 &&
                is_final(results[index])) {
                seals.push_back({op->identity, sink->encode(index, results[index], *memory)});
            }
        }
        if (seals.empty()) {
            return step_result::done;
        }
        const auto step = session->seal(seals);
        if (step == step_result::known_id) {
            // Somebody else took one of them over. What is stored is its answer, of each.
            for (const auto& one : seals) {
                stages[one.identity.index] = stage::open;
                doubts[one.identity.index] = doubt::unanswered_commit;
            }
            return step;
        }
        for (const auto& one : seals) {
            sealed[one.identity.index] = 1;
        }
        return step_result::done; // done is done, stored or not
    }

    /// Runs the operations of one transaction until each of them is answered.
    void run_unit(std::uint32_t unit, bool again) {
        open.clear();
        bool writes = false;
        bool redelivered = false;
        for (auto* op : all) {
            if (op->unit == unit && stages[op->bound.index] == stage::open) {
                open.push_back(op);
                writes = writes || op->writes;
                redelivered = redelivered || batch[op->message].request.redelivered;
            }
        }
        run_transaction(writes ? work_kind::write : work_kind::read,
                        redelivered || again ? lookup::all : lookup::none, false, first_wait);
        run_aside();
    }

    /// Writes whose deadline passed before they began are not run, but they may have been: sent
    /// again by their caller, or delivered again after a crash. Their first replies are in the
    /// inbox.
    void ask_for_late() {
        if (connects != 0 && !can.inbox) {
            return;
        }
        const auto now = clock.steady_now();
        ids.clear();
        for (const auto* op : open) {
            if (op->writes && now >= op->bound.deadline.when()) {
                ids.push_back(op->identity);
            }
        }
        const auto until = core::deadline::at(now + given.connect_timeout);
        if (ids.empty() || !ensure_session(until) || !can.inbox) {
            return;
        }
        known.clear();
        if (session->begin(work_kind::write, until, ids, lookup::all, *memory, known) ==
            step_result::done) {
            answer_known();
        }
        session->rollback();
    }

    /// Answers what is open, or sets it aside.
    void run_transaction(work_kind kind, lookup how, bool alone, std::chrono::seconds row_wait) {
        unsigned reruns = 0;
        unsigned clashes = 0;
        unsigned breaks = 0;
        bool called = false;
        if (kind == work_kind::write) {
            ask_for_late();
        }
        while (!open.empty()) {
            expire(clock.steady_now());
            if (open.empty()) {
                return;
            }
            // One caller's short deadline must not keep the others from a session.
            if (!ensure_session(core::deadline::never())) {
                expire(clock.steady_now());
                fail_open(code::backend_unavailable, "the database cannot be reached at the moment",
                          retry.left(clock.steady_now()));
                return;
            }
            for (const auto* op : open) {
                sink->reset(op->bound.index);
                results[op->bound.index] = outcome{};
                held_from[op->message] = 0;
            }
            const auto until = earliest_deadline();
            // Who waits past a deadline of the unit takes all of it along.
            const bool hurried =
                row_wait == first_wait && open.size() > 1 &&
                until.when() < clock.steady_now() + first_wait + std::chrono::milliseconds{200};
            bool at_seal = false;
            session->wait_for_rows(hurried ? wait_of_several : row_wait);
            collect_ids(kind);
            known.clear();
            auto step =
                session->begin(kind, until, ids, can.inbox ? how : lookup::none, *memory, known);
            if (step == step_result::done) {
                BEDS_FAILPOINT(db_begin);
                answer_known();
                if (alone && called && !open.empty()) {
                    doubts[open.front()->bound.index] = doubt::unanswered_commit;
                    session->rollback();
                    fail_open(code::backend_conflict, "the same id was run elsewhere");
                    return;
                }
                called = true;
                step = run_open();
                BEDS_FAILPOINT(effect_done);
                if (step == step_result::done && can.transactions && !alone) {
                    set_aside();
                    if (open.empty()) {
                        session->rollback();
                        return;
                    }
                }
            }
            if (kind == work_kind::write && can.inbox && !can.transactions) {
                if (called) {
                    const auto stored = seal_answered();
                    step = step == step_result::done ? stored : step;
                }
                if (look_again) {
                    look_again = false;
                    how = lookup::all;
                    step = step == step_result::done ? step_result::broken : step;
                }
            } else if (step == step_result::done && kind == work_kind::write && can.inbox) {
                step = seal_open(alone, how);
                at_seal = true;
            } else if (step == step_result::done && alone && kind == work_kind::write) {
                for (const auto* op : open) {
                    results[op->bound.index].at_least_once = true;
                }
            }
            BEDS_FAILPOINT(inbox_written);
            if (step == step_result::done) {
                BEDS_FAILPOINT(before_commit);
                const auto committed = session->commit();
                BEDS_FAILPOINT(after_commit);
                switch (committed) {
                case commit_result::applied:
                    finish_open();
                    return;
                case commit_result::none:
                    step = session->usable() ? step_result::rerun : step_result::broken;
                    break;
                case commit_result::unknown:
                    if (kind == work_kind::write) {
                        for (const auto* op : open) {
                            doubts[op->bound.index] =
                                op->writes ? doubt::unanswered_commit : doubt::none;
                        }
                    }
                    // With an inbox the outcome can be learned: its row is there or it is not.
                    how = lookup::all;
                    if (!can.inbox || alone) {
                        fail_open(code::backend_unavailable, "the connection broke");
                        return;
                    }
                    step = step_result::broken;
                    break;
                }
            } else {
                session->rollback(); // a broken one, too: it keeps views of this batch until then
            }
            if (!can.transactions) {
                drop_answered(); // what ran is applied; only the rest is run again
            }
            if (alone && called && step != step_result::known_id && !open.empty()) {
                // It commits by itself, and may have: never called again.
                doubts[open.front()->bound.index] = doubt::unanswered_commit;
                fail_open(step == step_result::expired ? code::deadline_exceeded
                                                       : code::backend_unavailable,
                          "the connection broke");
                return;
            }
            switch (step) {
            case step_result::done:
                return;
            case step_result::known_id:
                how = lookup::all;
                [[fallthrough]];
            case step_result::rerun:
                live::add(counters->reruns);
                if ((step == step_result::known_id || alone || !can.transactions) &&
                    ++clashes > given.max_reruns) {
                    fail_open(code::backend_conflict,
                              "the rows are busy: other transactions got in the way every time",
                              std::chrono::milliseconds{50});
                    return;
                }
                // An id whose row in the inbox somebody else holds stops all of its unit each time.
                if (++reruns > (at_seal ? 2 : given.max_reruns) && !alone && can.transactions &&
                    (!are_one(open) || !aside.empty())) {
                    apart = true; // whoever meets fewer locks meets fewer deadlocks
                    aside.insert(aside.end(), open.begin(), open.end());
                    open.clear();
                    return;
                }
                if (reruns > 3) {
                    std::this_thread::sleep_for(std::chrono::milliseconds{std::min(reruns, 50U)});
                }
                break;
            case step_result::expired:
                // The server may have ended the statement a moment before our clock agrees.
                if (expire(std::max(clock.steady_now(), until.when())) == 0) {
                    fail_open(code::deadline_exceeded, "the deadline passed");
                    return;
                }
                break;
            case step_result::full:
                fail_open(code::backend_storage_full, "the database is out of space");
                return;
            case step_result::no_inbox:
                refuse_writes();
                kind = work_kind::read;
                break;
            case step_result::broken:
                if (expire(clock.steady_now()) == 0 && ++breaks > 2) {
                    note_failure("the connection breaks whenever this batch runs");
                    fail_open(code::backend_unavailable, "the connection to the database broke",
                              retry.left(clock.steady_now()));
                    return;
                }
                break;
            }
        }
    }

    /// Nothing can be written; reads of the unit go on.
    void refuse_writes() {
        const auto& why = session->trouble();
        for (const auto* op : open) {
            if (op->writes && stages[op->bound.index] == stage::open) {
                give_up(*op, outcome::failure(why.code, why.detail));
                stop_message(*op, open);
            }
        }
        drop_answered();
    }

    void collect_ids(work_kind kind) {
        ids.clear();
        if (kind == work_kind::read) {
            return;
        }
        for (const auto* op : open) {
            if (op->writes) {
                ids.push_back(op->identity);
            }
        }
    }

    void finish_open() {
        for (const auto* op : open) {
            const auto index = op->bound.index;
            stages[index] = stage::answered;
            if (op->mode == core::envelope_mode::sequence && !results[index].ok()) {
                stopped[op->message] = 1;
            }
        }
        open.clear();
    }

    /// An operation that commits by itself, in its own transaction.
    void run_alone(planned& op) {
        if (stopped[op.message] != 0) {
            answer(op.bound.index, outcome::skip("an earlier operation of the sequence failed"));
            return;
        }
        open.assign(1, &op);
        run_transaction(op.writes ? work_kind::write : work_kind::read,
                        op.writes && can.inbox ? lookup::all : lookup::none, true, first_wait);
        if (!results[op.bound.index].ok() && op.mode == core::envelope_mode::sequence) {
            stopped[op.message] = 1;
        }
    }

    void run(std::span<message> given_batch, core::result_sink& results_sink,
             core::arena& batch_memory, observe::live_counters& live_counters) {
        batch = given_batch;
        sink = &results_sink;
        memory = &batch_memory;
        counters = &live_counters;
        const auto total = count(batch);
        results = memory->make_span<outcome>(total);
        stages = memory->make_span<stage>(total);
        doubts = memory->make_span<doubt>(total);
        sealed = memory->make_span<std::uint8_t>(total);
        stopped = memory->make_span<std::uint8_t>(batch.size());
        held_from = memory->make_span<std::uint32_t>(batch.size());
        aside.clear();
        apart = false;
        all.clear();
        repeats.clear();
        later.clear();
        descriptions.clear();
        bind.trim();
        core::op_index first = 0;
        for (auto& one : batch) {
            one.first = first;
            one.results = results.subspan(first, one.request.operations.size());
            first += static_cast<core::op_index>(one.request.operations.size());
        }

        bind_all();
        set_repeats_aside();
        BEDS_FAILPOINT(after_validate);
        run_planned(false);
        do {
            answer_repeats();
            run_later();
        } while (!repeats.empty());
        tally();
    }

    void run_planned(bool again) {
        plan(all, *memory);
        std::uint32_t last_unit = 0;
        for (const auto* op : all) {
            last_unit = std::max(last_unit, op->unit);
        }
        for (std::uint32_t unit = 0; unit <= last_unit && !all.empty(); ++unit) {
            if (unit % 2 == 0) {
                run_unit(unit, again);
                continue;
            }
            for (auto* op : all) {
                if (op->unit == unit && stages[op->bound.index] == stage::open) {
                    run_alone(*op);
                }
            }
        }
    }

    void run_later() {
        for (std::size_t i = 0; i < later.size();) {
            all.clear();
            for (const auto message = later[i]->message;
                 i < later.size() && later[i]->message == message; ++i) {
                later[i]->unit = later[i]->wave = 0;
                all.push_back(later[i]);
            }
            run_planned(true);
        }
        later.clear();
    }

    void tally() {
        std::uint64_t ok = 0;
        std::uint64_t unknown = 0;
        for (const auto& result : results) {
            ok += result.ok() ? 1U : 0U;
            unknown += result.effect == effect::unknown ? 1U : 0U;
        }
        live::add(counters->operations, results.size());
        live::add(counters->batches);
        counters->batch_operations.add(results.size());
        live::add(counters->ok, ok);
        live::add(counters->errors, results.size() - ok);
        live::add(counters->unknown, unknown);
        counters->backend_connects.store(given.connects_before + connects,
                                         std::memory_order_relaxed);
        counters->backend_connected.store(session != nullptr && session->usable(),
                                          std::memory_order_relaxed);
        if (results.size() > counters->largest_batch.load(std::memory_order_relaxed)) {
            counters->largest_batch.store(static_cast<std::uint32_t>(results.size()),
                                          std::memory_order_relaxed);
        }
    }
};

withheld_templates::withheld_templates(std::shared_ptr<const templates::registry> of)
    : of_(std::move(of)), flags_(of_->all().size()) {}

void withheld_templates::set(std::string_view name, bool withheld) {
    if (const auto* target = of_->find(name)) {
        flags_[static_cast<std::size_t>(target - of_->all().data())] = withheld;
    }
}

factory::factory(std::shared_ptr<const templates::registry> registry,
                 std::vector<std::shared_ptr<adapters::adapter>> adapters, std::string connection,
                 adapters::session_context context, settings given, const core::clock& clock)
    : factory(std::make_shared<const template_set>(template_set{.registry = std::move(registry)}),
              std::move(adapters), std::move(connection), std::move(context), std::move(given),
              clock) {}
factory::factory(std::shared_ptr<const template_set> set,
                 std::vector<std::shared_ptr<adapters::adapter>> adapters, std::string connection,
                 adapters::session_context context, settings given, const core::clock& clock)
    : impl_(std::make_unique<impl>(std::move(set), std::move(adapters), std::move(connection),
                                   std::move(context), std::move(given), clock)) {}
factory::~factory() = default;
factory::factory(factory&&) noexcept = default;
factory& factory::operator=(factory&&) noexcept = default;

void factory::change_templates(std::shared_ptr<const template_set> set) {
    impl_->change_templates(std::move(set));
}

std::size_t factory::count(std::span<const message> batch) {
    std::size_t total = 0;
    for (const auto& one : batch) {
        total += one.request.operations.size();
    }
    return total;
}

void factory::run(std::span<message> batch, core::result_sink& results, core::arena& memory,
                  observe::live_counters& counters) {
    impl_->run(batch, results, memory, counters);
}

bool factory::ensure_session(core::deadline until) {
    return impl_->ensure_session(until);
}

void factory::idle(core::deadline until) {
    if (impl_->session != nullptr && impl_->session->usable()) {
        impl_->session->alive(until);
    }
    impl_->ensure_session(core::deadline::never()); // bounds itself
}

bool factory::connected() const {
    return impl_->session != nullptr && impl_->session->usable();
}

std::uint64_t factory::connects() const {
    return impl_->given.connects_before + impl_->connects;
}

const std::string& factory::write_trouble() const {
    static const std::string none;
    return connected() && impl_->context.writes ? impl_->session->trouble().text : none;
}

const std::string& factory::last_error() const {
    return impl_->last_error;
}

} // namespace beds::factory
