#include "core/failpoint.hpp"
#include "factory/impl.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace beds::factory {

void factory::impl::run_unit(std::uint32_t unit, bool again) {
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

void factory::impl::run_alone(planned& op) {
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

void factory::impl::run_transaction(work_kind kind, lookup how, bool alone,
                                    std::chrono::seconds row_wait) {
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
        if (!can.transactions || std::exchange(undo_custom, false)) {
            drop_answered(); // what ran is applied, or is not to run; only the rest is run again
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

void factory::impl::refuse_writes() {
    const auto& why = session->trouble();
    for (const auto* op : open) {
        if (op->writes && stages[op->bound.index] == stage::open) {
            give_up(*op, outcome::failure(why.code, why.detail));
            stop_message(*op, open);
        }
    }
    drop_answered();
}

void factory::impl::collect_ids(work_kind kind) {
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

core::deadline factory::impl::earliest_deadline() const {
    auto earliest = core::deadline::never();
    for (const auto* op : open) {
        earliest = earliest.earlier(op->bound.deadline);
    }
    return earliest;
}

std::size_t factory::impl::expire(core::steady_time now) {
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

void factory::impl::stop_message(const planned& cause, std::span<planned* const> among) {
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

void factory::impl::stop_sequence(const planned& cause) {
    for (const auto* op : all) {
        if (op->message == cause.message && op->bound.index > cause.bound.index &&
            stages[op->bound.index] == stage::open) {
            give_up(op->bound.index, outcome::skip("an earlier operation of the sequence failed"));
        }
    }
}

void factory::impl::drop_answered() {
    std::erase_if(open,
                  [&](const planned* op) { return stages[op->bound.index] == stage::answered; });
}

void factory::impl::fail_open(code why, std::string_view detail,
                              std::chrono::milliseconds retry_after) {
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

void factory::impl::finish_open() {
    for (const auto* op : open) {
        const auto index = op->bound.index;
        stages[index] = stage::answered;
        if (op->mode == core::envelope_mode::sequence && !results[index].ok()) {
            stopped[op->message] = 1;
        }
    }
    open.clear();
}

} // namespace beds::factory
