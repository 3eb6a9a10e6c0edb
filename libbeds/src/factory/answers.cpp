#include "factory/impl.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace beds::factory {

void factory::impl::give_up(core::op_index index, outcome result) {
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

void factory::impl::give_up(const planned& op, outcome result) {
    const bool not_kept = op.alone || (connects != 0 && !can.inbox);
    result.at_least_once =
        result.at_least_once || (not_kept && doubts[op.bound.index] == doubt::unanswered_commit);
    give_up(op.bound.index, result);
}

outcome factory::impl::reused() {
    return outcome::failure(code::id_reused, "this id was used for an operation with other content",
                            "id");
}

void factory::impl::set_repeats_aside() {
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
    std::erase_if(all,
                  [&](const planned* op) { return stages[op->bound.index] == stage::answered; });
}

void factory::impl::answer_repeats() {
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

bool factory::impl::answer_as_before(const message& from, std::size_t i, core::op_index index,
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
        answer_stored(stored);
    }
    return true;
}

void factory::impl::ask_for_late() {
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

void factory::impl::answer_stored(const adapters::stored_reply& stored) {
    if (const auto told = outcome_of_stored(stored.reply, *memory)) {
        answer(stored.index, *told);
        sink->stored(stored.index, stored.reply);
    } else {
        doubts[stored.index] = doubt::redelivered;
        auto made = outcome::failure(code::backend_unavailable, "the stored answer came damaged");
        made.retry_after = retry.left(clock.steady_now());
        give_up(stored.index, made);
    }
}

void factory::impl::answer_known() {
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
            answer_stored(stored);
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

step_result factory::impl::seal_open(bool alone, lookup how) {
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

step_result factory::impl::seal_answered() {
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

} // namespace beds::factory
