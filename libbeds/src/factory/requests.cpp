#include "factory/catalog.hpp"
#include "factory/impl.hpp"

#include <algorithm>
#include <charconv>

namespace beds::factory {

void factory::impl::bind_all() {
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
                slots[index] = slot_of(registry->find(from.request.operations[i].template_name));
                continue;
            }
            auto* made = memory->make<planned>();
            made->message = m;
            made->bound.index = index;
            described = {};
            auto refused = bind_one(from, i, *made);
            slots[index] = slot_of(made->bound.target != nullptr
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

std::optional<outcome> factory::impl::bind_one(message& from, std::size_t index, planned& into) {
    const auto& op = from.request.operations[index];
    if (op.refused != code::ok) {
        return outcome::failure(op.refused, op.refusal, op.refused_field);
    }
    if (op.op == core::verb::describe) {
        return describe(from.request, op);
    }
    const auto* target = template_for(from.request, op.template_name);
    if (target == nullptr) {
        return no_template(from.request, op.template_name);
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
        return outcome::failure(code::misrouted, join(*memory, {"this operation belongs to class '",
                                                                core::to_string(op_class), "'"}));
    }
    into.writes = op_class != core::op_class::read;
    if (into.writes && op.id.empty() && from.request.message_id.empty()) {
        return outcome::failure(
            code::invalid_envelope,
            "a write needs an id: the property message_id, or 'id' on the operation", "message_id");
    }

    if (set->withheld != nullptr && set->withheld->holds(*target)) {
        return withheld(into.writes && from.request.redelivered);
    }

    into.bound.target = target;
    into.bound.call = called;
    if (auto failure = bind.bind(op, taken.system_now(), *memory, into.bound)) {
        return failure;
    }
    if (into.writes && !target->order_by.empty() && from.source != source::process) {
        if (auto failure = out_of_order(from, into.bound)) {
            return failure;
        }
    }
    const auto asked = deadline_of(from.request, op, *target);
    into.bound.deadline = asked.earlier(core::deadline::after(given.longest_work, taken));
    into.capped = into.bound.deadline.when() < asked.when();
    if (!into.writes && into.bound.deadline.expired(taken)) {
        return outcome::failure(code::deadline_exceeded, "the deadline passed before the start");
    }
    const auto& info = bind.info(*target);
    into.rank = info.rank;
    into.object = info.object;
    into.loose_key = info.loose_key;
    into.mode = from.request.mode;
    into.int64_as_string = from.request.int64_as_string;
    if (target->limits.max_bytes != 0) {
        sink->limit(into.bound.index, target->limits.max_bytes);
    }
    into.alone = runs_alone(into);
    into.custom = custom_of(into.bound) != nullptr;
    if (into.writes) {
        into.identity.principal = from.request.principal;
        into.identity.id = operation_id(from.request, op, index, *memory);
        into.identity.content = content_of(op);
        into.identity.operation = &into.bound;
        if (into.identity.id.size() > longest_id) {
            return outcome::failure(
                code::invalid_envelope,
                "message_id and the operation's position must fit into 255 bytes", "message_id");
        }
    }
    return std::nullopt;
}

namespace {

/// As the header `beds-order` has it.
bool is_written_as(const core::value& value, std::string_view text) {
    char digits[32];
    std::size_t length = 0;
    switch (value.type) {
    case core::value::kind::integer:
        length = static_cast<std::size_t>(
            std::to_chars(digits, digits + sizeof digits, value.integer).ptr - digits);
        break;
    case core::value::kind::unsigned_integer:
        length = static_cast<std::size_t>(
            std::to_chars(digits, digits + sizeof digits, value.unsigned_integer).ptr - digits);
        break;
    case core::value::kind::date:
        length = core::format_date(value.integer, digits);
        break;
    default:
        return value.text == text;
    }
    return std::string_view{digits, length} == text;
}

} // namespace

std::optional<outcome> factory::impl::out_of_order(const message& from,
                                                   const adapters::bound_operation& op) const {
    const auto& target = *op.target;
    if (from.lane_of != target.name) {
        return outcome::failure(
            code::misrouted,
            join(*memory, {"writes of this template are ordered: publish them with the key '",
                           target.name, ".order' and the header beds-order"}),
            "beds-order");
    }
    const auto wrong = [&](std::string_view text) {
        return outcome::failure(code::invalid_envelope, text, "beds-order");
    };
    if (!from.request.order) {
        return wrong(join(*memory, {"this template is ordered: the header beds-order must be the "
                                    "value of '",
                                    target.order_by, "'"}));
    }
    const auto by = *target.find_field(target.order_by);
    const auto fits = [&](const core::value& value) {
        return is_written_as(value, *from.request.order);
    };
    bool fit = false;
    if (op.op == core::verb::insert) {
        fit = std::all_of(op.rows.begin(), op.rows.end(), [&](const auto& row) {
            return std::any_of(row.begin(), row.end(), [&](const adapters::assignment& each) {
                return each.field == by && fits(each.value);
            });
        });
    } else if (op.op == core::verb::call) {
        const auto& args = op.call->args;
        for (std::size_t i = 0; i < args.size() && i < op.args.size(); ++i) {
            fit = fit || (args[i].name == target.order_by && fits(op.args[i]));
        }
    } else {
        if (op.key.empty()) {
            return outcome::failure(code::unsupported,
                                    "this template is ordered: it is written by key only");
        }
        for (std::size_t i = 0; i < target.key.size(); ++i) {
            fit = fit || (target.key[i] == by && fits(op.key[i]));
        }
    }
    if (!fit) {
        return wrong(join(*memory, {"the header beds-order is not the value of '", target.order_by,
                                    "' in each write of the message"}));
    }
    return std::nullopt;
}

bool factory::impl::refuse_atomic(const message& from, std::span<planned* const> own, bool failed,
                                  std::size_t answered_before) {
    bool alone = std::any_of(own.begin(), own.end(), [](const planned* op) { return op->alone; });
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
    const bool custom =
        std::any_of(own.begin(), own.end(), [](const planned* op) { return op->custom; });
    if (!failed && !alone && !custom && can.transactions && own.size() + answered_before == count) {
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
        } else if (custom) {
            answer(i, outcome::failure(code::unsupported,
                                       "the envelope holds an operation of a template with code "
                                       "of its own, which cannot be part of 'atomic'"));
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

outcome factory::impl::unrouted(std::string_view key, const templates::template_def& target) const {
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
    auto refused = outcome::failure(code::backend_unavailable,
                                    "no node serves the database of this template at the moment");
    refused.retry_after = std::chrono::seconds{1};
    return refused;
}

outcome factory::impl::withheld(bool perhaps_done) {
    auto refused = outcome::failure(
        code::backend_unavailable,
        "this template does not fit its database at the moment; operators are told why", {},
        perhaps_done ? effect::unknown : effect::none);
    refused.retry_after = std::chrono::seconds{5};
    return refused;
}

outcome factory::impl::unknown_call(const templates::template_def& target, std::string_view name) {
    const auto shown = memory->copy(name.substr(0, 64));
    std::vector<std::string> names;
    for (const auto& one : target.calls) {
        names.push_back(one.name);
    }
    return outcome::failure(code::invalid_field,
                            join(*memory, {"template '", target.name, "' has no call '", shown, "'",
                                           core::did_you_mean(shown, names)}),
                            "name");
}

bool factory::impl::runs_alone(const planned& op) const {
    return (op.writes || op.bound.call != nullptr) &&
           adapter->runs_alone(*op.bound.target, op.bound.op, op.bound.call);
}

core::deadline factory::impl::deadline_of(const core::request& request, const core::operation& op,
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

const templates::template_def* factory::impl::template_for(const core::request& from,
                                                           std::string_view name) const {
    const auto* found = registry->find(name);
    return found != nullptr && found->closed && !from.service ? nullptr : found;
}

outcome factory::impl::no_template(const core::request& from, std::string_view name) {
    const auto shown = memory->copy(name.substr(0, 64));
    return outcome::failure(code::unknown_template,
                            join(*memory, {"there is no template '", shown, "'",
                                           registry->suggest(shown, from.service)}));
}

outcome factory::impl::describe(const core::request& from, const core::operation& op) {
    // The sink keeps a view: the text must live as long as the batch.
    const templates::template_def* only = nullptr;
    if (!op.template_name.empty()) {
        only = template_for(from, op.template_name);
        if (only == nullptr) {
            return no_template(from, op.template_name);
        }
    }
    auto& text = descriptions[{only, from.service}];
    if (text.empty()) {
        text = memory->copy(std::string_view{::beds::factory::describe(
            *registry, adapters, {only, from.service, given.strict_route})});
    }
    described = text;
    return outcome{};
}

void factory::impl::enter_into_books(std::span<const ledger::slot> slots) {
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

} // namespace beds::factory
